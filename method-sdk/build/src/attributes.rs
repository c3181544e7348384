//! The attributes of a method: public constants in its file, with names and types that the server knows.

use std::collections::BTreeMap;

use syn::{Expr, ExprLit, Ident, Item, Lit, Type, Visibility};

use crate::function::{Invoke, missing_pub};
use crate::name::is_typo_of;
use crate::problem::Problems;

/// The name, the type and an example value of each attribute.
const KNOWN: [(&str, &str, &str); 5] = [
    ("AUTHENTICATED", "bool", "true"),
    ("BLOCKING", "bool", "true"),
    ("GET", "bool", "true"),
    ("RATE", "&str", "\"10/60s\""),
    ("TIMEOUT_SECONDS", "u64", "60"),
];

/// The attributes that a file declares.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes(BTreeMap<&'static str, Attribute>);

#[derive(Debug, Clone)]
struct Attribute {
    is_true: bool,
    line: usize,
}

impl Attributes {
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.true_on_line(name).is_some()
    }

    /// Reports attributes that exclude each other, or that `invoke` does not support.
    pub(crate) fn check(&self, invoke: Option<&Invoke>, problems: &mut Problems<'_>) {
        if let (Some(line), true) = (self.true_on_line("GET"), self.is_true("AUTHENTICATED")) {
            problems.add_on_line(
                line,
                "`GET` excludes `AUTHENTICATED`, because the signature of a GET request covers no parameters; remove one of the two constants",
            );
        }
        if let (Some(line), Some(Invoke { is_async: true })) = (self.true_on_line("BLOCKING"), invoke) {
            problems.add_on_line(
                line,
                "`BLOCKING` requires an `invoke` that is not `async`; remove the `async`, or call `tokio::task::spawn_blocking` in `invoke`",
            );
        }
    }

    fn true_on_line(&self, name: &str) -> Option<usize> {
        self.0.get(name).filter(|attribute| attribute.is_true).map(|attribute| attribute.line)
    }
}

/// A constant, or a static that should be one.
struct Declaration<'a> {
    name: &'a Ident,
    declared: &'a Type,
    visibility: &'a Visibility,
    value: &'a Expr,
    is_static: bool,
}

/// Reads the attributes. A public constant whose name is a typo of one is an error.
pub(crate) fn read(items: &[Item], problems: &mut Problems<'_>) -> Attributes {
    let mut attributes = Attributes::default();
    for declaration in items.iter().filter_map(declaration) {
        let name = declaration.name.to_string();
        if let Some((known, type_name, example)) = KNOWN.into_iter().find(|(known, ..)| name == *known) {
            declaration.check(&format!("pub const {known}: {type_name} = {example};"), type_name, problems);
            let is_true = boolean(declaration.value) == Some(true);
            let line = declaration.name.span().start().line;
            attributes.0.entry(known).or_insert(Attribute { is_true, line });
        } else if let Some((known, ..)) =
            KNOWN.into_iter().find(|(known, type_name, _)| is_typo_of(&name, known) && declaration.is_public(type_name))
        {
            problems
                .add_at(declaration.name.span(), format!("the server does not read `{name}`; did you mean `{known}`?"));
        }
    }
    attributes
}

fn declaration(item: &Item) -> Option<Declaration<'_>> {
    Some(match item {
        Item::Const(item) => Declaration {
            name: &item.ident,
            declared: &item.ty,
            visibility: &item.vis,
            value: &item.expr,
            is_static: false,
        },
        Item::Static(item) => Declaration {
            name: &item.ident,
            declared: &item.ty,
            visibility: &item.vis,
            value: &item.expr,
            is_static: true,
        },
        _ => return None,
    })
}

impl Declaration<'_> {
    fn check(&self, form: &str, type_name: &str, problems: &mut Problems<'_>) {
        let name = self.name;
        let span = name.span();
        if let Some(advice) = missing_pub(self.visibility) {
            problems.add_at(span, format!("`{name}` is private and would be ignored; {advice}"));
        }
        if self.is_static {
            problems.add_at(span, format!("`{name}` must be a constant, not a `static`; write `{form}`"));
        }
        if !self.is_of(type_name) {
            problems.add_at(span, format!("`{name}` must be a `{type_name}`; write `{form}`"));
        } else if type_name == "bool" && boolean(self.value).is_none() {
            problems.add_at(
                span,
                format!(
                    "`{name}` must be a literal, because it is read before it is compiled; write `true` or `false`"
                ),
            );
        }
    }

    fn is_public(&self, type_name: &str) -> bool {
        missing_pub(self.visibility).is_none() && self.is_of(type_name)
    }

    fn is_of(&self, name: &str) -> bool {
        let is_path = |declared: &Type, name: &str| matches!(declared, Type::Path(path) if path.path.is_ident(name));
        match (self.declared, name.strip_prefix('&')) {
            (Type::Reference(reference), Some(name)) => is_path(&reference.elem, name),
            (declared, _) => is_path(declared, name),
        }
    }
}

/// Returns the value of a string literal.
pub(crate) fn string(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => Some(literal.value()),
        _ => None,
    }
}

fn boolean(value: &Expr) -> Option<bool> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Bool(literal), .. }) => Some(literal.value),
        _ => None,
    }
}
