//! The lock: changes that break callers, and changes that break none.

use method_build::{Contract, Package};

const LIST: &str = r#"//! Lists what the shop has.
use method_sdk::prelude::*;

pub const GET: bool = true;

#[derive(Deserialize)]
pub struct Params {
    pub limit: Option<u32>,
    #[serde(alias = "begin")]
    pub after: Option<String>,
    pub state: super::_types::State,
    pub filter: Option<Filter>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
pub enum Filter {
    Price { least: u32 },
    Name { part: String },
}

#[derive(Serialize)]
pub struct Answer {
    pub items: Vec<super::_types::Item>,
    pub total: u64,
    pub next: Option<String>,
}

pub async fn invoke(_: &mut Handler, _: Params) -> Result<Answer> {
    Err(Error::new(2000, "closed"))
}
"#;

const ADD: &str = r#"use method_sdk::prelude::*;

#[derive(Deserialize)]
pub struct Params {
    pub title: String,
    pub count: i32,
    pub tags: Vec<String>,
}

pub async fn invoke(_: &mut Handler, _: Params) -> Result<u32> {
    Ok(1)
}
"#;

const TYPES: &str = r#"use method_sdk::prelude::*;

#[derive(Serialize)]
pub struct Item {
    pub id: u32,
    pub state: State,
    pub parts: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    New,
    Used,
}
"#;

/// A replacement in a file.
type Edit = (&'static str, &'static str, &'static str);

fn contract(edits: &[Edit]) -> Contract {
    let mut files =
        [("shop/list.rs", LIST.to_owned()), ("shop/add.rs", ADD.to_owned()), ("shop/_types.rs", TYPES.to_owned())];
    for (file, from, to) in edits {
        let (_, text) = files.iter_mut().find(|(name, _)| name == file).unwrap();
        assert!(text.contains(from), "{file} contains {from:?}");
        *text = text.replacen(from, to, 1);
    }
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (*name, &**text)).filter(|(_, text)| !text.is_empty()).collect();
    let folder = crate::folder(&files);
    method_build::read(&folder.path().join("methods"), Package::default()).unwrap().contract()
}

fn changes(edits: &[Edit]) -> Vec<String> {
    let changes = contract(edits).breaking_changes(&contract(&[]).lock()).unwrap();
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn changes_that_break_callers_are_named_with_file_and_line() {
    let (list, add, types) = ("shop/list.rs", "shop/add.rs", "shop/_types.rs");
    let cases: &[(Edit, &str)] = &[
        ((add, ADD, ""), "methods/shop/add.rs: shop.add: the method no longer exists"),
        (
            (add, "#[derive", "pub const AUTHENTICATED: bool = true;\n#[derive"),
            "methods/shop/add.rs:3: shop.add: it needs a session now",
        ),
        (
            (list, "pub const GET: bool = true;\n", ""),
            "methods/shop/list.rs:28: shop.list: it cannot be called with GET any more",
        ),
        (
            (list, "limit: Option<u32>", "shop: u32, pub limit: Option<u32>"),
            "methods/shop/list.rs:8: shop.list: parameter `shop` is new and required",
        ),
        (
            (list, "after: Option<String>", "after: String"),
            "methods/shop/list.rs:10: shop.list: parameter `after` is required now\nmethods/shop/list.rs:10: shop.list: parameter `after` may not be null any more",
        ),
        (
            (list, "#[serde(alias = \"begin\")]\n", ""),
            "methods/shop/list.rs:9: shop.list: parameter `begin` is not read any more",
        ),
        (
            (add, "    pub title: String,\n", ""),
            "methods/shop/add.rs:4: shop.add: parameter `title` is not read any more",
        ),
        (
            (add, "count: i32", "count: u8"),
            "methods/shop/add.rs:6: shop.add: parameter `count` takes fewer numbers: -2147483648 to 2147483647 before, 0 to 255 now",
        ),
        (
            (add, "tags: Vec<String>", "tags: Vec<u8>"),
            "methods/shop/add.rs:7: shop.add: parameter `tags.[]` was string, is integer",
        ),
        (
            (add, "#[derive(Deserialize)]", "#[derive(Deserialize)]\n#[serde(deny_unknown_fields)]"),
            "methods/shop/add.rs:5: shop.add: the parameters do not take unknown members any more",
        ),
        (
            (list, "    Name { part: String },\n", ""),
            "methods/shop/list.rs:12: shop.list: parameter `filter` does not take \"Name\" any more",
        ),
        (
            (list, "least: u32", "least: u32, most: u32"),
            "methods/shop/list.rs:18: shop.list: parameter `filter.most` is new and required",
        ),
        ((list, "    pub total: u64,\n", ""), "methods/shop/list.rs:23: shop.list: answer's `total` no longer exists"),
        (
            (list, "total: u64", "total: Option<u64>"),
            "methods/shop/list.rs:25: shop.list: answer's `total` may be null now",
        ),
        (
            (list, "    pub next", "    #[serde(skip_serializing_if = \"Option::is_none\")]\n    pub next"),
            "methods/shop/list.rs:27: shop.list: answer's `next` may be missing now",
        ),
        (
            (types, "id: u32", "id: String"),
            "methods/shop/_types.rs:5: shop.list: answer's `items.[].id` was integer, is string",
        ),
        (
            (types, "id: u32", "id: i64"),
            "methods/shop/_types.rs:5: shop.list: answer's `items.[].id` may be another number: 0 to 4294967295 before, -9223372036854775808 to 9223372036854775807 now",
        ),
        (
            (types, "    Used,\n", "    Used,\n    Lost,\n"),
            "methods/shop/_types.rs:6: shop.list: answer's `items.[].state` may also be \"lost\"",
        ),
        (
            (types, "    Used,\n", ""),
            "methods/shop/list.rs:11: shop.list: parameter `state` does not take \"used\" any more",
        ),
        ((add, "Result<u32>", "Result<String>"), "methods/shop/add.rs:10: shop.add: the answer was integer, is string"),
        (
            (add, "Ok(1)", "{ handler.write(\"a\").await?; Ok(1) }"),
            "methods/shop/add.rs:10: shop.add: it streams its answer now",
        ),
    ];
    let results: Vec<_> = cases.iter().map(|(edit, expected)| (changes(&[*edit]).join("\n"), *expected)).collect();
    let wrong: Vec<_> = results.iter().filter(|(found, expected)| found != expected).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(cases.len() >= 12);
}

#[test]
fn changes_that_break_no_caller_pass() {
    let (list, add, types) = ("shop/list.rs", "shop/add.rs", "shop/_types.rs");
    let cases: &[&[Edit]] = &[
        &[],
        &[(list, "limit: Option<u32>", "limit: Option<u64>")],
        &[(list, "pub limit", "pub shop: Option<u8>, pub limit")],
        &[(add, "pub count: i32", "#[serde(default)]\n    pub count: i32")],
        &[(add, "title: String", "title: Option<String>")],
        &[(list, "total: u64", "total: u32")],
        &[(list, "pub total: u64", "pub total: u64, pub more: String")],
        &[(list, "next: Option<String>", "next: String")],
        &[(list, "    Name { part: String },\n", "    Name { part: String },\n    Any,\n")],
        &[(list, "least: u32", "least: Option<u32>")],
        &[(types, "struct Item", "struct Thing"), (types, "Vec<Item>", "Vec<Thing>"), (list, "Item", "Thing")],
        &[(add, "count: i32", "count: Option<i64>")],
        &[(add, "struct Params", "/// A comment.\npub struct Params")],
        &[(add, "tags: Vec<String>", "tags: Vec<serde_json::Value>")],
        &[(list, "Err(Error::new(2000, \"closed\"))", "Err(Error::new(2001, \"open\"))")],
        &[(add, "title", "#[serde(alias = \"name\")] title")],
        &[(add, "#[derive", "pub const GET: bool = true;\n#[derive")],
    ];
    for edits in cases {
        assert_eq!(changes(edits), Vec::<String>::new(), "{edits:?}");
    }
    assert!(cases.len() >= 12);
}

#[test]
fn a_lock_has_one_member_a_line_and_no_text_for_people() {
    let lock = contract(&[]).lock();
    assert!(lock.ends_with("}\n") && !lock.contains("Lists what"), "{lock}");
    assert!(lock.lines().all(|line| line.len() < 100), "{lock}");
    assert!(contract(&[]).breaking_changes("{}").is_err() && contract(&[]).breaking_changes("").is_err());
    // A member that is called as a keyword is kept.
    let described = contract(&[("shop/add.rs", "title: String", "description: String")]).lock();
    assert!(described.contains("\"description\": {"), "{described}");
}

#[test]
fn nothing_is_compared_while_a_file_is_not_rust() {
    let broken = contract(&[("shop/_types.rs", "pub struct Item", "pub struct Item {{")]);
    assert_eq!(broken.unreadable, [std::path::Path::new("methods/shop/_types.rs")]);
    assert_eq!(broken.breaking_changes(&contract(&[]).lock()).unwrap(), []);
}
