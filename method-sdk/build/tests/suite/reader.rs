//! Reading a tree repeatedly: files with errors are left out, and the sources of each method are known.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use method_build::{Package, Tree, TreeReader};
use tempfile::TempDir;

use crate::{ASYNC, folder};

fn reader(folder: &TempDir) -> TreeReader {
    TreeReader::new(&folder.path().join("methods"), Package::default())
}

fn save(folder: &TempDir, file: &str, text: &str) {
    fs::write(folder.path().join("methods").join(file), text).unwrap();
}

fn names(tree: &Tree) -> Vec<&str> {
    tree.methods().iter().map(|method| method.name.as_str()).collect()
}

fn files(tree: &Tree, method: &str) -> Vec<String> {
    tree.method_sources()[method].files.iter().map(|file| file.display().to_string()).collect()
}

#[test]
fn files_with_errors_are_left_out() {
    let folder =
        folder(&[("good.rs", ASYNC), ("private.rs", "fn invoke() {}"), ("A/x.rs", ASYNC), ("b/my-x.rs", ASYNC)]);
    let mut reader = reader(&folder);
    let tree = reader.read();
    assert_eq!(names(&tree), ["good"]);
    let invalid: BTreeSet<_> = tree.problems().map(|problem| problem.file.display().to_string()).collect();
    assert_eq!(invalid, ["methods/A", "methods/b/my-x.rs", "methods/private.rs"].map(str::to_owned).into());
    let source = tree.source(&[], None);
    assert!(source.contains("mod good") && !source.contains("private") && !source.contains("my-x"));

    save(&folder, "private.rs", ASYNC);
    assert_eq!(names(&reader.read()), ["good", "private"]);
}

#[test]
fn the_sources_of_a_method_are_the_files_it_refers_to() {
    let folder = folder(&[
        ("a/one.rs", &format!("use super::two;\n{ASYNC}")),
        ("a/two.rs", &format!("use crate::_words::text;\nconst T: &str = include_str!(\"t.txt\");\n{ASYNC}")),
        ("a/three.rs", ASYNC),
        ("a/t.txt", "text"),
        ("_words.rs", ""),
        ("all.rs", &format!("use crate::a::*;\n{ASYNC}")),
    ]);
    let mut reader = reader(&folder);
    let tree = reader.read();
    assert_eq!(files(&tree, "a.one"), ["methods/_words.rs", "methods/a/one.rs", "methods/a/two.rs"]);
    assert_eq!(files(&tree, "a.three"), ["methods/a/three.rs"]);
    assert_eq!(files(&tree, "all").len(), 5, "a glob refers to the whole folder");
    assert!(
        tree.method_sources()["a.one"].includes.iter().all(|file| file.ends_with("a/t.txt"))
            && tree.method_sources()["all"].is_closed
    );

    // A change gives the methods that depend on it other fingerprints, and reverting it restores them.
    let before: Vec<u64> = tree.method_sources().values().map(|sources| sources.fingerprint).collect();
    for (file, text, old) in [("_words.rs", "pub fn text() {}", ""), ("a/t.txt", "other", "text")] {
        save(&folder, file, text);
        let tree = reader.read();
        let changed: Vec<&str> = tree
            .method_sources()
            .iter()
            .zip(&before)
            .filter(|((_, sources), before)| sources.fingerprint != **before)
            .map(|((name, _), _)| *name)
            .collect();
        assert_eq!(changed, ["a.one", "a.two", "all"], "{file}");
        save(&folder, file, old);
        assert_eq!(
            reader.read().method_sources().values().map(|sources| sources.fingerprint).collect::<Vec<_>>(),
            before
        );
    }
}

#[test]
fn a_plugin_contains_only_the_files_that_its_methods_need() {
    let folder = folder(&[
        ("a/one.rs", &format!("use super::two;\n{ASYNC}")),
        ("a/two.rs", ASYNC),
        ("b.rs", ASYNC),
        ("_impls.rs", ""),
    ]);
    let tree = reader(&folder).read();
    let one = BTreeSet::from(["a.one"]);
    let source = tree.plugin(&one, |_| false, "key");
    assert!(
        source.contains("one.rs")
            && source.contains("mod two")
            && !source.contains("mod b;")
            && !source.contains("_impls")
    );
    assert!(source.contains("fn a·one<") && !source.contains("fn a·two<"), "the table contains only the named methods");
    assert!(source.contains("SIMPLEAPI_KEY: [u8; 4] = *b\"key\\0\""));
    let more = tree.plugin(&one, |file| file == Path::new("methods/_impls.rs"), "key");
    assert!(more.contains("mod _impls") && !more.contains("mod b;"));
}

#[test]
fn a_file_saved_after_it_was_read_is_noticed() {
    let folder = folder(&[("a.rs", ASYNC), ("b.rs", ASYNC)]);
    let tree = reader(&folder).read();
    let (a, b) = (BTreeSet::from([Path::new("methods/a.rs")]), BTreeSet::from([Path::new("methods/b.rs")]));
    assert!(tree.is_unchanged(&a) && tree.is_unchanged(&b));
    // The same text counts as a change, because the file may have had another text in between.
    std::thread::sleep(std::time::Duration::from_millis(20));
    save(&folder, "a.rs", ASYNC);
    assert!(!tree.is_unchanged(&a) && tree.is_unchanged(&b));
    fs::remove_file(folder.path().join("methods/b.rs")).unwrap();
    assert!(!tree.is_unchanged(&b));
}

#[test]
fn the_last_of_many_quick_changes_is_read() {
    let folder = folder(&[("a.rs", ASYNC)]);
    let mut reader = reader(&folder);
    for number in 0..50 {
        save(&folder, "a.rs", &format!("//! {:02}\n{ASYNC}", number));
        assert_eq!(reader.read().methods()[0].description, format!("{number:02}"));
    }
}

#[test]
fn shared_code_that_implements_a_trait_belongs_to_the_files_it_refers_to() {
    let folder = folder(&[
        ("_traits.rs", "pub trait Loud {}"),
        ("_words.rs", "use crate::_more::MORE;\nimpl crate::_traits::Loud for String {}"),
        ("_more.rs", ""),
        ("_own.rs", "use crate::_traits::Loud;\nimpl Own {}"),
        ("loud.rs", &format!("use crate::_traits::Loud;\n{ASYNC}")),
        ("method.rs", &format!("impl crate::_traits::Loud for u8 {{}}\n{ASYNC}")),
        ("silent.rs", &format!("const HOME: &str = env!(\"HOME\");\n{ASYNC}")),
    ]);
    let tree = reader(&folder).read();
    let loud = ["methods/_more.rs", "methods/_traits.rs", "methods/_words.rs", "methods/loud.rs"];
    assert_eq!(files(&tree, "loud"), loud);
    assert_eq!(files(&tree, "silent"), ["methods/silent.rs"]);
    assert!(!tree.method_sources()["silent"].is_closed && tree.method_sources()["loud"].is_closed);
}
