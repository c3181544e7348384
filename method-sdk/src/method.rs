//! The table of methods, and the lookup of a method by its name.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use foldhash::fast::FixedState;

use crate::account_api::BoxFuture;
use crate::call_state::HookFuture;
use crate::parameters::RawParams;
use crate::{ClosedCall, DatabaseHandle, Handler, Rate, Result};

/// The result of a call: the whole body of a successful response, or `None` if `invoke` returns `()` and no body is sent.
pub type MethodResult = Result<Option<Bytes>>;

/// The future of an `async` method.
pub type MethodFuture<'a> = BoxFuture<'a, MethodResult>;

/// A method: a row of the table that `method-build` generates from the files in `methods/`.
///
/// Only generated code creates it, together with [`Methods`] and [`Development`], by naming every field. `method-build` has the version
/// of this crate, so a new field does not break it.
#[derive(Debug)]
pub struct Method {
    /// The name, such as `account.login`.
    pub name: &'static str,
    /// The file, such as `methods/account/login.rs`.
    pub file: &'static str,
    /// The `//!` text of the file.
    pub description: &'static str,
    /// Whether a call without a session returns error 1004 (Not authorized) before `invoke` runs.
    pub authenticated: bool,
    /// Whether the method may be called with GET.
    pub get: bool,
    /// The time limit of `invoke` in seconds, instead of the server's `request_timeout`. 0 is no limit.
    pub timeout_seconds: Option<u64>,
    /// The calls of one client that the server accepts.
    pub rate: Option<Rate>,
    /// The function to call.
    pub invoke: Invoke,
    /// The function to run once if the client disconnects before the response is complete.
    pub on_connection_close: Option<fn(ClosedCall) -> HookFuture>,
}

/// The methods of an application, as `methods()` in its generated code returns them.
#[derive(Debug, Clone, Copy)]
pub struct Methods {
    /// The methods that are compiled into the application, sorted by name.
    pub table: &'static [Method],
    /// The parameters and answers of the methods, as `method-build` writes them in JSON; empty if they are not known.
    pub contract: &'static str,
    /// The migrations of the application's own tables, sorted by database and version.
    pub migrations: &'static [Migration],
    /// The function to run before the server is ready.
    pub start: Option<Start>,
    /// The settings of development mode, if the application is built for it.
    pub development: Option<Development>,
}

impl From<&'static [Method]> for Methods {
    fn from(table: &'static [Method]) -> Self {
        Methods { table, contract: "", migrations: &[], start: None, development: None }
    }
}

/// The function `start` of an application.
pub type Start = for<'a> fn(&'a DatabaseHandle) -> BoxFuture<'a, Result<()>>;

/// A change to the application's own tables, which is applied to each database once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The database, by its name for `--database`.
    pub database: &'static str,
    /// The number of the migration.
    pub version: i64,
    /// The file, such as `migrations/sqlite/0001_notes.sql`.
    pub file: &'static str,
    /// The SQL.
    pub sql: &'static str,
}

/// An application as development mode needs to know it.
#[derive(Debug, Clone, Copy)]
pub struct Development {
    /// The folder of the application's Cargo.toml.
    pub directory: &'static str,
    /// The Cargo features that the application is built with, separated by commas.
    pub features: &'static str,
    /// The first line of `rustc -vV` of the compiler that has built the application.
    pub rustc: &'static str,
    /// Whether methods are compiled and loaded while the server runs, in which case the table is empty.
    pub reloads: bool,
}

/// The function `invoke` of a method, by the way it runs.
#[derive(Clone, Copy)]
pub enum Invoke {
    /// A function that computes and does not block; it runs in place.
    Sync(fn(&mut Handler, &RawParams) -> MethodResult),
    /// A function that blocks; it runs on the blocking pool.
    Blocking(fn(&mut Handler, &RawParams) -> MethodResult),
    /// An `async` function.
    Async(for<'a> fn(&'a mut Handler, &'a RawParams) -> MethodFuture<'a>),
}

/// All methods of a server, by name.
#[derive(Debug)]
pub struct Registry {
    /// A hash without a random key: the names are not chosen by clients.
    by_name: HashMap<&'static str, &'static Method, FixedState>,
}

impl Registry {
    /// Creates the registry of a generated table.
    pub fn new(methods: &'static [Method]) -> Self {
        Registry { by_name: methods.iter().map(|method| (method.name, method)).collect() }
    }

    /// Returns the method of this name.
    pub fn find(&self, name: &str) -> Option<&'static Method> {
        self.by_name.get(name).copied()
    }
}

impl fmt::Debug for Invoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invoke::Sync(_) => "Sync",
            Invoke::Blocking(_) => "Blocking",
            Invoke::Async(_) => "Async",
        })
    }
}
