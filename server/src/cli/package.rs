//! The package of an application, as Cargo knows it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The name, the version and the edition of a package.
pub(super) struct Package(Value);

impl Package {
    /// Returns the package in `directory`, or `None` if Cargo cannot be run or does not know it.
    pub(super) fn read(directory: &Path) -> Option<Self> {
        let manifest = directory.join("Cargo.toml");
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"]).arg(&manifest);
        let metadata: Value = serde_json::from_slice(&cargo.output().ok()?.stdout).ok()?;
        let is_in_directory = |package: &&Value| package["manifest_path"].as_str().map(Path::new) == Some(&manifest);
        metadata["packages"].as_array()?.iter().find(is_in_directory).cloned().map(Package)
    }

    pub(super) fn name(&self) -> &str {
        self.text("name")
    }

    pub(super) fn version(&self) -> &str {
        self.text("version")
    }

    /// Returns the edition of Rust that the package is written in.
    pub(super) fn edition(&self) -> &str {
        self.text("edition")
    }

    fn text(&self, member: &str) -> &str {
        self.0[member].as_str().unwrap_or_default()
    }
}
