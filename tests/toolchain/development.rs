//! Development mode: a saved file is served, however an editor or git saves it, and no other call is disturbed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::scratch_app::{Scratch, TEXT_METHOD};
use crate::scratch_app::{cargo, fixtures_target};
use crate::support::{Api, Listening as _, Process, TIMEOUT, directory, root, server_binary, wait_for_async};

/// An application that is served in development mode.
struct Development {
    app: Scratch,
    server: Process,
}

impl Development {
    fn start(app: Scratch, options: &[&str]) -> Self {
        let server = serve(&app, options);
        Development { app, server }
    }

    fn save(&self, file: &str, text: &str) {
        self.app.write(&format!("methods/{file}"), text);
    }

    fn save_text(&self, file: &str, text: &str) {
        self.save(file, &TEXT_METHOD.replace("TEXT", text));
    }

    fn remove(&self, file: &str) {
        std::fs::remove_file(self.app.path(&format!("methods/{file}"))).unwrap();
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    /// Waits until the method returns `expected`.
    async fn wait_for_result(&self, method: &str, expected: impl Into<Value>) {
        let (api, expected) = (self.api(), expected.into());
        wait_for_async(async || api.call(method, json!({})).await.json()["result"] == expected).await;
    }

    /// Waits until the method is served in its last version that has compiled.
    async fn wait_for_stale(&self, method: &str) {
        let api = self.api();
        wait_for_async(async || api.call(method, json!({})).await.header("x-simpleapi-stale") == Some("1")).await;
    }

    /// Waits until a call of the method ends with this code.
    async fn wait_for_code(&self, method: &str, code: i64) {
        let api = self.api();
        wait_for_async(async || api.call(method, json!({})).await.code() == code).await;
    }
}

fn build(app: &Scratch) {
    let output = app.command("build").args(["--features", "dev"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn serve(app: &Scratch, options: &[&str]) -> Process {
    build(app);
    let options = [&["--log-format=auto", "dev"], options].concat();
    Process::start(&directory(), &app.binary(), &options)
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_saved_moved_or_deleted_file_is_live() {
    let app = Scratch::new("live");
    app.write("methods/a/b/c.rs", &TEXT_METHOD.replace("TEXT", "first"));
    let dev = Development::start(app, &[]);
    dev.wait_for_result("a.b.c", "first").await;
    assert_eq!(dev.api().send("/a/b/c", "", &[]).await.result(), "first");

    dev.save_text("a/b/c.rs", "second");
    dev.wait_for_result("a.b.c", "second").await;
    dev.save_text("new.rs", "new");
    dev.wait_for_result("new", "new").await;
    dev.save_text("deep/er/still.rs", "deep");
    dev.wait_for_result("deep.er.still", "deep").await;

    let methods = dev.app.path("methods");
    std::fs::rename(methods.join("a/b/c.rs"), methods.join("a/b/d.rs")).unwrap();
    dev.wait_for_result("a.b.d", "second").await;
    dev.wait_for_code("a.b.c", 1001).await;
    dev.remove("new.rs");
    dev.wait_for_code("new", 1001).await;

    // A folder that is moved out, changed there, and moved in again under another name.
    std::fs::rename(methods.join("a"), dev.app.path("elsewhere")).unwrap();
    dev.wait_for_code("a.b.d", 1001).await;
    dev.app.write("elsewhere/b/d.rs", &TEXT_METHOD.replace("TEXT", "third"));
    std::fs::rename(dev.app.path("elsewhere"), methods.join("back")).unwrap();
    dev.wait_for_result("back.b.d", "third").await;

    // The folder of all methods may be removed and restored as well.
    std::fs::rename(&methods, dev.app.path("removed")).unwrap();
    dev.wait_for_code("back.b.d", 1001).await;
    dev.server.wait_for_log("the folder does not exist");
    std::fs::rename(dev.app.path("removed"), &methods).unwrap();
    dev.wait_for_result("back.b.d", "third").await;
    dev.save_text("after.rs", "after");
    dev.wait_for_result("after", "after").await;
    dev.server.wait_for_log("after  reloaded in ");
    assert!(!dev.server.log().contains('\u{1b}'), "no colours without a terminal");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn warnings_and_files_that_are_not_formatted_are_reported() {
    let app = Scratch::new("lints");
    let method = "use method_sdk::prelude::*;

pub async fn invoke(_: &mut Handler, _: ()) -> Result<String> {
    Ok(crate::_shared::used().to_owned())
}

pub fn helper() {
    let first = 1;
}

fn never_used() {}
";
    app.write("methods/a/b.rs", method);
    app.write("methods/_shared.rs", "pub fn used() -> &'static str {\n    \"text\"\n}\n\npub(crate) fn of_other_methods() {\n    let third = 3;\n}\n");
    let dev = Development::start(app, &[]);
    dev.wait_for_result("a.b", "text").await;
    dev.server.wait_for_log("unused variable: `first`");
    dev.save("a/b.rs", &method.replace("first", "second"));
    dev.server.wait_for_log("unused variable: `second`");
    dev.server.wait_for_log(" --> methods/a/b.rs:8:9");
    dev.save("a/b.rs", &method.replace("let first = 1;", "let _ = 1;").replace("helper() {", "helper(){"));
    dev.server.wait_for_log("methods/a/b.rs is not formatted; run `rustfmt --edition 2024 methods/a/b.rs`");
    dev.save_text("c.rs", "text"); // on one line
    dev.server.wait_for_log("2 method files are not formatted; run `rustfmt --edition 2024 methods/");
    let log = dev.server.log();
    assert_eq!(log.matches("is not formatted").count(), 1, "{log}");
    // Other methods may use these items.
    assert!(!log.contains("never used") && !log.contains("third") && !log.contains("unsafe"), "{log}");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_change_of_a_methods_dependency_reloads_the_method() {
    let app = Scratch::new("follows");
    let words = |text: &str| format!("pub fn text() -> String {{ \"{text}\".to_owned() }}\n");
    app.write("other/Cargo.toml", "[package]\nname = \"other-words\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
    app.write("other/src/lib.rs", "pub fn more() -> &'static str { \"more\" }\n");
    let manifest = std::fs::read_to_string(app.path("Cargo.toml")).unwrap();
    app.write(
        "Cargo.toml",
        &manifest.replace("[features]", "words = { package = \"other-words\", path = \"other\" }\n\n[features]"),
    );
    app.write("methods/_shared/words.rs", &words("one"));
    app.write("methods/_traits.rs", "pub trait Loud { fn loud(&self) -> String; }\n");
    app.write(
        "methods/_impls.rs",
        "impl crate::_traits::Loud for String { fn loud(&self) -> String { self.to_uppercase() } }\n",
    );
    app.write("methods/a/text.txt", "text one");
    let text = "use method_sdk::prelude::*;\npub async fn invoke(_: &mut Handler, _: ()) -> Result<String> ";
    app.write("methods/a/uses.rs", &format!("{text} {{ Ok(crate::_shared::words::text()) }}"));
    app.write(
        "methods/a/calls.rs",
        &format!("{text} {{ let it = super::uses::invoke(handler, ()).await?; Ok(format!(\"{{it}}!\")) }}")
            .replace("_: &mut", "handler: &mut"),
    );
    app.write("methods/a/reads.rs", &format!("{text} {{ Ok(include_str!(\"text.txt\").to_owned()) }}"));
    app.write("outside.txt", "outside one");
    app.write("methods/a/outside.rs", &format!("{text} {{ Ok(include_str!(\"../../outside.txt\").to_owned()) }}"));
    app.write(
        "methods/a/loud.rs",
        &format!("use super::super::_traits::Loud;\n{text} {{ Ok(\"loud\".to_owned().loud()) }}"),
    );
    app.write(
        "methods/a/other.rs",
        &format!("{text} {{ Ok(format!(\"{{}} of {{}}\", words::more(), env!(\"CARGO_PKG_NAME\"))) }}"),
    );
    let dev = Development::start(app, &[]);
    for (method, expected) in [
        ("a.uses", "one"),
        ("a.calls", "one!"),
        ("a.reads", "text one"),
        ("a.loud", "LOUD"),
        ("a.outside", "outside one"),
        ("a.other", "more of follows"),
    ] {
        dev.wait_for_result(method, expected).await;
    }

    dev.save("_shared/words.rs", &words("two"));
    dev.wait_for_result("a.calls", "two!").await;
    dev.wait_for_result("a.uses", "two").await;
    dev.save("a/text.txt", "text two");
    dev.wait_for_result("a.reads", "text two").await;
    dev.app.write("outside.txt", "outside two");
    dev.wait_for_result("a.outside", "outside two").await;
    // The file names no path to the implementation it needs; a change of that is followed as well.
    dev.save("a/loud.rs", &format!("use super::super::_traits::Loud;\n{text} {{ Ok(\"louder\".to_owned().loud()) }}"));
    dev.wait_for_result("a.loud", "LOUDER").await;
    let quiet = "impl crate::_traits::Loud for String { fn loud(&self) -> String { self.to_lowercase() } }\n";
    dev.save("_impls.rs", quiet);
    dev.wait_for_result("a.loud", "louder").await;

    // A changed constant of a file applies from the next call on.
    dev.save("a/uses.rs", &format!("pub const AUTHENTICATED: bool = true;\n{text} {{ Ok(String::new()) }}"));
    dev.wait_for_code("a.uses", 1004).await;
    dev.save("a/uses.rs", &format!("pub const GET: bool = true;\n{text} {{ Ok(\"got\".to_owned()) }}"));
    dev.wait_for_result("a.uses", "got").await;
    assert_eq!(dev.api().get("/a/uses").await.result(), "got");
    // The tests in a file are not compiled.
    dev.save(
        "a/reads.rs",
        &format!(
            "{text} {{ Ok(\"tested\".to_owned()) }}\n#[cfg(test)]\nmod tests {{ use super::*; use nothing::at::all; }}"
        ),
    );
    dev.wait_for_result("a.reads", "tested").await;
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_compile_error_is_reported_and_does_not_affect_other_methods() {
    let app = Scratch::new("breaks");
    app.write("methods/good.rs", &TEXT_METHOD.replace("TEXT", "good"));
    app.write("methods/never.rs", &TEXT_METHOD.replace("\"TEXT\"", "nonsense"));
    app.write("methods/private.rs", &TEXT_METHOD.replace("pub ", ""));
    app.write("methods/Odd-Name.rs", TEXT_METHOD);
    app.write("methods/_shared.rs", "pub const ONE: &str = \"one\";\n");
    app.write("methods/shares.rs", &TEXT_METHOD.replace("\"TEXT\"", "super::_shared::ONE"));
    let dev = Development::start(app, &[]);
    dev.wait_for_result("good", "good").await;
    dev.wait_for_result("shares", "one").await;
    dev.server.wait_for_log("never  does not compile");
    dev.server.wait_for_log("cannot find value `nonsense`");
    dev.server.wait_for_log("methods/private.rs:2: `invoke` is private");
    dev.server.wait_for_log("methods/Odd-Name.rs: the name `Odd-Name` must begin with a letter");

    // A method that has never compiled returns the compiler's message, at both endpoints; an invalid name is not a method.
    let reply = dev.api().call("never", json!({})).await;
    assert_eq!((reply.status, reply.code()), (200, 1000));
    let details = reply.json()["error"]["details"].as_str().unwrap().to_owned();
    assert!(
        details.contains("methods/never.rs:2") && details.contains("nonsense") && !details.contains('\u{1b}'),
        "{details}"
    );
    assert_eq!(dev.api().send("/never", "", &[]).await.status, 500);
    assert_eq!(dev.api().get("/never").await.status, 500);
    assert_eq!(dev.api().call("private", json!({})).await.code(), 1000);
    dev.save_text("never.rs", "at last");
    dev.wait_for_result("never", "at last").await;
    dev.server.wait_for_log("never  compiles again, reloaded in ");
    dev.save_text("private.rs", "public");
    dev.wait_for_result("private", "public").await;

    // A method that has compiled before is served unchanged and marked as stale, in a stream and in an error as well.
    let stream = "use method_sdk::prelude::*;\npub async fn invoke(handler: &mut Handler, what: Value) -> Result<()> {
        if what == json!(1) { return Err(Error::new(2001, \"own\")); }
        handler.write(\"piece\").await }\n";
    dev.save("stream.rs", stream);
    wait_for_async(async || dev.api().send("/stream", "0", &[]).await.body == b"piece").await;
    dev.save("stream.rs", &format!("{stream}fn x() -> u8 {{ \"\" }}"));
    wait_for_async(async || dev.api().send("/stream", "0", &[]).await.header("x-simpleapi-stale") == Some("1")).await;
    let reply = dev.api().send("/stream", "1", &[]).await;
    assert_eq!((reply.code(), reply.header("x-simpleapi-stale")), (2001, Some("1")));
    dev.server.wait_for_log("mismatched types");
    // Other methods are still loaded, and a reverted change is current without being compiled.
    dev.save_text("good.rs", "better");
    dev.wait_for_result("good", "better").await;
    assert_eq!(dev.api().call("good", json!({})).await.header("x-simpleapi-stale"), None);
    dev.save("stream.rs", stream);
    wait_for_async(async || dev.api().send("/stream", "0", &[]).await.header("x-simpleapi-stale").is_none()).await;
    dev.server.wait_for_log("stream  unchanged from the running version");

    // Broken shared code makes its methods stale until it is repaired.
    dev.save("_shared.rs", "pub const ONE: &str = 1;\n");
    dev.wait_for_stale("shares").await;
    assert_eq!(dev.api().call("shares", json!({})).await.result(), "one");
    dev.save("_shared.rs", "pub const ONE: &str = \"two\";\n");
    dev.wait_for_result("shares", "two").await;

    // A lint that a build denies is denied here, also for an endless constant evaluation; a link error affects only its method.
    dev.save(
        "never.rs",
        &TEXT_METHOD.replace("\"TEXT\"", "{ const N: u32 = { let mut i = 0; while i < 9 {} i }; [\"\"][N as usize] }"),
    );
    dev.wait_for_stale("never").await;
    dev.save("linked.rs", &format!("#[link(name = \"not_there\")] unsafe extern \"C\" {{}}\n{TEXT_METHOD}"));
    dev.save_text("private.rs", "not linked");
    dev.wait_for_result("private", "not linked").await;
    dev.wait_for_code("linked", 1000).await;
    dev.remove("linked.rs");

    // A wrong signature is an error in generated code, and is reported for the file.
    dev.save("good.rs", "use method_sdk::prelude::*;\npub struct P;\npub async fn invoke(_: &mut Handler, _: P) -> Result<()> { Ok(()) }");
    dev.server.wait_for_log("method `good·`: `P` cannot be the `params` of `invoke`");
    // A file that is not UTF-8, and an empty one.
    std::fs::write(dev.app.path("methods/good.rs"), [0xff, 0xfe]).unwrap();
    dev.server.wait_for_log("methods/good.rs: cannot read the file");
    dev.save("good.rs", "");
    dev.server.wait_for_log("methods/good.rs: the function `invoke` is missing");
    assert_eq!(dev.api().call("good", json!({})).await.result(), "better");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn timers_tasks_queries_and_panics_work_in_a_reloaded_method() {
    let dev = Development::start(Scratch::new("inside"), &[]);
    let method = |body: &str| {
        format!(
            "use std::time::Duration;\nuse method_sdk::prelude::*;\npub async fn invoke(handler: &mut Handler, _: ()) -> Result<Value> {{ let _ = &handler;\n{body}\n}}\n"
        )
    };
    for (name, body) in [
        ("timer", "tokio::time::sleep(Duration::from_millis(5)).await; Ok(json!(1))"),
        (
            "timeout",
            "Ok(json!(tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await.is_err()))",
        ),
        ("task", "Ok(json!(tokio::spawn(async { tokio::time::sleep(Duration::from_millis(5)).await; 2 }).await?))"),
        (
            "blocking",
            "Ok(json!(tokio::task::spawn_blocking(|| { std::thread::sleep(Duration::from_millis(5)); 3 }).await?))",
        ),
        (
            "query",
            "let pool = handler.connection().db().sqlite()?;\nlet four: i64 = sqlx::query_scalar(\"SELECT 4\").fetch_one(pool).await?; Ok(json!(four))",
        ),
        ("log", "tracing::info!(five = 5, \"said from inside\"); Ok(json!(5))"),
        ("panic", "if true { panic!(\"on purpose\") } Ok(json!(6))"),
        (
            "panic_in_task",
            "let task = tokio::spawn(async { panic!(\"in a task\") }); let end: std::result::Result<(), _> = task.await; Ok(json!(end.is_err()))",
        ),
    ] {
        dev.save(&format!("{name}.rs"), &method("Ok(json!(\"before\"))"));
        dev.wait_for_result(name, "before").await;
        dev.save(&format!("{name}.rs"), &method(body));
    }
    dev.wait_for_result("timer", 1).await;
    dev.wait_for_result("timeout", true).await;
    dev.wait_for_result("task", 2).await;
    dev.wait_for_result("blocking", 3).await;
    dev.wait_for_result("query", 4).await;
    dev.wait_for_result("log", 5).await;
    dev.server.wait_for_log("said from inside  five=5");
    dev.wait_for_code("panic", 1000).await;
    dev.server.wait_for_log("panic at methods/panic.rs:4:11: on purpose");
    dev.wait_for_result("panic_in_task", true).await;
    dev.server.wait_for_log("panic at methods/panic_in_task.rs:4:");

    // A stream that has begun continues in the old code while the new one is served.
    let stream = |text: &str| {
        method(&format!(
            "handler.write(\"{text}\").await?; handler.flush().await?; while !std::fs::exists({:?})? {{ tokio::time::sleep(Duration::from_millis(10)).await; }}\nfor _ in 0..19 {{ handler.write(\"{text}\").await?; }} Ok(json!(null))",
            dev.app.path("continue")
        ))
    };
    dev.save("stream.rs", &stream("old "));
    dev.wait_for_code("none", 1001).await;
    dev.server.wait_for_log("stream  reloaded");
    let mut response = reqwest::Client::new().post(dev.server.url("/stream")).send().await.unwrap();
    let mut old = response.chunk().await.unwrap().unwrap().to_vec();
    dev.save_text("stream.rs", "new");
    // A call before that would be one of the old version, which waits for `continue`.
    wait_for_async(async || dev.server.log().matches("stream  reloaded").count() == 2).await;
    assert_eq!(dev.api().send("/stream", "", &[]).await.body, br#"{"result":"new"}"#);
    dev.app.write("continue", "");
    while let Some(piece) = response.chunk().await.unwrap() {
        old.extend_from_slice(&piece);
    }
    assert_eq!(old, "old ".repeat(20).into_bytes());
}

/// A method that logs at three levels.
const LOGS: &str = "use method_sdk::prelude::*;
pub async fn invoke(_: &mut Handler, _: ()) -> Result<&'static str> {
    tracing::error!(\"an error\");
    tracing::warn!(\"a warning\");
    tracing::info!(five = 5, \"call\");
    Ok(\"TEXT\")
}
";

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn reports_of_reloads_and_requests_do_not_depend_on_the_log_level() {
    let app = Scratch::new("levels");
    app.write("methods/a.rs", &LOGS.replace("TEXT", "one"));
    let dev = Development::start(app, &["--log_level=error"]);
    dev.wait_for_result("a", "one").await;
    dev.save("a.rs", &LOGS.replace("TEXT", "two"));
    dev.wait_for_result("a", "two").await;
    dev.server.wait_for_log("1 methods, ready in ");
    dev.server.wait_for_log("a  reloaded in ");
    dev.server.wait_for_log("\na                         200");
    dev.save("a.rs", "nonsense");
    dev.server.wait_for_log("a  does not compile");
    dev.server.wait_for_log("error  an error\n");
    // The events of methods do.
    let log = dev.server.log();
    assert!(!log.contains("a warning") && !log.contains("five=5"), "{log}");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_method_s_own_event_is_no_request_and_json_has_no_colours() {
    let app = Scratch::new("formats");
    app.write("methods/a.rs", &LOGS.replace("TEXT", "one"));
    build(&app);
    let binary = app.binary();
    // On a terminal, where reports have colours.
    let mut command = Command::new("sh");
    command.args(["-c", "exec script -qefc \"$*\" /dev/null >&2", "sh"]).arg(binary).env_remove("NO_COLOR");
    let server = Process::start_command(&directory(), command, &["dev"]);
    let dev = Development { app, server };
    dev.wait_for_result("a", "one").await;
    dev.save("a.rs", &LOGS.replace("TEXT", "two"));
    dev.wait_for_result("a", "two").await;
    dev.server.wait_for_log("\u{1b}[32ma\u{1b}[0m  reloaded in ");
    dev.server.wait_for_log("\na                         \u{1b}[32m200\u{1b}[0m");
    let log = dev.server.log();
    let events: Vec<&str> = log.lines().filter(|line| line.contains("\"level\":")).collect();
    let events: Vec<Value> = events.into_iter().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(!events.iter().any(|event| event.to_string().contains("\\u001b")), "{events:?}");
    let calls: Vec<_> = events.iter().filter(|event| event["message"] == "call").collect();
    assert!(!calls.is_empty() && calls.iter().all(|event| event["five"] == 5), "{events:?}");
    drop(dev);

    let app = Scratch::new("formats");
    app.write("methods/a.rs", &LOGS.replace("TEXT", "one"));
    let dev = Development::start(app, &[]);
    dev.wait_for_result("a", "one").await;
    dev.server.wait_for_log("\ninfo  call  five=5\n");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn the_tree_on_disk_is_served_after_any_change_by_an_editor_or_git() {
    let app = Scratch::new("editors");
    for number in 0..20 {
        app.write(&format!("methods/many/m{number}.rs"), &TEXT_METHOD.replace("TEXT", "main"));
    }
    app.write("methods/only_here.rs", &TEXT_METHOD.replace("TEXT", "here"));
    app.write(".gitignore", "target\n");
    let git = |app: &Scratch, arguments: &[&str]| {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
        let output =
            Command::new("git").args(identity).args(arguments).current_dir(app.directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    git(&app, &["init", "-q", "-b", "main"]);
    git(&app, &["add", "-A"]);
    git(&app, &["commit", "-q", "-m", "main"]);
    git(&app, &["checkout", "-q", "-b", "other"]);
    for number in 0..20 {
        app.write(&format!("methods/many/m{number}.rs"), &TEXT_METHOD.replace("TEXT", "other"));
    }
    std::fs::remove_file(app.path("methods/only_here.rs")).unwrap();
    app.write("methods/only_there.rs", &TEXT_METHOD.replace("TEXT", "there"));
    git(&app, &["add", "-A"]);
    git(&app, &["commit", "-q", "-m", "other"]);
    git(&app, &["checkout", "-q", "main"]);
    let dev = Development::start(app, &[]);

    for (branch, comes, goes) in [("other", "only_there", "only_here"), ("main", "only_here", "only_there")] {
        git(&dev.app, &["checkout", "-q", branch]);
        for number in 0..20 {
            dev.wait_for_result(&format!("many.m{number}"), branch).await;
        }
        dev.wait_for_result(comes, if branch == "main" { "here" } else { "there" }).await;
        dev.wait_for_code(goes, 1001).await;
    }

    // A file written beside the old one and renamed over it.
    dev.save("many/.m0.rs.tmp", &TEXT_METHOD.replace("TEXT", "renamed"));
    std::fs::rename(dev.app.path("methods/many/.m0.rs.tmp"), dev.app.path("methods/many/m0.rs")).unwrap();
    dev.wait_for_result("many.m0", "renamed").await;

    // Three texts of one length within 50 ms: the last is served.
    for text in ["save1", "save2", "save3"] {
        dev.save_text("many/m1.rs", text);
        std::thread::sleep(Duration::from_millis(15));
    }
    dev.wait_for_result("many.m1", "save3").await;

    // vim renames the file, writes a new one and removes the old one; its backups and swap files are not methods.
    let vim = |expression: &str| {
        let file = dev.app.path("methods/many/m2.rs");
        let output = Command::new("vim")
            .args([
                "-u",
                "NONE",
                "-N",
                "-es",
                "-c",
                "set backup writebackup backupcopy=no",
                "-c",
                expression,
                "-c",
                "wq",
            ])
            .arg(file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    vim("%s/main/edited/");
    dev.wait_for_result("many.m2", "edited").await;
    vim("%s/edited/edited again/");
    dev.wait_for_result("many.m2", "edited again").await;
    assert_eq!(dev.api().call("many.m2~", json!({})).await.code(), 1001);

    // Half of a file, then the rest: the complete file is served.
    let text = TEXT_METHOD.replace("TEXT", "halves");
    dev.save("many/m3.rs", &text[..text.len() / 2]);
    dev.wait_for_stale("many.m3").await;
    dev.save("many/m3.rs", &text);
    dev.wait_for_result("many.m3", "halves").await;
    // In the end every method matches its file, and none is stale.
    let expected: BTreeMap<String, &str> = (4..20).map(|number| (format!("many.m{number}"), "main")).collect();
    for (method, text) in expected {
        let reply = dev.api().call(&method, json!({})).await;
        assert_eq!((reply.result(), reply.header("x-simpleapi-stale")), (json!(text), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_hundred_reloads_under_load_lose_no_call_and_no_session() {
    let app = Scratch::new("loaded");
    let account = root().join("tests/fixtures/app/methods/account");
    for file in ["create.rs", "login.rs"] {
        app.write(&format!("methods/account/{file}"), &std::fs::read_to_string(account.join(file)).unwrap());
    }
    let counter = "use method_sdk::prelude::*;\npub const AUTHENTICATED: bool = true;\npub async fn invoke(handler: &mut Handler, _: ()) -> Result<Value> {
        handler.session_mut().unwrap().update_state(|state| { let count = state.get(\"count\").and_then(Value::as_i64).unwrap_or(0) + 1; state.insert(\"count\".into(), count.into()); }).await?;
        Ok(handler.session_mut().unwrap().state().await?[\"count\"].clone()) }\n";
    app.write("methods/counter.rs", counter);
    // Both halves of a result are of one version, although the method yields between them.
    let hot = |version: usize| {
        format!("use method_sdk::prelude::*;\nconst VERSION: usize = {version};\npub async fn invoke(_: &mut Handler, _: ()) -> Result<Value> {{
            let first = VERSION; tokio::task::yield_now().await; Ok(json!([first, {version}])) }}\n")
    };
    app.write("methods/hot.rs", &hot(0));
    let dev = Development::start(app, &["--max_connections_per_address=1000"]);
    dev.wait_for_result("hot", json!([0, 0])).await;
    let session = dev.api().create("alice").await;
    dev.api().call_as(&session, "counter", json!({})).await.result();

    let (newest, stop, calls) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..64)
        .map(|_| {
            let (api, newest, stop, calls) = (dev.api(), newest.clone(), stop.clone(), calls.clone());
            tokio::spawn(async move {
                let mut last = 0;
                while !stop.load(Ordering::SeqCst) {
                    let reply = api.call("hot", json!({})).await;
                    let halves: (u64, u64) = serde_json::from_value(reply.result()).unwrap();
                    assert_eq!(halves.0, halves.1, "a result is of one version");
                    assert!(
                        halves.0 >= last && halves.0 <= newest.load(Ordering::SeqCst) as u64,
                        "{halves:?} after {last}"
                    );
                    last = halves.0;
                    calls.fetch_add(1, Ordering::SeqCst);
                    // A slower pace, which leaves the machine time for the compiler.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
        })
        .collect();
    for version in 1..=100 {
        newest.store(version, Ordering::SeqCst);
        dev.save("hot.rs", &hot(version));
        dev.wait_for_result("hot", json!([version, version])).await;
        if version % 10 == 0 {
            dev.api().call_as(&session, "counter", json!({})).await.result();
        }
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    println!("{} calls during 100 reloads", calls.load(Ordering::SeqCst));
    assert_eq!(dev.api().call_as(&session, "counter", json!({})).await.result(), 12);
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_second_start_loads_the_libraries_of_the_first() {
    let app = Scratch::new("again");
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "a"));
    let first = serve(&app, &["--log_level=debug"]);
    assert_eq!(first.api().call("a", json!({})).await.result(), "a");
    assert!(first.log().contains("--crate-type=cdylib"), "the first compiles");
    drop(first);
    let second = serve(&app, &["--log_level=debug"]);
    assert_eq!(second.api().call("a", json!({})).await.result(), "a");
    assert!(!second.log().contains("--crate-type=cdylib"), "the second does not");
    // A changed tree is another library.
    drop(second);
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "b"));
    assert_eq!(serve(&app, &[]).api().call("a", json!({})).await.result(), "b");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_start_compiles_only_the_changed_batches() {
    let app = Scratch::new("batches");
    for number in 0..100 {
        app.write(&format!("methods/m{number}.rs"), &TEXT_METHOD.replace("TEXT", "old"));
    }
    let start = || {
        let server = serve(&app, &["--log_level=debug"]);
        server.wait_for_log("100 methods, ready in");
        let compiled = server.log().matches("--crate-type=cdylib").count();
        (server, compiled)
    };
    let (first, compiled) = start();
    assert!((100 / 48..=100 / 16).contains(&compiled), "{compiled}");
    drop(first);
    app.write("methods/m50.rs", &TEXT_METHOD.replace("TEXT", "new"));
    let (second, compiled) = start();
    assert_eq!(compiled, 1);
    for (method, text) in [("m0", "old"), ("m50", "new"), ("m99", "old")] {
        assert_eq!(second.api().call(method, json!({})).await.result(), text);
    }
}

/// Returns `true` if a process has a child that has not exited.
fn has_running_child(parent: u32) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        // `PID (NAME) STATE PARENT ..`
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let (state, process) = (fields.next(), fields.next());
        state != Some("Z") && process == Some(&parent.to_string())
    })
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_second_save_of_a_file_compiles_incrementally() {
    let app = Scratch::new("increments");
    app.write("methods/a.rs", TEXT_METHOD);
    let dev = Development::start(app, &["--log_level=debug"]);
    let mut versions = 0..;
    let is_incremental =
        |text: &str| text.lines().any(|line| line.contains("--crate-type=cdylib") && line.contains("incremental="));
    wait_for_async(async || {
        let version = versions.next().map(|version: u32| version.to_string()).unwrap();
        dev.save_text("a.rs", &version);
        dev.wait_for_result("a", version).await;
        // A save during the preparation of incremental results, which is a process, would cancel it.
        wait_for_async(async || !has_running_child(dev.server.child.id())).await;
        is_incremental(&dev.server.log())
    })
    .await;
    assert!(versions.start >= 2, "the first compilation cannot be incremental");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn methods_are_served_while_others_are_being_compiled() {
    let app = Scratch::new("many");
    for number in 0..60 {
        app.write(&format!("methods/m{number}.rs"), &TEXT_METHOD.replace("TEXT", &format!("{number}")));
    }
    app.write(
        "methods/broken.rs",
        "use method_sdk::prelude::*;\npub async fn invoke(_: &mut Handler, _: ()) -> Result<u8> { Ok(\"\") }",
    );
    // `z` names no path to the implementation it needs, and must not fail because of a broken file elsewhere.
    app.write("methods/_traits.rs", "pub trait Loud { fn loud(&self) -> String; }\n");
    let implementation = "impl crate::_traits::Loud for u8 { fn loud(&self) -> String { self.to_string() } }\n";
    app.write("methods/m1_implements.rs", &format!("{implementation}{TEXT_METHOD}"));
    app.write(
        "methods/z.rs",
        "use method_sdk::prelude::*;\nuse super::_traits::Loud;\npub async fn invoke(_: &mut Handler, _: ()) -> Result<String> { Ok(1_u8.loud()) }",
    );
    let dev = Development::start(app, &[]);
    // A call waits until its method is loaded.
    let api = dev.api();
    let call = |method: &'static str| api.call(method, json!({}));
    let (first, last, broken, none) = tokio::join!(call("m0"), call("z"), call("broken"), call("none"));
    assert_eq!((first.result(), last.result()), (json!("0"), json!("1")));
    assert_eq!((broken.code(), none.code()), (1000, 1001));
    dev.save_text("m30.rs", "changed");
    dev.wait_for_result("m30", "changed").await;
    dev.server.wait_for_log("62 methods, ready in");
    dev.server.wait_for_log("broken  does not compile");
    for number in (0..60).filter(|number| *number != 30) {
        assert_eq!(dev.api().call(&format!("m{number}"), json!({})).await.result(), number.to_string());
    }
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn cargo_dev_builds_once_and_the_servers_own_build_compiles_nothing() {
    let app = Scratch::new("alias");
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "one"));
    let mut dev = cargo(app.directory.path(), "dev");
    dev.env("CARGO_NET_OFFLINE", "true");
    let server = Process::start_command(&app.directory, dev, &["--log-format=auto"]);
    let dev = Development { app, server };
    dev.save_text("a.rs", "two");
    dev.wait_for_result("a", "two").await;
    let output = dev.app.command("build").args(["--features", "dev"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !text.contains("Compiling"), "{text}");
}

/// Opens a connection for each call until `stop` is set, and returns the number of calls; a refused connection or a missing
/// response is a failure.
fn connect_repeatedly(server: &Process, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    use std::io::{Read, Write};
    let (address, stop) = (server.address(), stop.clone());
    std::thread::spawn(move || {
        let mut calls = 0;
        while !stop.load(Ordering::SeqCst) {
            let mut stream = std::net::TcpStream::connect(address).expect("no connection is refused");
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            stream
                .write_all(
                    b"POST /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                )
                .unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            assert!(reply.starts_with("HTTP/1.1 200"), "{reply:?}");
            calls += 1;
            // A slower pace, which leaves the machine time for the compiler.
            std::thread::sleep(Duration::from_millis(5));
        }
        calls
    })
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_change_of_the_application_itself_restarts_it_on_the_same_socket() {
    let app = Scratch::new("restarts");
    app.write("methods/version.rs", &TEXT_METHOD.replace("\"TEXT\"", "option_env!(\"VERSION\").unwrap_or(\"none\")"));
    let account = root().join("tests/fixtures/app/methods/account/create.rs");
    app.write("methods/account/create.rs", &std::fs::read_to_string(account).unwrap());
    app.write("methods/whoami.rs", "use method_sdk::prelude::*;\npub async fn invoke(handler: &mut Handler, _: ()) -> Result<String> { Ok(handler.require_session()?.user_id.clone()) }");
    let dev = Development::start(app, &["--dev_restart"]);
    dev.wait_for_result("version", "none").await;
    let session = dev.api().create("alice").await;
    let stop = Arc::new(AtomicBool::new(false));
    let client = connect_repeatedly(&dev.server, &stop);

    // The server keeps running if the application does not build.
    let main = std::fs::read_to_string(dev.app.path("src/main.rs")).unwrap();
    dev.app.write("src/main.rs", &format!("{main} fn x() -> u8 {{ \"\" }}"));
    dev.server.wait_for_log("the running server is unchanged");
    dev.save_text("other.rs", "still reloads");
    dev.wait_for_result("other", "still reloads").await;

    dev.app.write("src/main.rs", &main);
    dev.app.write("build.rs", "fn main() { method_build::generate(); println!(\"cargo::rustc-env=VERSION=two\"); }");
    dev.server.wait_for_log("build.rs changed");
    dev.wait_for_result("version", "two").await;
    stop.store(true, Ordering::SeqCst);
    println!("{} connections during the restart", client.join().unwrap());
    assert_eq!(dev.api().call_as(&session, "whoami", json!({})).await.result(), "alice");
    dev.save_text("version.rs", "after");
    dev.wait_for_result("version", "after").await;
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn without_dev_restart_the_server_asks_before_it_restarts() {
    use std::io::Write;
    let app = Scratch::new("asks");
    app.write("methods/version.rs", &TEXT_METHOD.replace("\"TEXT\"", "option_env!(\"VERSION\").unwrap_or(\"none\")"));
    // The first start builds the application, so that the second waits only for the slow Cargo, which takes as long as on a large workspace.
    drop(serve(&app, &[]));
    let slow = app.path("slow-cargo");
    std::fs::write(&slow, format!("#!/bin/sh\nsleep 2\nexec {} \"$@\"\n", env!("CARGO"))).unwrap();
    std::fs::set_permissions(&slow, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (input, mut enter) = std::io::pipe().unwrap();
    let mut command = Command::new(app.binary());
    command.stdin(input).env("CARGO", slow);
    let server = Process::start_command(&directory(), command, &["--log-format=auto", "dev"]);
    let dev = Development { app, server };
    dev.wait_for_result("version", "none").await;
    // A change is not missed before Cargo has reported the files to watch.
    dev.app.write("build.rs", "fn main() { method_build::generate(); println!(\"cargo::rustc-env=VERSION=two\"); }");
    dev.server.wait_for_log("restart it, or press Enter");
    // Until then methods are compiled as before.
    dev.save_text("other.rs", "meanwhile");
    dev.wait_for_result("other", "meanwhile").await;
    dev.wait_for_result("version", "none").await;
    enter.write_all(b"\n").unwrap();
    dev.wait_for_result("version", "two").await;
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn an_sdk_rebuilt_while_the_server_runs_is_reported_and_not_loaded() {
    let app = Scratch::new("replaced");
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "one"));
    build(&app);
    // A copy of the program and the library, which other tests use too.
    let copy = tempfile::tempdir().unwrap();
    let (program, library) = (copy.path().join("replaced"), copy.path().join("libmethod_sdk_dylib.so"));
    std::fs::copy(app.binary(), &program).unwrap();
    std::fs::copy(fixtures_target().join("debug/libmethod_sdk_dylib.so"), &library).unwrap();
    let mut command = Command::new(program);
    command.env("CARGO_TARGET_DIR", fixtures_target());
    let server = Process::start_command(&directory(), command, &["--log-format=auto", "dev"]);
    let mut dev = Development { app, server };
    dev.wait_for_result("a", "one").await;
    dev.save_text("a.rs", "two");
    dev.wait_for_result("a", "two").await;

    std::fs::copy(&library, copy.path().join("new")).unwrap();
    std::fs::rename(copy.path().join("new"), &library).unwrap();
    dev.save_text("a.rs", "three");
    dev.server.wait_for_log("method-sdk was rebuilt while this server is running");
    dev.wait_for_result("a", "two").await;
    assert_eq!(dev.api().call("a", json!({})).await.header("x-simpleapi-stale"), Some("1"));
    dev.save_text("a.rs", "two");
    wait_for_async(async || dev.api().call("a", json!({})).await.header("x-simpleapi-stale").is_none()).await;
    assert!(dev.server.child.try_wait().unwrap().is_none(), "the server keeps running");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_change_that_the_system_does_not_report_is_found_and_files_are_polled_from_then_on() {
    let app = Scratch::new("unreported");
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "one"));
    let dev = Development::start(app, &[]);
    dev.wait_for_result("a", "one").await;
    // Writes to mapped memory are not reported while the file is open.
    let script = "import mmap, sys\nwith open(sys.argv[1], 'r+b') as file, mmap.mmap(file.fileno(), 0) as map:\n    \
        map[:] = map[:].replace(b'one', b'two')\n    map.flush()\n    sys.stdin.read()\n";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(dev.app.path("methods/a.rs"));
    let mut writer = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    dev.server.wait_for_log("the system has not reported it");
    dev.wait_for_result("a", "two").await;
    drop(writer.stdin.take());
    writer.wait().unwrap();
    dev.save_text("b/c.rs", "new");
    dev.wait_for_result("b.c", "new").await;
    dev.save_text("a.rs", "six");
    dev.wait_for_result("a", "six").await;
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn more_folders_than_the_system_watches_are_polled() {
    let app = Scratch::new("watches");
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "one"));
    build(&app);
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        "echo 12 >/proc/sys/user/max_inotify_watches && exec \"$@\"",
        "sh",
    ]);
    command.arg(app.binary());
    let server = Process::start_command(&directory(), command, &["--log-format=auto", "dev"]);
    let dev = Development { app, server };
    dev.wait_for_result("a", "one").await;
    dev.server.wait_for_log("cannot watch files (OS file watch limit reached.");
    for folder in ["b", "c/d"] {
        dev.save_text(&format!("{folder}/new.rs"), "new");
        dev.wait_for_result(&format!("{}.new", folder.replace('/', ".")), "new").await;
        dev.save_text(&format!("{folder}/new.rs"), "changed");
        dev.wait_for_result(&format!("{}.new", folder.replace('/', ".")), "changed").await;
    }
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn polling_can_be_asked_for_and_a_change_of_cargos_configuration_requires_a_restart() {
    let app = Scratch::new("polling");
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "one"));
    let dev = Development::start(app, &["--dev_poll"]);
    dev.wait_for_result("a", "one").await;
    dev.save_text("a.rs", "two");
    dev.wait_for_result("a", "two").await;
    assert!(!dev.server.log().contains("polling"), "it was asked for");
    let config = std::fs::read_to_string(dev.app.path(".cargo/config.toml")).unwrap();
    dev.app.write(".cargo/config.toml", &format!("{config}\n[env]\nSHOP = \"open\"\n"));
    dev.server.wait_for_log(".cargo/config.toml changed, and cannot be loaded");
    dev.app.write("rust-toolchain.toml", "[toolchain]\n");
    dev.server.wait_for_log("rust-toolchain.toml changed, and cannot be loaded");
    let lock = std::fs::read_to_string(dev.app.path("Cargo.lock")).unwrap();
    dev.app.write("Cargo.lock", &format!("{lock}\n"));
    dev.server.wait_for_log("Cargo.lock changed, and cannot be loaded");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn without_dynamic_loading_a_change_is_built_and_the_server_restarts() {
    let app = Scratch::new("rebuilds");
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "one"));
    let output = app.command("build").args(["--features", "dev"]).env("SIMPLEAPI_DEV", "restart").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut command = Command::new(app.binary());
    command.env("SIMPLEAPI_DEV", "restart");
    let server = Process::start_command(&directory(), command, &["--log-format=auto", "dev"]);
    let dev = Development { app, server };
    dev.server.wait_for_log("this build cannot load methods");
    dev.wait_for_result("a", "one").await;
    dev.save_text("a.rs", "two");
    dev.wait_for_result("a", "two").await;
    dev.save_text("b.rs", "new");
    dev.wait_for_result("b", "new").await;
    dev.save("b.rs", "broken");
    dev.server.wait_for_log("the running server is unchanged");
    dev.wait_for_result("b", "new").await;
}

#[test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
fn development_mode_is_refused_beyond_loopback_and_in_a_release_build() {
    let run = |binary: &Path, arguments: &[&str]| {
        let directory = directory();
        let output = Command::new(binary).args(arguments).current_dir(directory.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, text) = run(&server_binary(), &["dev"]);
    assert!(status == Some(2) && text.contains("run `cargo dev`"), "{text}");

    let app = Scratch::new("refused");
    app.write("methods/a.rs", TEXT_METHOD);
    build(&app);
    for address in ["0.0.0.0", "::", "192.0.2.1"] {
        let (status, text) = run(&app.binary(), &["dev", "--address", address]);
        assert!(status == Some(2) && text.contains("--dev_unsafe"), "{text}");
    }
    let (status, text) = run(&app.binary(), &["serve"]);
    assert!(status == Some(2) && text.contains("use `cargo dev`"), "{text}");
    // `methods` lists the methods in the files.
    let output = Command::new(app.binary()).arg("methods").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("a  methods/a.rs"), "{output:?}");
    drop(Process::start(
        &directory(),
        &app.binary(),
        &["--log-format=auto", "--address=0.0.0.0", "dev", "--dev_unsafe"],
    ));

    let output = app.command("check").args(["--release", "--features", "dev"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("never part of a release build"), "{text}");
}

#[test]
fn a_build_without_development_mode_contains_no_loader_and_links_no_shared_library() {
    let program = std::fs::read(server_binary()).unwrap();
    let holds = |text: &str| program.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("libc.so.6"), "the linked libraries are found");
    for text in ["libmethod_sdk_dylib", "libstd-", "simpleapi_methods", "libloading"] {
        assert!(!holds(text), "{text}");
    }
    let tree = cargo(root(), "tree")
        .args(["--edges", "normal", "--locked", "--offline", "--prefix", "none"])
        .output()
        .unwrap();
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    assert!(tree.contains("simpleapi-server v"), "{tree}");
    for package in ["libloading v", "notify v", "method-sdk-dylib v", "simpleapi-loader v"] {
        assert!(!tree.contains(package), "{package}");
    }
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn saved_migrations_are_applied_and_changes_that_break_callers_are_named() {
    let app = Scratch::new("migrating");
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "first"));
    app.write("methods/_rows.rs", "pub const ROW: &str = \"INSERT INTO notes VALUES ('started')\";\n");
    app.write(
        "methods/_start.rs",
        "use method_sdk::prelude::*;\npub async fn start(connection: &DatabaseHandle) -> Result<()> {
            sqlx::query(super::_rows::ROW).execute(connection.db().sqlite()?).await?;
            Ok(())
        }\n",
    );
    app.write("migrations/sqlite/0001_notes.sql", "CREATE TABLE notes (text TEXT);\n");
    let dev = Development::start(app, &[]);
    dev.save(
        "count.rs",
        "use method_sdk::prelude::*;\npub async fn invoke(handler: &mut Handler, _: ()) -> Result<i64> {
            Ok(sqlx::query_scalar(\"SELECT count(*) FROM notes\").fetch_one(handler.connection().db().sqlite()?).await?)
        }\n",
    );
    dev.wait_for_result("count", 1).await;

    dev.app.write("migrations/sqlite/0002_more.sql", "-- More.\nINSERT INTO notes VALUES ('a'), ('b');\n");
    dev.server.wait_for_log("applied migrations/sqlite/0002_more.sql");
    dev.wait_for_result("count", 3).await;
    dev.app.write("migrations/sqlite/0003_wrong.sql", "-- Wrong.\nINSERT INTO nots VALUES ('c');\n");
    dev.server.wait_for_log("error: migrations/sqlite/0003_wrong.sql:2: no such table: nots");
    dev.app.write("migrations/sqlite/0003_wrong.sql", "INSERT INTO notes VALUES ('c');\n");
    dev.server.wait_for_log("applied migrations/sqlite/0003_wrong.sql");
    dev.app.write("migrations/sqlite/0003_wrong.sql", "INSERT INTO notes VALUES ('d');\n");
    dev.server.wait_for_log("migrations/sqlite/0003_wrong.sql was changed after it was applied");
    dev.wait_for_result("count", 4).await;

    let accept =
        Command::new(dev.app.binary()).args(["contract", "accept"]).current_dir(dev.app.directory.path()).output();
    assert!(accept.unwrap().status.success());
    dev.save(
        "a.rs",
        "use method_sdk::prelude::*;\npub async fn invoke(_: &mut Handler, _: ()) -> Result<u8> { Ok(7) }\n",
    );
    dev.wait_for_result("a", 7).await;
    dev.server.wait_for_log("methods/a.rs:2: a: the answer was string, is integer\nthis breaks callers; `server contract accept` accepts it");
}
