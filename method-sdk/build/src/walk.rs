//! Finds the files of a tree, and verifies their names.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::iter::successors;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::name::{check_segment, check_whole};
use crate::problem::Problem;

/// A file of the tree: a method, or shared code.
#[derive(Debug)]
pub(crate) struct Module {
    /// The absolute path, for `#[path]`.
    pub(crate) path: PathBuf,
    /// The path from the tree's root folder on, for messages: `methods/account/login.rs`.
    pub(crate) file: PathBuf,
    /// The parts of the module's path, such as `account` and `login`.
    pub(crate) segments: Vec<String>,
}

impl Module {
    pub(crate) fn is_shared(&self) -> bool {
        self.segments.iter().any(|segment| segment.starts_with('_'))
    }
}

/// The files, folders and errors that a walk through the tree has found.
pub(crate) struct Walk {
    root: PathBuf,
    /// In the order of the folders: the modules of a folder are adjacent.
    pub(crate) modules: Vec<Module>,
    pub(crate) folders: BTreeSet<PathBuf>,
    /// A set, because each file in a folder with an invalid name reports the folder.
    pub(crate) problems: BTreeSet<Problem>,
}

impl Walk {
    pub(crate) fn over(methods: &Path) -> Self {
        // Only an empty path has no absolute form; it is reported as a missing folder.
        let root = std::path::absolute(methods).unwrap_or_default();
        let mut walk = Walk {
            root: root.clone(),
            modules: Vec::new(),
            folders: BTreeSet::from([root.clone()]),
            problems: BTreeSet::new(),
        };
        if !root.is_dir() {
            walk.problem(&root, "the folder does not exist; create it with one file per method, such as `greet.rs`");
            return walk;
        }
        if root.to_str().is_none() {
            walk.problem(&root, "the path of the folder is not valid UTF-8, which Rust requires; move the project");
        }
        let entries = WalkDir::new(&root).min_depth(1).sort_by_file_name();
        for entry in entries.into_iter().filter_entry(|entry| !is_hidden(entry)) {
            match entry {
                Ok(entry) => walk.add(&entry),
                Err(error) => {
                    let path = error.path().unwrap_or(&root).to_owned();
                    walk.problem(&path, format!("cannot read the folder: {error}"));
                }
            }
        }
        walk.report_files_beside_folders();
        walk
    }

    fn add(&mut self, entry: &DirEntry) {
        let path = entry.path();
        if entry.path_is_symlink() && path.is_dir() {
            // A folder of other files, such as pages that methods include, may be a link.
            if WalkDir::new(path).into_iter().flatten().any(|entry| is_rust(entry.path())) {
                self.problem(path, "symbolic links are not followed; replace the link by the folder");
            }
            return;
        }
        if entry.file_type().is_dir() || !is_rust(path) {
            return;
        }
        if entry.path_is_symlink() {
            return self.problem(path, "symbolic links are not followed; replace the link by the file");
        }
        let mut folders: Vec<&Path> = successors(path.parent(), |folder| folder.parent()).take(entry.depth()).collect();
        self.folders.extend(folders.iter().copied().map(Path::to_owned));
        // The last is the tree's root folder, which may have any name.
        folders.pop();
        let mut segments: Vec<String> =
            folders.into_iter().rev().map(|folder| self.segment(folder, "folder", "/")).collect();
        segments.push(self.segment(path, "file", ".rs"));
        if let Err(error) = check_whole(&segments) {
            self.problem(path, format!("{error}; rename the file"));
        }
        // A file with an invalid name is read too, so that one build reports the errors in it as well.
        self.modules.push(Module { path: path.to_owned(), file: self.display_path(path), segments });
    }

    /// Returns the name of a file or folder as a part of a method name, and reports it if it is invalid.
    fn segment(&mut self, path: &Path, kind: &str, ending: &str) -> String {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(ending).unwrap_or(&name);
        if let Err(error) = check_segment(name) {
            let advice = match error.suggestion() {
                Some(suggestion) => format!("rename it to `{suggestion}{ending}`"),
                None => format!("rename the {kind}"),
            };
            self.problem(path, format!("{error}; {advice}"));
        }
        name.to_owned()
    }

    /// Reports files beside a folder of the same name: a module has one source, and the meaning of `super::` in it must be clear.
    fn report_files_beside_folders(&mut self) {
        let beside = |path: &&PathBuf| self.folders.contains(&path.with_extension(""));
        let files: Vec<PathBuf> = self.modules.iter().map(|module| &module.path).filter(beside).cloned().collect();
        for file in files {
            self.problem(
                &file,
                "a folder beside the file has the same name, and a name is either a method or a folder of methods; rename one of the two",
            );
        }
    }

    fn problem(&mut self, path: &Path, message: impl Into<String>) {
        self.problems.insert(Problem { file: self.display_path(path), line: None, message: message.into() });
    }

    /// Returns the path from the tree's root folder on.
    fn display_path(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.root.parent().unwrap_or(&self.root)).unwrap_or(path).to_owned()
    }
}

fn is_rust(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("rs"))
}

/// Returns `true` for `.git`, the files of editors and the like.
fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
}
