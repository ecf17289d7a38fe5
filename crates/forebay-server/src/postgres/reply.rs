//! What is sent to a client: messages put one behind the other into a buffer, which is sent as a whole.

use super::sqlstate::Refusal;
use super::types::PgType;

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub pg: PgType,
}

/// Whether a connection is in a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Transaction {
    #[default]
    None,
    Open,
    /// A statement in it failed; it can only be ended.
    Failed,
}

/// Messages that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Replies(pub Vec<u8>);

impl Replies {
    /// Puts a message; its body is written by `body`.
    fn put(&mut self, letter: u8, body: impl FnOnce(&mut Vec<u8>)) {
        self.0.push(letter);
        let at = self.0.len();
        self.0.extend([0; 4]);
        body(&mut self.0);
        let length = u32::try_from(self.0.len() - at).unwrap_or(u32::MAX).to_be_bytes();
        self.0[at..at + 4].copy_from_slice(&length);
    }

    /// An authentication message with this code.
    pub fn authentication(&mut self, code: u32, data: &[u8]) {
        self.put(b'R', |out| {
            out.extend(code.to_be_bytes());
            out.extend(data);
        });
    }

    pub fn parameter(&mut self, name: &str, value: &str) {
        self.put(b'S', |out| {
            text(out, name);
            text(out, value);
        });
    }

    pub fn key(&mut self, pid: i32, secret: i32) {
        self.put(b'K', |out| {
            out.extend(pid.to_be_bytes());
            out.extend(secret.to_be_bytes());
        });
    }

    /// The newest minor version of the protocol that is spoken, and the options that are not known.
    pub fn version(&mut self, minor: u32, unknown: &[&str]) {
        self.put(b'v', |out| {
            out.extend(minor.to_be_bytes());
            out.extend(u32::try_from(unknown.len()).unwrap_or_default().to_be_bytes());
            unknown.iter().for_each(|option| text(out, option));
        });
    }

    pub fn ready(&mut self, transaction: Transaction) {
        self.put(b'Z', |out| {
            out.push(match transaction {
                Transaction::None => b'I',
                Transaction::Open => b'T',
                Transaction::Failed => b'E',
            });
        });
    }

    /// The columns; `format` says for each whether it is binary.
    pub fn columns(&mut self, columns: &[Column], format: impl Fn(usize) -> i16) {
        self.put(b'T', |out| {
            out.extend(u16::try_from(columns.len()).unwrap_or(u16::MAX).to_be_bytes());
            for (at, Column { name, pg }) in columns.iter().enumerate() {
                text(out, name);
                // No table and no column of one.
                out.extend(0_u32.to_be_bytes());
                out.extend(0_u16.to_be_bytes());
                out.extend(pg.oid.to_be_bytes());
                out.extend(pg.length.to_be_bytes());
                out.extend(pg.modifier.to_be_bytes());
                out.extend(format(at).to_be_bytes());
            }
        });
    }

    /// The types of parameters.
    pub fn parameters(&mut self, types: &[u32]) {
        self.put(b't', |out| {
            out.extend(u16::try_from(types.len()).unwrap_or(u16::MAX).to_be_bytes());
            types.iter().for_each(|oid| out.extend(oid.to_be_bytes()));
        });
    }

    /// A row of texts.
    pub fn row(&mut self, values: &[String]) {
        self.put(b'D', |out| {
            out.extend(u16::try_from(values.len()).unwrap_or(u16::MAX).to_be_bytes());
            for value in values {
                out.extend(u32::try_from(value.len()).unwrap_or_default().to_be_bytes());
                out.extend(value.as_bytes());
            }
        });
    }

    pub fn complete(&mut self, tag: &str) {
        self.put(b'C', |out| text(out, tag));
    }

    /// A message of a letter alone.
    pub fn bare(&mut self, letter: u8) {
        self.put(letter, |_| {});
    }

    pub fn parsed(&mut self) {
        self.bare(b'1');
    }

    pub fn bound(&mut self) {
        self.bare(b'2');
    }

    pub fn closed(&mut self) {
        self.bare(b'3');
    }

    pub fn no_columns(&mut self) {
        self.bare(b'n');
    }

    pub fn suspended(&mut self) {
        self.bare(b's');
    }

    pub fn empty(&mut self) {
        self.bare(b'I');
    }

    pub fn error(&mut self, refusal: &Refusal) {
        let severity = if refusal.is_fatal { "FATAL" } else { "ERROR" };
        self.put(b'E', |out| {
            let mut field = |letter: u8, value: &str| {
                out.push(letter);
                text(out, value);
            };
            field(b'S', severity);
            field(b'V', severity);
            field(b'C', refusal.state);
            field(b'M', &refusal.message);
            if let Some(detail) = &refusal.detail {
                field(b'D', detail);
            }
            if let Some(hint) = &refusal.hint {
                field(b'H', hint);
            }
            if let Some(position) = refusal.position {
                field(b'P', &position.to_string());
            }
            out.push(0);
        });
    }
}

/// A text with its NUL; what would end it too early is left out.
fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.push(0);
}
