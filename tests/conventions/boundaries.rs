//! The files that may name a package: a reader who looks for its use finds it in one place.

use crate::code::tokens;
use crate::{assert_none, rust_files, text};

/// A word in code, the folder in which it is looked for, and the files and folders that may use it.
const BOUNDARIES: &[(&str, &str, &[&str])] = &[
    ("unsafe", "", &["server/heap/", "server/loader/"]),
    ("libc", "", &["server/heap/"]),
    ("warp", "", &["server/src/transport/http/", "server/src/transport/connection.rs"]),
    ("hmac", "server", &["server/src/call/auth.rs"]),
    ("sha1", "server", &["server/src/call/auth.rs"]),
    ("sqlx", "server", &["server/src/store/", "server/src/cli/import.rs", "server/src/cli/init/notes/"]),
    ("mongodb", "server", &["server/src/store/", "server/src/cli/import.rs"]),
    ("rusqlite", "", &["server/sqlite/"]),
    ("simpleapi_sqlite", "", &["server/src/store/sql/sqlite/", "method-sdk/dylib/", "server/sqlite/"]),
    ("structopt", "", &["server/src/config/args.rs"]),
    ("sqlx", "method-sdk/src", &SDK_DATABASES),
    ("mongodb", "method-sdk/src", &SDK_DATABASES),
    ("session_id", "server/src/store/", &[]),
    ("session_id", "server/src/log", &[]),
    ("dev", "server/src/", &["server/src/dev/", "server/src/cli/", "server/src/lib.rs"]),
    ("simpleapi_server", "method-sdk/", &[]),
    ("socket2", "", &["server/src/transport/socket.rs"]),
    ("libloading", "", &["server/loader/"]),
    ("syn", "", &["method-sdk/build/src/"]),
    ("thread_local", "", &["server/src/log/json.rs"]),
    ("lazy_static", "", &[]),
];

/// The files of the SDK that know the databases: the handle, their errors, and the re-exports.
const SDK_DATABASES: [&str; 3] = ["method-sdk/src/database.rs", "method-sdk/src/transient.rs", "method-sdk/src/lib.rs"];

/// Folders of tests, and of applications that are not part of the workspace.
const OUTSIDE: [&str; 4] = ["tests/", "bench/", "method-sdk/tests/", "method-sdk/build/tests/"];

fn production_files() -> Vec<String> {
    let mut files = rust_files("");
    files.retain(|path| !OUTSIDE.iter().any(|folder| path.starts_with(folder)) && !path.ends_with("/tests.rs"));
    files
}

#[test]
fn each_package_is_named_only_where_it_belongs() {
    let mut findings = Vec::new();
    for path in production_files() {
        for token in tokens(&text(&path).unwrap()) {
            for (word, folder, allowed) in BOUNDARIES {
                let is_allowed = allowed.iter().any(|prefix| path.starts_with(prefix));
                if token.text == *word && path.starts_with(folder) && !is_allowed {
                    findings.push(format!("{path}:{}: `{word}` may only be used in {allowed:?}", token.line));
                }
            }
        }
    }
    assert_none(&findings, "a package or keyword outside its place (see BOUNDARIES)");
}

#[test]
fn production_code_does_not_unwrap() {
    let mut findings = Vec::new();
    for path in production_files() {
        let code = tokens(&text(&path).unwrap());
        for call in code.windows(4) {
            let texts = [&call[0].text, &call[1].text, &call[2].text, &call[3].text];
            if texts == [".", "unwrap", "(", ")"] {
                findings.push(format!("{path}:{}: `.unwrap()`; use `?`, or `expect` with its proof", call[1].line));
            }
        }
    }
    assert_none(&findings, "unwrap outside tests");
}
