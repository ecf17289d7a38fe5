//! The settings of a session, as PostgreSQL names them.

use super::system::VERSION;

/// Settings with their values at the start; those that clients are told of whenever they change are marked.
pub(super) const SETTINGS: [(&str, &str, bool); 34] = [
    ("application_name", "", true),
    ("client_encoding", "UTF8", true),
    ("DateStyle", "ISO, MDY", true),
    ("default_transaction_read_only", "on", true),
    ("in_hot_standby", "off", true),
    ("integer_datetimes", "on", true),
    ("IntervalStyle", "postgres", true),
    ("is_superuser", "off", true),
    ("server_encoding", "UTF8", true),
    ("server_version", VERSION, true),
    ("session_authorization", "", true),
    ("standard_conforming_strings", "on", true),
    ("TimeZone", "UTC", true),
    ("bytea_output", "hex", false),
    ("client_min_messages", "notice", false),
    ("default_transaction_isolation", "read committed", false),
    ("extra_float_digits", "1", false),
    ("idle_in_transaction_session_timeout", "0", false),
    ("jit", "off", false),
    ("lc_collate", "C.UTF-8", false),
    ("lc_ctype", "C.UTF-8", false),
    ("lc_messages", "C.UTF-8", false),
    ("lc_monetary", "C.UTF-8", false),
    ("lc_numeric", "C.UTF-8", false),
    ("lc_time", "C.UTF-8", false),
    ("lock_timeout", "0", false),
    ("max_identifier_length", "63", false),
    ("max_index_keys", "32", false),
    ("row_security", "on", false),
    ("search_path", "\"$user\", public", false),
    ("server_version_num", "160004", false),
    ("statement_timeout", "0", false),
    ("transaction_isolation", "read committed", false),
    ("transaction_read_only", "on", false),
];

/// Those that cannot be set to anything else.
pub(super) const FIXED: [(&str, &[&str]); 7] = [
    ("TimeZone", &["utc", "etc/utc", "gmt", "etc/gmt", "uct", "z", "0", "default"]),
    ("client_encoding", &["utf8", "utf-8", "unicode", "sql_ascii", "default"]),
    ("DateStyle", &["iso", "iso, mdy", "iso, dmy", "iso, ymd", "default"]),
    ("IntervalStyle", &["postgres", "default"]),
    ("standard_conforming_strings", &["on", "true", "default"]),
    ("bytea_output", &["hex", "default"]),
    ("default_transaction_read_only", &["on", "true", "default"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grafana_is_told_the_version_that_clients_are() {
        let number = SETTINGS.iter().find(|(name, ..)| *name == "server_version_num").unwrap().1;
        let major = number.parse::<u32>().unwrap() / 10_000;
        assert!(VERSION.starts_with(&format!("{major}.")), "{VERSION}");
        let source = include_str!("../../../../examples/grafana/provisioning/datasources/forebay.yaml");
        assert!(source.contains(&format!("postgresVersion: {}\n", major * 100)), "{source}");
    }
}
