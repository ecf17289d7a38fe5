//! Topic names and filters (MQTT 5, 4.7): what is valid beyond what the codec sees, and whether a filter matches a name.

/// Whether a name may be published to: not empty, not too deep. Wildcards and NUL are refused by the codec.
pub(super) fn name_is_good(name: &str, levels: usize) -> bool {
    !name.is_empty() && name.bytes().filter(|byte| *byte == b'/').count() < levels
}

/// Whether `filter` (without a `$share/` prefix) matches `name`. A wildcard at the front does not match names that begin with `$`.
pub(super) fn matches(filter: &str, name: &str) -> bool {
    if name.starts_with('$') && (filter.starts_with('#') || filter.starts_with('+')) {
        return false;
    }
    let mut wanted = filter.split('/');
    let mut levels = name.split('/');
    loop {
        match (wanted.next(), levels.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// What every name that the filter matches begins with.
pub(super) fn fixed_prefix(filter: &str) -> &str {
    let end = filter.find(['+', '#']).unwrap_or(filter.len());
    let fixed = &filter[..end];
    // `a/#` also matches `a`, which has no slash at its end.
    if filter[end..].starts_with('#') { fixed.strip_suffix('/').unwrap_or(fixed) } else { fixed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_specification_says() {
        for (filter, name, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("sport/#", "sports", false),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/x", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/x", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("ACCOUNTS", "Accounts", false),
            ("a//b", "a//b", true),
            ("a/+/b", "a//b", true),
            ("#", "a/b/c", true),
        ] {
            assert_eq!(matches(filter, name), expected, "{filter} {name}");
            if expected {
                assert!(name.starts_with(fixed_prefix(filter)), "{filter} {name}");
            }
        }
    }
}
