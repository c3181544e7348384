//! The events of the server and of methods as lines of the developer's terminal.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::terminal::{DIM, Palette, RED, YELLOW, printable};
use crate::log::PANIC;

/// Formats an event as its level, its message and its fields; a panic as its place and its message.
pub(super) struct EventFormat {
    pub(super) palette: Palette,
}

impl<S, N> FormatEvent<S, N> for EventFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if event.metadata().target() == PANIC {
            let (place, text) = (fields.get("place"), fields.get("text"));
            return writeln!(out, "{}", self.palette.paint(RED, &format!("panic at {place}: {text}")));
        }
        let level = *event.metadata().level();
        let colour = match level {
            Level::ERROR => RED,
            Level::WARN => YELLOW,
            _ => DIM,
        };
        let level = level.to_string().to_lowercase();
        write!(out, "{}  {}", self.palette.paint(colour, &level), fields.get("message"))?;
        for (name, value) in fields.0.iter().filter(|(name, _)| *name != "message") {
            write!(out, "  {}{value}", self.palette.paint(DIM, &format!("{name}=")))?;
        }
        writeln!(out)
    }
}

/// The fields of an event as printable text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value)
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), printable(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), printable(&format!("{value:?}"))));
    }
}
