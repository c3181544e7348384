//! Parameters that a type accepts, in JSON and in query strings.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytestring::ByteString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{RawParams, read_body_or_query};

/// Returns the parameters as the type has read them, or the path of the error.
fn read<P: DeserializeOwned + Serialize>(params: RawParams) -> Result<Value, String> {
    match read_body_or_query::<P>(&params) {
        Ok(params) => Ok(serde_json::to_value(params).unwrap()),
        Err(error) => Err(error.details().unwrap()[0]["path"].as_str().unwrap().to_owned()),
    }
}

fn json<P: DeserializeOwned + Serialize>(text: &str) -> Result<Value, String> {
    read::<P>(RawParams::Json(ByteString::from(text)))
}

fn query<P: DeserializeOwned + Serialize>(text: &str) -> Result<Value, String> {
    read::<P>(RawParams::Query(ByteString::from(text)))
}

#[track_caller]
fn assert_path(result: Result<Value, impl AsRef<str> + Debug>, path: &str) {
    assert_eq!(result.map_err(|path| path.as_ref().to_owned()), Err(path.to_owned()));
}

#[derive(Serialize, Deserialize)]
struct Point {
    x: i64,
    y: f64,
}

#[derive(Serialize, Deserialize)]
struct Page {
    offset: Option<u32>,
    limit: Option<u8>,
    deep: Option<bool>,
    name: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Search {
    text: Option<String>,
    #[serde(flatten)]
    page: Page,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Shape {
    Circle { radius: f64, filled: Option<bool> },
    Label(Label),
}

#[derive(Serialize, Deserialize)]
struct Label {
    text: String,
    size: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number { id: u64 },
    Name { name: String },
}

#[derive(Serialize, Deserialize)]
enum Holder {
    At { at: Point },
    Pair(u8, u8),
    Only(Point),
}

#[test]
fn no_struct_at_any_depth_accepts_an_array_of_its_fields() {
    assert_path(json::<Point>("[1, 2]"), "");
    assert_path(json::<BTreeMap<String, Point>>(r#"{"at": [1, 2]}"#), "/at");
    assert_path(json::<Vec<Point>>(r#"[{"x": 1, "y": 2}, [1, 2]]"#), "/1");
    assert_path(json::<(u8, Option<Point>)>("[1, [1, 2]]"), "/1");
    assert_path(json::<Holder>(r#"{"At": {"at": [1, 2]}}"#), "/At/at");
    assert_path(json::<Holder>(r#"{"At": [{"x": 1, "y": 2}]}"#), "/At");
    assert_path(json::<Holder>(r#"{"Only": [1, 2]}"#), "/Only");
    assert_eq!(json::<Holder>(r#"{"Pair": [1, 2]}"#), Ok(json!({"Pair": [1, 2]})));
    assert_eq!(json::<Vec<Point>>(r#"[{"x": 1, "y": 2}]"#), Ok(json!([{"x": 1, "y": 2.0}])));
    assert_eq!(json::<Value>(r#"[[1e2, -0.0], "["]"#), Ok(json!([[100.0, -0.0], "["])));
}

#[test]
fn minus_zero_is_an_integer() {
    assert_eq!(json::<Vec<u8>>("[-0]"), Ok(json!([0])));
    assert_eq!(json::<i64>("-0"), Ok(json!(0)));
    assert_eq!(json::<u128>("-0"), Ok(json!(0)));
    assert_eq!(json::<Point>(r#"{"x": -0, "y": -0}"#).unwrap()["x"], 0);
    assert!(json::<f64>("-0").unwrap().as_f64().unwrap().is_sign_negative());
    assert_path(json::<u8>("-0.0"), "");
    assert_path(json::<u8>("-1"), "");
    assert_eq!(query::<Point>("x=-0&y=-0").unwrap()["x"], 0);
    assert_eq!(query::<Search>("limit=0").unwrap()["limit"], 0);
}

#[test]
fn a_number_is_read_as_the_nearest_double() {
    let digits = "6".repeat(80);
    for text in
        [&*format!("1.5{digits}"), "0.1", "9007199254740993.0", "2.2250738585072011e-308", "1.7976931348623157e308"]
    {
        let nearest: f64 = text.parse().unwrap();
        assert_eq!(json::<Point>(&format!(r#"{{"x":1,"y":{text}}}"#)), Ok(json!({ "x": 1, "y": nearest })), "{text}");
    }
    let mut bits: u64 = 1;
    for _ in 0..10_000 {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = f64::from_bits(bits);
        if number.is_finite() {
            let text = json!({ "x": 1, "y": number }).to_string();
            assert_eq!(
                json::<Point>(&text).unwrap()["y"].as_f64(),
                Some(number),
                "what a method sends, it reads again"
            );
        }
    }
}

#[test]
fn numbers_and_truth_values_in_a_query_string_are_converted_behind_flatten() {
    let page = query::<Search>("text=7&offset=1&limit=2&deep=true&name=1").unwrap();
    assert_eq!(page, json!({"text": "7", "offset": 1, "limit": 2, "deep": true, "name": "1"}));
    let page = query::<Search>("name=1&text=1&offset=1").unwrap();
    assert_eq!((&page["name"], &page["text"], &page["offset"]), (&json!("1"), &json!("1"), &json!(1)));
    assert_path(query::<Search>("text=a&offset=x"), "/offset");
    assert_path(query::<Search>("text=a&offset=1&limit=300"), "/limit");
    assert_path(query::<Search>("deep=1"), "/deep");
}

#[test]
fn numbers_and_truth_values_in_a_query_string_are_converted_in_tagged_and_untagged_types() {
    let circle = query::<Shape>("type=circle&radius=2&filled=false");
    assert_eq!(circle, Ok(json!({"type": "circle", "radius": 2.0, "filled": false})));
    let label = query::<Shape>("type=label&text=12&size=12");
    assert_eq!(label, Ok(json!({"type": "label", "text": "12", "size": 12})));
    assert_path(query::<Shape>("type=circle&radius=wide"), "/radius");
    assert_eq!(query::<Either>("id=7"), Ok(json!({"id": 7})));
    assert_eq!(query::<Either>("name=7"), Ok(json!({"name": "7"})));
    assert_path(query::<Either>("other=7"), "");
}

#[derive(Serialize, Deserialize)]
struct Many {
    #[serde(flatten)]
    members: BTreeMap<String, Vec<u32>>,
}

#[test]
fn a_long_query_string_costs_a_bounded_time() {
    let ids = |count: usize| (0..count).map(|id| format!("id={id}")).collect::<Vec<_>>().join("&");
    let many = query::<Many>(&ids(10_000)).unwrap();
    assert_eq!(many["id"].as_array().unwrap().len(), 10_000);
    let keys = (0..3_000).map(|key| format!("k{key}={key}&k{key}={key}")).collect::<Vec<_>>().join("&");
    assert!(query::<Many>(&keys).is_err(), "an error, and soon");
}
