//! A load that lasts: nothing fails, and nothing grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{MIB, Usage};
use crate::databases::{Database, Kind};
use crate::support::client::Session;
use crate::support::{Api, Listening as _, short_or_long};

const CLIENTS: usize = 16;

/// Calls with a pause that keeps each client to its rate, until the load stops. Returns the number of calls.
async fn call_until(api: Api, session: Session, interval: Duration, stop: Arc<AtomicBool>) -> u64 {
    let mut pace = tokio::time::interval(interval.max(Duration::from_micros(1)));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut calls = 0;
    while !stop.load(Ordering::SeqCst) {
        pace.tick().await;
        assert_eq!(api.call_as(&session, "demo.echo", json!(calls)).await.result(), json!(calls));
        calls += 1;
    }
    calls
}

/// Runs signed calls for a time, and returns their rate. `measure` is called every second.
async fn load(api: &Api, sessions: &[Session], interval: Duration, time: Duration, mut measure: impl FnMut()) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let clients: Vec<_> = sessions
        .iter()
        .map(|session| tokio::spawn(call_until(api.clone(), session.clone(), interval, stop.clone())))
        .collect();
    while started.elapsed() < time {
        tokio::time::sleep(Duration::from_secs(1)).await;
        measure();
    }
    stop.store(true, Ordering::SeqCst);
    let calls = AtomicU64::new(0);
    for client in clients {
        calls.fetch_add(client.await.unwrap(), Ordering::SeqCst);
    }
    calls.into_inner() as f64 / started.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some time: run tests/run"]
async fn signed_calls_at_seven_tenths_of_the_best_rate_do_not_fail_and_nothing_grows() {
    let (time, settling) = short_or_long((Duration::from_secs(6), 3), (Duration::from_secs(600), 60));
    let server = Database::new(Kind::ANY).process(&[]);
    let api = server.api();
    let mut sessions = Vec::new();
    for n in 0..CLIENTS {
        sessions.push(api.create(&format!("user{n}")).await);
    }
    let best = load(&api, &sessions, Duration::ZERO, Duration::from_secs(3), || {}).await;
    let interval = Duration::from_secs_f64(CLIENTS as f64 / (0.7 * best));
    let mut usages = Vec::new();
    let rate = load(&api, &sessions, interval, time, || usages.push(Usage::of(&server))).await;
    let (settled, last) = (usages[settling], usages[usages.len() - 1]);
    println!(
        "{:.0} signed calls a second for {time:?} (best {best:.0}): memory {:.1} MiB after {settling} s, {:.1} at the end; descriptors {} and {}",
        rate,
        settled.memory as f64 / MIB as f64,
        last.memory as f64 / MIB as f64,
        settled.descriptors,
        last.descriptors
    );
    assert!(last.memory < settled.memory + settled.memory / 20, "the memory grows");
    assert_eq!(last.descriptors, settled.descriptors);
}
