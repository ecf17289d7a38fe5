//! From a name in `dashboard:` to the source or the field that it means.
//!
//! What must stay true: a source that could not be read was reported already, and nothing that names it is blamed again.

use super::super::SourceConfig;
use super::super::parse::Reading;
use super::super::section::Text;
use super::{DashboardView, Shown};
use crate::error::{Error, codes};
use crate::fields::{self, Leaf};
use crate::options::unknown_name;

/// The source of this name; an unknown one is reported with those that exist.
pub(super) fn find_source<'s>(
    name: Text<'_>,
    Shown { sources, views, .. }: Shown<'s>,
    reading: &mut Reading<'_>,
) -> Option<&'s SourceConfig> {
    let found = sources.iter().find(|source| source.name.eq_ignore_ascii_case(name.text));
    if found.is_none() && !is_unknown(name.text, reading) {
        let known = sources.iter().map(|source| source.name.as_str());
        let known = known.chain(views.iter().map(|view| view.name.as_str()));
        let unknown = unknown_name("source", name.text, known);
        let error = Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint());
        reading.problems.report(name.span, error);
    }
    found
}

/// The followed view that a text names, alone or as `VIEW.FIELD`, and what stands behind the dot.
pub(super) fn find_view<'s, 't>(
    text: &'t str,
    views: &'s [DashboardView],
) -> Option<(&'s DashboardView, &'t str)> {
    let (first, rest) = text.split_once('.').unwrap_or((text, ""));
    Some((views.iter().find(|view| view.name.eq_ignore_ascii_case(first))?, rest))
}

/// True if a text names a view that is not followed. That is told here, or was where the page should follow it.
pub(super) fn is_other_view(text: Text<'_>, shown: Shown<'_>, reading: &mut Reading<'_>) -> bool {
    let first = text.text.split_once('.').map_or(text.text, |(first, _)| first);
    if shown.named.iter().any(|name| name.eq_ignore_ascii_case(first)) {
        return true;
    }
    // Where the file has one source, a field of it may be named alone.
    let is_field = |source: &SourceConfig| {
        let leaves = source.value.as_ref().map_or_else(Vec::new, |value| fields::leaves(&value.schema));
        leaves.iter().any(|leaf| leaf.name.eq_ignore_ascii_case(text.text))
    };
    if matches!(shown.sources, [only] if is_field(only)) {
        return false;
    }
    let Some(view) = shown.others.iter().find(|view| view.name.eq_ignore_ascii_case(first)) else {
        return false;
    };
    let error = Error::new(&codes::BAD_VALUE, format!("the page does not follow the view `{}`", view.name))
        .with_hint(format!(
            "Say under `views` of `dashboard` which column names its devices: `{}: {{ key: … }}`.",
            view.name
        ));
    reading.problems.report(text.span, error);
    true
}

/// A source that could not be read was reported already; what names it is not to blame.
pub(super) fn is_unknown(name: &str, reading: &Reading<'_>) -> bool {
    reading.unknown.iter().any(|unknown| unknown.eq_ignore_ascii_case(name))
}

/// `SOURCE.FIELD`; where the file has one source, also `FIELD` alone.
pub(super) fn find_source_field(
    text: Text<'_>,
    shown: Shown<'_>,
    reading: &mut Reading<'_>,
) -> Option<(String, Leaf)> {
    let sources = shown.sources;
    let (first, rest) = text.text.split_once('.').unwrap_or((text.text, ""));
    let named = sources.iter().find(|source| source.name.eq_ignore_ascii_case(first));
    if let (None, [only]) = (named, sources)
        && !is_unknown(first, reading)
    {
        return Some((only.name.clone(), find_field(text, text.text, only, reading)?));
    }
    let source = find_source(Text { text: first, span: text.span }, shown, reading)?;
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
