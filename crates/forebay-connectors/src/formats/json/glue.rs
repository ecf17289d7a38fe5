//! Glue: what stands between two values, learned from the record before.
//!
//! ```text
//!   {"device_id": "device_1", "temperature": 55.12, "humidity": 61.7, "timestamp": 1732150000}
//!   └────────────┘          └───────────────┘     └────────────┘    └─────────────┘
//!      glue 0                   glue 1                glue 2            glue 3
//! ```
//!
//! Records of one producer are written by one program: between their values stand the same bytes every time: comma,
//! blanks, key, colon, blanks. So each object remembers them, and the next record is compared with them in two or four
//! words instead of being taken apart. If they differ, the long way is taken, and remembered instead. What must stay
//! true: glue is only learned where the grammar had it checked, and only used at the same place of an object (after
//! `{` or after a value), so a match proves what the long way would have found.

/// Longer glue is not remembered.
const MOST_BYTES: usize = 96;

/// An object's glue is remembered up to this many values.
const MOST_STEPS: usize = 256;

/// The field of a key that the schema does not have.
pub(super) const UNKNOWN: usize = usize::MAX;

/// The bytes before a value, and whose value it is.
#[derive(Clone, Debug)]
pub(super) struct Glue {
    pub(super) bytes: Vec<u8>,
    /// The index of the field, or [`UNKNOWN`].
    pub(super) field: usize,
}

/// Remembers what stood before the value number `step` of an object.
pub(super) fn learn(glue: &mut Vec<Glue>, step: usize, bytes: &[u8], field: usize) {
    if bytes.len() > MOST_BYTES {
        glue.truncate(step);
        return;
    }
    if let Some(known) = glue.get_mut(step) {
        known.bytes.clear();
        known.bytes.extend_from_slice(bytes);
        known.field = field;
    } else if step == glue.len() && step < MOST_STEPS {
        glue.push(Glue { bytes: bytes.to_vec(), field });
    }
}
