//! rustc: from the source of some methods to a library that holds them, or to what is wrong with them.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

use super::cargo::{Application, Flags};
use super::diagnostics::{self, Diagnostic};
use super::link::quick_linker;
use super::sdk::{Sdk, Stamp};

/// As a debug build of Cargo would compile them, but for what costs time and shows nothing: warnings and symbols for a debugger.
const FLAGS: [&str; 15] = [
    "--crate-type=cdylib",
    "--crate-name=methods",
    "-C",
    "prefer-dynamic",
    "-C",
    "opt-level=0",
    "-C",
    "debug-assertions=on",
    "-C",
    "debuginfo=0",
    "--cap-lints",
    "allow",
    "--error-format=json",
    "--json=diagnostic-rendered-ansi",
    "--allow=non_snake_case",
];

/// Methods that are compiled at once at most for it to be done incrementally: of more, it is seldom the same again.
const INCREMENTAL: usize = 8;

/// Sets of methods whose intermediate results are kept, of one or two megabytes each.
const INCREMENTAL_SETS: usize = 64;

/// Libraries of a whole tree that are kept for the next start.
const KEPT: usize = 4;

/// A compiler for this process: what it makes, this process can load.
pub(super) struct Compiler {
    application: Application,
    sdk: Sdk,
    rustc: PathBuf,
    /// What a library must be compiled with to fit this process.
    key: CString,
    /// What Cargo has answered, once it has.
    flags: Result<Flags, String>,
    asked: Option<JoinHandle<Result<Flags, String>>>,
    /// The folder of what is kept for the next start.
    kept: PathBuf,
    /// The folder of what this process loads.
    own: TempDir,
    linker: Option<PathBuf>,
    /// The sources that have intermediate results beside them, the one compiled last at the end.
    recent: Vec<PathBuf>,
    made: usize,
}

/// Why there is no library.
pub(super) enum Failure {
    /// The methods do not compile.
    Wrong(Vec<Diagnostic>),
    /// Whatever the methods are, nothing can be compiled or loaded.
    Other(String),
}

impl Compiler {
    /// # Errors
    /// A sentence: this process cannot load methods, or there is no rustc, or no room for libraries.
    pub(super) fn new(application: &Application) -> Result<Self, String> {
        let sdk = Sdk::loaded()?;
        let (rustc, version) = application.rustc()?;
        let program = Stamp::of(&application.program);
        let key = hash(&(sdk.version(), version, program, FLAGS));
        let key = CString::new(format!("{key:016x}")).expect("hex digits are not 0");

        let beside = application.program.parent().unwrap_or(Path::new("."));
        let kept = beside.join("simpleapi-dev");
        let own = make_folder(&kept).map_err(|error| format!("{}: {error}", kept.display()))?;
        // Cargo takes as long to answer as a first library takes to be read: not needed before something is compiled.
        let asking = application.clone();
        let asked = Some(std::thread::spawn(move || asking.flags()));
        let linker = quick_linker(own.path(), &sdk.path);
        Ok(Compiler {
            linker,
            recent: Vec::new(),
            application: application.clone(),
            sdk,
            rustc,
            key,
            flags: Ok(Flags::default()),
            asked,
            kept,
            own,
            made: 0,
        })
    }

    pub(super) fn key(&self) -> &CStr {
        &self.key
    }

    /// The same to be written into a source.
    pub(super) fn key_text(&self) -> &str {
        self.key.to_str().unwrap_or_default()
    }

    /// What Cargo says of the application; waits for it, and asks again if it could not tell.
    pub(super) fn flags(&mut self) -> Result<&Flags, String> {
        if let Some(asked) = self.asked.take() {
            self.flags = asked.join().unwrap_or_else(|_| Err("asking Cargo for the flags panicked".to_owned()));
        } else if self.flags.is_err() {
            self.flags = self.application.flags();
        }
        self.flags.as_ref().map_err(Clone::clone)
    }

    /// Compiles `source`, which holds the methods `names`, into a library under a name that has not been loaded before.
    pub(super) fn compile(&mut self, source: &str, names: &BTreeSet<&str>) -> Result<PathBuf, Failure> {
        self.made += 1;
        let library = self.own.path().join(format!("{}.so", self.made));
        // For the same methods the same names: by them rustc recognises what it has done before.
        let root = self.own.path().join(format!("{:016x}.rs", hash(names)));
        self.sdk.check().map_err(Failure::Other)?;
        fs::write(&root, source).map_err(|error| Failure::Other(format!("{}: {error}", root.display())))?;
        let written = root.with_extension("so");
        self.forget_all_but_recent(&root);
        let output = self.rustc(&root, &written, names).map_err(Failure::Other)?;
        // What was compiled against another SDK than this process has must not be loaded.
        self.sdk.check().map_err(Failure::Other)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            fs::rename(&written, &library)
                .map_err(|error| Failure::Other(format!("{}: {error}", written.display())))?;
            return Ok(library);
        }
        let diagnostics = diagnostics::read(&said, &root, source);
        if diagnostics.is_empty() {
            return Err(Failure::Other(format!("rustc failed ({}): {said}", output.status)));
        }
        Err(Failure::Wrong(diagnostics))
    }

    fn rustc(&mut self, root: &Path, library: &Path, names: &BTreeSet<&str>) -> Result<std::process::Output, String> {
        let sdk = format!("method_sdk={}", self.sdk.path.display());
        let directory = self.application.directory.clone();
        let linker = self.linker.clone();
        let incremental = root.with_extension("incremental");
        let mut rustc = Command::new(&self.rustc);
        let flags = self.flags()?;
        rustc.args(FLAGS).args(&flags.arguments).arg("--extern").arg(sdk);
        // Paths as people know them, also in the words of a panic.
        rustc.arg(format!("--remap-path-prefix={}/=", directory.display()));
        if let Some(linker) = linker {
            rustc.arg("-C").arg(format!("linker={}", linker.display()));
        }
        // The same methods are often saved again: what has not changed in them is not compiled anew.
        if names.len() <= INCREMENTAL {
            rustc.arg("-C").arg(format!("incremental={}", incremental.display()));
        }
        rustc.arg("-o").arg(library).arg(root);
        rustc.envs(flags.environment.iter().map(|(name, value)| (name, value)));
        rustc.current_dir(&directory).stdin(Stdio::null());
        tracing::debug!("{rustc:?}");
        rustc.output().map_err(|error| format!("cannot run {}: {error}", self.rustc.display()))
    }

    fn forget_all_but_recent(&mut self, root: &Path) {
        self.recent.retain(|other| other != root);
        self.recent.push(root.to_owned());
        if self.recent.len() > INCREMENTAL_SETS {
            let oldest = self.recent.remove(0);
            let _ = fs::remove_dir_all(oldest.with_extension("incremental"));
            let _ = fs::remove_file(oldest);
        }
    }

    /// Where the library of a whole tree is kept from one start to the next, if there is one, and where to keep it.
    pub(super) fn kept(&self, source: &str, fingerprints: &[u64]) -> PathBuf {
        self.kept.join(format!("{:016x}.so", hash(&(&self.key, source, fingerprints))))
    }

    /// Keeps a library for the next start, and of those that are kept only the newest.
    pub(super) fn keep(&self, library: &Path, kept: &Path) {
        // First beside it and then by name: another server that starts at this moment finds it whole or not at all.
        let whole = self.own.path().join("kept.so");
        if fs::copy(library, &whole).and_then(|_| fs::rename(&whole, kept)).is_err() {
            return;
        }
        let entries = fs::read_dir(&self.kept).into_iter().flatten().flatten();
        let libraries = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "so"));
        let mut libraries: Vec<_> =
            libraries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
        libraries.sort();
        for (_, old) in libraries.iter().rev().skip(KEPT) {
            let _ = fs::remove_file(old);
        }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A folder for this process in `kept`, where those of processes that have ended are removed.
fn make_folder(kept: &Path) -> std::io::Result<TempDir> {
    fs::create_dir_all(kept)?;
    let processes: BTreeSet<String> =
        fs::read_dir("/proc")?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let own = std::process::id().to_string();
    for entry in fs::read_dir(kept)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.split('-').next().unwrap_or_default();
        // Of this process it is from before a restart.
        if entry.path().is_dir() && (!processes.contains(process) || process == own) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(&format!("{own}-")).tempdir_in(kept)
}
