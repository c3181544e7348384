//! Clients that send or take a byte from time to time, in every part of a request.

use std::io::Result;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Honest, MIB, Usage, address, api_from, connect, raise_file_limit};
use crate::databases::{Database, Kind};
use crate::support::{Listening as _, TIMEOUT, short_or_long, wait_for_async};

/// The time between two bytes.
const PAUSE: Duration = Duration::from_secs(1);

const HEAD: &str = "POST /demo/echo HTTP/1.1\r\nHost: x\r\nx-slow: ";
const BODY: &str = "POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n\"";

/// A head or a body that begins like this and never ends.
async fn slow_sender(server: SocketAddr, from: IpAddr, beginning: &str) -> Result<()> {
    let mut stream = connect(server, from).await?;
    stream.write_all(beginning.as_bytes()).await?;
    loop {
        tokio::time::sleep(PAUSE).await;
        stream.write_all(b"x").await?;
    }
}

/// A response of 64 KiB that is read byte by byte.
async fn slow_reader(server: SocketAddr, from: IpAddr) -> Result<()> {
    let mut stream = connect(server, from).await?;
    let body = format!("\"{}\"", "x".repeat(64 * 1024));
    let head = format!("POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    loop {
        tokio::time::sleep(PAUSE).await;
        if stream.read(&mut [0]).await? == 0 {
            return Ok(());
        }
    }
}

/// An HTTP/2 connection that grants its stream no window.
async fn zero_window(
    server: SocketAddr,
    from: IpAddr,
) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let stream = connect(server, from).await?;
    let (client, connection) = Builder::new().initial_window_size(0).handshake::<_, Bytes>(stream).await?;
    let connection = tokio::spawn(connection);
    let mut client: SendRequest<Bytes> = client.ready().await?;
    let request = Request::post("http://localhost/demo/echo").body(())?;
    let (response, mut sender) = client.send_request(request, false)?;
    sender.send_data(format!("\"{}\"", "x".repeat(1000)).into(), true)?;
    let mut body = response.await?.into_body();
    while let Some(chunk) = body.data().await {
        chunk?;
    }
    drop(client);
    Ok(connection.await??)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some time: run tests/run"]
async fn slow_clients_of_every_kind_are_not_felt_by_another_client() {
    let (clients, time) = short_or_long((200, Duration::from_secs(5)), (1000, Duration::from_secs(60)));
    raise_file_limit();
    let server = Database::new(Kind::ANY).process(&[]);
    let honest = api_from(&server, address(0));
    Honest::run(honest.clone(), Duration::from_secs(1)).await;
    let p99_before = Honest::run(honest.clone(), time / 4).await;
    let before = Usage::of(&server);

    let connections = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..clients)
        .map(|n| {
            let (server, from, connections) = (server.address(), address(1 + n / 200), connections.clone());
            tokio::spawn(async move {
                // A client whose connection is closed opens another.
                loop {
                    connections.fetch_add(1, Ordering::Relaxed);
                    match n % 4 {
                        0 => drop(slow_sender(server, from, HEAD).await),
                        1 => drop(slow_sender(server, from, BODY).await),
                        2 => drop(slow_reader(server, from).await),
                        _ => drop(zero_window(server, from).await),
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            })
        })
        .collect();
    let calls = Honest::start(honest.clone());
    wait_for_async(async || Usage::of(&server).descriptors > before.descriptors + clients / 2).await;
    tokio::time::sleep(time).await;
    let p99 = calls.finish().await;
    let during = Usage::of(&server);
    for task in tasks {
        task.abort();
    }
    let connections = connections.load(Ordering::Relaxed);
    // A figure of time counts only where nothing else runs, as under `tests/run hardening`.
    let max_p99 = short_or_long(TIMEOUT, (2 * p99_before).max(Duration::from_millis(5)));
    assert!(p99 < max_p99, "p99 {p99_before:?} before, {p99:?} during");
    // The kernel tells of each closed connection; memory is returned within 35 seconds.
    wait_for_async(async || {
        let now = Usage::of(&server);
        now.descriptors <= before.descriptors + before.descriptors / 5 && now.memory <= before.memory + 16 * MIB
    })
    .await;
    let after = Usage::of(&server);
    println!(
        "{clients} slow clients, {connections} connections in {time:?}: p99 of another client {p99_before:?} before, {p99:?} during; memory \
        {} MiB before, {} during, {} after; descriptors {}, {}, {}",
        before.memory / MIB,
        during.memory / MIB,
        after.memory / MIB,
        before.descriptors,
        during.descriptors,
        after.descriptors
    );
}
