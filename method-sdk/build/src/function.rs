//! The two functions that a method file may have for the server to call: `invoke` and `on_connection_close`.

use syn::visit::{self, Visit};
use syn::{FnArg, GenericParam, Item, ItemFn, Lifetime, ReturnType, Type, TypeParamBound, TypeReference, Visibility};

use crate::name::is_typo_of;
use crate::problem::Problems;

const INVOKE: &str = "a method is `pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer>`, or the same without `async`";
const HOOK: &str = "write `pub async fn on_connection_close(closed: ClosedCall)`";

/// `invoke` as the server is to call it.
pub(crate) struct Invoke {
    pub(crate) is_async: bool,
}

/// Reads `invoke`; `None` if there is none.
pub(crate) fn read_invoke(items: &[Item], problems: &mut Problems<'_>) -> Option<Invoke> {
    let Some(function) = find(items, "invoke") else {
        problems.add(format!("there is no `invoke`; {INVOKE}"));
        return None;
    };
    check_form(function, 2, INVOKE, problems);
    let place = function.sig.ident.span();
    if let [handler, params] = &arguments(function)[..] {
        if !matches!(handler, Type::Reference(_)) {
            problems.add_at(place, format!("the first argument of `invoke` is not `handler: &mut Handler`; {INVOKE}"));
        }
        if borrows(params) {
            problems.add_at(
                place,
                "the params of `invoke` cannot borrow; make them own their data (`String` instead of `&str`)",
            );
        }
    }
    if matches!(function.sig.output, ReturnType::Default) {
        problems.add_at(place, format!("`invoke` returns nothing, not a `Result`; {INVOKE}"));
    }
    Some(Invoke { is_async: function.sig.asyncness.is_some() || returns_future(function) })
}

/// Whether there is an `on_connection_close`; `invoke` is what goes with it.
pub(crate) fn read_hook(items: &[Item], invoke: Option<&Invoke>, problems: &mut Problems<'_>) -> bool {
    let Some(function) = find(items, "on_connection_close") else {
        find_misspelt_hook(items, problems);
        return false;
    };
    check_form(function, 1, HOOK, problems);
    let place = function.sig.ident.span();
    if function.sig.asyncness.is_none() {
        problems.add_at(place, format!("`on_connection_close` is not `async`; {HOOK}"));
    }
    if !matches!(function.sig.output, ReturnType::Default) {
        problems
            .add_at(place, format!("`on_connection_close` returns something, and nobody is left to take it; {HOOK}"));
    }
    if let [Type::Reference(_)] = &arguments(function)[..] {
        problems.add_at(place, format!("`on_connection_close` takes a reference; {HOOK}"));
    }
    if invoke.is_some_and(|invoke| !invoke.is_async) {
        problems
            .add_at(place, "`on_connection_close` is for an `async` `invoke`; nobody can leave one that does not wait");
    }
    true
}

/// What to write before an item that is not public, if it is not.
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

/// A hook that never runs would not be noticed until it is needed.
fn find_misspelt_hook(items: &[Item], problems: &mut Problems<'_>) {
    let public = functions(items).filter(|function| missing_pub(&function.vis).is_none());
    for function in public.filter(|function| is_typo_of(&function.sig.ident.to_string(), "on_connection_close")) {
        let name = &function.sig.ident;
        problems
            .add_at(name.span(), format!("`{name}` means nothing to the server; did you mean `on_connection_close`?"));
    }
}

/// What goes for both: public, an ordinary function, nothing for the caller to choose, `expected` arguments.
fn check_form(function: &ItemFn, expected: usize, form: &str, problems: &mut Problems<'_>) {
    let signature = &function.sig;
    let name = &signature.ident;
    let place = name.span();
    if let Some(advice) = missing_pub(&function.vis) {
        problems.add_at(place, format!("`{name}` is private; {advice}"));
    }
    for (qualifier, is_there) in [
        ("const", signature.constness.is_some()),
        ("unsafe", signature.unsafety.is_some()),
        ("extern", signature.abi.is_some()),
    ] {
        if is_there {
            problems
                .add_at(place, format!("`{name}` is `{qualifier}`, and the server calls ordinary functions; {form}"));
        }
    }
    let is_generic = signature.generics.params.iter().any(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
    if is_generic || arguments(function).iter().any(|argument| matches!(argument, Type::ImplTrait(_))) {
        problems.add_at(place, format!("`{name}` is generic, and nothing would choose its types; {form}"));
    }
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        problems.add_at(
            receiver.self_token.span,
            format!("`{name}` takes `self`, and it is not a function of a type; {form}"),
        );
    } else if signature.inputs.len() != expected {
        let count = signature.inputs.len();
        let arguments = if count == 1 { "argument" } else { "arguments" };
        problems.add_at(place, format!("`{name}` takes {count} {arguments}, not {expected}; {form}"));
    }
}

fn arguments(function: &ItemFn) -> Vec<&Type> {
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

/// Whether a type says that it borrows. One that does and does not say so (`Params` for `Params<'_>`) is left to rustc.
fn borrows(written: &Type) -> bool {
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
    visit::visit_type(&mut borrows, written);
    borrows.0
}
