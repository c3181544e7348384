//! A client in TypeScript.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::file::ClientFile;
use super::names::{Folder, TypeNames, has_no_parameters, is_any};
use crate::contract::{Contract, Member, MethodContract, SessionEffect, flattened, members};

/// Names that `api.ts` imports or declares.
const RESERVED: [&str; 7] = ["Api", "ApiError", "CallOptions", "Connection", "Options", "Session", "SessionEffect"];

/// The largest integer up to which all have a number in JavaScript.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Returns a client in TypeScript: `api.ts`, and `runtime.ts`, which it imports.
pub fn typescript(contract: &Contract) -> Vec<ClientFile> {
    let writer = Writer { names: TypeNames::new(contract, &RESERVED) };
    let mut out = format!(
        "// The client of {}. `server client typescript` has written it; write it again after a change.\n\n\
         import {{ Connection, type CallOptions, type Options }} from \"./runtime.js\";\n\n\
         export {{ ApiError, type CallOptions, type Options, type Session }} from \"./runtime.js\";\n",
        contract.package.name
    );
    for (name, schema) in writer.names.types(contract) {
        out += "\n";
        out += &comment(&description(schema), "");
        if schema["type"] == "object"
            && flattened(schema).next().is_none()
            && schema["additionalProperties"].as_object().is_none()
        {
            let _ = writeln!(out, "export interface {name} {}", writer.object(schema, ""));
        } else {
            let _ = writeln!(out, "export type {name} = {};", writer.typed(schema, ""));
        }
    }
    let root = Folder::new(contract);
    let _ = write!(
        out,
        "\n/** The methods of {}. */\nexport interface Api {{\n  /** The way to the server: its session can be read and set. */\n  readonly $connection: Connection;\n{}}}\n",
        contract.package.name,
        writer.interface(&root, "  ")
    );
    let _ = write!(
        out,
        "\n/** Returns the methods of the server at `options.url`. */\nexport function connect(options: Options): Api {{\n  const connection = new Connection(options);\n  return {{\n    $connection: connection,\n{}  }};\n}}\n",
        implementation(&root, "    ")
    );
    vec![
        ClientFile { name: "api.ts", text: out },
        ClientFile { name: "runtime.ts", text: include_str!("runtime.ts").to_owned() },
    ]
}

struct Writer {
    names: TypeNames,
}

impl Writer {
    fn interface(&self, folder: &Folder<'_>, indent: &str) -> String {
        let mut out = String::new();
        for (name, folder) in &folder.folders {
            let _ = write!(
                out,
                "{indent}readonly {name}: {{\n{}{indent}}};\n",
                self.interface(folder, &format!("{indent}  "))
            );
        }
        for (name, method) in &folder.methods {
            out += &comment(&method_comment(method), indent);
            let parameters = match has_no_parameters(method) {
                true => String::new(),
                false => format!("parameters: {}, ", self.typed(&method.parameters, indent)),
            };
            let returned = match &method.content_type {
                _ if !method.streams && method.answer["type"] == "null" => "Promise<void>".to_owned(),
                _ if !method.streams => format!("Promise<{}>", self.typed(&method.answer, indent)),
                Some(kind) if kind.starts_with("text/") => "AsyncGenerator<string, void, undefined>".to_owned(),
                _ => "AsyncGenerator<Uint8Array, void, undefined>".to_owned(),
            };
            let _ = writeln!(out, "{indent}{name}({parameters}options?: CallOptions): {returned};");
        }
        out
    }

    fn typed(&self, schema: &Value, indent: &str) -> String {
        if let Some(name) = self.names.of_reference(schema) {
            return name.to_owned();
        }
        if is_any(schema) {
            return "unknown".to_owned();
        }
        if let Some(value) = schema.get("const") {
            return value.to_string();
        }
        if let Some(values) = schema["enum"].as_array() {
            return union(values.iter().map(Value::to_string).collect());
        }
        if let Some(forms) = schema["anyOf"].as_array() {
            return union(forms.iter().map(|form| self.typed(form, indent)).collect());
        }
        match &schema["type"] {
            Value::Array(names) => union(names.iter().map(|name| self.of_type(name, schema, indent)).collect()),
            Value::Null => self.of_type(&Value::from("object"), schema, indent),
            name => self.of_type(name, schema, indent),
        }
    }

    fn of_type(&self, name: &Value, schema: &Value, indent: &str) -> String {
        match name.as_str().unwrap_or_default() {
            "string" => "string".to_owned(),
            "integer" | "number" => "number".to_owned(),
            "boolean" => "boolean".to_owned(),
            "null" => "null".to_owned(),
            "array" => match schema["prefixItems"].as_array() {
                Some(items) => {
                    let items: Vec<String> = items.iter().map(|item| self.typed(item, indent)).collect();
                    format!("[{}]", items.join(", "))
                }
                None if schema.get("items").is_none() => "[]".to_owned(),
                None => format!("Array<{}>", self.typed(&schema["items"], indent)),
            },
            "object" => {
                let mut parts = Vec::new();
                let values = schema["additionalProperties"].as_object();
                if !members(schema).is_empty() {
                    parts.push(self.object(schema, indent));
                }
                if let Some(values) = values {
                    parts.push(format!("Record<string, {}>", self.typed(&Value::Object(values.clone()), indent)));
                }
                parts.extend(flattened(schema).map(|(part, is_optional)| match is_optional {
                    true => format!("Partial<{}>", self.typed(part, indent)),
                    false => match self.typed(part, indent) {
                        union if union.contains(" | ") => format!("({union})"),
                        part => part,
                    },
                }));
                match parts.len() {
                    0 => "Record<string, unknown>".to_owned(),
                    _ => parts.join(" & "),
                }
            }
            _ => "unknown".to_owned(),
        }
    }

    fn object(&self, schema: &Value, indent: &str) -> String {
        let inner = format!("{indent}  ");
        let members = members(schema).into_iter().map(|Member { names, schema, is_required }| {
            let optional = if is_required { "" } else { "?" };
            let text = comment(&description(schema), &inner);
            format!("{text}{inner}{}{optional}: {};\n", property(names[0]), self.typed(schema, &inner))
        });
        let members: String = members.collect();
        if members.is_empty() { "{}".to_owned() } else { format!("{{\n{members}{indent}}}") }
    }
}

fn implementation(folder: &Folder<'_>, indent: &str) -> String {
    let mut out = String::new();
    for (name, folder) in &folder.folders {
        let _ = write!(out, "{indent}{name}: {{\n{}{indent}}},\n", implementation(folder, &format!("{indent}  ")));
    }
    for (name, method) in &folder.methods {
        let (head, parameters) = match has_no_parameters(method) {
            true => ("(options)", "{}"),
            false => ("(parameters, options)", "parameters"),
        };
        let function = if method.streams { "stream" } else { "call" };
        let effect = match method.session.filter(|_| !method.streams) {
            Some(SessionEffect::Opens) => ", \"opens\"",
            Some(SessionEffect::Ends) => ", \"ends\"",
            None => "",
        };
        let _ = writeln!(
            out,
            "{indent}{name}: {head} => connection.{function}(\"{}\", {parameters}, options{effect}),",
            method.name
        );
    }
    out
}

fn method_comment(method: &MethodContract) -> String {
    let mut text = method.description.clone();
    if method.is_authenticated {
        text += "\n\nNeeds a session.";
    }
    for error in &method.errors {
        let _ = write!(text, "\n\n@throws error {}: {}", error.code, error.message);
    }
    text.trim().to_owned()
}

fn description(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let is_wide = schema["maximum"].as_u64().is_some_and(|maximum| maximum > MAX_SAFE_INTEGER);
    if is_wide {
        return format!("{text} (Exact up to 2^53, as every number of JavaScript.)").trim().to_owned();
    }
    text.to_owned()
}

fn comment(text: &str, indent: &str) -> String {
    let text = text.replace("*/", "* /");
    match text.lines().collect::<Vec<_>>()[..] {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        ref lines => {
            let lines = lines.iter().map(|line| format!("{indent} * {line}").trim_end().to_owned() + "\n");
            format!("{indent}/**\n{}{indent} */\n", lines.collect::<String>())
        }
    }
}

fn union(mut types: Vec<String>) -> String {
    let mut seen = BTreeSet::new();
    types.retain(|name| seen.insert(name.clone()));
    match types.iter().any(|name| name == "unknown") {
        true => "unknown".to_owned(),
        false if types.is_empty() => "never".to_owned(),
        false => types.join(" | "),
    }
}

/// Returns the name of a member, in quotes unless it is an identifier.
fn property(name: &str) -> String {
    let is_identifier = !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$');
    if is_identifier { name.to_owned() } else { Value::from(name).to_string() }
}
