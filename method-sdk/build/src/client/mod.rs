//! Clients of an API: generated types and functions over a runtime that is the same for every API.
//!
//! | file | |
//! |---|---|
//! | `typescript.rs`, `runtime.ts` | TypeScript, for browsers and Node |
//! | `python.rs`, `runtime.py` | Python, with its standard library alone |
//! | `names.rs`, `file.rs` | the names and members that both write; a file that is written |

mod file;
mod names;
mod python;
mod typescript;

pub use file::ClientFile;
pub use python::python;
pub use typescript::typescript;
