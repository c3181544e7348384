//! Reports to the developer's terminal: the methods, each reload, each request. The log settings do not apply.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use method_sdk::Method;

use super::reload::{CompileFailure, ReloadReport};
use crate::log::{AccessLog, AccessLogEntry, LogWriter};

/// The most methods that are listed at the start.
const MAX_LISTED: usize = 40;

/// The most methods that a reload's line names.
const MAX_NAMED: usize = 4;

const GREEN: &str = "32";
pub(super) const RED: &str = "31";
pub(super) const YELLOW: &str = "33";
pub(super) const DIM: &str = "2";
const BOLD: &str = "1";

/// Writes what development mode reports to standard error.
#[derive(Clone)]
pub(super) struct DevTerminal {
    writer: LogWriter,
    palette: Palette,
}

/// Paints text, if the terminal shows colours.
#[derive(Clone, Copy)]
pub(super) struct Palette {
    pub(super) is_coloured: bool,
}

impl Palette {
    /// Returns the palette of standard error: no colours if it is not a terminal, or if `NO_COLOR` is set (see no-color.org).
    pub(super) fn for_stderr() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Palette { is_coloured: std::io::stderr().is_terminal() && !no_color }
    }

    pub(super) fn paint(self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

impl DevTerminal {
    pub(super) fn new(writer: LogWriter, palette: Palette) -> Self {
        DevTerminal { writer, palette }
    }

    /// Prints the program's name and version.
    pub(super) fn title(&self) {
        let title = concat!("SimpleAPIServer ", env!("CARGO_PKG_VERSION"), ", development mode");
        self.print(&self.palette.paint(BOLD, title));
    }

    /// Reports where the server listens, and the kind of its database.
    pub(super) fn listening(&self, address: SocketAddr, database: &str) {
        self.print(&format!("listening on http://{address} ({database})"));
    }

    /// Reports that all methods have been loaded, and lists them.
    pub(super) fn ready(&self, methods: &[&Method], elapsed: Duration) {
        let width = methods.iter().map(|method| method.name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for method in methods.iter().take(MAX_LISTED) {
            let summary = method.description.lines().next().unwrap_or_default();
            let name = self.palette.paint(BOLD, &format!("{:width$}", method.name));
            let _ = writeln!(text, "  {name}  {}", self.palette.paint(DIM, summary));
        }
        if methods.len() > MAX_LISTED {
            let _ = writeln!(text, "  and {} more; `server methods` lists all", methods.len() - MAX_LISTED);
        }
        let (count, elapsed) = (methods.len(), elapsed.as_millis());
        self.print(&format!(
            "{text}{count} methods, ready in {elapsed} ms; a file saved in methods/ is live immediately"
        ));
    }

    /// Shows the methods that do not compile, with the errors.
    pub(super) fn failures(&self, report: &ReloadReport) {
        for CompileFailure { methods, message } in &report.failures {
            let names = if methods.is_empty() { "methods/".to_owned() } else { abbreviate(methods) };
            let names = self.palette.paint(RED, &names);
            self.print(&format!("{names}  does not compile\n{}", self.rendered(message)));
        }
    }

    /// Shows the warnings in methods that were compiled.
    pub(super) fn warnings(&self, report: &ReloadReport) {
        report.warnings.iter().for_each(|warning| self.print(&self.rendered(warning)));
    }

    /// Returns a text of rustc, with colours if the terminal shows them.
    fn rendered(&self, text: &str) -> String {
        let text = if self.palette.is_coloured { text.to_owned() } else { strip_ansi_escapes::strip_str(text) };
        text.trim_end().to_owned()
    }

    /// Reports a reload.
    pub(super) fn reloaded(&self, report: &ReloadReport, elapsed: Duration) {
        self.failures(report);
        let ReloadReport { loaded, recovered, restored, removed, compile, load, .. } = report;
        let elapsed = elapsed.as_millis();
        if !loaded.is_empty() {
            let have_recovered = loaded.iter().all(|name| recovered.contains(name));
            let verb = if have_recovered { "compiles again, reloaded" } else { "reloaded" };
            let names = self.palette.paint(GREEN, &abbreviate(loaded));
            let (compile, load) = (compile.as_millis(), load.as_millis());
            self.print(&format!("{names}  {verb} in {elapsed} ms  (compile {compile}, load {load})"));
        }
        self.warnings(report);
        if !restored.is_empty() {
            let names = self.palette.paint(GREEN, &abbreviate(restored));
            self.print(&format!("{names}  unchanged from the running version  ({elapsed} ms)"));
        }
        if !removed.is_empty() {
            self.print(&format!("{}  removed in {elapsed} ms", self.palette.paint(YELLOW, &abbreviate(removed))));
        }
    }

    /// Reports something that is no error.
    pub(super) fn note(&self, text: &str) {
        self.print(text);
    }

    /// Reports an error that concerns no method.
    pub(super) fn error(&self, text: &str) {
        self.print(&self.palette.paint(RED, text));
    }

    fn print(&self, text: &str) {
        self.writer.push(format!("{text}\n").as_bytes());
    }
}

impl AccessLog for DevTerminal {
    /// Shows the method, the status, the time and the caller; on a second line the cause of an error.
    fn record(&self, entry: &AccessLogEntry<'_>) {
        let (status, code) = (entry.status.as_u16(), entry.code());
        let outcome = if code == 0 { status.to_string() } else { format!("{status} {code}") };
        let padding = " ".repeat(8_usize.saturating_sub(outcome.len()));
        let outcome = self.palette.paint(if code == 0 { GREEN } else { RED }, &outcome);
        let method = entry.method.unwrap_or("-");
        let user = self.palette.paint(DIM, &printable(entry.user().unwrap_or_default()));
        let line = format!("{method:<24}  {outcome}{padding}  {:>9.3} ms  {user}", entry.milliseconds(Instant::now()));
        let line = line.trim_end();
        match entry.cause() {
            Some(cause) => self.print(&format!("{line}\n    {}", self.palette.paint(RED, &printable(&cause)))),
            None => self.print(line),
        }
    }
}

/// Returns the first of these names, and the number of the others.
fn abbreviate(names: &[String]) -> String {
    let named = names.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Escapes control characters, with which foreign text could move the cursor.
pub(super) fn printable(text: &str) -> String {
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
