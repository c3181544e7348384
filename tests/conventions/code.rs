//! Rust source as tokens, without comments, the contents of strings, and tests.

/// A token: an identifier, a number, `::`, or one other character. A string is the token `""`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is_identifier(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Returns the tokens of a file without the items that are marked `#[cfg(test)]` or `#[test]`.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    without_tests(&tokenize(source))
}

/// Returns all tokens of a file.
pub(crate) fn tokenize(source: &str) -> Vec<Token> {
    let characters: Vec<char> = source.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '·';
    let (mut tokens, mut index, mut line) = (Vec::new(), 0, 1);
    while index < characters.len() {
        let start = index;
        let mut text = None;
        match (at(index), at(index + 1)) {
            ('/', '/') => {
                while index < characters.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            ('/', '*') => {
                let mut depth = 0;
                loop {
                    match (at(index), at(index + 1)) {
                        ('/', '*') => (depth, index) = (depth + 1, index + 2),
                        ('*', '/') => (depth, index) = (depth - 1, index + 2),
                        _ => index += 1,
                    }
                    if depth == 0 || index >= characters.len() {
                        break;
                    }
                }
            }
            ('"', _) => (text, index) = (Some("\"\"".to_owned()), string_end(&characters, index)),
            ('b' | 'c', '"') => (text, index) = (Some("\"\"".to_owned()), string_end(&characters, index + 1)),
            ('r', '"' | '#') | ('b' | 'c', 'r') if raw_string_end(&characters, index).is_some() => {
                (text, index) = (Some("\"\"".to_owned()), raw_string_end(&characters, index).unwrap());
            }
            ('\'', '\\') => {
                index += 3;
                while index < characters.len() && at(index) != '\'' {
                    index += 1;
                }
                (text, index) = (Some("\"\"".to_owned()), index + 1);
            }
            ('\'', _) if at(index + 2) == '\'' => (text, index) = (Some("\"\"".to_owned()), index + 3),
            ('r', '#') => index += 2, // a raw identifier
            (':', ':') => (text, index) = (Some("::".to_owned()), index + 2),
            (c, _) if is_word(c) => {
                while is_word(at(index)) {
                    index += 1;
                }
                text = Some(characters[start..index].iter().collect());
            }
            (c, _) => {
                index += 1;
                text = (!c.is_whitespace()).then(|| c.to_string());
            }
        }
        tokens.extend(text.map(|text| Token { text, line }));
        let end = index.min(characters.len());
        line += characters[start..end].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// Returns the index after a string literal whose opening quote is at `start`.
fn string_end(characters: &[char], start: usize) -> usize {
    let mut index = start + 1;
    while index < characters.len() && characters[index] != '"' {
        index += if characters[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

/// Returns the index after a raw string literal that begins at `start`, or `None` if none does.
fn raw_string_end(characters: &[char], start: usize) -> Option<usize> {
    let mut index = start + usize::from(characters[start] != 'r') + 1;
    let hashes = characters[index..].iter().take_while(|c| **c == '#').count();
    index += hashes;
    if characters.get(index) != Some(&'"') {
        return None;
    }
    loop {
        index += 1;
        let rest = characters.get(index..)?;
        if rest.first() == Some(&'"') && rest.len() > hashes && rest[1..=hashes].iter().all(|c| *c == '#') {
            return Some(index + 1 + hashes);
        }
    }
}

/// Leaves out every item with an attribute that names `test`, and returns the other tokens.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let Some(attribute_end) = attribute_end(tokens, index) else {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        };
        let attribute = &tokens[index..attribute_end];
        let names = |word: &str| attribute.iter().any(|token| token.text == word);
        let is_outer = attribute[1].text == "[";
        if is_outer && names("test") && !names("not") && !names("any") && !names("cfg_attr") {
            index = item_end(tokens, attribute_end);
        } else {
            kept.extend_from_slice(attribute);
            index = attribute_end;
        }
    }
    kept
}

/// Returns the index after an attribute that begins at `start`, or `None` if none does.
fn attribute_end(tokens: &[Token], start: usize) -> Option<usize> {
    let is = |index: usize, text: &str| tokens.get(index).is_some_and(|token| token.text == text);
    let bracket = if is(start + 1, "!") { start + 2 } else { start + 1 };
    (is(start, "#") && is(bracket, "[")).then(|| group_end(tokens, bracket))
}

/// Returns the index after an item: its `;`, or the brackets of its body.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut index = start;
    while index < tokens.len() {
        match tokens[index].text.as_str() {
            ";" => return index + 1,
            "{" => return group_end(tokens, index),
            "(" | "[" => index = group_end(tokens, index),
            _ => index += 1,
        }
    }
    index
}

/// Returns the index after the bracket that closes the one at `start`.
pub(crate) fn group_end(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

#[test]
fn comments_strings_and_tests_are_no_code() {
    let source = "
        //! unsafe
        fn a<'a>(x: &'a str) -> char { /* unsafe /* unsafe */ */ 'u' }
        const B: &str = r#\"unsafe \" unsafe\"#; const C: &[u8] = b\"unsafe \\\" unsafe\"; const D: char = '\\'';
        #[cfg(test)]
        mod tests { fn f() { unsafe {} } }
        #[test]
        fn e() { unsafe {} }
        fn f() { r#unsafe::g() }
    ";
    let code: Vec<Token> = tokens(source);
    let found: Vec<usize> = code.iter().filter(|token| token.text == "unsafe").map(|token| token.line).collect();
    assert_eq!(found, [9]);
}
