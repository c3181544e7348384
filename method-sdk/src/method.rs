//! The table of methods, and the one probe that finds a method in it.

use std::collections::HashMap;
use std::fmt;

use crate::generated::{HookFuture, MethodFuture, MethodResult, RawParams};
use crate::{ClosedCall, Handler};

/// One method: a row of the table that `method-build` writes from the files in `methods/`.
#[derive(Debug)]
pub struct Method {
    /// Its name, such as `account.login`.
    pub name: &'static str,
    /// Its file, such as `methods/account/login.rs`.
    pub file: &'static str,
    /// The file's `//!` text.
    pub description: &'static str,
    /// Without a session: 1004, before `invoke` runs.
    pub authenticated: bool,
    /// May be called with GET.
    pub get: bool,
    /// Seconds `invoke` may take instead of the server's `request_timeout`; 0 is no limit.
    pub timeout_seconds: Option<u64>,
    /// The function to call.
    pub invoke: Invoke,
    /// What to run once if the client leaves before the answer is done.
    pub on_connection_close: Option<fn(ClosedCall) -> HookFuture>,
}

/// The methods of an application, as `methods()` of its generated code gives them.
#[derive(Debug, Clone, Copy)]
pub struct Methods {
    /// Those that are built in, sorted by name.
    pub table: &'static [Method],
    /// What development mode has to know, if the application is built for it.
    pub development: Option<Development>,
}

impl From<&'static [Method]> for Methods {
    fn from(table: &'static [Method]) -> Self {
        Methods { table, development: None }
    }
}

/// What a server in development mode has to know of its application.
#[derive(Debug, Clone, Copy)]
pub struct Development {
    /// The folder of its Cargo.toml.
    pub directory: &'static str,
    /// The features of Cargo that it is built with, separated by commas.
    pub features: &'static str,
    /// Whether its methods are compiled and loaded while the server runs, and so are not in the table.
    pub reloads: bool,
}

/// How a method's `invoke` is to be run.
#[derive(Clone, Copy)]
pub enum Invoke {
    /// In place: it computes and does not wait.
    Sync(fn(&mut Handler, &RawParams) -> MethodResult),
    /// On the blocking pool.
    Blocking(fn(&mut Handler, &RawParams) -> MethodResult),
    /// As a future.
    Async(for<'a> fn(&'a mut Handler, &'a RawParams) -> MethodFuture<'a>),
}

/// All methods of a server, by name.
#[derive(Debug)]
pub struct Registry {
    by_name: HashMap<&'static str, &'static Method>,
}

impl Registry {
    /// The registry of a generated table.
    pub fn new(methods: &'static [Method]) -> Self {
        Registry { by_name: methods.iter().map(|method| (method.name, method)).collect() }
    }

    /// The method of this name: one probe, whatever the name holds.
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
