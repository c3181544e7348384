//! The tree: its files, what is in them, and which of them a method needs.

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
const SETTLED_SECONDS: i64 = 3;

/// Reads a tree again and again: a file is opened only if it has changed, and parsed only if its text has.
#[derive(Debug)]
pub struct Reader {
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
    stamp: Option<Stamp>,
    is_settled: bool,
    text: Result<String, String>,
    /// As a method; of shared code it is not asked.
    method: OnceLock<Result<Method, Vec<Problem>>>,
    references: OnceLock<Vec<Reference>>,
}

/// What shows that a file has changed: which it is, how long, and when it or its name was last written.
#[derive(Debug, PartialEq)]
struct Stamp {
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
    let tree = Reader::new(methods).read();
    if tree.problems.is_empty() { Ok(tree) } else { Err(tree.problems.into_iter().collect()) }
}

impl Reader {
    /// A reader of the tree in the folder `methods`.
    pub fn new(methods: &Path) -> Self {
        Reader { methods: methods.to_owned(), files: HashMap::new() }
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
        let stamp = Stamp::of(path);
        let known = self.files.get(path);
        if let Some(known) = known.filter(|known| known.is_settled && known.stamp == stamp) {
            return known.clone();
        }
        let is_settled = stamp.as_ref().is_some_and(Stamp::is_settled);
        let text = fs::read_to_string(path).map_err(|error: io::Error| error.to_string());
        match known.filter(|known| known.text == text) {
            // The text is the same, and so is what has been learnt of it.
            Some(known) => Arc::new(File {
                stamp,
                is_settled,
                text,
                method: known.method.clone(),
                references: known.references.clone(),
            }),
            None => Arc::new(File { stamp, is_settled, text, method: OnceLock::new(), references: OnceLock::new() }),
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Stamp { inode: file.ino(), bytes: file.size(), changed: (file.ctime(), file.ctime_nsec()) })
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_secs()).is_ok_and(|now| now - self.changed.0 >= SETTLED_SECONDS)
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
        let layout = self.layout();
        let mut needed: BTreeSet<usize> =
            (0..self.modules.len()).filter(|index| wanted(&self.modules[*index].file)).collect();
        for method in &methods {
            needed.extend(self.needs(method, &layout).modules);
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
    pub fn makings(&self) -> BTreeMap<&str, Making<'_>> {
        let layout = self.layout();
        let makings = self.methods.iter().map(|method| {
            let Needs { modules, includes, is_closed } = self.needs(method, &layout);
            let mut fingerprint = DefaultHasher::new();
            for index in &modules {
                self.modules[*index].file.hash(&mut fingerprint);
                self.files[*index].text.hash(&mut fingerprint);
            }
            for include in &includes {
                fs::read(include).ok().hash(&mut fingerprint);
            }
            let files = modules.into_iter().map(|index| self.modules[index].file.as_path()).collect();
            (&*method.name, Making { fingerprint: fingerprint.finish(), own: &method.file, files, includes, is_closed })
        });
        makings.collect()
    }

    /// Whether these files of the tree are still those that were read: then what has been compiled from them since is what was read.
    pub fn is_unchanged(&self, files: &BTreeSet<&Path>) -> bool {
        let mut read = self.modules.iter().zip(&self.files).filter(|(module, _)| files.contains(&*module.file));
        read.all(|(module, file)| file.stamp.is_some() && file.stamp == Stamp::of(&module.path))
    }

    fn leave_out_what_is_wrong(&mut self) {
        // A problem may be a folder's.
        let wrong: BTreeSet<&Path> = self.problems.iter().map(|problem| problem.file.as_path()).collect();
        let is_good = |file: &Path| !file.ancestors().any(|part| wrong.contains(part));
        let (modules, files) = (std::mem::take(&mut self.modules), std::mem::take(&mut self.files));
        (self.modules, self.files) = modules.into_iter().zip(files).filter(|(module, _)| is_good(&module.file)).unzip();
        self.methods.retain(|method| is_good(&method.file));
    }

    fn layout(&self) -> Layout<'_> {
        let mut places = Places::new();
        for (index, module) in self.modules.iter().enumerate() {
            for length in 0..=module.segments.len() {
                places.entry(&module.segments[..length]).or_default().push(index);
            }
        }
        let implements = |index: &usize| {
            self.modules[*index].is_shared() && self.files[*index].references().contains(&Reference::Implementation)
        };
        let additions = (0..self.modules.len()).filter(implements);
        let additions = additions.map(|index| (index, self.referred(index, &places).collect())).collect();
        Layout { places, additions }
    }

    fn needs(&self, method: &Method, layout: &Layout<'_>) -> Needs {
        let own = layout.places.get(&method.segments[..]).into_iter().flatten().copied();
        let mut open: Vec<usize> = own.collect();
        let mut needs = Needs { modules: BTreeSet::new(), includes: BTreeSet::new(), is_closed: true };
        while let Some(index) = open.pop() {
            if !needs.modules.insert(index) {
                continue;
            }
            open.extend(self.referred(index, &layout.places));
            open.extend(layout.additions.iter().filter(|(_, to)| to.contains(&index)).map(|(addition, _)| *addition));
            for reference in self.files[index].references() {
                match reference {
                    Reference::Include(file) => {
                        needs.includes.extend(self.modules[index].path.parent().map(|folder| folder.join(file)));
                    }
                    Reference::Environment => needs.is_closed = false,
                    Reference::Crate(_) | Reference::Super(..) | Reference::Implementation => {}
                }
            }
        }
        needs
    }

    /// The modules that the paths in one may mean.
    fn referred<'a>(&'a self, index: usize, places: &'a Places<'_>) -> impl Iterator<Item = usize> + 'a {
        let segments = &self.modules[index].segments;
        let modules = self.files[index].references().iter().map(move |reference| match reference {
            Reference::Crate(rest) => find(places, &[], rest),
            Reference::Super(levels, rest) => find(places, &segments[..segments.len().saturating_sub(*levels)], rest),
            Reference::Include(_) | Reference::Environment | Reference::Implementation => &[],
        });
        modules.flatten().copied()
    }
}

/// What a method is made of.
#[derive(Debug)]
pub struct Making<'a> {
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
struct Layout<'a> {
    places: Places<'a>,
    /// Shared code that implements a trait: the module, and those it refers to. Who needs one of these needs it too.
    additions: Vec<(usize, BTreeSet<usize>)>,
}

/// The modules at and below each path: for a file one, for a folder all in it.
type Places<'a> = HashMap<&'a [String], Vec<usize>>;

struct Needs {
    modules: BTreeSet<usize>,
    includes: BTreeSet<PathBuf>,
    is_closed: bool,
}

/// The modules that a path from `base` on may mean: a file, or all of the folder at which it leaves the tree.
fn find<'a>(places: &'a Places<'_>, base: &[String], rest: &[String]) -> &'a [usize] {
    let mut whole = base.to_vec();
    for segment in rest {
        whole.push(segment.clone());
        if !places.contains_key(&whole[..]) {
            whole.pop();
            break;
        }
    }
    places.get(&whole[..]).map_or(&[], |modules| modules)
}
