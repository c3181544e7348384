//! The methods of a tree, and the source generated from them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::contract::{self, Contract};
use crate::dependencies::{MethodSources, ModuleGraph};
use crate::method::Method;
use crate::migrations::Migration;
use crate::package::Package;
use crate::problem::Problem;
use crate::source_file::SourceFile;
use crate::start;
use crate::walk::Module;
use crate::write::{self, Development};

/// A tree of method files, without the files that have errors.
#[derive(Debug)]
pub struct Tree {
    package: Arc<Package>,
    modules: Vec<Module>,
    /// The files of the modules, in the same order.
    files: Vec<Arc<SourceFile>>,
    folders: BTreeSet<PathBuf>,
    methods: Vec<Method>,
    problems: BTreeSet<Problem>,
}

impl Tree {
    /// Creates the tree of `modules` with their files; `problems` are the errors in the names of files and folders.
    pub(crate) fn new(
        package: Arc<Package>,
        modules: Vec<(Module, Arc<SourceFile>)>,
        folders: BTreeSet<PathBuf>,
        mut problems: BTreeSet<Problem>,
    ) -> Self {
        let mut methods = Vec::new();
        for (module, file) in modules.iter().filter(|(module, _)| !module.is_shared()) {
            match file.method(module) {
                Ok(method) => methods.push(method.clone()),
                Err(errors) => problems.extend(errors.iter().cloned()),
            }
        }
        for (module, file) in modules.iter().filter(|(module, _)| start::is_start(module)) {
            problems.extend(file.start_problems(module).iter().cloned());
        }
        // A problem may be that of a folder.
        let invalid: BTreeSet<&Path> = problems.iter().map(|problem| problem.file.as_path()).collect();
        let is_valid = |file: &Path| !invalid.iter().any(|path| file.starts_with(path));
        methods.retain(|method| is_valid(&method.file));
        methods.sort_by(|a, b| a.name.cmp(&b.name));
        let (modules, files) = modules.into_iter().filter(|(module, _)| is_valid(&module.file)).unzip();
        Tree { package, modules, files, folders, methods, problems }
    }

    /// Returns the Rust source of the module tree and of `pub fn methods()`, for `include!` at the root of a crate.
    pub fn source(&self, migrations: &[Migration], development: Option<&Development>) -> String {
        let (modules, methods): (Vec<_>, Vec<_>) = (self.modules.iter().collect(), self.methods.iter().collect());
        write::source(&modules, &methods, &self.contract(), migrations, development)
    }

    /// Returns the Rust source of a program whose methods are loaded while it runs: the function `start` and the files that it needs.
    pub(crate) fn source_without_methods(&self, migrations: &[Migration], development: &Development) -> String {
        let graph = ModuleGraph::new(&self.modules, &self.files);
        let start = self.modules.iter().find(|module| start::is_start(module));
        let needed = start.map(|module| graph.closure_of(&module.segments).modules).unwrap_or_default();
        let modules: Vec<&Module> = needed.into_iter().map(|index| &self.modules[index]).collect();
        write::source(&modules, &[], &Contract::empty((*self.package).clone()), migrations, Some(development))
    }

    /// Returns the Rust source of a library with the methods `names`, the files they need, and the other files for which `includes_file`
    /// returns `true`. A server in development mode compiles and loads it, and recognizes it by `key`, of letters and digits.
    pub fn plugin(&self, names: &BTreeSet<&str>, includes_file: impl Fn(&Path) -> bool, key: &str) -> String {
        let methods: Vec<&Method> = self.methods.iter().filter(|method| names.contains(&*method.name)).collect();
        let graph = ModuleGraph::new(&self.modules, &self.files);
        let mut modules: BTreeSet<usize> =
            (0..self.modules.len()).filter(|index| includes_file(&self.modules[*index].file)).collect();
        for method in &methods {
            modules.extend(graph.closure(method).modules);
        }
        write::plugin(&modules.into_iter().map(|index| &self.modules[index]).collect::<Vec<_>>(), &methods, key)
    }

    /// Returns the methods, sorted by name.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Returns what the methods take and return.
    pub fn contract(&self) -> Contract {
        let files = self.modules.iter().zip(&self.files);
        let files = files
            .map(|(module, file)| (&module.segments[..], &*module.file, file.declarations(&self.package.features)));
        contract::contract(&self.package, &self.methods, files)
    }

    /// Returns the errors in the tree. Files and folders with errors are left out of everything else.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// Returns the root folder and the folders below it that contain methods or shared code, as absolute paths, sorted.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(PathBuf::as_path)
    }

    /// Returns the sources of each method, by its name.
    pub fn method_sources(&self) -> BTreeMap<&str, MethodSources<'_>> {
        let graph = ModuleGraph::new(&self.modules, &self.files);
        self.methods.iter().map(|method| (&*method.name, graph.sources(method))).collect()
    }

    /// Returns `true` if none of these files of the tree has changed since it was read. A library that was compiled from them in the
    /// meantime then has the contents that were read.
    pub fn is_unchanged(&self, files: &BTreeSet<&Path>) -> bool {
        let mut modules = self.modules.iter().zip(&self.files).filter(|(module, _)| files.contains(&*module.file));
        modules.all(|(module, file)| file.is_unchanged(&module.path))
    }

    pub(crate) fn into_problems(self) -> BTreeSet<Problem> {
        self.problems
    }
}
