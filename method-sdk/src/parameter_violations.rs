//! Everything in parameters that does not fit, by the schema of a method's contract.
//!
//! serde stops at the first error. After it has refused parameters, this walk finds the others, in the same words. It is exact or silent:
//! where a schema is narrower than what serde accepts, nothing is reported.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::de::Error as _;
use serde_json::Value;

use crate::parameter_error::{ParameterError, pointer_to};
use crate::parameter_tree::Node;
use crate::{Error, code};

/// The most violations that an error lists.
const MAX_VIOLATIONS: usize = 32;

/// The most values that are compared with a schema. A value that is none of several forms is compared with each, and so is everything in it.
const MAX_STEPS: u32 = 50_000;

/// The most references that are followed without a value between them.
const MAX_REFERENCES: usize = 16;

/// A parameter that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The JSON Pointer to it.
    pub path: String,
    /// The reason.
    pub message: String,
}

/// Adds to an error 1019 (Invalid parameters) what else does not fit: up to 32 violations with the first. Any other error is unchanged, and
/// so is one that `invoke` has created with details of its own.
///
/// `json` are the parameters, well-formed; `schema` is that of the method's contract, and `types` what it refers to.
pub fn add_violations(error: Error, json: &str, schema: &Value, types: &BTreeMap<String, Value>) -> Error {
    let first = match error.details() {
        Some(Value::Array(details)) if error.code() == code::INVALID_PARAMETERS.number && details.len() == 1 => {
            details[0].clone()
        }
        _ => return error,
    };
    let violations = find_violations(json, schema, types).into_iter();
    let others: Vec<Value> = violations
        .filter(|violation| first["path"] != *violation.path)
        .map(|Violation { path, message }| serde_json::json!({ "path": path, "message": message }))
        .take(MAX_VIOLATIONS - 1)
        .collect();
    if others.is_empty() {
        return error;
    }
    let message = format!("{}; and {} more", error.message(), others.len());
    let details: Vec<Value> = [first].into_iter().chain(others).collect();
    Error::new(error.code(), message).with_details(details)
}

/// Finds what does not fit in well-formed parameters, in the order of the schema.
pub fn find_violations(json: &str, schema: &Value, types: &BTreeMap<String, Value>) -> Vec<Violation> {
    let steps = Cell::new(0);
    let mut walk = Walk { types, found: Vec::new(), steps: &steps };
    walk.check(&Node::from_json(json), schema, "");
    walk.found
}

struct Walk<'a> {
    types: &'a BTreeMap<String, Value>,
    found: Vec<Violation>,
    /// The values that have been compared, those of attempts included.
    steps: &'a Cell<u32>,
}

/// The feature that distinguishes the forms of an enum.
enum Forms<'a> {
    /// By a string, or by the only member of an object.
    External(Names<'a>),
    /// By a member of this name: the values of each form.
    Tagged(&'a str, Vec<(Vec<&'a str>, &'a Value)>),
    Untagged,
}

/// The names of an enum's forms.
#[derive(Default)]
struct Names<'a> {
    strings: Vec<&'a str>,
    /// The names that have a content, and its schema.
    contents: Vec<(&'a str, &'a Value)>,
    /// Any other name is accepted too.
    is_open: bool,
}

impl<'a> Walk<'a> {
    fn resolve(&self, mut schema: &'a Value) -> &'a Value {
        for _ in 0..MAX_REFERENCES {
            let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) else { break };
            schema = self.types.get(name).unwrap_or(&Value::Null);
        }
        schema
    }

    fn report(&mut self, path: &str, error: &ParameterError) {
        self.found.push(Violation { path: path.to_owned(), message: error.message().to_owned() });
    }

    /// Reports that a value is not of the kind that serde calls `expected`.
    fn report_mismatch(&mut self, node: &Node<'_>, expected: &str, path: &str) {
        self.report(path, &node.mismatch(&expected));
    }

    fn check(&mut self, node: &Node<'_>, schema: &'a Value, path: &str) {
        self.steps.set(self.steps.get() + 1);
        if self.found.len() >= MAX_VIOLATIONS || self.steps.get() > MAX_STEPS {
            return;
        }
        let schema = self.resolve(schema);
        if let Some(forms) = schema["anyOf"].as_array() {
            self.check_forms(node, forms, path);
        } else if let Some(names) = schema["enum"].as_array() {
            let strings = names.iter().filter_map(Value::as_str).collect();
            self.check_external(node, &Names { strings, ..Names::default() }, path);
        } else if schema["type"].is_array() {
            self.check_any_of_types(node, schema, path);
        } else if let Some(name) = schema["type"].as_str() {
            self.check_type(node, name, schema, path);
        } else if schema["allOf"].is_array() {
            self.check_object(node, schema, path);
        }
    }

    /// Checks a value against a list of types, most of which are one type and null.
    fn check_any_of_types(&mut self, node: &Node<'_>, schema: &'a Value, path: &str) {
        let names: Vec<&str> = schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if is_null(node) && names.contains(&"null") {
            return;
        }
        match names.iter().filter(|name| **name != "null").collect::<Vec<_>>()[..] {
            [name] => self.check_type(node, name, schema, path),
            _ if names.iter().any(|name| is_of_type(node, name)) => {}
            _ => self.report_mismatch(node, &names.join(" or "), path),
        }
    }

    fn check_type(&mut self, node: &Node<'_>, name: &str, schema: &'a Value, path: &str) {
        match name {
            "object" => self.check_object(node, schema, path),
            "array" => self.check_array(node, schema, path),
            "integer" => self.check_integer(node, schema, path),
            "string" if schema["maxLength"] == 1 => {
                let is_character = string(node).is_some_and(|text| text.chars().count() == 1);
                if !is_character {
                    self.report_mismatch(node, "a character", path);
                }
            }
            _ if is_of_type(node, name) => {}
            "string" => self.report_mismatch(node, "a string", path),
            "number" => self.report_mismatch(node, "f64", path),
            "boolean" => self.report_mismatch(node, "a boolean", path),
            "null" => self.report_mismatch(node, "unit", path),
            _ => {}
        }
    }

    fn check_integer(&mut self, node: &Node<'_>, schema: &Value, path: &str) {
        let (minimum, maximum) = (&schema["minimum"], &schema["maximum"]);
        let integer = integer(node);
        let is_excluded = integer == Some(0) && schema.get("not").is_some();
        let limit = |limit: &Value| limit.as_i64().map(i128::from).or(limit.as_u64().map(i128::from));
        let is_within = integer.is_some_and(|integer| {
            limit(minimum).is_none_or(|minimum| integer >= minimum)
                && limit(maximum).is_none_or(|maximum| integer <= maximum)
        });
        // Integers of 128 bits have no maximum here.
        let is_large = maximum.is_null() && is_integer_text(node);
        if is_excluded || (integer == Some(0) && minimum == 1) {
            self.report_mismatch(node, "a nonzero integer", path);
        } else if maximum.is_null() && !is_large {
            self.report_mismatch(node, "an integer", path);
        } else if !is_within && !is_large {
            self.report_mismatch(node, &format!("an integer from {minimum} to {maximum}"), path);
        }
    }

    fn check_array(&mut self, node: &Node<'_>, schema: &'a Value, path: &str) {
        let Node::Array(elements, _) = node else { return self.report_mismatch(node, "a sequence", path) };
        let count = elements.len();
        let limit = |keyword: &str| schema[keyword].as_u64().and_then(|limit| usize::try_from(limit).ok());
        if limit("minItems").is_some_and(|least| count < least) {
            return self.report(path, &ParameterError::invalid_length(count, &"a sequence"));
        }
        if limit("maxItems").is_some_and(|most| count > most) {
            return self.report(path, &ParameterError::invalid_length(count, &"fewer elements"));
        }
        for (index, element) in elements.iter().enumerate() {
            let schema = schema["prefixItems"].get(index).or(schema.get("items"));
            if let Some(schema) = schema {
                self.check(element, schema, &format!("{path}/{index}"));
            }
        }
    }

    fn check_object(&mut self, node: &Node<'_>, schema: &'a Value, path: &str) {
        let Node::Object(members, _) = node else { return self.report_mismatch(node, "a map", path) };
        let members: Vec<(String, &Node<'_>)> = members.iter().map(|(key, value)| (key.segment(), value)).collect();
        self.check_members(&members, schema, path);
        let known = |name: &str| schema["properties"].get(name).is_some();
        let others = members.iter().filter(|(name, _)| !known(name));
        match &schema["additionalProperties"] {
            Value::Bool(false) => {
                let names: Vec<&str> =
                    schema["properties"].as_object().into_iter().flatten().map(|(name, _)| &**name).collect();
                for (name, _) in others {
                    self.report(&within(path, name), &ParameterError::unknown_name("field", name, &names));
                }
            }
            Value::Object(_) => {
                for (name, value) in others {
                    self.check(value, &schema["additionalProperties"], &within(path, name));
                }
            }
            _ => {}
        }
    }

    /// Checks the members of an object that a schema and its parts name.
    fn check_members(&mut self, members: &[(String, &Node<'_>)], schema: &'a Value, path: &str) {
        let find = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
        let requires = |name: &str| {
            schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
        };
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            match find(name) {
                Some(value) => self.check(value, property, &within(path, name)),
                None if requires(name) => self.report(&within(path, name), &ParameterError::new("missing")),
                None => {}
            }
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            // A member with several names, one of which is required.
            if let Some(forms) = part["oneOf"].as_array() {
                let mut names = forms.iter().filter_map(|form| form["required"][0].as_str());
                if let (false, Some(first)) = (names.clone().any(|name| find(name).is_some()), names.next()) {
                    self.report(&within(path, first), &ParameterError::new("missing"));
                }
                continue;
            }
            // The members of a flattened struct. Flattened enums and maps are not checked.
            let part = self.resolve(part);
            if part["properties"].is_object() || part["allOf"].is_array() {
                self.check_members(members, part, path);
            }
        }
    }

    fn check_forms(&mut self, node: &Node<'_>, forms: &'a [Value], path: &str) {
        let others: Vec<&Value> = forms.iter().filter(|form| form["type"] != "null").collect();
        if others.len() < forms.len() && is_null(node) {
            return;
        }
        if let [form] = others[..] {
            return self.check(node, form, path);
        }
        match self.distinguish(&others) {
            Forms::External(names) => self.check_external(node, &names, path),
            Forms::Tagged(tag, forms) => self.check_tagged(node, tag, &forms, path),
            Forms::Untagged => {
                let fits = |form: &&'a Value| {
                    let mut walk = Walk { types: self.types, found: Vec::new(), steps: self.steps };
                    walk.check(node, form, path);
                    walk.found.is_empty()
                };
                if !others.iter().any(fits) {
                    self.report(path, &ParameterError::new("does not match any of the accepted forms"));
                }
            }
        }
    }

    fn distinguish(&self, forms: &[&'a Value]) -> Forms<'a> {
        let mut names = Names::default();
        let is_external = forms.iter().all(|form| {
            let values = form["enum"].as_array().into_iter().flatten().chain(form.get("const"));
            let values: Vec<&str> = values.filter_map(Value::as_str).collect();
            let is_any_string = values.is_empty() && form["type"] == "string";
            names.is_open |= is_any_string;
            names.strings.extend(&values);
            let is_object = form["maxProperties"] == 1;
            if is_object {
                let members = form["properties"].as_object().into_iter().flatten();
                names.contents.extend(members.map(|(name, schema)| (&**name, schema)));
            }
            is_any_string || is_object || !values.is_empty()
        });
        if is_external {
            return Forms::External(names);
        }
        let tags: Vec<_> = forms.iter().filter_map(|form| Some((self.tag(form)?, *form))).collect();
        match tags.first() {
            Some(&((tag, _), _)) if tags.len() == forms.len() && tags.iter().all(|((other, _), _)| *other == tag) => {
                Forms::Tagged(tag, tags.into_iter().map(|((_, values), form)| (values, form)).collect())
            }
            _ => Forms::Untagged,
        }
    }

    /// Returns the member of a form that is a constant, and its values.
    fn tag(&self, form: &'a Value) -> Option<(&'a str, Vec<&'a str>)> {
        let tagged = form["allOf"].get(0).unwrap_or(form);
        let (name, schema) = tagged["properties"].as_object()?.iter().next()?;
        let values = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        let is_tag = !values.is_empty() && tagged["required"].get(0)? == name && schema.get("type").is_none();
        is_tag.then_some((name, values))
    }

    fn check_tagged(&mut self, node: &Node<'_>, tag: &str, forms: &[(Vec<&'a str>, &'a Value)], path: &str) {
        let Node::Object(members, _) = node else { return self.report_mismatch(node, "a map", path) };
        let place = within(path, tag);
        let Some((_, value)) = members.iter().find(|(key, _)| key.segment() == tag) else {
            return self.report(&place, &ParameterError::new("missing"));
        };
        // A number may be the index of a form.
        let Some(name) = string(value) else { return };
        match forms.iter().find(|(values, _)| values.contains(&&*name)) {
            Some((_, form)) => self.check_object(node, form, path),
            None => {
                let names: Vec<&str> = forms.iter().flat_map(|(values, _)| values.iter().copied()).collect();
                self.report(&place, &ParameterError::unknown_name("variant", &name, &names));
            }
        }
    }

    fn check_external(&mut self, node: &Node<'_>, names: &Names<'a>, path: &str) {
        let (name, content) = match node {
            Node::Object(members, _) => match &members[..] {
                [(key, value)] => (key.segment(), Some(value)),
                _ => return,
            },
            _ => match string(node) {
                Some(name) => (name, None),
                None => return self.report_mismatch(node, "enum of names", path),
            },
        };
        let schema = names.contents.iter().find(|(known, _)| **known == name).map(|(_, schema)| *schema);
        match (schema, content) {
            (Some(schema), Some(content)) => self.check(content, schema, &within(path, &name)),
            // serde has an error of its own for a content that is missing.
            (Some(_), None) => {}
            (None, _) if names.is_open || names.strings.contains(&&*name) => {}
            (None, _) => {
                let known: Vec<&str> =
                    names.strings.iter().copied().chain(names.contents.iter().map(|(known, _)| *known)).collect();
                self.report(path, &ParameterError::unknown_name("variant", &name, &known));
            }
        }
    }
}

fn within(path: &str, segment: &str) -> String {
    format!("{path}{}", pointer_to(segment))
}

fn is_null(node: &Node<'_>) -> bool {
    matches!(node, Node::Json("null"))
}

/// Returns the text of a string.
fn string(node: &Node<'_>) -> Option<String> {
    match node {
        Node::Json(text) if text.starts_with('"') => serde_json::from_str(text).ok(),
        _ => None,
    }
}

fn is_integer_text(node: &Node<'_>) -> bool {
    matches!(node, Node::Json(text) if text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()))
}

fn integer(node: &Node<'_>) -> Option<i128> {
    match node {
        Node::Json(text) if is_integer_text(node) => text.parse().ok(),
        _ => None,
    }
}

fn is_of_type(node: &Node<'_>, name: &str) -> bool {
    let first = match node {
        Node::Json(text) => text.bytes().next().unwrap_or_default(),
        Node::Text(_) => b'"',
        Node::Array(..) => b'[',
        Node::Object(..) => b'{',
    };
    match name {
        "null" => first == b'n',
        "boolean" => first == b't' || first == b'f',
        "number" => first == b'-' || first.is_ascii_digit(),
        "integer" => is_integer_text(node),
        "string" => first == b'"',
        "array" => first == b'[',
        "object" => first == b'{',
        _ => true,
    }
}
