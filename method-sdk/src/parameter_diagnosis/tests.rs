//! Errors of JSON parameters and of query strings, word by word.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Params {
    small: u8,
    large: u128,
    ratio: f64,
    flag: Option<bool>,
    name: String,
    raw: Option<Box<RawValue>>,
    pair: (u8, u8),
    shape: Option<Shape>,
    either: Option<Either>,
    counts: BTreeMap<u32, u8>,
    strict: Strict,
    #[serde(rename = "a/b~c")]
    escaped: Vec<u8>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the errors are looked at")]
enum Shape {
    Point,
    Circle(u8),
    Square { side: u8 },
}

#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only the errors are looked at")]
enum Either {
    Number(u8),
    List(Vec<u8>),
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Strict {
    a: u8,
    b: u8,
}

fn json_error<P: DeserializeOwned>(json: &str) -> Error {
    from_json_tree::<P>(json).err().unwrap()
}

fn query_error<P: DeserializeOwned>(query: &str) -> Error {
    from_query_tree::<P>(query).err().unwrap()
}

#[track_caller]
fn assert_error(error: Error, source: &str, path: &str, message: &str) {
    let prefix = if path.is_empty() { String::new() } else { format!("{path}: ") };
    assert_eq!(error.message(), format!("Invalid parameters: {prefix}{message}"), "{source}");
    assert_eq!(error.details(), Some(&serde_json::json!([{ "path": path, "message": message }])), "{source}");
}

#[test]
fn json_errors_have_a_path_and_a_sentence() {
    const VARIANTS: &str = "a string that names one of the variants";
    for (json, path, message) in [
        (r#"{"small": 256}"#, "/small", "expected an integer from 0 to 255, not the number 256"),
        (r#"{"small": 1e3}"#, "/small", "expected an integer from 0 to 255, not the number 1000.0"),
        (r#"{"ratio": 1e400}"#, "/ratio", "number out of range"),
        (r#"{"name": "\ud800"}"#, "/name", "the string has an unpaired surrogate"),
        (r#"{"pair": [1]}"#, "/pair", "expected an array, not an array of 1"),
        (r#"{"pair": [1, 2, 3]}"#, "/pair", "expected fewer elements, not an array of 3"),
        (r#"{"shape": 7}"#, "/shape", &format!("expected {VARIANTS}, not the number 7")),
        (r#"{"shape": "Ring"}"#, "/shape", "unknown variant `Ring`, expected one of `Point`, `Circle`, `Square`"),
        (r#"{"shape": {"Point": 1}}"#, "/shape/Point", "expected null, not the number 1"),
        (r#"{"shape": {"Circle": -1}}"#, "/shape/Circle", "expected an integer from 0 to 255, not the number -1"),
        (r#"{"shape": {"Square": {}}}"#, "/shape/Square/side", "missing"),
        (r#"{"either": "x"}"#, "/either", "does not match any of the accepted forms"),
        (r#"{"counts": {"x": 1}}"#, "/counts/x", "expected an integer"),
        (r#"{"counts": {"1": 1, "2": 300}}"#, "/counts/2", "expected an integer from 0 to 255, not the number 300"),
        (r#"{"strict": {"c": 1}}"#, "/strict/c", "unknown field `c`, expected `a` or `b`"),
        (r#"{"strict": {"a": 1, "a": 2}}"#, "/strict", "duplicate field `a`"),
        (r#"{"a\/b\u007ec": [0, {}]}"#, "/a~1b~0c/1", "expected an integer from 0 to 255, not an object"),
    ] {
        assert!(serde_json::from_str::<Params>(json).is_err(), "{json}");
        assert_error(json_error::<Params>(json), json, path, message);
    }
}

#[test]
fn members_that_fit_are_not_reported() {
    let json = r#"{
        "unknown": [1e400, "\ud800", {"x": []}], "large": 340282366920938463463374607431768211455, "raw": {"b": [1]},
        "flag": null, "name": "\"]}\\", "pair": [1,2] , "counts": {"7":1}, "shape": {"Circle": 1}, "small": 300
    }"#;
    assert_error(json_error::<Params>(json), json, "/small", "expected an integer from 0 to 255, not the number 300");
    let query = "name=&flag=&shape=Point&small=300";
    assert_error(query_error::<Params>(query), query, "/small", "expected a smaller integer");
}

#[test]
fn query_errors_have_a_path_and_a_sentence() {
    for (query, path, message) in [
        ("small=x", "/small", "expected an integer"),
        ("small=-1", "/small", "expected an integer"),
        ("small=300", "/small", "expected a smaller integer"),
        ("small=1&small=2", "/small", "expected an integer from 0 to 255, not an array"),
        ("ratio=x", "/ratio", "expected a number"),
        ("flag=maybe", "/flag", r#"expected "true", "on" or "false", not the string "maybe""#),
        ("shape=Ring", "/shape", "unknown variant `Ring`, expected one of `Point`, `Circle`, `Square`"),
        ("a/b~c=1&a/b~c=x", "/a~1b~0c/1", "expected an integer"),
    ] {
        assert!(serde_html_form::from_str::<Params>(query).is_err(), "{query}");
        assert_error(query_error::<Params>(query), query, path, message);
    }
}

#[test]
fn the_text_of_a_client_is_truncated() {
    let json = format!(r#"{{"small": "{}"}}"#, "x".repeat(100_000));
    assert!(json_error::<Params>(&json).message().chars().count() < 300);
}

/// The server only passes well-formed texts; a mistake there must not become an endless loop or a panic.
#[test]
fn a_malformed_text_is_no_endless_loop() {
    for json in ["", "[", "{", "[}", "[,", "{,", "{\"a\"", "{\"a\" 1", "[1 2", "\"", "\"\\", "{é: 1}", "[[[", "]"] {
        let _ = from_json_tree::<Params>(json);
    }
}

/// A type that parses raw JSON itself.
#[derive(Debug)]
struct Price;

impl<'de> serde::Deserialize<'de> for Price {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        serde_json::from_str::<[f64; 2]>(raw.get()).map(|_| Price).map_err(serde::de::Error::custom)
    }
}

#[test]
fn a_type_that_parses_raw_json_gets_its_text_and_is_not_blamed_for_its_neighbour() {
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only deserialized")]
    struct Priced {
        price: Price,
        small: u8,
    }

    let message = |json: &str| json_error::<Priced>(json).message().to_owned();
    assert!(message(r#"{"price": [ 12.5, 1], "small": 300}"#).starts_with("Invalid parameters: /small: "));
    let own = message(r#"{"price": {"a": 1}, "small": 3}"#);
    assert!(own.starts_with("Invalid parameters: /price: ") && !own.contains(" at line "), "{own}");
}
