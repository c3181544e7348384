//! Generic code as most methods use it, compiled here once: rustc takes what it finds in a shared library from there, and a method is
//! compiled without it (measured: a method with an sqlx query in 232 ms instead of 399, one with params and an answer of its own in 233
//! instead of 265). Nothing here is ever called.

use method_sdk::generated::{MethodResult, RawParams, encode_answer, params};
use method_sdk::prelude::*;
use method_sdk::serde;

/// What waits for a database. Boxed, since what nobody can call is not compiled.
#[cfg(any(feature = "mongodb", feature = "mysql", feature = "postgres", feature = "sqlite"))]
type Work<'a> = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Types that params and answers are often made of.
#[derive(Serialize, Deserialize)]
#[serde(crate = "serde")]
struct TypicalParams {
    flag: bool,
    number: i64,
    size: u32,
    count: u64,
    price: f64,
    text: String,
    texts: Vec<String>,
    value: Value,
    maybe_flag: Option<bool>,
    maybe_number: Option<i64>,
    maybe_size: Option<u32>,
    maybe_count: Option<u64>,
    maybe_price: Option<f64>,
    maybe_text: Option<String>,
}

/// Reads and writes JSON.
pub fn json(raw: &RawParams) -> MethodResult {
    encode_answer::<(), _>(params::<(), ()>(raw))?;
    encode_answer::<(), _>(params::<(), Value>(raw))?;
    encode_answer::<(), _>(params::<(), TypicalParams>(raw))
}

macro_rules! queries {
    ($($feature:literal $database:ident $pool:ty;)*) => {
        $(
            /// Asks this database.
            #[cfg(feature = $feature)]
            pub fn $database(pool: &$pool) -> Work<'_> {
                Box::pin(async move {
                    let query = || sqlx::query("").bind(0_i64).bind("").bind(String::new());
                    query().execute(pool).await?;
                    query().fetch_one(pool).await?;
                    query().fetch_optional(pool).await?;
                    query().fetch_all(pool).await?;
                    sqlx::query_as::<_, (i64, String)>("").fetch_one(pool).await?;
                    sqlx::query_as::<_, (i64, String)>("").fetch_optional(pool).await?;
                    sqlx::query_as::<_, (i64, String)>("").fetch_all(pool).await?;
                    sqlx::query_scalar::<_, i64>("").fetch_one(pool).await?;
                    sqlx::query_scalar::<_, String>("").fetch_optional(pool).await?;
                    let mut transaction = pool.begin().await?;
                    query().execute(&mut *transaction).await?;
                    query().fetch_optional(&mut *transaction).await?;
                    Ok(transaction.commit().await?)
                })
            }
        )*
    };
}

queries! {
    "mysql" mysql sqlx::MySqlPool;
    "postgres" postgres sqlx::PgPool;
    "sqlite" sqlite sqlx::SqlitePool;
}

/// Asks MongoDB.
#[cfg(feature = "mongodb")]
pub fn mongodb(database: &mongodb::Database) -> Work<'_> {
    use mongodb::bson::{Document, doc};

    Box::pin(async move {
        let collection = database.collection::<Document>("");
        collection.find_one(doc! {}).await?;
        collection.insert_one(doc! {}).await?;
        collection.update_one(doc! {}, doc! {}).await?;
        collection.find_one_and_update(doc! {}, doc! {}).await?;
        collection.delete_one(doc! {}).await?;
        let mut found = collection.find(doc! {}).await?;
        while found.advance().await? {
            found.deserialize_current()?;
        }
        Ok(())
    })
}
