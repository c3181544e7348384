//! Errors in a tree as values, for Cargo or for the terminal of development mode.

use std::fmt;
use std::path::{Path, PathBuf};

use proc_macro2::Span;

/// An error in a file or folder of the tree.
///
/// ```
/// let problem = method_build::Problem {
///     file: "methods/greet.rs".into(),
///     line: Some(2),
///     message: "`invoke` is private; write `pub` before it".to_owned(),
/// };
/// assert_eq!(problem.to_string(), "methods/greet.rs:2: `invoke` is private; write `pub` before it");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The path, from the tree's root folder on, such as `methods/greet.rs`.
    pub file: PathBuf,
    /// The line, counted from 1; `None` if the error concerns the whole file.
    pub line: Option<usize>,
    /// The error, and what to write instead.
    pub message: String,
}

impl Problem {
    /// Returns these errors, one per line.
    pub fn lines(problems: &[Problem]) -> String {
        problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The errors in one file.
pub(crate) struct Problems<'a> {
    file: &'a Path,
    problems: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(file: &'a Path) -> Self {
        Problems { file, problems: Vec::new() }
    }

    pub(crate) fn add(&mut self, message: impl Into<String>) {
        self.push(None, message.into());
    }

    pub(crate) fn add_at(&mut self, span: Span, message: impl Into<String>) {
        self.add_on_line(span.start().line, message);
    }

    pub(crate) fn add_on_line(&mut self, line: usize, message: impl Into<String>) {
        self.push(Some(line), message.into());
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.problems
    }

    fn push(&mut self, line: Option<usize>, message: String) {
        self.problems.push(Problem { file: self.file.to_owned(), line, message });
    }
}
