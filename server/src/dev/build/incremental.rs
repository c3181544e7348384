//! Intermediate results of rustc: what is saved again is compiled more quickly with those of the time before.
//!
//! To write them takes longer than they save the first time (measured: 435 ms instead of 288, and 251 from then on). So a method is first
//! compiled without them, and they are prepared once it is served and nobody waits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Sets of methods whose results are kept, of one or two megabytes each.
const SETS: usize = 64;

#[derive(Default)]
pub(crate) struct Incremental {
    /// The sources that have results beside them, the one used last at the end.
    ready: Vec<PathBuf>,
    preparing: Option<(PathBuf, Child)>,
}

impl Incremental {
    /// Where the results of the source `root` are.
    pub(crate) fn folder(root: &Path) -> PathBuf {
        root.with_extension("incremental")
    }

    /// Whether there are results for `root`, which is to be compiled now: what is still being prepared is given up for that.
    pub(crate) fn is_ready(&mut self, root: &Path) -> bool {
        if let Some((prepared, mut child)) = self.preparing.take() {
            if matches!(child.try_wait(), Ok(Some(status)) if status.success()) {
                self.remember(prepared);
            } else {
                stop(&mut child);
                let _ = fs::remove_dir_all(Self::folder(&prepared));
            }
        }
        let is_ready = self.ready.iter().any(|other| other == root);
        if is_ready {
            self.remember(root.to_owned());
        }
        is_ready
    }

    /// Prepares the results of `root` by this command.
    pub(crate) fn prepare(&mut self, root: &Path, mut rustc: Command) {
        if !self.is_ready(root) {
            self.preparing = rustc.spawn().ok().map(|child| (root.to_owned(), child));
        }
    }

    fn remember(&mut self, root: PathBuf) {
        self.ready.retain(|other| *other != root);
        self.ready.push(root);
        if self.ready.len() > SETS {
            let oldest = self.ready.remove(0);
            let _ = fs::remove_dir_all(Self::folder(&oldest));
            let _ = fs::remove_file(oldest);
        }
    }
}

impl Drop for Incremental {
    fn drop(&mut self) {
        if let Some((_, child)) = &mut self.preparing {
            stop(child);
        }
    }
}

fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
