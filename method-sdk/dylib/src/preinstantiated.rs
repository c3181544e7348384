//! Instances of generic code that most methods use. rustc takes an instance from a shared library that has it, so methods compile
//! without it: a method with an sqlx query in 232 ms instead of 399 ms, one with params and an answer of its own in 233 ms instead of
//! 265 ms. Nothing here is ever called.

use method_sdk::generated::{MethodResult, RawParams, encode_answer, params};
use method_sdk::prelude::*;
use method_sdk::serde;

/// The future of a query. It is boxed, because code that no one can call is not compiled.
#[cfg(any(feature = "mongodb", feature = "mysql", feature = "postgres", feature = "sqlite"))]
type Work<'a> = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// The types that the fields of params and answers often have.
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

/// Decodes params and encodes answers.
pub fn json(raw: &RawParams) -> MethodResult {
    encode_answer::<(), _>(params::<(), ()>(raw))?;
    encode_answer::<(), _>(params::<(), Value>(raw))?;
    encode_answer::<(), _>(params::<(), TypicalParams>(raw))
}

macro_rules! queries {
    ($($feature:literal $database:ident $pool:ty;)*) => {
        $(
            /// Queries this kind of database.
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

/// Queries MongoDB.
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
        let mut cursor = collection.find(doc! {}).await?;
        while cursor.advance().await? {
            cursor.deserialize_current()?;
        }
        Ok(())
    })
}
