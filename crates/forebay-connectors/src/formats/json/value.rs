//! One value into one column, by the column's type.
//!
//! The rule of this file: a value has the JSON kind that its column asks for, or it is a fault. No string becomes a
//! number, no number a string, no boolean a 1: whoever wants that asks for Spark's modes. `null` is NULL where the
//! schema allows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::column::{Column, List, Map, TypeName, VarBytes};
use super::decimal;
use super::fault::{Fault, Parse, code};
use super::object::{duplicate, required};
use super::reader::Reader;
use super::time::{TimeFault, Times};

/// Maps of at most this many entries compare their keys pairwise.
const PAIRWISE: usize = 16;

impl<'a> Reader<'a> {
    /// Reads a value into one row of a column. After an error the column may hold a part of it.
    #[inline]
    pub(super) fn value(&mut self, column: &mut Column, not_null: bool) -> Parse {
        match (self.peek(), column) {
            (Some(b'-' | b'0'..=b'9'), column) => self.numeric(column),
            (Some(b'"'), Column::Text(data)) => self.text(data),
            (_, column) => self.other_value(column, not_null),
        }
    }

    #[inline]
    fn numeric(&mut self, column: &mut Column) -> Parse {
        match column {
            Column::Float64(data) => data.push(self.double()?),
            Column::Int32(data) => {
                data.push(self.integer(i64::from(i32::MIN), i64::from(i32::MAX), "INT")? as i32);
            }
            Column::Int64(data) => data.push(self.integer(i64::MIN, i64::MAX, "BIGINT")?),
            column => return self.rare_numeric(column),
        }
        Ok(())
    }

    fn rare_numeric(&mut self, column: &mut Column) -> Parse {
        match column {
            Column::Float32(data) => data.push(self.float()?),
            Column::Int16(data) => {
                data.push(self.integer(i64::from(i16::MIN), i64::from(i16::MAX), "SMALLINT")? as i16);
            }
            Column::Int8(data) => {
                data.push(self.integer(i64::from(i8::MIN), i64::from(i8::MAX), "TINYINT")? as i8)
            }
            Column::Decimal { data, precision, scale } => {
                let number = self.number()?;
                match decimal::read(number.text, *precision, *scale) {
                    Some(value) => data.push(value),
                    None => {
                        let kind = format!("DECIMAL({precision},{scale})");
                        let why =
                            format!("expected {kind}, found a number with more digits before the point");
                        return Err(Fault::new(code::RANGE, why));
                    }
                }
            }
            column => return Err(self.mismatch(&TypeName(column).to_string())),
        }
        Ok(())
    }

    #[inline]
    fn text(&mut self, data: &mut VarBytes) -> Parse {
        self.pos += 1;
        let start = self.pos;
        self.plain();
        if self.peek() == Some(b'"') {
            let piece = self.bytes.get(start..self.pos).unwrap_or_default();
            self.pos += 1;
            self.check_length(piece.len())?;
            return data.push(piece);
        }
        let row = data.open_row();
        let before = row.len();
        self.rest_of_string(start, row)?;
        self.check_length(row.len() - before)?;
        data.close_row()
    }

    fn other_value(&mut self, column: &mut Column, not_null: bool) -> Parse {
        match (self.peek(), column) {
            (Some(b'n'), column) => {
                self.literal("null")?;
                if not_null {
                    return Err(required("null"));
                }
                column.push_null();
                Ok(())
            }
            (Some(b't'), Column::Boolean(data)) => {
                self.literal("true")?;
                data.push(true);
                Ok(())
            }
            (Some(b'f'), Column::Boolean(data)) => {
                self.literal("false")?;
                data.push(false);
                Ok(())
            }
            (Some(b'{'), Column::Struct(object)) => self.object(object),
            (Some(b'['), Column::List(list)) => self.list(list),
            (Some(b'{'), Column::Map(map)) => self.map(map),
            (Some(b'"'), Column::Timestamp { data, zoned }) => {
                let zoned = *zoned;
                data.push(self.time(
                    |times, text| times.timestamp(text, zoned),
                    if zoned { "TIMESTAMP" } else { "TIMESTAMP_NTZ" },
                )?);
                Ok(())
            }
            (Some(b'"'), Column::Date(data)) => {
                data.push(self.time(|times, text| times.date(text), "DATE")?);
                Ok(())
            }
            (Some(b'"'), Column::Binary(data)) => {
                let text = self.string()?;
                if STANDARD.decode_vec(text.bytes(self.scratch), data.open_row()).is_err() {
                    return Err(Fault::new(
                        code::FORMAT,
                        "expected BINARY in base64 with padding, found other text",
                    ));
                }
                data.close_row()
            }
            (_, column) => Err(self.mismatch(&TypeName(column).to_string())),
        }
    }

    fn time<T>(&mut self, read: impl Fn(&Times, &[u8]) -> Result<T, TimeFault>, kind: &str) -> Parse<T> {
        let text = self.string()?;
        read(&self.rules.times, text.bytes(self.scratch)).map_err(|fault| match fault {
            TimeFault::Format => {
                let format = self.rules.times.format_of(kind);
                let format = format.map_or_else(String::new, |format| format!(" as `{format}`"));
                Fault::new(code::FORMAT, format!("expected {kind}{format}, found text of another format"))
            }
            TimeFault::Range => Fault::new(
                code::RANGE,
                format!("expected {kind}, found a day, a time or a zone that does not exist"),
            ),
        })
    }

    fn list(&mut self, list: &mut List) -> Parse {
        self.open()?;
        self.blanks();
        let mut count = 0;
        if self.peek() == Some(b']') {
            self.pos += 1;
        } else {
            loop {
                if count == self.rules.max_elements {
                    return Err(self.too_many("elements"));
                }
                if let Err(fault) = self.value(&mut list.element, list.element_required) {
                    return Err(fault.in_element(count));
                }
                count += 1;
                self.blanks();
                match self.peek() {
                    Some(b',') => self.pos += 1,
                    Some(b']') => {
                        self.pos += 1;
                        break;
                    }
                    _ => return Err(self.unexpected("`,` or `]` after an element")),
                }
                self.blanks();
            }
        }
        self.depth -= 1;
        list.close_row()
    }

    fn map(&mut self, map: &mut Map) -> Parse {
        let first = map.end();
        self.open()?;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.pos += 1;
        } else {
            loop {
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected("a key in double quotes"));
                }
                if map.keys.rows() - first == self.rules.max_elements {
                    return Err(self.too_many("entries"));
                }
                let key = self.string()?;
                self.check_name(key.bytes(self.scratch).len())?;
                map.keys.push(key.bytes(self.scratch))?;
                self.colon()?;
                if let Err(fault) = self.value(&mut map.value, map.value_required) {
                    let key = map.keys.get(map.keys.rows() - 1);
                    return Err(fault.in_field(&String::from_utf8_lossy(key)));
                }
                self.blanks();
                match self.peek() {
                    Some(b',') => self.pos += 1,
                    Some(b'}') => {
                        self.pos += 1;
                        break;
                    }
                    _ => return Err(self.unexpected("`,` or `}` after a value")),
                }
                self.blanks();
            }
        }
        self.depth -= 1;
        if let Some(twice) = repeated_key(map, first) {
            let key = map.keys.get(twice);
            return Err(duplicate().in_field(&String::from_utf8_lossy(key)));
        }
        map.close_row()
    }

    #[cold]
    fn too_many(&self, what: &str) -> Box<Fault> {
        let most = self.rules.max_elements;
        Fault::new(code::LIMIT, format!("expected at most {most} {what}, found more"))
    }
}

/// The row of a key that an earlier row from `first` on has too.
fn repeated_key(map: &Map, first: usize) -> Option<usize> {
    let rows = first..map.keys.rows();
    if rows.len() <= PAIRWISE {
        return rows
            .clone()
            .find(|row| (first..*row).any(|earlier| map.keys.get(earlier) == map.keys.get(*row)));
    }
    let mut sorted: Vec<usize> = rows.collect();
    sorted.sort_unstable_by(|a, b| map.keys.get(*a).cmp(map.keys.get(*b)).then(a.cmp(b)));
    sorted.windows(2).find_map(|pair| match pair {
        [a, b] if map.keys.get(*a) == map.keys.get(*b) => Some(*b),
        _ => None,
    })
}
