//! rustc: from the source of some methods to a library that holds them, or to what is wrong with them.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tempfile::TempDir;

use crate::dev::build::application::{Application, Flags};
use crate::dev::build::artifact_cache::ArtifactCache;
use crate::dev::build::diagnostics::{self, Diagnostic};
use crate::dev::build::incremental::Incremental;
use crate::dev::build::linker::quick_linker;
use crate::dev::load::sdk::{FileStamp, Sdk};

/// As a debug build of Cargo would compile them, but for what costs time and shows nothing: warnings and symbols for a debugger.
const FLAGS: [&str; 14] = [
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
    // What a build denies is denied here too; `--cap-lints` would even let an endless constant be evaluated without end.
    "-A",
    "warnings",
    "--error-format=json",
    "--json=diagnostic-rendered-ansi",
];

/// Methods that are compiled at once at most for it to be done incrementally: of more, it is seldom the same again.
const INCREMENTAL: usize = 8;

/// A compiler for this process: what it makes, this process can load.
pub(crate) struct Compiler {
    application: Application,
    sdk: Sdk,
    rustc: PathBuf,
    /// What a library must be compiled with to fit this process.
    key: CString,
    /// What Cargo has answered, once it has.
    flags: Mutex<Option<Arc<Flags>>>,
    linker: OnceLock<Option<PathBuf>>,
    incremental: Mutex<Incremental>,
    pub(crate) kept: ArtifactCache,
    /// The folder of what this process loads.
    own: TempDir,
    made: AtomicUsize,
}

/// Why there is no library.
pub(crate) enum Failure {
    /// The methods do not compile.
    Compile(Vec<Diagnostic>),
    /// Whatever the methods are, nothing can be compiled or loaded.
    Other(String),
}

impl Failure {
    /// Whether it may be due to code that is not there.
    pub(crate) fn may_be_missing_item(&self) -> bool {
        matches!(self, Failure::Compile(diagnostics) if diagnostics.iter().any(Diagnostic::may_be_missing_item))
    }

    /// The files that errors are in.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let diagnostics = match self {
            Failure::Compile(diagnostics) => diagnostics.as_slice(),
            Failure::Other(_) => &[],
        };
        diagnostics.iter().flat_map(|diagnostic| &diagnostic.files)
    }
}

impl Compiler {
    /// # Errors
    /// A sentence: this process cannot load methods, or there is no rustc, or no room for libraries.
    pub(crate) fn new(application: &Application) -> Result<Arc<Self>, String> {
        let sdk = Sdk::loaded()?;
        let (rustc, version) = application.rustc()?;
        let program = FileStamp::of(&application.program);
        let key = hash(&(sdk.version(), version, program, FLAGS));
        let key = CString::new(format!("{key:016x}")).expect("hex digits are not 0");

        let kept = application.kept();
        let own = make_folder(&kept).map_err(|error| format!("{}: {error}", kept.display()))?;
        let compiler = Arc::new(Compiler {
            application: application.clone(),
            sdk,
            rustc,
            key,
            flags: Mutex::default(),
            linker: OnceLock::new(),
            incremental: Mutex::default(),
            kept: ArtifactCache::new(kept),
            own,
            made: AtomicUsize::new(0),
        });
        // Both take longer than to load what is kept, and are not needed before something is compiled.
        let ahead = compiler.clone();
        std::thread::spawn(move || {
            ahead.linker();
            // Who needs them asks again, and shows what is wrong.
            let _ = ahead.flags();
        });
        Ok(compiler)
    }

    pub(crate) fn key(&self) -> &CStr {
        &self.key
    }

    /// The same to be written into a source.
    pub(crate) fn key_text(&self) -> &str {
        self.key.to_str().unwrap_or_default()
    }

    /// What Cargo says of the application; waits for it, and asks again if it could not tell.
    pub(crate) fn flags(&self) -> Result<Arc<Flags>, String> {
        let mut known = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flags) = &*known {
            return Ok(flags.clone());
        }
        let flags = Arc::new(self.application.flags()?);
        *known = Some(flags.clone());
        Ok(flags)
    }

    fn linker(&self) -> Option<&Path> {
        self.linker.get_or_init(|| quick_linker(self.own.path(), &self.sdk.path)).as_deref()
    }

    /// Compiles `source`, which holds the methods `names`, into a library under a name that has not been loaded before.
    pub(crate) fn compile(&self, source: &str, names: &BTreeSet<&str>) -> Result<PathBuf, Failure> {
        let root = self.root(names);
        self.sdk.check().map_err(Failure::Other)?;
        let is_incremental = self.incremental().is_ready(&root);
        fs::write(&root, source).map_err(|error| Failure::Other(format!("{}: {error}", root.display())))?;
        let written = root.with_extension("so");
        let mut rustc = self.rustc(&root, &written, is_incremental).map_err(Failure::Other)?;
        tracing::debug!("{rustc:?}");
        let output =
            rustc.output().map_err(|error| Failure::Other(format!("cannot run {}: {error}", self.rustc.display())))?;
        // What was compiled against another SDK than this process has must not be loaded.
        self.sdk.check().map_err(Failure::Other)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            let library = self.own.path().join(format!("{}.so", self.made.fetch_add(1, Ordering::Relaxed)));
            fs::rename(&written, &library)
                .map_err(|error| Failure::Other(format!("{}: {error}", written.display())))?;
            return Ok(library);
        }
        let diagnostics = diagnostics::read(&said, &root, source);
        if output.status.code().is_none() {
            return Err(Failure::Other(format!("rustc was ended from outside ({})", output.status)));
        }
        Err(Failure::Compile(diagnostics))
    }

    /// Makes ready for these methods, which have just been compiled, to be saved again.
    pub(crate) fn prepare(&self, names: &BTreeSet<&str>) {
        let root = self.root(names);
        if names.len() <= INCREMENTAL
            && let Ok(mut rustc) = self.rustc(&root, &root.with_extension("so"), true)
        {
            rustc.stdout(Stdio::null()).stderr(Stdio::null());
            self.incremental().prepare(&root, rustc);
        }
    }

    /// The source of these methods: for the same methods the same file, by which rustc recognises what it has done before.
    fn root(&self, names: &BTreeSet<&str>) -> PathBuf {
        self.own.path().join(format!("{:016x}.rs", hash(names)))
    }

    fn incremental(&self) -> MutexGuard<'_, Incremental> {
        self.incremental.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rustc(&self, root: &Path, library: &Path, is_incremental: bool) -> Result<Command, String> {
        let directory = &self.application.directory;
        let flags = self.flags()?;
        let mut rustc = Command::new(&self.rustc);
        rustc.args(FLAGS).args(&flags.arguments);
        rustc.arg("--extern").arg(format!("method_sdk={}", self.sdk.path.display()));
        // Paths as people know them, also in the words of a panic.
        rustc.arg(format!("--remap-path-prefix={}/=", directory.display()));
        if let Some(linker) = self.linker() {
            rustc.arg("-C").arg(format!("linker={}", linker.display()));
        }
        if is_incremental {
            rustc.arg("-C").arg(format!("incremental={}", Incremental::folder(root).display()));
        }
        rustc.arg("-o").arg(library).arg(root);
        rustc.envs(flags.environment.iter().map(|(name, value)| (name, value)));
        rustc.current_dir(directory).stdin(Stdio::null());
        Ok(rustc)
    }
}

pub(crate) fn hash(value: &impl Hash) -> u64 {
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
