//! Parameters: from the raw request to the method's own type.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytestring::ByteString;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::parameter_diagnosis::{from_json_tree, from_query_tree};
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
/// Every method compiles the generic functions of this file, and those that they call, for its own type. So code that can be
/// non-generic is, code for GET alone is a separate function, and there is `match` where `?` or `map_err` would be another function.
pub(crate) fn read<P: DeserializeOwned>(params: &RawParams) -> Result<P> {
    match params {
        RawParams::Json(json) if is_unit::<P>() => read_unit(first_member(json)),
        RawParams::Json(json) => read_json(json),
        RawParams::Query(_) => Err(unexpected_query()),
    }
}

/// Deserializes the parameters of a method that accepts GET.
pub(crate) fn read_body_or_query<P: DeserializeOwned>(params: &RawParams) -> Result<P> {
    match params {
        RawParams::Json(_) => read(params),
        RawParams::Query(query) if is_unit::<P>() => read_unit(Ok(keys(query).next())),
        RawParams::Query(query) => read_query(query),
    }
}

/// The server rejects such a request before it reads parameters.
fn unexpected_query() -> Error {
    Error::internal("a query string for a method that does not accept GET")
}

/// Deserializes JSON with plain `serde_json`, and a second time as a tree if that fails, or if it may have been too lenient: a derived
/// implementation of a struct also accepts an array of the fields in their order, and the server accepts only objects.
fn read_json<P: DeserializeOwned>(json: &str) -> Result<P> {
    let mut deserializer = unbounded(json);
    match P::deserialize(&mut deserializer) {
        Ok(params) if is_at_end(&mut deserializer) && (!json.contains('[') || is_any_json::<P>()) => Ok(params),
        _ => from_json_tree(json),
    }
}

fn is_at_end(deserializer: &mut serde_json::Deserializer<serde_json::de::StrRead<'_>>) -> bool {
    deserializer.end().is_ok()
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
    serde_html_form::from_str(query).or_else(|_| from_query_tree(query))
}

/// Returns the query as a JSON object of strings; a repeated key becomes an array of strings.
fn query_as_json(query: &str) -> String {
    let mut strings: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        strings.entry(key).or_default().push(value);
    }
    let members = strings.into_iter().map(|(key, mut values)| match values.len() {
        1 => (key.into_owned(), Value::from(values.remove(0))),
        _ => (key.into_owned(), Value::from_iter(values)),
    });
    Value::Object(members.collect()).to_string()
}

/// Returns `true` if a type of parameters or of an answer is `()`.
pub(crate) fn is_unit<T>() -> bool {
    // rustc does not compile what follows if the size rules it out.
    (const { size_of::<T>() == 0 }) && typeid::of::<T>() == typeid::of::<()>()
}

/// Returns `()`, unless there is a member. `P` is `()`, which serde rejects `{}` for; the server accepts `{}` and `null`.
fn read_unit<P: DeserializeOwned>(first_member: Result<Option<String>>) -> Result<P> {
    match first_member {
        Ok(None) => read_json("null"),
        Ok(Some(name)) => Err(ParameterError::new("this method takes no parameters").within(&name).into_error()),
        Err(error) => Err(error),
    }
}

fn first_member(json: &str) -> Result<Option<String>> {
    Ok(read_json::<Option<BTreeMap<String, IgnoredAny>>>(json)?.unwrap_or_default().into_keys().next())
}

fn keys(query: &str) -> impl Iterator<Item = String> {
    form_urlencoded::parse(query.as_bytes()).map(|(key, _)| key.into_owned())
}

/// Returns `true` if the parameters are any JSON, in which there is no struct.
fn is_any_json<P>() -> bool {
    typeid::of::<P>() == typeid::of::<Value>() || typeid::of::<P>() == typeid::of::<Box<RawValue>>()
}
