//! The programs under test: what is built, installed and missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{is_installed, run};
use crate::interrupt::Interrupt;

/// The folders of a run, and how programs are built in it.
pub struct Workspace {
    /// The root of the repository.
    pub root: PathBuf,
    /// `target/bench`: everything that the benchmark builds and writes, except the report.
    pub folder: PathBuf,
    /// The profile of Cargo with which all Rust programs are built.
    pub profile: String,
    pub interrupt: Interrupt,
}

impl Workspace {
    pub fn new(root: PathBuf, profile: String, interrupt: Interrupt) -> Result<Self> {
        let folder = root.join("target/bench");
        for name in ["data", "results"] {
            fs::create_dir_all(folder.join(name))?;
        }
        Ok(Workspace { root, folder, profile, interrupt })
    }

    /// Returns a new folder for the data of a server.
    ///
    /// # Errors
    /// Returns an error if it cannot be created.
    pub fn data_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("data").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Builds this server.
    ///
    /// # Errors
    /// Returns an error if the build fails.
    pub fn build_server(&self) -> Result<PathBuf> {
        eprintln!("building the server (profile {})", self.profile);
        let mut cargo = self.cargo(&self.root, &self.root.join("target"));
        run(cargo.args(["--locked", "--bin", "server", "--features", "all-databases"]), &self.interrupt)?;
        Ok(self.binary(&self.root.join("target"), "server"))
    }

    /// Builds the peers in Rust and returns the folder of their programs.
    ///
    /// # Errors
    /// Returns an error if the build fails.
    pub fn build_peers(&self) -> Result<PathBuf> {
        eprintln!("building the peers in Rust (profile {})", self.profile);
        let mut cargo = self.cargo(&self.root.join("bench/peers"), &self.folder);
        cargo.arg("--locked").arg("--config").arg(self.profile_file()?);
        run(&mut cargo, &self.interrupt)?;
        Ok(self.binary(&self.folder, ""))
    }

    /// Returns a command that builds the package in `folder` with the profile of the run.
    pub fn cargo(&self, folder: &Path, target: &Path) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--profile", &self.profile]).current_dir(folder);
        cargo.arg("--target-dir").arg(target).env_remove("RUSTFLAGS");
        cargo
    }

    /// Returns the path of a program in a target folder.
    pub fn binary(&self, target: &Path, name: &str) -> PathBuf {
        let profile = if self.profile == "dev" { "debug" } else { &self.profile };
        target.join(profile).join(name)
    }

    /// Writes the profiles of the server's manifest to a file for Cargo's `--config`, so that other packages are built with the same.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or written.
    pub fn profile_file(&self) -> Result<PathBuf> {
        let manifest = fs::read_to_string(self.root.join("Cargo.toml"))?;
        let path = self.folder.join("profile.toml");
        fs::write(&path, profiles(&manifest))?;
        Ok(path)
    }

    /// Installs Fastify. Returns the folder of its server, or the reason why there is none.
    ///
    /// # Errors
    /// Returns an error if the run is interrupted.
    pub fn install_fastify(&self) -> Result<std::result::Result<PathBuf, String>> {
        let folder = self.folder.join("fastify");
        let files = ["package.json", "package-lock.json", "server.mjs"];
        if ["node", "npm"].iter().any(|program| !is_installed(program)) {
            return Ok(Err("Fastify is not measured: Node 20 or later with npm is missing".into()));
        }
        self.install("Fastify", &folder, "bench/fastify", &files, |folder| {
            let mut npm = Command::new("npm");
            npm.args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(folder);
            vec![npm]
        })
    }

    /// Installs FastAPI and uvicorn. Returns the folder of their virtual environment and server, or the reason why there is none.
    ///
    /// # Errors
    /// Returns an error if the run is interrupted.
    pub fn install_fastapi(&self) -> Result<std::result::Result<PathBuf, String>> {
        let folder = self.folder.join("fastapi");
        if !is_installed("python3") {
            return Ok(Err("FastAPI is not measured: Python 3.11 or later with venv is missing".into()));
        }
        self.install("FastAPI", &folder, "bench/fastapi", &["requirements.txt", "main.py"], |folder| {
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv", "venv"]).current_dir(folder);
            let mut pip = Command::new(folder.join("venv/bin/pip"));
            pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"]);
            pip.current_dir(folder);
            vec![venv, pip]
        })
    }

    /// Copies files and runs commands in a folder, unless both have been done with the same files.
    fn install(
        &self,
        name: &str,
        folder: &Path,
        source: &str,
        files: &[&str],
        commands: impl FnOnce(&Path) -> Vec<Command>,
    ) -> Result<std::result::Result<PathBuf, String>> {
        let stamp = folder.join("installed");
        let mut texts = String::new();
        for file in files {
            texts +=
                &fs::read_to_string(self.root.join(source).join(file)).with_context(|| format!("{source}/{file}"))?;
        }
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == texts) {
            return Ok(Ok(folder.to_owned()));
        }
        eprintln!("installing {name} into {}", folder.display());
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        for file in files {
            fs::copy(self.root.join(source).join(file), folder.join(file))?;
        }
        for mut command in commands(folder) {
            if let Err(error) = run(&mut command, &self.interrupt) {
                self.interrupt.check()?;
                return Ok(Err(format!("{name} is not measured: {error}")));
            }
        }
        fs::write(stamp, texts)?;
        Ok(Ok(folder.to_owned()))
    }
}

/// Returns the profiles of a manifest, without their settings for single packages, which other packages may not have.
fn profiles(manifest: &str) -> String {
    let mut is_profile = false;
    let mut text = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_profile = line.starts_with("[profile.") && !line.contains(".package.");
        }
        if is_profile {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::profiles;

    #[test]
    fn the_profiles_of_a_manifest_are_found_without_those_of_packages() {
        let manifest = "[package]\nname = \"a\"\n\n[profile.release]\nlto = \"thin\"\n\n[profile.dev.package.argon2]\nopt-level = 3\n\n[profile.dist]\ninherits = \"release\"\n";
        assert_eq!(profiles(manifest), "[profile.release]\nlto = \"thin\"\n\n[profile.dist]\ninherits = \"release\"\n");
    }
}
