//! The generated Rust source.

use std::path::Path;

use method_build::Package;

use crate::{ASYNC, HOOK, SYNC, tree};

/// Returns the lines of `source` that end with this file.
fn lines_of(file: &str, source: &str) -> Vec<String> {
    let ending = format!("// methods/{file}");
    source.lines().filter(|line| line.ends_with(&ending)).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn the_tree_is_rust_and_nested_as_the_folders_are() {
    let folder = crate::folder(&[
        ("a/b/c.rs", ASYNC),
        ("a/b.c/x.txt", ""),
        ("a/_d.rs", ""),
        ("a_b.rs", SYNC),
        ("std.rs", ASYNC),
    ]);
    let methods = folder.path().join("methods");
    let source = method_build::read(&methods, Package::default()).unwrap().source(&[], None);
    syn::parse_file(&source).unwrap();
    let place = |file: &str| format!("#[path = {:?}]", methods.join(file));
    let expected = [
        place("a"),
        "pub mod a {".to_owned(),
        "#[path = \"_d.rs\"]".to_owned(),
        "pub mod _d;".to_owned(),
        "pub mod b {".to_owned(),
        "#[path = \"c.rs\"]".to_owned(),
        "pub mod c;".to_owned(),
        "}".to_owned(),
        "}".to_owned(),
        place("a_b.rs"),
        "pub mod a_b;".to_owned(),
        place("std.rs"),
        "pub mod std;".to_owned(),
    ];
    let tree = source.lines().map(str::trim).filter(|line| !line.starts_with("#[allow") && !line.starts_with("//"));
    assert_eq!(tree.take(expected.len()).collect::<Vec<_>>(), expected);
}

#[test]
fn an_async_method_has_a_marker_a_wrapper_a_hook_and_a_row() {
    let attributes = "pub const AUTHENTICATED: bool = true;\npub const TIMEOUT_SECONDS: u64 = 5;\npub const RATE: &str = \"10/60s\";\n";
    let source =
        tree(&[("account/login.rs", &format!("//! Says \"hi\".\n{ASYNC}{HOOK}{attributes}")), ("greet.rs", SYNC)])
            .source(&[], None);
    syn::parse_file(&source).unwrap();
    let expected = [
        "pub(super) enum account·login {}",
        "pub(super) fn account·login<'a>(h: &'a mut g::Handler, p: &'a g::RawParams) -> g::MethodFuture<'a> { \
         ::std::boxed::Box::pin(async move { g::encode_answer::<n::account·login, _>(g::into_result::<n::account·login, _, _>(\
         g::assert_send(crate::account::login::invoke(h, g::params::<n::account·login, _>(p)?)).await)) }) }",
        "pub(super) fn account·login·closed(c: g::ClosedCall) -> g::HookFuture { \
         ::std::boxed::Box::pin(crate::account::login::on_connection_close(c)) }",
        "::method_sdk::Method { name: \"account.login\", file: \"methods/account/login.rs\", description: \"Says \\\"hi\\\".\", \
         authenticated: crate::account::login::AUTHENTICATED, get: false, \
         timeout_seconds: ::std::option::Option::Some(crate::account::login::TIMEOUT_SECONDS), \
         rate: ::std::option::Option::Some(g::Rate::of_method(crate::account::login::RATE)), \
         invoke: g::Invoke::Async(account·login), on_connection_close: ::std::option::Option::Some(account·login·closed) },",
    ];
    assert_eq!(
        lines_of("account/login.rs", &source),
        expected.map(|line| format!("{line} // methods/account/login.rs"))
    );
}

#[test]
fn a_sync_method_is_called_in_place() {
    let source = tree(&[("greet.rs", SYNC)]).source(&[], None);
    let expected = [
        "pub(super) enum greet· {}",
        "pub(super) fn greet·(h: &mut g::Handler, p: &g::RawParams) -> g::MethodResult { g::encode_answer::<n::greet·, _>(\
         g::into_result::<n::greet·, _, _>(crate::greet::invoke(h, g::params::<n::greet·, _>(p)?))) }",
        "::method_sdk::Method { name: \"greet\", file: \"methods/greet.rs\", description: \"\", authenticated: false, get: false, \
         timeout_seconds: ::std::option::Option::None, rate: ::std::option::Option::None, invoke: g::Invoke::Sync(greet·), on_connection_close: ::std::option::Option::None },",
    ];
    assert_eq!(lines_of("greet.rs", &source), expected.map(|line| format!("{line} // methods/greet.rs")));
}

#[test]
fn shared_code_is_in_the_tree_and_not_in_the_table() {
    let source = tree(&[("_db/rows.rs", ""), ("greet.rs", ASYNC)]).source(&[], None);
    assert!(source.contains("pub mod _db {"));
    assert_eq!(lines_of("_db/rows.rs", &source), [""; 0]);
}

#[test]
fn rows_are_sorted_by_name_and_not_by_path() {
    let source = tree(&[("a_b.rs", ASYNC), ("a/z.rs", ASYNC), ("a0.rs", ASYNC)]).source(&[], None);
    let at = |name: &str| source.find(&format!("name: \"{name}\"")).unwrap();
    assert!(at("a.z") < at("a0") && at("a0") < at("a_b"));
}

#[test]
fn an_empty_tree_has_an_empty_table() {
    let source = tree(&[]).source(&[], None);
    syn::parse_file(&source).unwrap();
    assert!(source.contains("pub fn methods() -> ::method_sdk::Methods"));
    assert!(!source.contains("use "), "no unused imports");
}

#[test]
fn generated_items_cannot_clash_with_names_of_methods() {
    let source = tree(&[("methods.rs", ASYNC), ("account/login.rs", ASYNC)]).source(&[], None);
    let items = syn::parse_file(&source).unwrap().items;
    let modules: Vec<String> = items
        .iter()
        .filter_map(|item| if let syn::Item::Mod(module) = item { Some(module.ident.to_string()) } else { None })
        .collect();
    assert_eq!(modules, ["account", "methods", "method·names", "method·calls"]);
    assert_eq!(items.len(), modules.len() + 1, "and the function `methods`");
}

#[test]
fn a_relative_path_becomes_absolute() {
    let methods = Path::new("tests/suite/../../no/methods");
    let problem = &method_build::read(methods, Package::default()).unwrap_err()[0];
    assert_eq!(problem.file, Path::new("methods"));
}
