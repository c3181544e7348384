//! Loads compiled libraries of methods into the process. One of the two packages with `unsafe` in them.

#![allow(unsafe_code, reason = "loading a library runs its code, and its symbols have no types")]

use std::error::Error as _;
use std::ffi::{CStr, c_char};
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW, Symbol};
use method_sdk::Method;
use thiserror::Error;

/// Why a library was not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The dynamic linker refused it, or a symbol is missing.
    #[error("cannot load {}: {reason}", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// The dynamic linker's message.
        reason: String,
    },
    /// It was compiled with another SDK, compiler or set of flags than this process.
    #[error("{} was compiled for another server", path.display())]
    Mismatch {
        /// The library.
        path: PathBuf,
    },
}

/// Loads the library at `path` for the rest of the process, and returns its methods.
///
/// None of its functions is called unless its key is `key`, which stands for the SDK, the compiler, the program and the fixed flags
/// that it was compiled with.
///
/// # Errors
/// The library cannot be loaded, or has another key.
pub fn load(path: &Path, key: &CStr) -> Result<&'static [Method], LoadError> {
    let unusable = |error: libloading::Error| {
        // libloading's own message leaves out the dynamic linker's.
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        LoadError::Library { path: path.to_owned(), reason: format!("{error}{cause}") }
    };
    // SAFETY: loading runs the library's initialisers. rustc wrote the library for this process, or for one before it, from the
    // application's own files, and Rust code has no initialisers; an application that brings some is trusted with them as it is with `invoke`.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(unusable)?;
    // A call may be in the library's code, and a task or a thread's destructor may return to it later: it is never unloaded.
    let library: &'static Library = Box::leak(Box::new(library));

    // SAFETY: the symbol is only used as an address here, and is neither called nor read.
    let symbol: Symbol<*const c_char> = unsafe { library.get(b"SIMPLEAPI_KEY\0") }.map_err(unusable)?;
    // SAFETY: `method-build` writes a static array of bytes under this name that ends with 0. Its layout is C's, the same in every version of
    // `method-build`, and it lives as long as the library.
    let library_key = unsafe { CStr::from_ptr(symbol.into_raw().cast()) };
    if library_key != key {
        return Err(LoadError::Mismatch { path: path.to_owned() });
    }
    // SAFETY: `method-build` writes this function with this signature, and the equal keys show that the same rustc compiled the library
    // against the same shared SDK that this process has: so the types and the ABI are the same.
    let methods = unsafe { library.get::<fn() -> &'static [Method]>(b"simpleapi_methods\0") }.map_err(unusable)?;
    Ok(methods())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_library_and_the_dynamic_linker_s_reason() {
        let error = load(Path::new("/none/methods.so"), c"key").expect_err("there is no such file").to_string();
        assert!(error.starts_with("cannot load /none/methods.so: "), "{error}");
        assert!(error.contains("No such file or directory"), "{error}");
    }
}
