//! A client that signs, as an application of the API would.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// The signature of version 1.
pub(crate) fn sign(user_id: &str, body: &[u8]) -> String {
    let mac = Hmac::<sha1::Sha1>::new_from_slice(user_id.as_bytes()).unwrap().chain_update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
}

/// A session, as a client stores it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user: String,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        json.disable_recursion_limit();
        serde::Deserialize::deserialize(&mut json).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn result(&self) -> Value {
        let mut json = self.json();
        assert!(json.get("result").is_some(), "not a result: {json}");
        json["result"].take()
    }

    /// The code of the error, or 0.
    pub(crate) fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn session(&self) -> Session {
        let result = self.result();
        let text = |name: &str| result[name].as_str().unwrap().to_owned();
        Session { id: text("session_id"), user: text("user_id") }
    }

    pub(crate) fn is_signed_by(&self, user_id: &str) -> bool {
        self.header("x-hmac") == Some(&sign(user_id, &self.body))
    }
}

impl Api {
    /// Sends a body unchanged.
    pub(crate) async fn send(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Reply {
        self.try_send(path, body, headers).await.unwrap()
    }

    pub(crate) async fn try_send(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> reqwest::Result<Reply> {
        let mut request = self.http.post(format!("{}{path}", self.base)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.reply(request).await
    }

    pub(crate) async fn reply(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Reply> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, body: response.bytes().await?.to_vec() })
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.reply(self.http.get(format!("{}{path}", self.base))).await.unwrap()
    }

    /// Calls a method at the RPC endpoint.
    pub(crate) async fn call(&self, method: &str, parameters: Value) -> Reply {
        self.send("/", &json!({ "method": method, "parameters": parameters }).to_string(), &[]).await
    }

    /// Calls a method at the RPC endpoint, signed.
    pub(crate) async fn call_as(&self, session: &Session, method: &str, parameters: Value) -> Reply {
        self.send_as(session, "/", &json!({ "method": method, "parameters": parameters }).to_string()).await
    }

    pub(crate) async fn send_as(&self, session: &Session, path: &str, body: &str) -> Reply {
        self.try_send_as(session, path, body).await.unwrap()
    }

    pub(crate) async fn try_send_as(&self, session: &Session, path: &str, body: &str) -> reqwest::Result<Reply> {
        let signature = sign(&session.user, body.as_bytes());
        self.try_send(path, body, &[("x-session-id", &session.id), ("x-hmac", &signature)]).await
    }

    pub(crate) async fn create(&self, user_id: &str) -> Session {
        let reply = self.call("account.create", json!({ "user_id": user_id, "password": "secret" })).await;
        assert!(reply.is_signed_by(user_id));
        reply.session()
    }

    pub(crate) async fn login(&self, user_id: &str) -> Reply {
        self.call("account.login", json!({ "user_id": user_id, "password": "secret" })).await
    }
}
