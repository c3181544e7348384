//! The type that a name means: in its own module, by an import, or outside the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::declarations::{Declaration, Declarations, Import, Kind, TypeRef};

/// A type whose names have been resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ResolvedType {
    /// A type of the tree, by its path.
    Declared(Vec<String>, Vec<ResolvedType>),
    /// A type outside the tree, by its path as far as it is known.
    External(Vec<String>, Vec<ResolvedType>),
    Tuple(Vec<ResolvedType>),
    Array(Box<ResolvedType>, Option<u64>),
    Other,
}

impl ResolvedType {
    /// Returns how deep the type is nested: 1 if it contains no other in its text.
    pub(crate) fn depth(&self) -> usize {
        let deepest = match self {
            ResolvedType::Declared(_, types) | ResolvedType::External(_, types) | ResolvedType::Tuple(types) => {
                types.iter().map(ResolvedType::depth).max()
            }
            ResolvedType::Array(element, _) => Some(element.depth()),
            ResolvedType::Other => None,
        };
        1 + deepest.unwrap_or(0)
    }
}

/// The most imports, and the most aliases, that are followed for one name: they may form a circle.
const MAX_STEPS: usize = 16;

/// The types that the parameters of a generic type stand for.
pub(crate) type Parameters<'a> = BTreeMap<&'a str, ResolvedType>;

impl Declaration {
    /// Returns the types that the parameters stand for.
    pub(crate) fn bind(&self, arguments: impl IntoIterator<Item = ResolvedType>) -> Parameters<'_> {
        self.parameters.iter().map(String::as_str).zip(arguments).collect()
    }
}

/// The types and imports of a tree.
pub(crate) struct Names<'a> {
    files: BTreeMap<&'a [String], &'a Declarations>,
    paths: BTreeMap<&'a [String], &'a Path>,
    types: BTreeMap<Vec<String>, &'a Declaration>,
    /// The paths of all modules: those of files, of the folders above them, and inline modules.
    modules: BTreeSet<Vec<String>>,
}

impl<'a> Names<'a> {
    /// Creates the names of files: their module paths, their own paths and what they declare.
    pub(crate) fn new(files: impl IntoIterator<Item = (&'a [String], &'a Path, &'a Declarations)>) -> Self {
        let (mut by_module, mut paths) = (BTreeMap::new(), BTreeMap::new());
        for (module, path, declarations) in files {
            by_module.insert(module, declarations);
            paths.insert(module, path);
        }
        let mut names = Names { files: by_module, paths, types: BTreeMap::new(), modules: BTreeSet::new() };
        for (&module, declarations) in &names.files {
            for declaration in &declarations.types {
                names.types.insert([module, &declaration.path].concat(), declaration);
            }
            let inline = declarations.types.iter().map(|declaration| &declaration.path[..declaration.path.len() - 1]);
            let inline = inline.chain(declarations.imports.iter().map(|import| &import.module[..]));
            // Most files have none, and many declarations.
            let inline: BTreeSet<&[String]> = inline.chain([&[][..]]).collect();
            for path in inline.into_iter().map(|inline| [module, inline].concat()) {
                names.modules.extend((0..=path.len()).map(|length| path[..length].to_vec()));
            }
        }
        names
    }

    /// Returns the files that are not valid Rust.
    pub(crate) fn unreadable(&self) -> Vec<PathBuf> {
        let files = self.files.iter().filter(|(_, declarations)| !declarations.is_rust);
        files.map(|(module, _)| self.paths[module].to_owned()).collect()
    }

    /// Returns the file that a module is in, and what it declares.
    pub(crate) fn file(&self, module: &[String]) -> Option<(&'a Path, &'a Declarations)> {
        let module =
            (0..=module.len()).rev().map(|length| &module[..length]).find(|module| self.files.contains_key(module))?;
        Some((self.paths[module], self.files[module]))
    }

    /// Returns the type at a path, and the module in which its own names are resolved.
    pub(crate) fn declaration<'p>(&self, path: &'p [String]) -> Option<(&'p [String], &'a Declaration)> {
        let (_, module) = path.split_last()?;
        Some((module, self.types.get(path)?))
    }

    /// Resolves the names of a type that is written in `module`, and the aliases that they mean. `parameters` are the type parameters in
    /// scope.
    pub(crate) fn resolve(&self, written: &TypeRef, module: &[String], parameters: &Parameters<'_>) -> ResolvedType {
        self.resolve_after(0, written, module, parameters)
    }

    /// Resolves a type after this number of aliases.
    fn resolve_after(
        &self,
        aliases: usize,
        written: &TypeRef,
        module: &[String],
        parameters: &Parameters<'_>,
    ) -> ResolvedType {
        let resolve = |written: &TypeRef| self.resolve_after(aliases, written, module, parameters);
        match written {
            TypeRef::Path { segments, arguments } => {
                if let [name] = &segments[..]
                    && let Some(argument) = parameters.get(&**name)
                {
                    return argument.clone();
                }
                let arguments = arguments.iter().map(resolve).collect();
                let path = match self.find(segments, module, 0) {
                    Ok(path) => path,
                    Err(path) => return ResolvedType::External(path, arguments),
                };
                match self.declaration(&path) {
                    Some((_, Declaration { kind: Kind::Alias(_), .. })) if aliases == MAX_STEPS => ResolvedType::Other,
                    Some((module, declaration @ Declaration { kind: Kind::Alias(target), .. })) => {
                        self.resolve_after(aliases + 1, target, module, &declaration.bind(arguments))
                    }
                    _ => ResolvedType::Declared(path, arguments),
                }
            }
            TypeRef::Tuple(elements) => ResolvedType::Tuple(elements.iter().map(resolve).collect()),
            TypeRef::Array(element, length) => ResolvedType::Array(Box::new(resolve(element)), *length),
            TypeRef::Other => ResolvedType::Other,
        }
    }

    /// Returns the path of a type of the tree, or as an error the path of another type.
    fn find(&self, written: &[String], module: &[String], imports: usize) -> Result<Vec<String>, Vec<String>> {
        let Some((first, rest)) = written.split_first() else { return Err(Vec::new()) };
        match first.as_str() {
            "crate" => return self.find_from(rest, &[], imports),
            "self" => return self.find_from(rest, module, imports),
            "super" => return self.find_from(written, module, imports),
            _ => {}
        }
        match self.find_from(written, module, imports) {
            Ok(path) => Ok(path),
            // A name that nothing in the tree has: of the standard library, or of another package.
            Err(_) => Err(self.external(written, module, imports)),
        }
    }

    /// Finds a path below `module`: a type, one in a module below it, or one that it imports.
    fn find_from(&self, path: &[String], module: &[String], imports: usize) -> Result<Vec<String>, Vec<String>> {
        let whole = [module, path].concat();
        if let Some(("super", rest)) = path.split_first().map(|(first, rest)| (first.as_str(), rest)) {
            return self.find_from(rest, &module[..module.len().saturating_sub(1)], imports);
        }
        if self.types.contains_key(&whole) {
            return Ok(whole);
        }
        let Some((first, rest)) = path.split_first() else { return Err(whole) };
        let below = [module, std::slice::from_ref(first)].concat();
        if !rest.is_empty() && self.modules.contains(&below) {
            return self.find_from(rest, &below, imports);
        }
        if imports == MAX_STEPS {
            return Err(whole);
        }
        for import in self.imports(module).filter(|import| self.may_be_in_tree(&import.path, module)) {
            let target = match &import.name {
                Some(name) if name == first => [&import.path[..], rest].concat(),
                Some(_) => continue,
                None => [&import.path[..], path].concat(),
            };
            if let Ok(found) = self.find(&target, module, imports + 1) {
                return Ok(found);
            }
        }
        Err(whole)
    }

    /// Returns `false` for the path of an import that leads out of the tree, such as `method_sdk::prelude`. Its names would be looked for
    /// in every import again.
    fn may_be_in_tree(&self, path: &[String], module: &[String]) -> bool {
        let Some(first) = path.first() else { return false };
        let is_imported = || self.imports(module).any(|import| import.name.as_ref() == Some(first));
        ["crate", "self", "super"].contains(&&**first)
            || self.modules.contains(&[module, std::slice::from_ref(first)].concat())
            || is_imported()
    }

    /// Returns the path of a name outside the tree: through an import, or as it is written.
    fn external(&self, written: &[String], module: &[String], imports: usize) -> Vec<String> {
        let Some((first, rest)) = written.split_first() else { return Vec::new() };
        let import = self.imports(module).find(|import| import.name.as_ref() == Some(first));
        match import.filter(|import| imports < MAX_STEPS && import.path != written) {
            Some(import) => {
                let target = [&import.path[..], rest].concat();
                self.find(&target, module, imports + 1).unwrap_or_else(|path| path)
            }
            None => written.to_vec(),
        }
    }

    /// Returns the imports of a module.
    fn imports(&self, module: &[String]) -> impl Iterator<Item = &'a Import> {
        let file = (0..=module.len()).rev().find_map(|length| Some((length, *self.files.get(&module[..length])?)));
        let inner = file.map(|(length, _)| module[length..].to_vec()).unwrap_or_default();
        let imports = file.map(|(_, declarations)| declarations.imports.iter()).into_iter().flatten();
        imports.filter(move |import| import.module == inner)
    }
}
