//! Exchanges recorded from the Python version, replayed: its clients see the same responses.

use std::collections::HashMap;

use serde_json::Value;

use crate::server::Server;
use crate::support::{Listening as _, sign};

/// Replaces the Python version's responses that expose Python with this server's.
fn translate(note: &str, recorded: &Value) -> Value {
    let mut expected = recorded.clone();
    if note == "malformed body" {
        assert_eq!(recorded["error"]["code"], 1000);
        expected["error"] = serde_json::json!({ "value": "Malformed request", "code": 1015 });
    }
    expected
}

/// Removes the values that differ between runs, and checks their types.
fn without_variable_fields(mut body: Value) -> Value {
    if let Some(result) = body.get_mut("result").and_then(Value::as_object_mut)
        && let Some(id) = result.remove("session_id")
    {
        assert!(id.is_string());
        assert!(result.remove("expires").unwrap().is_number());
    }
    body
}

#[tokio::test]
async fn every_recorded_exchange_of_the_python_version_has_the_same_response() {
    let server = Server::fixture();
    let api = server.api();
    let transcript = include_str!("../fixtures/python/transcript.jsonl");
    let mut live_ids: HashMap<String, String> = HashMap::new();
    let mut exchanges = 0;
    for line in transcript.lines() {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let (note, request) = (exchange["note"].as_str().unwrap(), &exchange["request"]);
        let body = request["body"].as_str().unwrap();
        let headers: Vec<(&str, &str)> = request["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .map(|(name, value)| (name, live_ids.get(value).map_or(value, String::as_str)))
            .collect();

        let reply = api.send("/", body, &headers).await;

        let recorded: Value = serde_json::from_str(exchange["response"]["body"].as_str().unwrap()).unwrap();
        assert_eq!(reply.status, exchange["response"]["status"], "{note}");
        assert_eq!(
            without_variable_fields(reply.json()),
            without_variable_fields(translate(note, &recorded)),
            "{note}"
        );
        let was_signed = exchange["response"]["headers"].get("x-hmac").is_some();
        assert_eq!(reply.header("x-hmac").is_some(), was_signed, "{note}");
        if was_signed {
            let user = if note.starts_with("unicode") { "zoë" } else { "alice" };
            assert!(reply.is_signed_by(user), "{note}");
        }
        if let Some(id) = recorded["result"]["session_id"].as_str() {
            live_ids.insert(id.to_owned(), reply.session().id);
        }
        exchanges += 1;
    }
    assert_eq!(exchanges, 24);
}

#[tokio::test]
async fn an_unknown_method_is_refused_with_1001_instead_of_1000() {
    let server = Server::fixture();
    let reply = server.api().call("no.such", serde_json::json!({})).await;
    assert_eq!(reply.json()["error"], serde_json::json!({ "value": "Cannot call 'no.such'.", "code": 1001 }));
}

#[test]
fn a_signature_matches_the_documented_vectors() {
    let body = r#"{"method": "account.login", "parameters": {"user_id": "alice", "password": "secret"}}"#;
    assert_eq!(sign("alice", body.as_bytes()), "444528b8e10fed04facc5b92d8cca7c5b96a82b1");
    assert_eq!(sign("alice", b""), "da3c9dd14e4dd782fd6d6863146f7ac018cf6788");
    assert_eq!(sign("zoë", body.as_bytes()), "53f07068835e14b3c8961baf358a4956bd37b1fa");
}

#[tokio::test]
async fn the_server_accepts_the_signature_vectors() {
    let server = Server::fixture();
    let api = server.api();
    let body = r#"{"method": "account.login", "parameters": {"user_id": "alice", "password": "secret"}}"#;
    let alice = api.create("alice").await;
    let zoe = api.create("zoë").await;
    for (session, vector) in
        [(&alice, "444528b8e10fed04facc5b92d8cca7c5b96a82b1"), (&zoe, "53f07068835e14b3c8961baf358a4956bd37b1fa")]
    {
        let reply = api.send("/", body, &[("x-session-id", &session.id), ("x-hmac", vector)]).await;
        assert_eq!(reply.code(), 0, "{}", session.user);
    }
    // A GET request signs the empty string.
    let session = api.login("alice").await.session();
    let request = api.http.get(server.url("/probe/blocking"));
    let request =
        request.header("x-session-id", session.id).header("x-hmac", "da3c9dd14e4dd782fd6d6863146f7ac018cf6788");
    assert_eq!(api.reply(request).await.unwrap().result(), "alice");
}
