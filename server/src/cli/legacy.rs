//! The accounts of an ancestor's database, read one after the other.

use tokio::sync::mpsc;

/// Accounts that may wait to be taken.
const AHEAD: usize = 100;

/// An account as the ancestor kept it.
pub(crate) struct Account {
    pub(crate) user_id: String,
    /// The SHA-256 that it kept of a password, in hex.
    pub(crate) password: String,
}

/// An account, or why there are no more: a sentence.
pub(crate) type Row = Result<Account, String>;

/// All accounts of the database at `url`; an error is the last item.
pub(crate) fn read(url: String) -> mpsc::Receiver<Row> {
    let (accounts, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let done: Result<(), String> = match url.split_once("://") {
            #[cfg(feature = "mongodb")]
            Some(("mongodb" | "mongodb+srv", _)) => mongodb::read(&url, &accounts)
                .await
                .map_err(|error| format!("--from {}", crate::store::mongodb::describe_url_error(&error))),
            #[cfg(feature = "mysql")]
            Some(("mysql" | "mariadb", _)) => mysql::read(&url, &accounts).await.map_err(|error| error.to_string()),
            _ => Err(format!("--from takes {SCHEMES}")),
        };
        if let Err(problem) = done {
            let _ = accounts.send(Err(format!("cannot read the ancestor's accounts: {problem}"))).await;
        }
    });
    receiver
}

const SCHEMES: &str = if cfg!(all(feature = "mongodb", feature = "mysql")) {
    "a URL that begins with mongodb:// or mysql://"
} else if cfg!(feature = "mongodb") {
    "a URL that begins with mongodb:// (this build is without mysql)"
} else if cfg!(feature = "mysql") {
    "a URL that begins with mysql:// (this build is without mongodb)"
} else {
    "a URL of MongoDB or MySQL, and this build is without both"
};

#[cfg(feature = "mongodb")]
mod mongodb {
    use ::mongodb::bson::{Document, doc};
    use ::mongodb::{Client, error::Result};
    use tokio::sync::mpsc::Sender;

    use super::{Account, Row};

    /// The ancestor's own default.
    const DATABASE: &str = "simple_api_server";

    pub(super) async fn read(url: &str, accounts: &Sender<Row>) -> Result<()> {
        let client = Client::with_uri_str(url).await?;
        let database = client.default_database().unwrap_or_else(|| client.database(DATABASE));
        let fields = doc! { "user_id": 1, "password": 1 };
        let mut cursor = database.collection::<Document>("accounts").find(doc! {}).projection(fields).await?;
        while cursor.advance().await? {
            let account = cursor.deserialize_current()?;
            let text = |field| account.get_str(field).unwrap_or_default().to_owned();
            if accounts.send(Ok(Account { user_id: text("user_id"), password: text("password") })).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "mysql")]
mod mysql {
    use futures_util::TryStreamExt;
    use sqlx::mysql::MySqlConnection;
    use sqlx::{Connection, Result};
    use tokio::sync::mpsc::Sender;

    use super::{Account, Row};

    pub(super) async fn read(url: &str, accounts: &Sender<Row>) -> Result<()> {
        let mut connection = MySqlConnection::connect(url).await?;
        let select = "SELECT CONVERT(user_id USING utf8mb4), CONVERT(password USING utf8mb4) FROM account";
        let mut rows = sqlx::query_as::<_, (String, Option<String>)>(select).fetch(&mut connection);
        while let Some((user_id, password)) = rows.try_next().await? {
            let password = password.unwrap_or_default();
            if accounts.send(Ok(Account { user_id, password })).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}
