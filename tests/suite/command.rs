//! The command line of a built server.

use std::path::Path;
use std::process::{Command, Output};

#[cfg(feature = "sqlite")]
use crate::support::Process;
use crate::support::{directory, root, server_binary};

/// A test of the server compares it with the table of keys.
const SERVER_CONF: &str = include_str!("../../server.conf");

fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(server_binary()).current_dir(directory).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_shows_every_option_with_its_default_and_every_command() {
    let help = run(directory().path(), &["--help"]);
    let text = stdout(&help);
    assert!(help.status.success());
    let keys: Vec<_> = SERVER_CONF
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' '))?.split_once('='))
        .collect();
    assert!(!keys.is_empty());
    for (key, default) in keys {
        assert!(text.contains(&format!("--{key}")), "{key}");
        assert!(text.contains(default), "{key}: {default}");
    }
    for command in ["methods", "new", "openapi", "client", "contract", "init", "check", "serve", "account", "import"] {
        assert!(text.contains(command), "{command}");
        assert!(run(directory().path(), &[command, "--help"]).status.success());
    }
}

#[test]
fn output_into_a_full_device_is_a_failure() {
    let directory = directory();
    for arguments in
        [&["--help"][..], &["methods"], &["check"], &["account", "list"], &["new", "a.b"], &["account", "--help"]]
    {
        let _ = std::fs::create_dir(directory.path().join("methods"));
        std::fs::write(directory.path().join("Cargo.toml"), "").unwrap();
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(server_binary());
        let output = command.current_dir(directory.path()).args(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let message = "server: cannot write to standard output: No space left on device (os error 28)\n";
        assert_eq!(stderr(&output), message, "{arguments:?}");
    }
}

#[test]
fn methods_lists_each_method_with_its_file_and_description() {
    let text = stdout(&run(directory().path(), &["methods"]));
    assert_eq!(text.lines().count(), simpleapi::methods().table.len());
    let login = text.lines().find(|line| line.starts_with("account.login ")).unwrap();
    assert!(login.contains("methods/account/login.rs") && login.ends_with("Opens a session for an existing account."));
}

#[test]
fn new_creates_a_file_once_and_refuses_an_invalid_method_name() {
    let directory = directory();
    let path = directory.path();
    let refused = stderr(&run(path, &["new", "a.b"]));
    assert!(
        refused.contains(&format!("no folder `methods` beside a Cargo.toml in {} or above", path.display())),
        "{refused}"
    );
    std::fs::create_dir(path.join("methods")).unwrap();
    std::fs::write(path.join("Cargo.toml"), "").unwrap();
    assert!(stdout(&run(path, &["new", "shop.cart.add"])).contains("created methods/shop/cart/add.rs"));
    let written = std::fs::read_to_string(path.join("methods/shop/cart/add.rs")).unwrap();
    assert!(written.contains("pub async fn invoke(") && written.starts_with("//!"));
    for (name, problem) in [
        ("shop.cart.add", "methods/shop/cart/add.rs already exists"),
        ("shop.cart", "methods/shop/cart already exists"),
        ("shop.cart.add.more", "methods/shop/cart/add.rs is already a method"),
        ("shop.move", "keyword"),
        ("Shop", "`Shop`"),
        ("../x", "is not a valid method name"),
        ("", "is not a valid method name"),
        ("livez", "livez"),
    ] {
        let refused = run(path, &["new", name]);
        assert_eq!(refused.status.code(), Some(2), "{name}");
        assert!(stderr(&refused).contains(problem), "{name}: {}", stderr(&refused));
    }
    assert!(!path.join("x.rs").exists());
    let created = stdout(&run(&path.join("methods/shop/cart"), &["new", "shop.cart.remove"]));
    assert!(created.contains(&format!("created {}", path.join("methods/shop/cart/remove.rs").display())), "{created}");
}

#[test]
fn openapi_prints_the_document_of_the_application_that_the_folder_is_in() {
    let document = run(&root().join("methods/demo"), &["openapi"]);
    assert!(document.status.success() && stderr(&document).is_empty(), "{}", stderr(&document));
    let document: serde_json::Value = serde_json::from_str(&stdout(&document)).unwrap();
    assert_eq!(document["info"]["title"], "simpleapi");
    assert_eq!(document["paths"].as_object().unwrap().len(), simpleapi::methods().table.len());
    let parameters = &document["components"]["schemas"]["demo.hello.Params"];
    assert_eq!(parameters["properties"]["name"]["type"], "string");

    let directory = directory();
    let path = directory.path();
    let refused = run(path, &["openapi"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("there is no folder `methods` beside a Cargo.toml in"), "{}", stderr(&refused));
    std::fs::create_dir(path.join("methods")).unwrap();
    std::fs::write(path.join("Cargo.toml"), "").unwrap();
    std::fs::write(path.join("methods/a.rs"), "pub async fn invoke(_: &mut Handler, _: x::Y) -> Result<u8> {}")
        .unwrap();
    let document = run(path, &["openapi"]);
    assert!(document.status.success());
    let expected = "server: a/parameters is any JSON: `x::Y` is of another package, or made by a macro\n";
    assert_eq!(stderr(&document), expected);
    std::fs::write(path.join("methods/b.rs"), "").unwrap();
    let refused = run(path, &["openapi"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("methods/b.rs: the function `invoke` is missing"), "{}", stderr(&refused));
}

#[test]
fn client_writes_its_own_files_and_no_others() {
    let (directory, methods) = (directory(), root().join("methods"));
    let path = directory.path();
    for (language, files) in [("typescript", &["api.ts", "runtime.ts"][..]), ("python", &["api.py"])] {
        let target = path.join("new/folder").join(language);
        let arguments = ["client", language, target.to_str().unwrap()];
        let written = run(&methods, &arguments);
        assert!(written.status.success(), "{}", stderr(&written));
        assert!(stdout(&written).starts_with("wrote ") && stdout(&written).contains(files[0]), "{}", stdout(&written));
        for file in files {
            let text = std::fs::read_to_string(target.join(file)).unwrap();
            std::fs::write(target.join(file), format!("{text}\n// an earlier version\n")).unwrap();
            assert!(run(&methods, &arguments).status.success());
            assert_eq!(std::fs::read_to_string(target.join(file)).unwrap(), text);
            std::fs::write(target.join(file), "mine").unwrap();
            let refused = run(&methods, &arguments);
            assert_eq!(refused.status.code(), Some(2));
            assert!(
                stderr(&refused).contains("exists and is no generated client; choose another folder"),
                "{}",
                stderr(&refused)
            );
            std::fs::write(target.join(file), text).unwrap();
        }
    }
    std::fs::write(path.join("file"), "").unwrap();
    let refused = run(&methods, &["client", "python", path.join("file").to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).starts_with("server: cannot write "), "{}", stderr(&refused));
}

#[test]
fn contract_names_the_changes_that_break_callers_until_they_are_accepted() {
    let directory = directory();
    let path = directory.path();
    std::fs::create_dir(path.join("methods")).unwrap();
    std::fs::write(path.join("Cargo.toml"), "").unwrap();
    let save = |answer: &str| {
        let text = format!(
            "use method_sdk::prelude::*;\npub async fn invoke(_: &mut Handler, _: ()) -> Result<{answer}> {{}}\n"
        );
        std::fs::write(path.join("methods/a.rs"), text).unwrap();
    };
    save("u8");
    let missing = run(path, &["contract", "check"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("there is no contract.json in"), "{}", stderr(&missing));
    assert_eq!(stdout(&run(path, &["contract", "accept"])), "wrote contract.json, with 1 method\n");
    assert_eq!(stdout(&run(path, &["contract", "check"])), "no change breaks the callers of 1 method\n");

    // The files need not compile, but they must be Rust.
    save("Option<u8>");
    let refused = run(path, &["contract", "check"]);
    assert_eq!(refused.status.code(), Some(1));
    let expected = "server: methods/a.rs:2: a: the answer may be null now\nserver: these changes break callers; undo them, or accept them with `server contract accept`\n";
    assert_eq!(stderr(&refused), expected);
    let accepted = stdout(&run(path, &["contract", "accept"]));
    assert_eq!(
        accepted,
        "accepted: methods/a.rs:2: a: the answer may be null now\nwrote contract.json, with 1 method\n"
    );
    save("u8");
    let hint = "no change breaks the callers of 1 method; `server contract accept` adds what is new\n";
    assert_eq!(stdout(&run(path, &["contract", "check"])), hint);
    save("<<");
    assert!(stderr(&run(path, &["contract", "check"])).contains("methods/a.rs is not valid Rust"));
    save("u8");
    std::fs::write(path.join("contract.json"), "{").unwrap();
    let invalid = run(path, &["contract", "check"]);
    assert!(stderr(&invalid).starts_with("server: contract.json: EOF while parsing"), "{}", stderr(&invalid));
}

#[test]
fn init_writes_an_application_into_an_empty_folder_alone() {
    let directory = directory();
    let path = directory.path();
    let created = run(path, &["init", "my-shop"]);
    let app = path.join("my-shop");
    assert!(created.status.success(), "{}", stderr(&created));
    assert!(stdout(&created).starts_with("created the application my-shop: 16 files\n"), "{}", stdout(&created));
    assert!(stdout(&created).contains("    cd my-shop\n    cargo dev"), "{}", stdout(&created));
    let read = |file: &str| std::fs::read_to_string(app.join(file)).unwrap();
    assert!(read("Cargo.toml").contains("name = \"my-shop\"") && read("src/main.rs").contains("my_shop::methods()"));
    assert!(read("Cargo.toml").contains(&format!("method-sdk = {{ path = \"{}/method-sdk\"", root().display())));
    for file in ["Cargo.toml", "README.md", "src/main.rs", "tests/methods.rs"] {
        for placeholder in ["{name}", "{crate}", "{method-sdk}", "{server}", "{method-build}"] {
            assert!(!read(file).contains(placeholder), "{file}: {placeholder}");
        }
    }
    for (folder, problem) in [
        ("my-shop", "my-shop is not empty; choose a new folder"),
        ("my-shop/README.md", "is called `README.md`, which cannot be the name of a package"),
        ("My-Shop", "use lower-case letters, digits, `-` and `_`, beginning with a letter"),
        ("1shop", "use lower-case letters"),
        ("sh\u{f6}p", "use lower-case letters"),
        ("serde", "a package or a program below it has this name already"),
        ("method_sdk", "a package or a program below it has this name already"),
        ("match", "keyword"),
        ("..", "cannot be the name of a package"),
        ("", "cannot be the name of a package"),
    ] {
        let refused = run(path, &["init", folder]);
        assert_eq!(refused.status.code(), Some(2), "{folder}");
        assert!(stderr(&refused).contains(problem), "{folder}: {}", stderr(&refused));
    }
    std::fs::write(path.join("file"), "").unwrap();
    assert!(stderr(&run(path, &["init", "file"])).contains("file is not a folder; choose another name"));
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 2, "nothing else was written");

    // A folder with a new git repository is empty, and packages may come from another one.
    std::fs::create_dir_all(path.join("of-git/.git")).unwrap();
    let created = run(path, &["init", "of-git", "--git=https://example.com/server.git"]);
    assert!(created.status.success(), "{}", stderr(&created));
    let manifest = std::fs::read_to_string(path.join("of-git/Cargo.toml")).unwrap();
    assert!(manifest.contains("method-build = { git = \"https://example.com/server.git\""), "{manifest}");
    let notes = run(path, &["init", "my-notes", "--template=notes"]);
    assert!(stdout(&notes).starts_with("created the application my-notes: 31 files\n"), "{}", stderr(&notes));
    let client = std::fs::read_to_string(path.join("my-notes/web/api.ts")).unwrap();
    assert!(client.starts_with("// The client of my-notes.") && client.contains("readonly notes: {"), "{client}");
    assert_eq!(run(path, &["init", "x", "--template=shop"]).status.code(), Some(2));
    let refused = run(path, &["init", "other", "--git=\"\nx"]);
    assert!(stderr(&refused).contains("cannot be a URL in Cargo.toml") && !path.join("other").exists());
    // A file that cannot be written, here the lock file as the largest, leaves none of the others.
    let limited = "ulimit -f 40; trap '' XFSZ; exec \"$0\" init full";
    let mut limited_server = Command::new("sh");
    let refused = limited_server.args(["-c", limited]).arg(server_binary()).current_dir(path).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("full/Cargo.lock: File too large"), "{}", stderr(&refused));
    assert!(!path.join("full").exists(), "nothing is left of it");
}

#[cfg(feature = "sqlite")]
#[test]
fn check_reports_the_database_and_configuration_errors() {
    let directory = directory();
    let path = directory.path();
    let good = run(path, &["check"]);
    assert!(
        good.status.success()
            && stdout(&good).contains(&format!("configuration: ok (no server.conf in {})", path.display()))
            && stdout(&good).contains("database: sqlite in simpleapi.db, ok"),
        "{}",
        stderr(&good)
    );
    for (sqlite_path, problem) in [
        ("no/such/folder/x.db", "invalid `sqlite_path`: the directory `no/such/folder` does not exist; create it"),
        (".", "invalid `sqlite_path`: `.` is a directory; name a file in it"),
        (":memory:", "invalid `sqlite_path`: `:memory:` is not the path of a file"),
        ("file::memory:?cache=shared", "invalid `sqlite_path`: `file::memory:?cache=shared` is not the path of a file"),
    ] {
        for command in ["check", "serve"] {
            let refused = run(path, &[command, "--port=0", "--sqlite_path", sqlite_path]);
            assert_eq!(refused.status.code(), Some(1), "{sqlite_path}");
            assert!(stderr(&refused).contains(problem), "{}", stderr(&refused));
        }
    }
    assert_eq!(run(path, &["check", "--sqlite_path="]).status.code(), Some(2), "no path");
    std::fs::write(path.join("text.db"), "this is not a database, by any means at all").unwrap();
    assert!(stderr(&run(path, &["check", "--sqlite-path=text.db"])).contains("text.db"));
    std::fs::write(path.join("server.conf"), "prot=1\n").unwrap();
    let wrong = run(path, &["check"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("server.conf:1") && stderr(&wrong).contains("`port`"), "{}", stderr(&wrong));
    assert!(run(path, &["methods"]).status.success(), "works beside a broken server.conf");
}

#[cfg(feature = "sqlite")]
#[test]
fn commands_below_an_application_use_its_folder() {
    let directory = directory();
    let app = directory.path();
    let below = app.join("methods/shop");
    std::fs::create_dir_all(&below).unwrap();
    std::fs::write(app.join("Cargo.toml"), "").unwrap();
    let check = |folder: &Path, options: &[&str]| stdout(&run(folder, &[&["check"], options].concat()));

    let report = check(&below, &[]);
    assert!(report.contains(&format!("configuration: ok (no server.conf in {})", app.display())), "{report}");
    assert!(report.contains(&format!("sqlite in {}, ok", app.join("simpleapi.db").display())), "{report}");
    std::fs::write(app.join("server.conf"), "sqlite_path=conf.db\n").unwrap();
    let report = check(&below, &[]);
    assert!(report.contains(&format!("configuration: ok ({})", app.join("server.conf").display())), "{report}");
    assert!(report.contains(&format!("sqlite in {}, ok", app.join("conf.db").display())), "{report}");
    assert!(check(app, &[]).contains("configuration: ok (server.conf)\ndatabase: sqlite in conf.db, ok"));

    // What a person types is relative to the folder in which they type it.
    assert!(check(&below, &["--sqlite_path=typed.db"]).contains("sqlite in typed.db, ok"));
    std::fs::write(below.join("own.conf"), "").unwrap();
    assert!(check(&below, &["--config=own.conf"]).contains("configuration: ok (own.conf)"));
    assert!(check(&below, &["--config=../../server.conf"]).contains("configuration: ok (../../server.conf)"));
    let mut found: Vec<_> = std::fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, ["own.conf", "typed.db"], "no other database was created");
    std::fs::write(app.join("server.conf"), "sqlite_path=:memory:\n").unwrap();
    let refused = run(&below, &["check"]);
    assert!(stderr(&refused).contains("`:memory:` is not the path of a file"), "{}", stderr(&refused));
    std::fs::write(app.join("server.conf"), "prot=1\n").unwrap();
    let refused = stderr(&run(&below, &["check"]));
    assert!(refused.contains(&format!("{}:1: unknown key `prot`", app.join("server.conf").display())), "{refused}");
}

#[cfg(feature = "sqlite")]
#[test]
fn check_warns_of_method_files_that_are_not_formatted() {
    let directory = directory();
    let app = directory.path();
    std::fs::create_dir_all(app.join("methods/a")).unwrap();
    std::fs::create_dir_all(app.join("src")).unwrap();
    std::fs::write(app.join("src/lib.rs"), "").unwrap();
    std::fs::write(app.join("Cargo.toml"), "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .unwrap();
    std::fs::write(app.join("methods/good.rs"), "pub fn invoke() {}\n").unwrap();
    let check = || {
        let check = run(app, &["check"]);
        assert!(check.status.success(), "a warning");
        stderr(&check)
    };
    assert_eq!(check(), "");
    std::fs::write(app.join("methods/a/b.rs"), "pub fn invoke(){}\n").unwrap();
    assert_eq!(check(), "server: methods/a/b.rs is not formatted; run `rustfmt --edition 2024 methods/a/b.rs`\n");
    std::fs::write(app.join("methods/_c.rs"), "pub fn shared(){}\n").unwrap();
    let two = check();
    assert!(two.starts_with("server: 2 method files are not formatted; run `rustfmt --edition 2024 methods/"), "{two}");
    for number in 0..10 {
        std::fs::write(app.join(format!("methods/m{number}.rs")), "pub fn invoke(){}\n").unwrap();
    }
    let many = "server: 12 method files are not formatted; run `find methods -name '*.rs' -exec rustfmt --edition 2024 {} +`\n";
    assert_eq!(check(), many);
    // A file that is not Rust is an error of the build, not of its form.
    std::fs::remove_dir_all(app.join("methods")).unwrap();
    std::fs::create_dir(app.join("methods")).unwrap();
    std::fs::write(app.join("methods/broken.rs"), "pub fn (").unwrap();
    assert_eq!(check(), "");
}

#[cfg(feature = "sqlite")]
#[test]
fn demo_methods_beyond_loopback_are_a_warning() {
    let warning = |address: &str| {
        format!("6 demo methods are served beyond loopback, on {address}; delete `methods/demo` before production")
    };
    for (address, expected) in [
        ("0.0.0.0", warning("0.0.0.0")),
        ("::", warning("::")),
        ("127.0.0.1", String::new()),
        ("::1", String::new()),
        ("::ffff:127.0.0.1", String::new()),
    ] {
        let check = run(directory().path(), &["check", "--address", address]);
        let text = stderr(&check);
        assert!(check.status.success(), "{text}");
        assert_eq!(text.is_empty(), expected.is_empty(), "{text}");
        assert!(text.contains(&expected), "{text}");
    }
    let start = |options: &[&str]| {
        let process = Process::start(&directory(), &server_binary(), options);
        process.wait_for_log("listening");
        process.log()
    };
    let log = start(&["--address=0.0.0.0"]);
    assert!(log.contains(&warning("0.0.0.0")), "{log}");
    let log = start(&[]);
    assert!(!log.contains("demo methods"), "{log}");
}

#[cfg(feature = "sqlite")]
#[test]
fn check_warns_of_an_address_that_other_machines_reach() {
    let [proxy, signatures] = ["list it in `trusted_proxies`", "signatures of version 1"];
    for (options, expected) in [
        (&["--address=0.0.0.0"][..], [true, true]),
        (&["--address=0.0.0.0", "--trusted_proxies=10.0.0.1"], [false, true]),
        (&["--address=127.0.0.1"], [false, false]),
    ] {
        let check = run(directory().path(), &[&["check"], options].concat());
        let text = stderr(&check);
        assert!(check.status.success(), "{text}");
        assert_eq!([text.contains(proxy), text.contains(signatures)], expected, "{text}");
    }
}

/// The databases of this build; the server rejects the others before it reads their keys.
fn is_included(options: &[&str]) -> bool {
    let included = [
        ("--database=mongodb", cfg!(feature = "mongodb")),
        ("--database=mysql", cfg!(feature = "mysql")),
        ("--database=postgres", cfg!(feature = "postgres")),
    ];
    included.iter().any(|(option, is_included)| options.contains(option) && *is_included)
}

#[test]
fn an_unconfigured_database_is_refused_with_the_missing_keys() {
    for (options, problem) in [
        (&["--database=mysql"][..], "`database=mysql` requires `mysql_user` or `mysql_url`"),
        (
            &["--database=mysql", "--mysql_user=a", "--mysql-host=a:b"],
            "invalid `mysql_host`: `a:b` is neither a host nor a host and a port",
        ),
        (&["--database=mysql", "--mysql_url=mysql://[x"], "invalid `mysql_url`"),
        (
            &["--database=postgres"],
            "`database=postgres` requires `postgres_url=postgres://USER:PASSWORD@HOST/DATABASE`",
        ),
        (&["--database=postgres", "--postgres_url=postgres://[x"], "invalid `postgres_url`"),
        (&["--database=mongodb", "--mongodb_url=mongodb://"], "invalid `mongodb_url`"),
        // A slash in a password ends that part of the URL.
        (&["--database=mongodb", "--mongodb_url=mongodb://u:very-secret/@h/d"], "`%2F` for a `/` in the password"),
        (&["--database=mongodb", "--mongodb_url=mongodb://u:v/very-secret@h/d"], "invalid `mongodb_url`"),
        (&["--database=mysql", "--mysql_url=mysql://u:very-secret/@h/d"], "invalid `mysql_url`"),
        (&["--database=postgres", "--postgres_url=postgres://u:very-secret/@h/d"], "invalid `postgres_url`"),
    ] {
        let refused = run(directory().path(), options);
        assert_eq!(refused.status.code(), Some(1), "{options:?}");
        if !is_included(options) {
            assert!(stderr(&refused).contains("this build does not include"), "{}", stderr(&refused));
            continue;
        }
        assert!(!stderr(&refused).contains("very-secret"), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(problem), "{options:?}: {}", stderr(&refused));
    }
}

#[test]
fn check_reports_an_unreachable_database() {
    for options in [
        &["--database=mysql", "--mysql_url=mysql://u:very-secret@127.0.0.1:1/d"][..],
        &["--database=postgres", "--postgres_url=postgres://u:very-secret@127.0.0.1:1/d"],
        &["--database=mongodb", "--mongodb_url=mongodb://u:very-secret@127.0.0.1:1/d", "--database_timeout=2s"],
    ] {
        let refused = run(directory().path(), &[&["check"], options].concat());
        assert_eq!(refused.status.code(), Some(1));
        let text = stderr(&refused);
        if !is_included(options) {
            assert!(text.contains("this build does not include"), "{text}");
            continue;
        }
        assert!(text.contains("127.0.0.1:1") && text.contains("refused"), "{text}");
        assert!(!text.contains("very-secret"), "{text}");
    }
}

#[test]
fn an_unverified_connection_to_a_database_on_another_machine_is_a_warning() {
    // 192.0.2.1 is reserved for documentation: nothing answers.
    for (options, add) in [
        (&["--database=mysql", "--mysql_url=mysql://u:very-secret@192.0.2.1/d"][..], "ssl-mode=VERIFY_IDENTITY"),
        (&["--database=postgres", "--postgres_url=postgres://u:very-secret@192.0.2.1/d"], "sslmode=verify-full"),
        (&["--database=mongodb", "--mongodb_url=mongodb://u:very-secret@192.0.2.1/d"], "tls=true"),
        (&["--database=postgres", "--postgres_url=postgres://u:p@192.0.2.1/d?sslmode=verify-full"], ""),
        (&["--database=mysql", "--mysql_host=127.0.0.1:1", "--mysql_user=u"], ""),
    ] {
        if !is_included(options) {
            continue;
        }
        let output = run(directory().path(), &[&["check", "--database_timeout=1s"], options].concat());
        let text = stderr(&output);
        assert!(!text.contains("very-secret"), "{text}");
        assert_eq!(text.contains("does not verify the certificate"), !add.is_empty(), "{text}");
        assert!(text.contains(add), "{text}");
    }
}

#[test]
fn a_port_in_use_is_reported_with_the_option_to_change() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--port={}", taken.local_addr().unwrap().port());
    let refused = run(directory().path(), &[&port]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("the address is in use; choose another port with `--port`"),
        "{}",
        stderr(&refused)
    );
}

#[cfg(feature = "sqlite")]
#[test]
fn a_database_of_a_newer_server_is_not_changed() {
    let directory = directory();
    assert!(run(directory.path(), &["check"]).status.success());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options =
            method_sdk::sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join("simpleapi.db"));
        let pool = method_sdk::sqlx::SqlitePool::connect_with(options).await.unwrap();
        method_sdk::sqlx::query("PRAGMA user_version = 99").execute(&pool).await.unwrap();
        pool.close().await;
    });
    let refused = run(directory.path(), &["check"]);
    assert!(
        stderr(&refused).contains("its schema has version 99, but this server supports versions up to 3"),
        "{}",
        stderr(&refused)
    );
}
