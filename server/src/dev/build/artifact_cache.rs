//! Compiled libraries that later starts load instead of compiling them again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The libraries of this many starts are kept, for a few versions of the tree: of another branch, of the day before.
const STARTS: usize = 4;

/// The fewest libraries that are kept, of half a megabyte to a few each: several applications may share the folder.
const MIN_LIBRARIES: usize = 64;

/// A folder of libraries, each under the key of what it was compiled from.
pub(crate) struct ArtifactCache {
    folder: PathBuf,
}

impl ArtifactCache {
    pub(crate) fn new(folder: PathBuf) -> Self {
        ArtifactCache { folder }
    }

    /// Returns the library with this key.
    pub(crate) fn find(&self, key: u64) -> Option<PathBuf> {
        let library = self.path(key);
        // The libraries with the oldest modification times are removed first.
        File::options().write(true).open(&library).and_then(|file| file.set_modified(SystemTime::now())).ok()?;
        Some(library)
    }

    /// Removes the library with this key.
    pub(crate) fn remove(&self, key: u64) {
        let _ = fs::remove_file(self.path(key));
    }

    /// Adds a library under this key. A server that starts meanwhile finds all of it or nothing.
    pub(crate) fn insert(&self, key: u64, library: &Path) {
        let _ = fs::hard_link(library, self.path(key));
    }

    /// Removes the libraries that have not been used for the longest time, after a start that used `used` of them.
    pub(crate) fn prune(&self, used: usize) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let libraries = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "so"));
        let mut libraries: Vec<_> =
            libraries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
        libraries.sort();
        for (_, library) in libraries.iter().rev().skip(MIN_LIBRARIES.max(STARTS * used)) {
            let _ = fs::remove_file(library);
        }
    }

    fn path(&self, key: u64) -> PathBuf {
        self.folder.join(format!("{key:016x}.so"))
    }
}
