//! Documentation opens as std's does: with a verb for a function, with a noun for anything else.

use crate::{assert_none, rust_files, text};

/// Words that do not open a doc comment, and what opens it instead.
const OPENINGS: &[(&str, &str)] = &[
    ("What", "a noun: \"The error ..\", \"A request ..\""),
    ("Which", "a noun: \"The methods that ..\""),
    ("Those", "a noun: \"The methods that ..\""),
    ("That", "a noun"),
    ("Who", "a noun: \"The caller ..\""),
];

/// Returns the findings in a file, one a line.
fn findings(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let is_doc = |index: usize| lines[index].starts_with("///") || lines[index].starts_with("//!");
    let mut findings = Vec::new();
    for index in (0..lines.len()).filter(|index| is_doc(*index) && (*index == 0 || !is_doc(*index - 1))) {
        let first = lines[index][3..].split_whitespace().next().unwrap_or_default();
        let item = (index..lines.len()).find(|index| !is_doc(*index) && !lines[*index].starts_with("#["));
        let is_function = item.is_some_and(|item| lines[item].contains("fn "));
        if let Some((word, instead)) = OPENINGS.iter().find(|(word, _)| *word == first) {
            findings.push(format!("{path}:{}: documentation opens with `{word}`; write: {instead}", index + 1));
        } else if first == "Whether" && is_function {
            let rule = "a function's documentation opens with `Whether`; write: Returns `true` if";
            findings.push(format!("{path}:{}: {rule}", index + 1));
        }
    }
    findings
}

#[test]
fn documentation_opens_with_a_verb_or_a_noun() {
    let files = rust_files("");
    let all: Vec<String> = files.iter().flat_map(|path| findings(path, &text(path).unwrap())).collect();
    assert_none(&all, "openings of doc comments");
}

#[test]
fn whether_opens_the_documentation_of_a_field_and_of_no_function() {
    let source = "//! What it is.\n\n/// Whether so.\n/// What else.\n#[must_use]\npub(crate) fn so() {}\n\n/// Whether so.\npub so: bool,\n";
    let lines: Vec<String> =
        findings("a.rs", source).iter().map(|finding| finding.split(':').nth(1).unwrap().to_owned()).collect();
    assert_eq!(lines, ["1", "3"]);
}
