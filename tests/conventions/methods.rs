//! No type has an inherent method and a trait method of one name: if the inherent one is deleted, the call in the trait's compiles
//! into endless recursion.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::{Token, group_end, tokens};
use crate::{assert_none, rust_files, text};

/// The packages in which types are told apart by name.
const PACKAGES: [&str; 3] = ["server/src", "method-sdk/src", "method-sdk/build/src"];

/// The methods of a type: the inherent ones, and those of its traits.
#[derive(Default)]
struct Methods {
    inherent: BTreeSet<String>,
    of_traits: BTreeSet<String>,
}

/// Adds the methods of every `impl` block of a file.
fn collect(code: &[Token], types: &mut BTreeMap<String, Methods>) {
    for start in 0..code.len() {
        let begins_item = start == 0 || matches!(code[start - 1].text.as_str(), "}" | ";" | "]" | "{" | "unsafe");
        if code[start].text != "impl" || !begins_item {
            continue;
        }
        let Some(length) = code[start..].iter().position(|token| token.text == "{") else { continue };
        let (header, body) = (&code[start + 1..start + length], start + length);
        let is_for = |index: usize| header[index].text == "for" && header.get(index + 1).is_none_or(|t| t.text != "<");
        let for_at = (0..header.len()).find(|index| is_for(*index));
        let Some(name) = type_name(&header[for_at.map_or_else(|| generics_end(header), |index| index + 1)..]) else {
            continue;
        };
        let methods = types.entry(name).or_default();
        let set = if for_at.is_some() { &mut methods.of_traits } else { &mut methods.inherent };
        set.extend(functions(&code[body + 1..group_end(code, body) - 1]));
    }
}

/// Returns the index after the `<..>` that begins a header, or 0.
fn generics_end(header: &[Token]) -> usize {
    let mut depth = 0;
    for (index, token) in header.iter().enumerate() {
        match token.text.as_str() {
            "<" => depth += 1,
            ">" if index > 0 && header[index - 1].text != "-" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return if index == 0 { 0 } else { index + 1 };
        }
    }
    0
}

/// Returns the last name of the path that begins a type.
fn type_name(header: &[Token]) -> Option<String> {
    let path =
        header.iter().skip_while(|token| !token.is_identifier()).take_while(|t| t.is_identifier() || t.text == "::");
    path.filter(|token| token.is_identifier()).last().map(|token| token.text.clone())
}

/// Returns the names of the functions of a block, without those of nested blocks.
fn functions(body: &[Token]) -> Vec<String> {
    let mut names = Vec::new();
    let mut index = 0;
    while index < body.len() {
        match body[index].text.as_str() {
            "{" => index = group_end(body, index),
            "fn" => {
                names.extend(body.get(index + 1).map(|name| name.text.clone()));
                index += 2;
            }
            _ => index += 1,
        }
    }
    names
}

#[test]
fn no_inherent_method_hides_a_trait_method() {
    let mut findings = Vec::new();
    for folder in PACKAGES {
        let mut types = BTreeMap::new();
        for path in rust_files(folder) {
            collect(&tokens(&text(&path).unwrap()), &mut types);
        }
        for (name, methods) in &types {
            let shared = methods.inherent.intersection(&methods.of_traits);
            findings.extend(shared.map(|method| format!("{name}::{method}")));
        }
    }
    assert_none(&findings, "inherent and trait methods of one name");
}

#[test]
fn an_inherent_and_a_trait_method_of_one_name_are_found() {
    let mut types = BTreeMap::new();
    let source = "
        struct A<T>(T);
        impl<T: Fn() -> u8> A<T> { fn run(&self) -> impl Fn() { fn inner() {} || () } fn stop(&self) {} }
        impl<T> crate::b::Run for A<T> where for<'a> T: Fn(&'a u8) { fn run(&self) {} fn inner(&self) {} }
    ";
    collect(&tokens(source), &mut types);
    let shared: Vec<&String> = types["A"].inherent.intersection(&types["A"].of_traits).collect();
    assert_eq!(shared, ["run"]);
}
