//! The lock of a contract: what callers rely on, and the changes that break it.
//!
//! For parameters every value that was accepted must still be; for answers every value that is returned must have been possible before. Types
//! are compared by what they are, never by their names, so that moving and renaming them changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::members::Member;
use super::schema::{Place, base};
use super::shapes::{PlacedMember, Shape, shape, type_name};
use super::{Contract, MethodContract};
use crate::problem::Problem;

impl Contract {
    /// Returns the text of the lock: the contract without anything that a caller does not rely on.
    pub fn lock(&self) -> String {
        let methods: Map<String, Value> =
            self.methods.iter().map(|method| (method.name.clone(), locked_method(method))).collect();
        let types: Map<String, Value> =
            self.types.iter().map(|(name, schema)| (name.clone(), without_descriptions(schema))).collect();
        format!("{:#}\n", json!({ "methods": methods, "types": types }))
    }

    /// Returns the changes since a lock that break callers, each with its place, sorted by file and line; none while a file is
    /// [unreadable](Contract::unreadable).
    ///
    /// # Errors
    /// Returns an error if the text is not that of a lock.
    pub fn breaking_changes(&self, lock: &str) -> serde_json::Result<Vec<Problem>> {
        let old: Lock = serde_json::from_str(lock)?;
        let mut comparison = Comparison { old: &old.types, new: self, changes: BTreeSet::new() };
        for (name, old) in old.methods.iter().filter(|_| self.unreadable.is_empty()) {
            comparison.compare_method(name, old);
        }
        Ok(comparison.changes.into_iter().collect())
    }
}

#[derive(serde::Deserialize)]
struct Lock {
    methods: BTreeMap<String, Value>,
    types: BTreeMap<String, Value>,
}

fn locked_method(method: &MethodContract) -> Value {
    let mut locked = Map::new();
    let flags = [("session", method.is_authenticated), ("get", method.is_get), ("streams", method.streams)]
        .into_iter()
        .filter(|(_, is_set)| *is_set);
    locked.extend(flags.map(|(name, _)| (name.to_owned(), json!(true))));
    if let Some(content_type) = &method.content_type {
        locked.insert("content_type".to_owned(), json!(content_type));
    }
    locked.insert("parameters".to_owned(), without_descriptions(&method.parameters));
    locked.insert("answer".to_owned(), without_descriptions(&method.answer));
    Value::Object(locked)
}

/// Returns a schema without the text for people. Members of `properties` are names and not keywords.
fn without_descriptions(schema: &Value) -> Value {
    match schema {
        Value::Object(keywords) => {
            let kept = keywords.iter().filter(|(keyword, _)| *keyword != "description");
            let kept = kept.map(|(keyword, value)| {
                let value = match (keyword.as_str(), value) {
                    ("properties", Value::Object(members)) => Value::Object(
                        members.iter().map(|(name, schema)| (name.clone(), without_descriptions(schema))).collect(),
                    ),
                    _ => without_descriptions(value),
                };
                (keyword.clone(), value)
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_descriptions).collect()),
        other => other.clone(),
    }
}

/// The side of a method that a type is on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Parameters,
    Answer,
}

/// A pair of schemas, and where they are.
#[derive(Clone)]
struct Position<'a> {
    method: &'a str,
    side: Side,
    /// The path within the parameters or the answer, such as `items.[].id`; empty for the whole.
    path: String,
    /// The definition of the new contract that the schemas are in, without `.In` and `.Out`.
    definition: String,
    /// The place of the member that the schemas are of.
    member: Option<Place>,
    /// The pairs of references that have been followed to it: types contain themselves.
    followed: BTreeSet<(String, String)>,
}

struct Comparison<'a> {
    old: &'a BTreeMap<String, Value>,
    new: &'a Contract,
    changes: BTreeSet<Problem>,
}

impl<'a> Comparison<'a> {
    fn compare_method(&mut self, name: &'a str, old: &'a Value) {
        let Some(method) = self.new.method(name) else {
            let file = PathBuf::from(format!("methods/{}.rs", name.replace('.', "/")));
            self.changes.insert(Problem { file, line: None, message: format!("{name}: the method no longer exists") });
            return;
        };
        let was = |flag: &str| old[flag] == true;
        let mut report = |constant: &str, text: &str| {
            let places = &self.new.places;
            let line = places.get(&format!("{name}/{constant}")).or(places.get(name)).map(|place| place.line);
            self.changes.insert(Problem { file: method.file.clone(), line, message: format!("{name}: {text}") });
        };
        if method.is_authenticated && !was("session") {
            report("AUTHENTICATED", "it needs a session now");
        }
        if !method.is_get && was("get") {
            report("GET", "it cannot be called with GET any more");
        }
        match (was("streams"), method.streams) {
            (true, false) => report("", "it does not stream its answer any more"),
            (false, true) => report("", "it streams its answer now"),
            (true, true) if old["content_type"].as_str() != method.content_type.as_deref() => {
                report("", &format!("its content type was {}, is {}", old["content_type"], json!(method.content_type)));
            }
            _ => {}
        }
        for (side, old, new) in
            [(Side::Parameters, &old["parameters"], &method.parameters), (Side::Answer, &old["answer"], &method.answer)]
        {
            let position = Position {
                method: name,
                side,
                path: String::new(),
                definition: String::new(),
                member: None,
                followed: BTreeSet::new(),
            };
            self.compare(position, old, new);
        }
    }

    fn report(&mut self, position: &Position<'_>, text: &str) {
        let places = &self.new.places;
        let place = position.member.as_ref().or(places.get(&position.definition)).or(places.get(position.method));
        let (name, path) = (position.method, &position.path);
        let subject = match (position.side, path.is_empty()) {
            (Side::Parameters, true) => "the parameters".to_owned(),
            (Side::Parameters, false) => format!("parameter `{path}`"),
            (Side::Answer, true) => "the answer".to_owned(),
            (Side::Answer, false) => format!("answer's `{path}`"),
        };
        let file = place.map(|place| place.file.clone());
        let file = file.or(self.new.method(name).map(|method| method.file.clone())).unwrap_or_default();
        let line = place.map(|place| place.line);
        self.changes.insert(Problem { file, line, message: format!("{name}: {subject} {text}") });
    }

    /// Returns `true` if the schemas have no breaking change at this position.
    fn is_compatible(&self, position: Position<'a>, old: &'a Value, new: &'a Value) -> bool {
        let mut comparison = Comparison { old: self.old, new: self.new, changes: BTreeSet::new() };
        comparison.compare(position, old, new);
        comparison.changes.is_empty()
    }

    fn compare(&mut self, mut position: Position<'a>, old: &'a Value, new: &'a Value) {
        let (old_shape, new_shape) = (shape(old, self.old), shape(new, &self.new.types));
        let (old, new) = (old_shape.schema, new_shape.schema);
        if let Some(name) = new_shape.definition {
            position.definition = base(name).to_owned();
        }
        if let (Some(old), Some(new)) = (old_shape.definition, new_shape.definition)
            && !position.followed.insert((old.to_owned(), new.to_owned()))
        {
            return;
        }
        // The side that must fit into the other.
        let (narrow, wide) = match position.side {
            Side::Parameters => (&old_shape, &new_shape),
            Side::Answer => (&new_shape, &old_shape),
        };
        if narrow.is_nullable && !wide.is_nullable && !matches!(wide.shape, Shape::Any) {
            self.report(
                &position,
                match position.side {
                    Side::Parameters => "may not be null any more",
                    Side::Answer => "may be null now",
                },
            );
        }
        let changed = |old: &Value, new: &Value| format!("was {}, is {}", type_name(old), type_name(new));
        match (&narrow.shape, &wide.shape) {
            (_, Shape::Any) | (Shape::Null, _) => {}
            (Shape::Integer(..), Shape::Number)
            | (Shape::Strings(_), Shape::String(None))
            | (Shape::String(Some(_)), Shape::String(None)) => {}
            (Shape::Integer(narrow), Shape::Integer(wide)) => {
                if narrow.0 < wide.0 || narrow.1 > wide.1 {
                    let (old, new) = match position.side {
                        Side::Parameters => (narrow, wide),
                        Side::Answer => (wide, narrow),
                    };
                    let verb =
                        if position.side == Side::Parameters { "takes fewer numbers" } else { "may be another number" };
                    self.report(
                        &position,
                        &format!("{verb}: {} to {} before, {} to {} now", old.0, old.1, new.0, new.1),
                    );
                }
            }
            (Shape::Strings(narrow), Shape::Strings(wide)) => {
                for value in narrow.iter().filter(|value| !wide.contains(*value)) {
                    let text = match position.side {
                        Side::Parameters => format!("does not take {value:?} any more"),
                        Side::Answer => format!("may also be {value:?}"),
                    };
                    self.report(&position, &text);
                }
            }
            (Shape::String(_), Shape::Strings(_)) | (Shape::String(None), Shape::String(Some(_))) => {
                let text = match position.side {
                    Side::Parameters => format!("takes fewer strings: {} now", type_name(new)),
                    Side::Answer => format!("may be any string now; it was {}", type_name(old)),
                };
                self.report(&position, &text);
            }
            (Shape::Array(narrow_items, narrow_length), Shape::Array(wide_items, wide_length)) => {
                if wide_length.is_some() && narrow_length != wide_length {
                    self.report(&position, &changed(old, new));
                }
                let (old, new) = match position.side {
                    Side::Parameters => (narrow_items, wide_items),
                    Side::Answer => (wide_items, narrow_items),
                };
                self.compare(position.within("[]"), old, new);
            }
            (Shape::Tuple(_), Shape::Tuple(_)) => {
                let (Shape::Tuple(old_items), Shape::Tuple(new_items)) = (&old_shape.shape, &new_shape.shape) else {
                    return;
                };
                if old_items.len() != new_items.len() {
                    return self.report(&position, &changed(old, new));
                }
                for (index, (old, new)) in old_items.iter().zip(new_items.iter()).enumerate() {
                    self.compare(position.within(&index.to_string()), old, new);
                }
            }
            (Shape::Object(..), Shape::Object(..)) => {
                let (Shape::Object(old), Shape::Object(new)) = (&old_shape.shape, &new_shape.shape) else { return };
                self.compare_members(&position, &old.members, &new.members, new.denies_unknown && !old.denies_unknown);
                if let (Some(old), Some(new)) = (old.values, new.values) {
                    self.compare(position.within("*"), old, new);
                }
            }
            (Shape::Forms(_), Shape::Forms(_)) => {
                let (Shape::Forms(old), Shape::Forms(new)) = (&old_shape.shape, &new_shape.shape) else { return };
                self.compare_forms(&position, old, new);
            }
            // One form, or one of several.
            (_, Shape::Forms(forms)) => {
                let fits = forms.iter().any(|(_, form)| match position.side {
                    Side::Parameters => self.is_compatible(position.clone(), old, form),
                    Side::Answer => self.is_compatible(position.clone(), form, new),
                });
                if !fits {
                    self.report(&position, &changed(old, new));
                }
            }
            (Shape::Boolean, Shape::Boolean)
            | (Shape::Number, Shape::Number)
            | (Shape::String(_), Shape::String(_)) => {}
            (Shape::Any, _) if position.side == Side::Answer => {
                self.report(&position, &format!("may be any JSON now; it was {}", type_name(old)));
            }
            (Shape::Any, _) => {
                self.report(&position, &format!("takes fewer values: any JSON before, {} now", type_name(new)))
            }
            _ => self.report(&position, &changed(old, new)),
        }
    }

    fn compare_members(
        &mut self,
        position: &Position<'a>,
        old: &[PlacedMember<'a>],
        new: &[PlacedMember<'a>],
        denies_unknown: bool,
    ) {
        let find = |members: &[PlacedMember<'a>], member: &Member<'_>| {
            members.iter().position(|other| other.member.names.iter().any(|name| member.names.contains(name)))
        };
        for PlacedMember { member: old_member, .. } in old {
            let name = old_member.names[0];
            let Some(placed) = find(new, old_member).map(|index| &new[index]) else {
                let text = match position.side {
                    Side::Parameters => "is not read any more",
                    Side::Answer => "no longer exists",
                };
                self.report(&position.within(name), text);
                continue;
            };
            let (member, new_member) = (self.position_of(position, placed), &placed.member);
            let gone = old_member.names.iter().filter(|name| !new_member.names.contains(name));
            for name in gone.filter(|_| position.side == Side::Parameters) {
                self.report(&Position { path: position.within(name).path, ..member.clone() }, "is not read any more");
            }
            match position.side {
                Side::Parameters if new_member.is_required && !old_member.is_required => {
                    self.report(&member, "is required now");
                }
                Side::Answer if old_member.is_required && !new_member.is_required => {
                    self.report(&member, "may be missing now")
                }
                _ => {}
            }
            self.compare(member, old_member.schema, new_member.schema);
        }
        if position.side == Side::Parameters {
            let is_new =
                |PlacedMember { member, .. }: &&PlacedMember<'a>| member.is_required && find(old, member).is_none();
            for placed in new.iter().filter(is_new) {
                self.report(&self.position_of(position, placed), "is new and required");
            }
            if denies_unknown {
                self.report(position, "do not take unknown members any more");
            }
        }
    }

    fn compare_forms(
        &mut self,
        position: &Position<'a>,
        old: &[(Option<&'a str>, &'a Value)],
        new: &[(Option<&'a str>, &'a Value)],
    ) {
        let (narrow, wide) = if position.side == Side::Parameters { (old, new) } else { (new, old) };
        for (key, form) in narrow {
            let pair =
                |other: &'a Value| if position.side == Side::Parameters { (*form, other) } else { (other, *form) };
            if let Some(key) = key {
                match wide.iter().find(|(other, _)| *other == Some(*key)) {
                    Some((_, other)) => {
                        let (old, new) = pair(other);
                        self.compare(position.clone(), old, new);
                    }
                    None => {
                        let text = match position.side {
                            Side::Parameters => format!("does not take {key:?} any more"),
                            Side::Answer => format!("may also be {key:?}"),
                        };
                        self.report(position, &text);
                    }
                }
                continue;
            }
            let fits = wide.iter().any(|(_, other)| {
                let (old, new) = pair(other);
                self.is_compatible(position.clone(), old, new)
            });
            if !fits {
                let text = match position.side {
                    Side::Parameters => format!("does not take {} any more", type_name(form)),
                    Side::Answer => format!("may also be {}", type_name(form)),
                };
                self.report(position, &text);
            }
        }
    }

    /// Returns the position of a member, with its place.
    fn position_of(&self, position: &Position<'a>, placed: &PlacedMember<'_>) -> Position<'a> {
        let PlacedMember { member, definition } = placed;
        let definition = definition.map_or(&*position.definition, base);
        let place = self.new.places.get(&format!("{definition}/{}", member.names[0])).cloned();
        Position { member: place, ..position.within(member.names[0]) }
    }
}

impl Position<'_> {
    fn within(&self, segment: &str) -> Self {
        let path = if self.path.is_empty() { segment.to_owned() } else { format!("{}.{segment}", self.path) };
        Position { path, ..self.clone() }
    }
}
