//! What a developer sees: at the start what is served and where, then a line for each reload and each call. With colours on a terminal.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::time::Duration;

use method_sdk::Method;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::reload::{CompileFailure, ReloadReport};
use crate::log::{AccessLog, AccessLogEntry, PANIC};

/// The target of events that are for the developer alone: their message is shown as it is.
const DEV: &str = "dev";

/// Methods that are listed at the start; of more, the number.
const LISTED: usize = 40;

/// Methods that a line of a reload names.
const NAMED: usize = 4;

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const DIM: &str = "2";
const BOLD: &str = "1";

/// How lines are written.
#[derive(Clone, Copy)]
pub(crate) struct DevTerminal {
    is_coloured: bool,
}

impl DevTerminal {
    /// As standard error can show them.
    pub(super) fn for_stderr() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        DevTerminal { is_coloured: std::io::stderr().is_terminal() && !no_color }
    }

    /// The first line.
    pub(super) fn title(self) {
        tracing::info!(target: DEV, "{}", self.paint(BOLD, concat!("SimpleAPIServer ", env!("CARGO_PKG_VERSION"), ", development mode")));
    }

    /// When all methods have been loaded: which they are, and how long it took.
    pub(super) fn ready(self, methods: &[&Method], took: Duration) {
        let width = methods.iter().map(|method| method.name.len()).max().unwrap_or(0);
        for method in methods.iter().take(LISTED) {
            let summary = method.description.lines().next().unwrap_or_default();
            let name = self.paint(BOLD, &format!("{:width$}", method.name));
            tracing::info!(target: DEV, "  {name}  {}", self.paint(DIM, summary));
        }
        if methods.len() > LISTED {
            tracing::info!(target: DEV, "  and {} more; `server methods` lists all", methods.len() - LISTED);
        }
        tracing::info!(target: DEV, "{} methods, ready in {} ms; a file saved in methods/ is live at once", methods.len(), took.as_millis());
    }

    /// What does not compile.
    pub(super) fn wrong(self, report: &ReloadReport) {
        for CompileFailure { methods, words } in &report.wrong {
            let who = if methods.is_empty() { "methods/".to_owned() } else { some(methods) };
            tracing::error!(target: DEV, "{}  does not compile\n{}", self.paint(RED, &who), self.words(words).trim_end());
        }
    }

    /// After a change: what has become of it.
    pub(super) fn reloaded(self, report: &ReloadReport, took: Duration) {
        self.wrong(report);
        let ReloadReport { loaded, recovered, restored, gone, compile, load, .. } = report;
        if !loaded.is_empty() {
            let verb = if loaded.iter().all(|name| recovered.contains(name)) {
                "compiles again, reloaded"
            } else {
                "reloaded"
            };
            let (took, compile, load) = (took.as_millis(), compile.as_millis(), load.as_millis());
            let who = self.paint(GREEN, &some(loaded));
            tracing::info!(target: DEV, "{who}  {verb} in {took} ms  (compile {compile}, load {load})");
        }
        if !restored.is_empty() {
            let who = self.paint(GREEN, &some(restored));
            tracing::info!(target: DEV, "{who}  is what it was, in {} ms", took.as_millis());
        }
        if !gone.is_empty() {
            tracing::info!(target: DEV, "{}  removed in {} ms", self.paint(YELLOW, &some(gone)), took.as_millis());
        }
    }

    /// Something to know that is no error.
    pub(super) fn note(self, text: &str) {
        tracing::info!(target: DEV, "{text}");
    }

    /// Something that the developer has to do something about.
    pub(super) fn problem(self, text: &str) {
        tracing::error!(target: DEV, "{}", self.paint(RED, text));
    }

    fn words(self, words: &str) -> String {
        if self.is_coloured { words.to_owned() } else { strip_ansi_escapes::strip_str(words) }
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

impl AccessLog for DevTerminal {
    /// Shows the method, the status, the time and the caller; on a second line the cause of an error.
    fn record(&self, entry: &AccessLogEntry<'_>) {
        let (status, code) = (entry.status.as_u16(), entry.code());
        let outcome = if code == 0 { status.to_string() } else { format!("{status} {code}") };
        let padding = " ".repeat(8_usize.saturating_sub(outcome.len()));
        let outcome = self.paint(if code == 0 { GREEN } else { RED }, &outcome);
        let method = entry.method.unwrap_or("-");
        let user = self.paint(DIM, &printable(entry.user().unwrap_or_default()));
        let line = format!("{method:<24}  {outcome}{padding}  {:>9.3} ms  {user}", entry.milliseconds());
        tracing::info!(target: DEV, "{}", line.trim_end());
        if let Some(cause) = entry.cause() {
            tracing::info!(target: DEV, "    {}", self.paint(RED, &printable(&cause)));
        }
    }
}

/// The first of these names, and how many more there are.
fn some(names: &[String]) -> String {
    let named = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

impl<S, N> FormatEvent<S, N> for DevTerminal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let level = *metadata.level();
        let mut fields = Fields { is_ours: metadata.target() == DEV, members: Vec::new() };
        event.record(&mut fields);
        let message = fields.get("message").unwrap_or_default();
        match message {
            _ if fields.is_ours => writeln!(out, "{message}"),
            PANIC => {
                let (place, text) = (fields.get("place").unwrap_or_default(), fields.get("text").unwrap_or_default());
                writeln!(out, "{}", self.paint(RED, &format!("panic at {place}: {text}")))
            }
            _ => {
                let colour = if level == Level::ERROR {
                    RED
                } else if level == Level::WARN {
                    YELLOW
                } else {
                    DIM
                };
                write!(out, "{}  {message}", self.paint(colour, &level.to_string().to_lowercase()))?;
                for (name, value) in fields.members.iter().filter(|(name, _)| *name != "message") {
                    write!(out, "  {}{value}", self.paint(DIM, &format!("{name}=")))?;
                }
                writeln!(out)
            }
        }
    }
}

/// The fields of an event, as text.
struct Fields {
    /// Whether the text is this file's own, and may have colours and lines in it.
    is_ours: bool,
    members: Vec<(&'static str, String)>,
}

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.members.iter().find(|(member, _)| *member == name).map(|(_, value)| value.as_str())
    }

    fn push(&mut self, field: &Field, text: &str) {
        let text = if self.is_ours { text.to_owned() } else { printable(text) };
        self.members.push((field.name(), text));
    }
}

/// The text without control characters, with which it could move the cursor.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(printable, "{}", character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, &format!("{value:?}"));
    }
}
