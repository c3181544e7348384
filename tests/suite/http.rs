//! HTTP: refusals that reach their clients, hosts, origins, framing, and responses without a body.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;

use crate::databases::{Database, Kind};
use crate::server::Server;
use crate::support::{Api, Listening, read_all, wait_for};

fn http2(server: &impl Listening) -> Api {
    let http = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    Api { http, ..server.api() }
}

/// Heads of requests that are refused before their body of a megabyte is read, and the status of each.
const REFUSED: [(&str, &str); 9] = [
    ("PUT / HTTP/1.1\r\nHost: x", "405"),
    ("GET / HTTP/1.1\r\nHost: x", "405"),
    ("PATCH /demo/echo HTTP/1.1\r\nHost: x", "405"),
    ("POST /livez HTTP/1.1\r\nHost: x", "405"),
    ("DELETE /no/such/method HTTP/1.1\r\nHost: x", "404"),
    ("POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip", "415"),
    ("POST /demo/echo HTTP/1.1\r\nHost: x\r\nHost: y", "400"),
    ("POST /demo/echo HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example", "403"),
    ("GET /livez HTTP/1.1\r\nHost: x", "200"),
];

#[test]
fn every_client_that_sends_a_megabyte_gets_the_response_that_was_decided_before() {
    let server = Server::start();
    let body = vec![b'x'; 1024 * 1024];
    for (head, status) in REFUSED {
        for _ in 0..5 {
            let mut stream = server.connect();
            let head = format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            for piece in body.chunks(64 * 1024) {
                stream.write_all(piece).unwrap_or_else(|error| panic!("{head}: {error}"));
            }
            let reply = read_all(&mut stream);
            assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn every_http_2_client_that_sends_a_megabyte_gets_the_response_too() {
    let server = Server::start();
    let api = http2(&server);
    for (method, path, status) in
        [("PUT", "/", 405), ("DELETE", "/no/such/method", 404), ("GET", "/demo/hello?name=x&n=1", 200)]
    {
        let request = api.http.request(method.parse().unwrap(), server.url(path)).body(vec![b'x'; 1024 * 1024]);
        assert_eq!(api.reply(request).await.unwrap().status, status, "{method} {path}");
    }
}

#[test]
fn a_connection_goes_on_after_a_refused_request_whose_body_was_read() {
    let server = Server::start();
    for (head, status) in REFUSED.into_iter().filter(|(_, status)| *status != "400") {
        let both = format!(
            "{head}\r\nContent-Length: 3\r\n\r\nabcPOST /demo/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n7"
        );
        let replies = server.raw(both.as_bytes());
        assert!(replies.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {replies}");
        assert!(replies.ends_with(r#"{"result":7}"#), "{head}: {replies}");
    }
}

#[test]
fn a_client_that_asks_before_it_sends_is_refused_before_it_sends() {
    let server = Server::start();
    for (head, status) in REFUSED.into_iter().filter(|(_, status)| *status != "200") {
        let head = format!("{head}\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
        let reply = server.raw(head.as_bytes());
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {reply}");
        assert!(reply.contains("connection: close"), "{head}: {reply}");
    }
}

#[test]
fn a_refused_body_that_never_ends_is_read_within_limits() {
    let server = Server::start_with(|config| (config.max_body, config.body_timeout) = (1000, Duration::from_secs(1)));
    for rest in ["x".repeat(100_000), "x".to_owned()] {
        let head = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
        let reply = server.raw(format!("{head}{rest}").as_bytes());
        assert!(reply.starts_with("HTTP/1.1 405") && reply.contains("connection: close"), "{reply}");
    }
}

#[test]
fn odd_hosts_and_transfer_codings_are_refused_and_end_the_connection() {
    let server = Server::start();
    let smuggled = "POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n8";
    for headers in [
        "Host: x\r\nTransfer-Encoding: gzip, chunked",
        "Host: x\r\nTransfer-Encoding: identity, chunked",
        "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Host: x\r\nTransfer-Encoding: chunked, chunked",
        "Host: x\r\nTransfer-Encoding: identity",
        "Host:\r\nTransfer-Encoding: chunked",
        "Host: a b\r\nTransfer-Encoding: chunked",
        "Host: a/b\r\nTransfer-Encoding: chunked",
        "Host: user@a\r\nTransfer-Encoding: chunked",
        "Host: a:b\r\nTransfer-Encoding: chunked",
        "Host: [::1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked",
    ] {
        let request = format!("POST /demo/echo HTTP/1.1\r\n{headers}\r\n\r\n1\r\n7\r\n0\r\n\r\n{smuggled}");
        let replies = server.raw(request.as_bytes());
        let status = &replies["HTTP/1.1 ".len()..][..3];
        assert!(status == "400" || status == "501", "{headers}: {replies}");
        assert_eq!(replies.matches("HTTP/1.1 ").count(), 1, "{headers}: {replies}");
    }
    for head in [
        "POST /demo/echo HTTP/1.0",
        "POST /demo/echo HTTP/1.1\r\nHost: [::1]:80",
        "POST http://x/demo/echo HTTP/1.1\r\nHost: x",
    ] {
        let reply = server.raw(format!("{head}\r\nConnection: close\r\nContent-Length: 1\r\n\r\n7").as_bytes());
        assert!(reply.starts_with("HTTP/1.1 200") || reply.starts_with("HTTP/1.0 200"), "{head}: {reply}");
    }
}

#[tokio::test]
async fn only_allowed_hosts_are_served_and_health_checks_are_for_any() {
    let server = Server::start_with(|config| config.allowed_hosts = vec!["api.example.com".to_owned()]);
    let status = async |api: &Api, path: &str, host: &str| {
        let reply = api.send(path, "1", &[("host", host)]).await;
        (reply.status, reply.code())
    };
    let api = server.api();
    assert_eq!(status(&api, "/demo/echo", "API.example.com:8080").await, (200, 0));
    assert_eq!(status(&api, "/demo/echo", "evil.example").await, (421, 1023));
    assert_eq!(status(&api, "/demo/echo", "127.0.0.1").await, (421, 1023));
    let get = api.http.get(server.url("/livez")).header("host", "10.0.0.7");
    assert_eq!(api.reply(get).await.unwrap().status, 200);
    let raw = server.raw(b"POST http://evil.example/demo/echo HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\nContent-Length: 1\r\n\r\n7");
    assert!(raw.starts_with("HTTP/1.1 421"), "the host of the URI counts: {raw}");
    let reply = http2(&server).send("/demo/echo", "1", &[]).await;
    assert_eq!((reply.status, reply.code()), (421, 1023), "the authority of HTTP/2 is 127.0.0.1");
}

#[tokio::test]
async fn a_page_of_another_site_cannot_call_unless_its_origin_is_allowed() {
    let server = Server::start_with(|config| config.allow_origins = vec!["https://app.example".to_owned()]);
    let api = server.api();
    let host = server.address().to_string();
    let own = format!("http://{host}");
    for (headers, code) in [
        (vec![], 0),
        (vec![("origin", "https://app.example")], 0),
        (vec![("origin", "https://app.example"), ("sec-fetch-site", "cross-site")], 0),
        (vec![("origin", &*own)], 0),
        (vec![("sec-fetch-site", "same-origin"), ("origin", "https://behind.a.proxy")], 0),
        (vec![("sec-fetch-site", "none")], 0),
        (vec![("origin", "https://evil.example")], 1022),
        (vec![("origin", "null")], 1022),
        (vec![("origin", "")], 1022),
        (vec![("sec-fetch-site", "cross-site")], 1022),
        (vec![("sec-fetch-site", "same-site"), ("origin", "https://other.example")], 1022),
        (vec![("sec-fetch-site", "cross-site"), ("origin", &*own)], 1022),
    ] {
        let headers = [&headers[..], &[("content-type", "text/plain")]].concat();
        for (path, body) in [("/demo/echo", "1"), ("/", r#"{"method":"demo.echo","parameters":1}"#)] {
            let reply = api.send(path, body, &headers).await;
            assert_eq!(reply.code(), code, "{path} {headers:?}");
            assert_eq!(reply.status == 403, code == 1022, "{path} {headers:?}");
        }
    }
    let get = api.http.get(server.url("/demo/hello?name=x&n=1")).header("sec-fetch-site", "cross-site");
    assert_eq!(api.reply(get).await.unwrap().status, 200, "GET changes nothing");
}

#[tokio::test]
async fn a_status_without_a_body_has_none_in_either_protocol() {
    let server = Server::fixture();
    let alice = server.api().create("alice").await;
    for api in [server.api(), http2(&server)] {
        for status in [204, 205, 304] {
            let body = json!({ "status": status }).to_string();
            let reply = api.send("/probe/head", &body, &[]).await;
            assert_eq!((reply.status, reply.body.len(), reply.header("content-type")), (status, 0, None));
            let reply = api.call_as(&alice, "probe.head", json!({ "status": status })).await;
            assert_eq!((reply.status, reply.header("x-hmac")), (status, None));
        }
        for params in [
            json!({ "status": 101 }),
            json!({ "status": 100 }),
            json!({ "status": 101, "stream": true }),
            json!({ "status": 204, "stream": true }),
        ] {
            let reply = api.send("/probe/head", &params.to_string(), &[]).await;
            assert_eq!((reply.status, reply.code()), (500, 1000), "{params}");
        }
        for status in [101, 204, 304] {
            let reply = api.send("/probe/head", &json!({ "status": status, "fail": true }).to_string(), &[]).await;
            assert_eq!((reply.status, reply.code()), (500, 2001), "an error has a body");
        }
        assert_eq!(api.send("/echo/ping", "1", &[]).await.status, 200, "the connection goes on");
    }
}

#[tokio::test]
async fn head_has_the_status_and_headers_of_get_and_no_body() {
    let server = Server::fixture();
    for api in [server.api(), http2(&server)] {
        for query in ["status=200", "status=204", "status=200&stream=true", "status=x"] {
            let path = format!("/probe/head?{query}");
            let get = api.get(&path).await;
            let head = api.reply(api.http.head(server.url(&path))).await.unwrap();
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{query}");
            let is_whole = !query.contains("stream");
            for name in ["content-type", "content-length", "set-cookie", "cache-control"] {
                if is_whole || name != "content-length" {
                    assert_eq!(head.header(name), get.header(name), "{query}: {name}");
                }
            }
        }
        let reply = api.reply(api.http.delete(server.url("/probe/head"))).await.unwrap();
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, POST")));
        let reply = api.reply(api.http.head(server.url("/echo/ping"))).await.unwrap();
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    }
}

#[test]
fn a_head_request_leaves_the_connection_usable() {
    let server = Server::fixture();
    let replies = server.raw(
        b"HEAD /probe/head?status=200 HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(replies.matches("HTTP/1.1 200").count(), 2, "{replies}");
    assert!(replies.contains("content-length: 19\r\n") && replies.ends_with(r#"{"result":"alive"}"#), "{replies}");
}

#[tokio::test]
async fn headers_of_one_name_stay_beside_each_other() {
    let server = Server::fixture();
    let response = reqwest::get(server.url("/probe/head?status=200")).await.unwrap();
    let values =
        |name| response.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(values("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(values("link"), ["</1>", "</2>"]);
}

#[tokio::test]
async fn responses_are_not_cached_or_guessed_at_unless_the_method_says_so() {
    let server = Server::start();
    let api = server.api();
    for path in ["/demo/hello?name=x&n=1", "/livez", "/no/such/method"] {
        let reply = api.get(path).await;
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[tokio::test]
async fn scripts_may_read_the_servers_headers_and_those_that_the_method_exposes() {
    let server = Server::fixture_with(|config| {
        config.allow_origins = vec!["https://app.example".to_owned()];
        config.allow_headers = vec!["x-client-version".parse().unwrap()];
    });
    let api = server.api();
    let request = api.http.get(server.url("/probe/head?status=200")).header("origin", "https://app.example");
    let response = request.send().await.unwrap();
    let exposed: Vec<_> = response.headers().get_all("access-control-expose-headers").iter().collect();
    assert_eq!(exposed, ["x-own", "retry-after, x-hmac, x-request-id, x-simpleapi-stale"]);
    let preflight = api.http.request("OPTIONS".parse().unwrap(), server.url("/"));
    let preflight = preflight.header("origin", "https://app.example").header("access-control-request-method", "POST");
    let reply = api.reply(preflight).await.unwrap();
    let allowed = "content-type, x-hmac, x-request-id, x-session-id, x-client-version";
    assert_eq!(reply.header("access-control-allow-headers"), Some(allowed));
}

#[test]
fn what_is_no_http_is_refused_and_counted_in_the_log() {
    let server = Database::new(Kind::ANY).process(&[]);
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(garbage.as_bytes()).unwrap();
        let mut reply = String::new();
        let _ = stream.read_to_string(&mut reply);
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400") || reply.starts_with("HTTP/1.1 505"), "{reply}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000));
    let reply = server.raw(long.as_bytes());
    assert!(reply.starts_with("HTTP/1.1 414") || reply.starts_with("HTTP/1.1 431"), "{reply}");
    let mut http2 = server.connect();
    http2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x09\x00\x00\x00\x00\x00").unwrap();
    read_all(&mut http2);
    server.wait_for_log("refused requests that are not HTTP");
    let counted = || {
        let log = server.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter_map(|line| line["requests"].as_u64()).sum::<u64>()
    };
    wait_for(|| (counted() == 6).then_some(()), || server.log());
    let log = server.log();
    let line = log.lines().find(|line| line.contains("refused requests that are not HTTP")).unwrap();
    assert!(line.contains(r#""first_peer":"127.0.0.1""#), "{line}");
}
