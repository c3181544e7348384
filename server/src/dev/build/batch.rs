//! Many methods at once: in batches, on all cores, and those first that somebody waits for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use method_build::{MethodSources, Tree};
use method_sdk::Method;

use crate::call::live_methods::LiveMethods;
use crate::dev::build::compiler::{Compiler, Failure, hash};
use crate::dev::build::diagnostics::Diagnostic;
use crate::dev::load::loader::load;

/// Methods of a batch at least, at most, and how many more than the least on average. A batch takes rustc a quarter of a second before its
/// first method, and a call waits for all of one.
const MIN_BATCH: usize = 16;
const MAX_BATCH: usize = 48;
const CUT_EVERY: u64 = 12;

/// All that there is to know of each method.
pub(crate) type SourcesByMethod<'a> = BTreeMap<&'a str, MethodSources<'a>>;

/// Names of methods that are compiled together.
pub(crate) type Batch<'a> = BTreeSet<&'a str>;

/// Those of these names that are compiled together. Where a batch ends depends on the names around that place alone: a method that comes
/// or goes leaves the others as they were, and with them the libraries that are kept.
pub(crate) fn split_by_content<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Batch<'a>> {
    let mut batches = Vec::new();
    let mut batch = Batch::new();
    for name in names {
        batch.insert(name);
        if batch.len() >= MAX_BATCH || (batch.len() >= MIN_BATCH && hash(&name).is_multiple_of(CUT_EVERY)) {
            batches.push(std::mem::take(&mut batch));
        }
    }
    batches.extend((!batch.is_empty()).then_some(batch));
    batches
}

/// The batches that are still to be made.
pub(crate) struct Queue<'a> {
    batches: Mutex<VecDeque<Batch<'a>>>,
    live: &'a LiveMethods,
}

impl<'a> Queue<'a> {
    pub(crate) fn new(batches: impl IntoIterator<Item = Batch<'a>>, live: &'a LiveMethods) -> Self {
        Queue { batches: Mutex::new(batches.into_iter().collect()), live }
    }

    /// Takes the next: one that a call waits for, if there is one.
    fn next(&self) -> Option<Batch<'a>> {
        let asked = self.live.asked();
        let mut batches = self.batches();
        let is_asked = |batch: &Batch<'_>| asked.iter().any(|name| batch.contains(&**name));
        let next = batches.iter().position(is_asked).unwrap_or(0);
        batches.remove(next)
    }

    pub(crate) fn clear(&self) {
        self.batches().clear();
    }

    fn batches(&self) -> MutexGuard<'_, VecDeque<Batch<'a>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What batches are made from.
pub(crate) struct BuildRun<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) sources: &'a SourcesByMethod<'a>,
    pub(crate) compiler: &'a Compiler,
    /// Files that are known not to compile.
    pub(crate) excluded: BTreeSet<PathBuf>,
    /// Nothing has been loaded: what the last process has compiled is as good.
    pub(crate) is_start: bool,
}

/// What has become of a batch.
pub(crate) struct BuiltBatch<'a> {
    /// Those that were to be compiled.
    pub(crate) batch: Batch<'a>,
    /// Those that were, and are loaded.
    pub(crate) methods: Vec<&'static Method>,
    /// Those that have a part in what does not compile, with rustc's words.
    pub(crate) wrong: Vec<(Batch<'a>, Vec<Diagnostic>)>,
    /// The time that loading took.
    pub(crate) load: Duration,
}

impl<'a> BuildRun<'a> {
    /// Makes the batches of the queue on all cores, and hands over each as soon as it is made.
    pub(crate) fn make_all(&self, queue: &Queue<'a>, mut made: impl FnMut(Result<BuiltBatch<'a>, String>)) {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let (sender, results) = channel();
            let batches = queue.batches().len();
            for _ in 0..cores.min(batches) {
                let sender = sender.clone();
                scope.spawn(move || {
                    while let Some(batch) = queue.next() {
                        let _ = sender.send(self.make(batch));
                    }
                });
            }
            drop(sender);
            results.into_iter().for_each(&mut made);
        });
    }

    /// Makes a batch. What does not compile is put excluded, and the rest is tried again: one file does not keep the others.
    ///
    /// # Errors
    /// A sentence: nothing can be compiled or loaded.
    fn make(&self, batch: Batch<'a>) -> Result<BuiltBatch<'a>, String> {
        let mut open = vec![batch.clone()];
        let mut made = BuiltBatch { batch, methods: Vec::new(), wrong: Vec::new(), load: Duration::ZERO };
        while let Some(names) = open.pop() {
            match self.library(&names, &mut made) {
                Ok(methods) => made.methods.extend(methods),
                Err(Failure::Other(problem)) => return Err(problem),
                Err(Failure::Compile(diagnostics)) => {
                    let blamed = self.blamed(&names, &diagnostics);
                    if blamed.is_empty() {
                        // It is in one half or the other.
                        let half = names.iter().nth(names.len() / 2).copied().unwrap_or_default();
                        let (first, second) = names.into_iter().partition(|name| *name < half);
                        open.extend([first, second]);
                    } else {
                        let rest: Batch<'a> = &names - &blamed;
                        open.extend((!rest.is_empty()).then_some(rest));
                        made.wrong.push((blamed, diagnostics));
                    }
                }
            }
        }
        Ok(made)
    }

    /// Compiles and loads these methods, or loads what is kept of them.
    fn library(&self, names: &Batch<'a>, made: &mut BuiltBatch<'a>) -> Result<&'static [Method], Failure> {
        let BuildRun { tree, sources, compiler, .. } = *self;
        let source = tree.plugin(names, |_| false, compiler.key_text());
        let fingerprints: Vec<u64> = names.iter().map(|name| sources[name].fingerprint).collect();
        let key = hash(&(&source, fingerprints));
        let mut loaded = |library: &Path| {
            let started = Instant::now();
            let methods = load(library, compiler.key());
            made.load += started.elapsed();
            methods
        };
        if self.is_start
            && let Some(kept) = compiler.kept.find(key)
        {
            match loaded(&kept) {
                Ok(methods) => return Ok(methods),
                // It is damaged.
                Err(_) => compiler.kept.remove(key),
            }
        }
        let (library, is_narrow) = self.compile(source, names, &made.wrong)?;
        let methods = loaded(&library).map_err(|words| Failure::Compile(vec![Diagnostic::of_no_file(words)]))?;
        let is_sure = |its_sources: &MethodSources<'_>| its_sources.is_closed && tree.is_unchanged(&its_sources.files);
        if self.is_start && is_narrow && names.iter().all(|name| is_sure(&sources[name])) {
            compiler.kept.keep(key, &library);
        }
        Ok(methods)
    }

    /// Compiles these methods, and says whether what they need was enough. If something lacks, such as the implementation of a trait, any
    /// file of the tree may have it; but what is wrong in a file of another method is not their fault.
    fn compile(
        &self,
        source: String,
        names: &Batch<'a>,
        wrong: &[(Batch<'a>, Vec<Diagnostic>)],
    ) -> Result<(PathBuf, bool), Failure> {
        let BuildRun { tree, sources, compiler, .. } = *self;
        let mut failure = match compiler.compile(&source, names) {
            Err(failure) => failure,
            Ok(library) => return Ok((library, true)),
        };
        if !failure.may_be_missing_item() {
            return Err(failure);
        }
        let files: BTreeSet<&Path> = names.iter().flat_map(|name| sources[name].files.iter().copied()).collect();
        let mut excluded = self.excluded.clone();
        for (names, diagnostics) in wrong {
            excluded.extend(names.iter().map(|name| sources[name].own.to_owned()));
            excluded.extend(diagnostics.iter().flat_map(|diagnostic| diagnostic.files.iter().cloned()));
        }
        let mut tried = source;
        loop {
            let whole = tree.plugin(names, |file| !excluded.contains(file), compiler.key_text());
            if whole == tried {
                return Err(failure);
            }
            failure = match compiler.compile(&whole, names) {
                Err(failure) => failure,
                Ok(library) => return Ok((library, false)),
            };
            tried = whole;
            excluded.extend(failure.files().filter(|file| !files.contains(file.as_path())).cloned());
        }
    }

    /// Those that have a part in what does not compile; none, if of several that cannot be said.
    fn blamed(&self, names: &Batch<'a>, diagnostics: &[Diagnostic]) -> Batch<'a> {
        let has_part = |name: &&&str| {
            let mut files = diagnostics.iter().flat_map(|diagnostic| &diagnostic.files);
            files.any(|file| self.sources[**name].files.contains(file.as_path()))
        };
        if names.len() == 1 { names.clone() } else { names.iter().filter(has_part).copied().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_comes_changes_one_batch() {
        let names: Vec<String> = (0..500).map(|number| format!("group{}.m{number}", number % 10)).collect();
        let sorted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let before = split_by_content(sorted.iter().copied());
        assert!(before.iter().all(|batch| batch.len() <= MAX_BATCH) && before.len() < 500 / MIN_BATCH, "{before:?}");
        assert_eq!(before.iter().flatten().copied().collect::<BTreeSet<_>>(), sorted);
        for new in ["a", "group3.m", "group5.m999", "z"] {
            let with: BTreeSet<&str> = sorted.iter().copied().chain([new]).collect();
            let after = split_by_content(with.into_iter());
            let changed = after.iter().filter(|batch| !before.contains(batch)).count();
            assert!((1..=3).contains(&changed), "{new}: {changed} of {} batches", after.len());
        }
        assert!(split_by_content(std::iter::empty()).is_empty());
    }

    #[test]
    fn what_a_call_waits_for_comes_first() {
        use crate::call::live_methods::Change;
        use futures_util::FutureExt;

        let live = LiveMethods::default();
        live.change(Change { pending: vec!["a", "b", "c"], ..Change::default() });
        let batches = || ["a", "b", "c"].map(|name| Batch::from([name]));
        let queue = Queue::new(batches(), &live);
        assert!(live.find("c").now_or_never().is_none(), "it waits");
        assert_eq!(queue.next(), Some(Batch::from(["c"])));
        assert_eq!(queue.next(), Some(Batch::from(["a"])));
        queue.clear();
        assert_eq!(queue.next(), None);
    }
}
