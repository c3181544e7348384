//! The table of each part, in Markdown.

use crate::parts::{LOW_RATE, MEMORY};
use crate::results::Results;
use crate::server::Server;

/// The server of the ratios.
const BASE: &str = "hyper";

/// Returns the section of a part: its circumstances, its table and its remarks.
pub fn section(results: &Results) -> String {
    let table = match results.part.as_str() {
        "hello" => hello(results),
        "connections" => connections(results),
        "signed" => signed(results),
        "login" => login(results),
        "body" => body(results),
        "stream" => stream(results),
        "idle" => idle(results),
        "start" => start(results),
        "trees" => trees(results),
        "reload" => reload(results),
        _ => calls(results),
    };
    let mut paragraphs = vec![circumstances(results), table];
    paragraphs.extend(results.notes.iter().map(|note| format!("{note}.").replace("..", ".")));
    paragraphs.extend(remarks(results));
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs.join("\n\n")
}

/// Returns the sentence about the commit, the machine and the settings.
fn circumstances(results: &Results) -> String {
    let (machine, settings) = (&results.machine, &results.settings);
    let rounds = match results.part.as_str() {
        "idle" | "start" => format!("{} rounds", settings.rounds),
        "reload" => format!("{} runs", settings.rounds),
        _ => format!("{} rounds of {} s", settings.rounds, settings.seconds),
    };
    let profile = if results.part == "reload" { "dev" } else { &settings.profile };
    format!(
        "{} at commit {}, profile `{profile}`, {rounds}; {} cores of {}, Linux {}, {}.",
        results.date, machine.commit, machine.cores, machine.cpu, machine.kernel, machine.rustc
    )
}

/// Returns a sentence for each measurement in which calls failed or lines of the log are missing.
fn remarks(results: &Results) -> Vec<String> {
    let mut remarks = Vec::new();
    for case in results.cases() {
        for server in results.servers() {
            let errors: f64 = results.values(case, server, "errors").iter().sum();
            if errors > 0.0 {
                remarks.push(format!("{server}, {case}: {errors} calls failed."));
            }
            let lines = results.median(case, server, "log_lines_per_call");
            if let Some(lines) = lines.filter(|lines| *lines < 0.999) {
                let lost = 100.0 * (1.0 - lines);
                remarks.push(format!("{server}, {case}: the log has no line for {lost:.1} % of the calls."));
            }
        }
    }
    remarks
}

fn hello(results: &Results) -> String {
    let at = |rate| format!("p50 / p99 at {}/s, us", number(Some(rate), 0));
    let (at_low, at_rate) = (at(LOW_RATE), at(results.settings.rate));
    let header = ["server", "requests/s", "CPU us a call", "CPU x hyper", &at_low, &at_rate, "resident MiB"];
    let row = |server: &str| {
        let median = |name| results.median("rpc", server, name);
        vec![
            server.to_owned(),
            number(median("calls_per_s"), 0),
            number(median("cpu_us"), 2),
            number(results.ratio("rpc", server, BASE, "cpu_us"), 2),
            pair(median("low_p50_us"), median("low_p99_us"), 0),
            pair(median("rate_p50_us"), median("rate_p99_us"), 0),
            number(median("resident_kib").map(|kib| kib / 1024.0), 1),
        ]
    };
    table(&header, results.servers().into_iter().map(row))
}

/// The table of a part with one case: throughput and CPU time.
fn calls(results: &Results) -> String {
    let header = ["server", "requests/s", "CPU us a call", "CPU x hyper"];
    let case = results.cases().first().copied().unwrap_or_default();
    table(&header, results.servers().into_iter().map(|server| calls_row(results, case, server)))
}

fn calls_row(results: &Results, case: &str, server: &str) -> Vec<String> {
    vec![
        server.to_owned(),
        number(results.median(case, server, "calls_per_s"), 0),
        number(results.median(case, server, "cpu_us"), 2),
        number(results.ratio(case, server, BASE, "cpu_us"), 2),
    ]
}

fn connections(results: &Results) -> String {
    let cases = results.cases();
    let mut header = vec!["server".to_owned()];
    for case in &cases {
        header.push(format!("{case}: requests/s"));
        header.push("CPU us a call (x hyper)".to_owned());
    }
    let row = |server: &str| {
        let mut row = vec![server.to_owned()];
        for case in &cases {
            let ratio = number(results.ratio(case, server, BASE, "cpu_us"), 2);
            row.push(number(results.median(case, server, "calls_per_s"), 0));
            row.push(format!("{} ({ratio})", number(results.median(case, server, "cpu_us"), 2)));
        }
        row
    };
    table(&header.iter().map(String::as_str).collect::<Vec<_>>(), results.servers().into_iter().map(row))
}

fn signed(results: &Results) -> String {
    let header = [
        "database",
        "echo, unsigned: calls/s",
        "CPU us",
        "echo, signed: calls/s",
        "CPU us (x unsigned)",
        "p50 / p99 ms",
        "counter: saves/s",
        "CPU us",
        "p50 / p99 ms",
    ];
    let row = |store: &str| {
        let median = |case, name| results.median(case, store, name);
        let latency = |case| {
            let ms = |name| median(case, name).map(|us| us / 1000.0);
            pair(ms("p50_us"), ms("p99_us"), 2)
        };
        let (unsigned, signed) = ("echo, unsigned", "echo, signed");
        let ratio = results.ratio_of_cases(store, signed, unsigned, "cpu_us");
        vec![
            store.to_owned(),
            number(median(unsigned, "calls_per_s"), 0),
            number(median(unsigned, "cpu_us"), 1),
            number(median(signed, "calls_per_s"), 0),
            format!("{} ({})", number(median(signed, "cpu_us"), 1), number(ratio, 2)),
            latency(signed),
            number(median("counter", "calls_per_s"), 0),
            number(median("counter", "cpu_us"), 1),
            latency("counter"),
        ]
    };
    table(&header, results.servers().into_iter().map(row))
}

fn login(results: &Results) -> String {
    let median = |name| results.median("login", Server::Simpleapi.name(), name);
    let ms = |name| median(name).map(|us| us / 1000.0);
    let row = vec![number(median("calls_per_s"), 0), number(ms("cpu_us"), 1), pair(ms("p50_us"), ms("p99_us"), 0)];
    table(&["logins/s", "CPU ms a login", "p50 / p99 ms"], [row])
}

fn body(results: &Results) -> String {
    let header = ["server", "requests/s", "CPU us a call", "CPU x hyper", "MiB/s in each direction"];
    calls_and(results, "64 KiB", &header, 1.0 / 16.0)
}

fn stream(results: &Results) -> String {
    let header = ["server", "responses/s", "CPU us a response", "CPU x hyper", "chunks/s"];
    calls_and(results, "stream", &header, 1000.0)
}

/// The table of a case whose last column is a multiple of the calls a second.
fn calls_and(results: &Results, case: &str, header: &[&str], multiple: f64) -> String {
    let row = |server: &str| {
        let mut row = calls_row(results, case, server);
        row.push(number(results.median(case, server, "calls_per_s").map(|calls| calls * multiple), 0));
        row
    };
    table(header, results.servers().into_iter().map(row))
}

fn idle(results: &Results) -> String {
    let connections = results.samples.first().and_then(|sample| sample.values.get("connections")).copied();
    let connected = format!("with {} connections, MiB", number(connections, 0));
    let header = ["server", "idle, MiB", &connected, "KiB a connection"];
    let row = |server: &str| {
        let mib = |name| number(results.median("idle", server, name).map(|kib| kib / 1024.0), 1);
        let per_connection = number(results.median("idle", server, "per_connection_kib"), 1);
        vec![server.to_owned(), mib("idle_kib"), mib("connected_kib"), per_connection]
    };
    table(&header, results.servers().into_iter().map(row))
}

fn start(results: &Results) -> String {
    let row = |server: &str| vec![server.to_owned(), number(results.median("start", server, "start_ms"), 1)];
    table(&["server", "ms from exec to the first answer"], results.servers().into_iter().map(row))
}

fn trees(results: &Results) -> String {
    let header = [
        "methods",
        "build of the application, s",
        "program, MiB",
        "start, ms",
        "requests/s",
        "CPU us a call",
        "CPU x fewest",
    ];
    let mut cases = results.cases();
    cases.sort_by_key(|case| case.parse::<usize>().unwrap_or(usize::MAX));
    let server = Server::Simpleapi.name();
    let row = |case: &&str| {
        let median = |name| results.median(case, server, name);
        vec![
            number(case.parse().ok(), 0),
            number(median("build_s"), 0),
            number(median("binary_mib"), 1),
            number(median("start_ms"), 1),
            number(median("calls_per_s"), 0),
            number(median("cpu_us"), 2),
            number(results.ratio_of_cases(server, case, cases[0], "cpu_us"), 2),
        ]
    };
    table(&header, cases.iter().map(row))
}

fn reload(results: &Results) -> String {
    let mut cases = results.cases();
    cases.retain(|case| *case != MEMORY);
    let mut header = vec!["milliseconds: median (range)".to_owned()];
    header.extend(cases.iter().map(|case| format!("{case} methods")));
    let mut rows = results.servers();
    rows.retain(|row| cases.iter().any(|case| results.median(case, row, "ms").is_some()));
    let cell = |case: &str, row: &str| {
        let values = results.values(case, row, "ms");
        let median = number(results.median(case, row, "ms"), 0);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        if values.len() > 1 { format!("{median} ({least:.0}-{most:.0})") } else { median }
    };
    let row = |row: &str| {
        let cells = cases.iter().map(|case| cell(case, row));
        std::iter::once(row.to_owned()).chain(cells).collect()
    };
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut text = table(&header, rows.into_iter().map(row));
    let memory = results.samples.iter().filter(|sample| sample.case == MEMORY);
    let memory: Vec<String> = memory
        .filter_map(|sample| {
            Some(format!("{:.0} MiB after {}", sample.values.get("resident_kib")? / 1024.0, sample.server))
        })
        .collect();
    if !memory.is_empty() {
        text += &format!("\n\nResident memory by the number of reloads of one method: {}.", memory.join(", "));
    }
    text
}

/// Returns a number with separators, or a dash.
pub fn number(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) =
        text.split_once('.').map_or((text.as_str(), ""), |(whole, _)| (whole, &text[whole.len()..]));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

fn pair(first: Option<f64>, second: Option<f64>, decimals: usize) -> String {
    match (first, second) {
        (None, None) => "-".to_owned(),
        _ => format!("{} / {}", number(first, decimals), number(second, decimals)),
    }
}

/// Returns a table, aligned to the right except for its first column.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let alignment = format!("|---|{}", "---:|".repeat(header.len() - 1));
    let mut lines = vec![line(&header), alignment];
    lines.extend(rows.into_iter().map(|row| line(&row)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_separators_and_a_fixed_number_of_decimals() {
        assert_eq!(number(Some(1_234_567.0), 0), "1,234,567");
        assert_eq!(number(Some(999.5), 1), "999.5");
        assert_eq!(number(Some(1000.25), 1), "1,000.2");
        assert_eq!(number(None, 1), "-");
    }
}
