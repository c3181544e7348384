//! Parameters as a tree of texts, none of which is parsed before a type asks for its value.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::de::{Error as _, Expected, Unexpected};
use serde_json::Value;

use crate::parameter_error::ParameterError;

/// A value of the tree.
pub(crate) enum Node<'a> {
    /// A literal, a number or a string of a JSON text, as the client wrote it.
    Json(&'a str),
    /// Text that is converted to the type asked for: a value of a query string, or an object's key.
    Text(Cow<'a, str>),
    /// The elements of an array, and its JSON text.
    Array(Vec<Node<'a>>, Option<&'a str>),
    /// The members of an object, with every duplicate, and its JSON text.
    Object(Vec<(Node<'a>, Node<'a>)>, Option<&'a str>),
}

impl<'a> Node<'a> {
    /// Returns the tree of a well-formed JSON text.
    pub(crate) fn from_json(json: &'a str) -> Self {
        Scanner { rest: json }.value()
    }

    /// Returns the tree of the keys and values of a query string, in which a repeated key is an array.
    pub(crate) fn from_query(pairs: impl Iterator<Item = (&'a str, Node<'a>)>) -> Self {
        let mut members: Vec<(&str, Vec<Node<'a>>)> = Vec::new();
        let mut positions = HashMap::new();
        for (key, value) in pairs {
            let position = *positions.entry(key).or_insert(members.len());
            if position == members.len() {
                members.push((key, Vec::new()));
            }
            members[position].1.push(value);
        }
        let value = |values: Vec<_>| {
            <[_; 1]>::try_from(values).map_or_else(|values| Node::Array(values, None), |[value]| value)
        };
        Node::Object(members.into_iter().map(|(key, values)| (Node::Text(key.into()), value(values))).collect(), None)
    }

    /// Returns the JSON text of a value; `None` for text that is not JSON.
    pub(crate) fn json(&self) -> Option<&'a str> {
        match self {
            Node::Json(text) => Some(text),
            Node::Text(_) => None,
            Node::Array(_, json) | Node::Object(_, json) => *json,
        }
    }

    /// Returns the text of an object's key or of a variant's name. Returns the node itself if it is none.
    pub(crate) fn into_name(self) -> Result<String, Self> {
        match self {
            Node::Text(text) => Ok(text.into_owned()),
            Node::Json(text) => serde_json::from_str(text).map_err(|_| self),
            Node::Array(..) | Node::Object(..) => Err(self),
        }
    }

    /// Returns an object's key as a segment of a path.
    pub(crate) fn segment(&self) -> String {
        match self {
            Node::Json(text) => (*text).to_owned(),
            Node::Text(text) => text.clone().into_owned(),
            Node::Array(..) | Node::Object(..) => String::new(),
        }
    }
}

impl Node<'_> {
    /// Returns the error of a value in place of something else, as serde's visitors have it by default.
    pub(crate) fn mismatch(&self, expected: &dyn Expected) -> ParameterError {
        let invalid = |unexpected: Unexpected<'_>| ParameterError::invalid_type(unexpected, expected);
        match self {
            Node::Array(..) => invalid(Unexpected::Seq),
            Node::Object(..) => invalid(Unexpected::Map),
            Node::Text(text) => invalid(Unexpected::Str(text)),
            Node::Json(text) => match scalar(text) {
                Ok(Value::Bool(value)) => invalid(Unexpected::Bool(value)),
                Ok(Value::String(text)) => invalid(Unexpected::Str(&text)),
                Ok(Value::Number(number)) => invalid(match (number.as_u64(), number.as_i64()) {
                    (Some(number), _) => Unexpected::Unsigned(number),
                    (_, Some(number)) => Unexpected::Signed(number),
                    _ => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
                }),
                Ok(_) => invalid(Unexpected::Unit),
                Err(error) => error,
            },
        }
    }
}

/// Parses a literal, a number or a string.
pub(crate) fn scalar(text: &str) -> Result<Value, ParameterError> {
    let message = if text.starts_with('"') { "the string has an unpaired surrogate" } else { "number out of range" };
    serde_json::from_str(text).map_err(|_| ParameterError::new(message))
}

/// Splits a well-formed JSON text into its values. It parses none of them: a number that no type asks for may be out of range.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn value(&mut self) -> Node<'a> {
        let first = self.peek();
        let start = self.rest;
        match first {
            Some(b'[') => {
                let elements = self.items(b']', Scanner::value);
                Node::Array(elements, Some(self.text_since(start)))
            }
            Some(b'{') => {
                let members = self.items(b'}', Scanner::member);
                Node::Object(members, Some(self.text_since(start)))
            }
            Some(b'"') => Node::Json(self.string()),
            _ => {
                let end = self.rest.find(|c: char| ",]}".contains(c) || c.is_ascii_whitespace());
                Node::Json(self.take(end.unwrap_or(self.rest.len())))
            }
        }
    }

    /// Returns the text that has been read since `start`, which was the rest then.
    fn text_since(&self, start: &'a str) -> &'a str {
        &start[..start.len() - self.rest.len()]
    }

    fn member(&mut self) -> (Node<'a>, Node<'a>) {
        self.peek();
        let quoted = self.string();
        let key = serde_json::from_str(quoted).map_or(Node::Json(quoted), |key| Node::Text(Cow::Owned(key)));
        self.skip(b':');
        (key, self.value())
    }

    /// Reads the items between a bracket and the bracket `end`. Each round takes a comma or is the last, so that it ends in any text.
    fn items<T>(&mut self, end: u8, read: impl Fn(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        self.take(1);
        while !self.skip(end) {
            items.push(read(self));
            if !self.skip(b',') {
                self.skip(end);
                break;
            }
        }
        items
    }

    /// Reads a string with its quotes.
    fn string(&mut self) -> &'a str {
        let mut is_escaped = true; // the opening quote
        let end = self.rest.bytes().position(|byte| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = !is_escaped && byte == b'\\';
            is_end
        });
        self.take(end.map_or(self.rest.len(), |end| end + 1))
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.take(usize::from(is_next));
        is_next
    }

    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.bytes().next()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}
