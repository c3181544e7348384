//! Faults of the server's process and of what it depends on, and what is left after them.

#[cfg(feature = "sqlite")]
mod clock;
#[cfg(feature = "sqlite")]
mod disk;
#[cfg(feature = "mysql")]
mod galera;
#[cfg(feature = "sqlite")]
mod kills;
