//! `toTable` of a query and `table` of a table at rest: a table of a catalog in place of a `path`.

use super::parse::Reading;
use super::raw_options::{self, RawOption};
use super::section::Section;
use crate::catalog::TableName;
use crate::error::{Error, codes};
use crate::options::ConnectorSpec;

/// The only format of tables in catalogs.
const FORMAT: &str = "delta";

/// The name under `key`, with what it means as the option `path`. What is wrong with it is reported.
pub(super) fn read(
    section: &Section<'_>,
    key: &'static str,
    connector: Option<&ConnectorSpec>,
    raw: &[RawOption],
    reading: &mut Reading<'_>,
) -> Option<(TableName, RawOption)> {
    let entry = section.get(key)?;
    let given = raw_options::read_one(entry, reading);
    if let Some(connector) = connector.filter(|connector| connector.name != FORMAT) {
        let message = format!("`{key}` is of `{FORMAT}` alone, not of `{}`", connector.name);
        let error = Error::new(&codes::BAD_VALUE, message);
        reading.problems.report(
            entry.key_span,
            error.with_hint(format!("Write `format: {FORMAT}`, or leave `{key}` out.")),
        );
        return None;
    }
    if raw.iter().any(|option| option.name.eq_ignore_ascii_case("path")) {
        let error = Error::new(
            &codes::BAD_VALUE,
            format!("`{key}` and `path` are both given: a table has one place"),
        )
        .with_hint("Keep one of them: a table of a catalog lies in the catalog's folders.");
        reading.problems.report(entry.key_span, error);
        return None;
    }
    match TableName::parse(given.usable()?) {
        Ok(name) => {
            let folder = name.folder().to_string_lossy().into_owned();
            Some((name, given.meant("path", folder)))
        }
        Err(error) => {
            reading.problems.report(entry.value.span, error);
            None
        }
    }
}
