//! rustc: from the source of some methods to a library, or to its errors.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tempfile::TempDir;

use super::application::Application;
use super::artifact_cache::ArtifactCache;
use super::diagnostics::{self, Diagnostic};
use super::error::{BuildError, ToolError};
use super::flags::Flags;
use super::incremental::Incremental;
use super::linker::write_linker;
use crate::dev::sdk::{FileStamp, Sdk};

/// The flags beside Cargo's: a library that can be loaded, without debug information, which costs time and is not shown.
const FLAGS: [&str; 12] = [
    "--crate-type=cdylib",
    "-C",
    "prefer-dynamic",
    "-C",
    "debuginfo=0",
    // The user of an item may be a method that is not compiled with it.
    "-A",
    "dead_code",
    "-A",
    "unused_macros",
    // The exported names of the library are unsafe code, which the application may forbid.
    "--force-warn=unsafe_code",
    "--error-format=json",
    "--json=diagnostic-rendered-ansi",
];

/// The most methods that are compiled incrementally: more are seldom the same set again.
const MAX_INCREMENTAL: usize = 8;

/// A library that has been compiled.
pub(crate) struct Compiled {
    pub(crate) library: PathBuf,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Compiles libraries that this process can load.
pub(crate) struct Compiler {
    application: Application,
    sdk: Sdk,
    rustc: PathBuf,
    /// Identifies the SDK, the compiler, the program and the fixed flags: libraries with another key do not fit this process.
    key: CString,
    /// The flags that Cargo has listed, once it has.
    flags: Mutex<Option<Arc<Flags>>>,
    linker: OnceLock<Option<PathBuf>>,
    incremental: Mutex<Incremental>,
    pub(crate) cache: ArtifactCache,
    /// The folder of this process's sources and libraries.
    folder: TempDir,
    /// The number of libraries that have been compiled.
    libraries: AtomicUsize,
}

impl Compiler {
    /// Creates the compiler for a program that was built by `built_by`, the first line of `rustc -vV`, and starts to list the flags.
    ///
    /// # Errors
    /// The process does not use the SDK's shared library, rustc cannot be run or is another version, or the folder of libraries cannot be
    /// created.
    pub(crate) fn new(application: &Application, built_by: &str) -> Result<Arc<Self>, ToolError> {
        let sdk = Sdk::loaded()?;
        let (rustc, version) = application.rustc()?;
        let found = version.lines().next().unwrap_or_default();
        if found != built_by {
            return Err(ToolError::OtherCompiler { built_by: built_by.to_owned(), found: found.to_owned() });
        }
        let program = FileStamp::of(&application.program);
        let key = hash(&(sdk.version(), version, program, FLAGS));
        let key = CString::new(format!("{key:016x}")).expect("hex digits are not NUL");

        let path = application.cache_folder();
        let folder = create_folder(&path).map_err(|source| ToolError::Write { path: path.clone(), source })?;
        let compiler = Arc::new(Compiler {
            application: application.clone(),
            sdk,
            rustc,
            key,
            flags: Mutex::default(),
            linker: OnceLock::new(),
            incremental: Mutex::default(),
            cache: ArtifactCache::new(path),
            folder,
            libraries: AtomicUsize::new(0),
        });
        // Both take longer than loading libraries from the cache, and are needed only when something is compiled.
        let background = compiler.clone();
        std::thread::spawn(move || {
            // A caller that needs the flags repeats this, and reports the error.
            let _ = background.flags().map(|flags| background.linker(&flags).is_some());
        });
        Ok(compiler)
    }

    pub(crate) fn key(&self) -> &CStr {
        &self.key
    }

    /// Returns the key as text, for a source.
    pub(crate) fn key_text(&self) -> &str {
        self.key.to_str().unwrap_or_default()
    }

    /// Returns the application's flags. Waits until Cargo has listed them, and repeats that if it failed.
    ///
    /// # Errors
    /// Cargo fails.
    pub(crate) fn flags(&self) -> Result<Arc<Flags>, ToolError> {
        let mut cached = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flags) = &*cached {
            return Ok(flags.clone());
        }
        let flags = Arc::new(self.application.flags()?);
        *cached = Some(flags.clone());
        Ok(flags)
    }

    fn linker(&self, flags: &Flags) -> Option<&Path> {
        let real = || flags.linker.as_deref().unwrap_or("cc");
        self.linker.get_or_init(|| write_linker(self.folder.path(), &self.sdk.path, real())).as_deref()
    }

    /// Compiles `source`, which contains the methods `names`, into a library at a path that has not been loaded before.
    ///
    /// # Errors
    /// It does not compile, or nothing can be compiled.
    pub(crate) fn compile(&self, source: &str, names: &BTreeSet<&str>) -> Result<Compiled, BuildError> {
        let root = self.root(names);
        self.sdk.check().map_err(ToolError::from)?;
        let is_incremental = self.incremental().is_ready(&root);
        let flags = self.flags()?;
        write_root(&root, source, &flags).map_err(|source| ToolError::Write { path: root.clone(), source })?;
        let output_file = root.with_extension("so");
        let mut rustc = self.rustc_command(&root, &output_file, is_incremental)?;
        tracing::debug!("{rustc:?}");
        let command = self.rustc.display().to_string();
        let output = rustc.output().map_err(|source| ToolError::Run { command, source })?;
        // A library that was compiled against another SDK than this process has must not be loaded.
        self.sdk.check().map_err(ToolError::from)?;
        let messages = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            let number = self.libraries.fetch_add(1, Ordering::Relaxed);
            let library = self.folder.path().join(format!("{number}.so"));
            fs::rename(&output_file, &library).map_err(|source| ToolError::Write { path: output_file, source })?;
            return Ok(Compiled { library, warnings: diagnostics::warnings(&messages, &root, source) });
        }
        if output.status.code().is_none() {
            return Err(ToolError::Terminated(output.status).into());
        }
        Err(BuildError::Compile(diagnostics::errors(&messages, &root, source)))
    }

    /// Prepares for these methods, which have just been compiled, to be saved again.
    pub(crate) fn prepare(&self, names: &BTreeSet<&str>) {
        let root = self.root(names);
        if names.len() <= MAX_INCREMENTAL
            && let Ok(mut rustc) = self.rustc_command(&root, &root.with_extension("so"), true)
        {
            rustc.stdout(Stdio::null()).stderr(Stdio::null());
            self.incremental().prepare(&root, rustc);
        }
    }

    /// Returns the path of the source of these methods, which the application's library includes as it includes that of a build. It is the
    /// same for the same methods: rustc recognises its previous results by it.
    fn root(&self, names: &BTreeSet<&str>) -> PathBuf {
        self.folder.path().join(format!("{:016x}", hash(names))).join("methods.rs")
    }

    fn incremental(&self) -> MutexGuard<'_, Incremental> {
        self.incremental.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rustc_command(&self, root: &Path, library: &Path, is_incremental: bool) -> Result<Command, ToolError> {
        let directory = &self.application.directory;
        let flags = self.flags()?;
        let mut rustc = Command::new(&self.rustc);
        rustc.args(&flags.arguments).args(FLAGS);
        rustc.arg("--extern").arg(format!("method_sdk={}", self.sdk.path.display()));
        // Paths relative to the application, in diagnostics and in the messages of panics.
        rustc.arg(format!("--remap-path-prefix={}/=", directory.display()));
        if let Some(linker) = self.linker(&flags) {
            rustc.arg("-C").arg(format!("linker={}", linker.display()));
        }
        if is_incremental {
            rustc.arg("-C").arg(format!("incremental={}", Incremental::folder(root).display()));
        }
        rustc.arg("-o").arg(library).arg(&flags.root);
        rustc.envs(&flags.environment).env("OUT_DIR", root.parent().unwrap_or(root));
        rustc.current_dir(directory).stdin(Stdio::null());
        Ok(rustc)
    }
}

/// Writes `source`, and beside it links to the other files that the application's build script has generated.
fn write_root(root: &Path, source: &str, flags: &Flags) -> io::Result<()> {
    let folder = root.parent().unwrap_or(root);
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        let generated = flags.environment.get("OUT_DIR").map(fs::read_dir).transpose()?;
        for file in generated.into_iter().flatten().flatten().filter(|file| file.file_name() != "methods.rs") {
            std::os::unix::fs::symlink(file.path(), folder.join(file.file_name()))?;
        }
    }
    fs::write(root, source)
}

pub(crate) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Creates a folder for this process in `cache`, and removes those of processes that have ended.
fn create_folder(cache: &Path) -> std::io::Result<TempDir> {
    fs::create_dir_all(cache)?;
    let processes: BTreeSet<String> =
        fs::read_dir("/proc")?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let this_process = std::process::id().to_string();
    for entry in fs::read_dir(cache)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.split('-').next().unwrap_or_default();
        // A folder of this process is from before a restart.
        if entry.path().is_dir() && (!processes.contains(process) || process == this_process) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(&format!("{this_process}-")).tempdir_in(cache)
}
