//! What one file refers to of the others: the paths in it that begin with `crate` or `super`, and the files it includes; and what it may
//! add to others.
//!
//! Read from the tokens and not from the syntax, so that what stands in a macro's arguments counts too. What cannot be told apart is
//! taken for more than it is: a part of a tree that is compiled by itself may hold too much, and must not hold too little.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::LitStr;

/// One reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A path from the root of the crate.
    Crate(Vec<String>),
    /// A path from a module above: 1 is the folder that the file is in.
    Super(usize, Vec<String>),
    /// A file that `include_str!` and its like read, relative to the folder.
    Include(String),
    /// Something of the environment that is there only when it is compiled.
    Environment,
    /// A trait is implemented, maybe for a type of another file.
    Implementation,
}

/// The references of a file with this text; none if it is no Rust.
pub(crate) fn read(text: &str) -> Vec<Reference> {
    let mut found = Vec::new();
    if let Ok(tokens) = TokenStream::from_str(text) {
        scan(tokens, 0, &mut found);
    }
    found
}

/// Looks through tokens that stand `depth` inline modules deep.
fn scan(tokens: TokenStream, depth: usize, found: &mut Vec<Reference>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Ident(word) if *word == "crate" || *word == "super" => {
                let start = if *word == "crate" { Start::Crate } else { Start::Super(1) };
                at = path(&tokens, at + 1, Path { start, segments: Vec::new(), depth }, found);
                continue;
            }
            TokenTree::Ident(word) if *word == "mod" => {
                if let Some(inner) = group(tokens.get(at + 2), Delimiter::Brace) {
                    scan(inner, depth + 1, found);
                    at += 3;
                    continue;
                }
            }
            TokenTree::Ident(word) if ["include", "include_str", "include_bytes"].iter().any(|name| word == name) => {
                if let Some(TokenTree::Group(arguments)) = tokens.get(at + 2) {
                    let file = syn::parse2::<LitStr>(arguments.stream());
                    found.push(file.map_or(Reference::Environment, |file| Reference::Include(file.value())));
                }
            }
            TokenTree::Ident(word) if *word == "env" || *word == "option_env" => {
                // What Cargo sets is known.
                let is_of_cargo = |arguments: &TokenStream| arguments.to_string().starts_with("\"CARGO_");
                if group(tokens.get(at + 2), Delimiter::Parenthesis).is_some_and(|arguments| !is_of_cargo(&arguments)) {
                    found.push(Reference::Environment);
                }
            }
            TokenTree::Ident(word) if *word == "impl" => {
                let is_head = |token: &&TokenTree| !matches!(token, TokenTree::Group(_));
                if tokens[at..]
                    .iter()
                    .take_while(is_head)
                    .any(|token| matches!(token, TokenTree::Ident(word) if *word == "for"))
                {
                    found.push(Reference::Implementation);
                }
            }
            TokenTree::Group(inner) => scan(inner.stream(), depth, found),
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

/// A path as far as it has been read.
#[derive(Clone)]
struct Path {
    start: Start,
    segments: Vec<String>,
    depth: usize,
}

/// Reads the rest of a path that goes on at `at`, and says where it ends. `{..}` makes it several.
fn path(tokens: &[TokenTree], mut at: usize, mut so_far: Path, found: &mut Vec<Reference>) -> usize {
    while is_colon(tokens.get(at)) && is_colon(tokens.get(at + 1)) {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(word)) => so_far.push(&word.to_string()),
            Some(TokenTree::Group(branches)) if branches.delimiter() == Delimiter::Brace => {
                let branches: Vec<TokenTree> = branches.stream().into_iter().collect();
                for branch in branches.split(is_comma) {
                    let mut path_of_branch = so_far.clone();
                    if let Some(TokenTree::Ident(word)) = branch.first() {
                        path_of_branch.push(&word.to_string());
                    }
                    path(branch, 1, path_of_branch, found);
                }
                return at + 3;
            }
            // A glob: everything there.
            _ => {
                at += 2;
                break;
            }
        }
        at += 3;
    }
    found.extend(so_far.reference());
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

    /// `None` if it does not leave the file.
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
    fn paths_are_found_wherever_they_stand() {
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
    fn a_module_within_the_file_is_not_outside_it() {
        assert_eq!(read("#[cfg(test)] mod tests { use super::*; }"), []);
        assert_eq!(read("mod tests { use super::super::login; }"), [Super(1, words("login"))]);
    }

    #[test]
    fn what_is_no_rust_refers_to_nothing() {
        assert_eq!(read("fn ( {"), []);
    }
}
