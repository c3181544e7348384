//! The functions of a method file that the server calls: `invoke` and `on_connection_close`.

use syn::visit::{self, Visit};
use syn::{FnArg, GenericParam, Item, ItemFn, Lifetime, ReturnType, Type, TypeParamBound, TypeReference, Visibility};

use crate::name::is_typo_of;
use crate::problem::Problems;

const INVOKE: &str =
    "write `pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer>`, with or without `async`";
const HOOK: &str = "write `pub async fn on_connection_close(closed: ClosedCall)`";

/// The form of `invoke`.
pub(crate) struct Invoke {
    pub(crate) is_async: bool,
}

/// Reads `invoke`, or returns `None` if it is missing.
pub(crate) fn read_invoke(items: &[Item], problems: &mut Problems<'_>) -> Option<Invoke> {
    let Some(function) = find(items, "invoke") else {
        problems.add(format!("the function `invoke` is missing; {INVOKE}"));
        return None;
    };
    check_form(function, 2, INVOKE, problems);
    let span = function.sig.ident.span();
    if let [handler, params] = &parameter_types(function)[..] {
        if !matches!(handler, Type::Reference(_)) {
            problems.add_at(span, format!("the first parameter of `invoke` must be `handler: &mut Handler`; {INVOKE}"));
        }
        if borrows(params) {
            problems.add_at(
                span,
                "the `params` of `invoke` cannot borrow; use types that own their data, such as `String` instead of `&str`",
            );
        }
    }
    if matches!(function.sig.output, ReturnType::Default) {
        problems.add_at(span, format!("`invoke` must return a `Result`; {INVOKE}"));
    }
    Some(Invoke { is_async: function.sig.asyncness.is_some() || returns_future(function) })
}

/// Returns `true` if there is an `on_connection_close`, and reports errors in its form. `invoke` is that of the same file.
pub(crate) fn read_hook(items: &[Item], invoke: Option<&Invoke>, problems: &mut Problems<'_>) -> bool {
    let Some(function) = find(items, "on_connection_close") else {
        report_misspelt_hook(items, problems);
        return false;
    };
    check_form(function, 1, HOOK, problems);
    let span = function.sig.ident.span();
    if function.sig.asyncness.is_none() {
        problems.add_at(span, format!("`on_connection_close` must be `async`; {HOOK}"));
    }
    if !matches!(function.sig.output, ReturnType::Default) {
        problems.add_at(
            span,
            format!("`on_connection_close` must return nothing, because the client has disconnected; {HOOK}"),
        );
    }
    if let [Type::Reference(_)] = &parameter_types(function)[..] {
        problems.add_at(span, format!("`on_connection_close` must not take a reference; {HOOK}"));
    }
    if invoke.is_some_and(|invoke| !invoke.is_async) {
        problems
            .add_at(span, "`on_connection_close` requires an `async` `invoke`; a disconnect is not noticed while a synchronous one runs");
    }
    true
}

/// Returns how to make an item public, or `None` if it is.
pub(crate) fn missing_pub(visibility: &Visibility) -> Option<&'static str> {
    match visibility {
        Visibility::Public(_) => None,
        Visibility::Restricted(_) => Some("write `pub` without parentheses before it"),
        Visibility::Inherited => Some("write `pub` before it"),
    }
}

fn find<'a>(items: &'a [Item], name: &str) -> Option<&'a ItemFn> {
    functions(items).find(|function| function.sig.ident == name)
}

fn functions(items: &[Item]) -> impl Iterator<Item = &ItemFn> {
    items.iter().filter_map(|item| match item {
        Item::Fn(function) => Some(function),
        _ => None,
    })
}

/// Reports functions whose name is a typo of `on_connection_close`, because a hook that never runs is easily overlooked.
fn report_misspelt_hook(items: &[Item], problems: &mut Problems<'_>) {
    let public = functions(items).filter(|function| missing_pub(&function.vis).is_none());
    for function in public.filter(|function| is_typo_of(&function.sig.ident.to_string(), "on_connection_close")) {
        let name = &function.sig.ident;
        problems.add_at(name.span(), format!("the server does not call `{name}`; did you mean `on_connection_close`?"));
    }
}

/// Reports violations of the rules for both functions: public, without qualifiers and generics, with `expected` parameters.
fn check_form(function: &ItemFn, expected: usize, form: &str, problems: &mut Problems<'_>) {
    let signature = &function.sig;
    let name = &signature.ident;
    let span = name.span();
    if let Some(advice) = missing_pub(&function.vis) {
        problems.add_at(span, format!("`{name}` is private; {advice}"));
    }
    for (qualifier, is_present) in [
        ("const", signature.constness.is_some()),
        ("unsafe", signature.unsafety.is_some()),
        ("extern", signature.abi.is_some()),
    ] {
        if is_present {
            problems.add_at(span, format!("`{name}` must not be `{qualifier}`; {form}"));
        }
    }
    let is_generic = signature.generics.params.iter().any(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
    if is_generic || parameter_types(function).iter().any(|argument| matches!(argument, Type::ImplTrait(_))) {
        problems.add_at(span, format!("`{name}` must not be generic; {form}"));
    }
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        problems.add_at(receiver.self_token.span, format!("`{name}` must not take `self`; {form}"));
    } else if signature.inputs.len() != expected {
        let count = signature.inputs.len();
        let parameters = if expected == 1 { "parameter" } else { "parameters" };
        problems.add_at(span, format!("`{name}` must take {expected} {parameters}, not {count}; {form}"));
    }
}

fn parameter_types(function: &ItemFn) -> Vec<&Type> {
    let inputs = function.sig.inputs.iter();
    let typed = inputs.filter_map(|argument| match argument {
        FnArg::Typed(typed) => Some(&*typed.ty),
        FnArg::Receiver(_) => None,
    });
    typed.collect()
}

fn returns_future(function: &ItemFn) -> bool {
    let ReturnType::Type(_, returned) = &function.sig.output else { return false };
    let Type::ImplTrait(returned) = &**returned else { return false };
    returned.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|name| name.ident == "Future"),
        _ => false,
    })
}

/// Returns `true` if a type contains a reference or a lifetime. A type with an elided lifetime (`Params` for `Params<'_>`) is left to
/// rustc.
fn borrows(params: &Type) -> bool {
    struct Borrows(bool);

    impl Visit<'_> for Borrows {
        fn visit_type_reference(&mut self, _: &TypeReference) {
            self.0 = true;
        }

        fn visit_lifetime(&mut self, lifetime: &Lifetime) {
            self.0 |= lifetime.ident != "static";
        }
    }

    let mut borrows = Borrows(false);
    visit::visit_type(&mut borrows, params);
    borrows.0
}
