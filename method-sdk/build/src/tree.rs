//! The tree: its files, what is in them, and which of them a method closure.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use std::{fs, io};

use crate::references::{self, Reference};
use crate::walk::{Module, Walk};
use crate::{Development, Method, Problem, method, write};

/// A file that was read at least this long after its last change cannot change again without another time of change, on any file system.
const RACY_SECONDS: i64 = 3;

/// Reads a tree again and again: a file is opened only if it has changed, and parsed only if its text has.
#[derive(Debug)]
pub struct TreeReader {
    methods: PathBuf,
    files: HashMap<PathBuf, Arc<File>>,
}

/// A tree of method files, without those in which something is wrong.
#[derive(Debug)]
pub struct Tree {
    modules: Vec<Module>,
    files: Vec<Arc<File>>,
    folders: BTreeSet<PathBuf>,
    methods: Vec<Method>,
    problems: BTreeSet<Problem>,
}

/// What has been read of a file.
#[derive(Debug)]
struct File {
    /// As it was before the file was read.
    stamp: Option<FileStamp>,
    is_racy: bool,
    text: Result<String, String>,
    /// As a method; of shared code it is not asked.
    method: OnceLock<Result<Method, Vec<Problem>>>,
    references: OnceLock<Vec<Reference>>,
}

/// What shows that a file has changed: which it is, how long, and when it or its name was last written.
#[derive(Debug, PartialEq)]
struct FileStamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// Reads the tree of methods in the folder `methods`.
///
/// # Errors
/// All that is wrong with it, sorted by file and line.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// let methods = folder.path().join("methods");
/// std::fs::create_dir(&methods).unwrap();
/// std::fs::write(methods.join("greet.rs"), "fn invoke(_: &mut Handler, params: Params) -> Result<()> { Ok(()) }").unwrap();
///
/// let problems = method_build::read(&methods).unwrap_err();
/// assert_eq!(problems[0].to_string(), "methods/greet.rs:1: `invoke` is private; write `pub` before it");
/// ```
pub fn read(methods: &Path) -> Result<Tree, Vec<Problem>> {
    let tree = TreeReader::new(methods).read();
    if tree.problems.is_empty() { Ok(tree) } else { Err(tree.problems.into_iter().collect()) }
}

impl TreeReader {
    /// A reader of the tree in the folder `methods`.
    pub fn new(methods: &Path) -> Self {
        TreeReader { methods: methods.to_owned(), files: HashMap::new() }
    }

    /// The tree as it is now. What is wrong with it is in [`Tree::problems`].
    pub fn read(&mut self) -> Tree {
        let Walk { modules, folders, problems, .. } = Walk::over(&self.methods);
        let files: HashMap<_, _> =
            modules.iter().map(|module| (module.path.clone(), self.file(&module.path))).collect();
        self.files = files;
        let mut tree = Tree { modules: Vec::new(), files: Vec::new(), folders, methods: Vec::new(), problems };
        for module in modules {
            let file = self.files[&module.path].clone();
            if !module.is_shared() {
                match file.method(&module) {
                    Ok(method) => tree.methods.push(method.clone()),
                    Err(problems) => tree.problems.extend(problems.iter().cloned()),
                }
            }
            tree.modules.push(module);
            tree.files.push(file);
        }
        tree.leave_out_what_is_wrong();
        tree.methods.sort_by(|one, other| one.name.cmp(&other.name));
        tree
    }

    fn file(&self, path: &Path) -> Arc<File> {
        let stamp = FileStamp::of(path);
        let known = self.files.get(path);
        if let Some(known) = known.filter(|known| !known.is_racy && known.stamp == stamp) {
            return known.clone();
        }
        let is_racy = stamp.as_ref().is_none_or(FileStamp::is_racy);
        let text = fs::read_to_string(path).map_err(|error: io::Error| error.to_string());
        match known.filter(|known| known.text == text) {
            // The text is the same, and so is what has been learnt of it.
            Some(known) => Arc::new(File {
                stamp,
                is_racy,
                text,
                method: known.method.clone(),
                references: known.references.clone(),
            }),
            None => Arc::new(File { stamp, is_racy, text, method: OnceLock::new(), references: OnceLock::new() }),
        }
    }
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(FileStamp { inode: file.ino(), bytes: file.size(), changed: (file.ctime(), file.ctime_nsec()) })
    }

    fn is_racy(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_secs()).map_or(true, |now| now - self.changed.0 < RACY_SECONDS)
    }
}

impl File {
    fn method(&self, module: &Module) -> &Result<Method, Vec<Problem>> {
        self.method.get_or_init(|| method::read(module, self.text.as_deref()))
    }

    fn references(&self) -> &[Reference] {
        self.references.get_or_init(|| self.text.as_deref().map(references::read).unwrap_or_default())
    }
}

impl Tree {
    /// The Rust source of the module tree and of `pub fn methods()`, for `include!` at the root of a crate.
    pub fn source(&self, development: Option<&Development>) -> String {
        write::source(&self.modules.iter().collect::<Vec<_>>(), &self.methods.iter().collect::<Vec<_>>(), development)
    }

    /// The Rust source of a library that holds these methods, what they need of the tree, and those other files that are `wanted`.
    /// A server in development mode compiles and loads it: `key`, of letters and digits, is what it recognises it by.
    pub fn plugin(&self, names: &BTreeSet<&str>, wanted: impl Fn(&Path) -> bool, key: &str) -> String {
        let methods: Vec<&Method> = self.methods.iter().filter(|method| names.contains(&*method.name)).collect();
        let graph = self.module_graph();
        let mut needed: BTreeSet<usize> =
            (0..self.modules.len()).filter(|index| wanted(&self.modules[*index].file)).collect();
        for method in &methods {
            needed.extend(self.dependencies(method, &graph).modules);
        }
        write::plugin(&needed.into_iter().map(|index| &self.modules[index]).collect::<Vec<_>>(), &methods, key)
    }

    /// The methods, sorted by name.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// What is wrong: the files that it is in are left out of everything else.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// The tree's own folder, and then those below it that hold methods or shared code: absolute and sorted.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(PathBuf::as_path)
    }

    /// What each method is made of, by its name.
    pub fn method_sources(&self) -> BTreeMap<&str, MethodSources<'_>> {
        let graph = self.module_graph();
        let method_sources = self.methods.iter().map(|method| {
            let DependencyClosure { modules, includes, is_closed } = self.dependencies(method, &graph);
            let mut fingerprint = DefaultHasher::new();
            for index in &modules {
                self.modules[*index].file.hash(&mut fingerprint);
                self.files[*index].text.hash(&mut fingerprint);
            }
            for include in &includes {
                fs::read(include).ok().hash(&mut fingerprint);
            }
            let files = modules.into_iter().map(|index| self.modules[index].file.as_path()).collect();
            (
                &*method.name,
                MethodSources { fingerprint: fingerprint.finish(), own: &method.file, files, includes, is_closed },
            )
        });
        method_sources.collect()
    }

    /// Whether these files of the tree are still those that were read: then what has been compiled from them since is what was read.
    pub fn is_unchanged(&self, files: &BTreeSet<&Path>) -> bool {
        let mut read = self.modules.iter().zip(&self.files).filter(|(module, _)| files.contains(&*module.file));
        read.all(|(module, file)| file.stamp.is_some() && file.stamp == FileStamp::of(&module.path))
    }

    fn leave_out_what_is_wrong(&mut self) {
        // A problem may be a folder's.
        let wrong: BTreeSet<&Path> = self.problems.iter().map(|problem| problem.file.as_path()).collect();
        let is_good = |file: &Path| !file.ancestors().any(|part| wrong.contains(part));
        let (modules, files) = (std::mem::take(&mut self.modules), std::mem::take(&mut self.files));
        (self.modules, self.files) = modules.into_iter().zip(files).filter(|(module, _)| is_good(&module.file)).unzip();
        self.methods.retain(|method| is_good(&method.file));
    }

    fn module_graph(&self) -> ModuleGraph<'_> {
        let mut index_of_path = ModuleIndex::new();
        for (index, module) in self.modules.iter().enumerate() {
            for length in 0..=module.segments.len() {
                index_of_path.entry(&module.segments[..length]).or_default().push(index);
            }
        }
        let implements = |index: &usize| {
            self.modules[*index].is_shared() && self.files[*index].references().contains(&Reference::Implementation)
        };
        let implementors = (0..self.modules.len()).filter(implements);
        let implementors = implementors.map(|index| (index, self.referred(index, &index_of_path).collect())).collect();
        ModuleGraph { index_of_path, implementors }
    }

    fn dependencies(&self, method: &Method, graph: &ModuleGraph<'_>) -> DependencyClosure {
        let own = graph.index_of_path.get(&method.segments[..]).into_iter().flatten().copied();
        let mut open: Vec<usize> = own.collect();
        let mut closure = DependencyClosure { modules: BTreeSet::new(), includes: BTreeSet::new(), is_closed: true };
        while let Some(index) = open.pop() {
            if !closure.modules.insert(index) {
                continue;
            }
            open.extend(self.referred(index, &graph.index_of_path));
            open.extend(
                graph.implementors.iter().filter(|(_, to)| to.contains(&index)).map(|(implementor, _)| *implementor),
            );
            for reference in self.files[index].references() {
                match reference {
                    Reference::Include(file) => {
                        closure.includes.extend(self.modules[index].path.parent().map(|folder| folder.join(file)));
                    }
                    Reference::Environment => closure.is_closed = false,
                    Reference::Crate(_) | Reference::Super(..) | Reference::Implementation => {}
                }
            }
        }
        closure
    }

    /// The modules that the paths in one may mean.
    fn referred<'a>(&'a self, index: usize, index_of_path: &'a ModuleIndex<'_>) -> impl Iterator<Item = usize> + 'a {
        let segments = &self.modules[index].segments;
        let modules = self.files[index].references().iter().map(move |reference| match reference {
            Reference::Crate(rest) => find(index_of_path, &[], rest),
            Reference::Super(levels, rest) => {
                find(index_of_path, &segments[..segments.len().saturating_sub(*levels)], rest)
            }
            Reference::Include(_) | Reference::Environment | Reference::Implementation => &[],
        });
        modules.flatten().copied()
    }
}

/// What a method is made of.
#[derive(Debug)]
pub struct MethodSources<'a> {
    /// Another number if anything in it is another, in its own file or in what that refers to. Of use to builds of one compiler.
    pub fingerprint: u64,
    /// Its file, as [`Method::file`] names it.
    pub own: &'a Path,
    /// The same, and those that it needs: all that its paths may mean, and shared code that implements a trait and refers to one of these.
    pub files: BTreeSet<&'a Path>,
    /// What is included in them.
    pub includes: BTreeSet<PathBuf>,
    /// Whether that is all. It is not if something of the environment is read when it is compiled.
    pub is_closed: bool,
}

/// What is where, and what is added to what.
struct ModuleGraph<'a> {
    index_of_path: ModuleIndex<'a>,
    /// Shared code that implements a trait: the module, and those it refers to. Who needs one of these needs it too.
    implementors: Vec<(usize, BTreeSet<usize>)>,
}

/// The modules at and below each path: for a file one, for a folder all in it.
type ModuleIndex<'a> = HashMap<&'a [String], Vec<usize>>;

struct DependencyClosure {
    modules: BTreeSet<usize>,
    includes: BTreeSet<PathBuf>,
    is_closed: bool,
}

/// The modules that a path from `base` on may mean: a file, or all of the folder at which it leaves the tree.
fn find<'a>(index_of_path: &'a ModuleIndex<'_>, base: &[String], rest: &[String]) -> &'a [usize] {
    let mut whole = base.to_vec();
    for segment in rest {
        whole.push(segment.clone());
        if !index_of_path.contains_key(&whole[..]) {
            whole.pop();
            break;
        }
    }
    index_of_path.get(&whole[..]).map_or(&[], |modules| modules)
}
