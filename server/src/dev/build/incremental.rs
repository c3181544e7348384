//! rustc's incremental compilation: methods that are saved again compile faster with the results of the previous time.
//!
//! Writing these results takes longer than they save the first time (measured: 435 ms instead of 288, and 251 from then on). So a method is
//! first compiled without them, and they are prepared once it is served and nothing waits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The most sets of methods whose results are kept, of one or two megabytes each.
const MAX_SETS: usize = 64;

/// The sources that have results, and those whose results are being prepared.
#[derive(Default)]
pub(crate) struct Incremental {
    /// The sources that have results beside them, the last used at the end.
    ready: Vec<PathBuf>,
    preparing: Option<(PathBuf, Child)>,
}

impl Incremental {
    /// Returns the folder of the results of the source `root`.
    pub(crate) fn folder(root: &Path) -> PathBuf {
        root.with_extension("incremental")
    }

    /// Returns `true` if there are results for `root`, which is about to be compiled. A preparation that has not finished is abandoned.
    pub(crate) fn is_ready(&mut self, root: &Path) -> bool {
        if let Some((prepared, mut child)) = self.preparing.take() {
            if matches!(child.try_wait(), Ok(Some(status)) if status.success()) {
                self.insert(prepared);
            } else {
                kill(&mut child);
                let _ = fs::remove_dir_all(Self::folder(&prepared));
            }
        }
        let is_ready = self.ready.iter().any(|other| other == root);
        if is_ready {
            self.insert(root.to_owned());
        }
        is_ready
    }

    /// Starts this command, which prepares the results of `root`.
    pub(crate) fn prepare(&mut self, root: &Path, mut rustc: Command) {
        if !self.is_ready(root) {
            self.preparing = rustc.spawn().ok().map(|child| (root.to_owned(), child));
        }
    }

    fn insert(&mut self, root: PathBuf) {
        self.ready.retain(|other| *other != root);
        self.ready.push(root);
        if self.ready.len() > MAX_SETS {
            let oldest = self.ready.remove(0);
            let _ = fs::remove_dir_all(Self::folder(&oldest));
            let _ = fs::remove_file(oldest);
        }
    }
}

impl Drop for Incremental {
    fn drop(&mut self) {
        if let Some((_, child)) = &mut self.preparing {
            kill(child);
        }
    }
}

fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
