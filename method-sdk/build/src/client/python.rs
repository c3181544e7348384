//! A client in Python.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::file::ClientFile;
use super::names::{Folder, TypeNames, all_members, free_name, has_no_parameters, is_any, pascal_case};
use crate::contract::{Contract, Member, MethodContract, SessionEffect, flattened, members};

/// Names that `api.py` imports or declares.
const RESERVED: [&str; 15] = [
    "Any",
    "ApiError",
    "Callable",
    "Client",
    "Connection",
    "Iterator",
    "Literal",
    "NotRequired",
    "Session",
    "TypeAlias",
    "TypedDict",
    "Unpack",
    "False",
    "None",
    "True",
];

/// The keywords of Python, and names that a method has already.
const KEYWORDS: [&str; 36] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield", "self",
];

/// Returns a client in Python: `api.py`, which needs Python 3.11 and its standard library alone.
pub fn python(contract: &Contract) -> Vec<ClientFile> {
    let writer = Writer { contract, names: TypeNames::new(contract, &RESERVED) };
    let root = Folder::new(contract);
    let exported: Vec<&str> = ["ApiError", "Client", "Connection", "Session"]
        .into_iter()
        .chain(writer.names.types(contract).map(|(name, _)| name))
        .collect();
    let exported: String = exported.iter().map(|name| format!("    \"{name}\",\n")).collect();
    let mut out = format!(
        "\"\"\"The client of {}. `server client python` has written it; write it again after a change.\"\"\"\n\n\
         from __future__ import annotations\n\n{}\n\n__all__ = [\n{exported}]\n",
        contract.package.name,
        include_str!("runtime.py").trim_end()
    );
    for (name, schema) in writer.names.types(contract) {
        out += "\n\n";
        out += &writer.declaration(name, schema);
    }
    writer.client(&root, &mut out);
    vec![ClientFile { name: "api.py", text: out }]
}

struct Writer<'a> {
    contract: &'a Contract,
    names: TypeNames,
}

impl Writer<'_> {
    fn declaration(&self, name: &str, schema: &Value) -> String {
        let description = schema["description"].as_str().unwrap_or_default();
        let Some(members) = all_members(schema, self.contract) else {
            return format!("{}{name}: TypeAlias = {}\n", comment(description, ""), self.quoted(schema));
        };
        let item = |Member { schema, is_required, .. }: &Member<'_>| match is_required {
            true => self.typed(schema),
            false => format!("NotRequired[{}]", self.typed(schema)),
        };
        if !members.iter().all(|member| is_identifier(member.names[0])) {
            let items: String = members
                .iter()
                .map(|member| {
                    let description = member.schema["description"].as_str().unwrap_or_default();
                    format!(
                        "{}        {}: \"{}\",\n",
                        comment(description, "        "),
                        Value::from(member.names[0]),
                        item(member).replace('"', "'")
                    )
                })
                .collect();
            return format!(
                "{}{name} = TypedDict(\n    \"{name}\",\n    {{\n{items}    }},\n)\n",
                comment(description, "")
            );
        }
        let mut out = format!("class {name}(TypedDict):\n{}", docstring(description, "    "));
        if !description.is_empty() && !members.is_empty() {
            out += "\n";
        }
        for member in &members {
            let description = member.schema["description"].as_str().unwrap_or_default();
            let _ = writeln!(out, "{}    {}: {}", comment(description, "    "), member.names[0], item(member));
        }
        if members.is_empty() && description.is_empty() {
            out += "    pass\n";
        }
        out
    }

    /// Writes the classes of the folders in a folder, and returns the lines that create them.
    fn folders(&self, folder: &Folder<'_>, path: &str, taken: &mut BTreeSet<String>, out: &mut String) -> String {
        let mut lines = String::new();
        for (name, below) in &folder.folders {
            let path = format!("{path}_{name}");
            let class = free_name(format!("_{}", pascal_case(&path)), taken);
            let inner = self.folders(below, &path, taken, out);
            let _ = write!(
                out,
                "\n\nclass {class}:\n    def __init__(self, connection: Connection) -> None:\n        self._connection = connection\n{inner}"
            );
            self.methods(below, out);
            let _ = writeln!(lines, "        self.{} = {class}(connection)", attribute(name));
        }
        lines
    }

    fn client(&self, root: &Folder<'_>, out: &mut String) {
        let folders = self.folders(root, "", &mut BTreeSet::new(), out);
        let text = format!(
            "The methods of {}.\n\n`_connection.session` is the session, which can be read and set; `Connection` explains the parameters.",
            self.contract.package.name
        );
        let _ = write!(
            out,
            "\n\nclass Client:\n{}\n    def __init__(\n        self,\n        url: str,\n        session: Session | None = None,\n        on_session: Callable[[Session | None], None] | None = None,\n        timeout: float = 60,\n        retries: int = 0,\n    ) -> None:\n        connection = self._connection = Connection(url, session, on_session, timeout, retries)\n{folders}",
            docstring(&text, "    ")
        );
        self.methods(root, out);
    }

    fn methods(&self, folder: &Folder<'_>, out: &mut String) {
        for (name, method) in &folder.methods {
            self.method(name, method, out);
        }
    }

    fn method(&self, name: &str, method: &MethodContract, out: &mut String) {
        let parameters = match self.names.of_reference(&method.parameters) {
            _ if has_no_parameters(method) => "",
            Some(name) if self.takes_keywords(method) => &format!(", **parameters: Unpack[{name}]"),
            _ => &format!(", parameters: {}", self.typed(&method.parameters)),
        };
        let value = if parameters.is_empty() { "{}" } else { "parameters" };
        let answer = match &method.content_type {
            Some(kind) if method.streams && kind.starts_with("text/") => "Iterator[str]".to_owned(),
            _ if method.streams => "Iterator[bytes]".to_owned(),
            _ => self.typed(&method.answer),
        };
        let effect = match method.session.filter(|_| !method.streams) {
            Some(SessionEffect::Opens) => ", \"opens\"",
            Some(SessionEffect::Ends) => ", \"ends\"",
            None => "",
        };
        let call = match method.streams {
            true => format!("self._connection.stream(\"{}\", {value})", method.name),
            false => format!("self._connection.call(\"{}\", {value}{effect})", method.name),
        };
        let body = if answer == "None" {
            call
        } else {
            format!("return cast(\"{answer}\", {call})", answer = answer.replace('"', "'"))
        };
        let mut text = method.description.clone();
        if method.is_authenticated {
            text += "\n\nNeeds a session.";
        }
        for error in &method.errors {
            let _ = write!(text, "\n\nRaises error {}: {}", error.code, error.message);
        }
        let _ = write!(
            out,
            "\n    def {}(self{parameters}) -> {answer}:\n{}        {body}\n",
            attribute(name),
            docstring(text.trim(), "        ")
        );
    }

    /// Returns `true` if the parameters are an object whose members can all be written as keywords.
    fn takes_keywords(&self, method: &MethodContract) -> bool {
        let members = all_members(&method.parameters, self.contract);
        members.is_some_and(|members| members.iter().all(|member| is_identifier(member.names[0])))
    }

    /// Returns a type as an expression that is evaluated when the module is loaded.
    fn quoted(&self, schema: &Value) -> String {
        Value::from(self.typed(schema).replace('"', "'")).to_string()
    }

    fn typed(&self, schema: &Value) -> String {
        if let Some(name) = self.names.of_reference(schema) {
            return name.to_owned();
        }
        if is_any(schema) {
            return "Any".to_owned();
        }
        if let Some(value) = schema.get("const") {
            return format!("Literal[{}]", literal(value));
        }
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<String> = values.iter().map(literal).collect();
            return format!("Literal[{}]", values.join(", "));
        }
        if let Some(forms) = schema["anyOf"].as_array() {
            return union(forms.iter().map(|form| self.typed(form)).collect());
        }
        match &schema["type"] {
            Value::Array(names) => union(names.iter().map(|name| self.of_type(name, schema)).collect()),
            Value::Null => self.of_type(&Value::from("object"), schema),
            name => self.of_type(name, schema),
        }
    }

    fn of_type(&self, name: &Value, schema: &Value) -> String {
        match name.as_str().unwrap_or_default() {
            "string" => "str".to_owned(),
            "integer" => "int".to_owned(),
            "number" => "float".to_owned(),
            "boolean" => "bool".to_owned(),
            "null" => "None".to_owned(),
            // JSON has no tuples: what is sent and received is a list.
            "array" => match schema["prefixItems"].as_array() {
                Some(items) => {
                    format!("list[{}]", union(items.iter().map(|item| self.typed(item)).collect()))
                }
                None if schema.get("items").is_none() => "list[Any]".to_owned(),
                None => format!("list[{}]", self.typed(&schema["items"])),
            },
            "object" => match schema["additionalProperties"].as_object() {
                Some(values) if members(schema).is_empty() && flattened(schema).next().is_none() => {
                    format!("dict[str, {}]", self.typed(&Value::Object(values.clone())))
                }
                // A type of its own is a TypedDict, which Python cannot write in place.
                _ => "dict[str, Any]".to_owned(),
            },
            _ => "Any".to_owned(),
        }
    }
}

fn union(mut types: Vec<String>) -> String {
    let mut seen = BTreeSet::new();
    types.retain(|name| seen.insert(name.clone()));
    match types.iter().any(|name| name == "Any") || types.is_empty() {
        true => "Any".to_owned(),
        false => types.join(" | "),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        value => value.to_string(),
    }
}

fn is_identifier(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word
        && !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.starts_with("__")
        && !KEYWORDS.contains(&name)
}

/// Returns the name of a method or folder as an attribute: with `_` behind a keyword of Python.
fn attribute(name: &str) -> String {
    if KEYWORDS.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

fn comment(text: &str, indent: &str) -> String {
    text.lines().map(|line| format!("{indent}# {line}").trim_end().to_owned() + "\n").collect()
}

fn docstring(text: &str, indent: &str) -> String {
    let text = text.replace('\\', "\\\\").replace("\"\"\"", "\\\"\\\"\\\"");
    match text.lines().collect::<Vec<_>>()[..] {
        [] => String::new(),
        [line] => format!("{indent}\"\"\"{line}{}\"\"\"\n", if line.ends_with('"') { " " } else { "" }),
        ref lines => {
            let rest: String =
                lines[1..].iter().map(|line| format!("{indent}{line}").trim_end().to_owned() + "\n").collect();
            format!("{indent}\"\"\"{}\n{rest}{indent}\"\"\"\n", lines[0])
        }
    }
}
