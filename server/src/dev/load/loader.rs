//! Loads a compiled library of methods into the process. The only file with `unsafe` in it.

use std::error::Error as _;
use std::ffi::CStr;
use std::path::Path;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW, Symbol};
use method_sdk::Method;

/// Loads the library at `path`, for good, and gives its methods. Nothing of it is called unless it was compiled for this very process:
/// `key` says with which SDK, compiler and flags.
///
/// # Errors
/// It cannot be loaded, or it has another key.
pub(crate) fn load(path: &Path, key: &CStr) -> Result<&'static [Method], String> {
    let problem = |error: libloading::Error| {
        // Its own words leave out what the dynamic linker has said.
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{} cannot be loaded: {error}{cause}", path.display())
    };
    // SAFETY: loading runs the library's initialisers. It is one that this process or one before it has had rustc write from the
    // application's own files, and those of Rust have none; an application that brings initialisers of its own is trusted with what it does in `invoke` too.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(problem)?;
    // A call may be in its code, a task or a thread's destructor may come back to it later: it is never unloaded.
    let library: &'static Library = Box::leak(Box::new(library));

    // SAFETY: the symbol is not called or read as anything but an address here.
    let found: Symbol<*const std::ffi::c_char> = unsafe { library.get(b"SIMPLEAPI_KEY\0") }.map_err(problem)?;
    // SAFETY: what `method-build` writes under this name is an array of bytes that ends with 0, in C's layout and so in every version of
    // it, and it lives as long as the library.
    let found = unsafe { CStr::from_ptr(found.into_raw().cast()) };
    if found != key {
        return Err(format!("{} was compiled for another server", path.display()));
    }
    // SAFETY: `method-build` writes this function with this signature, and the key has shown that the library was compiled by the same rustc
    // against the same shared SDK, which both have in common with this process: so the types and the ABI are the same.
    let methods = unsafe { library.get::<fn() -> &'static [Method]>(b"simpleapi_methods\0") }.map_err(problem)?;
    Ok(methods())
}
