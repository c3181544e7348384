//! The application in `tests/fixtures/app`, built and started as a process: the packages are usable from outside the
//! workspace, its methods' errors are in its log, and a method that blocks does not delay its end.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::json;

use crate::scratch_app::{cargo, fixtures_target};
use crate::support::{Listening as _, Process, directory, root, sign};

/// Starts the application, which is built at the first call.
fn start(options: &[&str]) -> Process {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let output = cargo(&root().join("tests/fixtures/app"), "build").arg("--locked").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fixtures_target().join("debug/fixture")
    });
    Process::start(&directory(), program, options)
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_panic_fails_its_own_call_with_1000_and_its_cause_is_logged() {
    let server = start(&[]);
    let api = server.api();
    let alice = api.create("alice").await;
    for method in ["probe.panic_sync", "probe.panic_async", "probe.panic_blocking", "probe.fails"] {
        let reply = api.call_as(&alice, method, json!({})).await;
        assert_eq!(reply.json()["error"], json!({ "value": "Server error.", "code": 1000 }), "{method}");
        assert!(reply.is_signed_by("alice"), "{method}");
    }
    let reply = api.call("probe.login_then_panic", json!("bob")).await;
    assert_eq!(reply.code(), 1000);
    assert!(reply.is_signed_by("bob"), "the session that the method has created");
    assert_eq!(api.call("echo.ping", json!(1)).await.result(), 1);
    let calls = server.calls(7);
    let causes: Vec<&str> = calls.iter().filter_map(|call| call["cause"].as_str()).collect();
    assert!(causes.iter().any(|cause| cause.contains("a secret of the method")), "{causes:?}");
    assert!(causes.iter().any(|cause| cause.contains("no_such_table")), "{causes:?}");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn every_response_has_a_request_id_which_is_also_in_the_log() {
    let server = start(&["--trusted-proxies=127.0.0.0/8"]);
    let api = server.api();
    let alice = api.create("alice").await;
    let body = r#"{"method":"probe.whoami","parameters":{}}"#;
    let signature = sign("alice", body.as_bytes());
    let headers = [
        ("x-request-id", "mine-1._"),
        ("x-session-id", &alice.id),
        ("x-hmac", &signature),
        ("x-forwarded-for", "198.51.100.7"),
    ];
    let reply = api.send("/", body, &headers).await;
    assert_eq!(reply.header("x-request-id"), Some("mine-1._"));
    let expected = json!({ "user": "alice", "peer": "198.51.100.7", "method": "probe.whoami", "id": "mine-1._" });
    assert_eq!(reply.result(), expected);
    let odd = "x".repeat(129);
    for id in ["", "a b", "<script>", &odd] {
        let reply = api.send("/no/such", "", &[("x-request-id", id)]).await;
        let given = reply.header("x-request-id").unwrap();
        assert!(!given.is_empty() && given != id, "{id}");
    }
    let calls = server.calls(6);
    let call = calls.iter().find(|call| call["id"] == "mine-1._").unwrap();
    assert_eq!((&call["method"], &call["user"], &call["code"]), (&json!("probe.whoami"), &json!("alice"), &json!(0)));
    assert_eq!((&call["status"], &call["peer"]), (&json!(200), &json!("198.51.100.7")));
    assert!(call["ms"].is_number());
    let log = server.log();
    assert!(!log.contains(&alice.id) && !log.contains("secret") && !log.contains(&signature), "{log}");
}

#[test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
fn a_blocking_method_does_not_delay_the_end_past_the_drain_timeout() {
    let server = start(&["--shutdown_delay=0", "--drain_timeout=1s"]);
    let mut stream = server.connect();
    let body = r#"{"name": "blocked"}"#;
    let head = format!("POST /probe/blocking HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    server.wait_for_log("\"started\"");
    assert!(server.stop().0.success());
}
