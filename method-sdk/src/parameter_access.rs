//! The elements, members and variants of parameters: an error in one of them has its path.

use std::vec;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Unexpected, Visitor};

use crate::parameter_error::ParameterError;
use crate::parameter_tree::Node;

type Result<T, E = ParameterError> = std::result::Result<T, E>;

/// The elements of an array.
pub(crate) struct Elements<'a> {
    nodes: vec::IntoIter<Node<'a>>,
    index: usize,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(nodes: Vec<Node<'a>>) -> Self {
        Elements { nodes: nodes.into_iter(), index: 0 }
    }

    /// Returns an error if the visitor has left elements, as a tuple's does.
    pub(crate) fn end(&self, length: usize) -> Result<()> {
        if self.nodes.len() == 0 { Ok(()) } else { Err(de::Error::invalid_length(length, &"fewer elements")) }
    }
}

impl<'de> de::SeqAccess<'de> for &mut Elements<'_> {
    type Error = ParameterError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(node) = self.nodes.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        match seed.deserialize(node) {
            Ok(element) => Ok(Some(element)),
            Err(error) => Err(error.within_element(index)),
        }
    }
}

/// The members of an object. `value` is the value whose key has been read, with the key as a segment.
pub(crate) struct Members<'a> {
    nodes: vec::IntoIter<(Node<'a>, Node<'a>)>,
    value: Option<(String, Node<'a>)>,
}

impl<'a> Members<'a> {
    pub(crate) fn new(nodes: Vec<(Node<'a>, Node<'a>)>) -> Self {
        Members { nodes: nodes.into_iter(), value: None }
    }

    /// Returns the next key.
    fn next(&mut self) -> Option<Node<'a>> {
        let (name, value) = self.nodes.next()?;
        self.value = Some((name.segment(), value));
        Some(name)
    }

    /// Returns the value of the last key, with the key as a segment.
    fn take_value(&mut self) -> Result<(String, Node<'a>)> {
        self.value.take().ok_or_else(|| de::Error::custom("a value was read before its key"))
    }

    /// Returns the error of the last key.
    fn key_error(&self, error: ParameterError) -> ParameterError {
        match &self.value {
            Some((segment, _)) => error.within(segment),
            None => error,
        }
    }
}

impl<'de> de::MapAccess<'de> for Members<'_> {
    type Error = ParameterError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(name) = self.next() else { return Ok(None) };
        match seed.deserialize(name) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(self.key_error(error)),
        }
    }

    /// As [`next_key_seed`](de::MapAccess::next_key_seed): what derived types call, without a seed.
    fn next_key<K: Deserialize<'de>>(&mut self) -> Result<Option<K>> {
        let Some(name) = self.next() else { return Ok(None) };
        match K::deserialize(name) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(self.key_error(error)),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let (segment, value) = self.take_value()?;
        match seed.deserialize(value) {
            Ok(value) => Ok(value),
            Err(error) => Err(error.within(&segment)),
        }
    }
}

/// A variant of an enum: its name alone, or an object of one member with its content.
pub(crate) struct Variant<'a> {
    name: Node<'a>,
    content: Option<Node<'a>>,
}

impl<'a> Node<'a> {
    /// Returns the node itself if it is no variant.
    pub(crate) fn into_variant(self) -> Result<Variant<'a>, Self> {
        match self {
            Node::Object(members, json) => match <[_; 1]>::try_from(members) {
                Ok([(name, content)]) => Ok(Variant { name, content: Some(content) }),
                Err(members) => Err(Node::Object(members, json)),
            },
            Node::Array(..) => Err(self),
            Node::Json(text) if !text.starts_with('"') => Err(self),
            name => Ok(Variant { name, content: None }),
        }
    }
}

impl<'de, 'a> de::EnumAccess<'de> for Variant<'a> {
    type Error = ParameterError;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'a>)> {
        let variant = self.name.segment();
        Ok((seed.deserialize(self.name)?, Content { variant, node: self.content }))
    }
}

/// The content of a variant.
pub(crate) struct Content<'a> {
    variant: String,
    node: Option<Node<'a>>,
}

impl<'a> Content<'a> {
    fn read<T>(self, read: impl FnOnce(Node<'a>) -> Result<T>) -> Result<T> {
        let missing = || de::Error::invalid_type(Unexpected::UnitVariant, &"an object with the variant's content");
        read(self.node.ok_or_else(missing)?).map_err(|error| error.within(&self.variant))
    }
}

impl<'de> de::VariantAccess<'de> for Content<'_> {
    type Error = ParameterError;

    fn unit_variant(self) -> Result<()> {
        if self.node.is_none() { Ok(()) } else { self.read(Deserialize::deserialize) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.read(|node| seed.deserialize(node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value> {
        self.read(|node| node.deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.read(|node| node.deserialize_struct("", fields, visitor))
    }
}
