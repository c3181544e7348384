//! The errors that a method creates, and whether it streams.

use serde::{Deserialize, Serialize};
use syn::visit::{self, Visit};
use syn::{Expr, ExprCall, ExprLit, ExprMethodCall, Item, Lit};

use crate::attributes::string;

/// An error that a method returns: `Error::new(2000, "..")`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OwnError {
    /// The number.
    pub code: i64,
    /// The message.
    pub message: String,
}

/// The effect of a method on the session of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionEffect {
    /// It may return a new session, which signs the answer.
    Opens,
    /// It ends the session of the call, which still signs the answer.
    Ends,
}

/// The effects of the functions of a file.
#[derive(Debug, Default, Clone)]
pub(crate) struct Effects {
    /// Sorted by number.
    pub(crate) errors: Vec<OwnError>,
    pub(crate) streams: bool,
    pub(crate) session: Option<SessionEffect>,
    /// The `content-type` that is set, if it is a literal.
    pub(crate) content_type: Option<String>,
}

/// Reads the functions of a file.
pub(crate) fn read(items: &[Item]) -> Effects {
    let mut effects = Effects::default();
    for item in items {
        if let Item::Fn(function) = item {
            effects.visit_item_fn(function);
        }
    }
    effects.errors.sort();
    effects.errors.dedup();
    effects
}

impl<'ast> Visit<'ast> for Effects {
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func
            && function.path.segments.len() > 1
            && function.path.segments.iter().rev().map(|segment| segment.ident.to_string()).take(2).eq(["new", "Error"])
            && let [Expr::Lit(ExprLit { lit: Lit::Int(code), .. }), message] = &call.args.iter().collect::<Vec<_>>()[..]
            && let (Ok(code), Some(message)) = (code.base10_parse(), string(message))
        {
            self.errors.push(OwnError { code, message });
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let is_handler = matches!(&*call.receiver, Expr::Path(path) if path.path.is_ident("handler"));
        let arguments: Vec<&Expr> = call.args.iter().collect();
        match (call.method.to_string().as_str(), &arguments[..]) {
            ("write", [_]) if is_handler => self.streams = true,
            ("login" | "create_account", [_, _]) | ("change_password", [_, _, _]) if is_handler => {
                self.session = Some(SessionEffect::Opens);
            }
            ("logout", []) if is_handler => self.session = Some(SessionEffect::Ends),
            ("response_header", [name, value])
                if is_handler && string(name).is_some_and(|name| name.eq_ignore_ascii_case("content-type")) =>
            {
                self.content_type = string(value);
            }
            _ => {}
        }
        visit::visit_expr_method_call(self, call);
    }
}
