//! A build: compiles and loads batches on all cores, and attributes errors to methods.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use method_build::{MethodSources, Tree};
use method_sdk::Method;
use simpleapi_loader::load;

use super::batch::{Batch, Queue};
use super::compiler::{Compiled, Compiler, hash};
use super::diagnostics::Diagnostic;
use super::error::{BuildError, ToolError};

/// The sources of each method.
pub(crate) type SourcesByMethod<'a> = BTreeMap<&'a str, MethodSources<'a>>;

/// A build of batches.
pub(crate) struct BuildRun<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) sources: &'a SourcesByMethod<'a>,
    pub(crate) compiler: &'a Compiler,
    /// Files with known errors.
    pub(crate) excluded: BTreeSet<PathBuf>,
    /// This is the first build of the process, which loads libraries from the cache.
    pub(crate) is_start: bool,
}

/// A batch whose build has ended.
pub(crate) struct BuiltBatch<'a> {
    /// All methods of the batch.
    pub(crate) batch: Batch<'a>,
    /// The methods that are loaded.
    pub(crate) methods: Vec<&'static Method>,
    /// Methods that do not compile, with their errors.
    pub(crate) failures: Vec<(Batch<'a>, Vec<Diagnostic>)>,
    /// The warnings in the files of the methods that were compiled.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The time that loading took.
    pub(crate) load: Duration,
}

impl<'a> BuildRun<'a> {
    /// Builds the batches of the queue on all cores, and passes each to `on_built` as soon as it is loaded.
    pub(crate) fn build_all(&self, queue: &Queue<'a>, on_built: impl FnMut(Result<BuiltBatch<'a>, ToolError>)) {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let (sender, results) = channel();
            let batches = queue.len();
            for _ in 0..cores.min(batches) {
                let sender = sender.clone();
                scope.spawn(move || {
                    while let Some(batch) = queue.next() {
                        let _ = sender.send(self.build(batch));
                    }
                });
            }
            drop(sender);
            results.into_iter().for_each(on_built);
        });
    }

    /// Builds a batch. Methods that do not compile are left out, and the others are tried again.
    ///
    /// # Errors
    /// Nothing can be compiled.
    fn build(&self, batch: Batch<'a>) -> Result<BuiltBatch<'a>, ToolError> {
        let mut remaining = vec![batch.clone()];
        let (methods, failures, warnings) = (Vec::new(), Vec::new(), Vec::new());
        let mut built = BuiltBatch { batch, methods, failures, warnings, load: Duration::ZERO };
        while let Some(names) = remaining.pop() {
            match self.load(&names, &mut built) {
                Ok(methods) => built.methods.extend(methods),
                Err(BuildError::Tool(error)) => return Err(error),
                Err(BuildError::Compile(diagnostics)) => {
                    let failed = self.attribute(&names, &diagnostics);
                    if failed.is_empty() {
                        // The errors are in one half or the other.
                        let middle = names.iter().nth(names.len() / 2).copied().unwrap_or_default();
                        let (first, second) = names.into_iter().partition(|name| *name < middle);
                        remaining.extend([first, second]);
                    } else {
                        let others: Batch<'a> = &names - &failed;
                        remaining.extend((!others.is_empty()).then_some(others));
                        built.failures.push((failed, diagnostics));
                    }
                }
            }
        }
        Ok(built)
    }

    /// Loads these methods, from the cache or compiled.
    fn load(&self, names: &Batch<'a>, built: &mut BuiltBatch<'a>) -> Result<&'static [Method], BuildError> {
        let BuildRun { tree, sources, compiler, .. } = *self;
        let source = tree.plugin(names, |_| false, compiler.key_text());
        let fingerprints: Vec<u64> = names.iter().map(|name| sources[name].fingerprint).collect();
        let key = hash(&(&source, fingerprints));
        let mut load_timed = |library: &Path| {
            let started = Instant::now();
            let methods = load(library, compiler.key());
            built.load += started.elapsed();
            methods
        };
        if self.is_start
            && let Some(cached) = compiler.cache.find(key)
        {
            match load_timed(&cached) {
                Ok(methods) => return Ok(methods),
                // The file is damaged.
                Err(_) => compiler.cache.remove(key),
            }
        }
        let (Compiled { library, warnings }, is_narrow) = self.compile(source, names, &built.failures)?;
        let methods = load_timed(&library)
            .map_err(|error| BuildError::Compile(vec![Diagnostic::without_file(error.to_string())]))?;
        let is_cacheable = |sources: &MethodSources<'_>| sources.is_closed && tree.is_unchanged(&sources.files);
        if self.is_start && is_narrow && names.iter().all(|name| is_cacheable(&sources[name])) {
            compiler.cache.insert(key, &library);
        }
        let own: BTreeSet<&Path> = names.iter().map(|name| sources[name].own).collect();
        let is_own = |warning: &Diagnostic| warning.files.iter().any(|file| own.contains(file.as_path()));
        built.warnings.extend(warnings.into_iter().filter(is_own));
        Ok(methods)
    }

    /// Compiles these methods. The second value is `true` if the files that they refer to were enough.
    ///
    /// If an item is missing, such as the implementation of a trait, any file of the tree may have it. Files of other methods that have
    /// errors are left out: the errors are not those of these methods.
    fn compile(
        &self,
        source: String,
        names: &Batch<'a>,
        failures: &[(Batch<'a>, Vec<Diagnostic>)],
    ) -> Result<(Compiled, bool), BuildError> {
        let BuildRun { tree, sources, compiler, .. } = *self;
        let mut error = match compiler.compile(&source, names) {
            Err(error) => error,
            Ok(compiled) => return Ok((compiled, true)),
        };
        if !error.may_be_missing_item() {
            return Err(error);
        }
        let files: BTreeSet<&Path> = names.iter().flat_map(|name| sources[name].files.iter().copied()).collect();
        let mut excluded = self.excluded.clone();
        for (names, diagnostics) in failures {
            excluded.extend(names.iter().map(|name| sources[name].own.to_owned()));
            excluded.extend(diagnostics.iter().flat_map(|diagnostic| diagnostic.files.iter().cloned()));
        }
        let mut previous = source;
        loop {
            let source = tree.plugin(names, |file| !excluded.contains(file), compiler.key_text());
            if source == previous {
                return Err(error);
            }
            error = match compiler.compile(&source, names) {
                Err(error) => error,
                Ok(compiled) => return Ok((compiled, false)),
            };
            previous = source;
            excluded.extend(error.files().filter(|file| !files.contains(file.as_path())).cloned());
        }
    }

    /// Returns the methods whose sources have these errors, or all for an error in the application's library; none if there are several
    /// methods and it is unknown which.
    fn attribute(&self, names: &Batch<'a>, diagnostics: &[Diagnostic]) -> Batch<'a> {
        let mut files = diagnostics.iter().flat_map(|diagnostic| &diagnostic.files);
        if files.any(|file| !file.starts_with("methods")) {
            return names.clone();
        }
        let has_error = |name: &&&str| {
            let mut files = diagnostics.iter().flat_map(|diagnostic| &diagnostic.files);
            files.any(|file| self.sources[**name].files.contains(file.as_path()))
        };
        if names.len() == 1 { names.clone() } else { names.iter().filter(has_error).copied().collect() }
    }
}
