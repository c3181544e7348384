//! Parameters: from the raw request to the method's own type.

use std::collections::BTreeMap;

use bytestring::ByteString;
use serde::de::value::UnitDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, Visitor};

use crate::parameter_diagnosis::{json_error, query_error};
use crate::parameter_error::ParameterError;
use crate::{Error, Result};

/// The parameters of a call as received, not yet deserialized.
#[derive(Debug, Clone)]
pub enum RawParams {
    /// JSON text: well-formed, and not nested deeper than the server's limit. A slice of the request's body.
    Json(ByteString),
    /// The query string of a GET request, without its `?`.
    Query(ByteString),
}

/// Deserializes the parameters of a method that does not accept GET.
///
/// Every method instantiates the generic functions of this file with its own type, which takes time to compile: code that
/// can be non-generic is, and code for GET alone is a separate function.
pub(crate) fn read<P: DeserializeOwned>(params: &RawParams) -> Result<P> {
    match params {
        RawParams::Json(json) => read_body(json),
        RawParams::Query(_) => Err(unexpected_query()),
    }
}

/// Deserializes the parameters of a method that accepts GET.
pub(crate) fn read_body_or_query<P: DeserializeOwned>(params: &RawParams) -> Result<P> {
    match params {
        RawParams::Json(json) => read_body(json),
        RawParams::Query(query) if is_unit::<P>() => read_unit(keys(query).next()),
        RawParams::Query(query) => read_query(query),
    }
}

fn read_body<P: DeserializeOwned>(json: &str) -> Result<P> {
    if is_unit::<P>() { read_unit(first_member(json)?) } else { read_json(json) }
}

/// The server rejects such a request before it reads parameters.
fn unexpected_query() -> Error {
    Error::internal("a query string for a method that does not accept GET")
}

/// Deserializes JSON with plain `serde_json`. Only parameters that do not fit are read a second time, for their error.
fn read_json<P: DeserializeOwned>(json: &str) -> Result<P> {
    if json.starts_with('[') && is_struct::<P>() {
        return Err(Error::invalid_parameters("", "expected an object, not an array"));
    }
    let mut deserializer = unbounded(json);
    let params = P::deserialize(&mut deserializer).and_then(|params| deserializer.end().map(|()| params));
    params.map_err(|_| json_error::<P>(json))
}

/// Returns a deserializer without `serde_json`'s own limit of 127 levels: the server has already checked the depth.
fn unbounded(json: &str) -> serde_json::Deserializer<serde_json::de::StrRead<'_>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.disable_recursion_limit();
    deserializer
}

/// Deserializes a query string: as strings if the type accepts them, otherwise converted to the types that it asks for.
fn read_query<P: DeserializeOwned>(query: &str) -> Result<P> {
    if let Ok(params) = serde_json::from_str(&query_as_json(query)) {
        return Ok(params);
    }
    serde_html_form::from_str(query).map_err(|_| query_error::<P>(query))
}

/// Returns the query as a JSON object of strings; a repeated key becomes an array of strings.
fn query_as_json(query: &str) -> String {
    let mut strings: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        strings.entry(key).or_default().push(value);
    }
    let members = strings.into_iter().map(|(key, mut values)| match values.len() {
        1 => (key.into_owned(), serde_json::Value::from(values.remove(0))),
        _ => (key.into_owned(), serde_json::Value::from_iter(values)),
    });
    serde_json::Value::Object(members.collect()).to_string()
}

/// Returns `true` if the parameters are `()`. serde's `()` rejects `{}`; the server accepts `{}` and `null`.
fn is_unit<P>() -> bool {
    typeid::of::<P>() == typeid::of::<()>()
}

fn read_unit<P: DeserializeOwned>(first_member: Option<String>) -> Result<P> {
    match first_member {
        Some(name) => Err(ParameterError::new("this method takes no parameters").within(&name).into_error()),
        None => Ok(P::deserialize(UnitDeserializer::<serde_json::Error>::new())?),
    }
}

fn first_member(json: &str) -> Result<Option<String>> {
    Ok(read_json::<Option<BTreeMap<String, IgnoredAny>>>(json)?.unwrap_or_default().into_keys().next())
}

fn keys(query: &str) -> impl Iterator<Item = String> {
    form_urlencoded::parse(query.as_bytes()).map(|(key, _)| key.into_owned())
}

/// Returns `true` if a type deserializes a struct. A derived implementation also accepts an array of the fields in their order; the server
/// accepts only objects.
fn is_struct<P: DeserializeOwned>() -> bool {
    struct Probe<'a>(&'a mut bool);

    impl<'de> Deserializer<'de> for Probe<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _name: &'static str,
            _fields: &'static [&'static str],
            _visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = true;
            Err(serde::de::Error::custom("a struct"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("not a struct"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
            tuple_struct map enum identifier ignored_any
        }
    }

    let mut asked_for_struct = false;
    let _ = P::deserialize(Probe(&mut asked_for_struct)).is_err();
    asked_for_struct
}
