//! Reads a tree, once or repeatedly.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::package::Package;
use crate::problem::Problem;
use crate::source_file::SourceFile;
use crate::tree::Tree;
use crate::walk::Walk;

/// Reads a tree repeatedly. A file is opened only if it has changed, and parsed only if its text has.
#[derive(Debug)]
pub struct TreeReader {
    methods: PathBuf,
    package: Arc<Package>,
    /// The types are read with the methods, and not when they are first needed.
    reads_types: bool,
    files: HashMap<PathBuf, Arc<SourceFile>>,
}

/// Reads the tree of methods in the folder `methods` of a package.
///
/// # Errors
/// Returns every error in the tree, sorted by file and line.
///
/// ```
/// use method_build::Package;
///
/// # let folder = tempfile::tempdir().unwrap();
/// let methods = folder.path().join("methods");
/// std::fs::create_dir(&methods).unwrap();
/// std::fs::write(methods.join("greet.rs"), "fn invoke(_: &mut Handler, params: Params) -> Result<()> { Ok(()) }").unwrap();
///
/// let problems = method_build::read(&methods, Package::default()).unwrap_err();
/// assert_eq!(problems[0].to_string(), "methods/greet.rs:1: `invoke` is private; write `pub` before it");
/// ```
pub fn read(methods: &Path, package: Package) -> Result<Tree, Vec<Problem>> {
    let tree = TreeReader { reads_types: true, ..TreeReader::new(methods, package) }.read();
    if tree.problems().next().is_none() { Ok(tree) } else { Err(tree.into_problems().into_iter().collect()) }
}

impl TreeReader {
    /// Creates a reader of the tree in the folder `methods` of a package.
    pub fn new(methods: &Path, package: Package) -> Self {
        TreeReader {
            methods: methods.to_owned(),
            package: Arc::new(package),
            reads_types: false,
            files: HashMap::new(),
        }
    }

    /// Reads the tree as it is now. Its errors are in [`Tree::problems`].
    pub fn read(&mut self) -> Tree {
        let Walk { modules, folders, problems, .. } = Walk::over(&self.methods);
        let modules: Vec<_> = modules
            .into_iter()
            .map(|module| {
                let file = SourceFile::read(&module.path, self.files.get(&module.path));
                if self.reads_types {
                    file.parse(&module, &self.package.features);
                }
                (module, file)
            })
            .collect();
        self.files = modules.iter().map(|(module, file)| (module.path.clone(), file.clone())).collect();
        Tree::new(self.package.clone(), modules, folders, problems)
    }
}
