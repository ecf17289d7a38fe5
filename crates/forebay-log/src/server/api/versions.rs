//! ApiVersions: the first request on every connection.

use super::{Call, Started};
use crate::server::protocol::APIS;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use std::io;

/// Everything that is served, with the versions that are advertised.
pub(super) fn supported() -> ApiVersionsResponse {
    let mut ranges: Vec<ApiVersion> = Vec::new();
    for api in APIS {
        match ranges.iter_mut().find(|range| range.api_key == api.key as i16) {
            Some(range) => range.max_version = api.version,
            None => {
                let range = ApiVersion::default().with_api_key(api.key as i16);
                ranges.push(range.with_min_version(api.advertised_from).with_max_version(api.version));
            }
        }
    }
    ApiVersionsResponse::default().with_api_keys(ranges)
}

/// To a version that is not served: an error in the layout that every client understands, version 0.
pub(in crate::server) fn unsupported(call: &Call) -> io::Result<Started> {
    let body = supported().with_error_code(ResponseError::UnsupportedVersion.code());
    call.answer(&body).map(Started::Now)
}
