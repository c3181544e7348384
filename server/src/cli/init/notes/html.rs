//! The page of the notes, at `/app.html`.
use method_sdk::prelude::*;

pub const GET: bool = true;

const POLICY: &str =
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:";

pub async fn invoke(handler: &mut Handler, _: ()) -> Result<()> {
    handler.response_header("content-type", "text/html; charset=utf-8")?;
    handler.response_header("content-security-policy", POLICY)?;
    handler.write(include_str!("../../web/app.html")).await?;
    handler.finish().await
}
