//! The script of the page, at `/app.js`: `npm run build` in `web/` makes it of `app.ts` and the client.
use method_sdk::prelude::*;

pub const GET: bool = true;

pub async fn invoke(handler: &mut Handler, _: ()) -> Result<()> {
    handler.response_header("content-type", "text/javascript; charset=utf-8")?;
    handler.write(include_str!("../../web/app.js")).await?;
    handler.finish().await
}
