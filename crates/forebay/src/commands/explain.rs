//! `forebay explain`: the page of a code, as it stands in `docs/error-codes.md`.

use std::process::ExitCode;

use forebay_connectors::formats;
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::reference;

use crate::talk;

pub fn run(code: Option<&str>) -> anyhow::Result<ExitCode> {
    let records = formats::codes();
    let text = match code {
        None => reference::list(&records),
        Some(code) => {
            let unknown =
                |error: Error| Error::new(&codes::WRONG_USE, error.message()).with_hint(error.hint());
            reference::explain(code, &records).map_err(unknown)? + "\n"
        }
    };
    talk::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
