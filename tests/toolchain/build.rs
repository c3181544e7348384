//! From the tree of files to the table of methods: methods are added, moved and deleted, and an error in one is reported first and in plain words.

use std::process::Command;

use serde_json::json;

use crate::clients::{node_tool, succeeds};
use crate::scratch_app::{Scratch, TEXT_METHOD, cargo, fixtures_target};
use crate::support::{Listening as _, Process, directory, root, server_binary, wait_for_async};

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_method_is_added_moved_and_deleted_with_its_file() {
    let app = Scratch::new("comes");
    app.write("methods/a/b/c.rs", &TEXT_METHOD.replace("TEXT", "first"));
    let api = app.build_and_start();
    assert_eq!(api.api().call("a.b.c", json!({})).await.result(), "first");
    assert_eq!(api.api().send("/a/b/c", "", &[]).await.result(), "first");

    app.write("methods/a/b/c.rs", &TEXT_METHOD.replace("TEXT", "second"));
    app.write("methods/d.rs", &TEXT_METHOD.replace("TEXT", "new"));
    let api = app.build_and_start();
    assert_eq!(api.api().call("a.b.c", json!({})).await.result(), "second");
    assert_eq!(api.api().call("d", json!({})).await.result(), "new");

    std::fs::rename(app.path("methods/a/b/c.rs"), app.path("methods/a/b/e.rs")).unwrap();
    std::fs::remove_file(app.path("methods/d.rs")).unwrap();
    let api = app.build_and_start();
    assert_eq!(api.api().call("a.b.c", json!({})).await.code(), 1001);
    assert_eq!(api.api().call("a.b.e", json!({})).await.result(), "second");
    assert_eq!(api.api().call("d", json!({})).await.code(), 1001);

    std::fs::remove_dir_all(app.path("methods/a")).unwrap();
    let api = app.build_and_start();
    assert_eq!(api.api().call("a.b.e", json!({})).await.code(), 1001);
    assert_eq!(api.api().send("/a/b/e", "", &[]).await.status, 404);
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn methods_call_each_other_and_share_code() {
    let app = Scratch::new("shares");
    app.write("methods/_words.rs", "pub fn polite(text: &str) -> String { format!(\"{text}, please\") }\n");
    app.write("methods/a/_own/deep.rs", "pub const DEEP: &str = \"deep\";\n");
    app.write("methods/a/one.rs", &TEXT_METHOD.replace("TEXT", "one"));
    app.write(
        "methods/a/two.rs",
        "use method_sdk::prelude::*;
         pub async fn invoke(handler: &mut Handler, _: ()) -> Result<String> {
             let one = super::one::invoke(handler, ()).await?;
             Ok(crate::_words::polite(&format!(\"{one} {}\", super::_own::deep::DEEP)))
         }",
    );
    let server = app.build_and_start();
    assert_eq!(server.api().call("a.two", json!({})).await.result(), "one deep, please");
    assert_eq!(server.api().call("_words", json!({})).await.code(), 1001);
    assert_eq!(server.api().call("a._own.deep", json!({})).await.code(), 1001);
}

#[test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
fn a_new_method_of_server_new_compiles() {
    let app = Scratch::new("fresh");
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "a"));
    drop(app.build_and_start());
    let output = std::process::Command::new(app.binary())
        .args(["new", "shop.cart.add"])
        .current_dir(app.directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = app.cargo("check");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !text.contains("warning"), "{text}");
}

#[test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
fn an_error_in_a_method_is_reported_first_and_names_the_file() {
    let app = Scratch::new("wrong");
    let form =
        "write `pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer>`, with or without `async`";
    let head = "use method_sdk::prelude::*;\n";
    for (file, text, expected) in [
        ("empty.rs", String::new(), format!("methods/empty.rs: the function `invoke` is missing; {form}")),
        (
            "private.rs",
            format!("{head}fn invoke(_: &mut Handler, _: ()) -> Result<()> {{ Ok(()) }}"),
            "methods/private.rs:2: `invoke` is private; write `pub` before it".to_owned(),
        ),
        (
            "one.rs",
            format!("{head}pub fn invoke(_: &mut Handler) -> Result<()> {{ Ok(()) }}"),
            format!("methods/one.rs:2: `invoke` must take 2 parameters, not 1; {form}"),
        ),
        ("move.rs", TEXT_METHOD.to_owned(), "methods/move.rs: `move` is a Rust keyword".to_owned()),
        (
            "my-method.rs",
            TEXT_METHOD.to_owned(),
            "methods/my-method.rs: the name `my-method` must begin with a letter".to_owned(),
        ),
        (
            "attribute.rs",
            format!("{TEXT_METHOD}pub const AUTHENTICATED: &str = \"yes\";"),
            "methods/attribute.rs:3: `AUTHENTICATED` must be a `bool`".to_owned(),
        ),
        (
            "both.rs",
            format!("{TEXT_METHOD}pub const AUTHENTICATED: bool = true;\npub const GET: bool = true;"),
            "methods/both.rs".to_owned(),
        ),
        (
            "parameters.rs",
            format!("{head}pub struct Params;\npub fn invoke(_: &mut Handler, _: Params) -> Result<()> {{ Ok(()) }}"),
            "method `parameters·`: `Params` cannot be the `params` of `invoke`, because it is not `Deserialize`"
                .to_owned(),
        ),
        (
            "answer.rs",
            format!(
                "{head}pub struct Answer;\npub async fn invoke(_: &mut Handler, _: ()) -> Result<Answer> {{ Ok(Answer) }}"
            ),
            "method `answer·`: `Answer` cannot be the answer of `invoke`, because it is not `Serialize`".to_owned(),
        ),
        (
            "plain.rs",
            format!("{head}pub async fn invoke(_: &mut Handler, _: ()) -> Value {{ json!(1) }}"),
            "method `plain·`: `invoke` returns `method_sdk::prelude::Value`, not a `method_sdk::Result`".to_owned(),
        ),
        (
            "standard.rs",
            format!("{head}pub fn invoke(_: &mut Handler, _: ()) -> std::result::Result<u8, String> {{ Ok(1) }}"),
            "method `standard·`: `invoke` returns `Result<u8, std::string::String>`, not a `method_sdk::Result`"
                .to_owned(),
        ),
        (
            "borrowed.rs",
            format!("{head}pub fn invoke(_: &mut Handler, _: &str) -> Result<()> {{ Ok(()) }}"),
            "methods/borrowed.rs:2: the `params` of `invoke` cannot borrow".to_owned(),
        ),
    ] {
        let path = format!("methods/{file}");
        app.write(&path, &text);
        let errors = app.errors();
        assert!(errors[0].starts_with(&expected), "{file}: {errors:#?}");
        assert!(errors.len() <= 2, "reported once: {file}: {errors:#?}");
        std::fs::remove_file(app.path(&path)).unwrap();
    }

    app.write("methods/two.rs", TEXT_METHOD);
    app.write("methods/two/x.rs", TEXT_METHOD);
    app.write("methods/other.rs", "");
    let errors = app.errors();
    assert!(
        errors.iter().any(|error| error.starts_with("methods/two")),
        "a file and a folder of one name: {errors:#?}"
    );
    assert!(errors.iter().any(|error| error.starts_with("methods/other.rs")), "all are reported together: {errors:#?}");
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_new_application_builds_passes_its_tests_and_serves() {
    let directory = directory();
    let path = directory.path().join("new-shop");
    let created = Command::new(server_binary()).arg("init").arg(&path).output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let run = |command: &str, arguments: &[&str]| {
        let output = cargo(&path, command).arg("--offline").args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{command}: {text}");
        text
    };
    let tests = run("test", &[]);
    assert!(tests.contains("test result: ok. 3 passed") && !tests.contains("warning"), "{tests}");
    let form = Command::new("cargo").args(["fmt", "--check"]).current_dir(&path).output().unwrap();
    assert!(form.status.success(), "{}", String::from_utf8_lossy(&form.stdout));

    run("build", &["--features", "dev"]);
    let program = fixtures_target().join("debug/server");
    let server = Process::start(&directory, &program, &["--log-format=auto", "dev"]);
    let reply = server.api().call("hello", json!({ "name": "alice" })).await;
    assert_eq!(reply.result(), json!({ "greeting": "hello alice" }));
    let file = path.join("methods/hello.rs");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("hello {}", "good day {}")).unwrap();
    let api = server.api();
    wait_for_async(async || {
        api.call("hello", json!({ "name": "bob" })).await.result() == json!({ "greeting": "good day bob" })
    })
    .await;
    assert!(!server.log().contains("not formatted"), "{}", server.log());
}

#[test]
#[ignore = "needs Node and Chromium, and builds an application: run tests/run"]
fn the_example_notes_passes_its_tests_and_its_page_calls_it() {
    let directory = directory();
    let path = directory.path().join("my-notes");
    let template = ["init", "--template=notes"];
    succeeds(Command::new(server_binary()).args(template).arg(&path));
    let tests = succeeds(cargo(&path, "test").arg("--offline"));
    assert!(
        tests.contains("test notes_are_listed_the_newest_first_and_removed ... ok") && !tests.contains("warning"),
        "{tests}"
    );
    succeeds(Command::new("cargo").args(["fmt", "--check"]).current_dir(&path));
    let methods = ["methods/notes", "methods/app"].map(|folder| path.join(folder));
    for file in methods.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        succeeds(
            Command::new("rustfmt").args(["--check", "--edition=2024"]).arg(file.unwrap().path()).current_dir(&path),
        );
    }

    // The script that is part of the example is the one that npm would build of it.
    let web = path.join("web");
    let script = std::fs::read_to_string(web.join("app.js")).unwrap();
    succeeds(Command::new(node_tool("tsc")).arg("--noEmit").current_dir(&web));
    let bundle = ["app.ts", "--bundle", "--format=esm", "--target=es2022", "--outfile=app.js"];
    succeeds(Command::new(node_tool("esbuild")).args(bundle).current_dir(&web));
    assert_eq!(std::fs::read_to_string(web.join("app.js")).unwrap(), script, "web/app.js is not that of web/app.ts");

    succeeds(cargo(&path, "build").args(["--offline", "--features", "dev"]));
    let server = Process::start(&directory, &fixtures_target().join("debug/server"), &["dev"]);
    succeeds(Command::new("node").arg(root().join("tests/node/notes.mjs")).arg(server.url("")));
}
