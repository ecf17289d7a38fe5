//! What a connection to the HTTP gateway may carry: WebSocket's frames, subprotocols, and requests that try to hide others.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::gateways::{counted, pipeline, send};
use crate::support::*;

/// A frame as a client sends it: final, masked by zeros.
fn frame(kind: u8, announced: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind, 0x80 | 127];
    frame.extend(announced.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The kind and the payload of the next frame that comes.
fn next_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut length = u64::from(head[1] & 0x7F);
    if length == 126 {
        let mut more = [0; 2];
        stream.read_exact(&mut more).unwrap();
        length = u64::from(u16::from_be_bytes(more));
    }
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).unwrap();
    (head[0] & 0x0F, payload)
}

fn open_socket(http: SocketAddr, more: &str) -> (TcpStream, String) {
    upgrade(http, "/api/v1/ingest/web/plant/s1/dht11", more)
}

/// Asks for a WebSocket: what came, up to the end of its head.
fn upgrade(http: SocketAddr, path: &str, more: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(http).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            break;
        }
        answer.push(byte[0]);
    }
    (stream, text(&answer))
}

#[test]
fn each_message_over_a_web_socket_is_answered_and_one_that_is_too_long_ends_it_with_a_reason() {
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), free_address(), "");
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let http = process.address("http");
    let (_, refused) = open_socket(http, "Origin: https://evil.example\r\n");
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    let (mut stream, opened) = open_socket(http, "");
    assert!(opened.starts_with("HTTP/1.1 101"), "{opened}");
    for n in 1..=2 {
        let message = format!("{{\"n\": {n}}}");
        stream.write_all(&frame(1, message.len() as u64, message.as_bytes())).unwrap();
        let (kind, answer) = next_frame(&mut stream);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (kind, &answer["message"], &answer["topic"]),
            (1, &(n - 1).into(), &"dht".into()),
            "{answer}"
        );
    }
    // The close comes with the messages: they are answered before it is.
    let (mut other, _) = open_socket(http, "");
    let mut frames: Vec<u8> =
        [3, 4].iter().flat_map(|n| frame(1, 8, format!("{{\"n\": {n}}}").as_bytes())).collect();
    frames.extend(frame(8, 2, &1000u16.to_be_bytes()));
    other.write_all(&frames).unwrap();
    for number in 0..2 {
        let (kind, answer) = next_frame(&mut other);
        let answer: Value =
            serde_json::from_slice(&answer).unwrap_or_else(|e| panic!("{kind}: {e}: {answer:?}"));
        assert!(kind == 1 && answer["message"] == number && answer["offset"].is_u64(), "{kind} {answer}");
    }
    assert_eq!(next_frame(&mut other), (8, 1000u16.to_be_bytes().to_vec()));
    assert_eq!(other.read(&mut [0; 1]).unwrap(), 0, "closed behind it");
    stream.write_all(&frame(1, (1 << 20) + 1, b"{\"n\": 3")).unwrap();
    let (kind, reason) = next_frame(&mut stream);
    assert_eq!((kind, u16::from_be_bytes([reason[0], reason[1]])), (8, 1009));
    let reason = text(&reason[2..]);
    assert!(reason.starts_with("message 2 is longer than the 1048576 bytes"), "{reason}");
    eventually("all are in the table", Duration::from_secs(30), || counted(data.path()).len() == 4);
    assert!(counted(data.path()).into_iter().eq((1..=4).map(|n| (n, 1))));
    assert!(process.stop().0);
}

/// A message whose length is told twice, so that a proxy before us may see another one. As RFC 9112 (6.1) has it, the chunks count, and
/// the connection ends behind the answer: what else stands on it is nobody's request.
#[test]
fn a_request_with_two_lengths_hides_no_other_request() {
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), free_address(), "");
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let http = process.address("http");
    let hidden = "POST /api/v1/ingest/web/plant/s1/dht11 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"n\": 2}";
    let (te, cl) = ("Transfer-Encoding: chunked\r\n", format!("Content-Length: {}\r\n", hidden.len() + 18));
    for (n, lengths) in [(1, format!("{te}{cl}")), (3, format!("{cl}{te}"))] {
        let chunked = format!("8\r\n{{\"n\": {n}}}\r\n0\r\n\r\n");
        let mut stream = TcpStream::connect(http).unwrap();
        let head = "POST /api/v1/ingest/web/plant/s1/dht11 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        stream.write_all(format!("{head}{lengths}\r\n{chunked}{hidden}").as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.starts_with("HTTP/1.1 202 ") && answer.contains("connection: close"), "{answer}");
    }
    assert_eq!(send(http, "plant/s1/dht11", &[], "{\"n\": 4}").0, 202);
    eventually("the last is in the table", Duration::from_secs(30), || counted(data.path()).contains_key(&4));
    assert!(counted(data.path()).into_iter().eq([(1, 1), (3, 1), (4, 1)]));
    assert!(process.stop().0);
}

#[test]
fn mqtt_over_web_socket_needs_the_subprotocol_that_it_is_called_by() {
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), free_address(), "");
    let text_of_file = std::fs::read_to_string(&file).unwrap();
    let mqtt = "gateways:\n  plant:\n    format: mqtt\n    options: { listen: \"127.0.0.1:0\" }\n    routes:\n      \"plant/{station}/dht11\": { topic: dht, key: \"{station}\" }\n";
    std::fs::write(&file, text_of_file.replacen("gateways:\n", mqtt, 1)).unwrap();
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let http = process.address("http");
    for refused in ["", "Sec-WebSocket-Protocol: chat, mqttx\r\n"] {
        let (_, answer) = upgrade(http, "/mqtt", refused);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{refused}: {answer}");
    }
    let (mut stream, answer) = upgrade(http, "/mqtt", "Sec-WebSocket-Protocol: chat, mqtt\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 101 ") && answer.contains("sec-websocket-protocol: mqtt\r\n"),
        "{answer}"
    );
    let connect = mqtt::connect("uno-1");
    stream.write_all(&frame(2, connect.len() as u64, &connect)).unwrap();
    let (kind, welcome) = next_frame(&mut stream);
    assert!(kind == 2 && mqtt::is_welcome(welcome.try_into().unwrap()));
    drop(stream);
    assert!(process.stop().0);
}
