//! The inputs that the fuzz targets have found, each once.

use std::fs;
use std::path::PathBuf;

use simpleapi_server::fuzzing::{Application, PARSERS};

use crate::support::root;

fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = fs::read_dir(root().join("fuzz/corpus").join(target)).unwrap();
    let inputs: Vec<_> =
        folder.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert!(!inputs.is_empty(), "{target} has no inputs");
    inputs
}

#[test]
fn no_input_of_the_fuzz_targets_fails() {
    let application = Application::new(simpleapi::methods());
    for (target, run) in PARSERS {
        for (path, input) in inputs(target) {
            println!("{}", path.display());
            run(&input);
        }
    }
    for (path, input) in inputs("signature") {
        println!("{}", path.display());
        application.signature(&input);
    }
    for (path, input) in inputs("connection") {
        println!("{}", path.display());
        application.connection(&input);
    }
}
