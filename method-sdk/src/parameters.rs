//! Parameters: from what came in, straight into the method's own type.

use std::collections::BTreeMap;

use serde::de::value::UnitDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, Visitor};
use serde_json::value::RawValue;

use crate::parameter_error::ParameterError;
use crate::{Error, Result};

/// The parameters as they came in, not yet read.
#[derive(Debug, Clone, Copy)]
pub enum RawParams<'a> {
    /// JSON, known to be well-formed and not deeper than the server's limit.
    Json(&'a RawValue),
    /// The query string of a GET, without its `?`.
    Query(&'a str),
}

/// Reads the parameters of a method that is not for GET. Every method has a copy of what is generic here, in its own type, which takes
/// time to compile: what need not be generic is not, and what only GET needs is by itself.
pub(crate) fn read<P: DeserializeOwned>(params: RawParams<'_>) -> Result<P> {
    match params {
        RawParams::Json(json) => read_body(json),
        RawParams::Query(_) => Err(not_for_get()),
    }
}

/// The same for a method that may be called with GET.
pub(crate) fn read_body_or_query<P: DeserializeOwned>(params: RawParams<'_>) -> Result<P> {
    match params {
        RawParams::Json(json) => read_body(json),
        RawParams::Query(query) if is_unit::<P>() => nothing(keys(query).next()),
        RawParams::Query(query) => read_query(query),
    }
}

fn read_body<P: DeserializeOwned>(json: &RawValue) -> Result<P> {
    if is_unit::<P>() { nothing(first_member(json)?) } else { read_json(json) }
}

/// The server looks at that before it comes to the parameters.
fn not_for_get() -> Error {
    Error::internal("a query string for a method that is not for GET")
}

/// Plain `serde_json` first, and only for what does not fit a second time with the path tracked: that costs half as much again.
fn read_json<P: DeserializeOwned>(json: &RawValue) -> Result<P> {
    if json.get().starts_with('[') && is_struct::<P>() {
        return Err(ParameterError::at_root("expected an object, not an array").into());
    }
    let mut deserializer = unbounded(json.get());
    match P::deserialize(&mut deserializer).and_then(|params| deserializer.end().map(|()| params)) {
        Ok(params) => Ok(params),
        Err(plain) => {
            let tracked = serde_path_to_error::deserialize::<_, P>(&mut unbounded(json.get()));
            Err(tracked.err().map_or_else(|| ParameterError::at_root(plain), ParameterError::new).into())
        }
    }
}

/// A deserializer without `serde_json`'s own limit of 127 levels: the server has counted them already.
fn unbounded(json: &str) -> serde_json::Deserializer<serde_json::de::StrRead<'_>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.disable_recursion_limit();
    deserializer
}

/// A type that takes the strings as they are gets them; another has them converted to what it asks for.
fn read_query<P: DeserializeOwned>(query: &str) -> Result<P> {
    if let Ok(params) = serde_json::from_str(&strings(query)) {
        return Ok(params);
    }
    serde_path_to_error::deserialize(serde_html_form::Deserializer::new(form_urlencoded::parse(query.as_bytes())))
        .map_err(|error| ParameterError::new(error).into())
}

/// The query as a JSON object of strings, and of arrays of them where a key is repeated.
fn strings(query: &str) -> String {
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

/// Whether the parameters are `()`, which takes `{}` and `null`, as serde's own does not.
fn is_unit<P>() -> bool {
    typeid::of::<P>() == typeid::of::<()>()
}

fn nothing<P: DeserializeOwned>(first_member: Option<String>) -> Result<P> {
    match first_member {
        Some(name) => Err(ParameterError::at_member(&name, "this method takes no parameters").into()),
        None => Ok(P::deserialize(UnitDeserializer::<serde_json::Error>::new())?),
    }
}

fn first_member(json: &RawValue) -> Result<Option<String>> {
    Ok(read_json::<Option<BTreeMap<String, IgnoredAny>>>(json)?.unwrap_or_default().into_keys().next())
}

fn keys(query: &str) -> impl Iterator<Item = String> {
    form_urlencoded::parse(query.as_bytes()).map(|(key, _)| key.into_owned())
}

/// Whether a type asks for a struct: a derived one would also take its fields as an array, in their order, and ours are objects only.
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
