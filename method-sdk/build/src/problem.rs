//! What is wrong with a tree, as values: `build.rs` tells Cargo, development mode tells the terminal.

use std::fmt;
use std::path::{Path, PathBuf};

use proc_macro2::Span;

/// One thing that is wrong with one file or folder.
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
    /// Where, beginning with the name of the tree's own folder.
    pub file: PathBuf,
    /// On which line, the first being 1, if it is on one.
    pub line: Option<usize>,
    /// What, and what to do about it.
    pub message: String,
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

/// The problems of one file, as they are found.
pub(crate) struct Problems<'a> {
    file: &'a Path,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(crate) fn of(file: &'a Path) -> Self {
        Problems { file, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, message: impl Into<String>) {
        self.push(None, message.into());
    }

    pub(crate) fn add_at(&mut self, place: Span, message: impl Into<String>) {
        self.add_on_line(place.start().line, message);
    }

    pub(crate) fn add_on_line(&mut self, line: usize, message: impl Into<String>) {
        self.push(Some(line), message.into());
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.found
    }

    fn push(&mut self, line: Option<usize>, message: String) {
        self.found.push(Problem { file: self.file.to_owned(), line, message });
    }
}
