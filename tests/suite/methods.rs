//! The methods of this application, called without a socket: an example of tests for an application's methods.

use method_sdk::code;
use serde_json::json;
use simpleapi_server::testing::App;

#[tokio::test]
async fn a_method_is_called_with_a_session_in_three_lines() {
    let app = App::new(simpleapi::methods()).await;
    let alice = app.login("alice").await;
    assert_eq!(alice.call("demo.counter", json!({})).await.unwrap(), json!({ "count": 1 }));

    assert_eq!(alice.call("demo.counter", json!({})).await.unwrap(), json!({ "count": 2 }));
    let error = app.call("demo.counter", json!({})).await.unwrap_err();
    assert_eq!(error.code(), code::NOT_AUTHORIZED.number);
}

#[tokio::test]
async fn visits_are_counted_in_a_table_of_the_method() {
    let app = App::new(simpleapi::methods()).await;
    assert_eq!(app.call("demo.visits", json!({})).await.unwrap(), json!({ "visits": 1 }));
    assert_eq!(app.call("demo.visits", json!({})).await.unwrap(), json!({ "visits": 2 }));
}

#[tokio::test]
async fn a_methods_own_error_reaches_the_caller() {
    let app = App::new(simpleapi::methods()).await;
    let error = app.call("demo.hello", json!({ "name": "alice", "n": i64::MAX })).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (2000, "There is no next number"));
}

#[tokio::test]
async fn a_stream_is_collected_into_one_body() {
    let app = App::new(simpleapi::methods()).await;
    assert_eq!(app.exchange("demo.countdown", json!({ "from": 2 }), None).await.body, "2\n1\n");
}

#[tokio::test]
async fn a_login_verifies_one_password_hash_for_known_and_unknown_users_alike() {
    let app = App::new(simpleapi::methods()).await;
    app.login("alice").await;
    let long = "x".repeat(2000);
    for method in ["account.login", "account.update"] {
        for (user_id, password) in [
            ("alice", "password"),
            ("alice", "wrong"),
            ("unknown", "wrong"),
            ("", "wrong"),
            ("alice", ""),
            ("alice", &long),
        ] {
            let before = app.password_runs();
            let _ = app.call(method, json!({ "user_id": user_id, "password": password })).await;
            assert_eq!(app.password_runs() - before, 1, "{method} {user_id:?}");
        }
    }
}

#[tokio::test]
async fn state_over_64_kib_is_refused_and_a_conflict_is_detected() {
    let app = App::new(simpleapi::methods()).await;
    let alice = app.login("alice").await;
    let mut session = alice.session().clone();
    session.state().await.unwrap().insert("big".into(), "x".repeat(65 * 1024).into());
    assert_eq!(session.save_state().await.unwrap_err().code(), 1000);
    let (mut one, mut two) = (alice.session().clone(), alice.session().clone());
    one.state().await.unwrap().insert("a".into(), 1.into());
    two.state().await.unwrap().insert("b".into(), 2.into());
    one.save_state().await.unwrap();
    let conflict = two.save_state().await.unwrap_err();
    assert!(conflict.source().unwrap().is::<method_sdk::StateConflict>());
    two.update_state(|state| state.insert("b".into(), 2.into())).await.unwrap();
    assert_eq!(json!(two.state().await.unwrap()), json!({ "a": 1, "b": 2 }));
    one.save_state().await.unwrap_err();
}

#[tokio::test]
async fn the_state_of_a_session_that_has_ended_since_the_request_is_error_1007() {
    let app = App::new(simpleapi::methods()).await;
    let alice = app.login("alice").await;
    let (mut unread, mut read) = (alice.session().clone(), alice.session().clone());
    read.state().await.unwrap().insert("a".into(), 1.into());
    alice.call("account.logout", json!({})).await.unwrap();
    assert_eq!(unread.state().await.unwrap_err().code(), code::INVALID_SESSION_ID.number);
    assert_eq!(unread.update_state(|_| ()).await.unwrap_err().code(), code::INVALID_SESSION_ID.number);
    assert_eq!(read.save_state().await.unwrap_err().code(), code::INVALID_SESSION_ID.number);
}
