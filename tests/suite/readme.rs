//! The shell session of the documentation, run as it is written.

use std::process::Command;

use crate::support::{Server, root};

/// Returns the first block of shell after a heading of a document.
fn block(document: &str, heading: &str) -> String {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let (_, chapter) = text.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("no chapter {heading}"));
    let (_, rest) = chapter.split_once("```sh\n").unwrap();
    rest.split("\n```").next().unwrap().to_owned()
}

#[test]
#[ignore = "needs curl and openssl: run tests/run"]
fn a_signed_request_from_the_shell() {
    let server = Server::start(&[]);
    let script = block("docs/signing.md", "## In the shell").replace("127.0.0.1:8888", &server.address.to_string());
    let script = script.replace("localhost:8888", &server.address.to_string());
    let output = Command::new("bash").args(["-euc", &script]).output().unwrap();
    let (text, problem) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{problem}");
    assert!(text.contains(r#"{"result":{"count":1}}"#), "{text}\n{problem}");
}
