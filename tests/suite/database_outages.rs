//! An unreachable, slow or full database: error 1016 within the timeout, never a wrong result, and recovery without a restart.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::databases::{Database, Kind, Machine, over_every_server};
use crate::support::client::Session;
use crate::support::{Api, Listening as _, sign, wait_for_async};

over_every_server! {
    a_database_restarted_three_times_under_load_recovers_each_time
    a_database_unreachable_at_the_start_is_used_once_it_recovers
    a_database_slower_than_its_timeout_fails_calls_with_1016
    a_disconnect_before_invoke_has_begun_is_noticed
}

/// The result of a call, and when it came.
struct Call {
    code: i64,
    took: Duration,
    ended: Instant,
}

/// The state that the clients share.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    succeeded: AtomicUsize,
    refused: AtomicUsize,
}

impl Load {
    /// Waits for so many more calls of this kind.
    async fn wait_for(counter: &AtomicUsize, calls: usize) {
        let target = counter.load(Ordering::SeqCst) + calls;
        wait_for_async(async || counter.load(Ordering::SeqCst) >= target).await;
    }
}

/// Makes signed calls, one after the other, until the load stops; each response is the call's own or error 1016.
async fn run_client(api: Api, session: Session, client: usize, load: Arc<Load>) -> Vec<Call> {
    let mut calls = Vec::new();
    while !load.stop.load(Ordering::SeqCst) {
        let mine = json!([client, calls.len()]);
        let started = Instant::now();
        let reply = api.call_as(&session, "demo.echo", mine.clone()).await;
        let ended = Instant::now();
        match reply.code() {
            0 => assert_eq!(reply.result(), mine),
            code => assert_eq!((code, reply.header("retry-after")), (1016, Some("1")), "{reply:?}"),
        }
        let counter = if reply.code() == 0 { &load.succeeded } else { &load.refused };
        counter.fetch_add(1, Ordering::SeqCst);
        calls.push(Call { code: reply.code(), took: ended - started, ended });
        // A slower pace, which leaves the machine time for the database.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    calls
}

async fn a_database_restarted_three_times_under_load_recovers_each_time(kind: Kind) {
    const CLIENTS: usize = 16;
    // A machine with other work may take several times as long as the limits themselves; a call that hangs takes longer than that.
    const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);
    const MAX_DURATION: Duration = Duration::from_secs(15);
    let mut machine = Machine::start(kind);
    let database = Database::on(kind, &machine.url);
    let server = database.server_with(|config| config.database_timeout = DATABASE_TIMEOUT);
    let api = server.api();
    let alice = api.create("alice").await;
    let load = Arc::new(Load::default());
    let clients: Vec<_> =
        (0..CLIENTS).map(|client| tokio::spawn(run_client(api.clone(), alice.clone(), client, load.clone()))).collect();
    let mut restarts = Vec::new();
    for _ in 0..3 {
        Load::wait_for(&load.succeeded, 20 * CLIENTS).await;
        tokio::task::block_in_place(|| machine.stop());
        Load::wait_for(&load.refused, 2 * CLIENTS).await;
        let refused = api.login("alice").await;
        assert_eq!((refused.code(), refused.status), (1016, 503));
        assert_eq!(api.get("/readyz").await.status, 503);
        assert_eq!(api.get("/livez").await.status, 200);
        tokio::task::block_in_place(|| machine.restart());
        restarts.push(Instant::now());
        Load::wait_for(&load.succeeded, 2 * CLIENTS).await;
        assert_eq!(api.get("/readyz").await.status, 200);
    }
    load.stop.store(true, Ordering::SeqCst);
    let mut calls = Vec::new();
    for client in clients {
        calls.extend(client.await.unwrap());
    }
    let longest = calls.iter().map(|call| call.took).max().unwrap();
    let refused = calls.iter().filter(|call| call.code != 0).count();
    let first = |after: Instant| {
        calls.iter().filter(|call| call.code == 0 && call.ended > after).map(|call| call.ended - after).min()
    };
    let firsts: Vec<_> =
        restarts.into_iter().map(|after| first(after).expect("a success after each restart")).collect();
    println!(
        "{kind:?}: {} calls, {refused} refused with 1016, longest {longest:?}, first success after {firsts:?}",
        calls.len()
    );
    assert!(refused > 0, "the database was unreachable");
    assert!(longest < MAX_DURATION, "longest {longest:?}");
    assert!(firsts.iter().all(|first| *first < MAX_DURATION), "{firsts:?}");
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.result(), json!({ "count": 1 }), "nothing is lost");
}

async fn a_database_unreachable_at_the_start_is_used_once_it_recovers(kind: Kind) {
    let mut machine = Machine::start(kind);
    let database = Database::on(kind, &machine.url);
    machine.stop();
    let server = database.process(&["--database_timeout=2s"]);
    let api = server.api();
    assert_eq!(api.get("/livez").await.status, 200);
    assert_eq!(api.get("/readyz").await.status, 503);
    assert_eq!(api.call("demo.hello", json!({ "name": "alice", "n": 1 })).await.code(), 0, "needs no database");
    assert_eq!(api.call("demo.visits", json!({})).await.code(), 1016, "a method's own query");
    let parameters = json!({ "user_id": "alice", "password": "secret" });
    assert_eq!(api.call("account.create", parameters.clone()).await.code(), 1016);
    assert!(
        server.log().contains("is unreachable; calls that need it return error 1016 until it recovers"),
        "{}",
        server.log()
    );
    let check = database.command(&["check", "--database_timeout=2s"]).output().unwrap();
    let text = String::from_utf8_lossy(&check.stderr).into_owned();
    assert_eq!(check.status.code(), Some(1));
    assert!(text.contains("cannot use the database") && text.contains("refused"), "{text}");

    machine.restart();
    wait_for_async(async || api.get("/readyz").await.status == 200).await;
    let alice = api.create("alice").await;
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.result(), json!({ "count": 1 }));
    assert_eq!(api.call("demo.visits", json!({})).await.result(), json!({ "visits": 1 }), "its migration is applied");
    assert!(database.command(&["check"]).output().unwrap().status.success());
}

async fn a_database_slower_than_its_timeout_fails_calls_with_1016(kind: Kind) {
    let machine = Machine::start(kind);
    let database = Database::on(kind, &machine.url);
    let server = database.server_with(|config| {
        (config.database_timeout, config.database_connections) = (Duration::from_secs(1), 2);
    });
    let api = server.api();
    let alice = api.create("alice").await;
    let hold = Hold::on(&machine, &database).await;
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (api, alice) = (api.clone(), alice.clone());
            tokio::spawn(async move { api.call_as(&alice, "demo.echo", json!(1)).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().code(), 1016);
    }
    hold.end().await;
    wait_for_async(async || api.call_as(&alice, "demo.echo", json!(1)).await.code() == 0).await;
}

async fn a_disconnect_before_invoke_has_begun_is_noticed(kind: Kind) {
    let machine = Machine::start(kind);
    let database = Database::on(kind, &machine.url);
    let server = database.server_of(fixture::methods(), |config| config.database_timeout = Duration::from_secs(3600));
    let api = server.api();
    let alice = api.create("alice").await;
    let name = format!("early on {}", kind.name());
    let body = json!({ "method": "probe.leave", "parameters": name }).to_string();
    let (session, signature, length) = (&alice.id, sign("alice", body.as_bytes()), body.len());
    let hold = Hold::on(&machine, &database).await;
    let mut stream = server.connect();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nx-session-id: {session}\r\nx-hmac: {signature}\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    let mut piece = [0; 100];
    let length = stream.read(&mut piece).unwrap();
    assert!(piece[..length].starts_with(b"HTTP/1.1 100"), "the body is being read");
    stream.write_all(body.as_bytes()).unwrap();
    // A later request has been answered, so the server has received the earlier one, which waits for its session.
    assert_eq!(api.call("echo.ping", json!(1)).await.result(), 1);
    drop(stream);
    assert_eq!(api.call("echo.ping", json!(1)).await.result(), 1);
    let probe = fixture::_probe::probe(&name);
    assert_eq!(probe.count("started"), 0);
    probe.open();
    hold.end().await;
    wait_for_async(async || probe.count("ended") == 1 && probe.count("closed by alice") == 1).await;
}

/// A database that does not respond: its process is stopped, or, as PostgreSQL has many processes, a table is locked.
enum Hold {
    Process(Pid),
    #[cfg(feature = "postgres")]
    Table(method_sdk::sqlx::Transaction<'static, method_sdk::sqlx::Postgres>),
}

impl Hold {
    async fn on(machine: &Machine, database: &Database) -> Self {
        #[cfg(feature = "postgres")]
        if let Ok(pool) = database.handle().await.postgres() {
            let mut transaction = pool.begin().await.unwrap();
            let lock = method_sdk::sqlx::query("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE");
            lock.execute(&mut *transaction).await.unwrap();
            return Hold::Table(transaction);
        }
        let _ = database;
        let pid = machine.pid();
        kill_process(pid, Signal::STOP).unwrap();
        Hold::Process(pid)
    }

    async fn end(self) {
        match self {
            Hold::Process(pid) => kill_process(pid, Signal::CONT).unwrap(),
            #[cfg(feature = "postgres")]
            Hold::Table(transaction) => transaction.rollback().await.unwrap(),
        }
    }
}

#[cfg(feature = "mysql")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MySQL: run tests/run"]
async fn a_database_without_free_connections_fails_calls_with_1016() {
    use method_sdk::sqlx::{self, Connection as _, MySqlConnection};
    let machine = Machine::start(Kind::Mysql);
    let database = Database::on(Kind::Mysql, &machine.url);
    let server = database.process(&[]);
    let api = server.api();
    let mut others = vec![MySqlConnection::connect(&machine.url).await.unwrap()];
    sqlx::raw_sql("SET GLOBAL max_connections = 10").execute(&mut others[0]).await.unwrap();
    // The connections of this server are closed as well.
    let kill = "SELECT id FROM information_schema.processlist WHERE id != connection_id() AND user = 'root'";
    let ids: Vec<i64> = sqlx::query_scalar(kill).fetch_all(&mut others[0]).await.unwrap();
    for id in ids {
        let kill = sqlx::AssertSqlSafe(format!("KILL {id}"));
        let _ = sqlx::raw_sql(kill).execute(&mut others[0]).await;
    }
    while let Ok(another) = MySqlConnection::connect(&machine.url).await {
        others.push(another);
    }
    let parameters = json!({ "user_id": "alice", "password": "secret" });
    assert_eq!(api.call("account.create", parameters.clone()).await.code(), 1016);
    drop(others);
    wait_for_async(async || api.get("/readyz").await.status == 200).await;
    api.create("bob").await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_read_only_database_fails_writes_with_1016() {
    use method_sdk::sqlx;
    let machine = Machine::start(Kind::Postgres);
    let database = Database::on(Kind::Postgres, &machine.url);
    let alice = database.server().api().create("alice").await;
    let handle = database.handle().await;
    let pool = handle.postgres().unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(pool).await.unwrap();
    let alter = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    sqlx::raw_sql(sqlx::AssertSqlSafe(alter)).execute(pool).await.unwrap();
    let server = database.server();
    let api = server.api();
    assert_eq!(api.call_as(&alice, "demo.echo", json!(1)).await.code(), 0, "reads still work");
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.code(), 1016);
    let parameters = json!({ "user_id": "bob", "password": "secret" });
    assert_eq!(api.call("account.create", parameters).await.code(), 1016);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn an_sqlite_file_that_was_moved_fails_writes_with_1016_until_it_returns() {
    let database = Database::new(Kind::Sqlite);
    let server = database.server();
    let api = server.api();
    let alice = api.create("alice").await;
    let create = json!({ "user_id": "bob", "password": "secret" });
    let (path, moved) = (database.directory.path().join("simpleapi.db"), database.directory.path().join("moved.db"));
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.code(), 1016);
    assert_eq!(api.call("account.create", create.clone()).await.code(), 1016);
    assert_eq!(api.get("/readyz").await.status, 503);
    assert!(!path.exists(), "no empty file takes its place");
    std::fs::write(&path, "").unwrap();
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.code(), 1016);
    assert_eq!(api.get("/readyz").await.status, 503);
    std::fs::rename(&moved, &path).unwrap();
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.result(), json!({ "count": 1 }));
    assert_eq!(api.call("account.create", create).await.code(), 0);
    assert_eq!(api.get("/readyz").await.status, 200);
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_space_is_not_ready_and_nothing_acknowledged_is_lost() {
    let database = Database::new(Kind::Sqlite);
    // A file cannot grow beyond the limit, as on a full disk. The signal of that limit is ignored.
    let script = r#"trap '' XFSZ; ulimit -f 400; exec "$0" "$@""#;
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).arg(crate::support::server_binary());
    let server = crate::support::Process::start_command(&database.directory, command, &[]);
    let api = server.api();
    assert_eq!(api.get("/readyz").await.status, 200);
    let mut created = Vec::new();
    let refused = loop {
        let name = format!("user{}", created.len());
        let parameters = json!({ "user_id": name, "password": "secret" });
        match api.call("account.create", parameters).await {
            reply if reply.code() == 0 => created.push(name),
            reply => break reply,
        }
        assert!(created.len() < 1000, "the limit is reached");
    };
    assert_eq!((refused.code(), refused.status), (1016, 503));
    // A second after the last successful write of a probe, the next one writes.
    wait_for_async(async || api.get("/readyz").await.status == 503).await;
    assert_eq!(api.get("/livez").await.status, 200);
    drop(server); // killed
    let server = database.server();
    assert_eq!(server.api().get("/readyz").await.status, 200);
    for name in created {
        assert_eq!(server.api().login(&name).await.code(), 0, "{name}");
    }
}
