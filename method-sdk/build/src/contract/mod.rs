//! The contract of an application: what each method takes and returns, read from its source without a compiler.
//!
//! | file | |
//! |---|---|
//! | `declarations.rs` | what a file declares: its types, as serde's derive macros understand them, and the types of `invoke` |
//! | `effects.rs` | its own errors, and whether it streams |
//! | `names.rs` | the type that a name means |
//! | `schema.rs` | types to JSON Schema |
//! | `openapi.rs` | the whole as an OpenAPI document |

mod declarations;
mod effects;
mod names;
mod openapi;
mod schema;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

pub(crate) use declarations::{Declarations, read};
pub use effects::OwnError;
pub use schema::UnknownType;

use crate::method::Method;
use declarations::Direction;
use names::Names;
use schema::Schemas;

/// The parameters and answers of the methods of an application, as JSON Schema (2020-12).
#[derive(Debug)]
pub struct Contract {
    /// The methods, sorted by name.
    pub methods: Vec<MethodContract>,
    /// The types that the schemas refer to, as `#/components/schemas/NAME`. A type whose JSON is not the same in parameters and in answers
    /// is two: `NAME.In` and `NAME.Out`.
    pub types: BTreeMap<String, Value>,
    /// The types that are any JSON here, because more cannot be known.
    pub unknown: Vec<UnknownType>,
}

/// The parameters and the answer of a method.
#[derive(Debug)]
pub struct MethodContract {
    /// The name, such as `account.login`.
    pub name: String,
    /// The file, such as `methods/account/login.rs`.
    pub file: PathBuf,
    /// The `//!` text of the file.
    pub description: String,
    /// A call needs a session.
    pub is_authenticated: bool,
    /// GET is allowed.
    pub is_get: bool,
    /// The schema of the parameters; `null` if there are none.
    pub parameters: Value,
    /// The schema of the answer; `null` if there is none.
    pub answer: Value,
    /// The errors that the file of the method creates with a literal number and message, sorted by number.
    pub errors: Vec<OwnError>,
    /// The method may write its response in pieces.
    pub streams: bool,
    /// The `content-type` of the response, if the method sets one by a literal.
    pub content_type: Option<String>,
}

/// Creates the contract of methods. `files` are the module paths and the declarations of all files of the tree.
pub(crate) fn contract<'a>(
    methods: &[Method],
    files: impl IntoIterator<Item = (&'a [String], &'a Declarations)>,
) -> Contract {
    let files: BTreeMap<&[String], &Declarations> = files.into_iter().collect();
    let names = Names::new(files.iter().map(|(module, declarations)| (*module, *declarations)));
    let mut schemas = Schemas::new(&names);
    let mut contracts: Vec<MethodContract> = methods
        .iter()
        .map(|method| {
            let effects = files.get(&method.segments[..]).map(|file| file.effects.clone()).unwrap_or_default();
            let signature = files.get(&method.segments[..]).and_then(|file| file.invoke.as_ref());
            let mut schema = |written: Option<&declarations::TypeRef>, direction, place: &str| match written {
                Some(written) => {
                    let resolved = names.resolve(written, &method.segments, &BTreeMap::new());
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
                content_type: effects.content_type,
            }
        })
        .collect();
    let (types, unknown) = schemas.finish();
    for method in &mut contracts {
        method.parameters = Schemas::renamed(&method.parameters, &types);
        method.answer = Schemas::renamed(&method.answer, &types);
    }
    Contract { methods: contracts, types, unknown }
}
