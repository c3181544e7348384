//! Walks `methods/` and writes the table of methods that `src/lib.rs` includes.

fn main() {
    method_build::generate();
}
