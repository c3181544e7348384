//! Why parameters do not fit, in words for the client: a JSON Pointer and a sentence, without byte offsets or Rust's type names.

use std::fmt;

use serde_path_to_error::Segment;

use crate::Error;

/// Characters of a client's own text that are given back to it.
const MAX_ECHO_CHARS: usize = 128;

/// One thing that does not fit.
pub(crate) struct ParameterError {
    pointer: String,
    message: String,
}

impl ParameterError {
    pub(crate) fn new<E: fmt::Display>(error: serde_path_to_error::Error<E>) -> Self {
        let mut pointer = String::new();
        for segment in error.path().iter() {
            match segment {
                Segment::Seq { index } => push(&mut pointer, &index.to_string()),
                Segment::Map { key } => push(&mut pointer, &cut(key)),
                Segment::Enum { variant } => push(&mut pointer, variant),
                Segment::Unknown => {}
            }
        }
        ParameterError::of(pointer, &error.inner().to_string())
    }

    pub(crate) fn at_root(message: impl fmt::Display) -> Self {
        ParameterError::of(String::new(), &message.to_string())
    }

    pub(crate) fn at_member(name: &str, message: &str) -> Self {
        let mut pointer = String::new();
        push(&mut pointer, &cut(name));
        ParameterError { pointer, message: message.to_owned() }
    }

    fn of(mut pointer: String, message: &str) -> Self {
        let message = without_position(message);
        if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            push(&mut pointer, field);
            return ParameterError { pointer, message: "missing".to_owned() };
        }
        ParameterError { pointer, message: humane(message) }
    }
}

impl From<ParameterError> for Error {
    fn from(misfit: ParameterError) -> Self {
        Error::invalid_parameters(&misfit.pointer, &misfit.message)
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
    let after = |prefix| message.strip_prefix(prefix).and_then(|rest: &str| rest.rsplit_once(", expected "));
    if let Some((found, expected)) = after("invalid type: ").or_else(|| after("invalid value: ")) {
        return format!("expected {}, not {}", wanted(expected), cut(&given(found)));
    }
    if let Some((length, expected)) = after("invalid length ") {
        return format!("expected {}, not an array of {length}", wanted(expected));
    }
    if message.contains("untagged enum") {
        return "does not match any of the accepted forms".to_owned();
    }
    from_text(message).map_or_else(|| cut(message), str::to_owned)
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

/// What came, from serde's words for it.
fn given(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    match kind {
        "map" => "an object".to_owned(),
        "sequence" => "an array".to_owned(),
        "null" | "unit" => "null".to_owned(),
        "string" => format!("the string {value}"),
        "integer" => format!("the number {}", value.trim_matches('`')),
        "floating" => format!("the number {}", value.trim_start_matches("point ").trim_matches('`')),
        "boolean" => value.trim_matches('`').to_owned(),
        _ => found.to_owned(),
    }
}

/// What is wanted, from serde's words for it: by the whole of them, or by how they begin.
fn wanted(expected: &str) -> String {
    const BEGINNINGS: [(&str, &str); 12] = [
        ("struct ", "an object"),
        ("internally tagged ", "an object"),
        ("adjacently tagged ", "an object"),
        ("a tuple", "an array"),
        ("tuple ", "an array"),
        ("enum ", "a string that names one of the variants"),
        ("variant ", "a string that names one of the variants"),
        ("field ", "a string"),
        ("unit", "null"),
        ("newtype ", "a value of another kind"),
        ("option", "a value of another kind"),
        ("a nonzero ", "an integer other than 0"),
    ];
    let (from, to): (i128, i128) = match expected {
        "a map" => return "an object".to_owned(),
        "a sequence" => return "an array".to_owned(),
        "f32" | "f64" => return "a number".to_owned(),
        "i128" | "u128" => return "an integer".to_owned(),
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" => (i64::MIN.into(), i64::MAX.into()),
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" => (0, u64::MAX.into()),
        _ => {
            let known = BEGINNINGS.iter().find(|(beginning, _)| expected.starts_with(beginning));
            return known.map_or(expected, |(_, words)| words).to_owned();
        }
    };
    format!("an integer from {from} to {to}")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_ECHO_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
