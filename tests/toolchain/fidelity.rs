//! A method means the same in a build and in development mode: its environment, its flags, and the application around it.

use std::process::Command;

use serde_json::{Value, json};

use crate::scratch_app::{Scratch, TEXT_METHOD, cargo, rustc};
use crate::support::{Listening as _, Process, directory};

/// A method that returns what it knows of its build.
const PROBE: &str = r#"use method_sdk::prelude::*;
use std::collections::BTreeMap;

macro_rules! variables { ($($name:literal)*) => { [$(($name, format!("{:?}", option_env!($name)))),*] } }
macro_rules! options { ($($option:meta;)*) => { [$((stringify!($option), cfg!($option).to_string())),*] } }

pub async fn invoke(_: &mut Handler, _: ()) -> Result<BTreeMap<&'static str, String>> {
    let mut answers = BTreeMap::from(variables![
        "CARGO_PKG_NAME" "CARGO_PKG_VERSION" "CARGO_PKG_VERSION_MAJOR" "CARGO_PKG_VERSION_MINOR" "CARGO_PKG_VERSION_PATCH"
        "CARGO_PKG_VERSION_PRE" "CARGO_PKG_AUTHORS" "CARGO_PKG_DESCRIPTION" "CARGO_PKG_HOMEPAGE" "CARGO_PKG_REPOSITORY"
        "CARGO_PKG_LICENSE" "CARGO_PKG_RUST_VERSION" "CARGO_PKG_README" "CARGO_MANIFEST_DIR" "CARGO_MANIFEST_PATH" "CARGO_CRATE_NAME"
        "CARGO_BIN_NAME" "CARGO_PRIMARY_PACKAGE" "SHOP_ENVIRONMENT" "SHOP_SCRIPT"
    ]);
    answers.extend(options![
        shop_flag; target_flag; script_flag; feature = "default"; feature = "extra"; feature = "missing"; debug_assertions; test;
        panic = "unwind"; target_os = "linux"; target_feature = "sse2"; target_feature = "sse4.2";
    ]);
    let sum = std::panic::catch_unwind(|| std::hint::black_box(255_u8) + std::hint::black_box(1));
    answers.insert("overflow", format!("{:?}", sum.ok()));
    answers.insert("module", module_path!().to_owned());
    answers.insert("type", std::any::type_name::<crate::models::Price>().to_owned());
    answers.insert("library", crate::models::Price { cents: 250 }.to_string());
    answers.insert("generated", include_str!(concat!(env!("OUT_DIR"), "/generated.txt")).to_owned());
    Ok(answers)
}
"#;

fn probe() -> Scratch {
    let app = Scratch::new("probe");
    let manifest = std::fs::read_to_string(app.path("Cargo.toml")).unwrap();
    let manifest = manifest.replace(
        "version = \"0.1.0\"",
        "version = \"1.2.3-rc.4\"\nauthors = [\"Alice\", \"Bob\"]\ndescription = \"\"\"two\nlines, it's a `probe`\"\"\"\n\
         homepage = \"https://example.com\"\nlicense = \"MIT\"\nrust-version = \"1.90\"",
    );
    let manifest = manifest.replace("[features]\n", "[features]\ndefault = [\"extra\"]\nextra = []\n");
    let profile = "\n[profile.dev.package.probe]\noverflow-checks = false\n\n[lints.rust]\nunsafe_code = \"forbid\"\nunexpected_cfgs = \"allow\"\n";
    app.write("Cargo.toml", &(manifest + profile));
    let config = std::fs::read_to_string(app.path(".cargo/config.toml")).unwrap();
    let flags = "\n[build]\nrustflags = [\"--cfg\", \"ignored_flag\"]\n\n[target.'cfg(unix)']\nrustflags = [\"--cfg\", \"shop_flag\", \
        \"--cfg\", \"target_flag\", \"-Ctarget-feature=+sse4.2\"]\n\n[env]\nSHOP_ENVIRONMENT = \"from the configuration\"\n";
    app.write(".cargo/config.toml", &(config + flags));
    let script = "fn main() {
        println!(\"cargo::rustc-cfg=script_flag\\ncargo::rustc-env=SHOP_SCRIPT=from the 'script'\");
        let folder = std::path::PathBuf::from(std::env::var_os(\"OUT_DIR\").unwrap());
        std::fs::write(folder.join(\"generated.txt\"), \"generated\").unwrap();
        method_build::generate();
    }";
    app.write("build.rs", script);
    app.write(
        "src/models.rs",
        "pub struct Price { pub cents: u32 }\nimpl std::fmt::Display for Price {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, \"{} cents\", self.cents) }
    }\n",
    );
    let library = std::fs::read_to_string(app.path("src/lib.rs")).unwrap();
    let library = format!(
        "#![forbid(unsafe_code)]\npub mod models;\npub fn count() -> usize {{ methods().table.len() }}\n{library}"
    );
    app.write("src/lib.rs", &library);
    app.write("methods/shop/probe.rs", PROBE);
    app
}

async fn answers(server: &Process) -> Value {
    let reply = server.api().call("shop.probe", json!({})).await;
    assert_eq!(reply.code(), 0, "{}\n{}", reply.json(), server.log());
    reply.result()
}

#[tokio::test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
async fn a_method_has_the_same_answers_in_a_build_and_in_development_mode() {
    let app = probe();
    // A folder of its own: with other flags, the shared library of the SDK is another under the same name.
    let target = app.path("target");
    let program = target.join("debug/probe");
    let in_target = |mut command: Command| {
        command.env("CARGO_TARGET_DIR", &target).env("CARGO_NET_OFFLINE", "true");
        command
    };
    let output = in_target(app.command("build")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built = answers(&Process::start(&directory(), &program, &[])).await;
    assert!(built.as_object().unwrap().len() > 30, "{built}");
    for (name, expected) in [
        ("shop_flag", "true"),
        ("script_flag", "true"),
        ("target_feature = \"sse4.2\"", "true"),
        ("feature = \"extra\"", "true"),
        ("SHOP_ENVIRONMENT", "Some(\"from the configuration\")"),
        ("SHOP_SCRIPT", "Some(\"from the 'script'\")"),
        ("overflow", "Some(0)"),
        ("library", "250 cents"),
        ("generated", "generated"),
    ] {
        assert_eq!(built[name], expected, "{name}");
    }

    // Built before it is started, because a test waits for a server, not for a build.
    let output = in_target(app.command("build")).args(["--features", "dev"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dev = in_target(cargo(app.directory.path(), "dev"));
    let server = Process::start_command(&app.directory, dev, &["--log-format=auto"]);
    assert_eq!(answers(&server).await, built, "cargo dev");
    drop(server);
    let server = Process::start_command(&directory(), in_target(Command::new(program)), &["--log-format=auto", "dev"]);
    assert_eq!(answers(&server).await, built, "a direct start");

    // An error in the application's library is that of every method, and is reported once.
    app.write("src/models.rs", "broken");
    app.write("methods/shop/probe.rs", &format!("{PROBE}\n"));
    server.wait_for_log("src/models.rs changed, and cannot be loaded into a running server");
    server.wait_for_log("src/models.rs:1");
}

#[test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
fn another_compiler_than_the_programs_is_named_with_both_versions() {
    let app = Scratch::new("other_compiler");
    app.write("methods/a.rs", &TEXT_METHOD.replace("TEXT", "one"));
    let output = app.command("build").args(["--features", "dev"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The compiler of this build, which says that it is another.
    let other = app.path("rustc");
    let script = format!(
        "#!/bin/sh\ncase $1 in --print) echo /nonexistent ;; *) {} \"$@\" | sed 's/^rustc [^ ]*/rustc 1.2.3/' ;; esac\n",
        rustc().display()
    );
    app.write("rustc", &script);
    std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = Command::new(app.binary())
        .args(["dev", "--port=0"])
        .current_dir(directory().path())
        .env("RUSTC", other)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap();
    assert!(
        !output.status.success() && last.contains("was built by rustc 1.") && last.contains("is rustc 1.2.3 ("),
        "{text}"
    );
}
