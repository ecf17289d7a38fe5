//! Addresses in buckets: `s3://bucket/folder`.
//!
//! What must stay true: one place has one address, however it was typed, since a query is known by it; and no secret is in it.

use std::fmt;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use object_store::path::Path;
use url::Url;

/// A folder of a bucket by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    bucket: String,
    folder: Path,
    url: Url,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.folder)
    }
}

/// True for the address of something in a bucket, in place of a path.
pub fn is_address(path: &str) -> bool {
    after_scheme(path).is_some()
}

fn after_scheme(path: &str) -> Option<&str> {
    let (scheme, rest) = path.trim().split_once("://")?;
    ["s3", "s3a"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)
}

impl Address {
    /// Reads `s3://bucket/folder`, or `s3a://` as Spark has it; `None` for other paths.
    ///
    /// # Errors
    /// `BAD_VALUE`, which does not repeat what looks like credentials.
    pub fn parse(path: &str) -> Result<Option<Self>> {
        let Some(rest) = after_scheme(path) else { return Ok(None) };
        let bad = |message: String| {
            Error::new(&codes::BAD_VALUE, message)
                .with_hint("Write `s3://bucket/folder`, for example `s3://plant/lake/iot`.")
        };
        if rest.contains('@') {
            let message = "option `path` holds more than bucket and folder".to_owned();
            return Err(bad(message).with_hint(
                "Credentials do not belong into an address: give `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, in the \
                 environment or as options by `${NAME}`.",
            ));
        }
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if bucket.is_empty() || !bucket.chars().all(is_name) {
            return Err(bad(format!(
                "option `path` is `{path}`, in which `{bucket}` is no name of a bucket"
            )));
        }
        let folder = folder.trim_matches('/');
        let parsed =
            Path::parse(folder).ok().filter(|_| !folder.is_empty() && !folder.contains(['?', '#', '%']));
        let Some(folder) = parsed else {
            return Err(bad(format!(
                "option `path` is `{path}`, expected a folder in the bucket `{bucket}`"
            )));
        };
        let url = Url::parse(&format!("s3://{bucket}/{folder}/"))
            .map_err(|e| bad(format!("option `path` is `{path}`, which is no address")).caused_by(e))?;
        Ok(Some(Self { bucket: bucket.to_owned(), folder, url }))
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The folder in its bucket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The whole address.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_a_folder_in_it() {
        for path in ["s3://plant/lake/iot", "s3a://plant/lake/iot/", "S3://plant//lake/iot"] {
            let parsed = Address::parse(path);
            assert_eq!(parsed.unwrap().unwrap().to_string(), "s3://plant/lake/iot", "{path}");
        }
        for path in [
            "s3://plant",
            "s3://plant/",
            "s3:///lake",
            "s3://plant/../x",
            "s3://plant/a//b",
            "s3://pl ant/x",
            "s3://plant/a?b",
        ] {
            assert!(Address::parse(path).is_err(), "{path}");
        }
        assert_eq!(Address::parse("lake/iot").unwrap(), None);
        let told = Address::parse("s3://KEY:c4n4ry@plant/lake").unwrap_err();
        assert!(!format!("{told:?} {}", told.hint()).contains("c4n4ry"));
    }
}
