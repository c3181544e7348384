//! The types that a file declares, and what `invoke` takes and returns: reduced to owned values, because the syntax tree of a file is
//! dropped when it has been read.

use std::collections::{BTreeMap, BTreeSet};

use serde_derive_internals::ast::{Container, Data, Field, Style, Variant};
use serde_derive_internals::attr::{Name, TagType};
use serde_derive_internals::{Ctxt, Derive};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, DeriveInput, Expr, ExprLit, FnArg, GenericArgument, GenericParam, Generics, ImplItem, Item, ItemFn,
    ItemUse, Lit, PathArguments, ReturnType, Type, UseTree,
};

use super::conditions;
use super::effects::{self, Effects};
use crate::attributes::string;
use crate::method::doc_text;

/// A type as it is written, without lifetimes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TypeRef {
    /// A path, with the arguments of its last segment.
    Path {
        segments: Vec<String>,
        arguments: Vec<TypeRef>,
    },
    Tuple(Vec<TypeRef>),
    /// An array, with its length if that is a literal.
    Array(Box<TypeRef>, Option<u64>),
    /// A type that has no JSON form, such as a function.
    Other,
}

/// The way in which a value passes the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Direction {
    /// Parameters.
    Input,
    /// An answer.
    Output,
}

impl Direction {
    /// Returns the end of the name of a definition that is not the same in both directions.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Direction::Input => "In",
            Direction::Output => "Out",
        }
    }
}

/// The types and imports that a file declares, and its `invoke`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Declarations {
    /// The file is valid Rust.
    pub(crate) is_rust: bool,
    pub(crate) types: Vec<Declaration>,
    pub(crate) imports: Vec<Import>,
    pub(crate) invoke: Option<Signature>,
    /// The lines of `invoke` and of the constants, by their names.
    pub(crate) lines: BTreeMap<String, usize>,
    pub(crate) effects: Effects,
}

/// A type.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    /// The inline modules around it, and its name.
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    pub(crate) doc: String,
    pub(crate) parameters: Vec<String>,
    pub(crate) kind: Kind,
    /// The schema that its author gives: the constant `SCHEMA`.
    pub(crate) schema: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Alias(TypeRef),
    /// A struct or an enum: its JSON in each direction, or `None` if it has none, or an implementation that is not derived.
    Data {
        input: Option<Shape>,
        output: Option<Shape>,
    },
}

/// The JSON form of a type.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// It cannot be known, for this reason.
    Unknown(String),
    /// The form of another value.
    Same(Value),
    Null,
    Object(Object),
    Tuple(Vec<Value>),
    Enum {
        tagging: Tagging,
        variants: Vec<VariantShape>,
    },
}

/// The members of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    pub(crate) members: Vec<Member>,
    pub(crate) denies_unknown: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The names that are accepted; the first is the one that is written. Empty for a member that is flattened.
    pub(crate) names: Vec<String>,
    pub(crate) line: usize,
    pub(crate) doc: String,
    pub(crate) value: Value,
    pub(crate) is_flattened: bool,
    /// It may be missing, regardless of its type.
    pub(crate) is_optional: bool,
    /// A missing member is `None`, if the type is an `Option`.
    pub(crate) is_missing_none: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Type(TypeRef),
    /// A function reads or writes it.
    With(String),
    /// Always this text.
    Constant(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tagging {
    External,
    Internal(String),
    Adjacent(String, String),
    Untagged,
}

#[derive(Debug, Clone)]
pub(crate) struct VariantShape {
    pub(crate) names: Vec<String>,
    pub(crate) doc: String,
    pub(crate) content: Shape,
    pub(crate) is_untagged: bool,
    /// Any other name means it.
    pub(crate) is_other: bool,
}

/// A name that `use` brings into a module, or a glob.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// The inline modules around it.
    pub(crate) module: Vec<String>,
    /// `None` for a glob.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
}

/// The types that `invoke` takes and returns.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) parameters: TypeRef,
    /// The type of an answer, without the `Result` around it; `None` if it cannot be seen.
    pub(crate) answer: Option<TypeRef>,
}

/// Reads the declarations of a file that is built with these features.
pub(crate) fn read(mut file: syn::File, features: &BTreeSet<String>) -> Declarations {
    conditions::apply(&mut file, features);
    let mut declarations = Declarations { is_rust: true, ..Declarations::default() };
    read_items(&file.items, &[], &mut declarations);
    declarations.invoke = file.items.iter().find_map(|item| match item {
        Item::Fn(function) if function.sig.ident == "invoke" => signature(function),
        _ => None,
    });
    declarations.lines = file.items.iter().filter_map(line).collect();
    declarations.effects = effects::read(&file.items);
    declarations
}

/// Returns the name and the line of a function or constant.
fn line(item: &Item) -> Option<(String, usize)> {
    let name = match item {
        Item::Fn(function) => &function.sig.ident,
        Item::Const(constant) => &constant.ident,
        _ => return None,
    };
    Some((name.to_string(), name.span().start().line))
}

fn read_items(items: &[Item], module: &[String], declarations: &mut Declarations) {
    for item in items {
        match item {
            Item::Struct(item) => read_data(DeriveInput::from(item.clone()), module, declarations),
            Item::Enum(item) => read_data(DeriveInput::from(item.clone()), module, declarations),
            Item::Type(item) => {
                let kind = Kind::Alias(type_ref(&item.ty));
                declarations.types.push(declaration(module, &item.ident, &item.attrs, &item.generics, kind));
            }
            Item::Use(item) => read_use(item, module, declarations),
            Item::Mod(item) => {
                if let Some((_, items)) = &item.content {
                    read_items(items, &[module, &[item.ident.to_string()]].concat(), declarations);
                }
            }
            _ => {}
        }
    }
    // After the types, which may be declared below.
    for item in items {
        let Item::Impl(item) = item else { continue };
        let (None, TypeRef::Path { segments, .. }) = (&item.trait_, type_ref(&item.self_ty)) else { continue };
        let Some(schema) = item.items.iter().find_map(schema_constant) else { continue };
        let path = [module, &segments].concat();
        if let Some(declaration) = declarations.types.iter_mut().find(|declaration| declaration.path == path) {
            declaration.schema = Some(schema);
        }
    }
}

fn read_data(item: DeriveInput, module: &[String], declarations: &mut Declarations) {
    let shape = |derive, name| derives(&item.attrs, name).then(|| shape(&item, derive));
    let kind =
        Kind::Data { input: shape(Derive::Deserialize, "Deserialize"), output: shape(Derive::Serialize, "Serialize") };
    declarations.types.push(declaration(module, &item.ident, &item.attrs, &item.generics, kind));
}

fn declaration(
    module: &[String],
    name: &syn::Ident,
    attributes: &[Attribute],
    generics: &Generics,
    kind: Kind,
) -> Declaration {
    let parameters = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(parameter.ident.to_string()),
        _ => None,
    });
    Declaration {
        path: [module, &[name.to_string()]].concat(),
        line: name.span().start().line,
        doc: doc_text(attributes.iter()),
        parameters: parameters.collect(),
        kind,
        schema: None,
    }
}

/// Returns the JSON form of a derived type, as serde's own derive macro understands its attributes.
fn shape(item: &DeriveInput, derive: Derive) -> Shape {
    let context = Ctxt::new();
    let container = Container::from_ast(&context, item, derive);
    // rustc reports the errors, with serde's own words.
    let (Some(container), Ok(())) = (container, context.check()) else {
        return Shape::Unknown("its serde attributes are not valid".to_owned());
    };
    let direction = if matches!(derive, Derive::Deserialize) { Direction::Input } else { Direction::Output };
    let attributes = &container.attrs;
    let other = match direction {
        Direction::Input => attributes.type_from().or(attributes.type_try_from()),
        Direction::Output => attributes.type_into(),
    };
    if let Some(other) = other {
        return Shape::Same(Value::Type(type_ref(other)));
    }
    if attributes.remote().is_some() {
        return Shape::Unknown("it is written for a type of another crate (`remote`)".to_owned());
    }
    let reader = Reader {
        direction,
        has_default: !attributes.default().is_none(),
        denies_unknown: attributes.deny_unknown_fields(),
    };
    match &container.data {
        Data::Struct(_, fields) if attributes.transparent() => {
            match fields.iter().find(|field| field.attrs.transparent()) {
                Some(field) => Shape::Same(reader.value(field)),
                None => Shape::Unknown("its transparent field cannot be seen".to_owned()),
            }
        }
        Data::Struct(style, fields) => match attributes.tag() {
            TagType::Internal { tag } => reader.tagged_struct(tag, attributes.name(), *style, fields),
            _ => reader.content(*style, fields),
        },
        Data::Enum(variants) => Shape::Enum {
            tagging: match attributes.tag() {
                TagType::External => Tagging::External,
                TagType::Internal { tag } => Tagging::Internal(tag.clone()),
                TagType::Adjacent { tag, content } => Tagging::Adjacent(tag.clone(), content.clone()),
                TagType::None => Tagging::Untagged,
            },
            variants: variants.iter().filter_map(|variant| reader.variant(variant)).collect(),
        },
    }
}

/// Reads the fields of a type in one direction.
struct Reader {
    direction: Direction,
    has_default: bool,
    denies_unknown: bool,
}

impl Reader {
    fn content(&self, style: Style, fields: &[Field<'_>]) -> Shape {
        let used = || fields.iter().filter(|field| !self.skips(field));
        match style {
            Style::Unit => Shape::Null,
            Style::Newtype => match used().next() {
                Some(field) => Shape::Same(self.value(field)),
                None => Shape::Tuple(Vec::new()),
            },
            Style::Tuple => Shape::Tuple(used().map(|field| self.value(field)).collect()),
            Style::Struct => {
                let members = used().map(|field| self.member(field)).collect();
                Shape::Object(Object { members, denies_unknown: self.denies_unknown })
            }
        }
    }

    /// A struct with `tag`: its name is a member, which is written and not read.
    fn tagged_struct(&self, tag: &str, name: &Name, style: Style, fields: &[Field<'_>]) -> Shape {
        let mut shape = self.content(style, fields);
        if let (Shape::Object(object), Direction::Output) = (&mut shape, self.direction) {
            let constant = Value::Constant(name.serialize_name().to_owned());
            object.members.insert(
                0,
                Member {
                    names: vec![tag.to_owned()],
                    line: 0,
                    doc: String::new(),
                    value: constant,
                    is_flattened: false,
                    is_optional: false,
                    is_missing_none: false,
                },
            );
        }
        shape
    }

    fn variant(&self, variant: &Variant<'_>) -> Option<VariantShape> {
        let attributes = &variant.attrs;
        let (is_skipped, with) = match self.direction {
            Direction::Input => (attributes.skip_deserializing(), attributes.deserialize_with()),
            Direction::Output => (attributes.skip_serializing(), attributes.serialize_with()),
        };
        if is_skipped {
            return None;
        }
        // A container's `default` is not that of a variant's fields.
        let reader = Reader { has_default: false, ..*self };
        Some(VariantShape {
            names: self.names(attributes.name(), attributes.aliases()),
            doc: doc_text(variant.original.attrs.iter()),
            content: match with {
                Some(with) => Shape::Same(Value::With(path_text(&with.path))),
                None => reader.content(variant.style, &variant.fields),
            },
            is_untagged: attributes.untagged(),
            is_other: attributes.other(),
        })
    }

    fn skips(&self, field: &Field<'_>) -> bool {
        match self.direction {
            Direction::Input => field.attrs.skip_deserializing(),
            Direction::Output => field.attrs.skip_serializing(),
        }
    }

    fn member(&self, field: &Field<'_>) -> Member {
        let attributes = &field.attrs;
        let has_function = self.function(field).is_some();
        let (is_optional, is_missing_none) = match self.direction {
            Direction::Input => (self.has_default || !attributes.default().is_none(), !has_function),
            Direction::Output => (attributes.skip_serializing_if().is_some(), false),
        };
        let is_flattened = attributes.flatten();
        Member {
            names: if is_flattened { Vec::new() } else { self.names(attributes.name(), attributes.aliases()) },
            line: line_of(field),
            doc: doc_text(field.original.attrs.iter()),
            value: self.value(field),
            is_flattened,
            is_optional,
            is_missing_none,
        }
    }

    fn value(&self, field: &Field<'_>) -> Value {
        match self.function(field) {
            Some(function) => Value::With(path_text(&function.path)),
            None => Value::Type(type_ref(field.ty)),
        }
    }

    /// Returns the function that reads or writes the field.
    fn function<'a>(&self, field: &'a Field<'_>) -> Option<&'a syn::ExprPath> {
        match self.direction {
            Direction::Input => field.attrs.deserialize_with(),
            Direction::Output => field.attrs.serialize_with(),
        }
    }

    fn names(&self, name: &Name, aliases: &BTreeSet<String>) -> Vec<String> {
        match self.direction {
            Direction::Output => vec![name.serialize_name().to_owned()],
            Direction::Input => {
                let name = name.deserialize_name();
                let others = aliases.iter().filter(|alias| *alias != name).cloned();
                [name.to_owned()].into_iter().chain(others).collect()
            }
        }
    }
}

/// Returns the line of a field: of its name, if it has one, and not of the comment above it.
fn line_of(field: &Field<'_>) -> usize {
    let name = field.original.ident.as_ref();
    name.map_or_else(|| field.original.ty.span(), syn::Ident::span).start().line
}

fn signature(function: &ItemFn) -> Option<Signature> {
    let FnArg::Typed(parameters) = function.sig.inputs.iter().nth(1)? else { return None };
    let answer = match &function.sig.output {
        ReturnType::Default => None,
        ReturnType::Type(_, returned) => match type_ref(returned) {
            TypeRef::Path { segments, arguments } if segments.last().is_some_and(|name| name == "Result") => {
                arguments.into_iter().next()
            }
            _ => None,
        },
    };
    Some(Signature { parameters: type_ref(&parameters.ty), answer })
}

fn read_use(item: &ItemUse, module: &[String], declarations: &mut Declarations) {
    let mut open = vec![(Vec::new(), &item.tree)];
    while let Some((path, tree)) = open.pop() {
        let with = |name: &syn::Ident| [&path[..], &[plain(name)]].concat();
        let mut import = |name: Option<String>, path: Vec<String>| {
            declarations.imports.push(Import { module: module.to_vec(), name, path });
        };
        match tree {
            UseTree::Path(tree) => open.push((with(&tree.ident), &tree.tree)),
            UseTree::Group(tree) => open.extend(tree.items.iter().map(|tree| (path.clone(), tree))),
            UseTree::Glob(_) => import(None, path.clone()),
            // `use a::{self}` is `a`.
            UseTree::Name(tree) if tree.ident == "self" => import(path.last().cloned(), path.clone()),
            UseTree::Name(tree) => import(Some(plain(&tree.ident)), with(&tree.ident)),
            UseTree::Rename(tree) if tree.ident == "self" => import(Some(plain(&tree.rename)), path.clone()),
            UseTree::Rename(tree) => import(Some(plain(&tree.rename)), with(&tree.ident)),
        }
    }
}

/// Reduces a type to what its JSON depends on.
fn type_ref(syntax: &Type) -> TypeRef {
    match syntax {
        Type::Path(path) if path.qself.is_none() => {
            let arguments = path.path.segments.last().map(|segment| match &segment.arguments {
                PathArguments::AngleBracketed(arguments) => {
                    let types = arguments.args.iter().filter_map(|argument| match argument {
                        GenericArgument::Type(argument) => Some(type_ref(argument)),
                        _ => None,
                    });
                    types.collect()
                }
                _ => Vec::new(),
            });
            TypeRef::Path {
                segments: path.path.segments.iter().map(|segment| plain(&segment.ident)).collect(),
                arguments: arguments.unwrap_or_default(),
            }
        }
        Type::Reference(reference) => type_ref(&reference.elem),
        Type::Paren(inner) => type_ref(&inner.elem),
        Type::Group(inner) => type_ref(&inner.elem),
        Type::Tuple(tuple) => TypeRef::Tuple(tuple.elems.iter().map(type_ref).collect()),
        Type::Slice(slice) => TypeRef::Array(Box::new(type_ref(&slice.elem)), None),
        Type::Array(array) => {
            let length = match &array.len {
                Expr::Lit(ExprLit { lit: Lit::Int(length), .. }) => length.base10_parse().ok(),
                _ => None,
            };
            TypeRef::Array(Box::new(type_ref(&array.elem)), length)
        }
        _ => TypeRef::Other,
    }
}

fn plain(name: &syn::Ident) -> String {
    let text = name.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

fn path_text(path: &syn::Path) -> String {
    path.segments.iter().map(|segment| plain(&segment.ident)).collect::<Vec<_>>().join("::")
}

fn derives(attributes: &[Attribute], name: &str) -> bool {
    let mut found = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let _ = attribute.parse_nested_meta(|meta| {
            found |= meta.path.segments.last().is_some_and(|segment| segment.ident == name);
            Ok(())
        });
    }
    found
}

fn schema_constant(item: &ImplItem) -> Option<String> {
    match item {
        ImplItem::Const(constant) if constant.ident == "SCHEMA" => string(&constant.expr),
        _ => None,
    }
}
