//! Returns its parameters, which have every form that a client must write: keywords, enums, maps, recursion.
use std::collections::BTreeMap;

use method_sdk::prelude::*;

/// A value of every form.
#[derive(Deserialize, Serialize)]
pub struct Form {
    /// A keyword of both languages.
    pub class: Option<u8>,
    #[serde(rename = "not-a-name")]
    pub other: Option<String>,
    pub colour: Colour,
    pub shape: Shape,
    pub size: Size,
    pub pair: (u8, String),
    pub counts: BTreeMap<String, u64>,
    #[serde(default)]
    pub children: Vec<Form>,
    #[serde(flatten)]
    pub more: More,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    Red,
    Green,
}

/// Tagged by a member.
#[derive(Deserialize, Serialize)]
#[serde(tag = "type")]
pub enum Shape {
    Circle { radius: f64 },
    Point,
}

/// Tagged by its only member.
#[derive(Deserialize, Serialize)]
pub enum Size {
    Small,
    Exactly(u32),
}

#[derive(Deserialize, Serialize)]
pub struct More {
    /// Part of the object.
    pub note: Option<String>,
}

pub async fn invoke(_: &mut Handler, params: Form) -> Result<Form> {
    Ok(params)
}
