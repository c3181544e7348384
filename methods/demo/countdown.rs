//! Streams a countdown, a line a second, each sent as it is due.
use std::time::Duration;

use method_sdk::prelude::*;

/// Where to begin.
#[derive(Deserialize)]
pub struct Params {
    /// Seconds.
    pub from: u16,
}

/// Writes by hand; the answer `()` sends nothing more.
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
