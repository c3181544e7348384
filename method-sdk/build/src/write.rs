//! The Rust source: the module tree at the root of the crate, one wrapper for each method, and the table.
//!
//! What is generated beside the tree has a `·` in its name, which no method has, so that nothing can clash with a method.
//! Each row and wrapper is one line that ends with its file: an error in it is traced back by that.

use crate::walk::Module;
use crate::{Development, Method};

const NONE: &str = "::std::option::Option::None";

const METHODS: &str = "pub fn methods() -> ::method_sdk::Methods";

/// Writes it for an application: `methods`, which are sorted, in the tree of `modules`, where those of one folder stand together.
pub(crate) fn source(modules: &[&Module], methods: &[&Method], development: Option<&Development>) -> String {
    let mut out = String::from("// Written by method-build from the files in `methods/`: change those.\n");
    table(modules, methods, &mut out);
    let development = match development {
        None => NONE.to_owned(),
        Some(Development { features, reloads }) => format!(
            "::std::option::Option::Some(::method_sdk::Development {{ directory: env!(\"CARGO_MANIFEST_DIR\"), features: {}, reloads: {reloads} }})",
            literal(features),
        ),
    };
    out += "\n/// The methods of this application, sorted by name.\n";
    let methods = format!("::method_sdk::Methods {{ table: method·calls::TABLE, development: {development} }}");
    block(&mut out, METHODS, [methods]);
    out
}

/// Writes it for a library that a server in development mode loads. `key` is for the server to recognise it by, before it trusts in
/// anything else of it.
pub(crate) fn plugin(modules: &[&Module], methods: &[&Method], key: &str) -> String {
    let mut out = String::from("// Written in development mode from the files in `methods/`.\n");
    table(modules, methods, &mut out);
    out += &format!("#[unsafe(no_mangle)]\npub static SIMPLEAPI_KEY: [u8; {}] = *b\"{key}\\0\";\n", key.len() + 1);
    out += "#[unsafe(no_mangle)]\n";
    block(
        &mut out,
        "pub fn simpleapi_methods() -> &'static [::method_sdk::Method]",
        ["method·calls::TABLE".to_owned()],
    );
    out
}

fn table(modules: &[&Module], methods: &[&Method], out: &mut String) {
    module_tree(modules, 0, out);
    *out += "\n#[allow(non_camel_case_types, reason = \"rustc's messages then name the method as people do\")]\n";
    block(out, "mod method·names", methods.iter().copied().map(marker));
    *out += "\n#[allow(non_snake_case, clippy::all, reason = \"nobody reads or edits it\")]\n";
    block(out, "mod method·calls", calls(methods));
}

fn block(out: &mut String, head: &str, lines: impl IntoIterator<Item = String>) {
    *out += head;
    *out += " {\n";
    for line in lines {
        *out += "    ";
        *out += &line;
        *out += "\n";
    }
    *out += "}\n";
}

fn module_tree(modules: &[&Module], depth: usize, out: &mut String) {
    let indent = "    ".repeat(depth);
    for siblings in modules.chunk_by(|one, other| one.segments[depth] == other.segments[depth]) {
        let name = &siblings[0].segments[depth];
        if depth == 0 {
            *out +=
                "#[allow(missing_docs, clippy::module_inception, reason = \"a method is described to its callers\")]\n";
        }
        if name.contains("__") {
            *out += &format!("{indent}#[allow(non_snake_case, reason = \"a method may be called so\")]\n");
        }
        match siblings {
            [file] if file.segments.len() == depth + 1 => {
                *out +=
                    &format!("{indent}#[path = {}]\n{indent}pub mod {name};\n", literal(&file.path.to_string_lossy()));
            }
            _ => {
                *out += &format!("{indent}pub mod {name} {{\n");
                module_tree(siblings, depth + 1, out);
                *out += &format!("{indent}}}\n");
            }
        }
    }
}

fn marker(method: &Method) -> String {
    format!("pub(super) enum {} {{}} // {}", identifier(method), method.file.display())
}

fn calls(methods: &[&Method]) -> Vec<String> {
    let mut lines = Vec::new();
    if !methods.is_empty() {
        lines.push("use super::method·names as n;".to_owned());
        lines.push("use ::method_sdk::generated as g;".to_owned());
    }
    for method in methods {
        lines.push(wrapper(method));
        if method.has_hook {
            lines.push(hook(method));
        }
    }
    lines.push("pub(super) static TABLE: &[::method_sdk::Method] = &[".to_owned());
    lines.extend(methods.iter().copied().map(row));
    lines.push("];".to_owned());
    lines
}

fn wrapper(method: &Method) -> String {
    let id = identifier(method);
    let read = if method.attributes.is_true("GET") { "params_or_query" } else { "params" };
    let call = format!("{}::invoke(h, g::{read}::<n::{id}, _>(p)?)", path(method));
    let answered =
        |returned: &str| format!("g::encode_answer::<n::{id}, _>(g::into_result::<n::{id}, _, _>({returned}))");
    let file = method.file.display();
    if method.is_async {
        let body = answered(&format!("g::assert_send({call}).await"));
        let head = format!("pub(super) fn {id}<'a>(h: &'a mut g::Handler, p: &'a g::RawParams) -> g::MethodFuture<'a>");
        format!("{head} {{ ::std::boxed::Box::pin(async move {{ {body} }}) }} // {file}")
    } else {
        let body = answered(&call);
        format!("pub(super) fn {id}(h: &mut g::Handler, p: &g::RawParams) -> g::MethodResult {{ {body} }} // {file}")
    }
}

fn hook(method: &Method) -> String {
    let (id, path, file) = (identifier(method), path(method), method.file.display());
    format!(
        "pub(super) fn {id}·closed(c: g::ClosedCall) -> g::HookFuture {{ ::std::boxed::Box::pin({path}::on_connection_close(c)) }} // {file}"
    )
}

fn row(method: &Method) -> String {
    let id = identifier(method);
    let kind = match (method.is_async, method.attributes.is_true("BLOCKING")) {
        (true, _) => "Async",
        (false, false) => "Sync",
        (false, true) => "Blocking",
    };
    // The constants themselves and not their values: rustc has the last word on both, type and value.
    let attribute = |name: &str| method.attributes.declares(name).then(|| format!("{}::{name}", path(method)));
    let flag = |name: &str| attribute(name).unwrap_or_else(|| "false".to_owned());
    let some = |value: Option<String>| {
        value.map_or_else(|| NONE.to_owned(), |value| format!("::std::option::Option::Some({value})"))
    };
    let members = [
        ("name", literal(&method.name)),
        ("file", literal(&method.file.to_string_lossy())),
        ("description", literal(&method.description)),
        ("authenticated", flag("AUTHENTICATED")),
        ("get", flag("GET")),
        ("timeout_seconds", some(attribute("TIMEOUT_SECONDS"))),
        ("invoke", format!("g::Invoke::{kind}({id})")),
        ("on_connection_close", some(method.has_hook.then(|| format!("{id}·closed")))),
    ];
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("    ::method_sdk::Method {{ {} }}, // {}", members.join(", "), method.file.display())
}

/// A name of one part gets a `·` too: no module has it, so rustc prints it without a path.
fn identifier(method: &Method) -> String {
    match &method.segments[..] {
        [only] => format!("{only}·"),
        segments => segments.join("·"),
    }
}

fn path(method: &Method) -> String {
    format!("crate::{}", method.segments.join("::"))
}

fn literal(text: &str) -> String {
    format!("{text:?}")
}
