//! The RPC endpoint and method URLs: requests, responses, error codes, the order of checks.

use fixture::_probe::probe;
use serde_json::{Value, json};

use crate::server::Server;
use crate::support::Listening as _;

#[tokio::test]
async fn a_method_is_called_at_both_endpoints_and_in_both_spellings() {
    let server = Server::start();
    let api = server.api();
    let expected = json!({ "result": { "greeting": "hello alice", "n": 42 } });
    let parameters = r#"{"name": "alice", "n": 41}"#;
    assert_eq!(api.call("demo.hello", serde_json::from_str(parameters).unwrap()).await.json(), expected);
    for path in ["/demo/hello", "/demo.hello"] {
        let reply = api.send(path, parameters, &[("content-type", "application/x-www-form-urlencoded")]).await;
        assert_eq!((reply.status, reply.json()), (200, expected.clone()), "{path}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    assert_eq!(api.get("/demo/hello?name=alice&n=41").await.json(), expected);
}

#[tokio::test]
async fn echo_returns_numbers_byte_for_byte() {
    let server = Server::start();
    let body = r#"{"parameters":{"big":123456789012345678901234567890,"exact":1.10,"e":1E400}, "method":"demo.echo"}"#;
    let reply = server.api().send("/", body, &[]).await;
    let expected = r#"{"result":{"big":123456789012345678901234567890,"exact":1.10,"e":1E400}}"#;
    assert_eq!(String::from_utf8_lossy(&reply.body), expected);
}

#[tokio::test]
async fn a_malformed_envelope_is_refused_with_the_code_of_its_fault() {
    let server = Server::start();
    let api = server.api();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let envelope = |parameters: &str| format!(r#"{{"method":"demo.echo","parameters":{parameters}}}"#);
    for (body, code) in [
        ("", 1015),
        ("not json", 1015),
        ("{", 1015),
        (r#"{"method":"demo.echo","parameters":1} x"#, 1015),
        ("\u{feff}{}", 1015),
        (r#"{"method":"demo.echo","parameters":NaN}"#, 1015),
        (r#"{"method":"demo.echo","method":"demo.echo","parameters":1}"#, 1015),
        (r#"{"method":"demo.echo","parameters":1,"parameters":1}"#, 1015),
        (r#"{"method":"demo.echo","parameters":1,"meth\u006fd":"demo.echo"}"#, 1015),
        (&envelope(&nested(128)), 1015),
        (&envelope(&nested(100_000)), 1015),
        ("[]", 1002),
        ("[1, 2]", 1002),
        ("\"demo.echo\"", 1002),
        ("7", 1002),
        ("-1.5", 1002),
        ("null", 1002),
        ("true", 1002),
        ("{}", 1002),
        (r#"{"method": 7, "parameters": 1}"#, 1002),
        (r#"{"method": null, "parameters": 1}"#, 1002),
        (r#"{"method": "demo.echo"}"#, 1003),
        (r#"{"method": "no.such"}"#, 1003),
        (r#"{"method": "no.such", "parameters": 1}"#, 1001),
        (r#"{"method": "demo.counter", "parameters": "wrong"}"#, 1004),
        (r#"{"method": "demo.hello", "parameters": "wrong"}"#, 1019),
        (&envelope(&nested(127)), 0),
        (r#"{"method": "demo.echo", "parameters": null}"#, 0),
        (r#"{"extra": [{}], "parameters": 1, "meth\u006fd": "demo.echo", "extra": 2}"#, 0),
        (r#" {"method": "demo.echo", "parameters": "[[[[" } "#, 0),
    ] {
        let reply = api.send("/", body, &[]).await;
        assert_eq!((reply.code(), reply.status), (code, 200), "{}", &body[..body.len().min(80)]);
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    let reply = api.reply(api.http.post(server.url("/")).body(b"{\"method\": \"\xff\"}".to_vec())).await.unwrap();
    assert_eq!(reply.code(), 1015, "not UTF-8");
}

#[tokio::test]
async fn a_method_url_responds_with_the_status_of_the_error_code() {
    let server = Server::fixture();
    let api = server.api();
    for (path, body, code, status) in [
        ("/echo/ping", "not json", 1015, 400),
        ("/no/such", "not json", 1001, 404),
        ("/probe/members", "not json", 1004, 401),
        ("/account/login", r#"{"user_id": "a", "password": "b"}"#, 1005, 401),
        ("/account/login", r#"{"user_id": "a"}"#, 1019, 422),
        ("/account/create", r#"{"user_id": "", "password": "b"}"#, 1010, 400),
        ("/probe/panic_sync", "", 1000, 500),
        ("/probe/own_error", "true", 2042, 418),
        ("/probe/own_error", "false", 2042, 400),
    ] {
        let reply = api.send(path, body, &[]).await;
        assert_eq!((reply.code(), reply.status), (code, status), "{path} {body}");
    }
    let reply = api.call("probe.own_error", json!(true)).await;
    let error = r#"{"error":{"value":"No \"coffee\"","code":2042,"details":{"pot":"tea"}}}"#;
    assert_eq!((reply.status, String::from_utf8_lossy(&reply.body).as_ref()), (200, error));
    assert_eq!(api.send("/echo/ping", "", &[]).await.result(), json!({}), "an empty body is {{}}");
}

#[tokio::test]
async fn a_disallowed_http_method_is_refused_with_the_allowed_ones() {
    let server = Server::start();
    let api = server.api();
    for (verb, path, allow) in [
        ("GET", "/", "POST"),
        ("PUT", "/", "POST"),
        ("OPTIONS", "/", "POST"),
        ("GET", "/demo/echo", "POST"),
        ("DELETE", "/demo/hello", "GET, HEAD, POST"),
        ("POST", "/livez", "GET, HEAD"),
    ] {
        let request = api.http.request(verb.parse().unwrap(), server.url(path));
        let reply = api.reply(request).await.unwrap();
        assert_eq!((reply.status, reply.code(), reply.header("allow")), (405, 1020, Some(allow)), "{verb} {path}");
    }
    for verb in ["GET", "PUT"] {
        let request = api.http.request(verb.parse().unwrap(), server.url("/no/such"));
        let reply = api.reply(request).await.unwrap();
        assert_eq!((reply.status, reply.code()), (404, 1001), "{verb}");
    }
}

#[tokio::test]
async fn only_names_in_the_method_table_can_be_called() {
    let server = Server::start();
    let api = server.api();
    let dots = ".".repeat(10_000);
    let names = [
        "",
        ".",
        "..",
        "a..b",
        "../account/login",
        "account/login",
        "account",
        "account.",
        ".account.login",
        "account..login",
        "account.login.",
        "account.login.invoke",
        "account.update.login",
        "account.create.login",
        "__init__",
        "account.__init__",
        "Account.Login",
        "ACCOUNT.LOGIN",
        "account.login ",
        " account.login",
        "account.login\n",
        "account.login\u{0}",
        "account\u{0}.login",
        "account%2elogin",
        "account.login.rs",
        "methods.account.login",
        "crate.account.login",
        "self.account.login",
        "account::login",
        "account.ｌogin",
        "methods",
        "method",
        "std.process.exit",
        "_shared",
        "account._shared",
        "livez",
        "readyz",
        "/",
        "//",
        &dots,
    ];
    assert_eq!(names.len(), 40);
    for name in names {
        let reply = api.call(name, json!({})).await;
        assert_eq!(reply.code(), 1001, "{name:?}");
        let echo: String = name.chars().take(128).collect();
        assert_eq!(reply.json()["error"]["value"], format!("Cannot call '{echo}'."));
    }
    let paths = [
        "/account/login/",
        "//account/login",
        "/account//login",
        "/account.login/",
        "/account/login.",
        "/%61ccount/login",
        "/account%2Flogin",
        "/account%2elogin",
        "/demo.hello/echo",
        "/a/../account/login",
        "/account/login%00",
    ];
    for path in paths {
        let reply = server.raw(format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(reply.starts_with("HTTP/1.1 404 ") && reply.contains(r#""code":1001"#), "{path}: {reply}");
    }
}

#[tokio::test]
async fn an_invalid_parameter_is_reported_with_its_path() {
    let server = Server::fixture();
    let api = server.api();
    for (parameters, path, message) in [
        (json!({}), "/small", "missing"),
        (json!({ "small": 256 }), "/small", "expected an integer from 0 to 255, not the number 256"),
        (json!({ "small": -1 }), "/small", "expected an integer from 0 to 255, not the number -1"),
        (json!({ "small": 1.5 }), "/small", "expected an integer from 0 to 255, not the number 1.5"),
        (json!({ "small": "1" }), "/small", "expected an integer from 0 to 255, not the string \"1\""),
        (json!({ "small": null }), "/small", "expected an integer from 0 to 255, not null"),
        (json!({ "small": [] }), "/small", "expected an integer from 0 to 255, not an array"),
        (json!({ "small": 1, "flag": 1 }), "/flag", "expected a boolean, not the number 1"),
        (json!({ "small": 1, "ratio": "x" }), "/ratio", "expected a number, not the string \"x\""),
        (json!({ "small": 1, "tags": {} }), "/tags", "expected an array, not an object"),
        (json!({ "small": 1, "tags": ["a", 2] }), "/tags/1", "expected a string, not the number 2"),
        (json!({ "small": 1, "rows": [{ "name": "a" }, {}] }), "/rows/1/name", "missing"),
        (json!({ "small": 1, "rows": [7] }), "/rows/0", "expected an object, not the number 7"),
        (json!([1]), "", "expected an object, not an array"),
        (json!("x"), "", "expected an object, not the string \"x\""),
        (json!(null), "", "expected an object, not null"),
    ] {
        let error = api.call("probe.typed", parameters.clone()).await.json()["error"].take();
        let value = match path {
            "" => format!("Invalid parameters: {message}"),
            _ => format!("Invalid parameters: {path}: {message}"),
        };
        let details = json!([{ "path": path, "message": message }]);
        assert_eq!(error, json!({ "value": value, "code": 1019, "details": details }), "{parameters}");
    }
    let error = api.call("probe.typed", json!({ "small": 1, "colour": "green" })).await.json()["error"].take();
    assert_eq!(error["details"][0]["path"], "/colour");
    assert!(!error.to_string().contains("Colour"), "no Rust type names: {error}");
    let twice = r#"{"method": "probe.typed", "parameters": {"small": 1, "small": 2}}"#;
    assert_eq!(api.send("/", twice, &[]).await.code(), 1019, "a duplicate inside parameters");
    let long = api.call("probe.typed", json!({ "small": "x".repeat(100_000) })).await;
    assert!(long.body.len() < 1000, "the client's value is truncated");
}

#[tokio::test]
async fn everything_that_does_not_fit_is_reported() {
    let server = Server::start();
    let api = server.api();
    let name = json!({ "path": "/name", "message": "expected a string, not the number 5" });
    let n = json!({ "path": "/n", "message": "missing" });
    let value = "Invalid parameters: /name: expected a string, not the number 5; and 1 more";
    let expected = json!({ "value": value, "code": 1019, "details": [name, n] });
    for reply in [
        api.call("demo.hello", json!({ "name": 5 })).await,
        api.send("/demo/hello", r#"{"name": 5, "extra": true}"#, &[]).await,
        api.send_as(&api.create("alice").await, "/demo/hello", r#"{"name": 5}"#).await,
    ] {
        assert_eq!(reply.json()["error"], expected);
    }
    // A query string and a large body have the first alone.
    let large = format!(r#"{{"name": 5, "x": "{}"}}"#, "x".repeat(64 * 1024));
    for reply in [api.get("/demo/hello?n=x").await, api.send("/demo/hello", &large, &[]).await] {
        assert_eq!((reply.code(), reply.json()["error"]["details"].as_array().unwrap().len()), (1019, 1));
    }
    // A method's own error 1019, about parameters that fit.
    let reply = api.call("account.create", json!({ "user_id": "bob", "password": "" })).await;
    assert_eq!((reply.code(), reply.json()["error"]["details"].as_array().unwrap().len()), (1019, 1));
}

#[tokio::test]
async fn a_method_without_parameters_takes_an_empty_object_or_null() {
    let server = Server::fixture();
    let api = server.api();
    for parameters in [json!({}), Value::Null] {
        assert_eq!(api.call("probe.silent", parameters).await.body, b"");
    }
    for (parameters, path) in [(json!({ "a/b": 1 }), "/a~1b"), (json!([]), ""), (json!(7), ""), (json!("x"), "")] {
        let reply = api.call("probe.silent", parameters.clone()).await;
        assert_eq!((reply.code(), &reply.json()["error"]["details"][0]["path"]), (1019, &json!(path)), "{parameters}");
    }
}

#[tokio::test]
async fn a_query_is_converted_to_the_types_of_the_parameters() {
    let server = Server::fixture();
    let api = server.api();
    let reply = api.get("/probe/typed?small=7&flag=true&ratio=1.5&tags=a%20b&tags=c&colour=red").await;
    let expected = json!({ "small": 7, "flag": true, "ratio": 1.5, "tags": ["a b", "c"], "rows": [], "colour": "red" });
    assert_eq!(reply.result(), expected);
    for (query, path) in
        [("", "/small"), ("?small=x", "/small"), ("?small=300", "/small"), ("?small=1&flag=maybe", "/flag")]
    {
        let reply = api.get(&format!("/probe/typed{query}")).await;
        assert_eq!((reply.status, reply.code()), (422, 1019), "{query}");
        assert_eq!(reply.json()["error"]["details"][0]["path"], path, "{query}: {}", reply.json());
    }
}

#[tokio::test]
async fn a_method_without_an_answer_has_an_empty_body_and_no_signature() {
    let server = Server::fixture();
    let api = server.api();
    let alice = api.create("alice").await;
    let reply = api.call_as(&alice, "probe.silent", json!({})).await;
    assert_eq!((reply.status, reply.body.len(), reply.header("x-hmac")), (200, 0, None));
}

#[tokio::test]
async fn a_method_can_set_status_and_headers() {
    let server = Server::fixture();
    let reply = server.api().send("/probe/created", "", &[]).await;
    assert_eq!((reply.status, reply.header("location"), reply.result()), (201, Some("/somewhere/else"), json!("made")));
}

#[tokio::test]
async fn browsers_get_cors_headers_only_for_the_configured_origins() {
    let server = Server::start_with(|config| {
        config.allow_origins = vec!["https://app.example".to_owned(), "http://localhost:3000".to_owned()];
    });
    let api = server.api();
    let preflight = async |origin: &str| {
        let request = api.http.request("OPTIONS".parse().unwrap(), server.url("/")).header("origin", origin);
        api.reply(request.header("access-control-request-method", "POST")).await.unwrap()
    };
    let good = preflight("https://app.example").await;
    assert_eq!((good.status, good.header("access-control-allow-origin")), (204, Some("https://app.example")));
    assert!(good.header("access-control-allow-headers").unwrap().contains("x-hmac"));
    assert_eq!(good.header("vary"), Some("Origin"));
    for origin in ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"] {
        let bad = preflight(origin).await;
        assert_eq!((bad.status, bad.header("access-control-allow-origin")), (405, None), "{origin}");
    }
    let reply = api.send("/demo/echo", "1", &[("origin", "http://localhost:3000")]).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(
        reply.header("access-control-expose-headers"),
        Some("retry-after, x-hmac, x-request-id, x-simpleapi-stale")
    );
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    let without = Server::start();
    let reply = without.api().send("/demo/echo", "1", &[("origin", "http://localhost:3000")]).await;
    assert_eq!((reply.header("access-control-allow-origin"), reply.header("vary")), (None, None));
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_served_on_the_same_port() {
    let server = Server::start();
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let response = client.post(server.url("/demo/echo")).body("[1]").send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.text().await.unwrap(), r#"{"result":[1]}"#);
}

#[tokio::test]
async fn a_blocking_method_does_not_block_other_calls() {
    let server = Server::fixture();
    let api = server.api();
    let alice = api.create("alice").await;
    let probe = probe("a_blocking_method");
    let blocked = tokio::spawn({
        let (api, alice) = (api.clone(), alice.clone());
        async move { api.call_as(&alice, "probe.blocking", json!({ "name": "a_blocking_method" })).await }
    });
    probe.recorded("started", 1).await;
    assert_eq!(api.call("echo.ping", json!(1)).await.result(), 1);
    assert!(!blocked.is_finished());
    probe.open();
    let reply = blocked.await.unwrap();
    assert_eq!(reply.result(), "alice");
    assert!(reply.is_signed_by("alice"));
}

#[tokio::test]
async fn the_health_endpoints_respond() {
    let server = Server::start();
    let api = server.api();
    for path in ["/livez", "/readyz"] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
        let head = server.raw(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    }
}
