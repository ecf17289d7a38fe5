//! The options by which buckets are reached: names of the AWS tools and of Hadoop.
//!
//! What must stay true: an option means one thing, whoever's name it has, and none is passed over; a secret is in no
//! message; and plain HTTP is spoken only where the file, or the environment, asks for it.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Result};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};
use url::Url;

use super::address::Address;

/// What names of these options begin with.
pub(crate) const PREFIXES: &[&str] = &["AWS_", "fs.s3a."];

/// Options as they were typed.
pub(crate) type Given = BTreeMap<String, String>;

/// What an option says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Setting {
    AccessKey,
    SecretKey,
    Token,
    Region,
    Endpoint,
    AllowHttp,
    Ssl,
    VirtualHosted,
    PathStyle,
    CaBundle,
}

/// Every name. Where two of one setting stand in the environment, the first counts.
const NAMES: &[(&str, Setting)] = &[
    ("AWS_ACCESS_KEY_ID", Setting::AccessKey),
    ("AWS_SECRET_ACCESS_KEY", Setting::SecretKey),
    ("AWS_SESSION_TOKEN", Setting::Token),
    ("AWS_REGION", Setting::Region),
    ("AWS_DEFAULT_REGION", Setting::Region),
    ("AWS_ENDPOINT_URL_S3", Setting::Endpoint),
    ("AWS_ENDPOINT_URL", Setting::Endpoint),
    ("AWS_ENDPOINT", Setting::Endpoint),
    ("AWS_ALLOW_HTTP", Setting::AllowHttp),
    ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", Setting::VirtualHosted),
    ("AWS_CA_BUNDLE", Setting::CaBundle),
    ("fs.s3a.access.key", Setting::AccessKey),
    ("fs.s3a.secret.key", Setting::SecretKey),
    ("fs.s3a.session.token", Setting::Token),
    ("fs.s3a.endpoint.region", Setting::Region),
    ("fs.s3a.endpoint", Setting::Endpoint),
    ("fs.s3a.connection.ssl.enabled", Setting::Ssl),
    ("fs.s3a.path.style.access", Setting::PathStyle),
];

/// Requests are tried again a little by the client; who waits for longer says so, and that is the engine.
const RETRIES: usize = 3;
const RETRY_FOR: Duration = Duration::from_secs(10);
/// For a part of 8 MiB, also over a slow line.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// True for the name of an option by which buckets are reached.
pub fn is_option(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Options of buckets where there is none.
///
/// # Errors
/// `BAD_VALUE` if there are any.
pub(crate) fn refuse_options(given: &Given) -> Result<()> {
    let Some(name) = given.keys().next() else { return Ok(()) };
    let message = format!("option `{name}` is given, but `path` is a folder on this machine");
    Err(Error::new(&codes::BAD_VALUE, message).with_hint("Leave it out, or write to `s3://bucket/folder`."))
}

/// The settings that were typed, each once.
fn typed(given: &Given) -> Result<BTreeMap<Setting, (&str, String)>> {
    let mut settings = BTreeMap::new();
    for (name, text) in given {
        let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((name, setting)) = known else {
            return Err(unknown_name("option", name, NAMES.iter().map(|(known, _)| *known)));
        };
        if let Some((other, _)) = settings.insert(*setting, (*name, text.trim().to_owned())) {
            let message = format!("options `{other}` and `{name}` say the same thing");
            return Err(Error::new(&codes::BAD_VALUE, message).with_hint("Leave one of them out."));
        }
    }
    Ok(settings)
}

/// The client for a bucket. The environment's `AWS_*` count where the options say nothing; without any key the machine's own
/// role is asked (EC2, ECS, EKS).
///
/// # Errors
/// `UNKNOWN_KEY`, `BAD_VALUE` and `MISSING_KEY` for options that say nothing, contradict each other, or half of something;
/// `SECRET` for a bundle of certificates that cannot be read.
pub(super) fn store(address: &Address, given: &Given) -> Result<AmazonS3> {
    let mut settings = typed(given)?;
    // A key of the file must not meet a token of the environment.
    let has_own_key =
        settings.contains_key(&Setting::AccessKey) || settings.contains_key(&Setting::SecretKey);
    let of_keys = [Setting::AccessKey, Setting::SecretKey, Setting::Token];
    let has_own_endpoint = settings.contains_key(&Setting::Endpoint);
    let of_endpoint = [Setting::AllowHttp, Setting::Ssl];
    for (name, setting) in NAMES {
        let stays = (has_own_key && of_keys.contains(setting))
            || (has_own_endpoint && of_endpoint.contains(setting))
            || settings.contains_key(setting);
        if !stays
            && let Ok(text) = std::env::var(name)
            && !text.trim().is_empty()
        {
            settings.insert(*setting, (*name, text.trim().to_owned()));
        }
    }
    let text = |setting| settings.get(&setting).map(|(_, text)| text.as_str());
    let flag = |setting| match settings.get(&setting) {
        None => Ok(None),
        Some((_, text)) if text.eq_ignore_ascii_case("true") || text == "1" => Ok(Some(true)),
        Some((_, text)) if text.eq_ignore_ascii_case("false") || text == "0" => Ok(Some(false)),
        Some((name, text)) => {
            let message = format!("option `{name}` is `{text}`, expected true or false");
            Err(Error::new(&codes::BAD_VALUE, message))
        }
    };
    let mut builder = match has_own_key || text(Setting::AccessKey).is_some() {
        true => AmazonS3Builder::new(),
        false => AmazonS3Builder::from_env(),
    };
    match (text(Setting::AccessKey), text(Setting::SecretKey)) {
        (Some(key), Some(secret)) => {
            builder = builder.with_access_key_id(key).with_secret_access_key(secret);
            if let Some(token) = text(Setting::Token) {
                builder = builder.with_token(token);
            }
        }
        (None, None) => {}
        (key, _) => {
            let (there, missing) = match key {
                Some(_) => ("an access key is given", "AWS_SECRET_ACCESS_KEY"),
                None => ("a secret key is given", "AWS_ACCESS_KEY_ID"),
            };
            let message = format!("option `{missing}` is missing");
            return Err(Error::new(&codes::MISSING_KEY, message).with_detail(there).with_hint(
                "Give both, as options by `${NAME}` or in the environment; or neither, and the machine's own role counts.",
            ));
        }
    }
    let may_be_plain = flag(Setting::AllowHttp)?.unwrap_or(false) || flag(Setting::Ssl)? == Some(false);
    if let Some(endpoint) = text(Setting::Endpoint) {
        builder =
            builder.with_endpoint(endpoint_url(endpoint, flag(Setting::Ssl)? == Some(false), may_be_plain)?);
    }
    if let Some(region) = text(Setting::Region) {
        builder = builder.with_region(region);
    }
    let virtual_hosted = match (flag(Setting::VirtualHosted)?, flag(Setting::PathStyle)?) {
        (Some(virtual_hosted), _) => Some(virtual_hosted),
        (None, path_style) => path_style.map(|path_style| !path_style),
    };
    if let Some(virtual_hosted) = virtual_hosted {
        builder = builder.with_virtual_hosted_style_request(virtual_hosted);
    }
    let mut client = ClientOptions::new()
        .with_allow_http(may_be_plain)
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT);
    if let Some(file) = text(Setting::CaBundle) {
        for certificate in certificates(file)? {
            client = client.with_root_certificate(certificate);
        }
    }
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
    };
    let builder = builder
        .with_client_options(client)
        .with_retry(retry)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_bucket_name(address.bucket());
    builder.build().map_err(|e| {
        Error::new(&codes::BAD_VALUE, "the options for S3 do not fit together")
            .at(address)
            .with_detail(super::words(&e))
    })
}

/// Where requests go. Hadoop's endpoints may be a host alone.
fn endpoint_url(endpoint: &str, is_plain: bool, may_be_plain: bool) -> Result<String> {
    let url = match endpoint.contains("://") {
        true => endpoint.to_owned(),
        false if is_plain => format!("http://{endpoint}"),
        false => format!("https://{endpoint}"),
    };
    let parsed =
        Url::parse(&url).ok().filter(|url| url.has_host() && ["http", "https"].contains(&url.scheme()));
    let Some(parsed) = parsed else {
        return Err(Error::new(&codes::BAD_VALUE, "the endpoint of S3 is no address")
            .with_hint("Write `https://HOST:PORT`, or leave it out for AWS."));
    };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Error::new(&codes::BAD_VALUE, "the endpoint of S3 holds credentials")
            .with_hint("Give `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`."));
    }
    if parsed.scheme() == "http" && !may_be_plain {
        let message = format!("the endpoint of S3 is `{url}`, which is not encrypted");
        return Err(Error::new(&codes::BAD_VALUE, message).with_hint(
            "Use `https://`. Where others cannot listen, on this machine for example, `AWS_ALLOW_HTTP: true` allows it.",
        ));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn certificates(file: &str) -> Result<Vec<Certificate>> {
    let unusable = |why: String| {
        let hint = "`AWS_CA_BUNDLE` names a PEM file with the authorities that vouch for the endpoint.";
        Error::new(&codes::SECRET, format!("cannot use {file}")).with_detail(why).with_hint(hint)
    };
    let pem = std::fs::read(file).map_err(|e| unusable(e.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|e| unusable(super::words(&e)))?;
    if found.is_empty() { Err(unusable("it holds no certificate".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(options: &[(&str, &str)]) -> Given {
        options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn refused(options: &[(&str, &str)]) -> String {
        let address = Address::parse("s3://plant/lake").unwrap().unwrap();
        let error = store(&address, &given(options)).unwrap_err();
        format!("{error} {}", error.hint())
    }

    #[test]
    fn half_of_a_setting_and_two_of_one_are_refused() {
        let key = ("AWS_ACCESS_KEY_ID", "k");
        assert!(refused(&[key]).contains("AWS_SECRET_ACCESS_KEY"));
        assert!(refused(&[("fs.s3a.secret.key", "s")]).contains("AWS_ACCESS_KEY_ID"));
        assert!(refused(&[key, ("fs.s3a.access.key", "k")]).contains("the same thing"));
        assert!(refused(&[("AWS_REGIONS", "x")]).contains("AWS_REGION"));
        assert!(refused(&[("fs.s3a.path.style.access", "maybe")]).contains("true or false"));
        assert!(refused(&[("AWS_CA_BUNDLE", "/no/such/file")]).contains("/no/such/file"));
    }

    #[test]
    fn plain_http_is_spoken_only_where_it_is_asked_for() {
        let http = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000");
        assert!(refused(&[http]).contains("AWS_ALLOW_HTTP"));
        let url = |endpoint, is_plain, may| endpoint_url(endpoint, is_plain, may).ok();
        assert_eq!(url("http://h:1/", false, true).as_deref(), Some("http://h:1"));
        assert_eq!(url("h:9000", true, true).as_deref(), Some("http://h:9000"));
        assert_eq!(
            url("s3.eu-central-1.amazonaws.com", false, false).as_deref(),
            Some("https://s3.eu-central-1.amazonaws.com")
        );
        assert_eq!(url("ftp://h", false, true), None);
        assert_eq!(url("https://k:s@h", false, true), None);
    }

    #[test]
    fn options_of_buckets_are_refused_for_folders() {
        assert!(refuse_options(&given(&[])).is_ok());
        assert!(refuse_options(&given(&[("AWS_REGION", "x")])).is_err());
    }
}
