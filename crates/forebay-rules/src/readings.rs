//! Whose rows a batch has, found out once for all rules that get the same columns.
//!
//! Rules over one source take their columns of one batch, so a hundred of them hold the same array of keys. Who is the first to look at
//! it makes texts of the keys and gives each a number; the others find that by the array itself. What must stay true: what is remembered
//! of an array is let go with it, and a number means the same key in all batches that have the same [`Names`].

use std::sync::{Arc, Weak};

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use forebay_core::Result;
use parking_lot::{Mutex, RwLock};

use crate::columns::{missing, unfit};
use crate::key::{self, Keys};

/// Most keys that are numbered together; what comes beyond is numbered anew.
const MOST: usize = 1 << 18;

/// A shared handle; clones remember the same.
#[derive(Clone, Debug, Default)]
pub struct Readings(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    names: Arc<Names>,
    keys: Vec<(Remembered, Arc<KeyColumn>)>,
    places: Vec<([Remembered; 3], Arc<Places>)>,
}

/// An array that others hold.
type Remembered = Weak<dyn Array>;

/// Numbers of keys.
#[derive(Debug, Default)]
pub(crate) struct Names(RwLock<Keys>);

/// The keys of a batch, as the state holds them: none is NULL.
#[derive(Debug)]
pub(crate) struct KeyColumn {
    texts: StringArray,
    numbers: Vec<u32>,
    names: Arc<Names>,
}

/// Where the records of a batch were.
#[derive(Debug)]
pub(crate) struct Places {
    topic: StringArray,
    source: StringArray,
    partition: Int32Array,
    is_one: bool,
}

impl Readings {
    /// The keys of this column.
    ///
    /// # Errors
    /// If they are no texts and cannot be made such.
    pub(crate) fn keys(&self, column: &ArrayRef) -> Result<Arc<KeyColumn>> {
        let mut known = self.0.lock();
        let is_it = |(of, _): &&(Remembered, _)| is_of(of, column);
        if let Some((_, keys)) = known.keys.iter().find(is_it) {
            return Ok(Arc::clone(keys));
        }
        known.let_go();
        if known.names.0.read().len() > MOST {
            known.names = Arc::default();
        }
        let texts = key::column(&text(column)?);
        let numbers = {
            let mut names = known.names.0.write();
            texts.iter().map(|key| names.number(key.unwrap_or_default())).collect()
        };
        let keys = Arc::new(KeyColumn { texts, numbers, names: Arc::clone(&known.names) });
        known.keys.push((Arc::downgrade(column), Arc::clone(&keys)));
        Ok(keys)
    }

    /// Lets go of what is remembered of arrays that are gone, and of the numbers if nobody has one any more.
    pub(crate) fn tidy(&self) {
        let mut known = self.0.lock();
        known.let_go();
        if known.keys.is_empty() {
            *known = Known::default();
        }
    }

    /// The places in these columns: topic, source, partition.
    ///
    /// # Errors
    /// If they are not what an alert's query gives.
    pub(crate) fn places(&self, columns: [&ArrayRef; 3]) -> Result<Arc<Places>> {
        let mut known = self.0.lock();
        let is_it =
            |(of, _): &&([Remembered; 3], _)| of.iter().zip(columns).all(|(of, column)| is_of(of, column));
        if let Some((_, places)) = known.places.iter().find(is_it) {
            return Ok(Arc::clone(places));
        }
        known.let_go();
        let places = Arc::new(Places::of(columns)?);
        known.places.push((columns.map(Arc::downgrade), Arc::clone(&places)));
        Ok(places)
    }
}

impl Known {
    /// Lets go of what is remembered of arrays that are gone.
    fn let_go(&mut self) {
        self.keys.retain(|(of, _)| of.strong_count() > 0);
        self.places.retain(|(of, _)| of.iter().all(|of| of.strong_count() > 0));
    }
}

impl Names {
    /// Which of these keys have a number here, as a set of numbers.
    pub fn among<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Numbers {
        let names = self.0.read();
        let mut numbers = Numbers(vec![0; names.len().div_ceil(64)]);
        for number in keys.filter_map(|key| names.find(key)) {
            if let Some(bits) = numbers.0.get_mut(number as usize / 64) {
                *bits |= 1 << (number % 64);
            }
        }
        numbers
    }
}

/// A set of numbers, a bit for each.
#[derive(Debug)]
pub(crate) struct Numbers(Vec<u64>);

impl Numbers {
    pub fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|bits| bits >> (number % 64) & 1 != 0)
    }
}

impl KeyColumn {
    /// The key of a row.
    pub fn key(&self, row: usize) -> &str {
        self.texts.value(row)
    }

    /// The number of each row's key.
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// What the numbers mean.
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }
}

impl Places {
    fn of([topic, source, partition]: [&ArrayRef; 3]) -> Result<Self> {
        let (topic, source) = (text(topic)?, text(source)?);
        let partition = partition.as_primitive_opt::<Int32Type>().cloned().ok_or_else(missing)?;
        let is_one = is_all_alike(&source) && is_all_alike(&topic) && is_one_number(&partition);
        Ok(Self { topic, source, partition, is_one })
    }

    /// Where the record of a row was: source, topic, partition.
    pub fn partition(&self, row: usize) -> (&str, &str, i32) {
        (self.source.value(row), self.topic.value(row), self.partition.value(row))
    }

    /// How far the rows go on from this one that come from its partition.
    pub fn same_partition(&self, from: usize) -> usize {
        if self.is_one {
            return self.partition.len();
        }
        let place = self.partition(from);
        (from + 1..self.partition.len())
            .find(|row| self.partition(*row) != place)
            .unwrap_or(self.partition.len())
    }
}

/// True if it is the array that was remembered. The memory of one that is gone is nobody else's as long as it is remembered.
fn is_of(known: &Remembered, column: &ArrayRef) -> bool {
    std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(column))
}

fn text(column: &ArrayRef) -> Result<StringArray> {
    let texts = cast(column, &DataType::Utf8).map_err(unfit)?;
    texts.as_string_opt().cloned().ok_or_else(missing)
}

/// True if all texts are the first one, as a look at their bytes tells.
fn is_all_alike(texts: &StringArray) -> bool {
    let (ends, bytes) = (texts.value_offsets(), texts.value_data());
    let (Some(first), Some(last)) = (ends.first(), ends.last()) else { return true };
    let length = ends.get(1).map_or(0, |end| end - first);
    let of = |from: i32, to: i32| bytes.get(from as usize..to as usize);
    texts.null_count() == 0
        && ends.windows(2).all(|pair| pair[1] - pair[0] == length)
        && of(*first, last - length) == of(first + length, *last)
}

fn is_one_number(numbers: &Int32Array) -> bool {
    let first = numbers.values().first();
    numbers.null_count() == 0 && numbers.values().iter().all(|number| Some(number) == first)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringViewArray};

    use super::*;

    fn column(keys: &[Option<&str>]) -> ArrayRef {
        Arc::new(keys.iter().copied().collect::<StringViewArray>())
    }

    #[test]
    fn an_array_is_read_once_and_let_go_with_its_owner() {
        let readings = Readings::default();
        let (one, other) =
            (column(&[Some("a"), None, Some("b"), Some("a")]), column(&[Some("b"), Some("c")]));
        let (first, again) = (readings.keys(&one).unwrap(), readings.clone().keys(&one).unwrap());
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!((0..4).map(|row| first.key(row)).collect::<Vec<_>>(), ["a", "␀", "b", "a"]);
        assert_eq!(first.numbers(), [0, 1, 2, 0]);
        assert_eq!(readings.keys(&other).unwrap().numbers(), [2, 3], "the same key has the same number");
        drop((one, first, again));
        readings.keys(&column(&[Some("d")])).unwrap();
        assert_eq!(readings.0.lock().keys.len(), 2, "the first is gone");
    }

    #[test]
    fn nothing_is_left_of_rows_that_are_gone() {
        let readings = Readings::default();
        let (one, other) = (column(&[Some("a")]), column(&[Some("b")]));
        readings.keys(&one).unwrap();
        readings.keys(&other).unwrap();
        drop(one);
        readings.tidy();
        assert_eq!(readings.keys(&other).unwrap().numbers(), [1], "somebody has numbers still");
        drop(other);
        readings.tidy();
        assert_eq!(readings.keys(&column(&[Some("c")])).unwrap().numbers(), [0]);
    }

    #[test]
    fn arrays_that_look_alike_are_two() {
        let readings = Readings::default();
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7, 7]));
        let whole = readings.keys(&numbers).unwrap();
        let part = readings.keys(&numbers.slice(1, 1)).unwrap();
        assert_eq!((whole.numbers(), part.numbers()), (&[0, 0][..], &[0][..]));
        assert_eq!(part.key(0), "7");
    }

    #[test]
    fn keys_without_a_number_are_in_no_set() {
        let readings = Readings::default();
        let many: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        let all = column(&many.iter().map(|key| Some(key.as_str())).collect::<Vec<_>>());
        let keys = readings.keys(&all).unwrap();
        let among = keys.names().among(["63", "64", "199", "200", ""].into_iter());
        let found: Vec<u32> = keys.numbers().iter().copied().filter(|number| among.has(*number)).collect();
        assert_eq!(found, [63, 64, 199]);
        assert!(!among.has(100_000));
    }

    #[test]
    fn rows_of_a_batch_may_be_of_several_places() {
        let texts = |texts: &[&str]| column(&texts.iter().map(|text| Some(*text)).collect::<Vec<_>>());
        let (topic, source) = (texts(&["t", "t", "t", "u"]), texts(&["s", "s", "s", "s"]));
        let partition: ArrayRef = Arc::new(Int32Array::from(vec![0, 0, 1, 1]));
        let readings = Readings::default();
        let places = readings.places([&topic, &source, &partition]).unwrap();
        assert_eq!([0, 1, 2, 3].map(|from| places.same_partition(from)), [2, 2, 3, 4]);
        assert_eq!(places.partition(3), ("s", "u", 1));
        let one = readings.places([&topic.slice(0, 2), &source.slice(0, 2), &partition.slice(0, 2)]).unwrap();
        assert_eq!(one.same_partition(0), 2);
    }
}
