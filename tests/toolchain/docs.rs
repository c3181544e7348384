//! The examples in README.md and docs/*.md: Rust blocks compile, and shell blocks run against a server with these methods.
//!
//! Each page is an application of its own: the repository's `methods/` with the methods of the page. The words after the
//! language of a block say how it is tested:
//!
//! | block | |
//! |---|---|
//! | ```` ```rust methods/greet.rs ```` | this file of the application (also `src/main.rs`, `build.rs`, `tests/notes.rs`, ..) |
//! | ```` ```sql migrations/sqlite/0001_notes.sql ```` | this file of the application |
//! | ```` ```rust ```` with an `invoke` | a method in a file of its own |
//! | ```` ```rust ```` otherwise | statements in an async function with `handler` in scope, which may use `?` |
//! | ```` ```rust ignore ```` | is not compiled |
//! | ```` ```console ```` | commands after `$ `, each followed by its expected output |
//! | ```` ```sh ```` | a script, which must succeed |
//! | ```` ```text output ```` | the expected output of the script before it |
//! | ```` ```console no_run ````, ```` ```sh no_run ```` | is not run |
//!
//! All shell blocks of a page run in order, in one `bash -eu`, in an empty folder, against one server with an empty database. Port
//! 8888 stands for the server's port, and `server` is its program. In expected output `...` stands for any text, and a line that
//! is only `...` for any lines. A line after `$ ` that ends with `\` is continued on the next one.
//!
//! The application is called `simpleapi`, or `NAME` if the page says `NAME::methods()`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use tempfile::TempDir;

use crate::scratch_app::{Scratch, copy_folder};
use crate::support::{Listening as _, Process, directory, root};

/// A fenced block of a page.
struct Block {
    language: String,
    /// The words after the language.
    marks: Vec<String>,
    text: String,
    /// The line of the page on which the block begins.
    line: usize,
}

impl Block {
    fn has(&self, mark: &str) -> bool {
        self.marks.iter().any(|word| word == mark)
    }
}

/// A command of a `console` block, with its expected output, or a script without one.
struct Step {
    command: String,
    output: Option<String>,
    line: usize,
}

fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    pages.sort();
    pages.insert(0, root().join("README.md"));
    pages
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let mut words = info.split_whitespace().map(str::to_owned);
        let language = words.next().unwrap_or_default();
        let body = lines.by_ref().map(|(line, _)| line).take_while(|line| line.trim() != "```");
        let text = body.map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n").collect();
        blocks.push(Block { language, marks: words.collect(), text, line: number });
    }
    blocks
}

/// Creates the application of a page.
fn application(text: &str) -> Scratch {
    let before = text.split("::methods()").next().filter(|before| before.len() < text.len()).unwrap_or_default();
    let name = before.rsplit(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap_or_default();
    let app = Scratch::new(if name.is_empty() { "simpleapi" } else { name });
    copy_folder(&root().join("methods"), &app.path("methods"));
    let manifest = std::fs::read_to_string(app.path("Cargo.toml")).unwrap();
    let tests = format!(
        "[dev-dependencies]\nserde_json = \"1.0\"\nsimpleapi-server = {{ path = \"{}/server\", default-features = false, features = [\"testing\"] }}\ntokio = {{ version = \"1\", features = [\"full\"] }}\n\n[features]",
        root().display()
    );
    app.write("Cargo.toml", &manifest.replace("[features]", &tests));
    for block in blocks(text).iter().filter(|block| block.language == "sql") {
        let file = block.marks.iter().find(|mark| mark.ends_with(".sql"));
        app.write(file.unwrap_or_else(|| panic!("line {}: SQL without a file", block.line)), &block.text);
    }
    for block in blocks(text).iter().filter(|block| block.language == "rust" && !block.has("ignore")) {
        let file = block.marks.iter().find(|mark| mark.ends_with(".rs"));
        let is_method = block.text.contains("fn invoke(");
        match file {
            Some(file) => app.write(file, &block.text),
            None if is_method => app.write(&format!("methods/line_{}.rs", block.line), &block.text),
            None => app.write(
                &format!("examples/line_{}.rs", block.line),
                &format!(
                    "use method_sdk::prelude::*;\npub async fn example(handler: &mut Handler) -> Result<()> {{\n{}    Ok(())\n}}\nfn main() {{}}\n",
                    block.text
                ),
            ),
        }
    }
    app
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in blocks(text).into_iter().filter(|block| !block.has("no_run")) {
        match block.language.as_str() {
            "sh" => steps.push(Step { command: block.text, output: None, line: block.line }),
            "text" if block.has("output") => {
                let script = steps.last_mut().filter(|step| step.output.is_none());
                script.unwrap_or_else(|| panic!("line {}: output without a script", block.line)).output =
                    Some(block.text);
            }
            "console" => {
                let mut is_continued = false;
                for (line, number) in block.text.lines().zip(block.line + 1..) {
                    if is_continued {
                        let step = steps.last_mut().expect("a command is continued");
                        step.command += &format!("\n{line}");
                        is_continued = line.ends_with('\\');
                    } else if let Some(command) = line.strip_prefix("$ ") {
                        let (command, output) = (command.to_owned(), Some(String::new()));
                        is_continued = command.ends_with('\\');
                        steps.push(Step { command, output, line: number });
                    } else {
                        let step = steps.last_mut().and_then(|step| step.output.as_mut());
                        *step.unwrap_or_else(|| panic!("line {number}: output without a command")) +=
                            &format!("{line}\n");
                    }
                }
            }
            _ => {}
        }
    }
    steps
}

/// Returns `true` if the output is the expected one, in which `...` matches any text.
fn matches(expected: &str, output: &str) -> bool {
    let mut rest = output;
    let parts: Vec<&str> = expected.split("...").collect();
    let (first, others) = parts.split_first().expect("a split has at least one part");
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    let Some((last, middle)) = others.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Runs the steps in one shell and returns the output of each.
fn run(steps: &[Step], server: &Process, program: &Path) -> (Output, BTreeMap<usize, String>) {
    let tools: Arc<TempDir> = directory();
    std::os::unix::fs::symlink(program, tools.path().join("server")).unwrap();
    // On a terminal curl shows no progress.
    let curl = tools.path().join("curl");
    std::fs::write(&curl, "#!/bin/sh\nPATH=${PATH#*:}\nexec curl -sS \"$@\"\n").unwrap();
    std::fs::set_permissions(&curl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = |number: usize| tools.path().join(number.to_string());
    let port = server.address().port().to_string();
    let commands = steps.iter().enumerate().map(|(number, step)| {
        format!("{{\n{}\n}} >{} 2>&1\n", step.command.trim_end().replace("8888", &port), output(number).display())
    });
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.args(["-euc", &commands.collect::<String>()]).env("PATH", path).current_dir(server.directory.path());
    let result = bash.output().unwrap();
    let read = |number| std::fs::read_to_string(output(number)).ok().map(|text| (number, text));
    let outputs = (0..steps.len()).filter_map(read).collect();
    (result, outputs)
}

#[test]
#[ignore = "builds applications, which takes minutes: run tests/run"]
fn the_rust_blocks_of_every_page_compile() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let output = application(&text).command("check").arg("--all-targets").output().unwrap();
        assert!(output.status.success(), "{}: {}", page.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
#[ignore = "builds applications, and needs curl and openssl: run tests/run"]
fn the_shell_blocks_of_every_page_print_what_it_shows() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let steps = steps(&text);
        if steps.is_empty() {
            continue;
        }
        let app = application(&text);
        let server = app.build_and_start();
        let (result, outputs) = run(&steps, &server, &app.binary());
        let page = page.file_name().unwrap().to_string_lossy().into_owned();
        for (number, step) in steps.iter().enumerate() {
            let at = format!("{page}:{}", step.line);
            let output = outputs.get(&number).unwrap_or_else(|| panic!("{at}: not run: {result:?}"));
            assert!(result.status.success() || number + 1 < outputs.len(), "{at}: failed: {output}");
            if let Some(expected) = &step.output {
                assert!(
                    matches(expected.trim_end(), output.trim_end()),
                    "{at}: expected\n{expected}\nbut the output is\n{output}"
                );
            }
        }
    }
}
