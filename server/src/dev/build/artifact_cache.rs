//! Libraries that are kept from one start to the next.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// As many as a start uses are kept, this many times, for a few versions of the tree: of another branch, of the day before.
const STARTS: usize = 4;

/// At least so many are kept, of half a megabyte or a few: the folder may be that of several applications.
const MIN_BATCH: usize = 64;

/// The folder of them.
pub(crate) struct ArtifactCache {
    folder: PathBuf,
}

impl ArtifactCache {
    pub(crate) fn new(folder: PathBuf) -> Self {
        ArtifactCache { folder }
    }

    /// The library that was kept under this key.
    pub(crate) fn find(&self, key: u64) -> Option<PathBuf> {
        let library = self.place(key);
        // What has not been used for long is removed first.
        File::options().write(true).open(&library).and_then(|file| file.set_modified(SystemTime::now())).ok()?;
        Some(library)
    }

    /// Removes the one that was kept under this key.
    pub(crate) fn remove(&self, key: u64) {
        let _ = fs::remove_file(self.place(key));
    }

    /// Keeps a library under this key. Another server that starts at this moment finds it whole or not at all.
    pub(crate) fn keep(&self, key: u64, library: &Path) {
        let _ = fs::hard_link(library, self.place(key));
    }

    /// After a start that has used so many: removes those that have not been used for the longest.
    pub(crate) fn forget_all_but(&self, used: usize) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let libraries = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "so"));
        let mut libraries: Vec<_> =
            libraries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
        libraries.sort();
        for (_, old) in libraries.iter().rev().skip(MIN_BATCH.max(STARTS * used)) {
            let _ = fs::remove_file(old);
        }
    }

    fn place(&self, key: u64) -> PathBuf {
        self.folder.join(format!("{key:016x}.so"))
    }
}
