//! The rules for the name of a method, and so for its file and folders.

use thiserror::Error;

/// The maximum length of a method name, dots included.
const MAX_NAME_BYTES: usize = 128;

/// The strict and reserved keywords of all editions (Rust Reference, "Keywords"), without `Self`, whose capital letter is not valid
/// anyway. Weak keywords (`union`, `safe`, `raw`, ..) can name a module.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Files that have a special meaning for Cargo or rustc; `mod` is a keyword already.
const RESERVED_FILE_STEMS: [&str; 2] = ["lib", "main"];

/// The URLs of the server itself.
const RESERVED_PATHS: [&str; 4] = ["docs", "livez", "openapi.json", "readyz"];

/// The reason why a name is not valid for a method, or for a file or folder of one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// A part of the name is empty.
    #[error("a method name is words joined by dots, such as `account.login`")]
    EmptySegment,
    /// A part of the name begins with `_`.
    #[error("`{0}` begins with `_`, which marks shared code instead of a method")]
    SharedCode(String),
    /// A part of the name is a keyword of Rust.
    #[error("`{0}` is a Rust keyword and cannot be part of a method name")]
    Keyword(String),
    /// A file or folder is named `_`.
    #[error("`_` is not a valid module name")]
    Underscore,
    /// The name of a file or folder contains a dot.
    #[error("`{0}` contains a dot, and a dot in a method name is a folder")]
    Dot(String),
    /// A part of the name contains other characters, or does not begin with a letter.
    #[error("the name `{0}` must begin with a letter and contain only a-z, 0-9 and `_`")]
    Characters(String),
    /// The method's URL is one of the server's own.
    #[error("`/{0}` is a URL of the server itself and cannot be a method")]
    ReservedPath(String),
    /// Cargo or rustc give the file a meaning of their own.
    #[error("`{0}.rs` has a special meaning in Rust and cannot be a method")]
    ReservedFile(String),
    /// The name is longer than 128 bytes.
    #[error("the name has {0} bytes; the maximum is {MAX_NAME_BYTES}")]
    TooLong(usize),
}

impl NameError {
    /// Returns a valid name that is similar to the part that is not, with a slash if it is a file in a folder.
    pub fn suggestion(&self) -> Option<String> {
        match self {
            Self::Dot(segment) | Self::Characters(segment) => suggestion(segment),
            _ => None,
        }
    }
}

/// Verifies that `name` is valid for a method, such as `account.login`.
///
/// A valid name is 1 to 128 bytes: words of `a-z`, `0-9` and `_` that begin with a letter and are no keyword of Rust, joined by dots.
///
/// # Errors
/// Returns the first rule that the name violates.
///
/// ```
/// assert!(method_build::check_name("account.login").is_ok());
/// let error = method_build::check_name("account.log-in").unwrap_err();
/// assert_eq!(error.to_string(), "the name `log-in` must begin with a letter and contain only a-z, 0-9 and `_`");
/// assert_eq!(error.suggestion().unwrap(), "log_in");
/// ```
pub fn check_name(name: &str) -> Result<(), NameError> {
    let segments: Vec<String> = name.split('.').map(str::to_owned).collect();
    for segment in &segments {
        if segment.is_empty() {
            return Err(NameError::EmptySegment);
        }
        if segment.starts_with('_') {
            return Err(NameError::SharedCode(segment.clone()));
        }
        check_segment(segment)?;
    }
    check_whole(&segments)
}

/// Verifies the name of a folder, or that of a file without its `.rs`. A name that begins with `_` is valid here.
pub(crate) fn check_segment(segment: &str) -> Result<(), NameError> {
    if is_keyword(segment) {
        Err(NameError::Keyword(segment.to_owned()))
    } else if segment == "_" {
        Err(NameError::Underscore)
    } else if segment.contains('.') {
        Err(NameError::Dot(segment.to_owned()))
    } else if !is_word(segment) {
        Err(NameError::Characters(segment.to_owned()))
    } else {
        Ok(())
    }
}

/// Verifies the rules for the name as a whole: its length, and the names that are reserved.
pub(crate) fn check_whole(segments: &[String]) -> Result<(), NameError> {
    let name = segments.join(".");
    match segments {
        _ if RESERVED_PATHS.contains(&&*name) => Err(NameError::ReservedPath(name)),
        [.., last] if RESERVED_FILE_STEMS.contains(&last.as_str()) => Err(NameError::ReservedFile(last.clone())),
        _ if name.len() > MAX_NAME_BYTES => Err(NameError::TooLong(name.len())),
        _ => Ok(()),
    }
}

fn is_keyword(segment: &str) -> bool {
    KEYWORDS.contains(&segment)
}

fn is_word(segment: &str) -> bool {
    segment.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && segment.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Turns `my-method`, `myMethod` and `My Method` into `my_method`, and `a.b` into `a/b`. Returns `None` if the result is not valid.
fn suggestion(segment: &str) -> Option<String> {
    let mut name = String::new();
    let mut previous = ' ';
    for character in segment.chars() {
        if character.is_ascii_uppercase() && previous.is_ascii_lowercase() {
            name.push('_');
        }
        name.push(match character {
            '-' | ' ' => '_',
            '.' => '/',
            _ => character.to_ascii_lowercase(),
        });
        previous = character;
    }
    let is_valid = |part: &str| is_word(part) && part != "_" && !is_keyword(part);
    (name != segment && name.split('/').all(is_valid)).then_some(name)
}

/// Returns `true` if `word` is probably a typo of `name`: the same letters in another case, or up to two other letters, fewer if the
/// name is short.
pub(crate) fn is_typo_of(word: &str, name: &str) -> bool {
    let max_distance = (name.len() / 3).min(2);
    word != name && strsim::levenshtein(&word.to_ascii_uppercase(), &name.to_ascii_uppercase()) <= max_distance
}
