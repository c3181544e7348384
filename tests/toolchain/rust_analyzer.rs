//! Editors: rust-analyzer knows the methods of every folder, as a user with an editor asks it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::scratch_app::{Scratch, fixtures_target};
use crate::support::{root, wait_for};

/// The longest wait for a message. Before the first answer, Cargo compiles the dependencies of the application's build script.
const TIMEOUT: Duration = Duration::from_secs(180);

/// A method that uses shared code. A test asks for what is at `Handler`, `name` and `handler.`.
const METHOD: &str = "//! Greets.
use method_sdk::prelude::*;

pub async fn invoke(handler: &mut Handler, _: ()) -> Result<String> {
    let _ = handler.session();
    Ok(crate::_shared::name(\"world\"))
}
";

const SHARED: &str = "//! Shared code.
use method_sdk::prelude::*;

pub fn name(name: &str) -> String {
    name.to_uppercase()
}

pub fn is_known(handler: &Handler) -> bool {
    handler.session().is_some()
}
";

/// A running rust-analyzer, asked through the language server protocol.
struct RustAnalyzer {
    process: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    requests: u64,
}

impl RustAnalyzer {
    /// Starts rust-analyzer on an application, and waits until it has read it.
    fn start(directory: &Path) -> Self {
        let program = Path::new(env!("CARGO")).with_file_name("rust-analyzer");
        assert!(program.is_file(), "rust-analyzer is missing: run `rustup component add rust-analyzer rust-src`");
        let mut command = Command::new(program);
        command.current_dir(directory).env("CARGO_TARGET_DIR", fixtures_target());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdin = process.stdin.take().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || {
            while let Some(message) = read_message(&mut stdout) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut analyzer = RustAnalyzer { process, stdin, messages, requests: 0 };
        let capabilities = json!({
            "experimental": { "serverStatusNotification": true },
            "textDocument": { "hover": { "contentFormat": ["plaintext"] } },
        });
        let folder = json!({ "uri": uri(directory), "name": "app" });
        let parameters =
            json!({ "processId": null, "rootUri": null, "workspaceFolders": [folder], "capabilities": capabilities });
        analyzer.request("initialize", parameters);
        analyzer.notify("initialized", json!({}));
        loop {
            let message = analyzer.receive();
            if message["method"] == "experimental/serverStatus" && message["params"]["quiescent"] == true {
                assert_eq!(message["params"]["health"], "ok", "{message}");
                return analyzer;
            }
        }
    }

    fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        let message = message.to_string();
        write!(self.stdin, "Content-Length: {}\r\n\r\n{message}", message.len()).unwrap();
        self.stdin.flush().unwrap();
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.send(json!({ "method": method, "params": params }));
    }

    fn receive(&self) -> Value {
        self.messages.recv_timeout(TIMEOUT).expect("rust-analyzer sends a message")
    }

    /// Returns the result of a request. Repeats it if files have changed before the response.
    fn request(&mut self, method: &str, params: Value) -> Value {
        const CONTENT_MODIFIED: i32 = -32801;
        loop {
            self.requests += 1;
            let id = self.requests;
            self.send(json!({ "id": id, "method": method, "params": params }));
            let is_response = |message: &Value| message["id"] == id && message.get("method").is_none();
            let response = std::iter::repeat_with(|| self.receive()).find(is_response).unwrap();
            if response["error"]["code"] != CONTENT_MODIFIED {
                assert!(response.get("error").is_none(), "{method}: {response}");
                return response["result"].clone();
            }
        }
    }

    fn open(&mut self, file: &Path, text: &str) {
        let document = json!({ "uri": uri(file), "languageId": "rust", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Returns the text that an editor shows for a place.
    fn hover(&mut self, file: &Path, text: &str, place: &str) -> String {
        let hover = self.at("textDocument/hover", file, text, place);
        hover["contents"]["value"].as_str().unwrap_or_default().to_owned()
    }

    /// Asks for something at the end of the first `place` in an open file.
    fn at(&mut self, request: &str, file: &Path, text: &str, place: &str) -> Value {
        let before = &text[..text.find(place).unwrap() + place.len()];
        let character = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        let position = json!({ "line": before.matches('\n').count(), "character": character });
        self.request(request, json!({ "textDocument": { "uri": uri(file) }, "position": position }))
    }
}

impl Drop for RustAnalyzer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read_message(reader: &mut impl std::io::BufRead) -> Option<Value> {
    let mut length = 0;
    for line in reader.by_ref().lines() {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.parse().ok()?;
        }
    }
    let mut message = vec![0; length];
    reader.read_exact(&mut message).ok()?;
    serde_json::from_slice(&message).ok()
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

#[test]
#[ignore = "needs rust-analyzer: run tests/run"]
fn an_editor_knows_the_methods_of_every_folder() {
    let app = Scratch::new("editor");
    // Without the server, whose dependencies rust-analyzer would compile too.
    let manifest = std::fs::read_to_string(app.path("Cargo.toml")).unwrap();
    let needs_server = |line: &&str| line.contains("simpleapi-server") || line.contains("src/main.rs");
    let manifest: Vec<_> = manifest.lines().filter(|line| !needs_server(line)).collect();
    app.write("Cargo.toml", &manifest.join("\n").replace("[[bin]]\nname = \"editor\"\n", ""));
    std::fs::remove_file(app.path("src/main.rs")).unwrap();
    let files = ["methods/greet.rs", "methods/a/b.rs", "methods/a/deep/er.rs"];
    for file in files {
        app.write(file, METHOD);
    }
    app.write("methods/_shared.rs", SHARED);

    let mut analyzer = RustAnalyzer::start(app.directory.path());
    for file in files.into_iter().chain(["methods/_shared.rs"]) {
        let path = app.path(file);
        let text = std::fs::read_to_string(&path).unwrap();
        analyzer.open(&path, &text);
        let hover = analyzer.hover(&path, &text, "Handler");
        assert!(hover.contains("pub struct Handler"), "{file}: {hover}");
        let completion = analyzer.at("textDocument/completion", &path, &text, "handler.");
        let items = completion["items"].as_array().or(completion.as_array()).cloned().unwrap_or_default();
        let labels: Vec<_> = items.iter().filter_map(|item| item["label"].as_str()).collect();
        assert!(labels.iter().any(|label| label.starts_with("session")), "{file}: {labels:?}");
        let (place, expected) = match file {
            "methods/_shared.rs" => ("Handler", root().join("method-sdk/src/handler.rs")),
            _ => ("_shared::name", app.path("methods/_shared.rs")),
        };
        let definition = analyzer.at("textDocument/definition", &path, &text, place);
        assert_eq!(definition[0]["uri"], uri(&expected), "{file}");
        let report = analyzer.request("textDocument/diagnostic", json!({ "textDocument": { "uri": uri(&path) } }));
        assert_eq!(report["items"], json!([]), "{file}");
    }

    // A new file is known once it is saved, when rust-analyzer has Cargo check the application.
    let path = app.path("methods/a/new.rs");
    app.write("methods/a/new.rs", METHOD);
    analyzer.open(&path, METHOD);
    analyzer.notify("textDocument/didSave", json!({ "textDocument": { "uri": uri(&path) } }));
    wait_for(
        || analyzer.hover(&path, METHOD, "Handler").contains("pub struct Handler").then_some(()),
        || "a new file is never known".to_owned(),
    );
}
