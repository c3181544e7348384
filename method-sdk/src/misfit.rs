//! Why parameters do not fit, in words for the client: a JSON Pointer and a sentence, without byte offsets or Rust's type names.

use std::fmt;

use serde_path_to_error::Segment;

use crate::{Error, code};

/// Characters of a client's own text that are given back to it.
const MAX_ECHO_CHARS: usize = 128;

/// One thing that does not fit.
pub(crate) struct Misfit {
    pointer: String,
    message: String,
}

impl Misfit {
    pub(crate) fn new<E: fmt::Display>(error: serde_path_to_error::Error<E>) -> Self {
        let mut pointer = String::new();
        for segment in error.path().iter() {
            match segment {
                Segment::Seq { index } => push(&mut pointer, &index.to_string()),
                Segment::Map { key } => push(&mut pointer, key),
                Segment::Enum { variant } => push(&mut pointer, variant),
                Segment::Unknown => {}
            }
        }
        Misfit::of(pointer, &error.inner().to_string())
    }

    pub(crate) fn at_root(message: impl fmt::Display) -> Self {
        Misfit::of(String::new(), &message.to_string())
    }

    pub(crate) fn at_member(name: &str, message: &str) -> Self {
        let mut pointer = String::new();
        push(&mut pointer, &cut(name));
        Misfit { pointer, message: message.to_owned() }
    }

    fn of(mut pointer: String, message: &str) -> Self {
        let message = without_position(message);
        if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            push(&mut pointer, field);
            return Misfit { pointer, message: "missing".to_owned() };
        }
        Misfit { pointer, message: humane(message) }
    }
}

impl From<Misfit> for Error {
    fn from(misfit: Misfit) -> Self {
        let Misfit { pointer, message } = misfit;
        let place = if pointer.is_empty() { String::new() } else { format!("{pointer}: ") };
        let text = format!("{}: {place}{message}", code::INVALID_PARAMETERS.text);
        Error::new(code::INVALID_PARAMETERS.number, text)
            .details(serde_json::json!([{ "path": pointer, "message": message }]))
    }
}

fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
}

fn without_position(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |end| &message[..end])
}

/// `invalid type: integer `5`, expected u8` becomes `expected an integer from 0 to 255, not the number 5`.
fn humane(message: &str) -> String {
    let parts = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix)?.rsplit_once(", expected "));
    match parts {
        Some((found, expected)) => format!("expected {}, not {}", wanted(expected), cut(&given(found))),
        None if message.contains("untagged enum") => "does not match any of the accepted forms".to_owned(),
        None => from_text(message).map_or_else(|| cut(message), str::to_owned),
    }
}

/// What the standard library says of text in a query string that is not the number or truth value asked for.
fn from_text(message: &str) -> Option<&'static str> {
    Some(match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => "expected an integer",
        "number too large to fit in target type" => "expected a smaller integer",
        "number too small to fit in target type" => "expected a greater integer",
        "invalid float literal" | "cannot parse float from empty string" => "expected a number",
        "provided string was not `true` or `false`" => "expected true or false",
        _ => return None,
    })
}

fn given(found: &str) -> String {
    let renamed = match found {
        "map" => "an object",
        "sequence" => "an array",
        "unit value" | "null" => "null",
        "Option value" => "a value",
        _ => "",
    };
    if !renamed.is_empty() {
        return renamed.to_owned();
    }
    if let Some(text) = found.strip_prefix("string ") {
        return format!("the string {text}");
    }
    if let Some(number) = found.strip_prefix("integer ").or_else(|| found.strip_prefix("floating point ")) {
        return format!("the number {}", number.trim_matches('`'));
    }
    if let Some(truth) = found.strip_prefix("boolean ") {
        return truth.trim_matches('`').to_owned();
    }
    found.to_owned()
}

fn wanted(expected: &str) -> String {
    let first = expected.split(' ').next().unwrap_or_default();
    let elements = expected.rsplit_once(" with ").or_else(|| expected.rsplit_once(" of size "));
    match (first, elements) {
        ("struct" | "tuple", Some((_, size))) | ("a", Some((_, size)))
            if expected.contains("tuple") || first == "struct" =>
        {
            format!("an array of {}", size.replace("elements", "").replace("element", "").trim())
        }
        ("tuple", None) => "an array".to_owned(),
        ("struct", None) => "an object".to_owned(),
        ("enum" | "variant", _) => "a string that names one of the variants".to_owned(),
        ("field", _) => "a string".to_owned(),
        ("unit", _) => "null".to_owned(),
        ("newtype" | "adjacently" | "internally", _) | ("option", _) => "a value of another kind".to_owned(),
        _ => match expected {
            "a map" => "an object".to_owned(),
            "a sequence" => "an array".to_owned(),
            "usize" => integers(0, u64::MAX.into()),
            "isize" => integers(i64::MIN.into(), i64::MAX.into()),
            "u8" => integers(0, u8::MAX.into()),
            "u16" => integers(0, u16::MAX.into()),
            "u32" => integers(0, u32::MAX.into()),
            "u64" => integers(0, u64::MAX.into()),
            "i8" => integers(i8::MIN.into(), i8::MAX.into()),
            "i16" => integers(i16::MIN.into(), i16::MAX.into()),
            "i32" => integers(i32::MIN.into(), i32::MAX.into()),
            "i64" => integers(i64::MIN.into(), i64::MAX.into()),
            "u128" | "i128" => "an integer".to_owned(),
            "f32" | "f64" => "a number".to_owned(),
            _ if expected.starts_with("a nonzero ") => "an integer other than 0".to_owned(),
            _ => expected.to_owned(),
        },
    }
}

fn integers(from: i128, to: i128) -> String {
    format!("an integer from {from} to {to}")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_ECHO_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
