//! The page at `/docs` and the document at `/openapi.json`. `tests/node` drives the page.

use serde_json::json;
use simpleapi_server::{Config, Docs};

use crate::server::Server;
use crate::support::{Listening as _, directory};

fn serving() -> Server {
    Server::start_with(|config| config.docs = Docs::On)
}

#[tokio::test]
async fn the_document_describes_every_method_and_its_errors() {
    let server = serving();
    let reply = server.api().get("/openapi.json").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!((reply.header("cache-control"), reply.header("x-hmac")), (Some("no-cache"), None));
    let document = reply.json();
    assert_eq!(document["info"], json!({ "title": "simpleapi", "version": env!("CARGO_PKG_VERSION") }));
    assert_eq!(document["servers"], json!([{ "url": "." }]), "a proxy may add a prefix to the path");
    let paths = document["paths"].as_object().unwrap();
    let names: Vec<&str> = simpleapi::methods().table.iter().map(|method| method.name).collect();
    assert_eq!(paths.values().map(|path| path["post"]["x-method"].as_str().unwrap()).collect::<Vec<_>>(), names);
    let hello = &paths["/demo/hello"];
    assert_eq!(hello["get"]["operationId"], "demo_hello_get");
    assert_eq!(hello["post"]["responses"]["default"]["description"], "2000 There is no next number");
    assert_eq!(hello["post"]["responses"]["422"], json!({ "$ref": "#/components/responses/server.422" }));
    let responses = &document["components"]["responses"];
    assert_eq!(
        responses["server.401"]["description"],
        "1004 Not authorized; 1007 Invalid session ID; 1008 Invalid HMAC"
    );
    assert_eq!(document.get("x-development"), None);
}

#[tokio::test]
async fn a_client_that_has_the_current_version_receives_no_body() {
    let server = serving();
    let api = server.api();
    for path in ["/openapi.json", "/docs"] {
        let first = api.get(path).await;
        let etag = first.header("etag").unwrap().to_owned();
        for tags in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            // Without development mode there is nothing to wait for.
            let request = api.http.get(server.url(path)).header("if-none-match", &tags).header("prefer", "wait=25");
            let reply = api.reply(request).await.unwrap();
            assert_eq!((reply.status, reply.body.len(), reply.header("etag")), (304, 0, Some(&*etag)), "{path} {tags}");
        }
        let request = api.http.get(server.url(path)).header("if-none-match", "\"other\"");
        let reply = api.reply(request).await.unwrap();
        assert_eq!((reply.status, &reply.body), (200, &first.body));
        let head = api.reply(api.http.head(server.url(path))).await.unwrap();
        let length = first.body.len().to_string();
        assert_eq!((head.status, head.header("content-length")), (200, Some(&*length)));
        let post = api.send(path, "{}", &[]).await;
        assert_eq!((post.status, post.code(), post.header("allow")), (405, 1020, Some("GET, HEAD")));
    }
}

#[tokio::test]
async fn the_page_allows_its_own_script_and_nothing_else() {
    use sha2::Digest as _;

    let server = serving();
    let reply = server.api().get("/docs").await;
    let page = String::from_utf8(reply.body.clone()).unwrap();
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(policy.matches("unsafe").count(), 0);
    for tag in ["script", "style"] {
        let (_, rest) = page.split_once(&format!("<{tag}>")).unwrap();
        let (content, rest) = rest.split_once(&format!("</{tag}>")).unwrap();
        assert!(!rest.contains(&format!("<{tag}")), "one {tag}");
        let hash = base64(&sha2::Sha256::digest(content));
        assert!(policy.contains(&format!("{tag}-src 'sha256-{hash}'")), "{tag}: {hash} is not in {policy}");
    }
    for outside in ["http://", "https://", "style=\"", "innerHTML", "eval("] {
        assert!(!page.contains(outside), "the page contains {outside}");
    }
    assert_eq!(
        (reply.header("x-content-type-options"), reply.header("referrer-policy")),
        (Some("nosniff"), Some("no-referrer"))
    );
}

/// Returns bytes in base64, as `openssl base64` does.
fn base64(bytes: &[u8]) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let mut openssl = Command::new("openssl");
    let mut child = openssl.args(["base64", "-A"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[tokio::test]
async fn a_browser_that_opens_the_root_is_sent_to_the_page() {
    let server = serving();
    let api = server.api();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let reply = api.reply(http.get(server.url("/")).header("accept", browser)).await.unwrap();
    assert_eq!((reply.status, reply.header("location"), reply.header("vary")), (302, Some("docs"), Some("accept")));
    let reply = api.get("/").await;
    assert_eq!((reply.status, reply.code()), (405, 1020), "a program that asks for anything");
    let reply = api.send("/", r#"{"method":"demo.echo","parameters":1}"#, &[("accept", browser)]).await;
    assert_eq!(reply.result(), json!(1), "a call is a call");
}

#[tokio::test]
async fn neither_is_served_unless_it_is_configured() {
    for docs in [Docs::Dev, Docs::Off] {
        let server = Server::start_with(|config| config.docs = docs);
        let api = server.api();
        for path in ["/docs", "/openapi.json"] {
            let reply = api.get(path).await;
            assert_eq!((reply.status, reply.code()), (404, 1001), "{path}");
        }
        let reply = api.reply(api.http.get(server.url("/")).header("accept", "text/html")).await.unwrap();
        assert_eq!((reply.status, reply.code()), (405, 1020));
    }
}

#[tokio::test]
async fn a_table_that_was_written_without_the_build_has_no_document() {
    let (mut config, directory) = (Config::default(), directory());
    (config.docs, config.sqlite_path) = (Docs::On, directory.path().join("simpleapi.db"));
    let server = Server::run(simpleapi::methods().table.into(), config, directory);
    let reply = server.api().get("/openapi.json").await;
    assert_eq!((reply.status, reply.code()), (404, 1001));
    assert_eq!(server.api().get("/docs").await.status, 200);
}
