#!/usr/bin/env python3
"""Takes out one safeguard at a time and sees which test notices: an fsync, a `txn` check, a counter of the ledger.

    scripts/mutations.py            all of them, about two minutes each on two cores
    scripts/mutations.py --list
    scripts/mutations.py --check    whether each text to take out still stands there once; nothing is built
    scripts/mutations.py NAME ...   some of them

It works on a copy of the checkout beside the build folder and builds our own crates unoptimised there. A mutation that
no test notices is a failure: either the safeguard or its test is missing. Each entry names the tests that are run, so
that a round stays short.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STORAGE = "crates/forebay-storage/src/door.rs"
LOG = "crates/forebay-log/src/storage/"
DELTA = "crates/forebay-connectors/src/sinks/delta/"
S3 = "crates/forebay-connectors/src/s3/"
SOURCE = "crates/forebay-connectors/src/sources/kafka/"
KAFKA_SINK = "crates/forebay-connectors/src/sinks/kafka/"
POSTGRES = "crates/forebay-connectors/src/sinks/postgres/"
ENGINE = "crates/forebay-engine/src/"
RULES = "crates/forebay-rules/src/"
LIVE = "crates/forebay-live/src/"
SERVER = "crates/forebay-server/src/"
GATEWAY = "crates/forebay-gateway/src/"

HOT = ("forebay-connectors", "forebay-core", "forebay-live", "forebay-log", "forebay-storage")  # optimised by name in Cargo.toml

# name: (file, what stands there, what stands there instead, test binary arguments)
IT, LIB = ["--test", "it"], ["--lib"]
MUTATIONS = {
    "door.sync": (STORAGE, "self.file.sync_data()?;\n        #[cfg(feature = \"faults\")]\n        faults::file_synced(&self.path, self.len);", "", IT + ["faults", "log_crash"]),
    "door.sync_dir": (STORAGE, "File::open(dir)?.sync_all()?;\n        #[cfg(feature = \"faults\")]\n        faults::dir_synced(dir);", "", IT + ["faults", "log_crash"]),
    "door.stage: content": (STORAGE, "        file.append(bytes)?;\n        file.sync()?;\n        Ok(staged)", "        file.append(bytes)?;\n        Ok(staged)", IT + ["crash"]),
    "door.publish_new: folder": (STORAGE, "        self.sync_dir(parent_of(path))?;\n        self.remove_file(staged)", "        self.remove_file(staged)", IT + ["crash"]),
    "server: an open address": (SERVER + "lib.rs", "        listening.check()?;\n", "", LIB + ["tests::serving"]),
    "server: the role of a route": (SERVER + "access.rs", "if asker.role() < role {", "if asker.role() < role && false {", LIB + ["tests::access"]),
    "server: the origin of a change": (SERVER + "access.rs", "if single(headers, &header::ORIGIN) != Some(own.as_str()) {", "if single(headers, &header::ORIGIN) != Some(own.as_str()) && false {", LIB + ["tests::access"]),
    "server: the origin of what is sent": (SERVER + "routes/route.rs", "Verb::Post | Verb::Delete => Proof::Origin,", "Verb::Post | Verb::Delete => Proof::Nothing,", LIB + ["tests::access"]),
    "server: a token's share of readers": (SERVER + "live/seats.rs", "if *own >= MOST_READERS / SHARE {", "if *own >= MOST_READERS {", LIB + ["live::"]),
    "server: a token's share of views": (SERVER + "live/hub.rs", "if own.count() >= MOST_VIEWS / SHARE {", "if own.count() >= MOST_VIEWS {", LIB + ["live::"]),
    "server: a revoked token ends": (SERVER + "auth/file.rs", "before.iter().filter(is_gone).for_each(|old| old.ended.cancel());", "let _ = is_gone;", LIB + ["tests::sessions"]),
    "server: a stream ends with its session": (SERVER + "admit.rs", ".take_until(ended)", "", LIB + ["tests::sessions"]),
    "log: fsync before the answer": (LOG + "commit.rs", "    if let Err(e) = file.sync() {\n        return Err(core.fail(\"sync\", &active.path, &e));\n    }\n    kill_point(\"log.append.synced\");", "    kill_point(\"log.append.synced\");", LIB + ["storage::tests::faults"]),
    "log: folder of a new segment": (LOG + "commit.rs", "    if let Err(e) = core.door.sync_dir(&partition.dir) {\n        return Err(core.fail(\"sync\", &partition.dir, &e));\n    }\n", "", LIB + ["storage::tests::faults"]),
    "log: what a start finds": (LOG + "recovery.rs", "    file.sync().map_err(|e| LogError::io(\"sync\", &segment.path, &e))?;\n", "", LIB + ["storage::tests::durable"]),
    "log: its folder at a start": (LOG + "recovery.rs", "    core.door.sync_dir(dir).map_err(|e| LogError::io(\"sync\", dir, &e))?;\n", "", LIB + ["storage::tests::durable"]),
    "log: a torn tail": (LOG + "recovery.rs", "        file.truncate(at).map_err(|e| LogError::io(\"cut\", &segment.path, &e))?;\n", "", LIB + ["storage::tests::restart"]),
    "log: a torn tail of offsets": (LOG + "groups.rs", "            file.truncate(len).map_err(io)?;\n", "", LIB + ["storage::groups"]),
    "log: committed offsets": (LOG + "groups.rs", "        if let Err(e) = file.sync() {\n            return Err(self.core.fail(\"sync\", file.path(), &e));\n        }\n", "", LIB + ["storage::tests::durable"]),
    "log: committed offsets at a start": (LOG + "groups.rs", "        file.sync().map_err(io)?;\n", "", LIB + ["storage::tests::durable"]),
    "log: ids of producers": (LOG + "ids.rs", "            sealed::write(&self.door, &self.path, KIND, &reserved.to_be_bytes())?;\n", "", LIB + ["storage::tests::durable"]),
    "log: a transaction's decision": (LOG + "../server/txn/mod.rs", "        self.remember(at, id, decided, offsets).await?;\n", "        let _ = offsets;\n        self.known.lock().put(id, decided);\n", LIB + ["server::tests::crashes"]),
    "log: who may write in a transaction": (LOG + "producers.rs", "            self.transactions.check(header)?;\n", "", LIB + ["storage::tests::transactions", "server::tests::transactions"]),
    "log: aborted transactions at a start": (LOG + "recovery.rs", "aborted.extend(producers.end(&batch.header, marker).1)", "drop(producers.end(&batch.header, marker))", LIB + ["storage::tests::transactions"]),
    "log: readers stop at what is open": (LOG + "partition.rs", "let below = ends.end(isolation);", "let below = ends.latest;", LIB + ["storage::tests::transactions"]),
    "log: a topic's end": (LOG + "topic.rs", "core.door.sync_dir(dir).map_err(|e| core.fail(\"sync\", dir, &e))", "Ok(())", LIB + ["storage::tests::durable"]),
    "log: producers before retention": (LOG + "retention.rs", "        checkpoint(core, partition, &mut writer);\n", "", LIB + ["storage::tests::durable"]),
    "log: start before retention": (LOG + "retention.rs", "    match sealed::write(&core.door, &partition.start_path(), START, &start.to_be_bytes()) {", "    match Ok::<(), LogError>(()) {", LIB + ["storage::tests::retention"]),
    "gateway: an answer waits for the log": (GATEWAY + "mqtt/intake.rs", "-> Poll<()> {\n        if let Some(delivery)", "-> Poll<()> {\n        if self.first.is_some() {\n            return Poll::Ready(());\n        }\n        if let Some(delivery)", IT + ["gateways_kills"]),
    "gateway: QoS 2 outlives its connection": (GATEWAY + "mqtt/connection.rs", "let inbound = std::mem::take(&mut self.inbound);", "let inbound = Inbound::default();", IT + ["gateways_load"]),
    "delta: data file": (DELTA + "store.rs", "Self::Local(file) => file.sync().map_err(|e| fault::sync_failed(path, e)),", "Self::Local(_) => Ok(()),", LIB + ["sinks::delta::tests::deaths"]),
    "delta: data folder": (DELTA + "writer.rs", "folders.iter().try_for_each(|folder| table.store.sync_folder(folder))", "folders.iter().try_for_each(|_| Ok::<(), forebay_core::Error>(drop(table)))", LIB + ["sinks::delta::tests::deaths"]),
    "delta: version file": (DELTA + "store.rs", ".and_then(|()| file.sync().map_err(|e| fault::sync_failed(&staged, e)))", "", LIB + ["sinks::delta::tests::deaths"]),
    "s3: a version is taken once": (S3 + "mod.rs", "PutOptions::from(PutMode::Create)).await };\n        match wait(put)? {\n            Ok(put)", "PutOptions::from(PutMode::Overwrite)).await };\n        match wait(put)? {\n            Ok(put)", IT + ["s3::two_writers", "s3::an_answer"]),
    "s3: whose version stands there": (S3 + "mod.rs", "Ok((there == bytes).then_some(tag))", "Ok((there != there).then_some(tag))", IT + ["s3::an_answer"]),
    "s3: files of an unknown outcome stay": (DELTA + "store.rs", "                linking.begin();\n                let created", "                let created", IT + ["s3::an_answer"]),
    "s3: a server that passes over the condition": (S3 + "mod.rs", "Ok(_) if attempt == 0 => {}", "Ok(_) if attempt == 0 => return Ok(()),", IT + ["s3::who_must_not"]),
    "delta: log folder of a seen epoch": (DELTA + "mod.rs", "            self.sync_log().await?;\n            return Ok(Begun::AlreadyWritten);", "            return Ok(Begun::AlreadyWritten);", LIB + ["sinks::delta::tests::deaths", "sinks::delta::tests::others"]),
    "delta: txn asked at commit": (DELTA + "epoch.rs", "if ours.chain(known).max() >= Some(epoch) {", "if ours.chain(known).max() >= Some(epoch) && false {", LIB + ["sinks::delta::tests::deaths", "sinks::delta::tests::others"]),
    "delta: txn asked at begin": (DELTA + "mod.rs", "if newest >= Some(epoch_version(id)?) {", "if newest >= Some(epoch_version(id)?) && false {", LIB + ["sinks::delta::tests::deaths", "sinks::delta::tests::others"]),
    "delta: compaction asks for its files": (DELTA + "compact.rs", "Ok(if lost || change.table {", "Ok(if (lost && false) || change.table {", LIB + ["sinks::delta::tests::upkeep"]),
    "delta: what earlier runs left to do": (DELTA + "known.rs", "self.tidier.start(&left, self.table.clock.now_ms());", "let _ = left;", LIB + ["sinks::delta::tests::runs"]),
    "checkpoint: journal": (ENGINE + "checkpoint.rs", "self.journal.sync().map_err(|e| failed(&path, \"fsync\", e))", "Ok(())", IT + ["crash"]),
    "state: an epoch's changes": (ENGINE + "state/files.rs", "        self.file.sync().map_err(|e| failed(&path, \"fsync\", e))?;\n", "", LIB + ["state::tests::deaths"]),
    "state: a new file of changes": (ENGINE + "state/files.rs", "        file.sync().map_err(|e| failed(path, \"fsync\", e))?;\n", "", LIB + ["state::tests::deaths"]),
    "state: its name": (ENGINE + "state/files.rs", "        self.door.sync_dir(&self.dir).map_err(|e| failed(path, \"fsync\", e))?;\n", "", LIB + ["state::tests::deaths"]),
    "state: a replaced epoch": (ENGINE + "state/files.rs", "            self.file.truncate(self.end).map_err(|e| failed(&path, \"truncate\", e))?;\n", "", LIB + ["state::tests"]),
    "state: epochs that did not end": (ENGINE + "state/files.rs", "    cut(&door, dir, &listing, &loaded, next)?;\n", "", LIB + ["state::tests"]),
    "state: a snapshot": (ENGINE + "state/snapshot.rs", "    file.sync().map_err(|e| failed(staged, \"fsync\", e))?;\n    Ok(file.len())", "    Ok(file.len())", LIB + ["state::tests::deaths"]),
    "state: a snapshot's name": (ENGINE + "state/snapshot.rs", "    door.sync_dir(dir).map_err(|e| failed(dir, \"fsync\", e))?;\n", "", LIB + ["state::tests::deaths"]),
    "state: what was known before it is learned again": (ENGINE + "operators/detect.rs", "        let found = remembered(judge.as_mut(), table, &keys)?;\n        judge.judge(&numbers, time, inputs)?;", "        let found = table.find(&table.encode(&keys)?);\n        judge.judge(&numbers, time, inputs)?;", LIB + ["operators::tests::detect"]),
    "state: learning again": (ENGINE + "operators/detect.rs", "        judge.judge(&numbers, time, inputs)?;\n", "", LIB + ["operators::tests::detect"]),
    "state: checksums": (ENGINE + "state/frame.rs", "!is_whole || checksum(len, &self.body) != u32::from_le_bytes([c0, c1, c2, c3])", "!is_whole", LIB + ["state::tests::damage"]),
    "late rows: an epoch's": (ENGINE + "late.rs", "        file.sync().map_err(|e| failed(&self.path, e))?;\n        self.table.sync_dir()", "        let _ = file;\n        self.table.sync_dir()", IT + ["state_crash"]),
    "late rows: folder": (ENGINE + "late.rs", "        file.sync().map_err(|e| failed(&self.path, e))?;\n        self.table.sync_dir()", "        file.sync().map_err(|e| failed(&self.path, e))", IT + ["state_crash"]),
    "checkpoint: topic ids": (ENGINE + "epoch.rs", "        self.inputs.resume(&recovered.topics());\n", "        let _ = recovered.topics();\n", IT + ["topics::a_topic_made_anew_in"]),
    "source: planned of another topic": (SOURCE + "source.rs", "let (ranges, gone) = self.topics.part(ranges);", "let (ranges, gone) = (ranges.to_vec(), None);", IT + ["kafka::the_source_on_the_embedded_log_in_place"]),
    "source: ids move with positions": (SOURCE + "source.rs", "        self.topics.take(&self.settings.subscription, found);\n", "        self.topics.take(&self.settings.subscription, found);\n        self.topics.settle();\n", IT + ["kafka::the_source_on_the_embedded_log_in_place"]),
    "quarantine: entries": (ENGINE + "quarantine/lane.rs", "            file.sync().map_err(|e| failed(&self.path, e))?;\n", "            let _ = file;\n", IT + ["crash"]),
    "quarantine: folder": (ENGINE + "quarantine/lane.rs", "            self.quarantine.door.sync_dir(&self.quarantine.dir).map_err(|e| failed(&self.path, e))?;\n", "", IT + ["crash"]),
    "quarantine: what is resolved": (ENGINE + "quarantine/resolved.rs", "            file.append(&bytes)?;\n            file.sync()", "            file.append(&bytes)", IT + ["crash"]),
    "quarantine: its own epochs": (ENGINE + "quarantine.rs", " && *file.query_id == *self.query_id", "", LIB + ["quarantine::"]),
    "quarantine: others' requests": (ENGINE + "quarantine/requests.rs", "|id| *id.query_id != *self.query_id", "|id| *id.query_id != *self.query_id && false", LIB + ["quarantine::"]),
    "source: topics confirmed": (ENGINE + "epoch/attempt.rs", "        self.inputs.confirm(&plan.ranges).await?;\n", "", IT + ["topics::a_topic_made_anew_in_the_middle"]),
    "checkpoint: sink behind": ("crates/forebay-core/src/checkpoint.rs", "in_sink < written", "in_sink < written && false", LIB + ["checkpoint::"]),
    "postgres: epoch recognised": (POSTGRES + "begin.rs", "if newest >= Some(number) {", "if newest >= Some(number) && false {", IT + ["postgres::kills"]),
    "postgres: the epoch's row is locked": (POSTGRES + "begin.rs", "WHERE query_id = {query} FOR UPDATE", "WHERE query_id = {query}", IT + ["postgres::"]),
    "postgres: a row is refused for its own sake": (POSTGRES + "fault.rs", 'Some("22" | "23" | "44" | "P0")', 'Some("22" | "23" | "44" | "P0" | "42" | "25")', IT + ["postgres::"]),
    "postgres: late constraints": (POSTGRES + "load.rs", '        self.session.run("write rows", "SET CONSTRAINTS ALL IMMEDIATE").await?;\n', "", IT + ["postgres::refused"]),
    "postgres: the last row of a key wins": (POSTGRES + "statements.rs", "ORDER BY {keys}, ctid DESC{conflict}", "ORDER BY {keys}, ctid{conflict}", IT + ["postgres::upsert"]),
    "quarantine: rows that a sink refused": (ENGINE + "epoch/attempt.rs", "        self.set_aside(plan, lanes, &refused)?;\n", "        let _ = (lanes, &refused);\n", IT + ["postgres::refused"]),
    "ledger: rowsRefused": (ENGINE + "epoch/attempt.rs", "        ledger.rows_refused += refused.len() as u64;\n", "", IT + ["postgres::refused"]),
    "kafka sink: epoch recognised": (KAFKA_SINK + "mod.rs", "? >= Some(id.epoch) {", "? >= Some(id.epoch) && false {", IT + ["kafka_sink"]),
    "kafka sink: epoch in the transaction": (KAFKA_SINK + "writer.rs", "        transaction.mark(&self.mark_at(), offset, &mark::text(&id.query_name, &self.me)).await?;\n", "", IT + ["kafka_sink"]),
    "kafka sink: a new author after an abort": (KAFKA_SINK + "mod.rs", "        self.writer.leave();\n        match", "        match", IT + ["kafka_sink"]),
    "kafka sink: who was replaced": (KAFKA_SINK + "writer.rs", "            self.still_we(&calls).await?;\n", "            let _ = Self::still_we;\n", IT + ["kafka_sink"]),
    "kafka sink: a group that knows nothing": (KAFKA_SINK + "mark.rs", "let Some(known) = resumed.tried.max(resumed.written) else", "let Some(known) = resumed.tried.max(resumed.written).filter(|_| false) else", LIB + ["sinks::kafka"]),
    "kafka sink: batches of a transaction": ("crates/forebay-connectors/src/kafka/producer/sender.rs", "if transactional { builder.transactional() } else { builder }", "builder", IT + ["kafka_sink"]),
    "alerts: journal": (RULES + "journal.rs", "        file.sync().map_err(|e| failed(path, \"fsync\", e))?;\n        Ok(line.len() as u64)", "        Ok(line.len() as u64)", LIB + ["tests::deaths"]),
    "alerts: folder of a new journal": (RULES + "journal.rs", "        self.door\n            .sync_dir(self.path.parent().unwrap_or(Path::new(\".\")))\n            .map_err(|e| failed(&self.path, \"fsync\", e))?;\n", "", LIB + ["tests::deaths"]),
    "alerts: epoch recognised": (RULES + "sink.rs", "if state.last_epoch(&id.query_id) >= Some(id.epoch) {", "if state.last_epoch(&id.query_id) >= Some(id.epoch) && false {", LIB + ["tests::epochs", "tests::deaths"]),
    "alerts: a torn tail": (RULES + "journal.rs", "            file.truncate(good_len).map_err(|e| failed(&path, \"truncate\", e))?;\n", "", LIB + ["tests::epochs"]),
    "quarantine: requests filtered": (ENGINE + "quarantine/requests.rs", "|id| resolved.contains(id)", "|id| resolved.contains(id) && false", LIB + ["quarantine::"]),
    "live: a snapshot's content": (LIVE + "snapshot.rs", "        self.file.sync()?;\n", "", IT + ["live::"]),
    "live: a snapshot's name": (LIVE + "snapshot.rs", "        place.door.sync_dir(&place.folder)?;\n        for path", "        for path", IT + ["live::"]),
    "live: files of frames": (LIVE + "snapshot.rs", "    files.iter().try_for_each(|file| file.lock().sync())?;\n", "", LIB + ["snapshot::tests"]),
    "live: positions of the snapshot": (LIVE + "follower/restore.rs", "                    self.standing = restored.standing;\n", "                    self.standing.topics = restored.standing.topics;\n", LIB + ["follower::tests"]),
    "live: only damage is set aside": (LIVE + "follower/restore.rs", "if error.kind() == io::ErrorKind::InvalidData =>", "if error.kind() != io::ErrorKind::NotFound =>", LIB + ["follower::tests"]),
    "live: seconds leave once": (LIVE + "history/mod.rs", "self.coarse_mut().into_iter().for_each(|coarse| coarse.take(second * 1000, &frame, now_ms));", "let _ = frame;", LIB + ["history::tests"]),
    "http: what the kernel holds of a stream": ("crates/forebay-server/src/connections.rs", "    socket.set_send_buffer_size(SEND_BUFFER)?;\n", "    let _ = SEND_BUFFER;\n", LIB + ["tests::serving"]),
    "http: who waits makes room": ("crates/forebay-server/src/places.rs", "            make_room(&all);\n", "            let _ = make_room;\n", LIB + ["tests::serving", "places"]),
    "http: a turn only after the body": ("crates/forebay-server/src/ask.rs", "    let mut whole = Read::default();\n", "    let _early = Arc::clone(&state.turns).acquire_owned().await;\n    let mut whole = Read::default();\n", LIB + ["tests::routes"]),
} | {
    f"ledger: {counter}": (ENGINE + "epoch/lane.rs", line, "", IT + ["crash::kill_minus_nine_at_random", "quarantine", "decoding", "plant"])
    for counter, line in {
        "read": "        ledger.read += envelope.len() as u64;\n",
        "bytesRead": "        ledger.bytes_read += value_bytes(envelope);\n",
        "dropped": "                ledger.dropped += decoded.dropped;\n",
        "quarantined": "        ledger.quarantined += bad.len() as u64;\n",
        "filtered": "        ledger.filtered += fates.filtered;\n",
        "emitted": "            ledger.emitted += fates.emitted;\n",
        "rowsOut": "                    ledger.rows_out += rows.batch.num_rows() as u64;\n",
        "replayed": "            ledger.replayed += envelope.len() as u64;\n",
    }.items()
}


def copy(tree):
    """The files of the checkout as they are now; what has not changed keeps its time, so it is not built again."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        source, target = ROOT / name, tree / name
        if source.is_file() and not (target.is_file() and target.read_bytes() == source.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def run(tree, arguments):
    """True if the tests pass; with the names of those that failed."""
    env = os.environ | {"CARGO_INCREMENTAL": "1", "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0", "CARGO_TERM_COLOR": "never"}
    where = [a for a in arguments if a.startswith("--")] + [a for a in arguments if a == "it"]
    filters = [a for a in arguments if a not in where]
    plain = [part for name in HOT for part in ("--config", f"profile.release.package.{name}.opt-level=0")]
    command = ["cargo", "test", *plain, "--release", "--locked", "--workspace", "--features", "forebay/faults", "--no-fail-fast",
               *where, "--", "--test-threads=2", *filters]
    with tempfile.TemporaryFile("w+") as said:
        # A file, not a pipe: what a broken test leaves running must not keep us waiting. It goes with its session.
        process = subprocess.Popen(command, cwd=tree, env=env, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            process.wait(timeout=1200)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        said.seek(0)
        text = said.read()
    failed = sorted(set(re.findall(r"^test (\S+) \.\.\. FAILED", text, re.M)))
    ran = sum(int(n) for n in re.findall(r"^test result: .*?(\d+) passed", text, re.M)) + len(failed)
    if not ran:
        sys.exit(f"no test ran for {filters}:\n{text[-3000:]}")
    return failed


def forget(tree):
    """Takes our crates out of the build folder: it is shared with the checkout, whose files are older than what was built of mutated ones."""
    crates = [path.name for path in (tree / "crates").iterdir()]
    packages = [part for name in crates for part in ("-p", name)]
    subprocess.run(["cargo", "clean", "--release", "--quiet", *packages], cwd=tree, check=True)


def changed(name):
    """Why a mutation no longer fits the file that it is for; None if it does."""
    file, old, _, _ = MUTATIONS[name]
    count = (ROOT / file).read_text().count(old)
    return None if count == 1 else f"{name}: {file} has changed: the text to take out stands there {count} times"


def is_noticed(tree, name):
    file, old, new, arguments = MUTATIONS[name]
    path, text = tree / file, (ROOT / file).read_text()
    if why := changed(name):
        sys.exit(why)
    began = time.monotonic()
    path.write_text(text.replace(old, new))
    failed = run(tree, arguments)
    path.write_text(text)
    took = f"{time.monotonic() - began:.0f} s"
    print(f"{name}: {'noticed by ' + ', '.join(failed) if failed else 'NOT NOTICED'} ({took})", flush=True)
    return bool(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.list:
        print("\n".join(MUTATIONS))
        return 0
    if args.check:
        sys.exit("\n".join(filter(None, map(changed, MUTATIONS))) or 0)
    unknown = set(args.names) - set(MUTATIONS)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; --list tells the names")
    target = os.environ.get("CARGO_TARGET_DIR") or str(ROOT / "target")
    os.environ["CARGO_TARGET_DIR"] = os.path.abspath(target)
    tree = pathlib.Path(target).resolve().parent / "mutated"
    copy(tree)
    try:
        unnoticed = [name for name in args.names or MUTATIONS if not is_noticed(tree, name)]
    finally:
        forget(tree)
    if unnoticed:
        sys.exit(f"not noticed: {', '.join(unnoticed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
