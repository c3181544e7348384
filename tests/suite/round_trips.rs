//! What a call costs the database, by the database's own count.

use serde_json::json;

use crate::databases::{Database, Kind, Machine, over_every_server};

over_every_server! {
    an_authenticated_call_is_one_round_trip
}

async fn an_authenticated_call_is_one_round_trip(kind: Kind) {
    const CALLS: u64 = 100;
    let machine = Machine::start(kind);
    let database = Database::on(kind, &machine.url);
    let server = database.server(&["--database_connections=2"]);
    let api = server.api();
    let alice = api.create("alice").await;
    let call = async || assert_eq!(api.call_as(&alice, "demo.echo", json!(1)).await.result(), json!(1));
    // Each connection prepares the statement once.
    for _ in 0..10 {
        call().await;
    }
    let counter = Counter::new(&machine, &database).await;
    let before = counter.read(&machine).await;
    for _ in 0..CALLS {
        call().await;
    }
    let after = counter.read(&machine).await;
    let counted = after - before - counter.own;
    println!("{kind:?}: {counted} round trips in {CALLS} authenticated calls");
    assert_eq!(counted, CALLS);
}

/// The commands that a database has been sent.
struct Counter {
    handle: method_sdk::Database,
    /// Those that reading the count adds.
    own: u64,
}

impl Counter {
    async fn new(machine: &Machine, database: &Database) -> Self {
        let handle = database.handle().await;
        #[cfg(feature = "postgres")]
        if let Ok(pool) = handle.postgres() {
            use method_sdk::sqlx;
            sqlx::raw_sql("ALTER SYSTEM SET log_statement = 'all'").execute(pool).await.unwrap();
            sqlx::raw_sql("SELECT pg_reload_conf()").execute(pool).await.unwrap();
            // Until the server's sessions have read it.
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        let mut counter = Counter { handle, own: 0 };
        // The least of several, so that nothing else is counted that happens to come in between.
        let mut reads = Vec::new();
        for _ in 0..4 {
            reads.push(counter.read(machine).await);
        }
        counter.own = reads.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        counter
    }

    async fn read(&self, machine: &Machine) -> u64 {
        match &self.handle {
            // Statements, and pings, which are not among them.
            #[cfg(feature = "mysql")]
            method_sdk::Database::Mysql(_) => {
                use method_sdk::sqlx::{self, Connection as _, MySqlConnection};
                // A connection anew, which always costs the same, where a pool would send pings when it likes.
                let mut connection = MySqlConnection::connect(&machine.url).await.unwrap();
                let status = "SELECT CAST(sum(variable_value) AS UNSIGNED) FROM information_schema.global_status
                    WHERE variable_name IN ('questions', 'com_stmt_prepare', 'com_admin_commands')";
                sqlx::query_scalar(status).fetch_one(&mut connection).await.unwrap()
            }
            // The log has a line of each statement.
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
