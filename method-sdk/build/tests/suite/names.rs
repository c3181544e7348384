//! The files that are methods, and the names that are valid.

use std::fs;

use method_build::{Package, check_name, read};

use crate::{ASYNC, folder, names, problems, problems_in};

fn only_problem(file: &str) -> String {
    let found = problems(&[(file, ASYNC)]);
    assert_eq!(found.len(), 1, "{file}: {found:?}");
    found[0].clone()
}

#[test]
fn a_file_is_a_method_and_a_folder_is_a_dot() {
    let files = [
        ("greet.rs", ASYNC),
        ("account/login.rs", ASYNC),
        ("a/b/c_1.rs", ASYNC),
        ("a_b.rs", ASYNC),
        ("union.rs", ASYNC),
    ];
    assert_eq!(names(&files), ["a.b.c_1", "a_b", "account.login", "greet", "union"]);
}

#[test]
fn an_empty_tree_is_no_problem() {
    assert!(names(&[]).is_empty());
}

#[test]
fn a_missing_folder_is_reported() {
    let empty = tempfile::tempdir().unwrap();
    let expected = "methods: the folder does not exist; create it with one file per method, such as `greet.rs`";
    assert_eq!(problems_in(empty.path()), [expected]);
    fs::write(empty.path().join("methods"), "a file").unwrap();
    assert_eq!(problems_in(empty.path()), [expected]);
}

#[test]
fn five_hundred_methods_are_read() {
    let files: Vec<(String, &str)> = (0..500).map(|i| (format!("f{}/m{i:03}.rs", i % 7), ASYNC)).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (file.as_str(), *text)).collect();
    let names = names(&files);
    assert_eq!(names.len(), 500);
    assert!(names.is_sorted());
}

#[test]
fn files_that_are_not_rust_are_ignored() {
    let files = [
        ("notes.md", ""),
        ("Cargo.toml", ""),
        ("greet.rs~", ""),
        (".greet.rs", ""),
        (".git/x.rs", ""),
        ("Templates/page.html", ""),
        ("greet/page.html", ""),
        ("greet.rs", ASYNC),
    ];
    assert_eq!(names(&files), ["greet"]);
}

#[test]
fn shared_code_is_not_a_method_and_its_contents_are_not_checked() {
    let files = [
        ("_db.rs", "nonsense("),
        ("_lib/rows.rs", ""),
        ("_lib/deep/_er.rs", ""),
        ("account/_1.rs", ""),
        ("greet.rs", ASYNC),
    ];
    assert_eq!(names(&files), ["greet"]);
}

#[test]
fn shared_code_needs_a_valid_name_too() {
    assert_eq!(only_problem("_.rs"), "methods/_.rs: `_` is not a valid module name; rename the file");
    assert!(only_problem("_/x.rs").starts_with("methods/_: `_` is not a valid module name"));
    assert!(only_problem("_Db.rs").ends_with("rename it to `_db.rs`"));
    assert!(only_problem("_db/my-rows.rs").ends_with("rename it to `my_rows.rs`"));
    assert!(only_problem("_db/type.rs").contains("is a Rust keyword"));
    assert!(only_problem("_db/mod.rs").contains("is a Rust keyword"));
}

#[test]
fn a_keyword_is_not_a_valid_name() {
    let expected = "methods/move.rs: `move` is a Rust keyword and cannot be part of a method name; rename the file";
    assert_eq!(only_problem("move.rs"), expected);
    assert!(only_problem("type/x.rs").starts_with("methods/type: `type` is a Rust keyword"));
    assert!(only_problem("type/x.rs").ends_with("rename the folder"));
    for keyword in
        ["as", "async", "await", "crate", "dyn", "final", "gen", "mod", "self", "super", "true", "try", "yield"]
    {
        assert!(only_problem(&format!("{keyword}.rs")).contains("is a Rust keyword"));
    }
}

#[test]
fn an_invalid_name_is_reported_with_a_valid_one() {
    let expected = "methods/my-method.rs: the name `my-method` must begin with a letter and contain only a-z, 0-9 and `_`; rename it to `my_method.rs`";
    assert_eq!(only_problem("my-method.rs"), expected);
    assert!(only_problem("Greet.rs").ends_with("rename it to `greet.rs`"));
    assert!(only_problem("myMethod.rs").ends_with("rename it to `my_method.rs`"));
    assert!(only_problem("My Method.rs").ends_with("rename it to `my_method.rs`"));
    assert!(only_problem("My-Folder/x.rs").ends_with("rename it to `my_folder/`"));
    assert!(
        only_problem("a.b.rs")
            .ends_with("`a.b` contains a dot, and a dot in a method name is a folder; rename it to `a/b.rs`")
    );
    assert!(only_problem("v1.rs/x.rs").starts_with("methods/v1.rs: `v1.rs` contains a dot"));
    for hopeless in ["2fa.rs", "grüß.rs", "Move.rs", "a..b.rs", "a+b.rs"] {
        assert!(only_problem(hopeless).ends_with("rename the file"), "{hopeless}");
    }
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_utf_8_is_invalid() {
    use std::os::unix::ffi::OsStrExt;

    let folder = folder(&[]);
    let name = std::ffi::OsStr::from_bytes(b"gr\xff.rs");
    // Some file systems reject the name.
    if fs::write(folder.path().join("methods").join(name), ASYNC).is_ok() {
        let found = problems_in(folder.path());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with("rename the file"), "{found:?}");
    }
}

#[test]
fn reserved_names_are_rejected() {
    assert_eq!(
        only_problem("openapi/json.rs"),
        "methods/openapi/json.rs: `/openapi.json` is a URL of the server itself and cannot be a method; rename the file"
    );
    assert_eq!(
        only_problem("livez.rs"),
        "methods/livez.rs: `/livez` is a URL of the server itself and cannot be a method; rename the file"
    );
    assert!(only_problem("readyz.rs").contains("URL of the server itself"));
    assert!(only_problem("a/main.rs").contains("`main.rs` has a special meaning in Rust"));
    assert!(only_problem("lib.rs").contains("`lib.rs` has a special meaning in Rust"));
    assert!(only_problem("_shared/lib.rs").contains("`lib.rs` has a special meaning in Rust"));
    assert_eq!(names(&[("probe/livez.rs", ASYNC), ("main/x.rs", ASYNC)]), ["main.x", "probe.livez"]);
}

#[test]
fn a_file_beside_a_folder_of_the_same_name_is_rejected() {
    let found = problems(&[("account.rs", ASYNC), ("account/login.rs", ASYNC), ("_db.rs", ""), ("_db/x.rs", "")]);
    let message = "a folder beside the file has the same name, and a name is either a method or a folder of methods; rename one of the two";
    assert_eq!(found, [format!("methods/_db.rs: {message}"), format!("methods/account.rs: {message}")]);
}

#[test]
fn a_name_has_up_to_128_bytes() {
    let longest = format!("a/{}.rs", "b".repeat(126));
    assert_eq!(names(&[(&longest, ASYNC)])[0].len(), 128);
    let found = only_problem(&format!("a/{}.rs", "b".repeat(127)));
    assert!(found.ends_with("the name has 129 bytes; the maximum is 128; rename the file"), "{found}");
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_not_followed() {
    use std::os::unix::fs::symlink;

    let folder = folder(&[("greet.rs", ASYNC)]);
    let methods = folder.path().join("methods");
    std::fs::create_dir(folder.path().join("pages")).unwrap();
    symlink(folder.path().join("pages"), methods.join("pages")).unwrap();
    symlink("nothing", methods.join("dangling")).unwrap();
    assert_eq!(read(&methods, Package::default()).unwrap().methods().len(), 1);
    symlink(&methods, methods.join("loop")).unwrap();
    symlink(methods.join("greet.rs"), methods.join("hello.rs")).unwrap();
    let expected = [
        "methods/hello.rs: symbolic links are not followed; replace the link by the file",
        "methods/loop: symbolic links are not followed; replace the link by the folder",
    ];
    assert_eq!(problems_in(folder.path()), expected);
}

#[test]
fn directories_are_the_root_and_those_with_rust_files() {
    let folder = folder(&[("a/b/c.rs", ASYNC), ("_db/rows.rs", ""), ("pages/x.html", "")]);
    let methods = folder.path().join("methods");
    let tree = read(&methods, Package::default()).unwrap();
    let expected = [methods.clone(), methods.join("_db"), methods.join("a"), methods.join("a/b")];
    assert!(tree.directories().eq(expected.iter()));
}

#[test]
fn one_problem_does_not_hide_another() {
    let found = problems(&[
        ("b/no.rs", ""),
        ("My/one.rs", ASYNC),
        ("My/two.rs", "fn invoke(h: &mut H) -> Result<()> { todo!() }"),
        ("a-b.rs", "\npub const GET: u8 = 1;"),
        ("account.rs", ASYNC),
        ("account/login.rs", ASYNC),
    ]);
    let places: Vec<&str> = found.iter().map(|problem| problem.split_once(": ").unwrap().0).collect();
    let expected = [
        "methods/My",
        "methods/My/two.rs:1",
        "methods/My/two.rs:1",
        "methods/a-b.rs",
        "methods/a-b.rs",
        "methods/a-b.rs:2",
        "methods/account.rs",
        "methods/b/no.rs",
    ];
    assert_eq!(places, expected, "{found:#?}");
}

#[test]
fn check_name_enforces_the_same_rules() {
    for good in ["greet", "account.login", "a.b_1.c__", "probe.livez", "main.x"] {
        assert_eq!(check_name(good), Ok(()), "{good}");
    }
    for (bad, expected) in [
        ("", "is words joined by dots"),
        ("a..b", "is words joined by dots"),
        ("a.", "is words joined by dots"),
        ("_db.rows", "marks shared code"),
        ("a._", "marks shared code"),
        ("account.Login", "the name `Login` must begin"),
        ("a.move", "is a Rust keyword"),
        ("a/b", "must begin with a letter and contain only"),
        ("livez", "URL of the server itself"),
        ("a.lib", "has a special meaning in Rust"),
        (&"a".repeat(129), "129 bytes"),
    ] {
        let message = check_name(bad).unwrap_err().to_string();
        assert!(message.contains(expected), "{bad}: {message}");
    }
    assert_eq!(check_name("account.Login").unwrap_err().suggestion().as_deref(), Some("login"));
    assert_eq!(check_name("a.move").unwrap_err().suggestion(), None);
}
