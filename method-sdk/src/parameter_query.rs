//! A query string as parameters: each value is a text that may stand for a number or a truth value.

use std::borrow::Cow;

use crate::parameter_error::ParameterError;
use crate::parameter_tree::Node;

/// The parameters of a query string, and what each of them is taken for.
///
/// A type that is asked for a number converts a text. But behind `#[serde(flatten)]`, and in tagged and untagged enums, serde reads a value
/// before it knows the type, and then accepts a number only where it has read one. So a value that does not fit is taken for a literal, and
/// for a text again if that does not fit either.
pub(crate) struct QueryParams<'a> {
    params: Vec<QueryParam<'a>>,
    reinterpretations: usize,
}

/// The most times that a parameter is taken for something else, so that a long query string costs a bounded time.
const MAX_REINTERPRETATIONS: usize = 64;

struct QueryParam<'a> {
    key: Cow<'a, str>,
    value: Cow<'a, str>,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A text, which may become a literal.
    Text,
    /// A number or a truth value.
    Literal,
    /// A text, because it does not fit as a literal.
    TextOnly,
}

impl<'a> QueryParams<'a> {
    pub(crate) fn new(query: &'a str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let params = pairs.map(|(key, value)| QueryParam { key, value, form: Form::Text }).collect();
        QueryParams { params, reinterpretations: 0 }
    }

    /// Returns the tree of the parameters as they are taken now.
    pub(crate) fn tree(&self) -> Node<'_> {
        Node::from_query(self.params.iter().map(|QueryParam { key, value, form }| {
            let value = if *form == Form::Literal { Node::Json(value) } else { Node::Text((&**value).into()) };
            (&**key, value)
        }))
    }

    /// Takes a parameter that may have caused the error for something else, with all its values. Returns `false` if there is none.
    pub(crate) fn reinterpret(&mut self, error: &ParameterError) -> bool {
        self.reinterpretations += 1;
        if self.reinterpretations > MAX_REINTERPRETATIONS {
            return false;
        }
        // An untagged enum does not say which value it rejects.
        let Some(value) = error.value() else {
            return !error.has_path() && self.reinterpret_where(Form::Text, Form::Literal, |_| true);
        };
        for (from, to) in [(Form::Text, Form::Literal), (Form::Literal, Form::TextOnly)] {
            let is_candidate = |param: &&QueryParam<'_>| {
                let is_blamed = !error.has_path() || (from == Form::Literal && error.is_at(&param.key));
                param.form == from && param.value == value && is_blamed && param.is_literal()
            };
            if let Some(key) = self.params.iter().find(is_candidate).map(|param| param.key.clone()) {
                return self.reinterpret_where(from, to, |param| param.key == key);
            }
        }
        false
    }

    /// Returns `false` if there is no such parameter.
    fn reinterpret_where(&mut self, from: Form, to: Form, is_meant: impl Fn(&QueryParam<'_>) -> bool) -> bool {
        let mut is_changed = false;
        for param in self.params.iter_mut().filter(|param| param.form == from && param.is_literal() && is_meant(param))
        {
            param.form = to;
            is_changed = true;
        }
        is_changed
    }

    /// Adds the key of the parameter whose value the error is about, which serde has lost.
    pub(crate) fn with_path(&self, error: ParameterError) -> ParameterError {
        let key = error.value().and_then(|value| self.params.iter().find(|param| param.value == value));
        match key {
            Some(QueryParam { key, .. }) if !error.has_path() => error.within(key),
            _ => error,
        }
    }
}

impl QueryParam<'_> {
    fn is_literal(&self) -> bool {
        matches!(&*self.value, "true" | "false") || serde_json::from_str::<serde_json::Number>(&self.value).is_ok()
    }
}
