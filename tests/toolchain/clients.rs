//! The generated clients, checked strictly and run against a server: `tests/clients` has their steps.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::development::serve;
use crate::scratch_app::{Scratch, copy_folder};
use crate::support::{Listening as _, root};

/// Returns the output of a command that must succeed.
#[track_caller]
pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{command:?}\n{text}");
    text
}

/// Returns a program of `tests/node`, which `tests/run` installs.
pub(crate) fn node_tool(name: &str) -> PathBuf {
    root().join("tests/node/node_modules/.bin").join(name)
}

/// Returns a program that `tests/run` installs from PyPI.
pub(crate) fn python_tool(name: &str) -> PathBuf {
    root().join("target/tools/python/bin").join(name)
}

/// The methods of this repository, and one with parameters of every form.
pub(crate) fn application(name: &str) -> Scratch {
    let app = Scratch::new(name);
    copy_folder(&root().join("methods"), &app.path("methods"));
    app.write("methods/forms.rs", &std::fs::read_to_string(root().join("tests/clients/forms.rs")).unwrap());
    app
}

fn copy(file: &str, to: &Path) {
    std::fs::copy(root().join("tests/clients").join(file), to.join(file)).unwrap();
}

#[test]
#[ignore = "needs Node, Chromium and Python, and builds an application: run tests/run"]
fn clients_pass_the_strictest_checks_and_call_sign_verify_and_stream() {
    let app = application("clients");
    let server = serve(&app, &[]);
    let client = app.path("client");
    for language in ["typescript", "python"] {
        let mut command = Command::new(app.binary());
        succeeds(command.args(["client", language]).arg(&client).current_dir(app.directory.path()));
    }

    copy("client.ts", &client);
    std::fs::write(client.join("package.json"), r#"{"type": "module"}"#).unwrap();
    let options = "--strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --noUnusedLocals --noUnusedParameters \
                   --noImplicitReturns --verbatimModuleSyntax --target es2022 --module nodenext --lib es2022,dom,dom.iterable";
    let mut tsc = Command::new(node_tool("tsc"));
    succeeds(tsc.args(options.split_whitespace()).arg("client.ts").current_dir(&client));
    let mut node = Command::new("node");
    let steps = succeeds(node.arg(root().join("tests/clients/node.mjs")).arg(&client).arg(server.url("")));
    for side in ["node: ", "chromium: "] {
        assert_eq!(steps.matches(side).count(), 9, "{steps}");
    }

    copy("client.py", &client);
    let mut mypy = Command::new(python_tool("mypy"));
    succeeds(mypy.args(["--strict", "client.py"]).current_dir(&client));
    let mut python = Command::new("python3");
    let steps = succeeds(python.args(["client.py", &server.url("")]).current_dir(&client));
    assert_eq!(steps.matches("python: ").count(), 8, "{steps}");
}
