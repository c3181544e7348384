//! The machine and the versions of a measurement.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::command::{is_installed, output};

/// The folders and files whose changes change the server.
const SOURCES: [&str; 7] = ["Cargo.lock", "Cargo.toml", "build.rs", "method-sdk", "methods", "server", "src"];

/// The circumstances of a measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The commit, with ` and changes` if files of the server differ from it.
    pub commit: String,
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    pub rustc: String,
    pub node: Option<String>,
    pub python: Option<String>,
}

impl Machine {
    /// # Errors
    /// Returns an error if the machine cannot run the benchmark, or a program is missing; it names the remedy.
    pub fn read(root: &Path) -> Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        if cores < 2 {
            bail!("two cores are needed: one for the server, one for the load");
        }
        for (program, package) in [("git", "git"), ("taskset", "util-linux"), ("strip", "binutils")] {
            if !is_installed(program) {
                bail!("`{program}` is missing; on Debian: apt-get install {package}");
            }
        }
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let kernel = kernel.split(['-', '+', '\n']).next().unwrap_or_default();
        let version = |program: &str| output(Command::new(program).arg("--version")).ok();
        Ok(Machine {
            commit: commit(root)?,
            cpu: cpu.unwrap_or("unknown processor").to_owned(),
            cores,
            kernel: kernel.to_owned(),
            rustc: output(Command::new("rustc").arg("--version"))?,
            node: version("node"),
            python: version("python3"),
        })
    }
}

/// Returns today's date.
///
/// # Errors
/// Returns an error if `date` is missing.
pub fn today() -> Result<String> {
    output(Command::new("date").args(["-u", "+%F"]))
}

fn commit(root: &Path) -> Result<String> {
    let git = |arguments: &[&str]| output(Command::new("git").current_dir(root).args(arguments));
    let commit = git(&["rev-parse", "--short=7", "HEAD"])?;
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(SOURCES);
    let has_changes = !git(&status)?.is_empty();
    Ok(if has_changes { format!("{commit} and changes") } else { commit })
}
