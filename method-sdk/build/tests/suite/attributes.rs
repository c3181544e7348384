//! The constants that the server knows, and the `//!` text of a file.

use crate::{ASYNC, SYNC, tree, wrong};

fn with(attribute: &str) -> Vec<String> {
    wrong(&format!("{ASYNC}{attribute}"))
}

#[test]
fn attributes_have_their_types() {
    assert_eq!(
        with("pub const AUTHENTICATED: u8 = 1;"),
        ["2: `AUTHENTICATED` must be a `bool`; write `pub const AUTHENTICATED: bool = true;`"]
    );
    assert_eq!(with("pub const GET: &str = \"\";"), ["2: `GET` must be a `bool`; write `pub const GET: bool = true;`"]);
    assert_eq!(
        with("pub const TIMEOUT_SECONDS: Duration = A;"),
        ["2: `TIMEOUT_SECONDS` must be a `u64`; write `pub const TIMEOUT_SECONDS: u64 = 60;`"]
    );
    assert_eq!(with("pub const TIMEOUT_SECONDS: u64 = 60 * MINUTES;"), [""; 0]);
}

#[test]
fn a_flag_is_a_literal() {
    assert_eq!(
        with("pub const GET: bool = !true;"),
        ["2: `GET` must be a literal, because it is read before it is compiled; write `true` or `false`"]
    );
}

#[test]
fn attributes_are_public_constants() {
    assert_eq!(
        with("const AUTHENTICATED: bool = true;"),
        ["2: `AUTHENTICATED` is private and would be ignored; write `pub` before it"]
    );
    assert_eq!(
        with("const TIMEOUT_SECONDS: u64 = 1;"),
        ["2: `TIMEOUT_SECONDS` is private and would be ignored; write `pub` before it"]
    );
    assert_eq!(
        with("pub static AUTHENTICATED: bool = true;"),
        ["2: `AUTHENTICATED` must be a constant, not a `static`; write `pub const AUTHENTICATED: bool = true;`"]
    );
}

#[test]
fn a_typo_is_reported() {
    for (word, name) in [
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
        match name {
            "" => assert_eq!(found, [""; 0]),
            _ => assert_eq!(found, [format!("2: the server does not read `{word}`; did you mean `{name}`?")]),
        }
    }
    assert_eq!(with("pub const AUTHENTICATE: u8 = 1; const GETS: bool = true;"), [""; 0]);
}

#[test]
fn a_get_cannot_be_authenticated() {
    let found = with("pub const AUTHENTICATED: bool = true;\npub const GET: bool = true;");
    let message = "3: `GET` excludes `AUTHENTICATED`, because the signature of a GET request covers no parameters; remove one of the two constants";
    assert_eq!(found, [message]);
    assert_eq!(with("pub const AUTHENTICATED: bool = false;\npub const GET: bool = true;"), [""; 0]);
}

#[test]
fn an_async_invoke_cannot_be_blocking() {
    let message = "2: `BLOCKING` requires an `invoke` that is not `async`; remove the `async`, or call `tokio::task::spawn_blocking` in `invoke`";
    assert_eq!(with("pub const BLOCKING: bool = true;"), [message]);
    assert_eq!(with("pub const BLOCKING: bool = false;"), [""; 0]);
    let source = tree(&[("greet.rs", &format!("{SYNC}pub const BLOCKING: bool = true;"))]).source(&[], None);
    assert!(source.contains("g::Invoke::Blocking(greet·)"));
}

#[test]
fn the_description_is_the_inner_documentation_of_the_file() {
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
