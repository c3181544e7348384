//! From a tree that has changed to the methods that are served: which are compiled anew, which come, which go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use method_build::{Making, Problem, Reader, Tree};
use method_sdk::Method;

use super::compile::{Compiler, Failure};
use super::diagnostics::Diagnostic;
use super::live::{Change, Live};
use super::load::load;

/// Keeps what is served in step with the files.
pub(super) struct Reloader {
    reader: Reader,
    compiler: Compiler,
    live: Arc<Live>,
    /// Of each method that is served: the fingerprint of what it was compiled from.
    served: HashMap<String, u64>,
    /// Of each method that did not compile: the fingerprint of what did not, and the files that were to blame.
    failed: HashMap<String, (u64, BTreeSet<PathBuf>)>,
    /// What is wrong with files before rustc sees them.
    problems: BTreeSet<Problem>,
}

/// What has become of a change.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Methods that are new, or were compiled anew.
    pub(super) loaded: Vec<String>,
    /// Those of them that did not compile before.
    pub(super) recovered: BTreeSet<String>,
    /// Methods that are as they were before a change that did not compile.
    pub(super) restored: Vec<String>,
    /// Methods that are not there any more.
    pub(super) gone: Vec<String>,
    /// What does not compile.
    pub(super) wrong: Vec<Wrong>,
    /// The time that rustc took, all in all.
    pub(super) compile: Duration,
    /// The time that loading took.
    pub(super) load: Duration,
}

/// Something that does not compile.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The methods that are not what their files say because of it.
    pub(super) methods: Vec<String>,
    /// In rustc's words, with colours, or in ours.
    pub(super) words: String,
}

/// The fingerprint of what is to be tried again whatever it is.
const NONE: u64 = 0;

type Makings<'a> = BTreeMap<&'a str, Making<'a>>;

impl Reloader {
    pub(super) fn new(methods: &Path, compiler: Compiler, live: Arc<Live>) -> Self {
        Reloader {
            reader: Reader::new(methods),
            compiler,
            live,
            served: HashMap::new(),
            failed: HashMap::new(),
            problems: BTreeSet::new(),
        }
    }

    pub(super) fn compiler(&mut self) -> &mut Compiler {
        &mut self.compiler
    }

    /// Those that can be called, sorted by name.
    pub(super) fn methods(&self) -> Vec<&'static Method> {
        self.live.methods()
    }

    /// Looks at the tree, and brings what is served in step with it.
    ///
    /// # Errors
    /// A sentence: nothing can be compiled or loaded. Everything is served as before.
    pub(super) fn reload(&mut self) -> Result<Report, String> {
        let tree = self.reader.read();
        let makings = tree.makings();
        let mut report = Report::default();
        self.settle(&tree, &makings, &mut report);

        let is_new = |name: &str, making: &Making<'_>| {
            self.served.get(name) != Some(&making.fingerprint)
                && self.failed.get(name).map(|(fingerprint, _)| fingerprint) != Some(&making.fingerprint)
        };
        let mut wanted: BTreeSet<&str> =
            makings.iter().filter(|(name, making)| is_new(name, making)).map(|(name, _)| *name).collect();
        // What does not compile is put aside, and the rest is tried again: one file does not keep the others.
        while !wanted.is_empty() {
            match self.build(&tree, &makings, &wanted, &mut report) {
                Ok(methods) => {
                    self.serve(methods, &tree, &makings, &mut report);
                    break;
                }
                Err(Failure::Other(problem)) => return Err(problem),
                Err(Failure::Wrong(diagnostics)) => {
                    let blamed = self.blame(&wanted, &tree, &makings, &diagnostics, &mut report);
                    wanted.retain(|name| !blamed.contains(*name));
                }
            }
        }
        Ok(report)
    }

    /// What takes no compiler: methods that have gone, or are what they were, and files that rustc need not see to be wrong.
    fn settle(&mut self, tree: &Tree, makings: &Makings<'_>, report: &mut Report) {
        let problems: BTreeSet<Problem> = tree.problems().cloned().collect();
        let wrong: BTreeMap<String, String> =
            problems.iter().filter_map(|problem| Some((name_of(&problem.file)?, problem.to_string()))).collect();
        let names: BTreeSet<&str> = makings.keys().copied().chain(wrong.keys().map(String::as_str)).collect();
        report.gone = self.live.names().into_iter().filter(|name| !names.contains(&**name)).collect();
        self.served.retain(|name, _| names.contains(&**name));
        self.failed.retain(|name, _| names.contains(&**name));

        let mut fresh = Vec::new();
        for (name, making) in makings {
            if self.served.get(*name) == Some(&making.fingerprint) && self.failed.remove(*name).is_some() {
                report.restored.push((*name).to_owned());
                fresh.push(*name);
            }
        }
        for problem in problems.difference(&self.problems) {
            let methods = name_of(&problem.file).into_iter().collect();
            report.wrong.push(Wrong { methods, words: format!("error: {problem}\n") });
        }
        // No fingerprint: whatever the file says next is to be tried.
        let failed: Vec<_> = wrong.iter().map(|(name, words)| (name.clone(), format!("error: {words}"))).collect();
        for (name, _) in &failed {
            self.failed.insert(name.clone(), (NONE, BTreeSet::new()));
        }
        self.live.change(Change { retain: Some(names.into_iter().collect()), fresh, failed, current: &[] });
        self.problems = problems;
    }

    /// Compiles and loads these methods.
    fn build(
        &mut self,
        tree: &Tree,
        makings: &Makings<'_>,
        wanted: &BTreeSet<&str>,
        report: &mut Report,
    ) -> Result<&'static [Method], Failure> {
        let source = tree.plugin(wanted, |_| false, self.compiler.key_text());
        let is_start = self.served.is_empty();
        let fingerprints: Vec<u64> = wanted.iter().map(|name| makings[name].fingerprint).collect();
        let kept = self.compiler.kept(&source, &fingerprints);
        if is_start && kept.is_file() {
            let started = Instant::now();
            let methods = load(&kept, self.compiler.key()).map_err(Failure::Other)?;
            report.load += started.elapsed();
            return Ok(methods);
        }

        let started = Instant::now();
        let compiled = self.compiler.compile(&source, wanted).or_else(|failure| match failure {
            // It may want something that no path in it names, such as the implementation of a trait: the whole tree has it.
            Failure::Wrong(diagnostics) if diagnostics.iter().any(Diagnostic::may_lack) => {
                let aside: BTreeSet<&Path> = self.set_aside(makings);
                let whole = tree.plugin(wanted, |file| !aside.contains(file), self.compiler.key_text());
                if whole == source { Err(Failure::Wrong(diagnostics)) } else { self.compiler.compile(&whole, wanted) }
            }
            failure => Err(failure),
        });
        report.compile += started.elapsed();
        let library = compiled?;

        let started = Instant::now();
        if is_start && wanted.iter().all(|name| tree.is_unchanged(&makings[name].files)) {
            self.compiler.keep(&library, &kept);
        }
        let methods = load(&library, self.compiler.key()).map_err(Failure::Other)?;
        report.load += started.elapsed();
        Ok(methods)
    }

    /// The files that are known not to compile.
    fn set_aside<'a>(&'a self, makings: &'a Makings<'_>) -> BTreeSet<&'a Path> {
        let blamed = self.failed.values().flat_map(|(_, files)| files).map(PathBuf::as_path);
        let own = self.failed.keys().filter_map(|name| makings.get(&**name));
        blamed.chain(own.flat_map(|making| making.files.iter().copied())).collect()
    }

    fn serve(&mut self, methods: &'static [Method], tree: &Tree, makings: &Makings<'_>, report: &mut Report) {
        self.live.change(Change { current: methods, ..Change::default() });
        for method in methods {
            let name = method.name.to_owned();
            if self.failed.remove(&name).is_some() {
                report.recovered.insert(name.clone());
            }
            // A file that was saved while rustc ran is in the library or not: the next look at the files compiles it again.
            match makings.get(method.name).filter(|making| tree.is_unchanged(&making.files)) {
                Some(making) => self.served.insert(name.clone(), making.fingerprint),
                None => self.served.remove(&name),
            };
            report.loaded.push(name);
        }
    }

    /// Puts those methods aside that have a part in what does not compile; all, if that cannot be said.
    fn blame<'a>(
        &mut self,
        wanted: &BTreeSet<&'a str>,
        tree: &Tree,
        makings: &Makings<'a>,
        diagnostics: &[Diagnostic],
        report: &mut Report,
    ) -> BTreeSet<&'a str> {
        let files: BTreeSet<PathBuf> = diagnostics.iter().flat_map(|it| &it.files).cloned().collect();
        let has_part = |name: &&&str| makings[**name].files.iter().any(|file| files.contains(*file));
        let mut blamed: BTreeSet<&str> = wanted.iter().filter(has_part).copied().collect();
        if blamed.is_empty() {
            blamed = wanted.clone();
        }
        let mut failed = Vec::new();
        for name in &blamed {
            let making = &makings[name];
            let own = diagnostics.iter().filter(|it| it.files.iter().any(|file| making.files.contains(file.as_path())));
            let mut words: String = own.map(Diagnostic::plain).collect();
            if words.is_empty() {
                words = diagnostics.iter().map(Diagnostic::plain).collect();
            }
            failed.push(((*name).to_owned(), words));
            let fingerprint = if tree.is_unchanged(&making.files) { making.fingerprint } else { NONE };
            self.failed.insert((*name).to_owned(), (fingerprint, files.clone()));
        }
        self.live.change(Change { failed, ..Change::default() });
        let words = diagnostics.iter().map(|it| it.rendered.as_str()).collect();
        report.wrong.push(Wrong { methods: blamed.iter().map(|name| (*name).to_owned()).collect(), words });
        blamed
    }
}

/// The name of the method in a file such as `methods/account/login.rs`, if it is one.
fn name_of(file: &Path) -> Option<String> {
    let parts: Vec<_> =
        file.with_extension("").iter().skip(1).map(|part| part.to_string_lossy().into_owned()).collect();
    let name = parts.join(".");
    (file.extension()? == "rs" && method_build::check_name(&name).is_ok()).then_some(name)
}
