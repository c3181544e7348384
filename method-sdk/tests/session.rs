//! The state of a session under concurrent requests.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use method_sdk::host::{AccountApi, BoxFuture, SessionRecord, StateRecord};
use method_sdk::serde_json::{Map, Value};
use method_sdk::{DatabaseHandle, Result, Session, StateConflict};

/// Accounts whose sessions are always saved by another request first, until `free_after` attempts.
struct ContendedAccounts {
    loads: AtomicU32,
    saves: AtomicU32,
    free_after: u32,
}

impl AccountApi for ContendedAccounts {
    fn connection(&self) -> &DatabaseHandle {
        unreachable!("a session's state needs no other database access")
    }

    fn create<'a>(&'a self, _: &'a str, _: &'a str, _: IpAddr) -> BoxFuture<'a, Result<SessionRecord>> {
        unreachable!()
    }

    fn login<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: IpAddr,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<SessionRecord>> {
        unreachable!()
    }

    fn update<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: IpAddr,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>>> {
        unreachable!()
    }

    fn logout<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        unreachable!()
    }

    fn clear_sessions<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        unreachable!()
    }

    fn save_state<'a>(&'a self, _: &'a str, _: i64, _: String) -> BoxFuture<'a, Result<bool>> {
        let attempts = self.saves.fetch_add(1, Ordering::Relaxed) + 1;
        Box::pin(async move { Ok(attempts > self.free_after) })
    }

    fn load_state<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<StateRecord>> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let version = i64::from(self.saves.load(Ordering::Relaxed));
        Box::pin(async move { Ok(StateRecord { text: format!(r#"{{"count":{version}}}"#), version }) })
    }
}

fn contended_session(free_after: u32) -> (Session, Arc<ContendedAccounts>) {
    let accounts = Arc::new(ContendedAccounts { loads: AtomicU32::new(0), saves: AtomicU32::new(0), free_after });
    (Session::new(record(None), accounts.clone()), accounts)
}

fn record(state: Option<StateRecord>) -> SessionRecord {
    SessionRecord { user_id: "alice".to_owned(), session_id: "secret".to_owned(), expires: i64::MAX, state }
}

fn increment(state: &mut Map<String, Value>) -> i64 {
    let count = state.get("count").and_then(Value::as_i64).unwrap_or(0) + 1;
    state.insert("count".to_owned(), count.into());
    count
}

#[tokio::test]
async fn a_state_that_came_with_the_session_is_read_again_only_after_a_conflict() {
    let (_, accounts) = contended_session(1);
    let state = StateRecord { text: r#"{"count":6}"#.to_owned(), version: 6 };
    let mut session = Session::new(record(Some(state)), accounts.clone());
    assert_eq!(session.state().await.unwrap()["count"], 6);
    assert_eq!(accounts.loads.load(Ordering::Relaxed), 0);
    assert_eq!(
        session.update_state(increment).await.unwrap(),
        2,
        "the first attempt conflicts, and the other request saved 1"
    );
    assert_eq!(accounts.loads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_state_is_read_when_it_is_first_asked_for_and_saved_only_then() {
    let (mut session, accounts) = contended_session(0);
    let counts = || (accounts.loads.load(Ordering::Relaxed), accounts.saves.load(Ordering::Relaxed));
    session.save_state().await.unwrap();
    assert_eq!(counts(), (0, 0));
    session.state().await.unwrap().insert("count".to_owned(), 5.into());
    assert_eq!(session.state().await.unwrap()["count"], 5);
    assert_eq!(counts(), (1, 0));
    session.save_state().await.unwrap();
    assert_eq!(session.update_state(increment).await.unwrap(), 6);
    assert_eq!(counts(), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn update_state_changes_the_state_that_another_request_has_saved() {
    let (mut session, accounts) = contended_session(3);
    assert_eq!(session.update_state(increment).await.unwrap(), 4);
    assert_eq!(accounts.saves.load(Ordering::Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn update_state_returns_the_conflict_after_20_attempts_and_a_few_seconds() {
    let (mut session, accounts) = contended_session(u32::MAX);
    let started = tokio::time::Instant::now();
    let error = session.update_state(increment).await.unwrap_err();
    assert_eq!((error.code(), accounts.saves.load(Ordering::Relaxed)), (1016, 20));
    assert!(error.source().unwrap().is::<StateConflict>());
    let waited = started.elapsed();
    assert!((100..7000).contains(&waited.as_millis()), "19 random delays of up to 512 ms: {waited:?}");

    let error = session.save_state().await.unwrap_err();
    assert_eq!((error.code(), accounts.saves.load(Ordering::Relaxed)), (1016, 21));
    assert!(error.source().unwrap().is::<StateConflict>());
}

#[tokio::test]
async fn a_state_that_is_too_deep_to_be_read_back_is_not_saved() {
    for (levels, is_saved) in [(127, true), (128, false), (100_000, false)] {
        let (mut session, accounts) = contended_session(0);
        let deep = (2..levels).fold(Value::Array(vec![]), |inner, _| Value::Array(vec![inner]));
        session.state().await.unwrap().insert("deep".to_owned(), deep);
        let saved = session.save_state().await;
        assert_eq!(
            (saved.is_ok(), accounts.saves.load(Ordering::Relaxed)),
            (is_saved, u32::from(is_saved)),
            "{levels}"
        );
        let state = session.state().await.unwrap();
        let deep = state.remove("deep").unwrap();
        let text = if levels < 1000 { format!(r#"{{"deep":{deep}}}"#) } else { String::new() };
        assert_eq!(serde_json::from_str::<Map<String, Value>>(&text).is_ok(), is_saved, "{levels}");
        std::mem::forget(deep); // a value of many levels overflows the stack when it is dropped
        session.save_state().await.unwrap();
    }
}
