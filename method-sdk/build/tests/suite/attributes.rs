//! The constants that the server knows, and the file's text.

use crate::{ASYNC, SYNC, tree, wrong};

fn with(attribute: &str) -> Vec<String> {
    wrong(&format!("{ASYNC}{attribute}"))
}

#[test]
fn attributes_have_their_types() {
    assert_eq!(
        with("pub const AUTHENTICATED: u8 = 1;"),
        ["2: `AUTHENTICATED` is a `bool`: write `pub const AUTHENTICATED: bool = true;`"]
    );
    assert_eq!(with("pub const GET: &str = \"\";"), ["2: `GET` is a `bool`: write `pub const GET: bool = true;`"]);
    assert_eq!(
        with("pub const TIMEOUT_SECONDS: Duration = A;"),
        ["2: `TIMEOUT_SECONDS` is a `u64`: write `pub const TIMEOUT_SECONDS: u64 = 60;`"]
    );
    assert_eq!(with("pub const TIMEOUT_SECONDS: u64 = 60 * MINUTES;"), [""; 0]);
}

#[test]
fn a_flag_is_true_or_false() {
    assert_eq!(
        with("pub const GET: bool = !true;"),
        ["2: `GET` is read before Rust computes anything: write `true` or `false`"]
    );
}

#[test]
fn attributes_are_public_constants() {
    assert_eq!(
        with("const AUTHENTICATED: bool = true;"),
        ["2: `AUTHENTICATED` is private, so it would be ignored; write `pub` before it"]
    );
    assert_eq!(
        with("const TIMEOUT_SECONDS: u64 = 1;"),
        ["2: `TIMEOUT_SECONDS` is private, so it would be ignored; write `pub` before it"]
    );
    assert_eq!(
        with("pub static AUTHENTICATED: bool = true;"),
        [
            "2: `AUTHENTICATED` is a `static`, and the server reads constants: write `pub const AUTHENTICATED: bool = true;`"
        ]
    );
}

#[test]
fn a_near_miss_is_told() {
    for (word, meant) in [
        ("AUTHENTICATE", "AUTHENTICATED"),
        ("AUTENTICATD", "AUTHENTICATED"),
        ("Authenticated", "AUTHENTICATED"),
        ("BLOCKS", ""),
        ("BLOCKIN", "BLOCKING"),
        ("GETS", "GET"),
        ("PUT", ""),
        ("AUTHENTICATION", ""),
    ] {
        let found = with(&format!("pub const {word}: bool = true;"));
        match meant {
            "" => assert_eq!(found, [""; 0]),
            _ => assert_eq!(found, [format!("2: `{word}` means nothing to the server; did you mean `{meant}`?")]),
        }
    }
    assert_eq!(with("pub const AUTHENTICATE: u8 = 1; const GETS: bool = true;"), [""; 0]);
}

#[test]
fn a_get_cannot_be_authenticated() {
    let found = with("pub const AUTHENTICATED: bool = true;\npub const GET: bool = true;");
    let message =
        "3: `GET` and `AUTHENTICATED` cannot go together: a GET's signature would cover nothing of what it asks";
    assert_eq!(found, [message]);
    assert_eq!(with("pub const AUTHENTICATED: bool = false;\npub const GET: bool = true;"), [""; 0]);
}

#[test]
fn an_async_invoke_cannot_be_blocking() {
    let message = "2: `BLOCKING` is for an `invoke` that is not `async`; use `tokio::task::spawn_blocking` inside or drop the `async`";
    assert_eq!(with("pub const BLOCKING: bool = true;"), [message]);
    assert_eq!(with("pub const BLOCKING: bool = false;"), [""; 0]);
    let source = tree(&[("greet.rs", &format!("{SYNC}pub const BLOCKING: bool = true;"))]).source(None);
    assert!(source.contains("g::Invoke::Blocking(greet·)"));
}

#[test]
fn the_description_is_the_files_text() {
    for (text, description) in [
        ("//! One.\n//!\n//!     two\n//! three \n", "One.\n\n    two\nthree"),
        ("/*! One.\n two */\n", "One.\ntwo"),
        ("#![doc = \"One.\"]\n", "One."),
        ("/// Of the function.\n", ""),
        ("\u{feff}//! One.\n", "One."),
    ] {
        let tree = tree(&[("greet.rs", &format!("{text}{ASYNC}"))]);
        assert_eq!(tree.methods()[0].description, description);
    }
}
