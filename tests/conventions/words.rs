//! The word list of CONTRIBUTING.md: words and phrases that comments, messages, names and documents do not use.
//!
//! An entry is a phrase in any case. A phrase may run over the end of a line or a comment's line, and through the `_` of a
//! name; `10xx` stands for an error code.

use crate::{assert_none, files, text};

/// The document that holds the list, and its heading there.
const DOCUMENT: &str = "CONTRIBUTING.md";
const HEADING: &str = "## Word list";

/// Files whose words are not ours, or that are not prose.
const OUTSIDE: &[&str] = &["LICENSE", ".lock", ".sum", ".mod", ".svg", ".jsonl", ".pyc", ".cast"];

/// A phrase of the list, in lower case, and what to write instead.
struct Entry {
    phrase: Vec<String>,
    instead: String,
}

/// A word of a text, and its line; a word that does not continue a phrase begins one.
struct Word {
    text: String,
    line: usize,
    continues: bool,
}

/// Reads the list from the table in CONTRIBUTING.md: phrases in backquotes, and what to write instead.
fn word_list() -> Vec<Entry> {
    let document = text(DOCUMENT).unwrap();
    let (_, section) = document.split_once(HEADING).expect("CONTRIBUTING.md has a word list");
    let section = section.split("\n## ").next().unwrap();
    let mut entries = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.trim_matches('|').split('|');
        let (phrases, instead) = (cells.next().unwrap(), cells.next().expect("a row has two cells").trim());
        for phrase in phrases.split('`').skip(1).step_by(2) {
            let phrase = phrase.to_lowercase().split(' ').map(str::to_owned).collect();
            entries.push(Entry { phrase, instead: instead.to_owned() });
        }
    }
    entries
}

/// Splits a text into words. Blanks, line ends, comment signs and `_` join words; everything else ends a phrase.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_start().trim_start_matches(['/', '!', '#', '*', '>', ' ', '"']);
        let mut continues = true;
        for part in text.split_inclusive(|c: char| !c.is_alphanumeric() && c != '\'') {
            let word = part.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '\'');
            if !word.is_empty() {
                words.push(Word { text: word.to_lowercase(), line, continues });
            }
            let end = &part[word.len()..];
            continues = (continues || !word.is_empty()) && matches!(end, "" | " " | "_");
        }
        // A full stop at the end of a line ends a phrase too.
        if !continues || text.is_empty() {
            words.push(Word { text: String::new(), line, continues: false });
        }
    }
    words
}

impl Entry {
    /// Returns `true` if the phrase begins with the first of these words.
    fn matches(&self, words: &[Word]) -> bool {
        words.len() >= self.phrase.len()
            && self.phrase.iter().zip(words).enumerate().all(|(index, (pattern, word))| {
                (index == 0 || word.continues)
                    && (word.text == *pattern || pattern == "10xx" && is_error_code(&word.text))
            })
    }
}

/// Returns `true` for a code of the framework.
fn is_error_code(word: &str) -> bool {
    word.parse().is_ok_and(|code: u32| (1000..1020).contains(&code))
}

/// Returns the findings in a file, one a line.
fn findings(path: &str, text: &str, list: &[Entry]) -> Vec<String> {
    let words = words(text);
    let mut findings = Vec::new();
    for index in 0..words.len() {
        for entry in list.iter().filter(|entry| entry.matches(&words[index..])) {
            let (line, phrase) = (words[index].line, entry.phrase.join(" "));
            findings.push(format!("{path}:{line}: `{phrase}`; write: {}", entry.instead));
        }
    }
    findings
}

/// Returns the text of a file without the word list itself.
fn prose(path: &str) -> Option<String> {
    // The Content-Security-Policy calls the pages that embed another its ancestors.
    let text = text(path)?.replace("frame-ancestors", "");
    if path != DOCUMENT {
        return Some(text);
    }
    let blank_row = |line: &str| if line.starts_with("| `") { String::new() } else { line.to_owned() };
    Some(text.lines().map(blank_row).collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_words_are_those_of_the_project() {
    let list = word_list();
    assert!(list.len() > 20, "the word list of {DOCUMENT} is read");
    let mut all = Vec::new();
    for path in files("") {
        if OUTSIDE.iter().any(|end| path.ends_with(end)) || path.starts_with("tests/conventions/") {
            continue;
        }
        let Some(text) = prose(&path) else { continue };
        all.extend(findings(&path, &text, &list));
    }
    assert_none(&all, &format!("words that the project does not use (the list is in {DOCUMENT})"));
}

#[test]
fn a_phrase_is_found_over_the_end_of_a_line_and_in_a_name() {
    let entry =
        |phrase: &str| Entry { phrase: phrase.split(' ').map(str::to_owned).collect(), instead: "again".to_owned() };
    let list = [entry("is away"), entry("is 10xx")];
    let found = |text: &str| findings("a.rs", text, &list).len();
    assert_eq!(found("/// the database Is\n/// away, and"), 1);
    assert_eq!(found("fn a_session_is_1007_when_it_is_away() {}"), 2);
    assert_eq!(found("It is. Away from it, this away is 1024."), 0);
    assert_eq!(found("as it is.\nAway"), 0);
}
