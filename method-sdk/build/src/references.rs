//! The references of a file to others: paths that begin with `crate` or `super`, included files, and trait implementations.
//!
//! They are read from the tokens instead of the syntax tree, so that the arguments of macros count too. An ambiguous token counts as a
//! reference: a part of a tree that is compiled by itself may contain too many files, and must not contain too few.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::LitStr;

/// A reference to another file, or to the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A path from the root of the crate.
    Crate(Vec<String>),
    /// A path from a parent module, and its distance: 1 is the folder of the file.
    Super(usize, Vec<String>),
    /// A file that `include!`, `include_str!` or `include_bytes!` reads, relative to the folder.
    Include(String),
    /// An input that is known only during compilation, such as an environment variable.
    Environment,
    /// The implementation of a trait, possibly for a type of another file.
    Implementation,
}

/// Returns the references of a file with this text, or none if it is not valid Rust.
pub(crate) fn read(text: &str) -> Vec<Reference> {
    let mut references = Vec::new();
    if let Ok(tokens) = TokenStream::from_str(text) {
        scan(tokens, 0, &mut references);
    }
    references
}

/// Collects the references in tokens at a depth of `depth` inline modules.
fn scan(tokens: TokenStream, depth: usize, references: &mut Vec<Reference>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Ident(word) if *word == "crate" || *word == "super" => {
                let start = if *word == "crate" { Start::Crate } else { Start::Super(1) };
                at = path(&tokens, at + 1, Path { start, segments: Vec::new(), depth }, references);
                continue;
            }
            TokenTree::Ident(word) if *word == "mod" => {
                if let Some(inner) = group(tokens.get(at + 2), Delimiter::Brace) {
                    scan(inner, depth + 1, references);
                    at += 3;
                    continue;
                }
            }
            TokenTree::Ident(word) if ["include", "include_str", "include_bytes"].iter().any(|name| word == name) => {
                if let Some(TokenTree::Group(arguments)) = tokens.get(at + 2) {
                    let file = syn::parse2::<LitStr>(arguments.stream());
                    references.push(file.map_or(Reference::Environment, |file| Reference::Include(file.value())));
                }
            }
            TokenTree::Ident(word) if *word == "env" || *word == "option_env" => {
                // The variables that Cargo sets are known.
                let is_cargo_variable = |arguments: &TokenStream| arguments.to_string().starts_with("\"CARGO_");
                if group(tokens.get(at + 2), Delimiter::Parenthesis)
                    .is_some_and(|arguments| !is_cargo_variable(&arguments))
                {
                    references.push(Reference::Environment);
                }
            }
            TokenTree::Ident(word) if *word == "impl" => {
                let is_head = |token: &&TokenTree| !matches!(token, TokenTree::Group(_));
                if tokens[at..]
                    .iter()
                    .take_while(is_head)
                    .any(|token| matches!(token, TokenTree::Ident(word) if *word == "for"))
                {
                    references.push(Reference::Implementation);
                }
            }
            TokenTree::Group(inner) => scan(inner.stream(), depth, references),
            _ => {}
        }
        at += 1;
    }
}

#[derive(Clone)]
enum Start {
    Crate,
    Super(usize),
}

/// The part of a path that has been read.
#[derive(Clone)]
struct Path {
    start: Start,
    segments: Vec<String>,
    depth: usize,
}

/// Reads the rest of a path from index `at` on, and returns the index of its end. A path with `{..}` is several.
fn path(tokens: &[TokenTree], mut at: usize, mut prefix: Path, references: &mut Vec<Reference>) -> usize {
    while is_colon(tokens.get(at)) && is_colon(tokens.get(at + 1)) {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(word)) => prefix.push(&word.to_string()),
            Some(TokenTree::Group(branches)) if branches.delimiter() == Delimiter::Brace => {
                let branches: Vec<TokenTree> = branches.stream().into_iter().collect();
                for branch in branches.split(is_comma) {
                    let mut branch_path = prefix.clone();
                    if let Some(TokenTree::Ident(word)) = branch.first() {
                        branch_path.push(&word.to_string());
                    }
                    path(branch, 1, branch_path, references);
                }
                return at + 3;
            }
            // A glob refers to the whole module.
            _ => {
                at += 2;
                break;
            }
        }
        at += 3;
    }
    references.extend(prefix.reference());
    at
}

impl Path {
    fn push(&mut self, word: &str) {
        match (&mut self.start, word) {
            (Start::Super(levels), "super") if self.segments.is_empty() => *levels += 1,
            (_, "self") => {}
            _ => self.segments.push(word.strip_prefix("r#").unwrap_or(word).to_owned()),
        }
    }

    /// Returns the reference, or `None` if the path stays within the file.
    fn reference(self) -> Option<Reference> {
        match self.start {
            Start::Crate => Some(Reference::Crate(self.segments)),
            Start::Super(levels) => (levels > self.depth).then(|| Reference::Super(levels - self.depth, self.segments)),
        }
    }
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<TokenStream> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group.stream()),
        _ => None,
    }
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

#[cfg(test)]
mod tests {
    use super::Reference::{Crate, Environment, Implementation, Include, Super};
    use super::*;

    fn words(path: &str) -> Vec<String> {
        path.split("::").filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn paths_are_found_in_every_position() {
        for (text, expected) in [
            ("fn f() { super::login::invoke() }", vec![Super(1, words("login::invoke"))]),
            ("use crate::account::create;", vec![Crate(words("account::create"))]),
            (
                "use super::{login, create::{self, Params}};",
                vec![Super(1, words("login")), Super(1, words("create")), Super(1, words("create::Params"))],
            ),
            ("use super::super::_shared as s;", vec![Super(2, words("_shared"))]),
            ("use super::*;", vec![Super(1, vec![])]),
            ("use crate::a::*;", vec![Crate(words("a"))]),
            ("use super as up;", vec![Super(1, vec![])]),
            ("fn f() { dbg!(vec![crate::_a::B]); }", vec![Crate(words("_a::B"))]),
            ("fn f(x: super::_t::T<super::_u::U>) {}", vec![Super(1, words("_t::T")), Super(1, words("_u::U"))]),
            ("const T: &str = include_str!(\"t.txt\");", vec![Include("t.txt".to_owned())]),
            ("const T: &str = include_str!(concat!(env!(\"X\"), \"t\"));", vec![Environment, Environment]),
            ("use std::env; const V: &str = env!(\"CARGO_PKG_VERSION\");", vec![]),
            ("impl<T: Into<u8>> crate::_t::T for Vec<T> {}", vec![Implementation, Crate(words("_t::T"))]),
            ("impl Own { fn f(x: impl Copy) { for x in [x] {} } }", vec![]),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_path_to_an_inline_module_is_no_reference() {
        assert_eq!(read("#[cfg(test)] mod tests { use super::*; }"), []);
        assert_eq!(read("mod tests { use super::super::login; }"), [Super(1, words("login"))]);
    }

    #[test]
    fn text_that_is_not_rust_has_no_references() {
        assert_eq!(read("fn ( {"), []);
    }
}
