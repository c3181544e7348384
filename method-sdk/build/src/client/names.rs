//! Names of types, and the members of objects, as every generated client needs them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::contract::{Contract, Member, MethodContract, flattened, members, reference};

/// The names of a contract's types in a client, by their names in the contract.
pub(super) struct TypeNames(BTreeMap<String, String>);

impl TypeNames {
    /// Creates names such as `DemoHelloParams` for `demo.hello.Params`. `reserved` are names that the client has already.
    pub(super) fn new(contract: &Contract, reserved: &[&str]) -> Self {
        let mut taken: BTreeSet<String> = reserved.iter().map(|name| (*name).to_owned()).collect();
        TypeNames(contract.types.keys().map(|name| (name.clone(), free_name(pascal_case(name), &mut taken))).collect())
    }

    /// Returns the name of the type that a reference refers to.
    pub(super) fn of_reference<'a>(&'a self, schema: &Value) -> Option<&'a str> {
        self.0.get(reference(schema)?).map(String::as_str)
    }

    /// Returns the types: the name in the client, and the schema.
    pub(super) fn types<'a>(&'a self, contract: &'a Contract) -> impl Iterator<Item = (&'a str, &'a Value)> {
        contract.types.iter().map(|(name, schema)| (&*self.0[name], schema))
    }
}

/// Returns a name, with a number behind it if it is taken, and takes it.
pub(super) fn free_name(name: String, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}{number}"));
    let free = [name.clone()].into_iter().chain(numbered).find(|candidate| taken.insert(candidate.clone()));
    free.expect("numbers have no end")
}

/// Turns `demo.hello.Params` into `DemoHelloParams`.
pub(super) fn pascal_case(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}

/// Returns the members of an object with those of its flattened parts, or `None` if one of them is no plain object.
pub(super) fn all_members<'a>(schema: &'a Value, contract: &'a Contract) -> Option<Vec<Member<'a>>> {
    let schema = match reference(schema) {
        Some(name) => contract.types.get(name)?,
        None => schema,
    };
    if schema["type"] != "object" || schema["additionalProperties"].is_object() {
        return None;
    }
    let mut all = members(schema);
    for (part, is_optional) in flattened(schema) {
        let part = all_members(part, contract)?;
        all.extend(part.into_iter().map(|member| Member { is_required: member.is_required && !is_optional, ..member }));
    }
    Some(all)
}

/// Returns `true` if a schema says nothing about its values.
pub(super) fn is_any(schema: &Value) -> bool {
    ["$ref", "type", "enum", "const", "anyOf", "allOf"].iter().all(|keyword| schema.get(keyword).is_none())
}

/// Returns `true` if a method takes no parameters.
pub(super) fn has_no_parameters(method: &MethodContract) -> bool {
    let schema = &method.parameters;
    schema["type"] == "null" || (schema["additionalProperties"] == false && members(schema).is_empty())
}

/// The methods of a contract as a tree of folders.
#[derive(Default)]
pub(super) struct Folder<'a> {
    pub(super) folders: BTreeMap<&'a str, Folder<'a>>,
    pub(super) methods: Vec<(&'a str, &'a MethodContract)>,
}

impl<'a> Folder<'a> {
    pub(super) fn new(contract: &'a Contract) -> Self {
        let mut root = Folder::default();
        for method in &contract.methods {
            let mut segments: Vec<&str> = method.name.split('.').collect();
            let name = segments.pop().unwrap_or_default();
            let folder =
                segments.into_iter().fold(&mut root, |folder, segment| folder.folders.entry(segment).or_default());
            folder.methods.push((name, method));
        }
        root
    }
}
