//! A file of the tree, with everything that has been read from it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use std::{fs, io};

use crate::contract::{self, Declarations};
use crate::method::{self, Method};
use crate::problem::Problem;
use crate::references::{self, Reference};
use crate::start;
use crate::walk::Module;

/// A file that is read at least this long after its last change gets another change time with its next change, on any file system.
const RACY_SECONDS: i64 = 3;

/// The contents of a file. The method and the references are parsed when they are first needed.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// The stamp before the file was read; `None` if there was none.
    stamp: Option<FileStamp>,
    /// The file may have changed after it was read without a change of its stamp.
    is_racy: bool,
    text: Result<String, String>,
    parsed: Parsed,
}

/// The parts of a text that have been parsed so far.
#[derive(Debug, Default, Clone)]
struct Parsed {
    method: OnceLock<Result<Method, Vec<Problem>>>,
    references: OnceLock<Vec<Reference>>,
    declarations: OnceLock<Declarations>,
    start_problems: OnceLock<Vec<Problem>>,
}

/// Identifies a version of a file: its inode, its size and its change time.
///
/// The change time (`ctime`) also covers a rename and a modification time that was set to the past.
#[derive(Debug, PartialEq)]
struct FileStamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(FileStamp { inode: file.ino(), bytes: file.size(), changed: (file.ctime(), file.ctime_nsec()) })
    }

    fn is_racy(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_secs()).map_or(true, |now| now - self.changed.0 < RACY_SECONDS)
    }
}

impl SourceFile {
    /// Reads the file at `path`. Returns `previous` if it is still current, and keeps what was parsed if only the stamp is new.
    pub(crate) fn read(path: &Path, previous: Option<&Arc<SourceFile>>) -> Arc<Self> {
        let stamp = FileStamp::of(path);
        if let Some(current) = previous.filter(|previous| !previous.is_racy && previous.stamp == stamp) {
            return current.clone();
        }
        let is_racy = stamp.as_ref().is_none_or(FileStamp::is_racy);
        let text = fs::read_to_string(path).map_err(|error: io::Error| error.to_string());
        let unchanged = previous.filter(|previous| previous.text == text);
        let parsed = unchanged.map(|previous| previous.parsed.clone()).unwrap_or_default();
        Arc::new(SourceFile { stamp, is_racy, text, parsed })
    }

    /// Returns the text, or the error when the file was read.
    pub(crate) fn text(&self) -> &Result<String, String> {
        &self.text
    }

    /// Returns the method in the file. `module` must be that of the file.
    pub(crate) fn method(&self, module: &Module) -> &Result<Method, Vec<Problem>> {
        self.parsed.method.get_or_init(|| {
            self.with_syntax(|syntax| method::read(module, self.text.as_ref().map(|_| syntax.as_ref())))
        })
    }

    /// Returns the errors of the file as that of the function `start`. `module` must be that of the file.
    pub(crate) fn start_problems(&self, module: &Module) -> &[Problem] {
        let check = || self.with_syntax(|syntax| start::check(module, syntax.as_ref()));
        self.parsed.start_problems.get_or_init(check)
    }

    pub(crate) fn references(&self) -> &[Reference] {
        self.parsed.references.get_or_init(|| self.text.as_deref().map(references::read).unwrap_or_default())
    }

    /// Returns the types that the file declares with these features, which must be the same in each call; none if it is not valid Rust.
    pub(crate) fn declarations(&self, features: &BTreeSet<String>) -> &Declarations {
        self.parsed.declarations.get_or_init(|| {
            self.with_syntax(|syntax| syntax.map(|syntax| contract::read(syntax, features)).unwrap_or_default())
        })
    }

    /// Parses the file once for both its method and its declarations, which a build needs both.
    pub(crate) fn parse(&self, module: &Module, features: &BTreeSet<String>) {
        self.with_syntax(|syntax| {
            self.parsed.method.get_or_init(|| method::read(module, self.text.as_ref().map(|_| syntax.as_ref())));
            self.parsed
                .declarations
                .get_or_init(|| syntax.map(|syntax| contract::read(syntax, features)).unwrap_or_default());
        });
    }

    /// Passes the syntax tree to `read`, which keeps nothing of it; `None` if the file is not valid Rust.
    fn with_syntax<T>(&self, read: impl FnOnce(Option<syn::File>) -> T) -> T {
        let result = read(self.text.as_ref().ok().and_then(|text| syn::parse_file(text).ok()));
        // The syntax tree is dropped; without this call its text would be kept for as long as the thread runs.
        proc_macro2::extra::invalidate_current_thread_spans();
        result
    }

    /// Returns `true` if the file at `path` has not changed since it was read.
    pub(crate) fn is_unchanged(&self, path: &Path) -> bool {
        self.stamp.is_some() && self.stamp == FileStamp::of(path)
    }
}
