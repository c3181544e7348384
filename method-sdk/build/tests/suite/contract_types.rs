//! Types with every attribute of serde. A test reads this file as the reader does, and compares the schemas with what serde does.
#![allow(dead_code, unreachable_pub, reason = "the reader sees the file as a part of an application")]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroI8;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A type without attributes.
#[derive(Serialize, Deserialize)]
pub struct Plain {
    pub text: String,
    pub small: u8,
    pub signed: i32,
    pub float: f64,
    pub flag: bool,
    pub letter: char,
    pub list: Vec<u8>,
    pub pair: (u8, String),
    pub three: [bool; 3],
    pub maybe: Option<u8>,
    pub map: BTreeMap<String, u8>,
    pub set: BTreeSet<u8>,
    pub boxed: Box<u8>,
    pub unit: (),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Renamed {
    pub first_name: String,
    #[serde(rename = "type")]
    pub kind: u8,
    #[serde(rename(serialize = "out", deserialize = "in"))]
    pub both_ways: u8,
    #[serde(alias = "old", alias = "older")]
    pub new_name: u8,
}

#[derive(Serialize, Deserialize)]
pub struct Defaults {
    #[serde(default)]
    pub number: u8,
    #[serde(default = "seven")]
    pub seven: u8,
    #[serde(skip)]
    pub skipped: u8,
    #[serde(skip_serializing)]
    pub read_only: u8,
    #[serde(skip_deserializing)]
    pub write_only: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maybe: Option<u8>,
}

pub fn seven() -> u8 {
    7
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub struct AllDefault {
    pub a: u8,
    pub b: String,
}

#[derive(Serialize, Deserialize)]
pub struct Flat {
    pub own: u8,
    #[serde(flatten)]
    pub inner: AllDefault,
    #[serde(flatten)]
    pub rest: BTreeMap<String, u8>,
}

#[derive(Serialize, Deserialize)]
pub struct Newtype(pub u8);

#[derive(Serialize, Deserialize)]
pub struct Tuple(pub u8, pub String);

#[derive(Serialize, Deserialize)]
pub struct Unit;

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transparent {
    pub inner: Option<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    First,
    SecondOne,
    #[serde(alias = "3rd")]
    Third,
    #[serde(skip)]
    Hidden,
}

#[derive(Serialize, Deserialize)]
pub enum External {
    Unit,
    Newtype(u8),
    Tuple(u8, bool),
    Struct { number: u8 },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Internal {
    Unit,
    Struct { number: u8 },
    Newtype(AllDefault),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", content = "value")]
pub enum Adjacent {
    Unit,
    Newtype(u8),
    Struct { number: u8 },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Untagged {
    Number(u8),
    Struct { text: String },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all_fields = "UPPERCASE")]
pub enum Fields {
    Struct { number: u8 },
}

#[derive(Serialize, Deserialize)]
pub enum Other {
    Known,
    #[serde(other)]
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(from = "u8", into = "String")]
#[derive(Clone)]
pub struct Converted(u8);

impl From<u8> for Converted {
    fn from(number: u8) -> Self {
        Converted(number)
    }
}

impl From<Converted> for String {
    fn from(converted: Converted) -> Self {
        converted.0.to_string()
    }
}

#[derive(Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<Box<Page<T>>>,
}

pub type Pages = Page<Newtype>;
pub type Maybe = Option<u8>;

#[derive(Serialize, Deserialize)]
pub struct Alias {
    pub maybe: Maybe,
    pub pages: Pages,
}

/// Members that may all be missing.
#[derive(Serialize, Deserialize)]
pub struct Choices {
    pub adjacent: Option<WithOption>,
    pub internal: Option<WithOther>,
    pub external: Option<WithUnit>,
    pub untagged: Option<WithNull>,
    pub wide: Option<i128>,
    pub nonzero: Option<NonZeroI8>,
    pub flag: Option<bool>,
    pub letter: Option<char>,
    pub tuple: Option<(u8, u8)>,
    pub many: Option<BTreeMap<String, u8>>,
    pub duration: Option<Duration>,
    pub strict: Option<Strict>,
    pub names: Option<Vec<Names>>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", content = "value")]
pub enum WithOption {
    Maybe(Option<u8>),
    Number(u8),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum WithOther {
    Empty,
    Any(BTreeMap<String, u8>),
    #[serde(other)]
    Other,
}

#[derive(Serialize, Deserialize)]
pub enum WithUnit {
    Unit,
    List(Vec<u8>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum WithNull {
    Unit,
    Number(u8),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strict {
    pub a: Option<u8>,
    pub b: Option<u8>,
}

/// Two forms that begin alike.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Twice {
    List(Vec<Twice>),
    Same(Vec<Twice>),
    Number(u8),
}
