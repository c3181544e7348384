//! A reload: from a changed tree to the methods that are served.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use method_build::{Package, Problem, Tree, TreeReader};
use method_sdk::Method;

use super::build::batch::{Batch, Queue, split_by_content};
use super::build::build_run::{BuildRun, BuiltBatch, SourcesByMethod};
use super::build::compiler::Compiler;
use super::build::diagnostics::Diagnostic;
use super::build::error::ToolError;
use crate::call::live_methods::{BuildFailure, LiveMethods};

/// Brings the methods that are served up to date with the files.
pub(super) struct Reloader {
    reader: TreeReader,
    compiler: Arc<Compiler>,
    live: Arc<LiveMethods>,
    /// The errors in files that are found before rustc reads them, as of the last reload.
    problems: BTreeSet<Problem>,
    /// All methods have been built once.
    has_started: bool,
}

/// The result of a reload.
#[derive(Debug, Default)]
pub(super) struct ReloadReport {
    /// Methods that were built and loaded.
    pub(super) loaded: Vec<String>,
    /// Loaded methods whose previous build had failed.
    pub(super) recovered: BTreeSet<String>,
    /// Methods whose files are again those that are loaded, after a change that did not compile.
    pub(super) restored: Vec<String>,
    /// Methods whose files no longer exist.
    pub(super) removed: Vec<String>,
    pub(super) failures: Vec<CompileFailure>,
    /// rustc's warnings, with colours.
    pub(super) warnings: Vec<String>,
    /// The time until everything was compiled, without loading.
    pub(super) compile: Duration,
    /// The time that loading took.
    pub(super) load: Duration,
    /// Files that methods include, in any folder.
    pub(super) includes: BTreeSet<PathBuf>,
    /// The reload was not interrupted by another change.
    pub(super) is_complete: bool,
}

/// Errors, and the methods that have them.
#[derive(Debug)]
pub(super) struct CompileFailure {
    /// The methods that are stale or broken because of the errors.
    pub(super) methods: Vec<String>,
    /// rustc's diagnostics, with colours, or another message.
    pub(super) message: String,
}

/// A tree with the sources of its methods.
struct Snapshot<'a> {
    tree: &'a Tree,
    sources: SourcesByMethod<'a>,
}

impl Reloader {
    pub(super) fn new(methods: &Path, package: Package, compiler: Arc<Compiler>, live: Arc<LiveMethods>) -> Self {
        let reader = TreeReader::new(methods, package);
        Reloader { reader, compiler, live, problems: BTreeSet::new(), has_started: false }
    }

    pub(super) fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    pub(super) fn live(&self) -> &Arc<LiveMethods> {
        &self.live
    }

    /// Returns the methods that are loaded, sorted by name.
    pub(super) fn methods(&self) -> Vec<&'static Method> {
        self.live.states().loaded()
    }

    /// Reads the tree, and builds and loads the methods that have changed.
    ///
    /// After each batch, `is_interrupted` receives the number of methods that are built and of all that are to be; if it returns `true`,
    /// the remaining batches are left to the next reload.
    ///
    /// # Errors
    /// Nothing can be compiled. The methods that were to be built are stale or broken, and are tried again by the next reload.
    pub(super) fn reload(
        &mut self,
        mut is_interrupted: impl FnMut(usize, usize) -> bool,
    ) -> Result<ReloadReport, ToolError> {
        let tree = Arc::new(self.reader.read());
        self.live.set_tree(tree.clone());
        let snapshot = Snapshot { tree: &tree, sources: tree.method_sources() };
        let includes = snapshot.sources.values().flat_map(|sources| &sources.includes).cloned().collect();
        let mut report = ReloadReport { includes, ..ReloadReport::default() };
        let to_build = self.apply_without_compiling(&snapshot, &mut report);
        let live = self.live.clone();
        let queue = Queue::new(self.batches(&to_build), &live);
        let compiler = self.compiler.clone();
        let run = BuildRun {
            tree: &tree,
            sources: &snapshot.sources,
            compiler: &compiler,
            excluded: self.excluded_files(&snapshot.sources),
            is_start: !self.has_started,
        };

        let started = Instant::now();
        let (mut remaining, mut failure) = (to_build.clone(), None);
        run.build_all(&queue, |result| {
            match result {
                Ok(built) => {
                    remaining.retain(|name| !built.batch.contains(name));
                    self.apply(built, &snapshot, &mut report);
                }
                Err(error) => failure = Some(error),
            }
            if failure.is_some() || is_interrupted(to_build.len() - remaining.len(), to_build.len()) {
                queue.clear();
            }
        });
        report.compile = started.elapsed().saturating_sub(report.load);
        if let Some(error) = failure {
            self.fail_all(&remaining, &error);
            return Err(error);
        }
        report.is_complete = remaining.is_empty();
        if report.is_complete && !self.has_started {
            self.has_started = true;
            self.compiler.cache.prune(split_by_content(snapshot.sources.keys().copied()).len());
        }
        Ok(report)
    }

    /// Applies all changes that need no compiler: methods that were removed or restored, and errors that are found before rustc reads the
    /// files. Returns the names of the methods that are to be built.
    fn apply_without_compiling<'a>(&mut self, snapshot: &Snapshot<'a>, report: &mut ReloadReport) -> Batch<'a> {
        let Snapshot { tree, sources } = snapshot;
        let problems: BTreeSet<Problem> = tree.problems().cloned().collect();
        for problem in problems.difference(&self.problems) {
            let methods = method_name(&problem.file).into_iter().collect();
            report.failures.push(CompileFailure { methods, message: format!("error: {problem}\n") });
        }
        let invalid: BTreeMap<String, String> = problems
            .iter()
            .filter_map(|problem| Some((method_name(&problem.file)?, format!("error: {problem}"))))
            .collect();
        let names: BTreeSet<&str> = sources.keys().copied().chain(invalid.keys().map(String::as_str)).collect();
        self.problems = problems;
        self.live.update(|states| {
            report.removed = states.retain(&names);
            let restored = sources.iter().filter(|(name, sources)| states.restore(name, sources.fingerprint));
            report.restored = restored.map(|(name, _)| (*name).to_owned()).collect();
            for (name, message) in &invalid {
                // Without a fingerprint: the file is built as soon as its error is corrected.
                let failure = BuildFailure { fingerprint: None, files: BTreeSet::new(), message: message.clone() };
                states.fail(name, failure);
            }
            let changed = sources.iter().filter(|(name, sources)| states.requires_build(name, sources.fingerprint));
            let to_build: Batch<'a> = changed.map(|(name, _)| *name).collect();
            to_build.iter().for_each(|name| states.add(name));
            to_build
        })
    }

    /// Splits these methods into batches: first those that are loaded, which the developer has edited and waits for.
    fn batches<'a>(&self, to_build: &Batch<'a>) -> Vec<Batch<'a>> {
        let loaded: BTreeSet<&str> = self.methods().iter().map(|method| method.name).collect();
        let (edited, others): (Batch<'_>, Batch<'_>) = to_build.iter().partition(|name| loaded.contains(**name));
        [split_by_content(edited.into_iter()), split_by_content(others.into_iter())].concat()
    }

    /// Returns the files with known errors.
    fn excluded_files(&self, sources: &SourcesByMethod<'_>) -> BTreeSet<PathBuf> {
        let states = self.live.states();
        let mut excluded = BTreeSet::new();
        for (name, failure) in states.failures() {
            excluded.extend(failure.files.iter().cloned());
            excluded.extend(sources.get(name).map(|sources| sources.own.to_owned()));
        }
        excluded
    }

    /// Serves the methods of a batch, and records those that do not compile.
    fn apply(&mut self, built: BuiltBatch<'_>, snapshot: &Snapshot<'_>, report: &mut ReloadReport) {
        report.load += built.load;
        for (methods, diagnostics) in &built.failures {
            self.attribute_errors(methods, diagnostics, snapshot, report);
        }
        report.warnings.extend(built.warnings.iter().map(|warning| warning.rendered.clone()));
        self.serve(&built.methods, snapshot, report);
        if self.has_started && built.failures.is_empty() {
            self.compiler.prepare(&built.batch);
        }
    }

    fn serve(&self, methods: &[&'static Method], snapshot: &Snapshot<'_>, report: &mut ReloadReport) {
        let fingerprints: Vec<_> = methods.iter().map(|method| snapshot.fingerprint(method.name)).collect();
        report.loaded.extend(methods.iter().map(|method| method.name.to_owned()));
        self.live.update(|states| {
            for (method, fingerprint) in methods.iter().zip(fingerprints) {
                if states.load(method, fingerprint) {
                    report.recovered.insert(method.name.to_owned());
                }
            }
        });
    }

    /// Records that these methods do not compile, each with the errors in its own sources.
    fn attribute_errors(
        &self,
        methods: &Batch<'_>,
        diagnostics: &[Diagnostic],
        snapshot: &Snapshot<'_>,
        report: &mut ReloadReport,
    ) {
        let files: BTreeSet<PathBuf> = diagnostics.iter().flat_map(|diagnostic| &diagnostic.files).cloned().collect();
        let failures = methods.iter().map(|name| {
            let sources = &snapshot.sources[name].files;
            let is_in_sources =
                |diagnostic: &&Diagnostic| diagnostic.files.iter().any(|file| sources.contains(file.as_path()));
            let mut message: String = diagnostics.iter().filter(is_in_sources).map(Diagnostic::plain).collect();
            if message.is_empty() {
                message = diagnostics.iter().map(Diagnostic::plain).collect();
            }
            (*name, BuildFailure { fingerprint: snapshot.fingerprint(name), files: files.clone(), message })
        });
        let failures: Vec<_> = failures.collect();
        self.live.update(|states| failures.into_iter().for_each(|(name, failure)| states.fail(name, failure)));
        let message = diagnostics.iter().map(|diagnostic| diagnostic.rendered.as_str()).collect();
        let methods = methods.iter().map(|name| (*name).to_owned()).collect();
        report.failures.push(CompileFailure { methods, message });
    }

    /// Records that these methods were not built because of an error that is not theirs; the next reload tries them again.
    fn fail_all(&self, methods: &Batch<'_>, error: &ToolError) {
        let failure = BuildFailure { fingerprint: None, files: BTreeSet::new(), message: error.to_string() };
        self.live.update(|states| methods.iter().for_each(|name| states.fail(name, failure.clone())));
    }
}

impl Snapshot<'_> {
    /// Returns the fingerprint of a method's sources, or `None` if one was saved after it was read: the build may have read either version,
    /// and the next reload builds the method again.
    fn fingerprint(&self, name: &str) -> Option<u64> {
        let sources = self.sources.get(name).filter(|sources| self.tree.is_unchanged(&sources.files))?;
        Some(sources.fingerprint)
    }
}

/// Returns the name of the method in a file such as `methods/account/login.rs`, or `None` if that is not a valid name.
fn method_name(file: &Path) -> Option<String> {
    let parts: Vec<_> =
        file.with_extension("").iter().skip(1).map(|part| part.to_string_lossy().into_owned()).collect();
    let name = parts.join(".");
    (file.extension()? == "rs" && method_build::check_name(&name).is_ok()).then_some(name)
}
