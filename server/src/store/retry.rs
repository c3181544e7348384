//! Retries after conflicts with concurrent changes: a bounded number, with exponential backoff and jitter.

use std::error::Error as StdError;
use std::time::Duration;

use method_sdk::{Error, Result};

/// The number of retries after the first attempt. Their delays are 0.5 s together on average, and 1 s at most.
const RETRIES: u32 = 9;

/// The longest delay before the first retry. The longest delay doubles with each retry, up to `MAX_DELAY`.
const INITIAL_DELAY: Duration = Duration::from_millis(5);
const MAX_DELAY: Duration = Duration::from_millis(200);

/// The outcome of an attempt that did not fail.
pub(crate) enum Attempt<T> {
    Finished(T),
    /// A concurrent change interfered, so that another attempt may finish.
    Conflict(Box<dyn StdError + Send + Sync>),
}

/// Calls `attempt` until it finishes or fails.
///
/// # Errors
/// Returns the error of `attempt`, or error 1016 with the last conflict as its source when the retries are exhausted.
pub(crate) async fn retry<T, F>(attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Attempt<T>>>,
{
    retry_after(backoff(), attempt).await
}

/// Retries after each of `delays`.
async fn retry_after<T, F>(delays: impl Iterator<Item = Duration>, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Attempt<T>>>,
{
    let mut delays = delays;
    loop {
        let conflict = match attempt().await? {
            Attempt::Finished(value) => return Ok(value),
            Attempt::Conflict(conflict) => conflict,
        };
        let Some(delay) = delays.next() else { return Err(Error::unavailable(conflict)) };
        tokio::time::sleep(delay).await;
    }
}

/// Returns the delays before the retries. Each is random between zero and its longest, so that clients in conflict do not meet again
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>, "full jitter").
fn backoff() -> impl Iterator<Item = Duration> {
    (0..RETRIES).map(|retry| {
        let longest = (INITIAL_DELAY * 2_u32.pow(retry)).min(MAX_DELAY);
        // Without random bytes the delay is the longest.
        let fraction = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
        longest.mul_f64(fraction)
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::iter::repeat_n;

    use super::*;

    async fn attempts(retries: usize, conflicts: u32) -> (u32, Result<&'static str>) {
        let count = Cell::new(0);
        let result = retry_after(repeat_n(Duration::ZERO, retries), || async {
            count.set(count.get() + 1);
            Ok(if count.get() > conflicts { Attempt::Finished("value") } else { Attempt::Conflict("deadlock".into()) })
        });
        let result = result.await;
        (count.get(), result)
    }

    #[tokio::test]
    async fn a_conflict_is_retried_until_an_attempt_finishes() {
        for conflicts in 0..=3 {
            let (count, result) = attempts(3, conflicts).await;
            assert_eq!((count, result.ok()), (conflicts + 1, Some("value")));
        }
    }

    #[tokio::test]
    async fn exhausted_retries_return_error_1016_with_the_conflict_as_its_source() {
        let (count, result) = attempts(3, u32::MAX).await;
        let error = result.unwrap_err();
        assert_eq!((count, error.code()), (4, 1016));
        assert_eq!(error.source_chain().as_deref(), Some("deadlock"));
    }

    #[tokio::test]
    async fn an_error_is_not_retried() {
        let count = Cell::new(0);
        let result: Result<()> = retry(|| async {
            count.set(count.get() + 1);
            Err(Error::internal("broken"))
        })
        .await;
        assert_eq!((count.get(), result.unwrap_err().code()), (1, 1000));
    }

    #[test]
    fn delays_are_bounded_and_differ() {
        let runs: Vec<Vec<Duration>> = (0..10).map(|_| backoff().collect()).collect();
        let longest = [5, 10, 20, 40, 80, 160, 200, 200, 200].map(Duration::from_millis);
        for delays in &runs {
            assert_eq!(delays.len(), longest.len());
            assert!(delays.iter().zip(longest).all(|(delay, longest)| *delay <= longest), "{delays:?}");
        }
        assert!(runs.iter().any(|delays| *delays != runs[0]), "jitter");
    }
}
