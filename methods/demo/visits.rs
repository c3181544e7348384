//! Counts its calls in a table of its own, in any of the four databases.
use method_sdk::prelude::*;

/// The count.
#[derive(Serialize)]
pub struct Answer {
    /// The calls by all clients since the table was created, this one included.
    pub visits: i64,
}

/// Counts the call. A method for one database needs no `match`: `handler.connection().db().sqlite()?` returns its pool.
pub async fn invoke(handler: &mut Handler, _: ()) -> Result<Answer> {
    let visits = match handler.connection().db() {
        #[cfg(feature = "mongodb")]
        Database::Mongodb(database) => mongodb::count(database).await?,
        #[cfg(feature = "mysql")]
        Database::Mysql(pool) => mysql::count(pool).await?,
        #[cfg(feature = "postgres")]
        Database::Postgres(pool) => postgres::count(pool).await?,
        #[cfg(feature = "sqlite")]
        Database::Sqlite(pool) => sqlite::count(pool).await?,
        other => return Err(Error::internal(format!("visits cannot be counted in the database {}", other.kind()))),
    };
    Ok(Answer { visits })
}

// In each database, one statement increments the count and returns it, so that no two calls receive the same count.

#[cfg(feature = "sqlite")]
mod sqlite {
    use method_sdk::sqlx::{self, SqlitePool};

    pub(super) async fn count(pool: &SqlitePool) -> sqlx::Result<i64> {
        let table = "CREATE TABLE IF NOT EXISTS demo_visits (page TEXT PRIMARY KEY, visits INTEGER NOT NULL)";
        sqlx::query(table).execute(pool).await?;
        let count =
            "INSERT INTO demo_visits VALUES ('home', 1) ON CONFLICT DO UPDATE SET visits = visits + 1 RETURNING visits";
        sqlx::query_scalar(count).fetch_one(pool).await
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use method_sdk::sqlx::{self, PgPool};

    pub(super) async fn count(pool: &PgPool) -> sqlx::Result<i64> {
        let count = "INSERT INTO demo_visits AS old VALUES ('home', 1) ON CONFLICT (page) DO UPDATE SET visits = old.visits + 1 RETURNING visits";
        match sqlx::query_scalar(count).fetch_one(pool).await {
            // The table does not exist yet. If two servers create it concurrently, PostgreSQL returns an error to one of them, which
            // then finds the table of the other.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => {
                let table = "CREATE TABLE IF NOT EXISTS demo_visits (page TEXT PRIMARY KEY, visits BIGINT NOT NULL)";
                let _ = sqlx::query(table).execute(pool).await;
                sqlx::query_scalar(count).fetch_one(pool).await
            }
            result => result,
        }
    }
}

#[cfg(feature = "mysql")]
mod mysql {
    use method_sdk::sqlx::{self, MySqlPool};

    pub(super) async fn count(pool: &MySqlPool) -> sqlx::Result<i64> {
        let table = "CREATE TABLE IF NOT EXISTS demo_visits (page VARCHAR(64) PRIMARY KEY, visits BIGINT NOT NULL)";
        sqlx::query(table).execute(pool).await?;
        // `LAST_INSERT_ID(n)` makes MySQL return n as the last insert ID.
        let count = "INSERT INTO demo_visits VALUES ('home', LAST_INSERT_ID(1)) ON DUPLICATE KEY UPDATE visits = LAST_INSERT_ID(visits + 1)";
        Ok(sqlx::query(count).execute(pool).await?.last_insert_id().cast_signed())
    }
}

#[cfg(feature = "mongodb")]
mod mongodb {
    use method_sdk::mongodb::bson::{Document, doc};
    use method_sdk::mongodb::error::{Error, Result};
    use method_sdk::mongodb::{Database, options::ReturnDocument};

    pub(super) async fn count(database: &Database) -> Result<i64> {
        let pages = database.collection::<Document>("demo_visits");
        let count = pages.find_one_and_update(doc! { "_id": "home" }, doc! { "$inc": { "visits": 1_i64 } });
        let page = count.upsert(true).return_document(ReturnDocument::After).await?.unwrap_or_default();
        page.get_i64("visits").map_err(Error::custom)
    }
}
