//! What a method, and so its file and the folders above it, may be called.

/// Longest name of a method, dots included.
const MAX_NAME_BYTES: usize = 128;

/// Strict and reserved keywords of all editions, without `Self`, which is illegal for its capital letter.
/// From the Rust Reference, "Keywords"; the weak ones (`union`, `safe`, `raw`, ..) can name a module.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Files that Cargo and rustc give a meaning of their own; `mod` is a keyword already.
const RESERVED_FILE_STEMS: [&str; 2] = ["lib", "main"];

/// URLs that the server answers itself.
const RESERVED_PATHS: [&str; 2] = ["livez", "readyz"];

/// Says what is wrong with `name` as the name of a method, such as `account.login`.
///
/// It is 1 to 128 bytes: words of `a-z`, `0-9` and `_` that begin with a letter and are no keyword of Rust, joined by dots.
///
/// # Errors
/// A message for whoever chose the name.
///
/// ```
/// assert!(method_build::check_name("account.login").is_ok());
/// let wrong = method_build::check_name("account.log-in").unwrap_err();
/// assert_eq!(wrong, "`log-in` is not made of a-z, 0-9 and `_` alone, beginning with a letter; `log_in` would do");
/// ```
pub fn check_name(name: &str) -> Result<(), String> {
    let segments: Vec<String> = name.split('.').map(str::to_owned).collect();
    for segment in &segments {
        if segment.is_empty() {
            return Err(format!("`{name}` is not words joined by dots, such as `account.login`"));
        }
        if segment.starts_with('_') {
            return Err(format!("`{segment}` begins with `_`, and so is shared code and not a method"));
        }
        check_segment(segment).map_err(|fault| match fault.instead {
            Some(instead) => format!("{}; `{instead}` would do", fault.what),
            None => fault.what,
        })?;
    }
    check_whole(&segments)
}

/// What is wrong with the name of one file or folder.
pub(crate) struct NameError {
    pub(crate) what: String,
    /// What it was probably meant to be; with a slash if that is a file in a folder.
    pub(crate) instead: Option<String>,
}

/// Checks one part of a name: that of a folder, or that of a file without its `.rs`. Those that begin with `_` are legal here.
pub(crate) fn check_segment(segment: &str) -> Result<(), NameError> {
    let what = if is_keyword(segment) {
        format!("`{segment}` is a Rust keyword and cannot be part of a method's name")
    } else if segment == "_" {
        "`_` alone cannot be the name of a module".to_owned()
    } else if segment.contains('.') {
        format!("`{segment}` holds a dot, and a dot in a method's name is a folder")
    } else if !is_word(segment) {
        format!("`{segment}` is not made of a-z, 0-9 and `_` alone, beginning with a letter")
    } else {
        return Ok(());
    };
    Err(NameError { what, instead: suggestion(segment) })
}

/// Checks what depends on more than one part: the last of them, the only one, the length of all.
pub(crate) fn check_whole(segments: &[String]) -> Result<(), String> {
    let bytes = segments.join(".").len();
    match segments {
        [only] if RESERVED_PATHS.contains(&only.as_str()) => {
            Err(format!("`/{only}` is the server's own URL and cannot be a method"))
        }
        [.., last] if RESERVED_FILE_STEMS.contains(&last.as_str()) => {
            Err(format!("`{last}.rs` means something else to Rust and cannot be a method"))
        }
        _ if bytes > MAX_NAME_BYTES => Err(format!("the name has {bytes} bytes, and {MAX_NAME_BYTES} are allowed")),
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

/// `my-method`, `myMethod` and `My Method` are `my_method`, and `a.b` is `a/b`, as far as that is legal.
fn suggestion(segment: &str) -> Option<String> {
    let mut instead = String::new();
    let mut previous = ' ';
    for character in segment.chars() {
        if character.is_ascii_uppercase() && previous.is_ascii_lowercase() {
            instead.push('_');
        }
        instead.push(match character {
            '-' | ' ' => '_',
            '.' => '/',
            _ => character.to_ascii_lowercase(),
        });
        previous = character;
    }
    let legal = |part: &str| is_word(part) && part != "_" && !is_keyword(part);
    (instead != segment && instead.split('/').all(legal)).then_some(instead)
}

/// Whether `word` is `meant` misspelt: other capitals, or one or two letters wrong, fewer if it is short.
pub(crate) fn is_typo_of(word: &str, meant: &str) -> bool {
    let allowed = (meant.len() / 3).min(2);
    word != meant && distance(&word.to_ascii_uppercase(), &meant.to_ascii_uppercase()) <= allowed
}

/// Letters to change, insert or leave out to make `one` of `other` (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
