//! The members of an object, as a schema declares them.

use serde_json::Value;

/// A member of an object.
pub(crate) struct Member<'a> {
    /// Its names; the first is the one that is written.
    pub(crate) names: Vec<&'a str>,
    pub(crate) schema: &'a Value,
    pub(crate) is_required: bool,
}

/// Returns the members that an object's schema names itself.
pub(crate) fn members(schema: &Value) -> Vec<Member<'_>> {
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|other| other == name));
    // A member with several names is a property for each of them. One of the names is required, or none.
    let parts = schema["allOf"].as_array().into_iter().flatten().filter_map(|part| part["oneOf"].as_array());
    let alternatives: Vec<&str> = parts.flatten().filter_map(|form| form["required"][0].as_str()).collect();
    let mut members: Vec<Member<'_>> = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        // Other names follow the first.
        match members.last_mut() {
            Some(member) if property["deprecated"] == true => member.names.push(name),
            _ => {
                let is_required = required(name) || alternatives.contains(&&**name);
                members.push(Member { names: vec![name], schema: property, is_required });
            }
        }
    }
    members
}

/// Returns the objects whose members are part of an object, and `true` for those that may be missing as a whole.
pub(crate) fn flattened(schema: &Value) -> impl Iterator<Item = (&Value, bool)> {
    let parts = schema["allOf"].as_array().into_iter().flatten().filter(|part| part.get("oneOf").is_none());
    parts.map(|part| match part["anyOf"].as_array().map(Vec::as_slice) {
        Some([content, Value::Object(nothing)]) if nothing.is_empty() => (content, true),
        _ => (part, false),
    })
}
