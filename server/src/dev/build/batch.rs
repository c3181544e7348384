//! Batches of methods that are compiled together, and their order: first those that calls wait for.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::compiler::hash;
use crate::call::live_methods::LiveMethods;

/// The fewest methods of a batch, the most, and the average number above the fewest. rustc needs a quarter of a second for a batch before
/// its first method, and a call waits for a whole batch.
const MIN_BATCH: usize = 16;
const MAX_BATCH: usize = 48;
const CUT_EVERY: u64 = 12;

/// Names of methods that are compiled together.
pub(crate) type Batch<'a> = BTreeSet<&'a str>;

/// Splits sorted names into batches.
///
/// The end of a batch depends only on the names around it: a method that is added or removed leaves most batches as they were, and with
/// them their libraries in the cache.
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

/// The batches that have not been started.
pub(crate) struct Queue<'a> {
    batches: Mutex<VecDeque<Batch<'a>>>,
    live: &'a LiveMethods,
}

impl<'a> Queue<'a> {
    pub(crate) fn new(batches: impl IntoIterator<Item = Batch<'a>>, live: &'a LiveMethods) -> Self {
        Queue { batches: Mutex::new(batches.into_iter().collect()), live }
    }

    /// Takes the next batch: one that a call waits for, if there is one.
    pub(super) fn next(&self) -> Option<Batch<'a>> {
        let requested = self.live.states().requested();
        let mut batches = self.batches();
        let is_requested = |batch: &Batch<'_>| requested.iter().any(|name| batch.contains(&**name));
        let next = batches.iter().position(is_requested).unwrap_or(0);
        batches.remove(next)
    }

    pub(crate) fn clear(&self) {
        self.batches().clear();
    }

    pub(super) fn len(&self) -> usize {
        self.batches().len()
    }

    fn batches(&self) -> MutexGuard<'_, VecDeque<Batch<'a>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_added_method_changes_one_batch() {
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
    fn a_batch_that_a_call_waits_for_is_first() {
        use futures_util::FutureExt;

        let live = LiveMethods::default();
        live.update(|states| ["a", "b", "c"].map(|name| states.add(name)));
        let batches = || ["a", "b", "c"].map(|name| Batch::from([name]));
        let queue = Queue::new(batches(), &live);
        assert!(live.find("c").now_or_never().is_none(), "the call waits");
        assert_eq!(queue.next(), Some(Batch::from(["c"])));
        assert_eq!(queue.next(), Some(Batch::from(["a"])));
        queue.clear();
        assert_eq!(queue.next(), None);
    }
}
