//! The rows of an epoch that may meet: those that came, and of their keys those that are held.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type};
use forebay_core::Result;

use super::pairs::{Rows, Which};
use super::side::Side;
use crate::operators::groups::take_all;
use crate::operators::keys::Interner;
use crate::operators::{broken, misplaced};
use crate::state::{Slot, Table};

/// How many numbers are looked up at once.
const LOOKED_UP: usize = 1 << 14;

/// Bytes of keys after which no more are: each number is looked up with a copy of its key, which may be as long as a record.
const LOOKED_UP_BYTES: usize = 16 << 20;

/// The keys of an epoch's rows, each once.
pub(super) struct Keys {
    pub columns: Vec<ArrayRef>,
    pub len: usize,
}

impl Keys {
    /// Bytes of a key; of what is no text or bytes, an even share.
    fn bytes(&self, key: usize) -> usize {
        let of = |column: &ArrayRef| match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value_length(key) as usize,
            DataType::Binary => column.as_binary::<i32>().value_length(key) as usize,
            // The length stands in a view's first four bytes.
            DataType::Utf8View => column.as_string_view().views()[key] as u32 as usize,
            DataType::BinaryView => column.as_binary_view().views()[key] as u32 as usize,
            _ => column.get_array_memory_size() / self.len.max(1),
        };
        self.columns.iter().map(of).sum()
    }
}

/// Numbers of rows that are looked up together, with the places of their keys.
#[derive(Default)]
struct Asked {
    places: Vec<u32>,
    numbers: Vec<i64>,
    bytes: usize,
}

impl Asked {
    /// Takes the first of these numbers of a key that takes `each` bytes, as many as there is room for, one at least; where
    /// the others begin.
    fn take(&mut self, key: usize, numbers: Range<i64>, each: usize) -> i64 {
        let of_bytes = LOOKED_UP_BYTES.saturating_sub(self.bytes) / each.max(1);
        let room = of_bytes.min(LOOKED_UP - self.places.len()).max(1);
        let end = numbers.end.min(numbers.start + room as i64);
        let taken = numbers.start..end;
        self.bytes += each * taken.clone().count();
        self.places.extend(taken.clone().map(|_| key as u32));
        self.numbers.extend(taken);
        end
    }

    fn is_full(&self) -> bool {
        self.places.len() >= LOOKED_UP || self.bytes >= LOOKED_UP_BYTES
    }
}

/// Rows that came, of all lanes.
pub(super) struct Came {
    pub len: usize,
    /// The number of each row's key among those of the epoch.
    pub key: Vec<u32>,
    pub keys: Vec<ArrayRef>,
    pub expires: Int64Array,
    pub may_meet: BooleanBuffer,
    pub columns: Vec<ArrayRef>,
    /// Whether each row has met another.
    pub met: Vec<bool>,
    /// The rows that may meet another by key: of each key where its rows begin in `order`.
    starts: Vec<u32>,
    order: Vec<u32>,
}

impl Came {
    pub fn new(side: &Side, partials: &[RecordBatch], interner: &mut Interner) -> Result<Self> {
        let all = match partials {
            [one] => one.clone(),
            many => concat_batches(&side.came, many).map_err(broken)?,
        };
        let (keys, rest) = all.columns().split_at(side.keys);
        let [expires, may_meet, columns @ ..] = rest else { return Err(misplaced()) };
        let len = all.num_rows();
        let key = match len {
            0 => Vec::new(),
            _ => interner.intern(keys, len)?.0.iter().map(|key| *key as u32).collect(),
        };
        Ok(Self {
            len,
            key,
            keys: keys.to_vec(),
            expires: expires.as_primitive_opt::<Int64Type>().ok_or_else(misplaced)?.clone(),
            may_meet: may_meet.as_boolean_opt().ok_or_else(misplaced)?.values().clone(),
            columns: columns.to_vec(),
            met: vec![false; len],
            starts: Vec::new(),
            order: Vec::new(),
        })
    }

    /// Puts the rows that may meet another in the order of so many keys.
    pub fn by_key(&mut self, keys: usize) {
        let mut starts = vec![0_u32; keys + 1];
        for row in self.may_meet.set_indices() {
            starts[self.key[row] as usize + 1] += 1;
        }
        for key in 0..keys {
            starts[key + 1] += starts[key];
        }
        let (mut places, mut order) = (starts.clone(), vec![0; self.may_meet.count_set_bits()]);
        for row in self.may_meet.set_indices() {
            let place = &mut places[self.key[row] as usize];
            order[*place as usize] = row as u32;
            *place += 1;
        }
        (self.starts, self.order) = (starts, order);
    }

    /// True if a row of this key may meet another.
    pub fn has(&self, key: usize) -> bool {
        self.starts[key] < self.starts[key + 1]
    }

    /// These rows, or those that are held.
    pub fn or_held<'a>(
        &'a mut self,
        held: &'a mut Held,
        table: &'a Table,
        has_flag: bool,
        which: Which,
    ) -> Rows<'a> {
        match which {
            Which::Came => Rows::Came {
                columns: &self.columns,
                key: &self.key,
                may_meet: &self.may_meet,
                starts: &self.starts,
                order: &self.order,
                met: &mut self.met,
            },
            Which::Held => Rows::Held {
                table,
                slots: &held.slots,
                first_column: usize::from(has_flag),
                starts: &held.starts,
                met: &mut held.met,
            },
        }
    }
}

/// Which numbers the rows of a key have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// None is below it.
    pub first: i64,
    /// None has it, or is above it.
    pub next: i64,
    /// When the last of the rows is forgotten.
    pub expires: i64,
    /// Rows below this number are forgotten by `until`.
    pub mark: i64,
    pub until: i64,
}

impl Head {
    /// Lets go of numbers whose rows are gone at `evict`, for whoever comes upon this key after a long time.
    pub fn advance(&mut self, evict: i64) {
        if self.until <= evict {
            self.first = self.first.max(self.mark);
            (self.mark, self.until) = (self.next, self.expires);
        }
    }
}

/// Rows that are held of keys that came, by key and number.
pub(super) struct Held {
    /// Of each key, whether its rows are here or not.
    pub heads: Vec<Head>,
    /// Of each key whether its rows are here.
    pub looked_up: Vec<bool>,
    pub slots: Vec<Slot>,
    /// Of each key where its rows begin in `slots`.
    pub starts: Vec<u32>,
    /// Of each key the least number that a row has.
    pub least: Vec<i64>,
    /// Whether each row has met another in this epoch.
    pub met: Vec<bool>,
}

impl Held {
    /// Of rows and heads of a side. The heads are those of all keys, the rows those of the keys that are wanted.
    pub fn new((rows, heads): (&Table, &Table), keys: &Keys, wanted: impl Fn(usize) -> bool) -> Result<Self> {
        let heads = find_heads(heads, keys)?;
        let mut held = Self {
            slots: Vec::new(),
            looked_up: (0..keys.len).map(wanted).collect(),
            starts: vec![0; keys.len + 1],
            least: heads.iter().map(|head| head.next).collect(),
            met: Vec::new(),
            heads,
        };
        let mut asked = Asked::default();
        for key in (0..keys.len).filter(|key| held.looked_up[*key]).collect::<Vec<_>>() {
            let (head, each) = (held.heads[key], keys.bytes(key));
            let mut number = head.first;
            while number < head.next {
                number = asked.take(key, number..head.next, each);
                if asked.is_full() {
                    held.look_up(rows, keys, std::mem::take(&mut asked))?;
                }
            }
        }
        held.look_up(rows, keys, asked)?;
        for key in 0..keys.len {
            held.starts[key + 1] += held.starts[key];
        }
        held.met = vec![false; held.slots.len()];
        Ok(held)
    }

    /// The rows of a key.
    pub fn of(&self, key: usize) -> Range<usize> {
        self.starts[key] as usize..self.starts[key + 1] as usize
    }

    fn look_up(&mut self, rows: &Table, keys: &Keys, asked: Asked) -> Result<()> {
        let Asked { places, numbers, .. } = asked;
        if places.is_empty() {
            return Ok(());
        }
        let places = UInt32Array::from(places);
        let mut columns = take_all(&keys.columns, &places)?;
        columns.push(std::sync::Arc::new(Int64Array::from(numbers.clone())));
        let found = rows.find(&rows.encode(&columns)?);
        for ((key, number), slot) in places.values().iter().zip(numbers).zip(found) {
            let Some(slot) = slot else { continue };
            let key = *key as usize;
            self.slots.push(slot);
            self.starts[key + 1] += 1;
            self.least[key] = self.least[key].min(number);
        }
        Ok(())
    }
}

fn find_heads(heads: &Table, keys: &Keys) -> Result<Vec<Head>> {
    let none = Head { first: 0, next: 0, expires: i64::MIN, mark: 0, until: i64::MIN };
    let mut all = vec![none; keys.len];
    if heads.is_empty() || keys.len == 0 {
        return Ok(all);
    }
    let found = heads.find(&heads.encode(&keys.columns)?);
    let (places, slots): (Vec<usize>, Vec<Slot>) =
        found.iter().enumerate().filter_map(|(key, slot)| Some((key, (*slot)?))).unzip();
    let bounds = heads.values(&slots)?;
    let [firsts, nexts, marks, untils] = bounds.as_slice() else { return Err(misplaced()) };
    let numbers = |column: &ArrayRef| column.as_primitive_opt::<Int64Type>().cloned().ok_or_else(misplaced);
    let (firsts, nexts, marks, untils) =
        (numbers(firsts)?, numbers(nexts)?, numbers(marks)?, numbers(untils)?);
    for (index, (key, slot)) in places.into_iter().zip(slots).enumerate() {
        all[key] = Head {
            first: firsts.value(index),
            next: nexts.value(index),
            expires: heads.expires(slot),
            mark: marks.value(index),
            until: untils.value(index),
        };
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{StringArray, StringViewArray};

    use super::*;

    #[test]
    fn look_ups_are_bounded_in_rows_and_in_bytes() {
        for (each, expected) in [(0, LOOKED_UP), (8, LOOKED_UP), (1 << 20, 16), (3 << 20, 6), (64 << 20, 1)] {
            let (mut asked, mut number) = (Asked::default(), 5);
            while !asked.is_full() {
                let end = asked.take(3, number..1 << 20, each);
                assert!(end > number, "it would not end");
                number = end;
            }
            assert_eq!(asked.places.len(), expected, "keys of {each} bytes");
            assert_eq!((asked.numbers[0], asked.numbers.len(), number), (5, expected, 5 + expected as i64));
        }
    }

    #[test]
    fn a_long_key_counts_by_its_own_bytes() {
        let texts = ["x".to_owned(), "y".repeat(1 << 20)];
        let columns: [ArrayRef; 2] = [
            Arc::new(StringArray::from_iter_values(&texts)),
            Arc::new(StringViewArray::from_iter_values(&texts)),
        ];
        for column in columns {
            let keys = Keys { columns: vec![column, Arc::new(Int64Array::from(vec![1, 2]))], len: 2 };
            let (short, long) = (keys.bytes(0), keys.bytes(1));
            assert!(
                (1..1_000).contains(&short) && ((1 << 20)..(1 << 20) + 1_000).contains(&long),
                "{short} {long}"
            );
        }
    }
}
