//! Events that strangers can cause in any number: counted, and logged once a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time in which events are counted before their number is logged.
const PERIOD: Duration = Duration::from_secs(1);

/// Counts events of one kind, each with a value that describes it.
pub(crate) struct Repeated<T> {
    count: Arc<AtomicU64>,
    report: fn(u64, T),
}

impl<T: Send + 'static> Repeated<T> {
    /// `report` logs the number of events since it was last called, and the value of the first of them.
    pub(crate) fn new(report: fn(u64, T)) -> Self {
        Repeated { count: Arc::default(), report }
    }

    /// Counts an event. The number is logged a second after the first one.
    pub(crate) fn count(&self, value: T) {
        if self.count.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        let (count, report) = (self.count.clone(), self.report);
        tokio::spawn(async move {
            tokio::time::sleep(PERIOD).await;
            report(count.swap(0, Ordering::Relaxed), value);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn any_number_of_events_is_one_line_a_second_and_none_is_lost() {
        static REPORTS: std::sync::Mutex<Vec<(u64, &str)>> = std::sync::Mutex::new(Vec::new());
        let repeated = Repeated::new(|events, first| REPORTS.lock().unwrap().push((events, first)));
        for values in [&["a", "b", "c"][..], &["d"]] {
            values.iter().for_each(|value| repeated.count(*value));
            tokio::time::sleep(2 * PERIOD).await;
        }
        tokio::time::sleep(2 * PERIOD).await;
        assert_eq!(*REPORTS.lock().unwrap(), [(3, "a"), (1, "d")]);
    }
}
