//! How state becomes bytes and is read back: little-endian numbers, each kind of field in one place.
//!
//! A [`Tape`] runs over the fields of a key's state in one order, to save or to load, so that the two cannot drift apart. What must
//! stay true: loading asks for no memory that a saved length alone has claimed.

use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::Detector;

/// What a snapshot begins with; the last byte is the version of everything behind it.
const HEAD: &[u8; 4] = b"FBD\x01";

/// Bytes that are written, or read.
pub(crate) enum Tape<'a> {
    /// Appends.
    Save(&'a mut Vec<u8>),
    /// What is still to be read.
    Load(&'a [u8]),
}

impl Tape<'_> {
    fn raw<const N: usize>(&mut self, value: &mut [u8; N]) -> Result<()> {
        match self {
            Self::Save(out) => out.extend_from_slice(value),
            Self::Load(rest) => {
                let (head, tail) = rest.split_first_chunk::<N>().ok_or_else(damaged)?;
                *value = *head;
                *rest = tail;
            }
        }
        Ok(())
    }

    /// A number.
    pub fn f64(&mut self, value: &mut f64) -> Result<()> {
        let mut bytes = value.to_le_bytes();
        self.raw(&mut bytes)?;
        *value = f64::from_le_bytes(bytes);
        Ok(())
    }

    /// A number of half the size.
    pub fn f32(&mut self, value: &mut f32) -> Result<()> {
        let mut bytes = value.to_le_bytes();
        self.raw(&mut bytes)?;
        *value = f32::from_le_bytes(bytes);
        Ok(())
    }

    /// A time or a length of time.
    pub fn i64(&mut self, value: &mut i64) -> Result<()> {
        let mut bytes = value.to_le_bytes();
        self.raw(&mut bytes)?;
        *value = i64::from_le_bytes(bytes);
        Ok(())
    }

    /// A count.
    pub fn u32(&mut self, value: &mut u32) -> Result<()> {
        let mut bytes = value.to_le_bytes();
        self.raw(&mut bytes)?;
        *value = u32::from_le_bytes(bytes);
        Ok(())
    }

    /// Numbers whose count is part of the model.
    pub fn f64s(&mut self, values: &mut [f64]) -> Result<()> {
        values.iter_mut().try_for_each(|value| self.f64(value))
    }

    /// Smaller numbers whose count is part of the model: of those that are zero only a bit is written.
    pub fn sparse(&mut self, values: &mut [f32]) -> Result<()> {
        for part in values.chunks_mut(8) {
            let is_there = |value: &f32| u8::from(value.to_bits() != 0);
            let bits = part.iter().enumerate().fold(0, |bits, (bit, value)| bits | (is_there(value) << bit));
            let mut mask = [bits];
            self.raw(&mut mask)?;
            if u32::from(mask[0]) >> part.len() != 0 {
                return Err(damaged());
            }
            for (bit, value) in part.iter_mut().enumerate() {
                if mask[0] >> bit & 1 == 0 {
                    *value = 0.0;
                    continue;
                }
                self.f32(value)?;
                if value.to_bits() == 0 {
                    return Err(damaged());
                }
            }
        }
        Ok(())
    }

    /// A small count.
    pub fn u16(&mut self, value: &mut u16) -> Result<()> {
        let mut bytes = value.to_le_bytes();
        self.raw(&mut bytes)?;
        *value = u16::from_le_bytes(bytes);
        Ok(())
    }

    /// Bytes whose count is part of the model.
    pub fn bytes(&mut self, values: &mut [u8]) -> Result<()> {
        match self {
            Self::Save(out) => out.extend_from_slice(values),
            Self::Load(rest) => {
                let (head, tail) = rest.split_at_checked(values.len()).ok_or_else(damaged)?;
                values.copy_from_slice(head);
                *rest = tail;
            }
        }
        Ok(())
    }

    /// Numbers of which there are `most` at most.
    pub fn list(&mut self, values: &mut Vec<f64>, most: usize) -> Result<()> {
        let mut count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        self.u32(&mut count)?;
        if count as usize > most {
            return Err(damaged());
        }
        values.resize(count as usize, 0.0);
        self.f64s(values)
    }

    /// An index below `bound`.
    pub fn below(&mut self, value: &mut usize, bound: usize) -> Result<()> {
        let mut number = u32::try_from(*value).unwrap_or(u32::MAX);
        self.u32(&mut number)?;
        *value = number as usize;
        if *value < bound.max(1) { Ok(()) } else { Err(damaged()) }
    }

    /// Nothing is left to be read.
    pub fn end(self) -> Result<()> {
        match self {
            Self::Load(rest) if !rest.is_empty() => Err(damaged()),
            _ => Ok(()),
        }
    }
}

/// All keys of a detector.
pub(super) fn snapshot<D: Detector + ?Sized>(detector: &mut D) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    let name = detector.name().as_bytes();
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name);
    out.extend_from_slice(&detector.keys().to_le_bytes());
    let mut state = Vec::new();
    for key in 0..detector.keys() {
        state.clear();
        detector.save(key, &mut state);
        out.extend_from_slice(&u32::try_from(state.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&state);
    }
    out
}

/// The number of keys and their bytes.
pub(super) fn opened<'a>(snapshot: &'a [u8], name: &str) -> Result<(u32, &'a [u8])> {
    let (head, rest) = snapshot.split_first_chunk::<4>().ok_or_else(damaged)?;
    if head.get(..3) != HEAD.get(..3) {
        return Err(damaged());
    }
    if head != HEAD {
        let message = format!("the state of the detector `{name}` is of another version");
        return Err(Error::new(&codes::CHECKPOINT_VERSION, message));
    }
    let (length, rest) = rest.split_first().ok_or_else(damaged)?;
    let (found, rest) = rest.split_at_checked(usize::from(*length)).ok_or_else(damaged)?;
    if found != name.as_bytes() {
        let found = String::from_utf8_lossy(found);
        let message = format!("the state is of a detector `{found}`, not of `{name}`");
        return Err(Error::new(&codes::STATE_CHANGED, message));
    }
    let (keys, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    Ok((u32::from_le_bytes(*keys), rest))
}

/// The keys of a snapshot, one after the other.
pub(super) fn each_key(
    keys: u32,
    mut rest: &[u8],
    mut take: impl FnMut(u32, &[u8]) -> Result<()>,
) -> Result<()> {
    for key in 0..keys {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (state, behind) = behind.split_at_checked(length).ok_or_else(damaged)?;
        take(key, state)?;
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(damaged()) }
}

/// Bytes that nobody saved so.
pub(crate) fn damaged() -> Error {
    Error::new(&codes::STATE_DAMAGED, "the state of a detector is damaged")
}
