//! What options take, and what is said of those that are wrong.

use super::*;

#[test]
fn durations_and_sizes_read_as_people_write_them() {
    assert_eq!(parse_duration("10 seconds"), Some(Duration::from_secs(10)));
    assert_eq!(parse_duration("1 hour 30 minutes"), Some(Duration::from_secs(5400)));
    assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
    for bad in ["", "10", "ten seconds", "10 parsecs", "99999999999999999999 s", "9999999999999999 w"] {
        assert_eq!(parse_duration(bad), None, "{bad}");
    }
    assert_eq!(parse_size("64MiB"), Some(64 << 20));
    assert_eq!(parse_size("1 GB"), Some(1_000_000_000));
    assert_eq!(parse_size("18446744073709551615 KiB"), None);
}

#[test]
fn an_unknown_option_names_the_nearest_and_lists_all() {
    const SPEC: ConnectorSpec = ConnectorSpec {
        name: "t",
        kind: ConnectorKind::Source,
        summary: "",
        delivery: "",
        options: &[OptionSpec {
            name: "startingOffsets",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "",
        }],
        prefixes: &["kafka."],
        example: "",
    };
    let raw = BTreeMap::from([("startingOfsets".to_owned(), "latest".to_owned())]);
    let problems = Options::parse(&SPEC, &raw).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].1.hint().contains("Did you mean `startingOffsets`?"));
}
