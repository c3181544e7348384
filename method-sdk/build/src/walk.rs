//! The way through the folders: which files there are, and whether each of them may be called what it is called.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::Problem;
use crate::name::{check_segment, check_whole};

/// One file: a method, or shared code.
#[derive(Debug)]
pub(crate) struct Module {
    /// Absolute, for `#[path]`.
    pub(crate) path: PathBuf,
    /// From the tree's own folder on, for people: `methods/account/login.rs`.
    pub(crate) file: PathBuf,
    /// `account` and `login`.
    pub(crate) segments: Vec<String>,
}

impl Module {
    pub(crate) fn is_shared(&self) -> bool {
        self.segments.iter().any(|segment| segment.starts_with('_'))
    }
}

/// What has been met on the way through the folders.
pub(crate) struct Walk {
    root: PathBuf,
    /// In the order of the folders, so that those of one folder stand together.
    pub(crate) modules: Vec<Module>,
    pub(crate) folders: BTreeSet<PathBuf>,
    /// A set, because a folder with a wrong name is met again with each file in it.
    pub(crate) problems: BTreeSet<Problem>,
}

impl Walk {
    pub(crate) fn over(methods: &Path) -> Self {
        // Only an empty path has no absolute form; it is reported as a folder that is not there.
        let root = std::path::absolute(methods).unwrap_or_default();
        let mut walk = Walk {
            root: root.clone(),
            modules: Vec::new(),
            folders: BTreeSet::from([root.clone()]),
            problems: BTreeSet::new(),
        };
        if !root.is_dir() {
            let advice = "make it, and in it a file for each method, such as `greet.rs`";
            walk.problem(&root, format!("there is no such folder; {advice}"));
            return walk;
        }
        if root.to_str().is_none() {
            walk.problem(&root, "the path to it is not UTF-8, so that Rust cannot be told of it; move the project");
        }
        let entries = WalkDir::new(&root).min_depth(1).sort_by_file_name();
        for entry in entries.into_iter().filter_entry(|entry| !is_hidden(entry)) {
            match entry {
                Ok(entry) => walk.meet(&entry),
                Err(error) => {
                    let place = error.path().unwrap_or(&root).to_owned();
                    walk.problem(&place, format!("it cannot be read: {error}"));
                }
            }
        }
        walk.find_files_beside_folders();
        walk
    }

    fn meet(&mut self, entry: &DirEntry) {
        let path = entry.path();
        if entry.file_type().is_dir() || path.extension() != Some(OsStr::new("rs")) {
            return;
        }
        if entry.path_is_symlink() {
            return self.problem(path, "it is a symbolic link, and those are not followed; put the file itself here");
        }
        let mut above: Vec<&Path> = path.ancestors().skip(1).take(entry.depth()).collect();
        self.folders.extend(above.iter().copied().map(Path::to_owned));
        // The last of them is the tree's own folder, which may have any name.
        above.pop();
        let mut segments: Vec<String> =
            above.into_iter().rev().map(|folder| self.segment(folder, "folder", "/")).collect();
        segments.push(self.segment(path, "file", ".rs"));
        if let Err(message) = check_whole(&segments) {
            self.problem(path, format!("{message}; rename the file"));
        }
        // Also with a wrong name, so that what is wrong in the file is told in the same breath.
        self.modules.push(Module { path: path.to_owned(), file: self.shown(path), segments });
    }

    /// The name of a file or folder as a part of a method's name.
    fn segment(&mut self, path: &Path, kind: &str, ending: &str) -> String {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(ending).unwrap_or(&name);
        if let Err(fault) = check_segment(name) {
            let advice = match fault.instead {
                Some(instead) => format!("rename it to `{instead}{ending}`"),
                None => format!("rename the {kind}"),
            };
            self.problem(path, format!("{}; {advice}", fault.what));
        }
        name.to_owned()
    }

    /// A module has one file, and what `super::` means in it must not be a riddle.
    fn find_files_beside_folders(&mut self) {
        let beside = |path: &&PathBuf| self.folders.contains(&path.with_extension(""));
        let files: Vec<PathBuf> = self.modules.iter().map(|module| &module.path).filter(beside).cloned().collect();
        for file in files {
            let rule = "a name is either a method or a folder of methods";
            self.problem(
                &file,
                format!("there is a folder of the same name beside it, and {rule}; rename one of them"),
            );
        }
    }

    fn problem(&mut self, path: &Path, message: impl Into<String>) {
        self.problems.insert(Problem { file: self.shown(path), line: None, message: message.into() });
    }

    /// The path as people know it: from the tree's own folder on.
    fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.root.parent().unwrap_or(&self.root)).unwrap_or(path).to_owned()
    }
}

/// An editor's own, `.git` and the like.
fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
}
