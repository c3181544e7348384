//! What rustc says when something does not compile: which files it speaks of, and its words.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// One error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// The files of methods that it is in, such as `methods/account/login.rs`.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Its code, such as `E0425`.
    pub(crate) code: Option<String>,
    /// As rustc would print it, with colours.
    pub(crate) rendered: String,
}

/// Errors that may be due to code that is not there: a name that is not found, a trait that is not implemented.
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

/// Reads rustc's lines of JSON. `root` is the generated file and `source` its text: an error in a line of it is one of the file that
/// the line ends with.
pub(crate) fn read(said: &str, root: &Path, source: &str) -> Vec<Diagnostic> {
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let errors = messages.filter(|message| message.level.starts_with("error"));
    let (placed, others): (Vec<Message>, Vec<Message>) = errors.partition(|error| !error.spans.is_empty());
    if placed.is_empty() {
        // Such as the linker's.
        let words = others.into_iter().find_map(|error| error.rendered);
        return vec![Diagnostic::of_no_file(words.unwrap_or_else(|| said.to_owned()))];
    }
    placed.into_iter().map(|error| diagnostic(error, root, source)).collect()
}

impl Diagnostic {
    /// Something that is wrong with methods, nobody knows with which.
    pub(crate) fn of_no_file(words: String) -> Self {
        Diagnostic { files: BTreeSet::new(), code: None, rendered: words }
    }

    /// Whether it may come of too small a part of the tree.
    pub(crate) fn may_be_missing_item(&self) -> bool {
        self.code.as_deref().is_some_and(|code| MAY_BE_MISSING_ITEM.contains(&code))
    }

    /// Its words without colours.
    pub(crate) fn plain(&self) -> String {
        strip_ansi_escapes::strip_str(&self.rendered)
    }
}

fn diagnostic(error: Message, root: &Path, source: &str) -> Diagnostic {
    let primary = error.spans.iter().filter(|span| span.is_primary);
    let files = primary.flat_map(Span::places).filter_map(|(file, line)| {
        if Path::new(file).file_name() != root.file_name() {
            return Some(PathBuf::from(file)).filter(|file| file.starts_with("methods"));
        }
        let (_, file) = source.lines().nth(line.checked_sub(1)?)?.rsplit_once(" // ")?;
        Some(PathBuf::from(file))
    });
    let rendered = error.rendered.unwrap_or_default();
    Diagnostic { files: files.collect(), code: error.code.map(|code| code.code), rendered }
}

impl Span {
    /// Where it is, and the macros that it is in.
    fn places(&self) -> Vec<(&str, usize)> {
        let mut places = vec![(self.file_name.as_str(), self.line_start)];
        let mut expansion = &self.expansion;
        while let Some(outer) = expansion {
            places.push((&outer.span.file_name, outer.span.line_start));
            expansion = &outer.span.expansion;
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "first\nfn a·() {} // methods/a.rs\n";

    fn read_one(spans: &str) -> Diagnostic {
        let line = format!(
            r#"{{"level": "error", "code": {{"code": "E0425"}}, "spans": [{spans}], "rendered": "\u001b[1mwords\u001b[0m"}}"#
        );
        let warning = r#"{"level": "warning", "code": null, "spans": [], "rendered": ""}"#;
        let end = r#"{"level": "error", "code": null, "spans": [], "rendered": "aborting due to 1 previous error"}"#;
        let mut read = read(&format!("{warning}\n{line}\nnot JSON\n{end}\n"), Path::new("/t/1.rs"), SOURCE);
        assert_eq!(read.len(), 1);
        read.remove(0)
    }

    fn span(file: &str, line: usize, rest: &str) -> String {
        format!(r#"{{"file_name": "{file}", "line_start": {line}, "is_primary": true, "expansion": null{rest}}}"#)
    }

    #[test]
    fn an_error_is_in_the_file_of_its_span() {
        let error = read_one(&span("methods/b/c.rs", 3, ""));
        assert_eq!(error.files, BTreeSet::from([PathBuf::from("methods/b/c.rs")]));
        assert!(error.may_be_missing_item());
        assert_eq!(error.plain(), "words");
    }

    #[test]
    fn an_error_in_the_generated_root_is_in_the_file_that_its_line_ends_with() {
        assert_eq!(read_one(&span("target/1.rs", 2, "")).files, BTreeSet::from([PathBuf::from("methods/a.rs")]));
        assert_eq!(read_one(&span("target/1.rs", 1, "")).files, BTreeSet::new());
    }

    #[test]
    fn an_error_within_a_macro_is_in_the_file_that_calls_it() {
        let outer = span("methods/a.rs", 1, "");
        let inner = span("/rust/lib.rs", 9, "")
            .replace(r#""expansion": null"#, &format!(r#""expansion": {{"span": {outer}}}"#));
        assert_eq!(read_one(&inner).files, BTreeSet::from([PathBuf::from("methods/a.rs")]));
    }
}
