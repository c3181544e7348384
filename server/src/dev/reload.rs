//! From a tree that has changed to the methods that are served: which are compiled anew, which come, which go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use method_build::{MethodSources, Problem, Tree, TreeReader};
use method_sdk::Method;

use crate::call::live_methods::{Change, LiveMethods};
use crate::dev::build::batch::{Batch, BuildRun, BuiltBatch, Queue, SourcesByMethod, split_by_content};
use crate::dev::build::compiler::Compiler;
use crate::dev::build::diagnostics::Diagnostic;

/// Keeps what is served in step with the files.
pub(super) struct Reloader {
    reader: TreeReader,
    compiler: Arc<Compiler>,
    live: Arc<LiveMethods>,
    /// Of each method that is served: the fingerprint of what it was compiled from.
    served: HashMap<String, u64>,
    /// Of each method that did not compile: the fingerprint of what did not, and the files that were to attribute_errors.
    failed: HashMap<String, (u64, BTreeSet<PathBuf>)>,
    /// What is wrong with files before rustc sees them.
    problems: BTreeSet<Problem>,
    /// Whether all has been looked at once.
    has_started: bool,
}

/// What has become of a change.
#[derive(Debug, Default)]
pub(super) struct ReloadReport {
    /// Methods that are new, or were compiled anew.
    pub(super) loaded: Vec<String>,
    /// Those of them that did not compile before.
    pub(super) recovered: BTreeSet<String>,
    /// Methods that are as they were before a change that did not compile.
    pub(super) restored: Vec<String>,
    /// Methods that are not there any more.
    pub(super) gone: Vec<String>,
    /// What does not compile.
    pub(super) wrong: Vec<CompileFailure>,
    /// The time until all was compiled.
    pub(super) compile: Duration,
    /// The time that loading took.
    pub(super) load: Duration,
    /// Files that methods include, wherever they are.
    pub(super) includes: BTreeSet<PathBuf>,
    /// Nothing is left for the next time.
    pub(super) is_whole: bool,
}

/// Something that does not compile.
#[derive(Debug)]
pub(super) struct CompileFailure {
    /// The methods that are not what their files say because of it.
    pub(super) methods: Vec<String>,
    /// In rustc's words, with colours, or in ours.
    pub(super) words: String,
}

/// The fingerprint of what is to be tried again whatever it is.
const NONE: u64 = 0;

impl Reloader {
    pub(super) fn new(methods: &Path, compiler: Arc<Compiler>, live: Arc<LiveMethods>) -> Self {
        Reloader {
            reader: TreeReader::new(methods),
            compiler,
            live,
            served: HashMap::new(),
            failed: HashMap::new(),
            problems: BTreeSet::new(),
            has_started: false,
        }
    }

    pub(super) fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// Those that can be called, sorted by name.
    pub(super) fn methods(&self) -> Vec<&'static Method> {
        self.live.methods()
    }

    /// Looks at the tree, and brings what is served in step with it, until `is_late` says that it has changed: then the rest is for the
    /// next time. That is asked again and again, with the number of methods that are done and of all that have changed.
    ///
    /// # Errors
    /// A sentence: nothing can be compiled or loaded. What is served is what was.
    pub(super) fn reload(&mut self, mut is_late: impl FnMut(usize, usize) -> bool) -> Result<ReloadReport, String> {
        let tree = self.reader.read();
        let sources = tree.method_sources();
        let includes = sources.values().flat_map(|its_sources| &its_sources.includes).cloned().collect();
        let mut report = ReloadReport { includes, ..ReloadReport::default() };
        let wanted = self.apply_without_compiling(&tree, &sources, &mut report);
        let live = self.live.clone();
        // What has been edited is waited for by somebody; of the rest it is not known.
        let served: BTreeSet<&str> = self.methods().iter().map(|method| method.name).collect();
        let (edited, rest): (Batch<'_>, Batch<'_>) = wanted.iter().partition(|name| served.contains(**name));
        let batches = [split_by_content(edited.into_iter()), split_by_content(rest.into_iter())].concat();
        let queue = Queue::new(batches, &live);
        let compiler = self.compiler.clone();
        let work = BuildRun {
            tree: &tree,
            sources: &sources,
            compiler: &compiler,
            excluded: self.excluded_files(&sources),
            is_start: !self.has_started,
        };

        let started = Instant::now();
        let (mut left, mut problem) = (wanted.clone(), None);
        work.make_all(&queue, |made| {
            match made {
                Ok(made) => {
                    left.retain(|name| !made.batch.contains(name));
                    self.take(made, &tree, &sources, &mut report);
                }
                Err(words) => problem = Some(words),
            }
            if problem.is_some() || is_late(wanted.len() - left.len(), wanted.len()) {
                queue.clear();
            }
        });
        report.compile = started.elapsed().saturating_sub(report.load);
        if let Some(problem) = problem {
            self.give_up(&left, &problem);
            return Err(problem);
        }
        report.is_whole = left.is_empty();
        if report.is_whole && !self.has_started {
            self.has_started = true;
            self.compiler.kept.forget_all_but(split_by_content(sources.keys().copied()).len());
        }
        Ok(report)
    }

    /// What takes no compiler: methods that have gone, or are what they were, and files that rustc need not see to be wrong. Returns the
    /// names of those that are to be compiled.
    fn apply_without_compiling<'a>(
        &mut self,
        tree: &Tree,
        sources: &SourcesByMethod<'a>,
        report: &mut ReloadReport,
    ) -> Batch<'a> {
        let problems: BTreeSet<Problem> = tree.problems().cloned().collect();
        let wrong: BTreeMap<String, String> =
            problems.iter().filter_map(|problem| Some((name_of(&problem.file)?, problem.to_string()))).collect();
        let names: BTreeSet<&str> = sources.keys().copied().chain(wrong.keys().map(String::as_str)).collect();
        report.gone = self.live.names().into_iter().filter(|name| !names.contains(&**name)).collect();
        self.served.retain(|name, _| names.contains(&**name));
        self.failed.retain(|name, _| names.contains(&**name));

        let mut fresh = Vec::new();
        for (name, its_sources) in sources {
            if self.served.get(*name) == Some(&its_sources.fingerprint) && self.failed.remove(*name).is_some() {
                report.restored.push((*name).to_owned());
                fresh.push(*name);
            }
        }
        for problem in problems.difference(&self.problems) {
            let methods = name_of(&problem.file).into_iter().collect();
            report.wrong.push(CompileFailure { methods, words: format!("error: {problem}\n") });
        }
        // No fingerprint: whatever the file says next is to be tried.
        let failed: Vec<_> = wrong.iter().map(|(name, words)| (name.clone(), format!("error: {words}"))).collect();
        for (name, _) in &failed {
            self.failed.insert(name.clone(), (NONE, BTreeSet::new()));
        }
        let is_new = |name: &str, its_sources: &MethodSources<'_>| {
            self.served.get(name) != Some(&its_sources.fingerprint)
                && self.failed.get(name).map(|(fingerprint, _)| fingerprint) != Some(&its_sources.fingerprint)
        };
        let wanted: Batch<'a> =
            sources.iter().filter(|(name, its_sources)| is_new(name, its_sources)).map(|(name, _)| *name).collect();
        let pending = wanted.iter().copied().collect();
        self.live.change(Change { retain: Some(names), pending, fresh, failed, current: Vec::new() });
        self.problems = problems;
        wanted
    }

    /// Serves what has been made of a batch, and remembers what does not compile.
    fn take(&mut self, made: BuiltBatch<'_>, tree: &Tree, sources: &SourcesByMethod<'_>, report: &mut ReloadReport) {
        report.load += made.load;
        for (methods, diagnostics) in &made.wrong {
            self.attribute_errors(methods, tree, sources, diagnostics, report);
        }
        self.serve(made.methods, tree, sources, report);
        if self.has_started && made.wrong.is_empty() {
            self.compiler.prepare(&made.batch);
        }
    }

    /// The files that are known not to compile.
    fn excluded_files(&self, sources: &SourcesByMethod<'_>) -> BTreeSet<PathBuf> {
        let own =
            self.failed.keys().filter_map(|name| sources.get(&**name)).map(|its_sources| its_sources.own.to_owned());
        let blamed = self.failed.values().flat_map(|(_, files)| files).cloned();
        blamed.chain(own).collect()
    }

    fn serve(
        &mut self,
        methods: Vec<&'static Method>,
        tree: &Tree,
        sources: &SourcesByMethod<'_>,
        report: &mut ReloadReport,
    ) {
        for method in &methods {
            let name = method.name.to_owned();
            if self.failed.remove(&name).is_some() {
                report.recovered.insert(name.clone());
            }
            // A file that was saved while rustc ran is in the library or not: the next look at the files compiles it again.
            match sources.get(method.name).filter(|its_sources| tree.is_unchanged(&its_sources.files)) {
                Some(its_sources) => self.served.insert(name.clone(), its_sources.fingerprint),
                None => self.served.remove(&name),
            };
            report.loaded.push(name);
        }
        // Last: whoever sees the new version may save the next.
        self.live.change(Change { current: methods, ..Change::default() });
    }

    /// Serves these methods as they were, because of what is wrong with something else; they are tried again the next time.
    fn give_up(&mut self, methods: &Batch<'_>, problem: &str) {
        let failed: Vec<_> = methods.iter().map(|name| ((*name).to_owned(), problem.to_owned())).collect();
        self.failed.extend(failed.iter().map(|(name, _)| (name.clone(), (NONE, BTreeSet::new()))));
        self.live.change(Change { failed, ..Change::default() });
    }

    /// Remembers that these methods have a part in what does not compile.
    fn attribute_errors(
        &mut self,
        methods: &Batch<'_>,
        tree: &Tree,
        sources: &SourcesByMethod<'_>,
        diagnostics: &[Diagnostic],
        report: &mut ReloadReport,
    ) {
        let files: BTreeSet<PathBuf> = diagnostics.iter().flat_map(|it| &it.files).cloned().collect();
        let mut failed = Vec::new();
        for name in methods {
            let its_sources = &sources[name];
            let own =
                diagnostics.iter().filter(|it| it.files.iter().any(|file| its_sources.files.contains(file.as_path())));
            let mut words: String = own.map(Diagnostic::plain).collect();
            if words.is_empty() {
                words = diagnostics.iter().map(Diagnostic::plain).collect();
            }
            failed.push(((*name).to_owned(), words));
            let fingerprint = if tree.is_unchanged(&its_sources.files) { its_sources.fingerprint } else { NONE };
            self.failed.insert((*name).to_owned(), (fingerprint, files.clone()));
        }
        self.live.change(Change { failed, ..Change::default() });
        let words = diagnostics.iter().map(|it| it.rendered.as_str()).collect();
        report.wrong.push(CompileFailure { methods: methods.iter().map(|name| (*name).to_owned()).collect(), words });
    }
}

/// The name of the method in a file such as `methods/account/login.rs`, if it is one.
fn name_of(file: &Path) -> Option<String> {
    let parts: Vec<_> =
        file.with_extension("").iter().skip(1).map(|part| part.to_string_lossy().into_owned()).collect();
    let name = parts.join(".");
    (file.extension()? == "rs" && method_build::check_name(&name).is_ok()).then_some(name)
}
