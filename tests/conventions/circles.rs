//! No file imports a file that imports it back, directly or through others: files can be read from the leaves upwards.
//!
//! The text is read, whatever feature it is compiled for. `crate::`, `super::` and `self::` paths, and paths that begin
//! with a child module, are resolved to the file that defines what they name, through `use` declarations. Declaring a
//! module is no import. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::{Token, group_end, tokens};
use crate::{assert_none, rust_files, text};

/// The source folders of the packages.
const PACKAGES: [&str; 3] = ["server/src", "method-sdk/src", "method-sdk/build/src"];

/// A module's path below the crate, such as `["call", "auth"]`.
type ModulePath = Vec<String>;

/// The modules of a package and what they import.
#[derive(Default)]
struct Package {
    /// The file of each module, inline modules included.
    modules: BTreeMap<ModulePath, String>,
    /// The names that a module's `use` declarations bring into scope, with their paths.
    imports: BTreeMap<ModulePath, BTreeMap<String, ModulePath>>,
    /// Every path that occurs in a module.
    paths: Vec<(ModulePath, ModulePath)>,
}

/// The files that a file imports, each with the paths that name it.
type Edges = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

impl Package {
    fn read(folder: &str) -> Self {
        let mut package = Self::default();
        let mut sources = Vec::new();
        for file in rust_files(folder) {
            let below = file[folder.len() + 1..].trim_end_matches(".rs");
            let mut module: ModulePath = below.split('/').map(str::to_owned).collect();
            if ["mod", "lib", "main"].contains(&module.last().unwrap().as_str()) {
                module.pop();
            }
            if module.last().is_none_or(|name| name != "tests") {
                sources.push((module.clone(), tokens(&text(&file).unwrap())));
                package.modules.insert(module, file);
            }
        }
        for (module, code) in &sources {
            package.add_inline_modules(module, code);
        }
        for (module, code) in &sources {
            package.add_paths(module, code);
        }
        package
    }

    /// Adds the modules that are written in the file of another.
    fn add_inline_modules(&mut self, module: &ModulePath, code: &[Token]) {
        let file = self.modules[module].clone();
        for_each_module(module, code, &mut |inline, _| {
            self.modules.entry(inline.clone()).or_insert_with(|| file.clone());
        });
    }

    /// Collects the imports and paths of a file.
    fn add_paths(&mut self, module: &ModulePath, code: &[Token]) {
        let mut found = Vec::new();
        for_each_module(module, code, &mut |scope, tokens| found.push((scope.clone(), tokens.to_vec())));
        for (scope, tokens) in found {
            let mut index = 0;
            while index < tokens.len() {
                if tokens[index].text == "use" {
                    let mut leaves = Vec::new();
                    index = use_tree(&tokens, index + 1, &[], &mut leaves);
                    for (name, path) in leaves {
                        self.imports.entry(scope.clone()).or_default().insert(name, path.clone());
                        self.paths.push((scope.clone(), path));
                    }
                } else if let Some((path, end)) = path_at(&tokens, index) {
                    self.paths.push((scope.clone(), path));
                    index = end;
                } else {
                    index += 1;
                }
            }
        }
    }

    /// Returns the module that defines what a path names, or `None` if the path leads out of the package.
    fn resolve(&self, scope: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        let mut module = scope.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => {}
            first => {
                module.push(first.to_owned());
                let is_child = self.modules.contains_key(&module);
                module.pop();
                if !is_child {
                    // `use crate::a;` and then `a::b::C`.
                    let import = self.imports.get(scope)?.get(first).filter(|import| import.first() != path.first())?;
                    let whole: Vec<String> = import.iter().chain(&path[1..]).cloned().collect();
                    return if depth < 8 { self.resolve(scope, &whole, depth + 1) } else { None };
                }
                rest = &[];
                module = self.descend(module, path, depth);
            }
        }
        while let Some(first) = rest.first() {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => drop(module.pop()),
                _ => {
                    module = self.descend(module, rest, depth);
                    break;
                }
            }
            rest = &rest[1..];
        }
        Some(module)
    }

    /// Follows a path from a module downwards: child modules first, then what the module imports.
    fn descend(&self, mut module: ModulePath, path: &[String], depth: usize) -> ModulePath {
        for (index, name) in path.iter().enumerate() {
            module.push(name.clone());
            if self.modules.contains_key(&module) {
                continue;
            }
            module.pop();
            if let Some(import) = self.imports.get(&module).and_then(|imports| imports.get(name))
                && depth < 8
            {
                let whole: Vec<String> = import.iter().chain(&path[index + 1..]).cloned().collect();
                return self.resolve(&module, &whole, depth + 1).unwrap_or(module);
            }
            break;
        }
        module
    }

    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (scope, path) in &self.paths {
            let Some(target) = self.resolve(scope, path, 0) else { continue };
            let (from, to) = (&self.modules[scope], &self.modules[&target]);
            if from != to {
                edges.entry(from.clone()).or_default().entry(to.clone()).or_default().insert(path.join("::"));
            }
        }
        edges
    }
}

/// Calls `visit` with every module of a file, inline modules included, and with the tokens that are its own.
fn for_each_module(module: &ModulePath, code: &[Token], visit: &mut impl FnMut(&ModulePath, &[Token])) {
    let mut own = Vec::new();
    let mut index = 0;
    while index < code.len() {
        let is_inline = code[index].text == "mod" && code.get(index + 2).is_some_and(|token| token.text == "{");
        if is_inline {
            let end = group_end(code, index + 2);
            let mut inline = module.clone();
            inline.push(code[index + 1].text.clone());
            for_each_module(&inline, &code[index + 3..end - 1], visit);
            index = end;
        } else {
            own.push(code[index].clone());
            index += 1;
        }
    }
    visit(module, &own);
}

/// Reads one tree of a `use` declaration: adds each name that it brings into scope, and returns the index after it.
fn use_tree(code: &[Token], mut index: usize, prefix: &[String], leaves: &mut Vec<(String, ModulePath)>) -> usize {
    let mut path = prefix.to_vec();
    if code[index].text == "::" {
        // A path to another package.
        while code[index].text != ";" {
            index += 1;
        }
        return index;
    }
    loop {
        match code[index].text.as_str() {
            "{" => {
                let end = group_end(code, index);
                index += 1;
                while index < end - 1 {
                    index = use_tree(code, index, &path, leaves);
                    index += usize::from(code[index].text == ",");
                }
                return end;
            }
            "*" => {
                leaves.push((String::new(), path));
                return index + 1;
            }
            "::" => index += 1,
            "as" => {
                leaves.push((code[index + 1].text.clone(), path));
                return index + 2;
            }
            _ if code[index].is_identifier() => {
                path.push(code[index].text.clone());
                index += 1;
            }
            _ => {
                if path.last().is_some_and(|name| name == "self") && path.len() > 1 {
                    path.pop();
                }
                leaves.extend(path.last().cloned().map(|name| (name, path)));
                return index;
            }
        }
    }
}

/// Returns the path that begins at a token and the index after it; a single name is no path.
fn path_at(code: &[Token], start: usize) -> Option<(ModulePath, usize)> {
    let continues = |index: usize| code.get(index).is_some_and(|token| token.text == "::");
    let is_after_path = start > 0 && code[start - 1].text == "::";
    let is_visibility = start > 0 && code[start - 1].text == "in";
    if !code[start].is_identifier() || !continues(start + 1) || is_after_path || is_visibility {
        return None;
    }
    let mut path = vec![code[start].text.clone()];
    let mut index = start + 1;
    while continues(index) && code.get(index + 1).is_some_and(Token::is_identifier) {
        path.push(code[index + 1].text.clone());
        index += 2;
    }
    Some((path, index))
}

/// Returns the groups of files that reach each other.
fn circles(edges: &Edges) -> Vec<BTreeSet<String>> {
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(file) = open.pop() {
            for to in edges.get(&file).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = edges.keys().map(|file| (file, reach(file))).collect();
    let mut circles: Vec<BTreeSet<String>> = Vec::new();
    for (file, targets) in &reached {
        let members: BTreeSet<String> =
            targets.iter().filter(|to| reached.get(to).is_some_and(|back| back.contains(*file))).cloned().collect();
        if !members.is_empty() && !circles.contains(&members) {
            circles.push(members);
        }
    }
    circles
}

/// Describes a circle: each import between two of its files, with the paths that make it.
fn describe(circle: &BTreeSet<String>, edges: &Edges) -> String {
    let mut text = format!("a circle of {} files:", circle.len());
    for from in circle {
        for (to, paths) in edges[from].iter().filter(|(to, _)| circle.contains(*to)) {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            text += &format!("\n    {from} -> {to}: {}", paths.join(", "));
        }
    }
    text
}

#[test]
fn no_files_import_each_other() {
    let mut findings = Vec::new();
    for folder in PACKAGES {
        let edges = Package::read(folder).edges();
        findings.extend(circles(&edges).iter().map(|circle| describe(circle, &edges)));
    }
    assert_none(&findings, "files that import each other");
}

#[test]
fn a_path_leads_to_the_file_that_defines_its_name() {
    let source = "
        use crate::b::{self, C, d::E as F}; pub use g::H; use ::mongodb::I; use std::fmt;
        fn f() -> super::J { g::k(); $crate::b::L }
    ";
    let mut leaves = Vec::new();
    let code = tokens(source);
    let starts = code.iter().enumerate().filter(|(_, token)| token.text == "use").map(|(index, _)| index);
    for start in starts {
        use_tree(&code, start + 1, &[], &mut leaves);
    }
    let names: Vec<String> = leaves.iter().map(|(name, path)| format!("{name}={}", path.join("::"))).collect();
    assert_eq!(names, ["b=crate::b", "C=crate::b::C", "F=crate::b::d::E", "H=g::H", "fmt=std::fmt"]);

    let module = |path: &str| path.split("::").map(str::to_owned).collect::<ModulePath>();
    let mut package = Package::default();
    for path in ["a", "a::g", "b", "b::d"] {
        package.modules.insert(module(path), format!("{path}.rs"));
    }
    package.modules.insert(Vec::new(), "lib.rs".to_owned());
    package.imports.entry(module("a")).or_default().insert("H".to_owned(), module("g::H"));
    package.imports.entry(module("a")).or_default().insert("b".to_owned(), module("crate::b"));
    let target = |path: &str| package.resolve(&module("a"), &module(path), 0);
    assert_eq!(target("crate::b::d::E"), Some(module("b::d")));
    assert_eq!(target("crate::a::H"), Some(module("a::g")), "through `pub use`");
    assert_eq!(target("g::k"), Some(module("a::g")));
    assert_eq!(target("super::b::C"), Some(module("b")));
    assert_eq!(target("std::fmt"), None);
    assert_eq!(target("b::d::E"), Some(module("b::d")), "through an imported module");
}
