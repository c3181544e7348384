//! The number of round trips of a call to the database, as the database counts them.

use serde_json::json;

use crate::databases::{Database, Kind, Machine, over_every_server};
use crate::support::{Listening as _, wait_for_async};

over_every_server! {
    an_authenticated_call_is_one_round_trip
    a_change_of_a_short_state_is_one_round_trip_more_and_in_mongodb_two
}

async fn an_authenticated_call_is_one_round_trip(kind: Kind) {
    assert_eq!(round_trips(kind, "demo.echo").await, [1, 1]);
}

async fn a_change_of_a_short_state_is_one_round_trip_more_and_in_mongodb_two(kind: Kind) {
    let expected = if kind.name() == "mongodb" { 3 } else { 2 };
    assert_eq!(round_trips(kind, "demo.counter").await, [expected; 2]);
}

/// Returns the round trips of a signed call of a method, twice: rounded down and up.
async fn round_trips(kind: Kind, method: &str) -> [u64; 2] {
    const CALLS: u64 = 100;
    let machine = Machine::start(kind);
    let database = Database::on(kind, &machine.url);
    let counter = Counter::new(&database).await;
    let server = database.server_with(|config| config.database_connections = 2);
    let api = server.api();
    let alice = api.create("alice").await;
    let call = async || assert_eq!(api.call_as(&alice, method, json!({})).await.code(), 0);
    // Each connection prepares the statement once.
    for _ in 0..10 {
        call().await;
    }
    let counter = counter.calibrate(&machine).await;
    let before = counter.read(&machine).await;
    for _ in 0..CALLS {
        call().await;
    }
    let after = counter.read(&machine).await;
    let counted = after - before - counter.cost;
    println!("{kind:?}: {counted} round trips in {CALLS} authenticated calls of {method}");
    [counted / CALLS, counted.div_ceil(CALLS)]
}

/// Counts the commands that a database has received.
struct Counter {
    handle: method_sdk::Database,
    /// The commands that reading the count adds.
    cost: u64,
}

impl Counter {
    async fn new(database: &Database) -> Self {
        let handle = database.handle().await;
        #[cfg(feature = "postgres")]
        if let Ok(pool) = handle.postgres() {
            use method_sdk::sqlx;
            sqlx::raw_sql("ALTER SYSTEM SET log_statement = 'all'").execute(pool).await.unwrap();
            sqlx::raw_sql("SELECT pg_reload_conf()").execute(pool).await.unwrap();
            // A new connection has the configuration of the server's main process.
            wait_for_async(async || {
                use sqlx::Connection as _;
                let mut connection = sqlx::PgConnection::connect(&database.url).await.unwrap();
                let setting: String =
                    sqlx::query_scalar("SHOW log_statement").fetch_one(&mut connection).await.unwrap();
                setting == "all"
            })
            .await;
            return Counter { handle: database.handle().await, cost: 0 };
        }
        Counter { handle, cost: 0 }
    }

    /// Measures the cost of reading the count.
    async fn calibrate(self, machine: &Machine) -> Self {
        // The minimum of several readings, which contains no other client's commands.
        let mut reads = Vec::new();
        for _ in 0..4 {
            reads.push(self.read(machine).await);
        }
        let cost = reads.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        Counter { cost, ..self }
    }

    async fn read(&self, machine: &Machine) -> u64 {
        match &self.handle {
            // Statements, and pings, which MySQL does not count as statements.
            #[cfg(feature = "mysql")]
            method_sdk::Database::Mysql(_) => {
                use method_sdk::sqlx::{self, Connection as _, MySqlConnection};
                // A new connection, whose cost is constant; a pool sends pings at times of its own.
                let mut connection = MySqlConnection::connect(&machine.url).await.unwrap();
                let status = "SELECT CAST(sum(variable_value) AS UNSIGNED) FROM information_schema.global_status
                    WHERE variable_name IN ('questions', 'com_stmt_prepare', 'com_admin_commands')";
                sqlx::query_scalar(status).fetch_one(&mut connection).await.unwrap()
            }
            // The log has a line for each statement.
            #[cfg(feature = "postgres")]
            method_sdk::Database::Postgres(_) => {
                let log = machine.file("log");
                let lines = log.lines().filter(|line| line.contains("execute ") || line.contains("statement: "));
                lines.count() as u64
            }
            // FerretDB counts commands, of which monitoring sends `hello`.
            #[cfg(feature = "mongodb")]
            method_sdk::Database::Mongodb(_) => {
                let port = machine.file("debug_port");
                let metrics = reqwest::get(format!("http://127.0.0.1:{}/debug/metrics", port.trim())).await.unwrap();
                let metrics = metrics.text().await.unwrap();
                let commands = metrics.lines().filter(|line| line.starts_with("ferretdb_client_requests_total{"));
                let commands = commands.filter(|line| !line.contains("\"hello\"") && !line.contains("\"ping\""));
                commands.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
            }
            other => unreachable!("{} has no counters", other.kind()),
        }
    }
}
