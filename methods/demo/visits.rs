//! Counts its calls in a table of its own, in any of the four databases.
use method_sdk::prelude::*;

/// The count.
#[derive(Serialize)]
pub struct Answer {
    /// The calls by all clients since the table was created, this one included.
    pub visits: i64,
}

/// Counts the call. In each database, one statement increments the count and returns it, so that no two calls receive the same count. The
/// tables are those of `migrations/`. A method for one database needs no `match`: `handler.connection().db().sqlite()?` returns its pool.
pub async fn invoke(handler: &mut Handler, _: ()) -> Result<Answer> {
    let visits = match handler.connection().db() {
        #[cfg(feature = "sqlite")]
        Database::Sqlite(pool) => {
            let count = "UPDATE demo_visits SET visits = visits + 1 WHERE page = 'home' RETURNING visits";
            sqlx::query_scalar(count).fetch_one(pool).await?
        }
        #[cfg(feature = "postgres")]
        Database::Postgres(pool) => {
            let count = "UPDATE demo_visits SET visits = visits + 1 WHERE page = 'home' RETURNING visits";
            sqlx::query_scalar(count).fetch_one(pool).await?
        }
        #[cfg(feature = "mysql")]
        Database::Mysql(pool) => {
            // `LAST_INSERT_ID(n)` makes MySQL return n as the last insert ID.
            let count = "UPDATE demo_visits SET visits = LAST_INSERT_ID(visits + 1) WHERE page = 'home'";
            sqlx::query(count).execute(pool).await?.last_insert_id().cast_signed()
        }
        #[cfg(feature = "mongodb")]
        Database::Mongodb(database) => {
            use mongodb::bson::{Document, doc};

            let pages = database.collection::<Document>("demo_visits");
            let count = pages.find_one_and_update(doc! { "_id": "home" }, doc! { "$inc": { "visits": 1_i64 } });
            let page = count.upsert(true).return_document(mongodb::options::ReturnDocument::After).await?;
            page.unwrap_or_default().get_i64("visits")?
        }
        other => return Err(Error::internal(format!("visits cannot be counted in the database {}", other.kind()))),
    };
    Ok(Answer { visits })
}
