//! Schemas by what they accept, for a comparison.

use std::collections::BTreeMap;

use serde_json::Value;

use super::members::{Member, flattened, members};
use super::schema::{base, reference};

/// The values that a schema accepts, without references and without `null` beside the rest.
pub(super) struct NullableShape<'a> {
    pub(super) schema: &'a Value,
    /// The definition that the schema is that of.
    pub(super) definition: Option<&'a str>,
    pub(super) shape: Shape<'a>,
    pub(super) is_nullable: bool,
}

/// A set of values.
pub(super) enum Shape<'a> {
    Any,
    Null,
    Boolean,
    Number,
    /// With the least and the greatest.
    Integer((i128, i128)),
    /// With a format, or another limit.
    String(Option<String>),
    /// One of these.
    Strings(Vec<&'a str>),
    /// With the schema of the elements, and the length.
    Array(&'a Value, Option<u64>),
    Tuple(&'a [Value]),
    Object(Object<'a>),
    /// Forms, each with the name that tells it from others.
    Forms(Vec<(Option<&'a str>, &'a Value)>),
}

/// The members of an object, flattened ones included.
pub(super) struct Object<'a> {
    pub(super) members: Vec<PlacedMember<'a>>,
    /// The schema of members that are not named.
    pub(super) values: Option<&'a Value>,
    pub(super) denies_unknown: bool,
}

/// A member of an object, and the definition that it is declared in, if that is another one than the object's.
pub(super) struct PlacedMember<'a> {
    pub(super) member: Member<'a>,
    pub(super) definition: Option<&'a str>,
}

/// The most references that are followed, and the deepest nesting of flattened objects.
const MAX_STEPS: usize = 16;

/// A schema that accepts everything.
static ANY: Value = Value::Null;

/// Returns the values that a schema accepts.
pub(super) fn shape<'a>(mut schema: &'a Value, types: &'a BTreeMap<String, Value>) -> NullableShape<'a> {
    let (mut definition, mut is_nullable) = (None, false);
    for _ in 0..MAX_STEPS {
        let forms = schema["anyOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        let others: Vec<&Value> = forms.iter().filter(|form| form["type"] != "null").collect();
        if let Some(name) = reference(schema) {
            (schema, definition) = (types.get(name).unwrap_or(&ANY), Some(name));
        } else if let ([form], true) = (&others[..], others.len() < forms.len()) {
            (schema, is_nullable) = (form, true);
        } else if !forms.is_empty() {
            is_nullable |= others.len() < forms.len();
            let forms = others.into_iter().map(|form| (key(form), form)).collect();
            return NullableShape { schema, definition, shape: Shape::Forms(forms), is_nullable };
        } else {
            break;
        }
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    is_nullable |= names.contains(&"null");
    let others: Vec<&str> = names.iter().copied().filter(|name| *name != "null").collect();
    let strings = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
    let strings: Vec<&str> = strings.filter_map(Value::as_str).collect();
    let found = match others[..] {
        _ if !strings.is_empty() => Shape::Strings(strings),
        [] if is_nullable => Shape::Null,
        ["object"] => object(schema, types),
        [] if schema.get("allOf").is_some() => object(schema, types),
        ["boolean"] => Shape::Boolean,
        ["number"] => Shape::Number,
        ["integer"] => Shape::Integer((limit(&schema["minimum"], i128::MIN), limit(&schema["maximum"], i128::MAX))),
        ["string"] => Shape::String(
            schema["format"].as_str().map(str::to_owned).or(schema.get("maxLength").map(ToString::to_string)),
        ),
        ["array"] => match schema["prefixItems"].as_array() {
            Some(items) => Shape::Tuple(items),
            None => Shape::Array(schema.get("items").unwrap_or(&ANY), schema["minItems"].as_u64()),
        },
        _ => Shape::Any,
    };
    NullableShape { schema, definition, shape: found, is_nullable }
}

fn limit(limit: &Value, otherwise: i128) -> i128 {
    limit.as_i64().map(i128::from).or(limit.as_u64().map(i128::from)).unwrap_or(otherwise)
}

/// Returns the name that tells a form from others: the value of its tag, or that of its only member.
fn key(form: &Value) -> Option<&str> {
    let tagged = form["allOf"].get(0).unwrap_or(form);
    let (name, first) = tagged["properties"].as_object()?.iter().next()?;
    if let Some(tag) = first["const"].as_str().or(first["enum"][0].as_str()).filter(|_| first.get("type").is_none()) {
        return Some(tag);
    }
    (form["maxProperties"] == 1).then_some(name)
}

fn object<'a>(schema: &'a Value, types: &'a BTreeMap<String, Value>) -> Shape<'a> {
    let mut found = Object { members: Vec::new(), values: None, denies_unknown: false };
    add_members(schema, types, None, false, &mut found, 0);
    Shape::Object(found)
}

/// Adds the members of an object, or of a part of one that may be missing as a whole.
fn add_members<'a>(
    schema: &'a Value,
    types: &'a BTreeMap<String, Value>,
    definition: Option<&'a str>,
    is_optional: bool,
    found: &mut Object<'a>,
    depth: usize,
) {
    found.members.extend(members(schema).into_iter().map(|member| {
        let is_required = member.is_required && !is_optional;
        PlacedMember { member: Member { is_required, ..member }, definition }
    }));
    match &schema["additionalProperties"] {
        Value::Bool(false) => found.denies_unknown = true,
        values @ Value::Object(_) => found.values = Some(values),
        _ => {}
    }
    for (part, is_part_optional) in flattened(schema).filter(|_| depth < MAX_STEPS) {
        let name = reference(part);
        let part = name.and_then(|name| types.get(name)).unwrap_or(part);
        add_members(part, types, name.or(definition), is_optional || is_part_optional, found, depth + 1);
    }
}

/// Returns the name of a type for a message.
pub(super) fn type_name(schema: &Value) -> String {
    if let Some(name) = reference(schema).and_then(|name| base(name).rsplit('.').next()) {
        return format!("`{name}`");
    }
    let names = |values: &Value| {
        let values = values.as_array().into_iter().flatten().map(ToString::to_string);
        values.collect::<Vec<_>>().join(" or ")
    };
    match &schema["type"] {
        _ if schema.get("enum").is_some() => names(&schema["enum"]),
        _ if schema.get("const").is_some() => schema["const"].to_string(),
        Value::String(name) => name.clone(),
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ if schema["anyOf"].is_array() => {
            let forms = schema["anyOf"].as_array().into_iter().flatten().map(type_name);
            forms.collect::<Vec<_>>().join(" or ")
        }
        _ if schema.get("allOf").is_some() => "object".to_owned(),
        _ => "any JSON".to_owned(),
    }
}
