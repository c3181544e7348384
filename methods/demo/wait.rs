//! Waits and then answers, unless the client leaves: a long poll.
use std::time::Duration;

use method_sdk::prelude::*;

/// Instead of the server's `request_timeout`: it is the caller who says how long.
pub const TIMEOUT_SECONDS: u64 = 3600;

/// How long.
#[derive(Deserialize)]
pub struct Params {
    /// At most 3,000.
    pub seconds: f64,
}

/// How it ended.
#[derive(Serialize)]
pub struct Answer {
    /// The seconds it took.
    pub waited: f64,
}

/// Waits for whichever is first: the time, or the client's leaving.
pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer> {
    if !(0.0..=3000.0).contains(&params.seconds) {
        return Err(Error::new(2000, "seconds must be 0 to 3000"));
    }
    let started = tokio::time::Instant::now();
    tokio::select! {
        biased;
        () = handler.closed() => {}
        () = tokio::time::sleep(Duration::from_secs_f64(params.seconds)) => {}
    }
    Ok(Answer { waited: started.elapsed().as_secs_f64() })
}

/// The place to give back what the waiting held: a lock, a subscription.
pub async fn on_connection_close(closed: ClosedCall) {
    tracing::info!(id = closed.request().id(), "nobody waits any more");
}
