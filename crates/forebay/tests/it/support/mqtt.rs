//! MQTT as a device speaks it, by hand: nothing of the gateway's own code says here what is right.
//!
//! The packets are those of 3.1.1, in which each that a server sends to a publisher is four bytes long. [`Outbox`] is what a device has to
//! remember of its messages until they are acknowledged; it asserts that acknowledgements come in the order of publishing.

use std::collections::VecDeque;

/// A packet: its first byte, its length, its parts.
pub fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut packet = vec![first];
    let mut left = body.len();
    loop {
        let more = if left > 0x7F { 0x80 } else { 0 };
        packet.push((left & 0x7F) as u8 | more);
        left >>= 7;
        if left == 0 {
            break;
        }
    }
    packet.extend_from_slice(&body);
    packet
}

/// A text with its length before it.
pub fn string(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// CONNECT of a client whose session stays, without keep-alive.
pub fn connect(client: &str) -> Vec<u8> {
    packet(0x10, &[b"\0\x04MQTT\x04\0\0\0", &string(client)])
}

/// Whether these four bytes are a CONNACK that lets a client in.
pub fn is_welcome(packet: [u8; 4]) -> bool {
    matches!(packet, [0x20, 2, 0 | 1, 0])
}

/// PUBLISH with QoS 1 or 2.
pub fn publish(topic: &str, qos: u8, is_repeat: bool, id: u16, payload: &str) -> Vec<u8> {
    let first = 0x30 | qos << 1 | if is_repeat { 8 } else { 0 };
    packet(first, &[&string(topic), &id.to_be_bytes(), payload.as_bytes()])
}

pub const DISCONNECT: [u8; 2] = [0xE0, 0];

/// What a device remembers of a message.
#[derive(Debug)]
pub struct Message {
    /// Its number.
    pub seq: u64,
    /// How often it was sent again.
    pub repeats: u64,
    /// What the caller of [`Outbox::send`] noted with it.
    pub mark: u64,
    id: u16,
    payload: String,
    /// QoS 2: its PUBREC came.
    is_received: bool,
}

/// The messages of one device that are not acknowledged, in order.
pub struct Outbox {
    topic: String,
    qos: u8,
    last_id: u16,
    waiting: VecDeque<Message>,
}

impl Outbox {
    pub fn new(topic: String, qos: u8) -> Self {
        Self { topic, qos, last_id: 0, waiting: VecDeque::new() }
    }

    /// Messages that wait for something.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A new message; the bytes to send.
    pub fn send(&mut self, seq: u64, mark: u64, payload: String) -> Vec<u8> {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let bytes = publish(&self.topic, self.qos, false, self.last_id, &payload);
        let id = self.last_id;
        self.waiting.push_back(Message { seq, repeats: 0, mark, id, payload, is_received: false });
        bytes
    }

    /// What has to be sent first on a new connection.
    pub fn again(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        for message in &mut self.waiting {
            if message.is_received {
                all.extend(pubrel(message.id));
            } else {
                message.repeats += 1;
                all.extend(publish(&self.topic, self.qos, true, message.id, &message.payload));
            }
        }
        all
    }

    /// What the server says; `answer` gets what has to be said to that. Gives the message that the server has by it.
    pub fn hear(&mut self, packet: [u8; 4], answer: &mut Vec<u8>) -> Option<(u64, u64, u64)> {
        let id = u16::from_be_bytes([packet[2], packet[3]]);
        match (self.qos, packet[0], packet[1]) {
            (1, 0x40, 2) => {
                let message = self.waiting.pop_front().expect("a PUBACK for something");
                assert_eq!(message.id, id, "PUBACK in the order of publishing");
                Some((message.seq, message.repeats, message.mark))
            }
            (2, 0x50, 2) => {
                answer.extend(pubrel(id));
                let first = self.waiting.iter_mut().find(|message| !message.is_received);
                let message = first.expect("a PUBREC for something");
                assert_eq!(message.id, id, "PUBREC in the order of publishing");
                message.is_received = true;
                Some((message.seq, message.repeats, message.mark))
            }
            (2, 0x70, 2) => {
                let message = self.waiting.pop_front().expect("a PUBCOMP for something");
                assert!(message.is_received && message.id == id, "PUBCOMP {id} for {message:?}");
                None
            }
            _ => panic!("{packet:?} is no answer to a publisher with QoS {}", self.qos),
        }
    }
}

fn pubrel(id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [0x62, 2, high, low]
}
