//! The memory of the process: after a flood, what it has used is returned to the operating system.

use std::future::pending;
use std::time::{Duration, Instant};

/// The time between two looks at the memory.
const INTERVAL: Duration = Duration::from_secs(5);

/// The growth after which memory is returned, in bytes. A process that uses less does nothing.
const GROWTH: u64 = 32 << 20;

/// The time after which memory is returned without a growth, because much of it may have been freed since. Returning takes 5 to 7 ms after
/// 4,096 bodies of a mebibyte, on one of the threads for blocking work.
const MAX_AGE: Duration = Duration::from_secs(30);

/// Returns unused memory periodically while the process uses much, forever.
pub(crate) async fn trim_periodically() {
    let (mut trimmed_at, mut trimmed_size) = (Instant::now(), 0);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(size) = resident_size() else { return pending().await }; // an operating system without this file
        if size > trimmed_size + GROWTH || (size > GROWTH && trimmed_at.elapsed() > MAX_AGE) {
            let _ = tokio::task::spawn_blocking(simpleapi_heap::trim).await;
            (trimmed_at, trimmed_size) = (Instant::now(), resident_size().unwrap_or(size));
        }
    }
}

/// Returns the memory of the process that is in use, in bytes.
fn resident_size() -> Option<u64> {
    let sizes = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = sizes.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_resident_size_grows_with_memory_that_is_used() {
        let before = resident_size().unwrap();
        let used = vec![1_u8; 256 << 20]; // more than other tests free meanwhile
        assert!(resident_size().unwrap() > before + (60 << 20));
        drop(used);
    }
}
