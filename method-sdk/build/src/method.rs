//! One file: its text to a method, or to the errors in it.

use std::path::PathBuf;

use syn::{AttrStyle, Attribute, Meta};

use crate::attributes::{self, Attributes, string};
use crate::function::{Invoke, read_hook, read_invoke};
use crate::problem::{Problem, Problems};
use crate::walk::Module;

/// A method as its file declares it.
#[derive(Debug, Clone)]
pub struct Method {
    /// The name, such as `account.login`.
    pub name: String,
    /// The file, from the tree's root folder on, such as `methods/account/login.rs`.
    pub file: PathBuf,
    /// The `//!` text of the file.
    pub description: String,
    pub(crate) segments: Vec<String>,
    pub(crate) attributes: Attributes,
    pub(crate) is_async: bool,
    pub(crate) has_hook: bool,
}

/// Reads the method of a file with this syntax tree; `None` if it is not valid Rust; or with this error when it was read.
pub(crate) fn read(module: &Module, syntax: Result<Option<&syn::File>, &String>) -> Result<Method, Vec<Problem>> {
    let mut problems = Problems::new(&module.file);
    let mut method = Method {
        name: module.segments.join("."),
        file: module.file.clone(),
        description: String::new(),
        segments: module.segments.clone(),
        attributes: Attributes::default(),
        is_async: true,
        has_hook: false,
    };
    match syntax {
        Ok(Some(syntax)) => method.analyze(syntax, &mut problems),
        // rustc compiles it as a method of the most common form, and reports the error.
        Ok(None) => {}
        Err(error) => problems.add(format!("cannot read the file: {error}")),
    }
    let problems = problems.into_vec();
    if problems.is_empty() { Ok(method) } else { Err(problems) }
}

impl Method {
    fn analyze(&mut self, syntax: &syn::File, problems: &mut Problems<'_>) {
        let invoke = read_invoke(&syntax.items, problems);
        self.has_hook = read_hook(&syntax.items, invoke.as_ref(), problems);
        self.attributes = attributes::read(&syntax.items, problems);
        self.attributes.check(invoke.as_ref(), problems);
        let is_inner = |attribute: &&Attribute| matches!(attribute.style, AttrStyle::Inner(_));
        self.description = doc_text(syntax.attrs.iter().filter(is_inner));
        self.is_async = invoke.is_none_or(|Invoke { is_async }| is_async);
    }
}

/// Returns the text of the doc comments among these attributes.
pub(crate) fn doc_text<'a>(attributes: impl Iterator<Item = &'a Attribute>) -> String {
    let text: Vec<String> = attributes.filter_map(doc_literal).collect();
    let lines = text.iter().flat_map(|text| text.split('\n'));
    let stripped: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    stripped.join("\n").trim().to_owned()
}

fn doc_literal(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => string(&pair.value),
        _ => None,
    }
}
