//! The package of an application, as Cargo describes it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The package that a tree of methods is part of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The name.
    pub name: String,
    /// The version, such as `0.1.0`.
    pub version: String,
    /// The Cargo features that it is built with. Types and members behind others are not part of the contract.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<String>,
}
