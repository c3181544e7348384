//! Deserializes parameters as a tree of texts, which finds out which of them does not fit, and why.
//!
//! `serde_json` and `serde_html_form` turn serde's structured errors into English text, and accept an array in place of a struct. So
//! parameters that do not fit, and JSON with arrays, are deserialized a second time, by a deserializer whose error type is
//! [`ParameterError`]. Other parameters do not pay for it.
//!
//! Each method compiles the generic code here for its own type, so there is little of it: what a derived type never receives, such as a
//! number in place of a struct, is an error without a call of its visitor.

#[cfg(test)]
mod tests;

use std::any::TypeId;
use std::fmt::Display;
use std::num::NonZero;
use std::str::FromStr;

use serde::de::{self, DeserializeOwned, Deserializer, Unexpected, Visitor};
use serde_json::Value;

use crate::Error;
use crate::parameter_access::{Elements, Members};
use crate::parameter_error::ParameterError;
use crate::parameter_query::QueryParams;
use crate::parameter_tree::{Node, scalar};

type Result<T, E = ParameterError> = std::result::Result<T, E>;

/// The name by which `RawValue` asks `serde_json`'s deserializer for the text of a value.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Deserializes a well-formed JSON text.
///
/// # Errors
/// Returns error 1019 with the path to the parameter that does not fit, and the reason.
pub(crate) fn from_json_tree<P: DeserializeOwned>(json: &str) -> Result<P, Error> {
    match P::deserialize(Node::from_json(json)) {
        Ok(params) => Ok(params),
        Err(error) => Err(error.into_error()),
    }
}

/// Deserializes a query string.
///
/// # Errors
/// Returns error 1019 with the path to the parameter that does not fit, and the reason.
pub(crate) fn from_query_tree<P: DeserializeOwned>(query: &str) -> Result<P, Error> {
    let mut query = QueryParams::new(query);
    loop {
        match P::deserialize(query.tree()) {
            Ok(params) => return Ok(params),
            Err(error) if query.reinterpret(&error) => {}
            Err(error) => return Err(query.with_path(error).into_error()),
        }
    }
}

/// Implements the methods for integers: text is converted, and `-0` is 0, which `serde_json` reads as a float.
macro_rules! deserialize_integers {
    ($($method:ident $visit:ident $type:ty;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
                match self {
                    Node::Json("-0") => visitor.$visit(0),
                    Node::Text(text) => visitor.$visit(parse_integer::<$type>(&text)?),
                    node => node.deserialize_any(visitor),
                }
            }
        )*
    };
}

/// Implements the methods for floats: only text is converted.
macro_rules! deserialize_floats {
    ($($method:ident $visit:ident $type:ty;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
                match self {
                    Node::Text(text) => visitor.$visit(parse::<$type>(&text)?),
                    node => node.deserialize_any(visitor),
                }
            }
        )*
    };
}

/// Implements the methods for integers that a `serde_json::Number` may be too small for.
macro_rules! deserialize_large_integers {
    ($($method:ident $visit:ident $type:ty;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
                match &self {
                    Node::Json("-0") => visitor.$visit(0),
                    Node::Text(text) => visitor.$visit(parse_integer::<$type>(text)?),
                    Node::Json(text) if text.parse::<$type>().is_ok() => visitor.$visit(parse::<$type>(text)?),
                    _ => self.deserialize_any(visitor),
                }
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = ParameterError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Node::Text(text) => visitor.visit_string(text.into_owned()),
            Node::Array(nodes, _) => {
                let length = nodes.len();
                let mut elements = Elements::new(nodes);
                let array = visitor.visit_seq(&mut elements)?;
                elements.end(length)?;
                Ok(array)
            }
            Node::Object(members, _) => visitor.visit_map(Members::new(members)),
            Node::Json(text) => match scalar(text)? {
                Value::Bool(value) => visitor.visit_bool(value),
                Value::String(text) => visitor.visit_string(text),
                Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                    (Some(number), _) => visitor.visit_u64(number),
                    (_, Some(number)) => visitor.visit_i64(number),
                    _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
                },
                _ => visitor.visit_unit(),
            },
        }
    }

    deserialize_integers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    deserialize_floats! {
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }

    deserialize_large_integers! {
        deserialize_i128 visit_i128 i128;
        deserialize_u128 visit_u128 u128;
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Node::Text(text) => visitor.visit_bool(parse_bool(&text)?),
            node => node.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let is_none = match &self {
            Node::Json(text) => *text == "null",
            Node::Text(text) => text.is_empty() && takes_empty_as_none(typeid::of::<V::Value>()),
            _ => false,
        };
        if is_none { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Node::Text(_) => Node::Array(vec![self], None).deserialize_any(visitor),
            node => node.deserialize_any(visitor),
        }
    }

    /// A derived visitor also accepts an array of the fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self {
            Node::Object(members, _) => visitor.visit_map(Members::new(members)),
            node => Err(node.mismatch(&visitor)),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.into_name() {
            Ok(name) => visitor.visit_str(&name),
            Err(node) => Err(node.mismatch(&visitor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        // Any JSON fits; a type that parses the text may still reject it.
        if name == RAW_VALUE
            && let Some(json) = self.json()
        {
            let mut raw = serde_json::Deserializer::from_reader(json.as_bytes());
            return raw.deserialize_newtype_struct(name, visitor).map_err(de::Error::custom);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.into_variant() {
            Ok(variant) => visitor.visit_enum(variant),
            Err(node) => Err(node.mismatch(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map
    }
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T> {
    text.parse().map_err(de::Error::custom)
}

fn parse_integer<T: FromStr<Err: Display>>(text: &str) -> Result<T> {
    parse(if text == "-0" { "0" } else { text })
}

/// Parses a truth value as `serde_html_form` does: a ticked checkbox is sent as `on`.
fn parse_bool(text: &str) -> Result<bool> {
    match text {
        "true" | "on" => Ok(true),
        "false" => Ok(false),
        _ => Err(de::Error::invalid_value(Unexpected::Str(text), &"\"true\", \"on\" or \"false\"")),
    }
}

/// Returns `true` if `serde_html_form` reads empty text as `None` for this type: an option of a number or truth value.
fn takes_empty_as_none(option: TypeId) -> bool {
    macro_rules! is_any {
        ($($type:ty)*) => {
            [$(TypeId::of::<Option<$type>>(), TypeId::of::<Option<NonZero<$type>>>()),*].contains(&option)
        };
    }
    let scalars = [TypeId::of::<Option<bool>>(), TypeId::of::<Option<f32>>(), TypeId::of::<Option<f64>>()];
    scalars.contains(&option) || is_any![i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize]
}
