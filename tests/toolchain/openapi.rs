//! The OpenAPI document, by the programs of others: two validators, two generators, and a tester that calls the server by it.

use std::process::Command;

use crate::clients::{application, node_tool, python_tool, succeeds};
use crate::development::serve;
use crate::support::{Listening as _, Process, directory, server_binary};

#[test]
#[ignore = "needs Node and Python, and builds an application: run tests/run"]
fn the_document_is_valid_and_generators_take_it() {
    let app = application("documented");
    // Builds it.
    drop(serve(&app, &[]));
    let directory = app.directory.path();
    let document = Command::new(app.binary()).arg("openapi").current_dir(directory).output().unwrap();
    assert!(document.status.success());
    std::fs::write(app.path("openapi.json"), document.stdout).unwrap();

    let path = std::env::join_paths(
        [python_tool("").as_path()]
            .into_iter()
            .map(std::path::Path::to_owned)
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let path = path.unwrap();
    let run = |program: std::path::PathBuf, arguments: &[&str]| {
        // One of the generators formats its files with another program of its folder.
        succeeds(Command::new(program).args(arguments).current_dir(directory).env("PATH", &path))
    };
    run(python_tool("openapi-spec-validator"), &["openapi.json"]);
    run(node_tool("redocly"), &["lint", "openapi.json"]);
    run(node_tool("openapi-typescript"), &["openapi.json", "--output", "types.ts"]);
    run(node_tool("tsc"), &["--strict", "--noEmit", "types.ts"]);
    let generate = ["generate", "--path", "openapi.json", "--meta", "none", "--output-path", "generated"];
    let output = run(python_tool("openapi-python-client"), &generate);
    assert!(!output.contains("WARNING") && !output.contains("ERROR"), "{output}");
    assert!(app.path("generated/api/methods/forms.py").is_file(), "{output}");
}

/// schemathesis calls the methods with what the document allows and with what it does not, and compares the responses with the document.
///
/// It does not check that everything that the document allows is accepted (`positive_data_acceptance`), because no type says that a user id is
/// not empty, or which number has no next one; nor that methods with optional sessions refuse invalid ones (`ignored_auth`), because they are
/// signed; nor that other HTTP methods are refused with a list of all allowed ones (`unsupported_method`), because the document of a server
/// does not list HEAD.
#[test]
#[ignore = "needs Python: run tests/run"]
fn the_server_does_what_the_document_says() {
    let server = Process::start(&directory(), &server_binary(), &["--docs=on"]);
    let mut schemathesis = Command::new(python_tool("schemathesis"));
    let checks = "positive_data_acceptance,ignored_auth,unsupported_method";
    schemathesis.args([
        "run",
        &server.url("/openapi.json"),
        "--checks=all",
        "--exclude-checks",
        checks,
        "--seed=1",
        "--max-examples=50",
    ]);
    // They would wait and stream for as long as the parameters say.
    schemathesis.args(["--exclude-path=/demo/wait", "--exclude-path=/demo/countdown", "--no-color"]);
    let folder = directory();
    let output = succeeds(schemathesis.current_dir(folder.path()));
    assert!(output.contains("Tested: 9") && !output.contains("FAILURES"), "{output}");
}
