//! Plots in SVG: horizontal bars, dark on a white background, so that they can be read in light and dark pages.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::tables::number;
use crate::results::Results;
use crate::server::Server;

/// Sizes in pixels.
const WIDTH: u32 = 880;
const ROW: u32 = 26;
const BAR: i32 = 18;
const TOP: u32 = 56;
const BOTTOM: u32 = 14;
const LABELS: i32 = 235;
const VALUES: i32 = 175;

const FONT: &str = "Helvetica, Arial, sans-serif";
const TEXT: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const MUTED: RGBColor = RGBColor(0x6e, 0x77, 0x81);
/// The colours of bars: this server, this server in a lighter variant, and all others.
const OWN: RGBColor = RGBColor(0x1f, 0x6f, 0xd6);
const OWN_LIGHT: RGBColor = RGBColor(0x84, 0xb3, 0xec);
const OTHER: RGBColor = RGBColor(0xa8, 0xb0, 0xb9);
const THIRD: RGBColor = RGBColor(0xe0, 0x8a, 0x2e);

/// A bar, or the heading of the bars that follow.
enum Row {
    Bar { label: String, value: f64, text: String, color: RGBColor },
    Heading(String),
}

/// The CPU time of a call, as a multiple of hyper's.
pub fn cpu(results: &Results) -> Result<String> {
    let rows = bars(results, |server| {
        let ratio = results.ratio("rpc", server, Server::Hyper.name(), "cpu_us")?;
        let cpu = results.median("rpc", server, "cpu_us")?;
        Some((ratio, format!("{ratio:.2}  ({cpu:.1} us)")))
    });
    // The bars of the two interpreted languages are cut, because the others would look alike beside them.
    let limit = longest(&rows, |label| label != Server::FastApi.name() && label != Server::Fastify.name());
    draw(
        "CPU time of a call of demo.hello, as a multiple of bare hyper's",
        &subtitle(results, "shorter is better; bars with a gap are cut"),
        &rows,
        limit,
    )
}

/// Requests a second in a closed loop.
pub fn throughput(results: &Results) -> Result<String> {
    let mut rows = bars(results, |server| {
        let rate = results.median("rpc", server, "calls_per_s")?;
        Some((rate, number(Some(rate), 0)))
    });
    rows.reverse();
    let limit = longest(&rows, |_| true);
    draw("demo.hello: requests a second on one core", &subtitle(results, "longer is better"), &rows, limit)
}

/// The 99th percentile of the latency at a fixed rate.
pub fn latency(results: &Results) -> Result<String> {
    let rows = bars(results, |server| {
        let p99 = results.median("rpc", server, "rate_p99_us")?;
        let p50 = results.median("rpc", server, "rate_p50_us")?;
        Some((p99, format!("{} us  (p50 {})", number(Some(p99), 0), number(Some(p50), 0))))
    });
    let limit = longest(&rows, |label| label != Server::Fastify.name());
    let title = format!(
        "demo.hello: 99th percentile of the latency at {} requests a second",
        number(Some(results.settings.rate), 0)
    );
    draw(
        &title,
        &subtitle(results, "shorter is better; a server that is not listed does not reach the rate"),
        &rows,
        limit,
    )
}

/// Calls a second of the three cases on each database.
pub fn signed(results: &Results) -> Result<String> {
    let mut rows = Vec::new();
    for store in results.servers() {
        rows.push(Row::Heading(store.to_owned()));
        for (case, color) in [("echo, unsigned", OTHER), ("echo, signed", OWN), ("counter", THIRD)] {
            if let Some(value) = results.median(case, store, "calls_per_s") {
                let p99 = results.median(case, store, "p99_us").map(|us| us / 1000.0);
                let text = format!("{}  (p99 {} ms)", number(Some(value), 0), number(p99, 1));
                rows.push(Row::Bar { label: case.to_owned(), value, text, color });
            }
        }
    }
    let limit = longest(&rows, |_| true);
    draw(
        "Calls a second by database, 64 connections and sessions",
        &subtitle(results, "longer is better"),
        &rows,
        limit,
    )
}

fn subtitle(results: &Results, remark: &str) -> String {
    let settings = &results.settings;
    format!("commit {}, medians of {} rounds; {remark}", results.machine.commit, settings.rounds)
}

/// Returns a bar for each server that has a value, the shortest first.
fn bars(results: &Results, value: impl Fn(&str) -> Option<(f64, String)>) -> Vec<Row> {
    let color = |server: &str| match server {
        _ if server == Server::Simpleapi.name() => OWN,
        _ if server == Server::SimpleapiLogOff.name() => OWN_LIGHT,
        _ => OTHER,
    };
    let bar = |server: &str| {
        let (value, text) = value(server)?;
        Some(Row::Bar { label: server.to_owned(), value, text, color: color(server) })
    };
    let mut rows: Vec<Row> = results.servers().into_iter().filter_map(bar).collect();
    rows.sort_by(|one, other| length(one).total_cmp(&length(other)));
    rows
}

fn length(row: &Row) -> f64 {
    match row {
        Row::Bar { value, .. } => *value,
        Row::Heading(_) => 0.0,
    }
}

/// Returns the largest value of some bars. Longer bars are cut.
fn longest(rows: &[Row], counts: impl Fn(&str) -> bool) -> f64 {
    let lengths = rows.iter().filter_map(|row| match row {
        Row::Bar { label, value, .. } if counts(label) => Some(*value),
        _ => None,
    });
    lengths.fold(f64::MIN_POSITIVE, f64::max)
}

fn draw(title: &str, subtitle: &str, rows: &[Row], limit: f64) -> Result<String> {
    let mut svg = String::new();
    {
        let height = TOP + ROW * u32::try_from(rows.len())? + BOTTOM;
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw_rows(&area, title, subtitle, rows, limit).map_err(|error| anyhow!("the plot {title}: {error}"))?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<'a> = std::result::Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw_rows<'a>(area: &Area<'a>, title: &str, subtitle: &str, rows: &[Row], limit: f64) -> Drawn<'a> {
    area.fill(&WHITE)?;
    text(area, title, (16, 18), 17, TEXT, HPos::Left)?;
    text(area, subtitle, (16, 39), 13, MUTED, HPos::Left)?;
    let width = WIDTH as i32 - LABELS - VALUES;
    for (index, row) in (0..).zip(rows) {
        let middle = (TOP + ROW * index + ROW / 2) as i32;
        let (label, value, value_text, color) = match row {
            Row::Heading(heading) => {
                text(area, heading, (16, middle), 14, TEXT, HPos::Left)?;
                continue;
            }
            Row::Bar { label, value, text, color } => (label, *value, text, *color),
        };
        text(area, label, (LABELS - 10, middle), 14, TEXT, HPos::Right)?;
        let is_cut = value > limit;
        let end = LABELS + (f64::from(width) * (value / limit).min(1.0)).round().max(1.0) as i32;
        let corners = [(LABELS, middle - BAR / 2), (end, middle + BAR / 2)];
        area.draw(&Rectangle::new(corners, color.filled()))?;
        if is_cut {
            let gap =
                vec![(end - 22, middle + 12), (end - 16, middle + 12), (end - 8, middle - 12), (end - 14, middle - 12)];
            area.draw(&Polygon::new(gap, WHITE.filled()))?;
        }
        text(area, value_text, (end + 8, middle), 13, TEXT, HPos::Left)?;
    }
    area.present()
}

fn text<'a>(area: &Area<'a>, text: &str, at: (i32, i32), size: i32, color: RGBColor, align: HPos) -> Drawn<'a> {
    // plotters divides the size of a font by this number.
    let style = (FONT, f64::from(size) * 1.24).into_font().color(&color).pos(Pos::new(align, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))
}
