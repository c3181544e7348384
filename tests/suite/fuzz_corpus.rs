//! The inputs that the fuzz targets have found, each once.

use simpleapi_server::fuzzing::{Application, PARSERS};

use crate::support::root;

/// Runs a target on each of its inputs.
fn replay(target: &str, run: impl Fn(&[u8])) {
    let mut inputs = 0;
    for input in std::fs::read_dir(root().join("fuzz/corpus").join(target)).unwrap() {
        let path = input.unwrap().path();
        println!("{}", path.display());
        run(&std::fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "{target} has no inputs");
}

#[test]
fn no_input_of_the_fuzz_targets_fails() {
    for (target, run) in PARSERS {
        replay(target, run);
    }
    let application = Application::new(simpleapi::methods());
    replay("signature", |input| application.signature(input));
    replay("connection", |input| application.connection(input));
}
