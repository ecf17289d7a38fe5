//! What is taken and refused on the command line, and what help shows.

use super::*;

#[test]
fn a_refused_value_names_its_option_and_what_it_takes() {
    for (line, parts) in [
        ("forebay simulate --corrupt 5", ["--corrupt", "0 (none) to 1 (all)"]),
        ("forebay simulate --late=-0.1", ["--late", "0 (none) to 1 (all)"]),
        ("forebay simulate --duplicate NaN", ["--duplicate", "0 (none) to 1 (all)"]),
        ("forebay simulate --rate=-1", ["--rate", "events a second"]),
        ("forebay simulate --rate inf", ["--rate", "events a second"]),
        ("forebay simulate --devices 0", ["--devices", "1.."]),
        ("forebay simulate --partitions 0", ["--partitions", "1.."]),
        ("forebay demo --for 10", ["--for", "30 seconds"]),
        ("forebay run x.yaml --trigger soon", ["--trigger", "availableNow"]),
        ("forebay query x --timeout soon", ["--timeout", "30 seconds"]),
        ("forebay query x --memory much", ["--memory", "2GiB"]),
        ("forebay simulate --compression lzz", ["--compression", "zstd"]),
        ("forebay log topics -X ssl", ["--option", "KEY=VALUE"]),
        ("forebay log topics -X =ssl", ["--option", "KEY=VALUE"]),
        ("forebay demo --log-level inof", ["--log-level", "info"]),
        ("forebay demo --log-level forebay_engine=loud", ["--log-level", "forebay_engine=debug"]),
        ("forebay run x.yaml --kafka localhost", ["--kafka", "localhost:9092"]),
        ("forebay run x.yaml --http 8080", ["--http", "localhost:8080"]),
        ("forebay why row --pipeline x --key d --at noon", ["--at", "2026-11-21T12:00:00Z"]),
        ("forebay schema infer t -n 0", ["--records", "1..=1000000"]),
        ("forebay run x.yaml --monitor here", ["--monitor", "127.0.0.1:9464"]),
        ("forebay run x.yaml --tls-cert server.pem", ["--tls-key", "required"]),
        ("forebay token new --name ana --role root", ["--role", "viewer, operator, admin"]),
        ("forebay token new --name a/b --role viewer", ["--name", "letters, digits"]),
        ("forebay token new --name a --role viewer --expires soon", ["--expires", "2030-12-31"]),
        ("forebay token new --name a --role viewer --expires 2020-01-01", ["--expires", "that is past"]),
        ("forebay token new --name a --role viewer --expires 0000-01-01", ["--expires", "year 10000"]),
        ("forebay token new --name a --role viewer --expires 9999999-01-01", ["--expires", "year 10000"]),
        ("forebay token new --role viewer --name null", ["--name", "a letter or digit, then letters"]),
        ("forebay token new --role viewer --name @", ["--name", "neither `null` nor what begins"]),
        ("forebay token new --role viewer --name ", ["--name", "a letter or digit, then letters"]),
        ("forebay token new --role viewer --name a\u{7}", ["--name", "a letter or digit, then letters"]),
        ("forebay produce -t t --header =x", ["--header", "NAME=VALUE"]),
        ("forebay produce -t t --partition=-1", ["--partition", "0.."]),
        ("forebay produce -t t --timeout 5", ["--timeout", "30 seconds"]),
        ("forebay produce -t t -k a -K b", ["--key", "--key-separator"]),
        ("forebay produce -t t --whole -K b", ["--whole", "--key-separator"]),
        ("forebay simulate --shift", ["--samples", "required"]),
        ("forebay simulate --samples a --devices 3", ["--samples", "--devices"]),
        ("forebay simulate --device-files a --values wander", ["--device-files", "--values"]),
        ("forebay log serve --listen :9092", ["--listen", "127.0.0.1:9092"]),
    ] {
        let refused = Cli::try_parse_from(line.split(' ')).unwrap_err();
        let said = refused.to_string();
        assert_eq!(refused.exit_code(), 2, "{line}");
        assert!(parts.iter().all(|part| said.contains(part)), "{line}: {said}");
    }
    let run = Cli::try_parse_from(["forebay", "run", "x.yaml", "--trigger", "2 seconds"]).unwrap();
    let Command::Run(args) = run.command else { panic!("another command") };
    assert_eq!(args.trigger, Some(Trigger::ProcessingTime(Duration::from_secs(2))));
    assert!(Cli::try_parse_from(["forebay", "demo", "--log-level", "warn,forebay_engine=debug"]).is_ok());
}

#[test]
fn who_knows_kafkas_tools_knows_the_letters() {
    let line = "forebay produce -b a:1 -t t -k key -H a=b=c -H d -p 2 -z zstd -X linger.ms=1";
    let Command::Produce(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
        panic!("another command")
    };
    assert_eq!(args.broker.bootstrap.as_deref(), Some("a:1"));
    assert_eq!((args.topic.as_str(), args.key.as_deref(), args.partition), ("t", Some("key"), Some(2)));
    assert_eq!(args.headers, [("a".to_owned(), Some("b=c".to_owned())), ("d".to_owned(), None)]);
    assert_eq!(args.compression.as_deref(), Some("zstd"));
    let line = "forebay produce --bootstrap-server a:1 --topic t";
    assert!(Cli::try_parse_from(line.split(' ')).is_ok());
}

#[test]
fn help_tells_what_is_a_commands_own_before_what_all_take() {
    for command in [&["run"][..], &["simulate"], &["produce"], &["log", "tail"], &["quarantine", "ls"]] {
        let line = ["forebay"].iter().chain(command).chain(&["--help"]);
        let help = Cli::try_parse_from(line).unwrap_err().to_string();
        let at = |part: &str| help.find(part).unwrap_or_else(|| panic!("{command:?}: no `{part}` in {help}"));
        assert!(at("\nOptions:") < at("\nOptions of every command:"), "{help}");
        assert!(at("--data <DIR>") > at("\nOptions of every command:"), "{help}");
    }
}

#[test]
fn a_time_is_read_as_people_and_logs_write_it() {
    let noon = 1_795_262_400_000;
    for text in [
        "2026-11-21T12:00:00Z",
        "2026-11-21 13:00:00+01:00",
        "2026-11-21 12:00",
        "1795262400",
        "1795262400000",
    ] {
        assert_eq!(values::moment(text), Ok(noon), "{text}");
    }
    assert!(values::moment("2026-13-01 12:00").is_err());
}
