//! The contract: schemas accept what serde reads, and what serde writes.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use method_build::Package;
use method_sdk::host::find_violations;

use crate::contract_types::*;

const TYPES: &str = include_str!("contract_types.rs");

/// Returns the contract of one method that takes and returns this type.
fn contract(name: &str) -> method_build::Contract {
    let method = format!(
        "use method_sdk::prelude::*;\nuse super::_types::*;\npub async fn invoke(_: &mut Handler, params: {name}) -> Result<{name}> {{ Ok(params) }}\n"
    );
    let folder = crate::folder(&[("shop/_types.rs", TYPES), ("shop/m.rs", &method)]);
    method_build::read(&folder.path().join("methods"), Package::default()).unwrap().contract()
}

/// Validates `value` against `schema`, with the keywords that the contract uses.
fn is_valid(value: &Value, schema: &Value, types: &std::collections::BTreeMap<String, Value>) -> bool {
    let Some(schema) = schema.as_object() else { return schema == &json!(true) };
    schema.iter().all(|(keyword, expected)| keyword_allows(value, keyword, expected, schema, types))
}

fn keyword_allows(
    value: &Value,
    keyword: &str,
    expected: &Value,
    schema: &Map<String, Value>,
    types: &std::collections::BTreeMap<String, Value>,
) -> bool {
    let valid = |value: &Value, schema: &Value| is_valid(value, schema, types);
    let all = |expected: &Value| expected.as_array().unwrap().clone();
    let is_of = |name: &str| match name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    };
    match keyword {
        "$ref" => valid(value, &types[expected.as_str().unwrap().rsplit('/').next().unwrap()]),
        "type" => match expected {
            Value::String(name) => is_of(name),
            names => all(names).iter().any(|name| is_of(name.as_str().unwrap())),
        },
        "const" => value == expected,
        "enum" => all(expected).contains(value),
        "anyOf" => all(expected).iter().any(|schema| valid(value, schema)),
        "allOf" => all(expected).iter().all(|schema| valid(value, schema)),
        "oneOf" => all(expected).iter().filter(|schema| valid(value, schema)).count() == 1,
        "not" => !valid(value, expected),
        "minimum" => value.as_i64().is_none_or(|value| value >= expected.as_i64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|value| value <= expected.as_f64().unwrap()),
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= expected.as_u64().unwrap()),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= expected.as_u64().unwrap()),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= expected.as_u64().unwrap()),
        "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= expected.as_u64().unwrap()),
        "minProperties" => value.as_object().is_none_or(|members| members.len() as u64 >= expected.as_u64().unwrap()),
        "maxProperties" => value.as_object().is_none_or(|members| members.len() as u64 <= expected.as_u64().unwrap()),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| valid(item, expected))),
        "prefixItems" => value
            .as_array()
            .is_none_or(|items| items.iter().zip(all(expected)).all(|(item, schema)| valid(item, &schema))),
        "required" => value
            .as_object()
            .is_none_or(|members| all(expected).iter().all(|name| members.contains_key(name.as_str().unwrap()))),
        "properties" => value.as_object().is_none_or(|members| {
            let properties = expected.as_object().unwrap();
            members.iter().all(|(name, value)| properties.get(name).is_none_or(|schema| valid(value, schema)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            let known = schema.get("properties").and_then(Value::as_object);
            let is_known = |name: &String| known.is_some_and(|known| known.contains_key(name));
            members.iter().filter(|(name, _)| !is_known(name)).all(|(_, value)| valid(value, expected))
        }),
        "description" | "format" | "deprecated" | "uniqueItems" => true,
        other => panic!("the keyword {other}"),
    }
}

/// Checks that serde reads `inputs` if and only if the schema of the parameters accepts them.
#[track_caller]
fn assert_input<T: DeserializeOwned>(name: &str, inputs: &[Value]) {
    let contract = contract(name);
    assert_eq!(contract.unknown, [], "{name}");
    let (mut accepted, mut refused) = (0, 0);
    for input in inputs {
        let read = serde_json::from_value::<T>(input.clone());
        let is_accepted = is_valid(input, &contract.methods[0].parameters, &contract.types);
        assert_eq!(is_accepted, read.is_ok(), "{name}: {input}\n{:#?}", contract.types);
        let violations = find_violations(&input.to_string(), &contract.methods[0].parameters, &contract.types);
        assert_eq!(violations.is_empty(), is_accepted || is_unexplained(input), "{name}: {input}: {violations:?}");
        if is_accepted { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted > 0 && refused > 0, "{name}: both kinds are tried: {accepted} and {refused}");
}

/// Returns `true` for inputs that serde refuses for a reason that a list of violations does not give: the name of a form that has a content,
/// two forms in one object, two names of one member.
fn is_unexplained(input: &Value) -> bool {
    let members =
        |names: &[&str]| input.as_object().is_some_and(|members| names.iter().all(|name| members.contains_key(*name)));
    input == "Newtype" || members(&["Newtype", "Unit"]) || members(&["newName", "old"])
}

/// Checks that nothing is reported about inputs that serde reads, although the schema is narrower.
#[track_caller]
fn assert_no_violations<T: DeserializeOwned>(name: &str, inputs: &[Value]) {
    let contract = contract(name);
    for input in inputs {
        assert!(serde_json::from_value::<T>(input.clone()).is_ok(), "{name}: {input}");
        let violations = find_violations(&input.to_string(), &contract.methods[0].parameters, &contract.types);
        assert_eq!(violations, [], "{name}: {input}");
    }
}

/// Checks that the schema of the answer accepts what serde writes, and nothing less.
#[track_caller]
fn assert_output<T: Serialize>(name: &str, values: &[T]) {
    let contract = contract(name);
    let answer = &contract.methods[0].answer;
    for value in values {
        let written = serde_json::to_value(value).unwrap();
        assert!(is_valid(&written, answer, &contract.types), "{name}: {written}\n{:#?}", contract.types);
        assert!(!is_valid(&json!({ "other": [1] }), answer, &contract.types), "{name}");
    }
}

fn plain() -> Value {
    json!({
        "text": "a", "small": 1, "signed": -1, "float": 1.5, "flag": true, "letter": "x", "list": [1], "pair": [1, "a"],
        "three": [true, false, true], "maybe": 1, "map": { "a": 1 }, "set": [1], "boxed": 1, "unit": null,
    })
}

/// Returns `value` with one member replaced, or without it.
fn with(value: &Value, member: &str, replacement: Option<Value>) -> Value {
    let mut members = value.as_object().unwrap().clone();
    match replacement {
        Some(replacement) => drop(members.insert(member.to_owned(), replacement)),
        None => drop(members.remove(member)),
    }
    Value::Object(members)
}

#[test]
fn members_have_the_types_of_their_fields() {
    let mut inputs = vec![plain(), json!([]), json!(null), json!("a")];
    for (member, values) in [
        ("text", vec![json!(1), json!(null)]),
        ("small", vec![json!(255), json!(256), json!(-1), json!(1.5), json!("1")]),
        ("signed", vec![json!(-2_147_483_648_i64), json!(2_147_483_648_i64)]),
        ("float", vec![json!(1), json!("1")]),
        ("flag", vec![json!(0)]),
        ("letter", vec![json!(""), json!("xy"), json!("ü")]),
        ("list", vec![json!([]), json!(["a"]), json!({})]),
        ("pair", vec![json!([1]), json!([1, "a", 2]), json!(["a", 1])]),
        ("three", vec![json!([true]), json!([true, true, true, true])]),
        ("maybe", vec![json!(null), json!("a")]),
        ("map", vec![json!({}), json!({ "a": "b" }), json!([])]),
        ("set", vec![json!([]), json!([true])]),
        ("boxed", vec![json!(null)]),
        ("unit", vec![json!(0)]),
    ] {
        inputs.push(with(&plain(), member, None));
        inputs.extend(values.into_iter().map(|value| with(&plain(), member, Some(value))));
    }
    inputs.push(with(&plain(), "more", Some(json!(1))));
    assert_input::<Plain>("Plain", &inputs);
    assert_output("Plain", &[serde_json::from_value::<Plain>(plain()).unwrap()]);
}

#[test]
fn names_are_those_of_the_direction() {
    let good = json!({ "firstName": "a", "type": 1, "in": 1, "newName": 1 });
    let old = with(&with(&good, "newName", None), "old", Some(json!(1)));
    assert_input::<Renamed>(
        "Renamed",
        &[
            good.clone(),
            old.clone(),
            with(&old, "newName", Some(json!(1))),
            with(&good, "newName", None),
            with(&good, "in", None),
            with(&good, "out", Some(json!(1))),
            with(&good, "more", Some(json!(1))),
            json!({ "first_name": "a", "kind": 1, "both_ways": 1, "new_name": 1 }),
        ],
    );
    let written = contract("Renamed");
    assert!(written.types["shop._types.Renamed.Out"]["properties"].get("out").is_some(), "{:#?}", written.types);
    assert!(written.types["shop._types.Renamed.Out"]["properties"].get("old").is_none());
    assert_output("Renamed", &[Renamed { first_name: "a".into(), kind: 1, both_ways: 1, new_name: 1 }]);
}

#[test]
fn defaults_and_skipped_fields_may_be_missing_where_they_are_not_used() {
    let good = json!({ "number": 1, "seven": 1, "read_only": 1, "maybe": 1 });
    assert_input::<Defaults>(
        "Defaults",
        &[
            good.clone(),
            with(&good, "number", None),
            with(&good, "seven", None),
            with(&good, "maybe", None),
            with(&good, "maybe", Some(json!(null))),
            with(&good, "read_only", None),
            with(&good, "number", Some(json!(null))),
            with(&good, "write_only", Some(json!("ignored"))),
        ],
    );
    let value = |maybe| Defaults { number: 1, seven: 1, skipped: 1, read_only: 1, write_only: 1, maybe };
    assert_output("Defaults", &[value(None), value(Some(1))]);
    let required = &contract("Defaults").types["shop._types.Defaults.Out"]["required"];
    assert_eq!(*required, json!(["number", "seven", "write_only"]));
    assert_input::<AllDefault>(
        "AllDefault",
        &[json!({}), json!({ "a": 1 }), json!({ "a": "b" }), json!({ "b": null })],
    );
}

#[test]
fn flattened_members_are_those_of_the_object() {
    assert_input::<Flat>(
        "Flat",
        &[
            json!({ "own": 1 }),
            json!({ "own": 1, "a": 2 }),
            json!({ "own": 1, "a": "b" }),
            json!({}),
            json!({ "a": 1 }),
        ],
    );
}

#[test]
fn structs_without_names_are_values_arrays_or_null() {
    assert_input::<Newtype>("Newtype", &[json!(1), json!([1]), json!("a")]);
    assert_input::<Tuple>("Tuple", &[json!([1, "a"]), json!([1]), json!([1, "a", 2]), json!({})]);
    assert_input::<Unit>("Unit", &[json!(null), json!({}), json!([])]);
    assert_input::<Transparent>("Transparent", &[json!(null), json!(1), json!("a")]);
    assert_input::<Converted>("Converted", &[json!(1), json!("1")]);
    assert_output("Converted", &[Converted::from(1)]);
}

#[test]
fn enums_are_tagged_as_serde_tags_them() {
    let names =
        [json!("first"), json!("second_one"), json!("third"), json!("3rd"), json!("First"), json!("hidden"), json!(1)];
    assert_input::<Names>("Names", &names);
    assert_input::<External>(
        "External",
        &[
            json!("Unit"),
            json!({ "Newtype": 1 }),
            json!({ "Tuple": [1, true] }),
            json!({ "Struct": { "number": 1 } }),
            json!("Newtype"),
            json!({ "Newtype": "a" }),
            json!({ "Newtype": 1, "Unit": null }),
            json!({ "None": 1 }),
        ],
    );
    assert_input::<Internal>(
        "Internal",
        &[
            json!({ "kind": "Unit" }),
            json!({ "kind": "Struct", "number": 1 }),
            json!({ "kind": "Newtype", "a": 1 }),
            json!({ "kind": "Struct" }),
            json!({ "kind": "None" }),
            json!({ "number": 1 }),
            json!("Unit"),
        ],
    );
    assert_input::<Adjacent>(
        "Adjacent",
        &[
            json!({ "kind": "Unit" }),
            json!({ "kind": "Newtype", "value": 1 }),
            json!({ "kind": "Struct", "value": { "number": 1 } }),
            json!({ "kind": "Newtype" }),
            json!({ "kind": "None", "value": 1 }),
            json!({ "value": 1 }),
        ],
    );
    let maybe = json!({ "kind": "Maybe" });
    assert_input::<WithOption>(
        "WithOption",
        &[maybe.clone(), with(&maybe, "value", Some(json!(null))), json!({ "kind": "Number" })],
    );
    assert_input::<Untagged>("Untagged", &[json!(1), json!({ "text": "a" }), json!("a"), json!({}), json!(null)]);
    assert_input::<Fields>("Fields", &[json!({ "Struct": { "NUMBER": 1 } }), json!({ "Struct": { "number": 1 } })]);
    assert_input::<Other>("Other", &[json!("Known"), json!("anything"), json!(1)]);
}

#[test]
fn violations_are_exact_or_silent() {
    assert_no_violations::<External>("External", &[json!({ "Unit": null }), json!("Unit")]);
    assert_no_violations::<Names>("Names", &[json!({ "first": null }), json!("3rd")]);
    assert_no_violations::<Other>("Other", &[json!({ "Known": null }), json!({ "x": null })]);
    assert_no_violations::<Choices>(
        "Choices",
        &[
            json!({ "adjacent": { "kind": "Maybe" } }),
            json!({ "adjacent": { "kind": "Maybe", "value": null }, "internal": { "kind": "Any", "x": 1 } }),
            json!({ "internal": { "kind": "other", "x": 1 }, "external": { "Unit": null } }),
            json!({ "internal": { "kind": "Empty" }, "untagged": null }),
            json!({ "wide": u64::MAX, "nonzero": -1 }),
            json!({ "duration": { "secs": 1, "nanos": 1_500_000_000 }, "flag": true }),
        ],
    );
    let contract = contract("Choices");
    let wide = format!("{{\"wide\": {}, \"more\": 1e400}}", i128::MAX);
    assert!(serde_json::from_str::<Choices>(&wide).is_ok());
    assert_eq!(find_violations(&wide, &contract.methods[0].parameters, &contract.types), []);
    let input = json!({
        "adjacent": { "kind": "Number", "value": "x" }, "internal": { "kind": "Empty", "at": 1 }, "external": { "List": [1, 300, "x", true] },
        "untagged": { "x": 1 }, "wide": 1.5, "nonzero": 0, "flag": "yes", "letter": "ab", "tuple": [1], "many": { "a": 1, "b": -1, "c": 2.5 },
        "duration": { "secs": -1 }, "strict": { "c": 1 }, "names": ["first", "fourth", 7],
    });
    let violations = find_violations(&input.to_string(), &contract.methods[0].parameters, &contract.types);
    let texts: Vec<String> =
        violations.iter().map(|violation| format!("{}: {}", violation.path, violation.message)).collect();
    assert_eq!(
        texts,
        [
            "/adjacent/value: expected an integer from 0 to 255, not the string \"x\"",
            "/external/List/1: expected an integer from 0 to 255, not the number 300",
            "/external/List/2: expected an integer from 0 to 255, not the string \"x\"",
            "/external/List/3: expected an integer from 0 to 255, not true",
            "/untagged: expected an integer from 0 to 255, not an object",
            "/wide: expected an integer, not the number 1.5",
            "/nonzero: expected an integer other than 0, not the number 0",
            "/flag: expected a boolean, not the string \"yes\"",
            "/letter: expected a character, not the string \"ab\"",
            "/tuple: expected an array, not an array of 1",
            "/many/b: expected an integer from 0 to 255, not the number -1",
            "/many/c: expected an integer from 0 to 255, not the number 2.5",
            "/duration/secs: expected an integer from 0 to 18446744073709551615, not the number -1",
            "/duration/nanos: missing",
            "/strict/c: unknown field `c`, expected `a` or `b`",
            "/names/1: unknown variant `fourth`, expected one of `first`, `second_one`, `third`, `3rd`",
            "/names/2: expected a string that names one of the variants, not the number 7",
        ]
    );
    // At most 32 in an error, and the first is serde's.
    let many: Vec<Value> = (0..100).map(|_| json!("x")).collect();
    let error = method_sdk::Error::invalid_parameters("/names/0", "of serde");
    let json = json!({ "names": many }).to_string();
    let error = method_sdk::host::add_violations(error, &json, &contract.methods[0].parameters, &contract.types);
    assert_eq!(error.message(), "Invalid parameters: /names/0: of serde; and 31 more");
    let details = error.details().unwrap().as_array().unwrap();
    assert_eq!((details.len(), &details[0]["message"]), (32, &json!("of serde")));
    let own = method_sdk::Error::new(1019, "no").with_details("mine");
    let own = method_sdk::host::add_violations(own, &json, &contract.methods[0].parameters, &contract.types);
    assert_eq!((own.message(), own.details()), ("no", Some(&json!("mine"))));
}

/// Every level of the value would double the work, which has an end.
#[test]
fn a_value_that_fits_none_of_two_forms_at_each_level_takes_no_exponential_time() {
    let contract = contract("Twice");
    let schema = &contract.methods[0].parameters;
    let nested = |levels: usize| format!("{}\"x\"{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(find_violations(&nested(3), schema, &contract.types).len(), 1);
    assert_eq!(find_violations(&nested(100), schema, &contract.types), []);
}

#[test]
fn generic_recursive_and_alias_types_are_followed() {
    let page = json!({ "items": [1], "next": { "items": [], "next": null } });
    assert_input::<Page<Newtype>>(
        "Page<Newtype>",
        &[page.clone(), json!({ "items": ["a"] }), json!({ "items": [1] }), json!({})],
    );
    assert_input::<Alias>(
        "Alias",
        &[
            json!({ "pages": page }),
            json!({ "maybe": 1, "pages": { "items": [] } }),
            json!({ "maybe": 1 }),
            json!({ "maybe": "a", "pages": { "items": [] } }),
        ],
    );
    let contract = contract("Page<Newtype>");
    let name = "shop._types.Page-shop._types.Newtype";
    assert_eq!(contract.methods[0].parameters, json!({ "$ref": format!("#/components/schemas/{name}.In") }));
}

#[test]
fn what_a_feature_excludes_is_not_part_of_the_contract() {
    let text = "use method_sdk::prelude::*;
        #[derive(Deserialize)]
        #[cfg_attr(feature = \"strict\", serde(deny_unknown_fields))]
        #[cfg_attr(not(feature = \"strict\"), serde(rename_all = \"UPPERCASE\"))]
        pub struct Params {
            pub always: u8,
            #[cfg(feature = \"strict\")] pub with: Kind,
            #[cfg(not(feature = \"strict\"))] pub without: u8,
            #[cfg(any(feature = \"none\", all(feature = \"strict\", unix)))] pub unknown: u8,
            #[cfg(all(feature = \"none\", unix))] pub never: u8,
        }
        #[cfg(feature = \"strict\")] #[derive(Deserialize)] pub enum Kind { A, #[cfg(feature = \"none\")] B }
        #[cfg(not(feature = \"strict\"))] pub type Kind = u8;
        pub async fn invoke(_: &mut Handler, _: Params) -> Result<()> { Ok(()) }
    ";
    let folder = crate::folder(&[("m.rs", text)]);
    let contract = |features: &[&str]| {
        let features = features.iter().map(|feature| (*feature).to_owned()).collect();
        let package = Package { features, ..Package::default() };
        method_build::read(&folder.path().join("methods"), package).unwrap().contract()
    };
    let strict = contract(&["strict"]);
    let params = &strict.types["m.Params"];
    assert_eq!(params["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["always", "with", "unknown"]);
    assert_eq!(params["additionalProperties"], json!(false));
    assert_eq!(strict.types["m.Kind"], json!({ "type": "string", "enum": ["A"] }));
    let params = &contract(&[]).types["m.Params"];
    assert_eq!(params["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["ALWAYS", "WITHOUT"]);
    assert_eq!(params.get("additionalProperties"), None);
}

#[test]
fn a_contract_is_read_as_it_was_written() {
    let text = "pub const GET: bool = true;
        pub async fn invoke(_: &mut Handler, _: Option<u8>) -> Result<String> { Err(Error::new(2000, \"no\")) }";
    let contract = contract_of(text, &[]);
    let json = contract.to_json();
    let again = method_build::Contract::from_json(&json).unwrap();
    assert_eq!((again.to_json(), again.method("shop.m").unwrap().errors.len()), (json, 1));
    assert!(again.method("shop.n").is_none() && method_build::Contract::from_json("").is_err());
    assert_eq!(again.openapi(&[]), contract.openapi(&[]));
}

/// Returns the contract of `shop.m` with this text, beside these files.
fn contract_of(text: &str, others: &[(&str, &str)]) -> method_build::Contract {
    let method = format!("use method_sdk::prelude::*;\n{text}");
    let files: Vec<_> = others.iter().copied().chain([("shop/m.rs", &*method)]).collect();
    method_build::read(&crate::folder(&files).path().join("methods"), Package::default()).unwrap().contract()
}

#[test]
fn names_are_followed_through_imports_and_modules() {
    let invoke =
        |params: &str| format!("pub async fn invoke(_: &mut Handler, _: {params}) -> Result<()> {{ Ok(()) }}\n");
    let money = "#[derive(Deserialize)] pub struct Money { pub cents: u32 }\n";
    let others = [
        ("_money.rs", money),
        ("shop/_all.rs", "pub use crate::_money::Money;\npub mod inner { pub use super::Money as Cash; }\n"),
    ];
    let expected = json!({ "$ref": "#/components/schemas/_money.Money" });
    for (uses, params) in [
        ("", "crate::_money::Money"),
        ("", "super::super::_money::Money"),
        ("use crate::_money::Money;", "Money"),
        ("use crate::_money::{self, Money as Price};", "Price"),
        ("use crate::_money::{self as m};", "m::Money"),
        ("use crate::_money::*;", "Money"),
        ("use super::_all::Money;", "Money"),
        ("use super::_all::*;", "Money"),
        ("", "super::_all::inner::Cash"),
        ("use super::_all;", "_all::inner::Cash"),
    ] {
        let contract = contract_of(&format!("{uses}\n{}", invoke(params)), &others);
        assert_eq!(contract.methods[0].parameters, expected, "{uses} {params}");
        assert_eq!(contract.unknown, []);
    }
    // An import that imports itself, and one that is missing.
    for params in ["crate::_circle::Missing", "crate::nowhere::Missing"] {
        let contract = contract_of(&invoke(params), &[("_circle.rs", "pub use crate::_circle::*;\n")]);
        assert_eq!(contract.methods[0].parameters, json!({}));
        assert_eq!(contract.unknown.len(), 1);
    }
}

#[test]
fn types_without_an_end_are_any_json() {
    for (text, reason) in [
        ("pub type Params = Params;", "the type has no JSON form"),
        ("pub type Params = Other;\npub type Other = Option<Params>;", "the type has no JSON form"),
        (
            "pub type Params = Grows<u8>;\n#[derive(Deserialize)] pub struct Grows<T> { pub next: Option<Box<Grows<Vec<T>>>> }",
            "it contains itself with other type arguments, without end",
        ),
    ] {
        let invoke = "pub async fn invoke(_: &mut Handler, _: Params) -> Result<()> { Ok(()) }";
        let unknown = contract_of(&format!("{text}\n{invoke}"), &[]).unknown;
        assert_eq!(unknown.iter().map(|unknown| unknown.reason.as_str()).collect::<Vec<_>>(), [reason], "{text}");
    }
}

#[test]
fn what_cannot_be_known_is_any_json_with_its_reason_and_the_author_can_say_more() {
    let text = "
        #[derive(Deserialize)]
        pub struct Params {
            pub when: time::OffsetDateTime,
            #[serde(deserialize_with = \"from_text\")]
            pub custom: u32,
            pub written: Written,
            pub hex: Hex,
        }
        pub struct Written;
        impl<'de> Deserialize<'de> for Written { }
        pub struct Hex(pub u64);
        impl Hex { pub const SCHEMA: &str = r#\"{ \"type\": \"string\", \"pattern\": \"^[0-9a-f]+$\" }\"#; }
        pub async fn invoke(_: &mut Handler, _: Params) -> Result<()> { Ok(()) }
    ";
    let contract = contract_of(text, &[]);
    let unknown: Vec<_> =
        contract.unknown.iter().map(|unknown| format!("{}: {}", unknown.place, unknown.reason)).collect();
    assert_eq!(
        unknown,
        [
            "shop.m.Params/custom: `from_text` reads or writes it",
            "shop.m.Params/when: `time::OffsetDateTime` is of another package, or made by a macro",
            "shop.m.Written: its implementation is not derived",
        ]
    );
    assert_eq!(contract.types["shop.m.Hex"]["pattern"], "^[0-9a-f]+$");
    assert_eq!(contract.types["shop.m.Params"]["required"], json!(["when", "custom", "written", "hex"]));
}

#[test]
fn a_document_has_an_operation_for_each_method_and_twins_for_get() {
    let text = "//! Says hello.
        pub const GET: bool = true;
        #[derive(Deserialize)] pub struct Params { pub name: String, pub times: Option<u8> }
        pub async fn invoke(handler: &mut Handler, params: Params) -> Result<String> {
            if params.name.is_empty() { return Err(Error::new(2001, \"no name\")); }
            helper().map_err(|_| method_sdk::Error::new(2000, \"no help\"))
        }
    ";
    let stream = "use method_sdk::prelude::*;
        pub const AUTHENTICATED: bool = true;
        pub async fn invoke(handler: &mut Handler, _: ()) -> Result<()> {
            handler.response_header(\"Content-Type\", \"text/plain\")?;
            handler.write(\"a\").await
        }
    ";
    let contract = contract_of(text.trim_start_matches("//! Says hello."), &[("stream.rs", stream)]);
    let error = |code, status| method_build::ServerError { code, message: format!("error {code}"), status };
    let document = contract.openapi(&[error(1004, 401), error(1007, 401), error(1019, 422)]);
    assert_eq!(document["info"], json!({ "title": "", "version": "" }));
    assert_eq!(document["components"]["responses"]["server.401"]["description"], "1004 error 1004; 1007 error 1007");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/shop/m", "/stream"]);
    let hello = &paths["/shop/m"];
    assert_eq!(hello["post"]["operationId"], "shop_m");
    assert_eq!(hello["get"]["operationId"], "shop_m_get");
    let query: Vec<_> = hello["get"]["parameters"].as_array().unwrap().iter().collect();
    assert_eq!((&query[0]["name"], &query[0]["required"]), (&json!("name"), &json!(true)));
    assert_eq!((&query[1]["name"], &query[1]["required"]), (&json!("times"), &json!(false)));
    assert_eq!(
        hello["post"]["x-errors"],
        json!([{ "code": 2000, "value": "no help" }, { "code": 2001, "value": "no name" }])
    );
    let answer = &hello["post"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(
        *answer,
        json!({ "type": "object", "properties": { "result": { "type": "string" } }, "required": ["result"] })
    );
    let stream = &paths["/stream"]["post"];
    assert_eq!(stream["x-streams"], true);
    assert_eq!(stream["responses"]["200"]["content"], json!({ "text/plain": {} }));
    assert_eq!(stream["security"], json!([{ "session": [], "signature": [] }]));
}
