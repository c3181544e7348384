//! Requests as bytes, and as much of responses as the measurements need.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha1::Sha1;

/// The time limit of a request that prepares a measurement.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A session: its id, and the user id that signs its requests.
#[derive(Clone)]
pub struct Session {
    pub id: String,
    pub user_id: String,
}

/// Returns the bytes of a POST request, signed if there is a session.
pub fn post(path: &str, body: &str, session: Option<&Session>) -> Vec<u8> {
    let signature = session.map_or(String::new(), |session| {
        let key = session.user_id.as_bytes();
        let mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC accepts keys of any length");
        let mac = mac.chain_update(body).finalize().into_bytes();
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("x-session-id: {}\r\nx-hmac: {hex}\r\n", session.id)
    });
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{signature}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Returns the body of a request to the RPC endpoint.
pub fn envelope(method: &str, parameters: &str) -> String {
    format!("{{\"method\":\"{method}\",\"parameters\":{parameters}}}")
}

/// The head of a response, and the length of the response if the head has it.
#[derive(Clone, Copy)]
pub struct Head {
    pub is_success: bool,
    pub length: usize,
    /// The length of the whole response; `None` if it is chunked.
    pub total: Option<usize>,
}

/// Returns the head of the response that begins a buffer, or `None` if the head is incomplete.
pub fn head(buffer: &[u8]) -> Option<Head> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let is_success = buffer.starts_with(b"HTTP/1.1 200");
    let total = content_length(&buffer[..end]).map(|length| end + length);
    Some(Head { is_success, length: end, total })
}

/// Returns `true` if a chunked response is complete.
pub fn is_last_chunk(buffer: &[u8]) -> bool {
    buffer.ends_with(b"\r\n0\r\n\r\n")
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))?;
    std::str::from_utf8(&line[NAME.len()..]).ok()?.trim().parse().ok()
}

/// Sends a request on a new connection and returns the response's body.
///
/// # Errors
/// Returns an error unless the response has the status 200.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    exchange_on(&mut stream, request)
}

/// Sends a request on an open connection and returns the response's body.
///
/// # Errors
/// Returns an error unless the response has the status 200.
pub fn exchange_on(stream: &mut TcpStream, request: &[u8]) -> Result<Vec<u8>> {
    let (head, mut response) = response_on(stream, request)?;
    if !head.is_success {
        bail!("the response is not a success: {}", String::from_utf8_lossy(&response));
    }
    Ok(response.split_off(head.length))
}

/// Sends a request on an open connection and returns the whole response, with any status.
///
/// # Errors
/// Returns an error if the connection ends before the response is complete.
pub fn response_on(stream: &mut TcpStream, request: &[u8]) -> Result<(Head, Vec<u8>)> {
    stream.write_all(request)?;
    let mut buffer = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        if let Some(head) = head(&buffer)
            && head.total.map_or_else(|| is_last_chunk(&buffer), |total| buffer.len() >= total)
        {
            return Ok((head, buffer));
        }
        match stream.read(&mut piece)? {
            0 => bail!("the server has closed the connection before its response was complete"),
            length => buffer.extend_from_slice(&piece[..length]),
        }
    }
}

/// Creates an account and returns its session.
///
/// # Errors
/// Returns an error if the server does.
pub fn create_account(address: SocketAddr, user_id: &str) -> Result<Session> {
    let body = format!("{{\"user_id\":\"{user_id}\",\"password\":\"{PASSWORD}\"}}");
    let response: Value = serde_json::from_slice(&exchange(address, &post("/account/create", &body, None))?)?;
    let id = response["result"]["session_id"].as_str().context("account.create returns a session id")?;
    Ok(Session { id: id.to_owned(), user_id: user_id.to_owned() })
}

/// The password of every account.
pub const PASSWORD: &str = "correct horse";
