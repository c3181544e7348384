//! Events that strangers can cause in any number: counted, and logged once a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time in which events are counted before their number is logged.
const PERIOD: Duration = Duration::from_secs(1);

/// Counts events of one kind.
pub(crate) struct Repeated {
    count: Arc<AtomicU64>,
    report: fn(u64),
}

impl Repeated {
    /// `report` logs the number of events since it was last called.
    pub(crate) fn new(report: fn(u64)) -> Self {
        Repeated { count: Arc::default(), report }
    }

    /// Counts an event. The number is logged a second after the first one.
    pub(crate) fn count(&self) {
        if self.count.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        let (count, report) = (self.count.clone(), self.report);
        tokio::spawn(async move {
            tokio::time::sleep(PERIOD).await;
            report(count.swap(0, Ordering::Relaxed));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn any_number_of_events_is_one_line_a_second_and_none_is_lost() {
        static REPORTS: std::sync::Mutex<Vec<u64>> = std::sync::Mutex::new(Vec::new());
        let repeated = Repeated::new(|events| REPORTS.lock().unwrap().push(events));
        for events in [5, 1] {
            (0..events).for_each(|_| repeated.count());
            tokio::time::sleep(2 * PERIOD).await;
        }
        tokio::time::sleep(2 * PERIOD).await;
        assert_eq!(*REPORTS.lock().unwrap(), [5, 1]);
    }
}
