//! From a name in `dashboard:` to the source or the field that it means.
//!
//! What must stay true: a source that could not be read was reported already, and nothing that names it is blamed again.

use super::super::SourceConfig;
use super::super::parse::Reading;
use super::super::section::Text;
use crate::error::{Error, codes};
use crate::fields::{self, Leaf};
use crate::options::unknown_name;

/// The source of this name; an unknown one is reported with those that exist.
pub(super) fn find_source<'s>(
    name: Text<'_>,
    sources: &'s [SourceConfig],
    reading: &mut Reading<'_>,
) -> Option<&'s SourceConfig> {
    let found = sources.iter().find(|source| source.name.eq_ignore_ascii_case(name.text));
    if found.is_none() && !is_unknown(name.text, reading) {
        let unknown = unknown_name("source", name.text, sources.iter().map(|source| source.name.as_str()));
        let error = Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint());
        reading.problems.report(name.span, error);
    }
    found
}

/// A source that could not be read was reported already; what names it is not to blame.
pub(super) fn is_unknown(name: &str, reading: &Reading<'_>) -> bool {
    reading.unknown.iter().any(|unknown| unknown.eq_ignore_ascii_case(name))
}

/// `SOURCE.FIELD`; where the file has one source, also `FIELD` alone.
pub(super) fn find_source_field(
    text: Text<'_>,
    sources: &[SourceConfig],
    reading: &mut Reading<'_>,
) -> Option<(String, Leaf)> {
    let (first, rest) = text.text.split_once('.').unwrap_or((text.text, ""));
    let named = sources.iter().find(|source| source.name.eq_ignore_ascii_case(first));
    if let (None, [only]) = (named, sources)
        && !is_unknown(first, reading)
    {
        return Some((only.name.clone(), find_field(text, text.text, only, reading)?));
    }
    let source = find_source(Text { text: first, span: text.span }, sources, reading)?;
    Some((source.name.clone(), find_field(text, rest, source, reading)?))
}

/// The field of this dotted name; upper and lower case do not matter, as in SQL.
pub(super) fn find_field(
    text: Text<'_>,
    name: &str,
    source: &SourceConfig,
    reading: &mut Reading<'_>,
) -> Option<Leaf> {
    let Some(value) = &source.value else {
        if !is_unknown(&source.name, reading) {
            let message = format!("source `{}` decodes no values, so it has no fields to show", source.name);
            let error = Error::new(&codes::BAD_VALUE, message)
                .with_hint("Add `value: json` and a schema to the source.");
            reading.problems.report(text.span, error);
        }
        return None;
    };
    let leaves = fields::leaves(&value.schema);
    let found = leaves
        .iter()
        .find(|leaf| leaf.name == name)
        .or_else(|| leaves.iter().find(|leaf| leaf.name.eq_ignore_ascii_case(name)));
    if found.is_none() {
        let unknown = unknown_name("field", name, leaves.iter().map(|leaf| leaf.name.as_str()));
        let error =
            Error::new(&codes::BAD_VALUE, format!("{} of source `{}`", unknown.message(), source.name))
                .with_hint(unknown.hint());
        reading.problems.report(text.span, error);
    }
    found.cloned()
}
