//! A MariaDB Galera cluster of three nodes, with a server on each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use method_sdk::sqlx::{self, Connection as _, MySqlConnection};
use serde_json::json;

use crate::databases::{Database, Kind, Machine};
use crate::server::Server;
use crate::support::client::Session;
use crate::support::{Api, Listening as _, directory, wait_for_async};

struct Cluster {
    servers: [Server; 3],
    /// Removed before the nodes stop.
    database: Arc<Database>,
    nodes: [Machine; 3],
}

impl Cluster {
    fn start() -> Self {
        let parent = directory();
        let nodes = ["one", "two", "three"].map(|name| Machine::start_node(&parent, name));
        let database = Database::on(Kind::Mysql, &nodes[0].url);
        let servers = nodes.each_ref().map(|node| database.on_node(&node.url).server());
        Cluster { servers, database, nodes }
    }

    async fn connect(&self, node: usize) -> MySqlConnection {
        MySqlConnection::connect(&self.database.on_node(&self.nodes[node].url).url).await.unwrap()
    }

    /// Waits until a statement that contains `sql` has begun on a node and has not ended.
    async fn wait_for_waiting_query(&self, node: usize, sql: &str) {
        let mut connection = self.connect(node).await;
        let count = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE concat('%', ?, '%') AND time_ms > 100             AND id <> connection_id()";
        wait_for_async(async || {
            sqlx::query_scalar::<_, i64>(count).bind(sql).fetch_one(&mut connection).await.unwrap() > 0
        })
        .await;
    }

    fn apis(&self) -> [Api; 3] {
        self.servers.each_ref().map(|server| server.api())
    }
}

/// A node that applies nothing, as one that lags behind, until the end of the pause.
struct Pause(MySqlConnection);

impl Pause {
    async fn begin(mut connection: MySqlConnection) -> Self {
        sqlx::raw_sql("FLUSH TABLES WITH READ LOCK").execute(&mut connection).await.unwrap();
        Pause(connection)
    }

    async fn end(mut self) {
        sqlx::raw_sql("UNLOCK TABLES").execute(&mut self.0).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Galera: run tests/run"]
async fn a_session_is_valid_or_has_ended_on_every_node_in_the_same_moment() {
    const LOGINS: usize = 10;
    let cluster = Cluster::start();
    let apis = cluster.apis();
    apis[0].create("alice").await;
    for n in 0..LOGINS {
        let (here, there) = (&apis[n % 3], &apis[(n + 1 + n % 2) % 3]);
        let session = here.login("alice").await.session();
        assert_eq!(there.call_as(&session, "demo.counter", json!({})).await.result(), json!({ "count": 1 }), "{n}");
        assert_eq!(here.call_as(&session, "demo.counter", json!({})).await.result(), json!({ "count": 2 }), "{n}");
        assert_eq!(there.call_as(&session, "account.logout", json!({})).await.code(), 0);
        assert_eq!(here.call_as(&session, "demo.echo", json!(1)).await.code(), 1007, "{n}");
    }
    // On a node that lags behind, the call waits.
    let pause = Pause::begin(cluster.connect(1).await).await;
    let session = apis[0].login("alice").await.session();
    let call = tokio::spawn({
        let api = apis[1].clone();
        async move { api.call_as(&session, "demo.echo", json!(1)).await.code() }
    });
    cluster.wait_for_waiting_query(1, "FROM sessions").await;
    pause.end().await;
    assert_eq!(call.await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Galera: run tests/run"]
async fn a_password_change_during_logins_on_other_nodes_leaves_no_session_of_the_old_password() {
    const CHANGES: usize = 20;
    let cluster = Cluster::start();
    let apis = cluster.apis();
    apis[0].create("alice").await;
    let mut password = "secret".to_owned();
    for n in 0..CHANGES {
        let logins: Vec<_> = (0..6)
            .map(|login| {
                let (api, password) = (apis[login % 2].clone(), password.clone());
                tokio::spawn(async move {
                    let parameters = json!({ "user_id": "alice", "password": password });
                    let reply = api.call("account.login", parameters).await;
                    (reply.code() == 0).then(|| reply.session())
                })
            })
            .collect();
        let new = format!("secret {n}");
        let update = json!({ "user_id": "alice", "password": password, "new_password": new });
        let changed = apis[2].call("account.update", update).await;
        let mut sessions = Vec::new();
        for login in logins {
            sessions.extend(login.await.unwrap());
        }
        if changed.code() != 0 {
            assert_eq!(changed.code(), 1016, "other logins came first");
            continue;
        }
        for session in sessions {
            assert_eq!(apis[n % 3].call_as(&session, "demo.echo", json!(1)).await.code(), 1007, "{n}");
        }
        assert_eq!(apis[n % 3].call_as(&changed.session(), "demo.echo", json!(1)).await.code(), 0);
        password = new;
    }
    assert_ne!(password, "secret", "some changes succeeded");
}

/// The observations of one client.
#[derive(Default)]
struct Seen {
    /// The last count that was acknowledged.
    count: u64,
    /// The saves without an answer that says whether they have happened.
    uncertain: u64,
    created: Vec<String>,
    refused: usize,
    /// The time of each success.
    successes: Vec<Instant>,
}

/// Saves the state of a session, and creates an account at every tenth call, until `stop`.
async fn save_and_create(api: Api, session: Session, stop: Arc<AtomicBool>, calls: Arc<AtomicUsize>) -> Seen {
    let mut seen = Seen::default();
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let reply = if n % 10 == 9 {
            let user_id = format!("{} {n}", session.user);
            let reply = api.call("account.create", json!({ "user_id": user_id, "password": "secret" })).await;
            seen.created.extend((reply.code() == 0).then_some(user_id));
            reply
        } else {
            let reply = api.call_as(&session, "demo.counter", json!({})).await;
            if reply.code() == 0 {
                let count = reply.result()["count"].as_u64().unwrap();
                let possible = seen.count + 1..=seen.count + 1 + seen.uncertain;
                assert!(possible.contains(&count), "{count} is not in {possible:?}");
                (seen.count, seen.uncertain) = (count, 0);
            } else {
                seen.uncertain += 1;
            }
            reply
        };
        assert!([0, 1016].contains(&reply.code()), "{reply:?}");
        if reply.code() == 0 {
            seen.successes.push(Instant::now());
            calls.fetch_add(1, Ordering::SeqCst);
        } else {
            seen.refused += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Galera: run tests/run"]
async fn a_node_killed_under_load_loses_no_acknowledged_change() {
    const CLIENTS: usize = 4;
    const NODE: usize = 2;
    let mut cluster = Cluster::start();
    let apis = cluster.apis();
    let stop = Arc::new(AtomicBool::new(false));
    let calls: [Arc<AtomicUsize>; 3] = Default::default();
    let mut clients = Vec::new();
    for (node, api) in apis.iter().enumerate() {
        for client in 0..CLIENTS {
            let session = apis[0].create(&format!("user {node} {client}")).await;
            let run = save_and_create(api.clone(), session.clone(), stop.clone(), calls[node].clone());
            clients.push((node, session, tokio::spawn(run)));
        }
    }
    let wait_for_calls = async |nodes: &[usize]| {
        let before = calls.each_ref().map(|calls| calls.load(Ordering::SeqCst));
        wait_for_async(async || {
            nodes.iter().all(|node| calls[*node].load(Ordering::SeqCst) >= before[*node] + 20 * CLIENTS)
        })
        .await;
    };
    wait_for_calls(&[0, 1, 2]).await;
    let killed = Instant::now();
    cluster.nodes[NODE].kill();
    wait_for_calls(&[0, 1]).await;
    wait_for_async(async || apis[NODE].get("/readyz").await.status == 503).await;
    wait_for_calls(&[0, 1]).await;
    let restarted = Instant::now();
    tokio::task::block_in_place(|| cluster.nodes[NODE].restart());
    let joined = Instant::now();
    wait_for_calls(&[0, 1, 2]).await;
    stop.store(true, Ordering::SeqCst);

    let mut longest_gap = Duration::ZERO;
    let mut refused = [0; 3];
    let mut first_after_join = Duration::MAX;
    for (node, session, client) in clients {
        let seen = client.await.unwrap();
        refused[node] += seen.refused;
        let gaps = seen.successes.windows(2).filter(|pair| pair[1] > killed && pair[0] < restarted);
        if node == NODE {
            let after = seen.successes.iter().filter(|success| **success > joined).min().unwrap();
            first_after_join = first_after_join.min(*after - joined);
        } else {
            longest_gap = longest_gap.max(gaps.map(|pair| pair[1] - pair[0]).max().unwrap_or_default());
        }
        for api in &apis {
            for user_id in seen.created.iter().step_by(5) {
                assert_eq!(api.login(user_id).await.code(), 0, "{user_id}");
            }
        }
        let count = apis[NODE].call_as(&session, "demo.counter", json!({})).await.result()["count"].as_u64().unwrap();
        assert!((seen.count + 1..=seen.count + 1 + seen.uncertain).contains(&count), "{count} after {}", seen.count);
    }
    println!(
        "a node was killed: the longest wait of a client of another node is {longest_gap:?}, refused {refused:?}; the node needed \
        {:?} to join, and its server {first_after_join:?} more",
        joined - restarted
    );
    assert!(refused[NODE] > 0, "the node was killed");
}
