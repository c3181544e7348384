//! A file of a generated client.

/// A file of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFile {
    /// The name, such as `api.ts`.
    pub name: &'static str,
    /// The text.
    pub text: String,
}
