//! The start function of an application: `methods/_start.rs`.

use syn::{Item, Visibility};

use crate::problem::{Problem, Problems};
use crate::walk::Module;

/// The form of the function.
const SIGNATURE: &str = "pub async fn start(connection: &DatabaseHandle) -> Result<()>";

/// Returns `true` for the module `_start` at the root of the tree.
pub(crate) fn is_start(module: &Module) -> bool {
    module.segments == ["_start"]
}

/// Checks the file of the start function. What is not valid Rust is left to rustc.
pub(crate) fn check(module: &Module, syntax: Option<&syn::File>) -> Vec<Problem> {
    let mut problems = Problems::new(&module.file);
    if let Some(syntax) = syntax {
        let function = syntax.items.iter().find_map(|item| match item {
            Item::Fn(function) if function.sig.ident == "start" => Some(function),
            _ => None,
        });
        match function {
            None => problems.add(format!("the function `start` is missing; write `{SIGNATURE}`")),
            Some(function) => {
                let is_public = matches!(function.vis, Visibility::Public(_));
                if !is_public || function.sig.asyncness.is_none() || function.sig.inputs.len() != 1 {
                    problems.add_at(function.sig.ident.span(), format!("`start` must be `{SIGNATURE}`"));
                }
            }
        }
    }
    problems.into_vec()
}
