//! Floods of bodies, of logins, and of clients that disconnect.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use super::{Honest, MIB, Usage, address, api_from, connect, raise_file_limit};
use crate::databases::{Database, Kind};
use crate::support::{Listening as _, TIMEOUT, short_or_long, wait_for_async};

/// Sends half of a body of a mebibyte, and the rest when `released`. Returns the status of the response.
async fn send_mebibyte(server: SocketAddr, number: usize, mut released: watch::Receiver<bool>) -> Option<u16> {
    static HALF: [u8; 1 << 19] = [b'1'; 1 << 19];
    let mut stream = connect(server, address(number / 240)).await.ok()?;
    let head = "POST /demo/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(&HALF).await.ok()?;
    released.wait_for(|released| *released).await.ok()?;
    let _ = stream.write_all(&HALF).await;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.ok()?;
    std::str::from_utf8(response.get(9..12)?).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some time: run tests/run"]
async fn a_flood_of_bodies_stays_within_the_budget_and_its_memory_is_returned() {
    const BUDGET: u64 = 256 * MIB;
    let clients = short_or_long(600, 4096 - 16);
    raise_file_limit();
    let server = Database::new(Kind::ANY).process(&[]);
    let honest = api_from(&server, address(1000));
    Honest::run(honest.clone(), Duration::from_secs(1)).await;
    let before = Usage::of(&server);
    let (release, released) = watch::channel(false);
    let requests: Vec<_> =
        (0..clients).map(|number| tokio::spawn(send_mebibyte(server.address(), number, released.clone()))).collect();
    let calls = Honest::start(honest.clone());
    wait_for_async(async || Usage::of(&server).descriptors >= before.descriptors + clients).await;
    release.send(true).unwrap();
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await.unwrap());
    }
    calls.finish().await;
    let count = |status: Option<u16>| statuses.iter().filter(|found| **found == status).count();
    let (ok, refused) = (count(Some(200)), count(Some(503)));
    assert!(ok > 0 && ok + refused == clients, "{ok} succeeded, {refused} were refused, {} got nothing", count(None));
    let peak = Usage::of(&server).max_memory;
    assert!(peak < BUDGET + 100 * MIB, "{} MiB", peak / MIB);
    wait_for_async(async || Usage::of(&server).memory < before.memory + 50 * MIB).await;
    println!(
        "{clients} bodies of a mebibyte: {ok} succeeded, {refused} were refused; memory {} MiB before, {} at most, {} after",
        before.memory / MIB,
        peak / MIB,
        Usage::of(&server).memory / MIB
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some time: run tests/run"]
async fn a_flood_of_logins_from_three_addresses_does_not_keep_others_out() {
    const FLOOD: usize = 200;
    let honest_logins = short_or_long(5, 40);
    let server = Database::new(Kind::ANY).process(&[]);
    let other = api_from(&server, address(100));
    other.create("alice").await;
    let stop = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..FLOOD)
        .map(|n| {
            let (api, stop) = (api_from(&server, address(1 + n % 3)), stop.clone());
            tokio::spawn(async move {
                let mut attempts = 0;
                while !stop.load(Ordering::SeqCst) {
                    // Another user id each time, so that no account's wait ends the flood.
                    let parameters = json!({ "user_id": format!("stranger {n} {attempts}"), "password": "guess" });
                    let code = api.call("account.login", parameters).await.code();
                    assert!([1005, 1016].contains(&code), "{code}");
                    attempts += 1;
                }
                attempts
            })
        })
        .collect();
    let calls = Honest::start(api_from(&server, address(101)));
    let mut longest = Duration::ZERO;
    for n in 0..honest_logins {
        let started = Instant::now();
        let reply = api_from(&server, address(102 + n)).login("alice").await;
        longest = longest.max(started.elapsed());
        assert_eq!(reply.code(), 0, "{reply:?}");
    }
    let p99 = calls.finish().await;
    let memory = Usage::of(&server).max_memory;
    stop.store(true, Ordering::SeqCst);
    let mut attempts = 0;
    for client in flood {
        attempts += client.await.unwrap();
    }
    println!(
        "{attempts} attempts of {FLOOD} clients: the longest of {honest_logins} other logins took {longest:?}, p99 of another method {p99:?}, \
        memory at most {} MiB",
        memory / MIB
    );
    assert!(memory < 200 * MIB, "{} MiB", memory / MIB);
    // Figures of time count only where nothing else runs, as under `tests/run hardening`.
    assert!(longest < short_or_long(TIMEOUT, Duration::from_secs(5)), "{longest:?}");
    assert!(p99 < short_or_long(TIMEOUT, Duration::from_millis(50)), "{p99:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some time: run tests/run"]
async fn clients_that_disconnect_leave_nothing_behind() {
    const AT_THE_SAME_TIME: usize = 100;
    let rounds = short_or_long(5, 100);
    let server = Database::new(Kind::ANY).process(&[]);
    let honest = api_from(&server, address(0));
    let alice = honest.create("alice").await;
    Honest::run(honest.clone(), Duration::from_secs(1)).await;
    let before = Usage::of(&server);
    let pieces: [&[u8]; 4] = [
        b"POST /demo/echo HT",
        b"POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n\"x",
        b"POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n\"x\"",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ];
    let calls = Honest::start(honest.clone());
    for round in 0..rounds {
        let clients: Vec<_> = (0..AT_THE_SAME_TIME)
            .map(|n| {
                let (server, piece) = (server.address(), pieces[(round + n) % pieces.len()]);
                tokio::spawn(async move {
                    let mut stream = connect(server, address(1 + n % 4)).await.unwrap();
                    stream.write_all(piece).await.unwrap();
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    }
    calls.finish().await;
    wait_for_async(async || {
        let now = Usage::of(&server);
        now.descriptors <= before.descriptors && now.memory <= before.memory + 16 * MIB
    })
    .await;
    // The database's connections are free too.
    for count in 1..=20 {
        assert_eq!(honest.call_as(&alice, "demo.counter", json!({})).await.result(), json!({ "count": count }));
    }
    let after = Usage::of(&server);
    println!(
        "{} clients disconnected: descriptors {} before, {} after; memory {} and {} MiB",
        rounds * AT_THE_SAME_TIME,
        before.descriptors,
        after.descriptors,
        before.memory / MIB,
        after.memory / MIB
    );
}
