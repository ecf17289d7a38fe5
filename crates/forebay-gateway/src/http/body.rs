//! Bodies: unpacked to a bound, and cut into messages.
//!
//! What must stay true: a message is bytes of the body as they came; a small body that unpacks to a large one is given up at the
//! bound and never held.

use std::io::Read as _;

use bytes::Bytes;
use forebay_core::Error;
use forebay_core::error::codes;
use serde_json::value::RawValue;

/// Window of zstd frames that are unpacked: 8 MiB, what every decoder must take.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Identity,
    /// gzip, several members one after the other included.
    Gzip,
    /// zstd.
    Zstd,
}

/// How a body holds its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// One JSON value; an array holds a message in each element.
    Json,
    /// A message in each line that is not empty.
    Lines,
    /// It is one message.
    Whole,
}

/// Why a body is not taken.
#[derive(Debug)]
pub enum BodyError {
    /// It is larger than this, unpacked.
    TooLarge(usize),
    /// It has more messages than this.
    TooMany(usize),
    /// It is broken.
    Broken(Error),
}

impl Packing {
    /// By the header `Content-Encoding`; `None` for what cannot be unpacked.
    pub fn of(encoding: &str) -> Option<Self> {
        match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The body, unpacked; at most so many bytes. Computes: not for the runtime's workers where it is packed.
    ///
    /// # Errors
    /// `TooLarge` beyond the bound, `Broken` for what is not packed so.
    pub fn unpack(self, body: Bytes, most: usize) -> Result<Bytes, BodyError> {
        let broken = |error: std::io::Error| {
            let told = Error::new(&codes::HTTP, "the body is not packed as its Content-Encoding says");
            BodyError::Broken(
                told.with_detail(error)
                    .with_hint("Send the body packed whole, or without the header `Content-Encoding`."),
            )
        };
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let mut out = Vec::new();
        match self {
            Self::Identity => {
                return if body.len() > most { Err(BodyError::TooLarge(most)) } else { Ok(body) };
            }
            Self::Gzip => flate2::read::MultiGzDecoder::new(&body[..])
                .take(limit)
                .read_to_end(&mut out)
                .map_err(broken)?,
            Self::Zstd => {
                let mut reader = zstd::stream::read::Decoder::with_buffer(&body[..]).map_err(broken)?;
                reader.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
                reader.take(limit).read_to_end(&mut out).map_err(broken)?
            }
        };
        if out.len() > most { Err(BodyError::TooLarge(most)) } else { Ok(out.into()) }
    }
}

impl Split {
    /// By the header `Content-Type`; `None` for what the gateway does not take.
    pub fn of(kind: &str) -> Option<Self> {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/jsonlines" => {
                Some(Self::Lines)
            }
            "text/plain" | "application/octet-stream" => Some(Self::Whole),
            _ => None,
        }
    }

    /// The messages of a body, as they stand in it.
    ///
    /// # Errors
    /// `TooMany`; `Broken` for an array that is none: its messages cannot be told apart. A single value is not looked into.
    pub fn messages(self, body: &Bytes, most: usize) -> Result<Vec<Bytes>, BodyError> {
        let is_array = || body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        let messages = match self {
            Self::Json if is_array() => {
                let text = std::str::from_utf8(body).map_err(|error| array(&error))?;
                let values: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| array(&error))?;
                values.into_iter().map(|value| body.slice_ref(value.get().as_bytes())).collect()
            }
            Self::Json if body.trim_ascii().is_empty() => {
                let told = Error::new(&codes::HTTP, "the body is empty");
                return Err(BodyError::Broken(
                    told.with_hint("A message is one JSON value. Send `text/plain` or `application/octet-stream` where an empty message means something."),
                ));
            }
            Self::Json | Self::Whole => vec![body.clone()],
            Self::Lines => {
                let lines = body.split(|byte| *byte == b'\n');
                let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
                let lines = lines.filter(|line| !line.trim_ascii().is_empty());
                lines.take(most.saturating_add(1)).map(|line| body.slice_ref(line)).collect::<Vec<_>>()
            }
        };
        if messages.len() > most { Err(BodyError::TooMany(most)) } else { Ok(messages) }
    }
}

fn array(error: &dyn std::fmt::Display) -> BodyError {
    let told = Error::new(&codes::HTTP, "the body is no JSON array, so its messages cannot be told apart");
    BodyError::Broken(
        told.with_detail(error)
            .with_hint("Send lines (application/x-ndjson) where one of them may be broken."),
    )
}
