//! The page at `/docs`, driven in a browser while development mode serves it: `tests/node/page.mjs` has the steps.

use std::process::Command;

use crate::development::serve;
use crate::scratch_app::{Scratch, copy_folder};
use crate::support::{Listening as _, root};

#[test]
#[ignore = "needs Chromium and Node, and builds an application: run tests/run"]
fn a_browser_reads_and_calls_the_methods_and_follows_each_save() {
    let app = Scratch::new("page");
    copy_folder(&root().join("methods"), &app.path("methods"));
    let server = serve(&app, &[]);
    let mut driver = Command::new("node");
    driver.arg(root().join("tests/node/page.mjs")).args([&server.url(""), &app.path("methods").display().to_string()]);
    let output = driver.output().unwrap();
    let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{text}");
    assert!(text.matches("\nok: ").count() > 10, "{text}");
}
