//! The form of `invoke` and `on_connection_close`.

use crate::{ASYNC, HOOK, SYNC, tree, wrong};

/// Returns the only error in `methods/greet.rs` with this text, up to the advice.
fn only(text: &str) -> String {
    let found = wrong(text);
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found[0].split("; ").next().unwrap().to_owned()
}

#[test]
fn invoke_is_required() {
    let message = " the function `invoke` is missing; write `pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer>`, with or without `async`";
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
fn invoke_takes_two_parameters() {
    assert_eq!(
        wrong("//! Text.\n\npub async fn invoke(handler: &mut Handler) -> Result<()> { a() }"),
        [
            "3: `invoke` must take 2 parameters, not 1; write `pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer>`, with or without `async`"
        ]
    );
    assert_eq!(only("pub fn invoke() -> R { a() }"), "1: `invoke` must take 2 parameters, not 0");
    assert_eq!(only("pub fn invoke(h: &mut H, p: P, q: Q) -> R { a() }"), "1: `invoke` must take 2 parameters, not 3");
    assert_eq!(only("pub fn invoke(&self, p: P) -> R { a() }"), "1: `invoke` must not take `self`");
    assert_eq!(
        only("pub fn invoke(h: Handler, p: P) -> R { a() }"),
        "1: the first parameter of `invoke` must be `handler: &mut Handler`"
    );
}

#[test]
fn invoke_is_an_ordinary_function() {
    for qualifier in ["const", "unsafe", "extern"] {
        let found = only(&format!("pub {qualifier} fn invoke(h: &mut H, p: P) -> R {{ a() }}"));
        assert_eq!(found, format!("1: `invoke` must not be `{qualifier}`"));
    }
    let generic = "1: `invoke` must not be generic";
    assert_eq!(only("pub fn invoke<P>(h: &mut H, p: P) -> R { a() }"), generic);
    assert_eq!(only("pub fn invoke<const N: usize>(h: &mut H, p: [u8; N]) -> R { a() }"), generic);
    assert_eq!(only("pub fn invoke(h: &mut H, p: impl Read) -> R { a() }"), generic);
    assert_eq!(wrong("pub fn invoke<'a>(h: &'a mut H, p: P) -> Result<&'a str> { a() }"), [""; 0]);
}

#[test]
fn params_cannot_borrow() {
    let message =
        "1: the `params` of `invoke` cannot borrow; use types that own their data, such as `String` instead of `&str`";
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
fn invoke_returns_a_result() {
    assert_eq!(only("pub async fn invoke(h: &mut H, p: P) {}"), "1: `invoke` must return a `Result`");
}

#[test]
fn every_error_in_a_function_is_reported() {
    assert_eq!(wrong("unsafe fn invoke<T>(p: &T) {}").len(), 5);
}

#[test]
fn the_first_of_several_invokes_counts() {
    let source = tree(&[("greet.rs", &format!("#[cfg(unix)]\n{SYNC}#[cfg(not(unix))]\n{ASYNC}"))]).source(&[], None);
    assert!(source.contains("g::Invoke::Sync(greet·)"));
}

#[test]
fn both_forms_of_async_are_recognized() {
    let future = "pub fn invoke(h: &mut H, p: P) -> impl Send + std::future::Future<Output = R> { a() }";
    for (text, kind) in [(ASYNC, "Async"), (SYNC, "Sync"), (future, "Async")] {
        assert!(
            tree(&[("greet.rs", text)]).source(&[], None).contains(&format!("g::Invoke::{kind}(greet·)")),
            "{text}"
        );
    }
}

#[test]
fn a_file_that_is_not_rust_is_left_to_rustc() {
    let source = tree(&[("greet.rs", "pub fn invoke(")]).source(&[], None);
    assert!(source.contains("g::Invoke::Async(greet·)"));
}

#[test]
fn a_file_that_is_not_text_is_an_error() {
    let folder = crate::folder(&[]);
    std::fs::write(folder.path().join("methods/greet.rs"), b"\xff\xfe").unwrap();
    assert!(crate::problems_in(folder.path())[0].starts_with("methods/greet.rs: cannot read the file: "));
}

#[test]
fn on_connection_close_has_one_form() {
    for (hook, expected) in [
        ("async fn on_connection_close(c: ClosedCall) {}", "is private"),
        ("pub fn on_connection_close(c: ClosedCall) {}", "must be `async`"),
        ("pub async fn on_connection_close() {}", "must take 1 parameter, not 0"),
        ("pub async fn on_connection_close(h: &mut Handler, c: ClosedCall) {}", "must take 1 parameter, not 2"),
        ("pub async fn on_connection_close(c: &ClosedCall) {}", "must not take a reference"),
        ("pub async fn on_connection_close(c: ClosedCall) -> Result<()> {}", "must return nothing"),
        ("pub async unsafe fn on_connection_close(c: ClosedCall) {}", "must not be `unsafe`"),
    ] {
        let found = only(&format!("{ASYNC}{hook}"));
        assert!(found.starts_with("2: `on_connection_close` ") && found.contains(expected), "{hook}: {found}");
    }
    assert_eq!(only(&format!("{SYNC}{HOOK}")), "2: `on_connection_close` requires an `async` `invoke`");
}

#[test]
fn a_hook_with_a_misspelt_name_is_reported() {
    let misspelt = HOOK.replace("close", "closed");
    let found = wrong(&format!("{ASYNC}{misspelt}"));
    assert_eq!(found, ["2: the server does not call `on_connection_closed`; did you mean `on_connection_close`?"]);
}
