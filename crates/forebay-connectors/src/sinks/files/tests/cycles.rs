//! Cycles on a real folder: what is in the archives and what is still in the folder is everything, once.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::clock::{Clock, ManualClock};
use forebay_core::cycle::{Cut, Cycle, Entry, Template};
use forebay_core::sink::Sink;
use forebay_core::{Partition, Position, Positions, Zone};
use forebay_storage::{Door, FAULTS_BUILT_IN, lines};

use super::super::{Cycles, Cycling, archives};
use super::{CSV, Options, PARQUET, conformance, id, rows, sink_with, visible, write_epochs};
use crate::sinks::scratch::Scratch;

const EPOCHS: u64 = 6;

fn cycle(format: &str, repeat: Option<u64>) -> Cycle {
    Cycle {
        every: Duration::from_secs(120),
        header: true,
        archive: Template::read(&format!("backup/{{name}}_{{yyyyMMdd_HHmmss}}.{format}")).unwrap(),
        clean: true,
        repeat,
        zone: Zone::UTC,
    }
}

/// Plays the engine from wherever the folder stands: an epoch a minute, a cycle every two.
async fn play(root: &Path, format: &str, cycle: &Cycle, until: u64) -> bool {
    let (output, checkpoint) = (root.join("output"), root.join("checkpoint"));
    Door::new().create_dir_all(&checkpoint).unwrap();
    let path = output.display().to_string();
    let raw = [("path".to_owned(), path)].into();
    let options = Options::parse(if format == "csv" { &CSV } else { &PARQUET }, &raw).unwrap();
    let clock = ManualClock::at(0);
    let schema = conformance::schema();
    let of = Cycling {
        cycle,
        query: "q",
        format,
        options: &options,
        schema: &schema,
        checkpoint: &checkpoint,
        data_dir: root,
        zone: Zone::UTC,
    };
    let mut cycles = Cycles::new(&of, Door::new(), clock.clone() as Arc<dyn Clock>).unwrap();
    loop {
        let mut sink = sink_with(format, &output, &[]);
        sink.open(conformance::schema()).await.unwrap();
        let epoch = sink.last_epoch(&id(0).query_id).await.unwrap().map_or(0, |epoch| epoch.0 + 1);
        sink.close().await;
        drop(sink);
        clock.advance(i64::try_from(epoch * 60_000).unwrap() - clock.now_ms());
        let partition = Partition { input: 0, topic: "t".into(), index: 0 };
        let reached: Positions = [(partition, Position(i64::try_from(epoch).unwrap()))].into();
        if cycles.turn(Some(&reached)).unwrap().is_none() {
            return true;
        }
        if epoch >= until {
            return false;
        }
        let mut sink = sink_with(format, &output, &[]);
        sink.open(schema.clone()).await.unwrap();
        write_epochs(&mut sink, epoch..epoch + 1).await;
    }
}

/// The rows of the archives, each archive's by itself.
fn archived(root: &Path, format: &str) -> Vec<Vec<(i32, i64)>> {
    let read = |path: &Path| {
        let folder = Scratch::new();
        let copy = folder.path().join("part-copy");
        if format == "csv" {
            let text = fs::read_to_string(path).unwrap();
            let body = text.strip_prefix("lane,n\n").expect("one header");
            assert!(!body.contains("lane"), "{body}");
            fs::write(&copy, body).unwrap();
        } else {
            fs::copy(path, &copy).unwrap();
        }
        rows(format, folder.path())
    };
    visible(&root.join("backup")).iter().map(|path| read(path)).collect()
}

fn everything(root: &Path, format: &str) -> Vec<(i32, i64)> {
    let mut all: Vec<_> = archived(root, format).into_iter().flatten().collect();
    all.extend(rows(format, &root.join("output")));
    all.sort_unstable();
    all
}

fn expected(epochs: u64) -> Vec<(i32, i64)> {
    let epochs = i64::try_from(epochs).unwrap();
    (0..2)
        .flat_map(|lane| (0..epochs).flat_map(move |epoch| (0..10).map(move |n| (lane, epoch * 100 + n))))
        .collect()
}

#[tokio::test]
async fn every_two_minutes_become_one_file_and_no_row_is_in_two() {
    for format in ["csv", "parquet"] {
        let scratch = Scratch::new();
        let root = scratch.path();
        fs::create_dir(root.join("backup")).unwrap();
        // A file of somebody else's under the first archive's name.
        let taken = root.join(format!("backup/q_19700101_000200.{format}"));
        fs::write(&taken, "mine").unwrap();
        play(root, format, &cycle(format, None), EPOCHS).await;
        assert_eq!(fs::read_to_string(&taken).unwrap(), "mine");
        fs::remove_file(taken).unwrap();
        let found = archived(root, format);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [40, 40, 40], "{format}");
        assert_eq!(everything(root, format), expected(EPOCHS), "{format}");
        assert_eq!(visible(&root.join("output")).len(), 0, "{format}");
        let names: Vec<String> = visible(&root.join("backup"))
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names[0], format!("q_19700101_000200_1.{format}"));
        let made = archives(&root.join("checkpoint")).unwrap();
        let (told, last) = (&made.archives, &made.last);
        assert_eq!((told.len(), made.sums().0, made.sums().1), (3, 3, 120));
        let length = fs::metadata(root.join(&told[0].name)).unwrap().len();
        assert_eq!((told[0].rows, told[0].bytes, told[0].at_ms), (40, length, 120_000));
        assert!(matches!(last, Some(Entry::Begun { cycle: 3, .. })), "{last:?}");
    }
}

#[tokio::test]
async fn after_so_many_cycles_it_is_done_and_stays_so() {
    let scratch = Scratch::new();
    for _ in 0..2 {
        assert!(play(scratch.path(), "csv", &cycle("csv", Some(2)), EPOCHS).await);
        assert_eq!(archived(scratch.path(), "csv").len(), 2);
    }
    assert_eq!(everything(scratch.path(), "csv"), expected(4));
}

#[tokio::test]
async fn a_cycle_without_files_has_no_archive_and_an_altered_file_stops_it() {
    let scratch = Scratch::new();
    let root = scratch.path();
    play(root, "csv", &cycle("csv", None), 0).await;
    let (output, checkpoint) = (root.join("output"), root.join("checkpoint"));
    let options = Options::parse(&CSV, &[("path".to_owned(), output.display().to_string())].into()).unwrap();
    let (schema, cycle) = (conformance::schema(), cycle("csv", None));
    let of = Cycling {
        cycle: &cycle,
        query: "q",
        format: "csv",
        options: &options,
        schema: &schema,
        checkpoint: &checkpoint,
        data_dir: root,
        zone: Zone::UTC,
    };
    let clock = ManualClock::at(500_000);
    let mut cycles = Cycles::new(&of, Door::new(), clock.clone() as Arc<dyn Clock>).unwrap();
    assert_eq!(cycles.turn(Some(&Positions::new())).unwrap(), Some(Duration::from_secs(120)));
    assert!(!root.join("backup").exists());
    let mut sink = sink_with("csv", &output, &[]);
    sink.open(schema.clone()).await.unwrap();
    write_epochs(&mut sink, 0..1).await;
    drop(sink);
    let part = visible(&output)[0].clone();
    let good = fs::read(&part).unwrap();
    fs::write(&part, &good[1..]).unwrap();
    clock.advance(200_000);
    let error = cycles.turn(Some(&Positions::new())).unwrap_err();
    assert_eq!(error.code(), &forebay_core::error::codes::CYCLE);
    assert_eq!(visible(&output).len(), 2, "nothing was removed");
    // Also where its length is the same.
    let mut other = good.clone();
    other[2] ^= 1;
    fs::write(&part, &other).unwrap();
    let error = cycles.turn(Some(&Positions::new())).unwrap_err();
    assert_eq!(error.code(), &forebay_core::error::codes::CYCLE);
    assert_eq!((archived(root, "csv").len(), visible(&output).len()), (0, 2));
    // An epoch that is not committed keeps a cycle from its end; a file that was mended lets it end.
    fs::write(&part, &good).unwrap();
    cycles.turn(Some(&Positions::new())).unwrap();
    assert_eq!((archived(root, "csv").len(), visible(&output).len()), (1, 0));
}

/// Two queries of two pipelines whose archives have one name and the very same rows: each has its own.
#[tokio::test]
async fn an_archive_of_another_query_is_never_taken_for_ours() {
    let scratch = Scratch::new();
    let root = scratch.path();
    let (schema, cycle) = (conformance::schema(), cycle("csv", None));
    let clock = ManualClock::at(0);
    let cycles_of = |name: &str| {
        let (output, checkpoint) = (root.join(name), root.join(format!("checkpoint-{name}")));
        Door::new().create_dir_all(&checkpoint).unwrap();
        let options = [("path".to_owned(), output.display().to_string())].into();
        let of = Cycling {
            cycle: &cycle,
            query: "q",
            format: "csv",
            options: &Options::parse(&CSV, &options).unwrap(),
            schema: &schema,
            checkpoint: &checkpoint,
            data_dir: root,
            zone: Zone::UTC,
        };
        Cycles::new(&of, Door::new(), clock.clone() as Arc<dyn Clock>).unwrap()
    };
    let mut both = [cycles_of("a"), cycles_of("b")];
    for cycles in &mut both {
        cycles.turn(Some(&Positions::new())).unwrap();
    }
    for name in ["a", "b"] {
        let mut sink = sink_with("csv", &root.join(name), &[]);
        sink.open(schema.clone()).await.unwrap();
        write_epochs(&mut sink, 0..1).await;
    }
    clock.advance(120_000);
    for cycles in &mut both {
        cycles.turn(Some(&Positions::new())).unwrap();
    }
    assert_eq!(archived(root, "csv").iter().map(Vec::len).collect::<Vec<_>>(), [20, 20]);
    let left: Vec<_> =
        fs::read_dir(root.join("backup")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// A clock that is set back by an hour costs one cycle's time, not the hour.
#[tokio::test]
async fn cycles_go_on_when_the_clock_is_set_back() {
    let scratch = Scratch::new();
    let root = scratch.path();
    let (output, checkpoint) = (root.join("output"), root.join("checkpoint"));
    Door::new().create_dir_all(&checkpoint).unwrap();
    let options = Options::parse(&CSV, &[("path".to_owned(), output.display().to_string())].into()).unwrap();
    let (schema, cycle) = (conformance::schema(), cycle("csv", None));
    let of = Cycling {
        cycle: &cycle,
        query: "q",
        format: "csv",
        options: &options,
        schema: &schema,
        checkpoint: &checkpoint,
        data_dir: root,
        zone: Zone::UTC,
    };
    let clock = ManualClock::at(7_200_000);
    let mut cycles = Cycles::new(&of, Door::new(), clock.clone() as Arc<dyn Clock>).unwrap();
    cycles.turn(Some(&Positions::new())).unwrap();
    let mut sink = sink_with("csv", &output, &[]);
    sink.open(schema.clone()).await.unwrap();
    write_epochs(&mut sink, 0..1).await;
    drop(sink);
    clock.advance(-3_600_000);
    assert_eq!(cycles.turn(Some(&Positions::new())).unwrap(), Some(Duration::from_secs(120)));
    clock.advance(120_000);
    cycles.turn(Some(&Positions::new())).unwrap();
    assert_eq!(archived(root, "csv").len(), 1);
}

/// Run by the tests of deaths, in a process of its own.
#[tokio::test]
#[ignore = "a process that others start"]
async fn cycles_until_it_dies() {
    let Ok(root) = std::env::var("FILES_TEST_ROOT") else { return };
    let format = std::env::var("FILES_TEST_FORMAT").unwrap();
    play(Path::new(&root), &format, &cycle(&format, None), EPOCHS).await;
}

fn run_child(root: &Path, format: &str, environment: &[(&str, &str)]) -> bool {
    let name = format!("{}::cycles_until_it_dies", module_path!().split_once("::").unwrap().1);
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &name, "--ignored"]).envs(environment.iter().copied());
    child.env("FILES_TEST_ROOT", root).env("FILES_TEST_FORMAT", format);
    child.output().unwrap().status.success()
}

#[test]
fn whatever_step_of_a_cycle_it_dies_at_each_row_is_in_one_archive() {
    if !FAULTS_BUILT_IN {
        return;
    }
    for (number, point) in forebay_storage::CYCLE_KILL_POINTS.iter().enumerate() {
        let format = if number % 2 == 0 { "csv" } else { "parquet" };
        for (hit, mode) in [("1", "kill"), ("1", "lose"), ("2", "lose")] {
            let scratch = Scratch::new();
            let root = scratch.path();
            let at = format!("{point}:{hit}");
            let kill = [("FOREBAY_KILL_AT", at.as_str()), ("FOREBAY_KILL_MODE", mode)];
            assert!(!run_child(root, format, &kill), "{at} was not passed");
            // No half file under a final name.
            for rows in archived(root, format) {
                assert_eq!(rows.len(), 40, "{at} {mode}");
            }
            // Twice more: it dies there again while it recovers, as far as it comes there again.
            run_child(root, format, &kill);
            run_child(root, format, &kill);
            assert!(run_child(root, format, &[]), "{at} {mode}");
            assert_eq!(everything(root, format), expected(EPOCHS), "{at} {mode}");
            assert_eq!(archived(root, format).len(), 3, "{at} {mode}");
        }
    }
}

/// A journal of so many cycles that are over.
fn long_journal(root: &Path, cycles: u64) {
    let mut text = lines::header("forebay-cycles").into_bytes();
    for cycle in 0..cycles {
        let (at_ms, archive) = (0, Some(format!("backup/old_{cycle}.csv")));
        let cut = Cut { cycle, at_ms, stamp_us: 0, archive, rows: 7, next: Vec::new() };
        for entry in [
            Entry::Begun { cycle, at_ms },
            Entry::Cut(cut),
            Entry::Merged { cycle, bytes: 9, sha256: "0".repeat(64) },
            Entry::Archived { cycle, at_ms },
            Entry::Cleaned { cycle },
        ] {
            lines::push_line(&mut text, &serde_json::to_string(&entry).unwrap());
        }
    }
    Door::new().create_dir_all(&root.join("checkpoint")).unwrap();
    fs::write(root.join("checkpoint/cycles"), text).unwrap();
}

#[test]
fn a_journal_that_grew_long_is_shortened_and_a_death_costs_nothing_of_it() {
    for death in [None, Some("kill"), Some("lose")] {
        if death.is_some() && !FAULTS_BUILT_IN {
            continue;
        }
        let scratch = Scratch::new();
        let (root, journal) = (scratch.path(), scratch.path().join("checkpoint/cycles"));
        long_journal(root, 2_100);
        let before = fs::metadata(&journal).unwrap().len();
        if let Some(mode) = death {
            let at = forebay_storage::CYCLE_JOURNAL_KILL_POINT;
            let kill = [("FOREBAY_KILL_AT", at), ("FOREBAY_KILL_MODE", mode)];
            assert!(!run_child(root, "csv", &kill), "{mode} was not passed");
        }
        assert!(run_child(root, "csv", &[]), "{death:?}");
        assert!(fs::metadata(&journal).unwrap().len() < before * 2 / 3, "{death:?}");
        assert_eq!(everything(root, "csv"), expected(EPOCHS), "{death:?}");
        let made = archives(&root.join("checkpoint")).unwrap();
        assert_eq!(made.sums().0, 2_103, "{death:?}");
        assert_eq!(made.sums().1, 2_100 * 7 + 120, "{death:?}");
        assert_eq!(made.archives.last().unwrap().cycle, 2_102, "{death:?}");
        assert!(made.archives.len() < 1_100, "{death:?}");
    }
}

#[test]
fn a_disk_that_is_full_at_any_step_of_a_cycle_costs_nothing_but_time() {
    if !FAULTS_BUILT_IN {
        return;
    }
    for part in ["merging", "backup", "/cycles", "q_1970", "manifest-"] {
        for nth in 1..4 {
            let scratch = Scratch::new();
            let root = scratch.path();
            run_child(root, "csv", &[("FOREBAY_FAULT", &format!("enospc:{part}:{nth}"))]);
            for rows in archived(root, "csv") {
                assert_eq!(rows.len(), 40, "{part} {nth}");
            }
            assert!(run_child(root, "csv", &[]), "{part} {nth}");
            assert_eq!(everything(root, "csv"), expected(EPOCHS), "{part} {nth}");
        }
    }
}
