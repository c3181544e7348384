//! The store's arguments and rows, to and from SQLite's.

use simpleapi_sqlite::{Arg, Value};

use crate::store::sql::statement;

/// An argument that outlives its caller, for another thread.
pub(super) enum OwnedArg {
    Text(String),
    Blob(Vec<u8>),
    Int(i64),
}

impl OwnedArg {
    pub(super) fn as_arg(&self) -> Arg<'_> {
        match self {
            OwnedArg::Text(text) => Arg::Text(text),
            OwnedArg::Blob(blob) => Arg::Blob(blob),
            OwnedArg::Int(int) => Arg::Int(*int),
        }
    }
}

impl From<&statement::Arg<'_>> for OwnedArg {
    fn from(arg: &statement::Arg<'_>) -> Self {
        match *arg {
            statement::Arg::Text(text) => OwnedArg::Text(text.to_owned()),
            statement::Arg::Blob(blob) => OwnedArg::Blob(blob.to_owned()),
            statement::Arg::Int(int) => OwnedArg::Int(int),
        }
    }
}

pub(super) fn arg<'a>(arg: &statement::Arg<'a>) -> Arg<'a> {
    match *arg {
        statement::Arg::Text(text) => Arg::Text(text),
        statement::Arg::Blob(blob) => Arg::Blob(blob),
        statement::Arg::Int(int) => Arg::Int(int),
    }
}

pub(super) fn row(values: Vec<Value>) -> statement::Row {
    let values = values.into_iter().map(|value| match value {
        Value::Text(text) => statement::Value::Text(text),
        Value::Int(int) => statement::Value::Int(int),
    });
    statement::Row(values.collect::<Vec<_>>().into_iter())
}
