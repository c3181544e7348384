//! The contract of an application: what each method takes and returns, read from its source without a compiler.
//!
//! | file | |
//! |---|---|
//! | `conditions.rs` | what `#[cfg(feature = "..")]` leaves of a file |
//! | `declarations.rs` | what a file declares: its types, as serde's derive macros understand them, and the types of `invoke` |
//! | `effects.rs` | its own errors, and whether it streams |
//! | `names.rs` | the type that a name means |
//! | `schema.rs` | types to JSON Schema |
//! | `openapi.rs` | the whole as an OpenAPI document |
//! | `members.rs` | the members of an object, as a schema declares them |
//! | `lock.rs`, `shapes.rs` | the changes that break callers |

mod conditions;
mod declarations;
mod effects;
mod lock;
mod members;
mod names;
mod openapi;
mod schema;
mod shapes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use declarations::{Declarations, read};
pub use effects::{OwnError, SessionEffect};
pub(crate) use members::{Member, flattened, members};
pub(crate) use schema::reference;
pub use schema::{Place, UnknownType};

use crate::method::Method;
use crate::package::Package;
use declarations::Direction;
use names::{Names, ResolvedType};
use schema::Schemas;

/// The name of the file beside Cargo.toml that holds the lock of a contract.
pub const LOCK_FILE: &str = "contract.json";

/// The parameters and answers of the methods of an application, as JSON Schema (2020-12).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contract {
    /// The application.
    pub package: Package,
    /// The methods, sorted by name.
    pub methods: Vec<MethodContract>,
    /// The types that the schemas refer to, as `#/components/schemas/NAME`. A type whose JSON is not the same in parameters and in answers
    /// is two: `NAME.In` and `NAME.Out`.
    pub types: BTreeMap<String, Value>,
    /// The types that are any JSON here, because more cannot be known.
    #[serde(skip)]
    pub unknown: Vec<UnknownType>,
    /// The files that are not valid Rust. Types that they declare are unknown.
    #[serde(skip)]
    pub unreadable: Vec<PathBuf>,
    /// The places of types, by their names without `.In` and `.Out`, and of their members, such as `shop.list.Params/after`; of each method,
    /// such as `shop.list`, that of `invoke`, and of its constants, such as `shop.list/AUTHENTICATED`.
    #[serde(skip)]
    pub places: BTreeMap<String, Place>,
}

/// The parameters and the answer of a method.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MethodContract {
    /// The name, such as `account.login`.
    pub name: String,
    /// The file, such as `methods/account/login.rs`.
    pub file: PathBuf,
    /// The `//!` text of the file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// A call needs a session.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_authenticated: bool,
    /// GET is allowed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_get: bool,
    /// The schema of the parameters; an object without members, or `null`, if there are none.
    pub parameters: Value,
    /// The schema of the answer; `null` if there is none.
    pub answer: Value,
    /// The errors that the file of the method creates with a literal number and message, sorted by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<OwnError>,
    /// The method may write its response in pieces.
    #[serde(default, skip_serializing_if = "is_false")]
    pub streams: bool,
    /// The effect on the session of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionEffect>,
    /// The `content-type` of the response, if the method sets one by a literal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// An error of the server itself that a call of any method may return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// The number.
    pub code: i32,
    /// The message.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

impl Contract {
    /// Creates the contract of an application without methods.
    pub(crate) fn empty(package: Package) -> Self {
        Contract {
            package,
            methods: Vec::new(),
            types: BTreeMap::new(),
            unknown: Vec::new(),
            unreadable: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// Reads a contract that [`to_json`](Self::to_json) has written.
    ///
    /// # Errors
    /// Returns an error if the text is not that of a contract.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// Returns the contract as JSON, without the list of unknown types.
    ///
    /// # Panics
    /// Panics if the file of a method is not valid UTF-8, which the names of methods rule out.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names of methods are ASCII")
    }

    /// Returns the method of this name.
    pub fn method(&self, name: &str) -> Option<&MethodContract> {
        let index = self.methods.binary_search_by(|method| method.name.as_str().cmp(name)).ok()?;
        Some(&self.methods[index])
    }
}

/// Returns the schema of the parameters of a method that takes `()`.
fn no_parameters() -> Value {
    serde_json::json!({ "type": ["object", "null"], "properties": {}, "additionalProperties": false })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Creates the contract of methods. `files` are the module paths and the declarations of all files of the tree.
pub(crate) fn contract<'a>(
    package: &Package,
    methods: &[Method],
    files: impl IntoIterator<Item = (&'a [String], &'a Path, &'a Declarations)>,
) -> Contract {
    let names = Names::new(files);
    let mut schemas = Schemas::new(&names);
    let mut contracts: Vec<MethodContract> = methods
        .iter()
        .map(|method| {
            let declarations = names.file(&method.segments).map(|(_, declarations)| declarations);
            let effects = declarations.map(|file| file.effects.clone()).unwrap_or_default();
            let signature = declarations.and_then(|file| file.invoke.as_ref());
            let mut schema = |written: Option<&declarations::TypeRef>, direction, place: &str| match written {
                Some(written) => {
                    let resolved = names.resolve(written, &method.segments, &BTreeMap::new());
                    if direction == Direction::Input && resolved == ResolvedType::Tuple(Vec::new()) {
                        return no_parameters();
                    }
                    schemas.schema(&resolved, direction, &format!("{}/{place}", method.name))
                }
                None => Value::Object(serde_json::Map::new()),
            };
            MethodContract {
                name: method.name.clone(),
                file: method.file.clone(),
                description: method.description.clone(),
                is_authenticated: method.attributes.is_true("AUTHENTICATED"),
                is_get: method.attributes.is_true("GET"),
                parameters: schema(signature.map(|signature| &signature.parameters), Direction::Input, "parameters"),
                answer: schema(signature.and_then(|signature| signature.answer.as_ref()), Direction::Output, "answer"),
                errors: effects.errors,
                streams: effects.streams,
                session: effects.session,
                content_type: effects.content_type,
            }
        })
        .collect();
    let (types, unknown, mut places) = schemas.finish();
    for method in methods {
        let lines = names.file(&method.segments).into_iter().flat_map(|(_, declarations)| &declarations.lines);
        for (name, line) in lines {
            let key = if name == "invoke" { method.name.clone() } else { format!("{}/{name}", method.name) };
            places.insert(key, Place { file: method.file.clone(), line: *line });
        }
    }
    for method in &mut contracts {
        method.parameters = Schemas::renamed(&method.parameters, &types);
        method.answer = Schemas::renamed(&method.answer, &types);
    }
    Contract { package: package.clone(), methods: contracts, types, unknown, unreadable: names.unreadable(), places }
}
