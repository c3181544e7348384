//! Generated applications of the framework, in folders of their own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::artifacts::Workspace;
use crate::command::run;
use crate::http;
use crate::process::Process;

/// The groups over which the methods of a tree are distributed.
const GROUPS: usize = 10;

/// An application.
pub struct App {
    pub folder: PathBuf,
    pub name: String,
    /// Cargo's target folder.
    target: PathBuf,
    /// Changes to the profile of the run, for Cargo's `--config`.
    config: Vec<String>,
}

impl App {
    /// Writes an application without methods, which shares the dependencies that the server was built with. `databases` are the features of
    /// the server, separated by commas.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub fn new(root: &Path, folder: PathBuf, name: &str, databases: &str) -> Result<Self> {
        let app = App { folder, name: name.to_owned(), target: root.join("target"), config: Vec::new() };
        let root = root.display();
        let features: Vec<&str> = databases.split(',').collect();
        app.write(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[features]\ndev = [\"simpleapi-server/dev\"]\n\n[dependencies]\nmethod-sdk = {{ path = \"{root}/method-sdk\", default-features = false }}\nsimpleapi-server = {{ path = \"{root}/server\", default-features = false, features = {features:?} }}\nserde = {{ version = \"1.0\", features = [\"derive\"] }}\n\n[build-dependencies]\nmethod-build = {{ path = \"{root}/method-sdk/build\" }}\n\n[profile.dev.package.argon2]\nopt-level = 3\n\n[profile.dev.package.blake2]\nopt-level = 3\n"
            ),
        )?;
        fs::copy(format!("{root}/Cargo.lock"), app.folder.join("Cargo.lock"))?;
        app.write("build.rs", "fn main() { method_build::generate(); }\n")?;
        app.write("src/lib.rs", "include!(concat!(env!(\"OUT_DIR\"), \"/methods.rs\"));\n")?;
        app.write(
            "src/main.rs",
            &format!("fn main() -> std::process::ExitCode {{ simpleapi_server::main({name}::methods()) }}\n"),
        )?;
        Ok(app)
    }

    /// Writes an application of one method, which streams.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub fn streaming(workspace: &Workspace) -> Result<Self> {
        let app = App::new(&workspace.root, workspace.folder.join("streaming"), "streaming", "sqlite")?;
        app.write("methods/stream.rs", STREAM_METHOD)?;
        Ok(app)
    }

    /// Writes an application of `methods` methods with typed parameters and answers, and with SQLite alone.
    ///
    /// It is built without link-time optimisation and in 16 units: with the profile of production, 10,000 methods would take an hour.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub fn tree(workspace: &Workspace, methods: usize) -> Result<Self> {
        let parent = workspace.folder.join("trees");
        let name = format!("tree{methods}");
        let mut app = App::new(&workspace.root, parent.join(&name), &name, "sqlite")?;
        app.target = parent.join("target");
        let profile = &workspace.profile;
        app.config = vec![format!("profile.{profile}.lto=\"off\""), format!("profile.{profile}.codegen-units=16")];
        for number in 0..methods {
            app.write(&format!("methods/group{}/m{number}.rs", number % GROUPS), &greeting_method(number))?;
        }
        Ok(app)
    }

    /// Returns calls of some methods of a tree, evenly distributed over it.
    pub fn tree_requests(methods: usize, calls: usize) -> Vec<Vec<u8>> {
        let call = |call: usize| {
            let number = call * methods / calls;
            let method = format!("group{}.m{number}", number % GROUPS);
            http::post("/", &http::envelope(&method, r#"{"name":"alice"}"#), None)
        };
        (0..calls).map(call).collect()
    }

    /// Writes a file, unless it has the text already: Cargo would build it again.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.folder.join(file);
        if fs::read_to_string(&path).is_ok_and(|present| present == text) {
            return Ok(());
        }
        fs::create_dir_all(path.parent().context("the file is in a folder")?)?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Makes Cargo build the application again, without its dependencies.
    ///
    /// # Errors
    /// Returns an error if the file cannot be changed.
    pub fn touch(&self) -> Result<()> {
        File::options().append(true).open(self.folder.join("src/lib.rs"))?.set_modified(SystemTime::now())?;
        Ok(())
    }

    /// Builds the application with the profile of the run.
    ///
    /// # Errors
    /// Returns an error if the build fails.
    pub fn build(&self, workspace: &Workspace) -> Result<()> {
        let mut cargo = workspace.cargo(&self.folder, &self.target);
        cargo.arg("--config").arg(workspace.profile_file()?);
        for change in &self.config {
            cargo.arg("--config").arg(change);
        }
        run(&mut cargo, &workspace.interrupt)
    }

    /// Returns the program that `build` builds.
    pub fn program(&self, workspace: &Workspace) -> PathBuf {
        workspace.binary(&self.target, &self.name)
    }

    /// Starts the program with a database in its folder.
    ///
    /// # Errors
    /// Returns an error if it does not start.
    pub fn start(&self, workspace: &Workspace, port: u16, arguments: &[String], request: &[u8]) -> Result<Process> {
        let log = workspace.folder.join(format!("data/{port}.log"));
        let database = format!("--sqlite_path={}", self.folder.join("bench.db").display());
        let arguments = [arguments, &[database]].concat();
        Process::start(&self.program(workspace), &arguments, port, log, request, &workspace.interrupt)
    }
}

/// Returns the source of a method whose parameters and result are typed JSON.
pub fn greeting_method(version: usize) -> String {
    format!(
        r#"//! Greets the caller.
use method_sdk::prelude::*;

#[derive(Deserialize)]
pub struct Params {{
    pub name: String,
    pub times: Option<u32>,
}}

#[derive(Serialize)]
pub struct Answer {{
    pub greeting: String,
    pub version: u32,
}}

pub async fn invoke(_: &mut Handler, params: Params) -> Result<Answer> {{
    if params.name.is_empty() {{
        return Err(Error::new(2001, "A name must not be empty"));
    }}
    let greeting = format!("hello {{}}", params.name).repeat(params.times.unwrap_or(1) as usize);
    Ok(Answer {{ greeting, version: {version} }})
}}
"#
    )
}

/// A method that streams as many lines as its caller wants.
const STREAM_METHOD: &str = r#"//! Streams lines of 16 bytes.
use method_sdk::prelude::*;

#[derive(Deserialize)]
pub struct Params {
    pub chunks: u32,
}

pub async fn invoke(handler: &mut Handler, params: Params) -> Result<()> {
    for n in 0..params.chunks {
        handler.write(format!("{n:015}\n")).await?;
    }
    handler.finish().await
}
"#;
