//! Plain HTTP, as the page asks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A GET: status and body.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    get_with_host(address, path, "localhost")
}

/// A GET with a `Host` header of choice.
pub fn get_with_host(address: SocketAddr, path: &str, host: &str) -> (u16, String) {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

/// A POST of JSON as the page sends it: status and body.
pub fn post(address: SocketAddr, path: &str, json: &str) -> (u16, String) {
    let length = json.len();
    exchange(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forebay: 1\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
        ),
    )
}

fn exchange(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}
