//! The error of parameters that do not fit, in words for the client: a JSON Pointer and a sentence without byte offsets or Rust's
//! type names.

use std::fmt::Display;

use serde::de::{self, Expected, Unexpected};

use crate::Error;

/// The most characters of a client's own text that are sent back to it.
const MAX_ECHO_CHARS: usize = 128;

/// A parameter that does not fit: the path to it and a sentence.
///
/// It is the error type of the deserializer in `parameter_diagnosis.rs`, so serde's structured errors arrive here as they are. It is
/// converted with [`into_error`](ParameterError::into_error): `?` converts any error of `std`, and so this one too, to error 1000.
#[derive(Debug, thiserror::Error)]
#[error("{pointer}: {message}")]
pub(crate) struct ParameterError {
    pointer: String,
    message: String,
    /// The text, number or truth value that does not fit.
    value: Option<String>,
}

impl ParameterError {
    /// Creates an error about the parameters as a whole.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        ParameterError { pointer: String::new(), message: message.into(), value: None }
    }

    /// Creates an error about a name that is none of `known`. `kind` is that of the names, such as `field`.
    pub(crate) fn unknown_name(kind: &str, name: &str, known: &[&str]) -> Self {
        ParameterError::new(truncate(&format!("unknown {kind} `{name}`, {}", alternatives(known, kind))))
    }

    /// Puts a segment in front of the path: a member of an object or an element of an array.
    pub(crate) fn within(mut self, segment: &str) -> Self {
        self.pointer = format!("{}{}", pointer_to(segment), self.pointer);
        self
    }

    /// Puts the index of an element in front of the path.
    pub(crate) fn within_element(self, index: usize) -> Self {
        self.within(&index.to_string())
    }

    /// Returns the sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Returns the text, number or truth value that does not fit, if it is known.
    pub(crate) fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// Returns `true` if the error is about the member `key` of the parameters.
    pub(crate) fn is_at(&self, key: &str) -> bool {
        self.pointer == pointer_to(key)
    }

    /// Returns `true` if the error names the parameter.
    pub(crate) fn has_path(&self) -> bool {
        !self.pointer.is_empty()
    }

    /// Converts it to error 1019 (Invalid parameters).
    pub(crate) fn into_error(self) -> Error {
        Error::invalid_parameters(&self.pointer, &self.message)
    }
}

impl de::Error for ParameterError {
    /// Takes an error that has only a text: an error of the parameters' own type, or of `std`.
    fn custom<T: Display>(message: T) -> Self {
        custom(&message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        ParameterError { value: scalar_text(unexpected), ..mismatch(&describe(unexpected), expected) }
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        mismatch(&format!("an array of {length}"), expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        ParameterError::unknown_name("variant", variant, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        ParameterError::unknown_name("field", field, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        ParameterError::new("missing").within(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        ParameterError::new(format!("duplicate field `{field}`"))
    }
}

fn custom(message: &str) -> ParameterError {
    // A type that parses JSON itself passes on `serde_json`'s text.
    let message = message.rfind(" at line ").map_or(message, |position| &message[..position]);
    if message.contains("untagged enum") {
        return ParameterError::new("does not match any of the accepted forms"); // serde's text names the Rust type
    }
    ParameterError::new(match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => "expected an integer",
        "number too large to fit in target type" => "expected a smaller integer",
        "number too small to fit in target type" => "expected a greater integer",
        "invalid float literal" | "cannot parse float from empty string" => "expected a number",
        _ => return ParameterError::new(truncate(message)),
    })
}

fn mismatch(value: &str, expected: &dyn Expected) -> ParameterError {
    ParameterError::new(format!("expected {}, not {}", describe_expected(&expected.to_string()), truncate(value)))
}

/// Describes a value that the client has sent.
fn describe(value: Unexpected<'_>) -> String {
    match value {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {}", serde_json::Value::from(value)),
        Unexpected::Str(value) => format!("the string {value:?}"),
        Unexpected::Unit => "null".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        Unexpected::UnitVariant => "its name alone".to_owned(),
        other => other.to_string(),
    }
}

/// Returns the text of a scalar value, as a query string would have it.
fn scalar_text(value: Unexpected<'_>) -> Option<String> {
    Some(match value {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => serde_json::Value::from(value).to_string(),
        Unexpected::Str(value) => value.to_owned(),
        _ => return None,
    })
}

/// Describes the values that a type accepts.
///
/// serde has only a text for them, such as `u8`, `struct Params` or `a string`. The texts that name Rust's types are replaced, by the
/// whole text or by its beginning.
fn describe_expected(text: &str) -> String {
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
    let (min, max): (i128, i128) = match text {
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
            let known = BEGINNINGS.iter().find(|(beginning, _)| text.starts_with(beginning));
            return known.map_or(text, |(_, words)| words).to_owned();
        }
    };
    format!("an integer from {min} to {max}")
}

/// Lists the accepted names in serde's words: `` expected one of `a`, `b`, `c` ``.
fn alternatives(names: &[&str], kind: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match &quoted[..] {
        [] => format!("there are no {kind}s"),
        [only] => format!("expected {only}"),
        [one, other] => format!("expected {one} or {other}"),
        _ => format!("expected one of {}", quoted.join(", ")),
    }
}

/// Returns the JSON Pointer to a member or an element.
pub(crate) fn pointer_to(segment: &str) -> String {
    format!("/{}", truncate(segment).replace('~', "~0").replace('/', "~1"))
}

fn truncate(text: &str) -> String {
    match text.char_indices().nth(MAX_ECHO_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
