//! The files that each method needs: those that it refers to, directly or through others.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::method::Method;
use crate::references::Reference;
use crate::source_file::SourceFile;
use crate::walk::Module;

/// The sources of a method.
#[derive(Debug)]
pub struct MethodSources<'a> {
    /// A hash of all sources, for comparisons within one build of this crate.
    pub fingerprint: u64,
    /// The method's file, as in [`Method::file`].
    pub own: &'a Path,
    /// The method's file and those that it needs: every file that its paths may mean, and shared code that implements a trait and
    /// refers to one of these files.
    pub files: BTreeSet<&'a Path>,
    /// The files that `include!`, `include_str!` and `include_bytes!` read.
    pub includes: BTreeSet<PathBuf>,
    /// The sources are complete. They are not if the compilation also depends on the environment.
    pub is_closed: bool,
}

/// The modules of a tree, and the references between them. Modules are named by their index.
pub(crate) struct ModuleGraph<'a> {
    modules: &'a [Module],
    files: &'a [Arc<SourceFile>],
    index: ModuleIndex<'a>,
    /// Shared code that implements a trait, each with the modules it refers to. A method that needs one of these needs it too.
    implementors: Vec<(usize, BTreeSet<usize>)>,
}

/// The modules at and below each path: one for a file, all of its modules for a folder.
type ModuleIndex<'a> = HashMap<&'a [String], Vec<usize>>;

/// The modules and other inputs that a method needs.
pub(crate) struct DependencyClosure {
    pub(crate) modules: BTreeSet<usize>,
    includes: BTreeSet<PathBuf>,
    is_closed: bool,
}

impl<'a> ModuleGraph<'a> {
    /// Creates the graph of `modules`; `files` are their files, in the same order.
    pub(crate) fn new(modules: &'a [Module], files: &'a [Arc<SourceFile>]) -> Self {
        let mut index = ModuleIndex::new();
        for (number, module) in modules.iter().enumerate() {
            for length in 0..=module.segments.len() {
                index.entry(&module.segments[..length]).or_default().push(number);
            }
        }
        let mut graph = ModuleGraph { modules, files, index, implementors: Vec::new() };
        let implements = |module: &usize| {
            modules[*module].is_shared() && files[*module].references().contains(&Reference::Implementation)
        };
        let implementors = (0..modules.len()).filter(implements);
        graph.implementors = implementors.map(|module| (module, graph.referenced(module).collect())).collect();
        graph
    }

    /// Returns everything that `method` needs.
    pub(crate) fn closure(&self, method: &Method) -> DependencyClosure {
        self.closure_of(&method.segments)
    }

    /// Returns everything that the module at this path needs.
    pub(crate) fn closure_of(&self, module: &[String]) -> DependencyClosure {
        let mut pending: Vec<usize> = self.index.get(module).into_iter().flatten().copied().collect();
        let mut closure = DependencyClosure { modules: BTreeSet::new(), includes: BTreeSet::new(), is_closed: true };
        while let Some(module) = pending.pop() {
            if !closure.modules.insert(module) {
                continue;
            }
            pending.extend(self.referenced(module));
            let implementors = self.implementors.iter().filter(|(_, targets)| targets.contains(&module));
            pending.extend(implementors.map(|(implementor, _)| *implementor));
            for reference in self.files[module].references() {
                match reference {
                    Reference::Include(file) => {
                        closure.includes.extend(self.modules[module].path.parent().map(|folder| folder.join(file)));
                    }
                    Reference::Environment => closure.is_closed = false,
                    Reference::Crate(_) | Reference::Super(..) | Reference::Implementation => {}
                }
            }
        }
        closure
    }

    /// Returns the sources of `method`, and reads the files that they include.
    pub(crate) fn sources(&self, method: &'a Method) -> MethodSources<'a> {
        let DependencyClosure { modules, includes, is_closed } = self.closure(method);
        let mut fingerprint = DefaultHasher::new();
        for module in &modules {
            self.modules[*module].file.hash(&mut fingerprint);
            self.files[*module].text().hash(&mut fingerprint);
        }
        for include in &includes {
            fs::read(include).ok().hash(&mut fingerprint);
        }
        let files = modules.into_iter().map(|module| self.modules[module].file.as_path()).collect();
        MethodSources { fingerprint: fingerprint.finish(), own: &method.file, files, includes, is_closed }
    }

    /// Returns the modules that the paths in `module` may mean.
    fn referenced(&self, module: usize) -> impl Iterator<Item = usize> {
        let segments = &self.modules[module].segments;
        let targets = self.files[module].references().iter().map(move |reference| match reference {
            Reference::Crate(path) => self.find(&[], path),
            Reference::Super(levels, path) => self.find(&segments[..segments.len().saturating_sub(*levels)], path),
            Reference::Include(_) | Reference::Environment | Reference::Implementation => &[],
        });
        targets.flatten().copied()
    }

    /// Returns the modules that `path` may mean, starting at `base`: a file, or all modules of the folder at which it leaves the tree.
    fn find(&self, base: &[String], path: &[String]) -> &[usize] {
        let mut target = base.to_vec();
        for segment in path {
            target.push(segment.clone());
            if !self.index.contains_key(&target[..]) {
                target.pop();
                break;
            }
        }
        self.index.get(&target[..]).map_or(&[], |modules| modules)
    }
}
