//! Objects into structs: which key comes next, whether it was there before, and what is missing at the end.
//!
//! Keys are guessed by [`super::glue`]; the long way is here. Each instance of an object has a number, and each field
//! remembers the instance that filled it last: a field that is filled twice is a duplicate, one that is not filled at
//! the end is missing, and nothing needs to be cleared in between.

use super::column::Object;
use super::fault::{Fault, Parse, code};
use super::glue::{UNKNOWN, learn};
use super::reader::Reader;
use super::words::matches_at;

impl Reader<'_> {
    /// Reads an object into one row. The reader stands on the opening brace. After an error the columns may hold a
    /// part of the row: the caller truncates them.
    pub(super) fn object(&mut self, object: &mut Object) -> Parse {
        let start = self.pos;
        self.open()?;
        self.pos = start;
        self.instance += 1;
        let instance = self.instance;
        let mut filled = 0;
        let mut step = 0;
        loop {
            let field = match object.glue.get(step) {
                Some(glue) if self.follows(&glue.bytes) => {
                    self.pos += glue.bytes.len();
                    glue.field
                }
                _ => match self.next_key(object, step)? {
                    Some(field) => field,
                    None => break,
                },
            };
            step += 1;
            match object.fields.get_mut(field) {
                Some(field) => {
                    if field.filled == instance {
                        return Err(duplicate().in_field(&field.name));
                    }
                    field.filled = instance;
                    filled += 1;
                    if let Err(fault) = self.value(&mut field.column, field.required) {
                        return Err(fault.in_field(&field.name));
                    }
                }
                None => self.skip_value()?,
            }
            if self.peek() == Some(b'}') {
                self.pos += 1;
                break;
            }
        }
        self.depth -= 1;
        if filled < object.fields.len() {
            for field in &mut object.fields {
                if field.filled == instance {
                    continue;
                }
                if field.required {
                    return Err(required("nothing").in_field(&field.name));
                }
                field.column.push_null();
            }
        }
        object.rows += 1;
        Ok(())
    }

    /// True if these bytes stand here and a value begins behind them. Glue that was learned from fewer blanks is a
    /// beginning of what stands here, not all of it.
    #[inline]
    fn follows(&self, glue: &[u8]) -> bool {
        matches_at(self.bytes, self.pos, glue)
            && self.bytes.get(self.pos + glue.len()).is_some_and(|next| *next > b' ')
    }

    /// Moves to the next value of an object and tells its field, or past the closing brace. The reader stands on the
    /// opening brace (step 0) or after a value.
    #[inline(never)]
    fn next_key(&mut self, object: &mut Object, step: usize) -> Parse<Option<usize>> {
        let start = self.pos;
        self.blanks();
        let first = step == 0;
        match self.peek() {
            Some(b'{') if first => self.pos += 1,
            Some(b',') if !first => self.pos += 1,
            Some(b'}') if !first => {
                self.pos += 1;
                return Ok(None);
            }
            _ => return Err(self.unexpected("`,` or `}` after a value")),
        }
        self.blanks();
        match self.peek() {
            Some(b'"') => {}
            Some(b'}') if first => {
                self.pos += 1;
                return Ok(None);
            }
            _ => return Err(self.unexpected("a key in double quotes")),
        }
        let key_start = self.pos;
        let key = self.string_of_any_length()?;
        let field = object.find(key.bytes(self.scratch)).unwrap_or(UNKNOWN);
        self.check_name(self.pos - key_start)?;
        self.colon()?;
        learn(&mut object.glue, step, self.bytes.get(start..self.pos).unwrap_or_default(), field);
        Ok(Some(field))
    }
}

#[cold]
pub(super) fn duplicate() -> Box<Fault> {
    Fault::new(code::DUPLICATE_KEY, "expected each key once, found it twice")
}

#[cold]
pub(super) fn required(found: &str) -> Box<Fault> {
    Fault::new(code::REQUIRED, format!("expected a value (NOT NULL), found {found}"))
}
