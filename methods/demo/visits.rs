//! Counts its calls in a table of its own, in the server's database.
use method_sdk::prelude::*;

/// How often.
#[derive(Serialize)]
pub struct Answer {
    /// Calls of everybody, this one included, since the table was made.
    pub visits: i64,
}

/// One statement makes the table if need be, the other counts: two servers never count the same visit.
pub async fn invoke(handler: &mut Handler, _: ()) -> Result<Answer> {
    let pool = handler.connection().db().sqlite()?;
    sqlx::query("CREATE TABLE IF NOT EXISTS demo_visits (page TEXT PRIMARY KEY, visits INTEGER NOT NULL)").execute(pool).await?;
    let count = "INSERT INTO demo_visits VALUES ('home', 1) ON CONFLICT DO UPDATE SET visits = visits + 1 RETURNING visits";
    Ok(Answer { visits: sqlx::query_scalar(count).fetch_one(pool).await? })
}
