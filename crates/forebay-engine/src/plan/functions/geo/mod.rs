//! Places on earth: in an area or not, and how far from one to another.
//!
//! Names and meanings are PostGIS's and Sedona's, of the few functions that a rule over positions needs; `geo_distance` is
//! `st_distancesphere` of four numbers. A point is `st_point(longitude, latitude)`, or the two numbers in its place; an area is its text
//! (WKT), which is read once and kept with the plan. What must stay true: NULL, NaN and what lies beyond ±180° or ±90° is no place, and of
//! what is no place nothing is said: the result is NULL. So it is of a text from a column that is no area; one that is written out is refused.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use parking_lot::Mutex;

use self::area::{Area, Place};
use super::failed;

mod area;

/// The earth's mean radius R1 in metres (IUGG; Moritz, Geodetic Reference System 1980).
const RADIUS: f64 = 6_371_008.8;

/// Areas that a function remembers: those of one statement.
const MOST_AREAS: usize = 64;

pub(super) fn all() -> [ScalarUDF; 8] {
    let within = |name, area_is_first, least| ScalarUDF::from(Within::new(name, area_is_first, least));
    let distance = |name| ScalarUDF::from(Distance { name, signature: signature() });
    [
        ScalarUDF::from(Point { signature: signature() }),
        within("st_within", false, Place::Inside),
        within("st_coveredby", false, Place::Border),
        within("st_intersects", false, Place::Border),
        within("st_contains", true, Place::Inside),
        within("st_covers", true, Place::Border),
        distance("st_distancesphere"),
        distance("geo_distance"),
    ]
}

fn signature() -> Signature {
    Signature::user_defined(Volatility::Immutable)
}

fn point_fields() -> Fields {
    Fields::from(vec![Field::new("x", DataType::Float64, true), Field::new("y", DataType::Float64, true)])
}

fn point_type() -> DataType {
    DataType::Struct(point_fields())
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_null()
}

fn is_text(data_type: &DataType) -> bool {
    data_type.is_string() || data_type.is_null()
}

/// True for what stands for a point.
fn is_point(data_type: &DataType) -> bool {
    *data_type == point_type() || data_type.is_null()
}

/// `st_point(longitude, latitude)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Point {
    signature: Signature,
}

impl ScalarUDFImpl for Point {
    fn name(&self) -> &str {
        "st_point"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [x, y] if is_number(x) && is_number(y) => Ok(vec![DataType::Float64; 2]),
            _ => plan_err!("st_point takes two numbers: longitude and latitude in degrees"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(point_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = args.args.iter().map(|of| of.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new(point_fields(), columns, None)?)))
    }
}

/// Whether a point is in an area.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Within {
    name: &'static str,
    area_is_first: bool,
    /// True if the border belongs to the area.
    takes_border: bool,
    signature: Signature,
    read: Areas,
}

impl Within {
    fn new(name: &'static str, area_is_first: bool, least: Place) -> Self {
        let takes_border = least == Place::Border;
        Self { name, area_is_first, takes_border, signature: signature(), read: Areas::default() }
    }

    /// The area among the arguments, and the rest.
    fn parted<'a, T>(&self, args: &'a [T]) -> Result<(&'a T, &'a [T])> {
        let parts = if self.area_is_first { args.split_first() } else { args.split_last() };
        parts.map_or_else(|| failed(self.usage()), Ok)
    }

    fn usage(&self) -> String {
        let point = "a point (st_point(longitude, latitude), or the two numbers)";
        match self.area_is_first {
            true => format!("{} takes an area as a text and {point}", self.name),
            false => format!("{} takes {point} and an area as a text", self.name),
        }
    }

    fn is_in(&self, area: &Area, x: f64, y: f64) -> bool {
        match area.place(x, y) {
            Place::Inside => true,
            Place::Border => self.takes_border,
            Place::Outside => false,
        }
    }
}

impl ScalarUDFImpl for Within {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let point = match self.parted(types) {
            Ok((area, [point])) if is_text(area) && is_point(point) => vec![point_type()],
            Ok((area, [x, y])) if is_text(area) && is_number(x) && is_number(y) => vec![DataType::Float64; 2],
            _ => return plan_err!("{}", self.usage()),
        };
        let area = vec![DataType::Utf8View];
        Ok(if self.area_is_first { [area, point].concat() } else { [point, area].concat() })
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    /// An area that is written out is read when the statement is planned, so that it is refused there.
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let (area, _) = self.parted(args.scalar_arguments)?;
        if let Some(text) = area.and_then(|area| area.try_as_str().flatten()) {
            self.read.of(text)?;
        }
        Ok(Arc::new(Field::new(self.name, DataType::Boolean, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let (area, point) = self.parted(&args.args)?;
        let (xs, ys) = coordinates(point, rows)?;
        let places = xs.iter().zip(ys.iter()).map(|(x, y)| place_of(x?, y?));
        if let ColumnarValue::Scalar(area) = area {
            let Some(text) = area.try_as_str().flatten() else {
                return Ok(ColumnarValue::Array(Arc::new(BooleanArray::new_null(rows))));
            };
            let area = self.read.of(text)?;
            let inside: BooleanArray =
                places.map(|place| place.map(|(x, y)| self.is_in(&area, x, y))).collect();
            return Ok(ColumnarValue::Array(Arc::new(inside)));
        }
        // What a record says of an area is the record's: a text that is none gives NULL and ends nothing.
        let texts = cast(&area.to_array(rows)?, &DataType::Utf8View)?;
        let mut last: Option<(&str, Option<Arc<Area>>)> = None;
        let mut inside = Vec::with_capacity(rows);
        for (place, text) in places.zip(texts.as_string_view()) {
            let (Some((x, y)), Some(text)) = (place, text) else {
                inside.push(None);
                continue;
            };
            let area = match last.take() {
                Some((known, area)) if known == text => area,
                _ => self.read.of(text).ok(),
            };
            inside.push(area.as_ref().map(|area| self.is_in(area, x, y)));
            last = Some((text, area));
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(inside))))
    }
}

/// Areas that were read. They are no part of what the function is.
#[derive(Debug, Default)]
struct Areas(Mutex<Vec<(Box<str>, Arc<Area>)>>);

impl Areas {
    /// The area of a text.
    fn of(&self, text: &str) -> Result<Arc<Area>> {
        let mut known = self.0.lock();
        if let Some((_, area)) = known.iter().find(|(of, _)| **of == *text) {
            return Ok(Arc::clone(area));
        }
        let area = match text.parse::<Area>() {
            Ok(area) => Arc::new(area),
            Err(why) => return failed(format!("this is no area: {why}")),
        };
        if known.len() >= MOST_AREAS {
            known.remove(0);
        }
        known.push((text.into(), Arc::clone(&area)));
        Ok(area)
    }
}

impl PartialEq for Areas {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Areas {}

impl Hash for Areas {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// How far two points are from each other, in metres.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Distance {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Distance {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [one, other] if is_point(one) && is_point(other) => Ok(vec![point_type(); 2]),
            [a, b, c, d] if [a, b, c, d].into_iter().all(is_number) => Ok(vec![DataType::Float64; 4]),
            _ => plan_err!(
                "{} takes two points, st_point(longitude, latitude), or four numbers: longitude and latitude of each",
                self.name
            ),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (one, other) = args.args.split_at(args.args.len() / 2);
        let (xs, ys) = coordinates(one, args.number_rows)?;
        let (other_xs, other_ys) = coordinates(other, args.number_rows)?;
        let from = xs.iter().zip(ys.iter()).map(|(x, y)| place_of(x?, y?));
        let to = other_xs.iter().zip(other_ys.iter()).map(|(x, y)| place_of(x?, y?));
        let metres: Float64Array = from.zip(to).map(|(from, to)| Some(haversine(from?, to?))).collect();
        Ok(ColumnarValue::Array(Arc::new(metres)))
    }
}

/// Longitudes and latitudes of a point's arguments: the point, or two numbers.
fn coordinates(args: &[ColumnarValue], rows: usize) -> Result<(Float64Array, Float64Array)> {
    let numbers = |column: &ArrayRef| column.as_primitive_opt::<Float64Type>().cloned();
    let pair = match args {
        [point] => {
            let points = point.to_array(rows)?;
            let Some(points) = points.as_struct_opt() else { return failed("a point is st_point(…)") };
            // A point that is NULL has coordinates that are.
            let inside = |index: usize| {
                let column = points.columns().get(index)?;
                let nulls = arrow::buffer::NullBuffer::union(points.nulls(), column.nulls());
                let column = numbers(column)?;
                Some(Float64Array::new(column.values().clone(), nulls))
            };
            inside(0).zip(inside(1))
        }
        [x, y] => numbers(&x.to_array(rows)?).zip(numbers(&y.to_array(rows)?)),
        _ => None,
    };
    pair.map_or_else(|| failed("a point is two numbers"), Ok)
}

/// The place that two numbers are, if they are one.
fn place_of(x: f64, y: f64) -> Option<(f64, f64)> {
    (x.abs() <= 180.0 && y.abs() <= 90.0).then_some((x, y))
}

/// The way along the great circle of a sphere: R. W. Sinnott, "Virtues of the Haversine", Sky & Telescope 68 (1984) 159.
fn haversine((x, y): (f64, f64), (other_x, other_y): (f64, f64)) -> f64 {
    let (half_y, half_x) =
        (((other_y - y) / 2.0).to_radians().sin(), ((other_x - x) / 2.0).to_radians().sin());
    let a = half_y * half_y + y.to_radians().cos() * other_y.to_radians().cos() * half_x * half_x;
    2.0 * RADIUS * a.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_a_sphere() {
        let (berlin, paris) = ((13.405, 52.52), (2.3522, 48.8566));
        let metres = haversine(berlin, paris);
        assert!((metres - 877_464.0).abs() < 500.0, "{metres}");
        assert_eq!(metres, haversine(paris, berlin));
        assert_eq!(haversine(berlin, berlin), 0.0);
        let half = std::f64::consts::PI * RADIUS;
        assert!((haversine((0.0, 90.0), (77.0, -90.0)) - half).abs() < 1e-6, "from pole to pole");
        assert!((haversine((0.0, 0.0), (180.0, 0.0)) - half).abs() < 1e-6, "to the other side");
        assert!(haversine((179.999, 0.0), (-179.999, 0.0)) < 223.0, "over the date line");
        assert!(haversine((12.0, 90.0), (-110.0, 90.0)) < 1e-6, "the pole is one place");
        let metre = haversine((13.0, 52.0), (13.0, 52.000_009));
        assert!((metre - 1.000_75).abs() < 1e-3, "{metre}");
    }

    #[test]
    fn what_is_no_place_has_no_answer() {
        for (x, y) in [(f64::NAN, 0.0), (0.0, f64::NAN), (180.1, 0.0), (0.0, -90.1), (f64::INFINITY, 0.0)] {
            assert_eq!(place_of(x, y), None);
        }
        assert_eq!(place_of(-180.0, 90.0), Some((-180.0, 90.0)));
    }
}
