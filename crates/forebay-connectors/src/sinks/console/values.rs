//! How a value is written in a cell, where Spark writes another text than Arrow does.
//!
//! | value | Spark | Arrow |
//! |---|---|---|
//! | a map | `{x -> 1}` | `{x: 1}` |
//! | a struct | `{1, x}` | `{id: 1, name: x}` |
//! | half a second | `20.5` | `20.500` |
//! | a number beyond all others | `Infinity` | `inf` |
//!
//! What must stay true: a value is written alike in a column of its own and inside of an array, a map or a struct.

use std::fmt::Write;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, MapArray, StructArray};
use arrow::datatypes::{ArrowNativeType, DataType, Field, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::{
    ArrayFormatter, ArrayFormatterFactory, DisplayIndex, FormatOptions, FormatResult,
};

/// What writes the values of a column.
///
/// # Errors
/// A type that Arrow has no text for.
pub(super) fn formatter(column: &dyn Array) -> Result<ArrayFormatter<'_>, ArrowError> {
    const SECONDS: &str = "%Y-%m-%d %H:%M:%S%.f";
    let options = FormatOptions::default()
        .with_null("NULL")
        .with_timestamp_format(Some(SECONDS))
        .with_timestamp_tz_format(Some(SECONDS))
        .with_formatter_factory(Some(&AsSpark));
    of(column, &options)
}

/// As Arrow asks for what stands inside of others: ours, else its own.
fn of<'a>(column: &'a dyn Array, options: &FormatOptions<'a>) -> Result<ArrayFormatter<'a>, ArrowError> {
    match AsSpark.create_array_formatter(column, options, None)? {
        Some(formatter) => Ok(formatter),
        None => ArrayFormatter::try_new(column, options),
    }
}

/// Spark's texts for the types whose texts differ.
#[derive(Debug)]
struct AsSpark;

impl ArrayFormatterFactory for AsSpark {
    fn create_array_formatter<'f>(
        &self,
        array: &'f dyn Array,
        options: &FormatOptions<'f>,
        _: Option<&'f Field>,
    ) -> Result<Option<ArrayFormatter<'f>>, ArrowError> {
        let display: Box<dyn DisplayIndex + 'f> = match array.data_type() {
            DataType::Float64 => Box::new(Float::new::<Float64Type>(array, options)?),
            DataType::Float32 => Box::new(Float::new::<Float32Type>(array, options)?),
            DataType::Timestamp(..) => Box::new(Time(ArrayFormatter::try_new(array, options)?)),
            DataType::Map(..) => Box::new(Pairs::new(array.as_map(), options)?),
            DataType::Struct(_) => Box::new(Fields::new(array.as_struct(), options)?),
            _ => return Ok(None),
        };
        Ok(Some(ArrayFormatter::new(display, options.safe())))
    }
}

/// A column of floating point numbers: infinity as Spark and Java write it.
struct Float<'a> {
    /// The infinity that stands in a row.
    infinity: Box<dyn Fn(usize) -> Option<&'static str> + 'a>,
    finite: ArrayFormatter<'a>,
}

impl<'a> Float<'a> {
    fn new<T: ArrowPrimitiveType>(
        array: &'a dyn Array,
        options: &FormatOptions<'a>,
    ) -> Result<Self, ArrowError>
    where
        T::Native: Into<f64>,
    {
        let numbers = array.as_primitive::<T>();
        let infinity = move |row| {
            let number: f64 = if numbers.is_null(row) { 0.0 } else { numbers.value(row).into() };
            number.is_infinite().then_some(if number > 0.0 { "Infinity" } else { "-Infinity" })
        };
        Ok(Self { infinity: Box::new(infinity), finite: ArrayFormatter::try_new(array, options)? })
    }
}

impl DisplayIndex for Float<'_> {
    fn write(&self, row: usize, out: &mut dyn Write) -> FormatResult {
        match (self.infinity)(row) {
            Some(word) => Ok(out.write_str(word)?),
            None => Ok(self.finite.value(row).write(out)?),
        }
    }
}

/// A column of times, their fractions without the zeros at the end.
struct Time<'a>(ArrayFormatter<'a>);

impl DisplayIndex for Time<'_> {
    fn write(&self, row: usize, out: &mut dyn Write) -> FormatResult {
        let text = self.0.value(row).try_to_string()?;
        let shortest =
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        Ok(out.write_str(shortest)?)
    }
}

/// A column of maps: `{x -> 1, y -> NULL}`.
struct Pairs<'a> {
    maps: &'a MapArray,
    keys: ArrayFormatter<'a>,
    values: ArrayFormatter<'a>,
    null: &'a str,
}

impl<'a> Pairs<'a> {
    fn new(maps: &'a MapArray, options: &FormatOptions<'a>) -> Result<Self, ArrowError> {
        let (keys, values) = (of(maps.keys(), options)?, of(maps.values(), options)?);
        Ok(Self { maps, keys, values, null: options.null() })
    }
}

impl DisplayIndex for Pairs<'_> {
    fn write(&self, row: usize, out: &mut dyn Write) -> FormatResult {
        if self.maps.is_null(row) {
            return Ok(out.write_str(self.null)?);
        }
        let offset = |at: usize| self.maps.value_offsets().get(at).map_or(0, |offset| offset.as_usize());
        out.write_char('{')?;
        for (number, entry) in (offset(row)..offset(row + 1)).enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(out, "{comma}{} -> {}", self.keys.value(entry), self.values.value(entry))?;
        }
        Ok(out.write_char('}')?)
    }
}

/// A column of structs: `{1, NULL}`.
struct Fields<'a> {
    structs: &'a StructArray,
    values: Vec<ArrayFormatter<'a>>,
    null: &'a str,
}

impl<'a> Fields<'a> {
    fn new(structs: &'a StructArray, options: &FormatOptions<'a>) -> Result<Self, ArrowError> {
        let values = structs.columns().iter().map(|column| of(column.as_ref(), options));
        Ok(Self { structs, values: values.collect::<Result<_, _>>()?, null: options.null() })
    }
}

impl DisplayIndex for Fields<'_> {
    fn write(&self, row: usize, out: &mut dyn Write) -> FormatResult {
        if self.structs.is_null(row) {
            return Ok(out.write_str(self.null)?);
        }
        out.write_char('{')?;
        for (number, value) in self.values.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(out, "{comma}{}", value.value(row))?;
        }
        Ok(out.write_char('}')?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Float64Array, Float64Builder, ListArray, MapBuilder, StringArray, StringBuilder,
        StructArray, TimestampMicrosecondArray,
    };
    use arrow::buffer::OffsetBuffer;

    use super::*;

    fn texts(column: &dyn Array) -> Vec<String> {
        let cells = formatter(column).unwrap();
        (0..column.len()).map(|row| cells.value(row).try_to_string().unwrap()).collect()
    }

    /// `{x -> 1.5, y -> NULL}`, an empty one, NULL, and one of infinity.
    fn maps() -> MapArray {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
        for (entries, is_there) in [
            (vec![("x", Some(1.5)), ("y", None)], true),
            (vec![], true),
            (vec![], false),
            (vec![("z", Some(f64::INFINITY))], true),
        ] {
            for (key, value) in entries {
                maps.keys().append_value(key);
                maps.values().append_option(value);
            }
            maps.append(is_there).unwrap();
        }
        maps.finish()
    }

    #[test]
    fn maps_are_shown_as_in_spark() {
        let expected = ["{x -> 1.5, y -> NULL}", "{}", "NULL", "{z -> Infinity}"];
        assert_eq!(texts(&maps()), expected);
        assert_eq!(texts(&maps().slice(2, 2)), expected[2..], "a part of a column");
    }

    #[test]
    fn maps_inside_of_others_too() {
        let maps: ArrayRef = Arc::new(maps());
        let item = Arc::new(Field::new_list_field(maps.data_type().clone(), true));
        let lengths = OffsetBuffer::from_lengths([2, 2]);
        let lists = ListArray::new(Arc::clone(&item), lengths, Arc::clone(&maps), None);
        assert_eq!(texts(&lists), ["[{x -> 1.5, y -> NULL}, {}]", "[NULL, {z -> Infinity}]"]);

        let structs = StructArray::from(vec![(item, Arc::clone(&maps))]);
        assert_eq!(texts(&structs.slice(0, 1)), ["{{x -> 1.5, y -> NULL}}"]);

        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let key = Arc::new(Field::new("keys", DataType::Utf8, false));
        let value = Arc::new(Field::new("values", maps.data_type().clone(), true));
        let entries = StructArray::from(vec![(key, names), (value, maps.slice(0, 2))]);
        let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
        let nested = MapArray::new(field, OffsetBuffer::from_lengths([2]), entries, None, false);
        assert_eq!(texts(&nested), ["{a -> {x -> 1.5, y -> NULL}, b -> {}}"]);
    }

    #[test]
    fn times_have_no_zeros_at_their_end_wherever_they_stand() {
        let times = TimestampMicrosecondArray::from(vec![Some(1_700_000_000_500_000), Some(0), None]);
        let expected = ["2023-11-14 22:13:20.5", "1970-01-01 00:00:00", "NULL"];
        assert_eq!(texts(&times), expected);
        let item = Arc::new(Field::new_list_field(times.data_type().clone(), true));
        let list = ListArray::new(item, OffsetBuffer::from_lengths([3]), Arc::new(times), None);
        assert_eq!(texts(&list), [format!("[{}]", expected.join(", "))]);
    }

    #[test]
    fn whole_numbers_of_a_double_keep_their_point() {
        assert_eq!(texts(&Float64Array::from(vec![70.0, f64::NAN])), ["70.0", "NaN"]);
    }
}
