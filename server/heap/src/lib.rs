//! The heap of a process, which belongs to the C library. One of the two packages with `unsafe` in them.

#![allow(unsafe_code, reason = "a function of the C library")]

/// Returns memory that has been freed to the operating system.
///
/// glibc keeps freed memory below a block that is still in use. Elsewhere this function does nothing.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` has no preconditions, and any thread may call it (<https://man7.org/linux/man-pages/man3/malloc_trim.3.html>).
    unsafe {
        libc::malloc_trim(0);
    }
}
