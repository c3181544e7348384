//! Waits for a number of seconds and then answers, as in a long poll.
use std::time::Duration;

use method_sdk::prelude::*;

/// The time limit, instead of the server's `request_timeout`: an hour, because the caller chooses the time.
pub const TIMEOUT_SECONDS: u64 = 3600;

/// The time to wait.
#[derive(Deserialize)]
pub struct Params {
    /// 0 to 3,000.
    pub seconds: f64,
}

/// The time that has passed.
#[derive(Serialize)]
pub struct Answer {
    /// Seconds.
    pub waited: f64,
}

/// Waits until the time has passed or the client has disconnected.
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

/// Runs if the client disconnects while the method waits; it would release a lock or a subscription.
pub async fn on_connection_close(closed: ClosedCall) {
    tracing::info!(id = closed.request().id(), "the client has disconnected while waiting");
}
