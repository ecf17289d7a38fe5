//! What is asked for: which devices, and which of their fields.

use super::words::{Schema, Source};

/// Fields of a device that are asked for: more never fit beside each other.
const FIELDS: usize = 24;

/// Which devices are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The source; the first if there is none of this name.
    pub source: Option<String>,
    /// What is searched for; empty for all.
    pub search: String,
    /// The first device.
    pub offset: usize,
    /// How many.
    pub limit: usize,
}

/// The parameters of a view.
pub fn asked(view: &View, schema: &Schema) -> Vec<(&'static str, String)> {
    let mut asked = vec![("limit", view.limit.to_string()), ("offset", view.offset.to_string())];
    if !view.search.is_empty() {
        asked.push(("search", view.search.clone()));
    }
    if let Some(source) = source(schema, view.source.as_deref()) {
        asked.push(("source", source.name.clone()));
        let fields: Vec<&str> =
            shown(source).take(FIELDS).map(|field| source.fields[field].name.as_str()).collect();
        if !fields.is_empty() {
            asked.push(("fields", fields.join(",")));
        }
    }
    asked
}

/// The source of this name, else the first.
fn source<'a>(schema: &'a Schema, name: Option<&str>) -> Option<&'a Source> {
    let named = schema.sources.iter().find(|source| Some(source.name.as_str()) == name);
    named.or_else(|| schema.sources.first())
}

/// The fields of a device that are worth a column, best first: what is measured, what it says of itself, the rest.
pub fn shown(source: &Source) -> impl Iterator<Item = usize> {
    let rank = |role: &str| match role {
        "value" => Some(0),
        "status" => Some(1),
        "key" | "time" => None,
        _ => Some(2),
    };
    let mut fields: Vec<(u8, usize)> = (source.fields.iter().enumerate())
        // Names are sent with commas between them.
        .filter(|(_, field)| !field.name.contains(',') && Some(&field.name) != source.key.as_ref())
        .filter_map(|(index, field)| Some((rank(&field.role)?, index)))
        .collect();
    fields.sort_unstable();
    fields.into_iter().map(|(_, index)| index)
}

#[cfg(test)]
mod tests {
    use super::super::words::Field;
    use super::*;

    #[test]
    fn a_view_asks_for_what_is_measured_first() {
        let field =
            |name: &str, role: &str| Field { name: name.into(), role: role.into(), ..Field::default() };
        let fields = vec![
            field("id", "key"),
            field("at", "time"),
            field("note", "status"),
            field("a,b", "value"),
            field("heat", "value"),
            field("lat", "lat"),
        ];
        let source = Source { name: "iot".into(), key: Some("id".into()), fields: fields.into() };
        let schema = Schema { sources: vec![source].into(), ..Schema::default() };
        let view = View { source: Some("gone".into()), search: "a b".into(), offset: 50, limit: 100 };
        let asked = asked(&view, &schema);
        for part in [("source", "iot"), ("fields", "heat,note,lat"), ("search", "a b"), ("offset", "50")] {
            assert!(asked.contains(&(part.0, part.1.to_owned())), "{part:?} is missing in {asked:?}");
        }
    }
}
