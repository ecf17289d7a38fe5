//! Whatever dies when, every row is in the table once: the process at each kill point and at random, the server at random,
//! and both together. Between the good rows are some that do not decode and some that the table refuses.

use std::time::{Duration, Instant};

use forebay_storage::POSTGRES_KILL_POINTS;

use super::*;

/// The kill points of an epoch that appends rows of which none is refused, in their order.
fn points() -> Vec<&'static str> {
    let all = POSTGRES_KILL_POINTS.iter().copied();
    let points: Vec<_> =
        all.filter(|point| point.starts_with("sink.") && !point.contains(".merge.")).collect();
    assert_eq!(points.len(), 6, "{points:?}");
    points
}

/// Records that do not decode, between the events.
const BAD: u64 = EVENTS / 100;

/// Rows that the table refuses: one in a hundred.
const REFUSED: u64 = EVENTS / 100;

fn produce_good_and_bad(trial: &Trial) {
    let mut events = Vec::new();
    for (index, event) in proof_events(EVENTS).into_iter().enumerate() {
        events.push(event);
        if index % 100 == 50 {
            events.push(format!("{{\"device\": \"d{index}\", \"se"));
        }
    }
    trial.log.produce("mixed", &events);
}

/// Runs until it dies at a point; false if it came to its end without.
fn died_at(query: &Query, point: &str, hit: u32, mode: &str) -> bool {
    let mut command = query.command(&[]);
    let output = end_within(PATIENCE, armed(&mut command, &format!("{point}:{hit}"), mode));
    let died = died_there(output.status);
    assert!(died || output.status.success(), "{point}: {}", text(&output.stderr));
    died
}

/// All rows but those that the table refuses are in it once, these and the bad records are in the quarantine once, and the
/// ledger balances.
fn assert_mixed(trial: &Trial, query: &Query, table: &str, context: &str) {
    query.run();
    let rows = trial.server.proof_rows(&format!("public.{table}"));
    let expected = Verdict { lost: REFUSED, compared: EVENTS - REFUSED, ..Verdict::default() };
    assert_eq!(compare(&rows, EVENTS), expected, "{context}");
    let quarantined = query.quarantined();
    let count = |words: &str| quarantined.iter().filter(|entry| entry.contains(words)).count() as u64;
    assert_eq!(count("postgres.23514"), REFUSED, "{context}: each refused row once");
    assert_eq!(count("json."), BAD, "{context}: each bad record once");
    let ledger = &query.last_commit()["ledger"];
    // It counts records: one whose row was refused was emitted.
    let counts = ["read", "emitted", "quarantined"].map(|name| ledger[name].as_u64().unwrap());
    assert_eq!(counts, [EVENTS + BAD, EVENTS, BAD], "{context}: {ledger}");
}

/// Each point, with how often it is passed before the death and how the process dies.
fn deaths(points: &[&'static str], modes: &[&'static str]) -> Vec<(&'static str, u32, &'static str)> {
    let hits: &[u32] = if soak() { &[1, 2, 3] } else { &[2] };
    let of = |point: &&'static str| {
        let point = *point;
        modes.iter().flat_map(move |mode| hits.iter().map(move |hit| (point, *hit, *mode)))
    };
    points.iter().flat_map(of).collect()
}

#[test]
fn every_kill_point_leaves_every_row_once() {
    let trial = Trial::new();
    let points = [epoch_points(&[]), points()].concat();
    // Without a bad record nothing is written to the quarantine.
    let points: Vec<_> = points.into_iter().filter(|point| !point.starts_with("quarantine.")).collect();
    for (number, (point, hit, mode)) in deaths(&points, &["kill", "lose"]).into_iter().enumerate() {
        let (table, context) = (format!("t_{number}"), format!("{point}:{hit} {mode}"));
        let query = trial.copy(&table, &[]);
        assert!(died_at(&query, point, hit, mode), "{context}: the point was not reached");
        query.run();
        trial.assert_copied(&query, &table, &context);
    }
}

/// Every epoch has rows that the table refuses and records that do not decode.
#[test]
fn every_kill_point_between_refused_rows_leaves_each_in_its_place_once() {
    let trial = Trial::new();
    make_topic(trial.log.address, "mixed", 3);
    produce_good_and_bad(&trial);
    // An epoch of which a row was refused goes piece by piece, and so do those after it: they pass no whole COPY.
    let whole = points().into_iter().filter(|point| !point.contains(".copy."));
    let points: Vec<_> =
        whole.chain(["quarantine.write.after", "quarantine.refused.after", "epoch.outcome.after"]).collect();
    for (number, (point, hit, mode)) in deaths(&points, &["lose"]).into_iter().enumerate() {
        let (table, context) = (format!("t_{number}"), format!("{point}:{hit} {mode}"));
        trial.server.run_as_forebay(&format!(
            "CREATE TABLE public.{table} (device text, seq bigint CHECK (seq % 100 <> 7), hash text)"
        ));
        let query = trial.copy(&table, &[]);
        query.change("subscribe: events", "subscribe: mixed");
        assert!(died_at(&query, point, hit, mode), "{context}: the point was not reached");
        assert_mixed(&trial, &query, &table, &context);
    }
}

#[test]
fn dying_again_and_again_during_recovery_leaves_every_row_once() {
    let trial = Trial::new();
    let query = trial.copy("t", &["key: seq"]);
    let deaths = [
        "sink.postgres.commit.after",
        "sink.postgres.begin.after",
        "sink.postgres.commit.before",
        "epoch.commit.before",
        "epoch.commit.before",
    ];
    for point in deaths {
        assert!(died_at(&query, point, 1, "lose"), "recovery itself must die at {point}");
    }
    query.run();
    trial.assert_copied(&query, "t", "after five deaths");
}

/// The table is made by the first run: a death between its making and the first rows must not stand in the way of the next.
#[test]
fn a_death_in_the_first_epoch_leaves_a_table_that_the_next_run_takes() {
    let trial = Trial::new();
    for (number, point) in points().into_iter().enumerate() {
        let table = format!("t_{number}");
        let query = trial.copy(&table, &["key: device, seq"]);
        assert!(died_at(&query, point, 1, "lose"), "{point}: not reached");
        query.run();
        trial.assert_copied(&query, &table, point);
    }
}

fn seed() -> u64 {
    let given = std::env::var("FOREBAY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    seed
}

/// Events come all the time, so that every kill meets an epoch; each round is other ones.
#[test]
fn kill_minus_nine_at_random_moments_under_load_leaves_every_row_once() {
    const A_ROUND: u64 = 3_000;
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let rounds: u64 = if soak() { 200 } else { 20 };
    let trial = Trial { log: LogServer::start(), server: Postgres::start() };
    make_topic(trial.log.address, "events", 3);
    let query = trial.copy("t", &["key: seq"]);
    query.change(&format!("maxOffsetsPerTrigger: {PER_EPOCH}"), "maxOffsetsPerTrigger: 20");
    let events = proof_events(A_ROUND * rounds);
    let (mut sent, mut in_the_middle) = (0, 0);
    for part in events.chunks(A_ROUND as usize) {
        trial.log.produce("events", part);
        sent += A_ROUND;
        let mut process = query.running().process;
        std::thread::sleep(Duration::from_millis(random.u64(20..400)));
        process.signal("KILL");
        process.child.wait().unwrap();
        in_the_middle += u64::from(trial.server.count("public.t") < sent);
        if random.u8(0..4) == 0 {
            trial.server.kill();
            trial.server.again();
        }
    }
    assert!(
        in_the_middle > rounds / 2,
        "seed {seed}: only {in_the_middle} of {rounds} kills met rows on their way"
    );
    query.change("maxOffsetsPerTrigger: 20", "maxOffsetsPerTrigger: 20000");
    query.run();
    let context = format!("seed {seed}");
    assert_exactly_once(&trial.server.proof_rows("public.t"), A_ROUND * rounds, &context);
    assert_ledger(&query.last_commit()["ledger"], A_ROUND * rounds);
}

/// The server crashes again and again while the process goes on: what was committed stays, and nothing comes twice.
#[test]
fn a_server_that_crashes_under_load_has_every_row_once() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let trial = Trial { log: LogServer::start(), server: Postgres::start() };
    let count: u64 = 40_000;
    trial.log.produce("events", &proof_events(count));
    let query = trial.copy("t", &[]);
    query.change(&format!("maxOffsetsPerTrigger: {PER_EPOCH}"), "maxOffsetsPerTrigger: 100");
    let running = query.running();
    for round in 0..if soak() { 30 } else { 5 } {
        std::thread::sleep(Duration::from_millis(random.u64(50..1_000)));
        if round % 2 == 0 {
            trial.server.kill()
        } else {
            trial.server.crash()
        }
        std::thread::sleep(Duration::from_millis(random.u64(0..1_500)));
        trial.server.again();
    }
    let deadline = Instant::now() + 4 * PATIENCE;
    while trial.server.count("public.t") < count {
        assert!(Instant::now() < deadline, "seed {seed}: the rows do not come");
        std::thread::sleep(Duration::from_millis(200));
    }
    running.is_well();
    assert!(running.process.stop().0, "seed {seed}");
    assert_exactly_once(&trial.server.proof_rows("public.t"), count, &format!("seed {seed}"));
    assert_ledger(&query.last_commit()["ledger"], count);
}
