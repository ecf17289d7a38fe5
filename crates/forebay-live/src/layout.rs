//! The columns of a source as people see them: fields with a kind, a role, a unit, and the one that names the device.
//!
//! ```text
//! device_id STRING, temperature DOUBLE COMMENT '°C', site STRUCT<lat: DOUBLE, lon: DOUBLE>, ts BIGINT
//!   key               value, °C                            lat         lon               time
//! ```
//!
//! Pure: from the Arrow schema of the decoder, with the comments of the DDL. The guesses only choose what a page shows
//! first; `dashboard:` overrules them. What must stay true: the layout follows from schema and `dashboard:` alone, so
//! that history and devices of an earlier run belong to the same fields ([`Layout::fingerprint`]).

use arrow::datatypes::Schema;
use forebay_core::config::MOST_LABELS;
use forebay_core::ddl;
use forebay_core::fields::{self, Leaf};
use serde::Serialize;

use crate::guess;

pub use forebay_core::fields::Kind;

/// Most fields of one source: what a page can offer, and what bounds the memory of a device.
pub const MOST_FIELDS: usize = 64;

/// Longest COMMENT, in characters, that is taken for a unit; a unit has no blanks.
const LONGEST_UNIT: usize = 12;

/// The columns of a source as people see them.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// At most [`MOST_FIELDS`], in the order of the schema; nested ones flattened with dots.
    pub fields: Vec<Field>,
    /// The field that names the device; `None`: the whole source is one device with the key `""`.
    pub key: Option<usize>,
    /// The field for sparklines when nobody names one: the first number of role `value`.
    pub spark: Option<usize>,
    /// The fields by whose values devices are told apart and rows are counted over time.
    pub labels: Vec<usize>,
    /// The fields that have a history: numbers that are neither key nor time nor label.
    pub(crate) measured: Vec<usize>,
}

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its dotted name.
    pub name: String,
    /// Its type in Spark's words.
    pub data_type: String,
    /// What its values are.
    pub kind: Kind,
    /// What it is for.
    pub role: Role,
    /// The unit of its numbers.
    pub unit: Option<String>,
    /// What the schema says about it.
    pub description: Option<String>,
    /// The indices from the column down.
    pub(crate) path: Vec<usize>,
}

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Names the device.
    Key,
    /// A measured number.
    Value,
    /// A text or a truth.
    Status,
    /// Degrees north.
    Lat,
    /// Degrees east.
    Lon,
    /// When the event happened.
    Time,
    /// Numbers that count or name rather than measure.
    Other,
}

impl Role {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
            Self::Status => "status",
            Self::Lat => "lat",
            Self::Lon => "lon",
            Self::Time => "time",
            Self::Other => "other",
        }
    }
}

impl Layout {
    /// The one of `named` that should name the device of a source of this schema where the file does not say: fields that the
    /// alerts go by. `None` if a column's own name says clearly that it does (a bare `id` may be anybody's), or none fits.
    pub fn suggested_key(schema: &Schema, named: &[String]) -> Option<String> {
        let leaves = fields::leaves(schema);
        let guessed = guess::key(&leaves).map(|index| &leaves[index]);
        if guessed.is_some_and(|leaf| !leaf.last_name().eq_ignore_ascii_case("id") || leaf.path.len() > 1) {
            return None;
        }
        let fits = |name: &&String| leaves.iter().any(|leaf| leaf.name == **name && leaf.can_be_key());
        named.iter().find(fits).cloned()
    }

    /// The layout of a schema. `key` is the dotted name of the field that names the device, if the file says so; the
    /// fields in `named` are kept also where the schema has more than [`MOST_FIELDS`].
    pub fn new(schema: &Schema, key: Option<&str>, named: &[&str]) -> Self {
        let leaves = fields::leaves(schema);
        let by_name = |name: &str| leaves.iter().position(|leaf| leaf.name == name);
        let key = match key {
            Some(name) => by_name(name).filter(|index| leaves[*index].can_be_key()),
            None => guess::key(&leaves),
        };
        let mut kept: Vec<usize> =
            key.into_iter().chain(named.iter().filter_map(|name| by_name(name))).collect();
        kept.extend(0..leaves.len());
        let mut seen = std::collections::HashSet::new();
        kept.retain(|index| seen.insert(*index));
        kept.truncate(MOST_FIELDS);
        kept.sort_unstable();
        let fields: Vec<Field> =
            kept.iter().map(|index| field(&leaves[*index], Some(*index) == key)).collect();
        let key = kept.iter().position(|index| Some(*index) == key);
        let with_role = |role: Role| fields.iter().position(|field| field.role == role);
        let measured = fields.iter().enumerate().filter(|(_, field)| field.is_measured());
        Self {
            key,
            spark: with_role(Role::Value),
            measured: measured.map(|(index, _)| index).collect(),
            labels: Vec::new(),
            fields,
        }
    }

    /// The same with these fields as labels; names that are none of its fields, or of fields that cannot be one, are left out.
    pub fn with_labels(mut self, names: &[String]) -> Self {
        for name in names.iter().take(MOST_LABELS) {
            let Some(index) = self.field(name).filter(|index| self.fields[*index].kind != Kind::Time) else {
                continue;
            };
            if self.labels.contains(&index) {
                continue;
            }
            self.labels.push(index);
            let field = &mut self.fields[index];
            if field.role != Role::Key {
                (field.role, field.unit) = (Role::Status, None);
            }
        }
        self.measured.retain(|index| !self.labels.contains(index));
        self.spark = self.fields.iter().position(|field| field.role == Role::Value);
        self
    }

    /// The name of the field that names the device.
    pub fn key_name(&self) -> Option<&str> {
        Some(self.fields.get(self.key?)?.name.as_str())
    }

    /// The field of this dotted name; if none has it exactly, one that differs in upper and lower case only.
    pub fn field(&self, name: &str) -> Option<usize> {
        let exact = self.fields.iter().position(|field| field.name == name);
        exact.or_else(|| self.fields.iter().position(|field| field.name.eq_ignore_ascii_case(name)))
    }

    /// The place of a field among those that have a history.
    pub(crate) fn measure_of(&self, field: usize) -> Option<usize> {
        self.measured.iter().position(|measured| *measured == field)
    }

    /// A number that differs where devices and history of one layout mean nothing to the other.
    pub(crate) fn fingerprint(&self) -> u64 {
        // FNV-1a: the number is kept in files, so it must be the same in every build.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut take = |bytes: &[u8]| {
            for byte in bytes.iter().chain(&[0]) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for (index, field) in self.fields.iter().enumerate() {
            take(field.name.as_bytes());
            take(field.data_type.as_bytes());
            take(field.kind.as_str().as_bytes());
            take(&[u8::from(self.key == Some(index)), u8::from(field.is_measured())]);
        }
        // Without labels the number is what it was before there were any.
        self.labels.iter().for_each(|label| take(format!("label {label}").as_bytes()));
        hash
    }
}

impl Field {
    /// True if it has a history.
    pub fn is_measured(&self) -> bool {
        self.kind == Kind::Number && matches!(self.role, Role::Value | Role::Lat | Role::Lon | Role::Other)
    }
}

fn field(leaf: &Leaf, is_key: bool) -> Field {
    let comment =
        leaf.field.metadata().get(ddl::COMMENT).map(|text| text.trim()).filter(|text| !text.is_empty());
    let is_unit = |text: &str| text.chars().count() <= LONGEST_UNIT && !text.contains(char::is_whitespace);
    let role = if is_key { Role::Key } else { guess::role(leaf) };
    let unit = match comment {
        Some(text) if is_unit(text) => Some(text.to_owned()),
        _ if leaf.kind() == Kind::Number && role != Role::Time => {
            guess::unit(leaf.last_name()).map(str::to_owned)
        }
        _ => None,
    };
    Field {
        name: leaf.name.clone(),
        data_type: type_name(leaf),
        kind: leaf.kind(),
        role,
        unit,
        description: comment.filter(|text| !is_unit(text)).map(str::to_owned),
        path: leaf.path.clone(),
    }
}

/// Spark's name of the type, else Arrow's.
fn type_name(leaf: &Leaf) -> String {
    let bare =
        leaf.field.as_ref().clone().with_name("x").with_nullable(true).with_metadata(Default::default());
    let named = ddl::to_ddl(&Schema::new(vec![bare])).ok();
    let named = named.and_then(|text| text.strip_prefix("x ").map(str::to_owned));
    named.unwrap_or_else(|| leaf.field.data_type().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> Layout {
        Layout::new(&ddl::parse(text).unwrap(), None, &[])
    }

    fn key_of(text: &str) -> Option<String> {
        let layout = layout(text);
        layout.key.map(|index| layout.fields[index].name.clone())
    }

    #[test]
    fn every_field_has_kind_role_and_unit() {
        let layout = layout(
            "device_id STRING, temperature DOUBLE COMMENT '°C', humidity_pct FLOAT, state STRING, on BOOLEAN, \
             site STRUCT<lat: DOUBLE, longitude: DOUBLE, hall: STRING>, timestamp INT, at TIMESTAMP, seq BIGINT, \
             note STRING COMMENT 'what the operator wrote'",
        );
        let seen: Vec<_> = layout
            .fields
            .iter()
            .map(|field| {
                (field.name.as_str(), field.kind.as_str(), field.role.as_str(), field.unit.as_deref())
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("device_id", "text", "key", None),
                ("temperature", "number", "value", Some("°C")),
                ("humidity_pct", "number", "value", Some("%")),
                ("state", "text", "status", None),
                ("on", "bool", "status", None),
                ("site.lat", "number", "lat", None),
                ("site.longitude", "number", "lon", None),
                ("site.hall", "text", "status", None),
                ("timestamp", "number", "time", None),
                ("at", "time", "time", None),
                ("seq", "number", "other", None),
                ("note", "text", "status", None),
            ]
        );
        assert_eq!(layout.fields[11].description.as_deref(), Some("what the operator wrote"));
        assert_eq!(layout.spark, Some(1));
        assert_eq!(layout.measured, [1, 2, 5, 6, 10]);
        assert_eq!(layout.fields[1].data_type, "DOUBLE");
    }

    #[test]
    fn the_key_is_the_first_of_the_usual_names_whatever_its_case() {
        assert_eq!(key_of("id STRING, sensorId STRING").as_deref(), Some("sensorId"));
        assert_eq!(key_of("machine STRING, DEVICEID INT").as_deref(), Some("DEVICEID"));
        assert_eq!(key_of("id BIGINT, v DOUBLE").as_deref(), Some("id"));
        assert_eq!(key_of("v DOUBLE, device STRUCT<id: STRING, kind: STRING>").as_deref(), Some("device.id"));
        assert_eq!(key_of("meta STRUCT<device_id: STRING>, id STRING").as_deref(), Some("meta.device_id"));
        assert_eq!(key_of("event STRUCT<id: STRING>, v DOUBLE"), None, "an event's id names no device");
        assert_eq!(key_of("device_id DOUBLE, v DOUBLE"), None, "a floating-point number names nothing");
        assert_eq!(key_of("device_id ARRAY<STRING>, v DOUBLE"), None);
    }

    #[test]
    fn the_file_may_name_the_key_and_an_unfit_one_is_none() {
        let schema = ddl::parse("device_id STRING, line STRING, v DOUBLE").unwrap();
        assert_eq!(Layout::new(&schema, Some("line"), &[]).key, Some(1));
        assert_eq!(Layout::new(&schema, Some("v"), &[]).key, None);
    }

    #[test]
    fn what_alerts_go_by_names_the_device_where_no_name_says_it_clearly() {
        let suggested = |text: &str, named: &[&str]| {
            let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
            Layout::suggested_key(&ddl::parse(text).unwrap(), &named)
        };
        assert_eq!(suggested("pump STRING, v DOUBLE", &["pump"]).as_deref(), Some("pump"));
        assert_eq!(suggested("id BIGINT, pump STRING", &["v", "pump"]).as_deref(), Some("pump"));
        assert_eq!(suggested("device_id STRING, hall STRING", &["hall"]), None);
        assert_eq!(suggested("device STRUCT<id: STRING>, hall STRING", &["hall"]), None);
        assert_eq!(suggested("v DOUBLE", &["v"]), None, "a floating-point number names nothing");
        assert_eq!(suggested("v DOUBLE", &[]), None);
    }

    #[test]
    fn units_come_from_short_comments_and_endings() {
        let unit = |text: &str| layout(text).fields[0].unit.clone();
        assert_eq!(unit("t DOUBLE COMMENT 'km/h'").as_deref(), Some("km/h"));
        assert_eq!(unit("t DOUBLE COMMENT 'per hour'"), None);
        assert_eq!(unit("t DOUBLE COMMENT 'twelve.chars'").as_deref(), Some("twelve.chars"));
        assert_eq!(unit("t DOUBLE COMMENT 'thirteen.char'"), None);
        assert_eq!(unit("temp_celsius DOUBLE").as_deref(), Some("°C"));
        assert_eq!(unit("temp_celsius DOUBLE COMMENT 'K'").as_deref(), Some("K"));
        assert_eq!(unit("battery_V FLOAT").as_deref(), Some("V"));
        assert_eq!(unit("rev STRING"), None);
        assert_eq!(unit("name_v STRING"), None, "a text has no unit");
    }

    #[test]
    fn a_wide_schema_keeps_its_key_and_what_the_file_names() {
        let columns: Vec<String> = (0..200).map(|i| format!("c{i} DOUBLE")).collect();
        let schema = ddl::parse(&format!("{}, sensor STRING", columns.join(", "))).unwrap();
        let layout = Layout::new(&schema, None, &["c150"]);
        assert_eq!(layout.fields.len(), MOST_FIELDS);
        assert_eq!(layout.fields[layout.key.unwrap()].name, "sensor");
        assert!(layout.field("c150").is_some() && layout.field("C61").is_some());
        assert_eq!(layout.field("c62"), None);
    }

    #[test]
    fn an_empty_or_all_nested_schema_has_a_layout_without_fields() {
        let layout = layout("a ARRAY<STRING>, m MAP<STRING, INT>");
        assert!(layout.fields.is_empty() && layout.key.is_none() && layout.spark.is_none());
    }

    #[test]
    fn the_fingerprint_follows_names_types_and_key() {
        let text = "device_id STRING, t DOUBLE";
        let schema = ddl::parse(text).unwrap();
        assert_eq!(
            layout(text).fingerprint(),
            layout("device_id STRING, t DOUBLE COMMENT 'K'").fingerprint()
        );
        assert_ne!(layout(text).fingerprint(), layout("device_id STRING, t FLOAT").fingerprint());
        assert_ne!(layout(text).fingerprint(), layout("device_id STRING, u DOUBLE").fingerprint());
        assert_ne!(layout(text).fingerprint(), Layout::new(&schema, Some("t"), &[]).fingerprint());
    }
}
