//! What `invoke` and `on_connection_close` must look like.

use crate::{ASYNC, HOOK, SYNC, tree, wrong};

/// `methods/greet.rs` with this `invoke`, as the message after which the form is repeated.
fn only(text: &str) -> String {
    let found = wrong(text);
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found[0].split("; ").next().unwrap().to_owned()
}

#[test]
fn there_must_be_an_invoke() {
    let message = " there is no `invoke`; a method is `pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer>`, or the same without `async`";
    assert_eq!(wrong(""), [message]);
    assert_eq!(wrong("pub struct Params;\nimpl Params { pub fn invoke() {} }"), [message]);
}

#[test]
fn invoke_must_be_public() {
    assert_eq!(wrong("\nfn invoke(h: &mut H, p: P) -> R { a() }"), ["2: `invoke` is private; write `pub` before it"]);
    assert_eq!(
        wrong("pub(crate) async fn invoke(h: &mut H, p: P) -> R { a() }"),
        ["1: `invoke` is private; write `pub` without parentheses before it"]
    );
}

#[test]
fn invoke_takes_two_arguments() {
    assert_eq!(
        wrong("//! Text.\n\npub async fn invoke(handler: &mut Handler) -> Result<()> { a() }"),
        [
            "3: `invoke` takes 1 argument, not 2; a method is `pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer>`, or the same without `async`"
        ]
    );
    assert_eq!(only("pub fn invoke() -> R { a() }"), "1: `invoke` takes 0 arguments, not 2");
    assert_eq!(only("pub fn invoke(h: &mut H, p: P, q: Q) -> R { a() }"), "1: `invoke` takes 3 arguments, not 2");
    assert_eq!(
        only("pub fn invoke(&self, p: P) -> R { a() }"),
        "1: `invoke` takes `self`, and it is not a function of a type"
    );
    assert_eq!(
        only("pub fn invoke(h: Handler, p: P) -> R { a() }"),
        "1: the first argument of `invoke` is not `handler: &mut Handler`"
    );
}

#[test]
fn invoke_is_an_ordinary_function() {
    for qualifier in ["const", "unsafe", "extern"] {
        let found = only(&format!("pub {qualifier} fn invoke(h: &mut H, p: P) -> R {{ a() }}"));
        assert_eq!(found, format!("1: `invoke` is `{qualifier}`, and the server calls ordinary functions"));
    }
    let generic = "1: `invoke` is generic, and nothing would choose its types";
    assert_eq!(only("pub fn invoke<P>(h: &mut H, p: P) -> R { a() }"), generic);
    assert_eq!(only("pub fn invoke<const N: usize>(h: &mut H, p: [u8; N]) -> R { a() }"), generic);
    assert_eq!(only("pub fn invoke(h: &mut H, p: impl Read) -> R { a() }"), generic);
    assert_eq!(wrong("pub fn invoke<'a>(h: &'a mut H, p: P) -> Result<&'a str> { a() }"), [""; 0]);
}

#[test]
fn params_cannot_borrow() {
    let message = "1: the params of `invoke` cannot borrow; make them own their data (`String` instead of `&str`)";
    for params in ["&str", "&'static str", "Params<'_>", "Params<'a>", "Vec<Params<'_>>", "Option<(u8, &str)>"] {
        assert_eq!(
            wrong(&format!("pub async fn invoke(h: &mut H, p: {params}) -> R {{ a() }}")),
            [message],
            "{params}"
        );
    }
    assert_eq!(wrong("pub fn invoke(h: &mut H, p: Cow<'static, str>) -> R { a() }"), [""; 0]);
}

#[test]
fn invoke_returns_something() {
    assert_eq!(only("pub async fn invoke(h: &mut H, p: P) {}"), "1: `invoke` returns nothing, not a `Result`");
}

#[test]
fn all_that_is_wrong_with_one_function_is_told() {
    assert_eq!(wrong("unsafe fn invoke<T>(p: &T) {}").len(), 5);
}

#[test]
fn the_first_of_several_invokes_is_taken() {
    let source = tree(&[("greet.rs", &format!("#[cfg(unix)]\n{SYNC}#[cfg(not(unix))]\n{ASYNC}"))]).source(None);
    assert!(source.contains("g::Invoke::Sync(greet·)"));
}

#[test]
fn async_is_seen_in_both_its_forms() {
    let future = "pub fn invoke(h: &mut H, p: P) -> impl Send + std::future::Future<Output = R> { a() }";
    for (text, kind) in [(ASYNC, "Async"), (SYNC, "Sync"), (future, "Async")] {
        assert!(tree(&[("greet.rs", text)]).source(None).contains(&format!("g::Invoke::{kind}(greet·)")), "{text}");
    }
}

#[test]
fn a_file_that_is_no_rust_is_left_to_rustc() {
    let source = tree(&[("greet.rs", "pub fn invoke(")]).source(None);
    assert!(source.contains("g::Invoke::Async(greet·)"));
}

#[test]
fn a_file_that_is_no_text_is_a_problem() {
    let folder = crate::folder(&[]);
    std::fs::write(folder.path().join("methods/greet.rs"), b"\xff\xfe").unwrap();
    assert!(crate::problems_in(folder.path())[0].starts_with("methods/greet.rs: it cannot be read: "));
}

#[test]
fn on_connection_close_must_be_as_the_server_calls_it() {
    for (hook, says) in [
        ("async fn on_connection_close(c: ClosedCall) {}", "is private"),
        ("pub fn on_connection_close(c: ClosedCall) {}", "is not `async`"),
        ("pub async fn on_connection_close() {}", "takes 0 arguments, not 1"),
        ("pub async fn on_connection_close(h: &mut Handler, c: ClosedCall) {}", "takes 2 arguments, not 1"),
        ("pub async fn on_connection_close(c: &ClosedCall) {}", "takes a reference"),
        ("pub async fn on_connection_close(c: ClosedCall) -> Result<()> {}", "returns something"),
        ("pub async unsafe fn on_connection_close(c: ClosedCall) {}", "is `unsafe`"),
    ] {
        let found = only(&format!("{ASYNC}{hook}"));
        assert!(found.starts_with("2: `on_connection_close` ") && found.contains(says), "{hook}: {found}");
    }
    assert_eq!(only(&format!("{SYNC}{HOOK}")), "2: `on_connection_close` is for an `async` `invoke`");
}

#[test]
fn a_hook_with_a_misspelt_name_is_told() {
    let misspelt = HOOK.replace("close", "closed");
    let found = wrong(&format!("{ASYNC}{misspelt}"));
    assert_eq!(found, ["2: `on_connection_closed` means nothing to the server; did you mean `on_connection_close`?"]);
}
