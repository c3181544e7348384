//! The attributes of a method: public constants of its file whose names and types the server knows.

use std::collections::BTreeMap;

use syn::{Expr, ExprLit, Ident, Item, Lit, Type, Visibility};

use crate::function::{Invoke, missing_pub};
use crate::name::is_typo_of;
use crate::problem::Problems;

/// Each with its type and a value for an example.
const KNOWN: [(&str, &str, &str); 4] = [
    ("AUTHENTICATED", "bool", "true"),
    ("BLOCKING", "bool", "true"),
    ("GET", "bool", "true"),
    ("TIMEOUT_SECONDS", "u64", "60"),
];

/// Those that a file declares.
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

    /// Finds those that cannot go together, or not with this `invoke`.
    pub(crate) fn check(&self, invoke: Option<&Invoke>, problems: &mut Problems<'_>) {
        if let (Some(line), true) = (self.true_on_line("GET"), self.is_true("AUTHENTICATED")) {
            problems.add_on_line(
                line,
                "`GET` and `AUTHENTICATED` cannot go together: a GET's signature would cover nothing of what it asks",
            );
        }
        if let (Some(line), Some(Invoke { is_async: true })) = (self.true_on_line("BLOCKING"), invoke) {
            problems.add_on_line(
                line,
                "`BLOCKING` is for an `invoke` that is not `async`; use `tokio::task::spawn_blocking` inside or drop the `async`",
            );
        }
    }

    fn true_on_line(&self, name: &str) -> Option<usize> {
        self.0.get(name).filter(|attribute| attribute.is_true).map(|attribute| attribute.line)
    }
}

/// A constant, or a static where a constant should be.
struct Declaration<'a> {
    name: &'a Ident,
    declared: &'a Type,
    visibility: &'a Visibility,
    value: &'a Expr,
    is_static: bool,
}

/// Reads the attributes; what is nearly one is a problem.
pub(crate) fn read(items: &[Item], problems: &mut Problems<'_>) -> Attributes {
    let mut attributes = Attributes::default();
    for declaration in items.iter().filter_map(declaration) {
        let name = declaration.name.to_string();
        if let Some((known, of_type, example)) = KNOWN.into_iter().find(|(known, ..)| name == *known) {
            declaration.check(&format!("pub const {known}: {of_type} = {example};"), of_type, problems);
            let is_true = boolean(declaration.value) == Some(true);
            let line = declaration.name.span().start().line;
            attributes.0.entry(known).or_insert(Attribute { is_true, line });
        } else if let Some((known, ..)) =
            KNOWN.into_iter().find(|(known, of_type, _)| is_typo_of(&name, known) && declaration.is_public(of_type))
        {
            problems.add_at(
                declaration.name.span(),
                format!("`{name}` means nothing to the server; did you mean `{known}`?"),
            );
        }
    }
    attributes
}

fn declaration(item: &Item) -> Option<Declaration<'_>> {
    Some(match item {
        Item::Const(it) => {
            Declaration { name: &it.ident, declared: &it.ty, visibility: &it.vis, value: &it.expr, is_static: false }
        }
        Item::Static(it) => {
            Declaration { name: &it.ident, declared: &it.ty, visibility: &it.vis, value: &it.expr, is_static: true }
        }
        _ => return None,
    })
}

impl Declaration<'_> {
    fn check(&self, form: &str, of_type: &str, problems: &mut Problems<'_>) {
        let name = self.name;
        let place = name.span();
        if let Some(advice) = missing_pub(self.visibility) {
            problems.add_at(place, format!("`{name}` is private, so it would be ignored; {advice}"));
        }
        if self.is_static {
            problems.add_at(place, format!("`{name}` is a `static`, and the server reads constants: write `{form}`"));
        }
        if !self.is_of(of_type) {
            problems.add_at(place, format!("`{name}` is a `{of_type}`: write `{form}`"));
        } else if of_type == "bool" && boolean(self.value).is_none() {
            problems.add_at(place, format!("`{name}` is read before Rust computes anything: write `true` or `false`"));
        }
    }

    fn is_public(&self, of_type: &str) -> bool {
        missing_pub(self.visibility).is_none() && self.is_of(of_type)
    }

    fn is_of(&self, name: &str) -> bool {
        matches!(self.declared, Type::Path(written) if written.path.is_ident(name))
    }
}

fn boolean(value: &Expr) -> Option<bool> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Bool(literal), .. }) => Some(literal.value),
        _ => None,
    }
}
