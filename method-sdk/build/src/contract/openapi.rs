//! The contract as an OpenAPI 3.1 document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schema::reference;
use super::{Contract, MethodContract, ServerError};

impl Contract {
    /// Returns the OpenAPI 3.1 document of the methods: an operation for each, at its URL, and another one for those that allow GET.
    ///
    /// `errors` are those of the server, which become a shared response for each of their statuses.
    pub fn openapi(&self, errors: &[ServerError]) -> Value {
        let mut by_status: BTreeMap<u16, Vec<&ServerError>> = BTreeMap::new();
        for error in errors {
            by_status.entry(error.status).or_default().push(error);
        }
        let mut responses: Map<String, Value> = by_status
            .iter()
            .map(|(status, errors)| {
                let texts = errors.iter().map(|error| format!("{} {}", error.code, error.message));
                (format!("server.{status}"), error_response(&texts.collect::<Vec<_>>().join("; ")))
            })
            .collect();
        responses.insert("server.Error".to_owned(), error_response("The call has failed."));
        let statuses: Vec<u16> = by_status.into_keys().collect();
        let paths: Map<String, Value> = self
            .methods
            .iter()
            .map(|method| (format!("/{}", method.name.replace('.', "/")), self.path(method, &statuses)))
            .collect();
        let mut schemas: Map<String, Value> = self.types.clone().into_iter().collect();
        schemas.insert("server.Error".to_owned(), error_schema());
        json!({
            "openapi": "3.1.0",
            "info": { "title": self.package.name, "version": self.package.version },
            "servers": [{ "url": "." }],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": responses,
                "securitySchemes": {
                    "session": { "type": "apiKey", "in": "header", "name": "x-session-id", "description": "The session's id." },
                    "signature": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "x-hmac",
                        "description": "The HMAC-SHA1 of the body in lowercase hex; its key is the user id.",
                    },
                },
            },
        })
    }

    fn path(&self, method: &MethodContract, statuses: &[u16]) -> Value {
        let mut post = operation(method, statuses, "");
        post["requestBody"] = json!({
            "required": !self.accepts_empty(&method.parameters),
            "content": { "application/json": { "schema": method.parameters } },
        });
        if !method.is_get {
            return json!({ "post": post });
        }
        let mut get = operation(method, statuses, "_get");
        get["parameters"] = self.query(&method.parameters);
        json!({ "post": post, "get": get })
    }

    /// Returns `true` if a schema accepts `{}`, which an empty body stands for.
    fn accepts_empty(&self, schema: &Value) -> bool {
        let schema = self.resolve(schema);
        let is_object = match &schema["type"] {
            Value::Null => schema.as_object().is_some_and(Map::is_empty),
            Value::Array(names) => names.contains(&json!("object")),
            name => name == "object",
        };
        is_object && ["required", "allOf", "anyOf", "minProperties"].iter().all(|keyword| schema.get(keyword).is_none())
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        reference(schema).and_then(|name| self.types.get(name)).unwrap_or(schema)
    }

    /// Returns the members of an object as parameters of a query string.
    fn query(&self, schema: &Value) -> Value {
        let schema = self.resolve(schema);
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let properties = schema["properties"].as_object().into_iter().flatten();
        let parameters = properties.map(|(name, schema)| {
            json!({ "name": name, "in": "query", "required": required.contains(&json!(name)), "schema": schema })
        });
        parameters.collect()
    }
}

fn operation(method: &MethodContract, statuses: &[u16], suffix: &str) -> Value {
    let summary = method.description.lines().next().unwrap_or_default();
    let session = json!({ "session": [], "signature": [] });
    let answer = json!({
        "type": "object",
        "properties": { "result": method.answer },
        "required": ["result"],
    });
    // Without an answer the body is empty.
    let is_empty = method.answer == json!({ "type": "null" });
    let content = match &method.content_type {
        Some(content_type) => json!({ content_type.as_str(): {} }),
        None if method.streams => json!({ "*/*": {} }),
        None if is_empty => json!({}),
        None => json!({ "application/json": { "schema": answer } }),
    };
    let errors: Vec<Value> =
        method.errors.iter().map(|error| json!({ "code": error.code, "value": error.message })).collect();
    let own = method.errors.iter().map(|error| format!("{} {}", error.code, error.message));
    let own: Vec<String> = own.collect();
    let mut responses =
        Map::from_iter([("200".to_owned(), json!({ "description": "The answer.", "content": content }))]);
    for status in statuses {
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/server.{status}") }));
    }
    responses.insert(
        "default".to_owned(),
        match &own[..] {
            [] => json!({ "$ref": "#/components/responses/server.Error" }),
            own => error_response(&own.join("; ")),
        },
    );
    let mut operation = json!({
        "operationId": method.name.replace('.', "_") + suffix,
        "summary": summary,
        "description": method.description,
        "tags": [method.name.split_once('.').map_or("methods", |(folder, _)| folder)],
        "security": if method.is_authenticated { json!([session]) } else { json!([{}, session]) },
        "responses": responses,
        "x-method": method.name,
        "x-file": method.file,
        "x-errors": errors,
        "x-streams": method.streams,
    });
    if let Some(effect) = method.session {
        operation["x-session"] = json!(effect);
    }
    operation
}

fn error_response(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/server.Error" } } },
    })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "value": { "type": "string", "description": "The message." },
                    "code": { "type": "integer", "description": "The number of the error." },
                    "details": { "description": "More about the error, such as the parameters that do not fit." },
                },
                "required": ["value", "code"],
            },
        },
        "required": ["error"],
    })
}
