//! Faults of what the server depends on, and what is left after them.

#[cfg(feature = "mysql")]
mod galera;
