//! Objects into structs: which key comes next, whether it was there before, and what is missing at the end.
//!
//! Keys are guessed by [`super::glue`]; the long way is here. Each instance of an object has a number, and each field
//! remembers the instance that filled it last: a field that is filled twice is a duplicate, one that is not filled at
//! the end is missing, and nothing needs to be cleared in between.

use super::column::Object;
use super::fault::{Fault, Parse, code};
use super::glue::UNKNOWN;
use super::reader::Reader;

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
        let mut learning = false;
        loop {
            let field = match object.glue.guess(step, self.bytes, self.pos) {
                Some((length, field)) => {
                    self.pos += length;
                    field
                }
                None => match self.next_key(object, step, &mut learning)? {
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

    /// Moves to the next value of an object and tells its field, or past the closing brace. The reader stands on the
    /// opening brace (step 0) or after a value. `learning` is whether this object was new before.
    #[inline(never)]
    fn next_key(&mut self, object: &mut Object, step: usize, learning: &mut bool) -> Parse<Option<usize>> {
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
        if !*learning {
            *learning = true;
            object.glue.turn();
        }
        object.glue.learn(step, self.bytes.get(start..self.pos).unwrap_or_default(), field);
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
