//! The errors and warnings of rustc: their files and their text.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// The files of the application that it is in, such as `methods/account/login.rs`.
    pub(crate) files: BTreeSet<PathBuf>,
    /// rustc's code, such as `E0425`.
    pub(crate) code: Option<String>,
    /// The text that rustc prints, with colours.
    pub(crate) rendered: String,
}

/// The codes of errors that may be due to missing code: a name that is not found, a trait that is not implemented.
const MAY_BE_MISSING_ITEM: [&str; 16] = [
    "E0277", "E0282", "E0283", "E0369", "E0404", "E0405", "E0407", "E0412", "E0422", "E0423", "E0425", "E0432",
    "E0433", "E0531", "E0599", "E0603",
];

#[derive(Deserialize)]
struct Message {
    level: String,
    code: Option<Code>,
    #[serde(default)]
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    is_primary: bool,
    expansion: Option<Box<Expansion>>,
}

#[derive(Deserialize)]
struct Expansion {
    span: Span,
}

/// The lint that is always on, for the names that the library exports.
const FORCED_LINT: &str = "unsafe_code";

/// Parses the errors in rustc's lines of JSON.
///
/// `root` is the generated file and `source` its text. An error in one of its lines belongs to the file that the line ends with.
pub(crate) fn errors(output: &str, root: &Path, source: &str) -> Vec<Diagnostic> {
    let errors = messages(output).filter(|message| message.level.starts_with("error"));
    let (located, others): (Vec<Message>, Vec<Message>) = errors.partition(|error| !error.spans.is_empty());
    if located.is_empty() {
        // The linker's errors, for example.
        let rendered = others.into_iter().find_map(|error| error.rendered);
        return vec![Diagnostic::without_file(rendered.unwrap_or_else(|| output.to_owned()))];
    }
    located.into_iter().map(|error| diagnostic(error, root, source)).collect()
}

/// Parses the warnings in rustc's lines of JSON, as [`errors`] parses errors.
pub(crate) fn warnings(output: &str, root: &Path, source: &str) -> Vec<Diagnostic> {
    let warnings = messages(output).filter(|message| message.level == "warning");
    let warnings = warnings.map(|warning| diagnostic(warning, root, source));
    warnings.filter(|warning| warning.code.as_deref() != Some(FORCED_LINT)).collect()
}

fn messages(output: &str) -> impl Iterator<Item = Message> {
    output.lines().filter_map(|line| serde_json::from_str(line).ok())
}

impl Diagnostic {
    /// Creates an error in an unknown file.
    pub(crate) fn without_file(rendered: String) -> Self {
        Diagnostic { files: BTreeSet::new(), code: None, rendered }
    }

    /// Returns `true` if the error may be due to code that was left out of the build.
    pub(crate) fn may_be_missing_item(&self) -> bool {
        self.code.as_deref().is_some_and(|code| MAY_BE_MISSING_ITEM.contains(&code))
    }

    /// Returns the text without colours.
    pub(crate) fn plain(&self) -> String {
        strip_ansi_escapes::strip_str(&self.rendered)
    }
}

fn diagnostic(message: Message, root: &Path, source: &str) -> Diagnostic {
    // The file and its folder: in the application's library, it is in a folder of a build script.
    let generated: PathBuf = root.iter().skip(root.iter().count().saturating_sub(2)).collect();
    let primary = message.spans.iter().filter(|span| span.is_primary);
    let files = primary.flat_map(Span::locations).filter_map(|(file, line)| {
        if !Path::new(file).ends_with(&generated) {
            return Some(PathBuf::from(file)).filter(|file| file.is_relative());
        }
        let (_, file) = source.lines().nth(line.checked_sub(1)?)?.rsplit_once(" // ")?;
        Some(PathBuf::from(file))
    });
    let rendered = message.rendered.unwrap_or_default();
    Diagnostic { files: files.collect(), code: message.code.map(|code| code.code), rendered }
}

impl Span {
    /// Returns the file and line of the span, and of the macro calls around it.
    fn locations(&self) -> Vec<(&str, usize)> {
        let mut locations = vec![(self.file_name.as_str(), self.line_start)];
        let mut expansion = &self.expansion;
        while let Some(outer) = expansion {
            locations.push((&outer.span.file_name, outer.span.line_start));
            expansion = &outer.span.expansion;
        }
        locations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "first\nfn a·() {} // methods/a.rs\n";

    fn parse_one(spans: &str) -> Diagnostic {
        let line = format!(
            r#"{{"level": "error", "code": {{"code": "E0425"}}, "spans": [{spans}], "rendered": "\u001b[1mtext\u001b[0m"}}"#
        );
        let warning = r#"{"level": "warning", "code": null, "spans": [], "rendered": ""}"#;
        let end = r#"{"level": "error", "code": null, "spans": [], "rendered": "aborting due to 1 previous error"}"#;
        let mut parsed = errors(&format!("{warning}\n{line}\nnot JSON\n{end}\n"), Path::new("/t/1/methods.rs"), SOURCE);
        assert_eq!(parsed.len(), 1);
        parsed.remove(0)
    }

    fn span(file: &str, line: usize, members: &str) -> String {
        format!(r#"{{"file_name": "{file}", "line_start": {line}, "is_primary": true, "expansion": null{members}}}"#)
    }

    #[test]
    fn an_error_is_in_the_file_of_its_span() {
        let error = parse_one(&span("methods/b/c.rs", 3, ""));
        assert_eq!(error.files, BTreeSet::from([PathBuf::from("methods/b/c.rs")]));
        assert!(error.may_be_missing_item());
        assert_eq!(error.plain(), "text");
    }

    #[test]
    fn a_warning_is_one_of_the_compilers_own_lints() {
        let line = |level: &str, code: &str| {
            let span = span("methods/a.rs", 1, "");
            format!(r#"{{"level": "{level}", "code": {{"code": "{code}"}}, "spans": [{span}], "rendered": "{code}"}}"#)
        };
        let count = r#"{"level": "warning", "code": null, "spans": [], "rendered": "2 warnings emitted"}"#;
        let output = [line("warning", "unused_variables"), line("warning", "unsafe_code"), line("error", "E0425")];
        let warnings = warnings(&format!("{}\n{count}\n", output.join("\n")), Path::new("/t/1/methods.rs"), SOURCE);
        let codes: Vec<_> = warnings.iter().map(|warning| warning.rendered.as_str()).collect();
        assert_eq!(codes, ["unused_variables", "2 warnings emitted"]);
        assert_eq!(warnings[0].files, BTreeSet::from([PathBuf::from("methods/a.rs")]));
    }

    #[test]
    fn an_error_in_the_generated_source_is_in_the_file_that_its_line_ends_with() {
        assert_eq!(
            parse_one(&span("target/1/methods.rs", 2, "")).files,
            BTreeSet::from([PathBuf::from("methods/a.rs")])
        );
        assert_eq!(parse_one(&span("target/1/methods.rs", 1, "")).files, BTreeSet::new());
    }

    #[test]
    fn an_error_within_a_macro_is_in_the_file_that_calls_it() {
        let outer = span("methods/a.rs", 1, "");
        let inner = span("/rust/lib.rs", 9, "")
            .replace(r#""expansion": null"#, &format!(r#""expansion": {{"span": {outer}}}"#));
        assert_eq!(parse_one(&inner).files, BTreeSet::from([PathBuf::from("methods/a.rs")]));
    }
}
