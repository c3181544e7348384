//! docs/hardening.md: each test that it names exists in the chapter or package that it names.

use super::{assert_none, rust_files, text};

/// Returns the text of the tests of a chapter of `tests/suite/` or of a package.
fn tests_of(place: &str) -> String {
    let files = match place {
        "simpleapi-server" => rust_files("server/src"),
        "method-sdk" => [rust_files("method-sdk/src"), rust_files("method-sdk/tests")].concat(),
        chapter => vec![format!("tests/suite/{chapter}.rs")],
    };
    files.iter().filter_map(|path| text(path)).collect()
}

#[test]
fn every_test_that_the_page_of_attacks_and_faults_names_exists() {
    let page = text("docs/hardening.md").unwrap();
    let mut missing = Vec::new();
    let mut found = 0;
    for row in page.lines().filter(|line| line.starts_with('|')) {
        let tests = row.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap();
        for group in tests.split(';') {
            let Some((place, names)) = group.split_once("`: `") else { continue };
            let source = tests_of(place.trim_start_matches([' ', '`']));
            for name in names.split("`, `").map(|name| name.trim_matches(['`', ' '])) {
                found += 1;
                if !source.contains(&format!("fn {name}(")) {
                    missing.push(format!("docs/hardening.md names `{name}`, which is not in `{place}`"));
                }
            }
        }
    }
    assert!(found > 60, "the page names {found} tests");
    assert_none(&missing, "tests that do not exist");
}
