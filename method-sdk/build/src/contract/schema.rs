//! Types to JSON Schema (2020-12).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value as Json, json};

use super::declarations::{Direction, Kind, Member, Object, Shape, Tagging, Value, VariantShape};
use super::names::{Names, Parameters, ResolvedType};

/// The place of the definitions in a document.
const DEFINITIONS: &str = "#/components/schemas/";

/// The deepest nesting of type arguments. A generic type may contain itself with deeper and deeper ones.
const MAX_DEPTH: usize = 16;

/// A type that is any JSON, because more cannot be known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownType {
    /// The definition and the member of it, such as `shop.add.Params/when`.
    pub place: String,
    /// The reason, as a sentence.
    pub reason: String,
}

/// The place of a declaration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, such as `methods/shop/list.rs`.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
}

/// The definitions, the unknown types, and the places of definitions and their members.
pub(crate) type Definitions = (BTreeMap<String, Json>, Vec<UnknownType>, BTreeMap<String, Place>);

/// Writes schemas, and collects the definitions that they refer to.
pub(crate) struct Schemas<'a> {
    names: &'a Names<'a>,
    /// By name, with a suffix for the direction.
    definitions: BTreeMap<String, Json>,
    unknown: BTreeSet<UnknownType>,
    places: BTreeMap<String, Place>,
}

/// The scope of a type's own text.
struct Scope<'a> {
    module: &'a [String],
    parameters: Parameters<'a>,
    place: String,
    direction: Direction,
}

impl<'a> Schemas<'a> {
    pub(crate) fn new(names: &'a Names<'a>) -> Self {
        Schemas { names, definitions: BTreeMap::new(), unknown: BTreeSet::new(), places: BTreeMap::new() }
    }

    /// Returns the schema of a type in one direction.
    pub(crate) fn schema(&mut self, resolved: &ResolvedType, direction: Direction, place: &str) -> Json {
        match resolved {
            ResolvedType::Declared(path, arguments) => self.declared(path, arguments, direction, place),
            ResolvedType::External(path, arguments) => self.external(path, arguments, direction, place),
            ResolvedType::Tuple(elements) if elements.is_empty() => json!({ "type": "null" }),
            ResolvedType::Tuple(elements) => {
                let elements: Vec<Json> =
                    elements.iter().map(|element| self.schema(element, direction, place)).collect();
                tuple(elements)
            }
            ResolvedType::Array(element, length) => {
                let mut schema = json!({ "type": "array", "items": self.schema(element, direction, place) });
                if let Some(length) = length {
                    schema["minItems"] = json!(length);
                    schema["maxItems"] = json!(length);
                }
                schema
            }
            ResolvedType::Other => self.any(place, "the type has no JSON form"),
        }
    }

    /// Returns the definitions. A type whose schema is the same in both directions has one, under its own name.
    pub(crate) fn finish(self) -> Definitions {
        let both = |name: &String| {
            Some((self.definitions.get(&format!("{name}.In"))?, self.definitions.get(&format!("{name}.Out"))?))
        };
        // Types that refer to each other are equal if they are equal when it is assumed that they are.
        let mut merged: BTreeSet<String> = self.definitions.keys().map(|name| base(name).to_owned()).collect();
        let rename = |schema: &Json, merged: &BTreeSet<String>| {
            map_references(schema, &|name| {
                if merged.contains(base(name)) { base(name) } else { name }
            })
        };
        loop {
            let differs = |name: &&String| {
                both(name).is_some_and(|(input, output)| rename(input, &merged) != rename(output, &merged))
            };
            let different: Vec<String> = merged.iter().filter(differs).cloned().collect();
            if different.is_empty() {
                break;
            }
            merged.retain(|name| !different.contains(name));
        }
        let definitions = self.definitions.iter().map(|(name, schema)| {
            let renamed = if merged.contains(base(name)) { base(name) } else { name };
            (renamed.to_owned(), rename(schema, &merged))
        });
        (definitions.collect(), self.unknown.into_iter().collect(), self.places)
    }

    /// Returns the schema with the references renamed as in the definitions of [`finish`](Self::finish).
    pub(crate) fn renamed(schema: &Json, definitions: &BTreeMap<String, Json>) -> Json {
        map_references(schema, &|name| if definitions.contains_key(name) { name } else { base(name) })
    }

    fn add_place(&mut self, name: &str, module: &[String], line: usize) {
        if let Some((file, _)) = self.names.file(module) {
            self.places.insert(name.to_owned(), Place { file: file.to_owned(), line });
        }
    }

    fn any(&mut self, place: &str, reason: &str) -> Json {
        self.unknown.insert(UnknownType { place: place.to_owned(), reason: reason.to_owned() });
        json!({})
    }

    fn declared(&mut self, path: &[String], arguments: &[ResolvedType], direction: Direction, place: &str) -> Json {
        let Some((module, declaration)) = self.names.declaration(path) else {
            return self.any(place, "it is not found");
        };
        let parameters = declaration.bind(arguments.iter().cloned());
        let name = definition_name(path, arguments);
        if arguments.iter().any(|argument| argument.depth() > MAX_DEPTH) {
            return self.any(place, "it contains itself with other type arguments, without end");
        }
        let scope = Scope { module, parameters, place: name.clone(), direction };
        let key = format!("{name}.{}", direction.suffix());
        let reference = json!({ "$ref": format!("{DEFINITIONS}{key}") });
        if self.definitions.contains_key(&key) {
            return reference;
        }
        self.add_place(&name, module, declaration.line);
        self.definitions.insert(key.clone(), Json::Null); // a type may contain itself
        let mut schema = match (&declaration.schema, &declaration.kind) {
            (Some(schema), _) => match serde_json::from_str(schema) {
                Ok(schema) => schema,
                Err(error) => self.any(&name, &format!("its `SCHEMA` is not JSON: {error}")),
            },
            (None, Kind::Data { input, output }) => match if direction == Direction::Input { input } else { output } {
                Some(shape) => self.shape(shape, &scope),
                None => self.any(&name, "its implementation is not derived"),
            },
            (None, Kind::Alias(_)) => json!({}), // resolved with the names
        };
        if let (Some(schema), false) = (schema.as_object_mut(), declaration.doc.is_empty()) {
            schema.entry("description").or_insert_with(|| json!(declaration.doc));
        }
        self.definitions.insert(key, schema);
        reference
    }

    fn shape(&mut self, shape: &Shape, scope: &Scope<'_>) -> Json {
        match shape {
            Shape::Unknown(reason) => self.any(&scope.place, reason),
            Shape::Same(value) => self.value(value, scope, &scope.place),
            Shape::Null => json!({ "type": "null" }),
            Shape::Object(object) => self.object(object, scope),
            Shape::Tuple(values) => {
                let elements = values.iter().map(|value| self.value(value, scope, &scope.place)).collect();
                tuple(elements)
            }
            Shape::Enum { tagging, variants } => self.variants(tagging, variants, scope),
        }
    }

    fn value(&mut self, value: &Value, scope: &Scope<'_>, place: &str) -> Json {
        match value {
            Value::Constant(text) => json!({ "const": text }),
            Value::With(function) => self.any(place, &format!("`{function}` reads or writes it")),
            Value::Type(written) => {
                let resolved = self.names.resolve(written, scope.module, &scope.parameters);
                self.schema(&resolved, scope.direction, place)
            }
        }
    }

    fn object(&mut self, object: &Object, scope: &Scope<'_>) -> Json {
        let (mut properties, mut required, mut all) = (Map::new(), Vec::new(), Vec::new());
        for member in &object.members {
            let place = format!("{}/{}", scope.place, member.names.first().map(String::as_str).unwrap_or_default());
            if member.line > 0 {
                self.add_place(&place, scope.module, member.line);
            }
            let option = self.option(&member.value, scope);
            if member.is_flattened {
                all.push(match &option {
                    // A flattened `None` has no members.
                    Some(content) => json!({ "anyOf": [self.schema(content, scope.direction, &place), {}] }),
                    None => self.value(&member.value, scope, &place),
                });
                continue;
            }
            let schema = self.value(&member.value, scope, &place);
            let is_none_if_missing = member.is_missing_none && option.is_some();
            let is_required = !member.is_optional && !is_none_if_missing;
            match &member.names[..] {
                [name] => {
                    if is_required {
                        required.push(json!(name));
                    }
                    properties.insert(name.clone(), described(schema, member));
                }
                names => {
                    for (index, name) in names.iter().enumerate() {
                        let mut schema = described(schema.clone(), member);
                        if index > 0 {
                            schema = with(schema, "deprecated", json!(true));
                        }
                        properties.insert(name.clone(), schema);
                    }
                    if is_required {
                        let forms: Vec<Json> = names.iter().map(|name| json!({ "required": [name] })).collect();
                        all.push(json!({ "oneOf": forms }));
                    }
                }
            }
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = Json::Array(required);
        }
        if object.denies_unknown {
            schema["additionalProperties"] = json!(false);
        }
        if !all.is_empty() {
            schema["allOf"] = Json::Array(all);
        }
        schema
    }

    /// Returns the content of an `Option`.
    fn option(&self, value: &Value, scope: &Scope<'_>) -> Option<ResolvedType> {
        let Value::Type(written) = value else { return None };
        match self.names.resolve(written, scope.module, &scope.parameters) {
            ResolvedType::External(path, arguments) if path.last().is_some_and(|name| name == "Option") => {
                arguments.into_iter().next()
            }
            _ => None,
        }
    }

    fn variants(&mut self, tagging: &Tagging, variants: &[VariantShape], scope: &Scope<'_>) -> Json {
        let is_name = |variant: &VariantShape| matches!(variant.content, Shape::Null) && !variant.is_untagged;
        if *tagging == Tagging::External && variants.iter().all(is_name) {
            let known = variants.iter().filter(|variant| !variant.is_other);
            let names: Vec<&String> = known.flat_map(|variant| &variant.names).collect();
            let schema = json!({ "type": "string", "enum": names });
            let is_open = variants.iter().any(|variant| variant.is_other);
            return if is_open { json!({ "anyOf": [schema, { "type": "string" }] }) } else { schema };
        }
        let forms = variants.iter().map(|variant| {
            let content = self.shape(&variant.content, scope);
            let is_null = matches!(variant.content, Shape::Null);
            let name = match &variant.names[..] {
                _ if variant.is_other => json!({ "type": "string" }),
                [name] => json!({ "const": name }),
                names => json!({ "enum": names }),
            };
            let tagging = if variant.is_untagged { &Tagging::Untagged } else { tagging };
            let form = match tagging {
                Tagging::Untagged => content,
                Tagging::External if is_null => name,
                Tagging::External => {
                    let members: Map<String, Json> = variant.names.iter().map(|name| (name.clone(), content.clone())).collect();
                    json!({ "type": "object", "properties": members, "minProperties": 1, "maxProperties": 1, "additionalProperties": false })
                }
                Tagging::Internal(tag) => {
                    let tagged = json!({ "type": "object", "properties": { tag.as_str(): name }, "required": [tag] });
                    if is_null { tagged } else { json!({ "allOf": [tagged, content] }) }
                }
                Tagging::Adjacent(tag, member) => {
                    let mut schema = json!({ "type": "object", "properties": { tag.as_str(): name }, "required": [tag] });
                    if !is_null {
                        schema["properties"][member] = content;
                        // A missing content is that of `None`.
                        let is_option = matches!(&variant.content, Shape::Same(value) if self.option(value, scope).is_some());
                        if scope.direction == Direction::Output || !is_option {
                            schema["required"] = json!([tag, member]);
                        }
                    }
                    schema
                }
            };
            if variant.doc.is_empty() { form } else { with(form, "description", json!(variant.doc)) }
        });
        let forms: Vec<Json> = forms.collect();
        json!({ "anyOf": forms })
    }

    /// Returns the schema of a `SessionInfo` of the SDK.
    fn session(&mut self, direction: Direction) -> Json {
        let schema = json!({
            "type": "object",
            "description": "A session, which signs the answer that it comes with.",
            "properties": {
                "session_id": { "type": "string", "description": "The secret to send as `x-session-id`." },
                "expires": { "type": "integer", "description": "The time at which the session expires, in unix seconds." },
                "user_id": { "type": "string", "description": "The name of the account." },
            },
            "required": ["session_id", "expires", "user_id"],
        });
        let key = format!("server.Session.{}", direction.suffix());
        let reference = json!({ "$ref": format!("{DEFINITIONS}{key}") });
        self.definitions.insert(key, schema);
        reference
    }

    fn external(&mut self, path: &[String], arguments: &[ResolvedType], direction: Direction, place: &str) -> Json {
        let name = path.last().map(String::as_str).unwrap_or_default();
        let mut argument = |index: usize| match arguments.get(index) {
            Some(argument) => self.schema(argument, direction, place),
            None => json!({}),
        };
        if let Some(schema) = integer(name) {
            return schema;
        }
        match name {
            "bool" => json!({ "type": "boolean" }),
            "f32" | "f64" => json!({ "type": "number" }),
            "String" | "str" | "PathBuf" | "Path" => json!({ "type": "string" }),
            "char" => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
            "Option" => nullable(argument(0)),
            "Vec" | "VecDeque" | "LinkedList" | "BinaryHeap" => json!({ "type": "array", "items": argument(0) }),
            "HashSet" | "BTreeSet" | "IndexSet" => {
                json!({ "type": "array", "items": argument(0), "uniqueItems": true })
            }
            "HashMap" | "BTreeMap" | "IndexMap" => json!({ "type": "object", "additionalProperties": argument(1) }),
            "Map" if ["Map", "serde_json"].contains(&&*path[0]) => json!({ "type": "object" }),
            "Box" | "Arc" | "Rc" | "Cow" | "Cell" | "RefCell" | "Mutex" | "RwLock" | "Reverse" | "Wrapping" => {
                argument(0)
            }
            "Value" | "RawValue" => json!({}),
            "IpAddr" => {
                json!({ "anyOf": [{ "type": "string", "format": "ipv4" }, { "type": "string", "format": "ipv6" }] })
            }
            "Ipv4Addr" => json!({ "type": "string", "format": "ipv4" }),
            "Ipv6Addr" => json!({ "type": "string", "format": "ipv6" }),
            "SocketAddr" | "SocketAddrV4" | "SocketAddrV6" => json!({ "type": "string" }),
            "Decimal" | "BigDecimal" if direction == Direction::Input => json!({ "type": ["string", "number"] }),
            "Decimal" | "BigDecimal" => json!({ "type": "string" }),
            "Uuid" => json!({ "type": "string", "format": "uuid" }),
            "Url" => json!({ "type": "string", "format": "uri" }),
            "DateTime" => json!({ "type": "string", "format": "date-time" }),
            "NaiveDate" => json!({ "type": "string", "format": "date" }),
            "SessionInfo" => self.session(direction),
            "PhantomData" => json!({ "type": "null" }),
            "Duration" if ["Duration", "core", "std"].contains(&&*path[0]) => json!({
                "type": "object",
                "properties": { "secs": integer("u64"), "nanos": integer("u32") },
                "required": ["secs", "nanos"],
            }),
            _ => self.any(place, &format!("`{}` is of another package, or made by a macro", path.join("::"))),
        }
    }
}

fn integer(name: &str) -> Option<Json> {
    let (name, is_nonzero) = match name.strip_prefix("NonZero") {
        Some(name) => (name.to_ascii_lowercase(), true),
        None => (name.to_owned(), false),
    };
    let (minimum, maximum) = match name.as_str() {
        "i8" => (json!(i8::MIN), json!(i8::MAX)),
        "i16" => (json!(i16::MIN), json!(i16::MAX)),
        "i32" => (json!(i32::MIN), json!(i32::MAX)),
        "i64" | "isize" => (json!(i64::MIN), json!(i64::MAX)),
        "u8" => (json!(0), json!(u8::MAX)),
        "u16" => (json!(0), json!(u16::MAX)),
        "u32" => (json!(0), json!(u32::MAX)),
        "u64" | "usize" => (json!(0), json!(u64::MAX)),
        "i128" => return Some(json!({ "type": "integer" })),
        "u128" => return Some(json!({ "type": "integer", "minimum": i32::from(is_nonzero) })),
        _ => return None,
    };
    let mut schema = json!({ "type": "integer", "minimum": minimum, "maximum": maximum });
    if is_nonzero {
        if minimum == json!(0) {
            schema["minimum"] = json!(1);
        } else {
            schema["not"] = json!({ "const": 0 });
        }
    }
    Some(schema)
}

fn tuple(elements: Vec<Json>) -> Json {
    let count = elements.len();
    if count == 0 {
        return json!({ "type": "array", "maxItems": 0 });
    }
    json!({ "type": "array", "prefixItems": elements, "minItems": count, "maxItems": count })
}

fn nullable(schema: Json) -> Json {
    match schema["type"].as_str() {
        Some(name) if schema.get("enum").is_none() => with(schema.clone(), "type", json!([name, "null"])),
        _ if schema == json!({}) => schema,
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// Returns the name of the definition that a schema refers to.
pub(crate) fn reference(schema: &Json) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(DEFINITIONS)
}

/// Returns the name of a definition without the suffix for its direction.
pub(crate) fn base(name: &str) -> &str {
    name.strip_suffix(".In").or(name.strip_suffix(".Out")).unwrap_or(name)
}

/// Adds a keyword. In JSON Schema 2020-12 it may stand beside a reference.
fn with(mut schema: Json, keyword: &str, value: Json) -> Json {
    schema[keyword] = value;
    schema
}

fn described(schema: Json, member: &Member) -> Json {
    if member.doc.is_empty() { schema } else { with(schema, "description", json!(member.doc)) }
}

/// Returns the name of a definition: `shop.list.Page-shop.Money` for `Page<Money>`.
fn definition_name(path: &[String], arguments: &[ResolvedType]) -> String {
    let arguments = arguments.iter().map(|argument| format!("-{}", type_name(argument)));
    path.join(".") + &arguments.collect::<String>()
}

fn type_name(resolved: &ResolvedType) -> String {
    match resolved {
        ResolvedType::Declared(path, arguments) => definition_name(path, arguments),
        ResolvedType::External(path, arguments) => definition_name(&path[path.len().saturating_sub(1)..], arguments),
        ResolvedType::Tuple(elements) => elements.iter().map(type_name).collect::<Vec<_>>().join("_"),
        ResolvedType::Array(element, length) => {
            format!("Array{}-{}", length.map(|length| length.to_string()).unwrap_or_default(), type_name(element))
        }
        ResolvedType::Other => "Unknown".to_owned(),
    }
}

/// Returns a schema with the names in its references changed.
fn map_references(schema: &Json, rename: &impl Fn(&str) -> &str) -> Json {
    match schema {
        Json::Object(members) => Json::Object(
            members
                .iter()
                .map(|(key, value)| {
                    let reference =
                        value.as_str().filter(|_| key == "$ref").and_then(|text| text.strip_prefix(DEFINITIONS));
                    let value = match reference {
                        Some(name) => json!(format!("{DEFINITIONS}{}", rename(name))),
                        None => map_references(value, rename),
                    };
                    (key.clone(), value)
                })
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.iter().map(|item| map_references(item, rename)).collect()),
        other => other.clone(),
    }
}
