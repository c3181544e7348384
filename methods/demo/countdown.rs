//! Streams a countdown of one line per second.
use std::time::Duration;

use method_sdk::prelude::*;

/// The start of the countdown.
#[derive(Deserialize)]
pub struct Params {
    /// Seconds.
    pub from: u16,
}

/// Streams the response. The answer `()` adds nothing to it.
pub async fn invoke(handler: &mut Handler, params: Params) -> Result<()> {
    handler.response_header("content-type", "text/plain; charset=utf-8")?;
    for n in (1..=params.from).rev() {
        handler.write(format!("{n}\n")).await?;
        handler.flush().await?;
        if n > 1 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    handler.finish().await
}
