"""What windows cost, beside Spark and Flink, and what the state behind them costs. Each function fills its part of the facts.

The topics' sizes follow from the number of the plant's events, so that a trial with few of them is small in all its parts.
"""

import csv
import datetime
import glob
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

import measure
from work import PLANT, SERVICES, TOLD, added, fresh, say

PAUSE = 21  # seconds: a window's length and the watermark's delay, so that what comes after closes all that came before
LAST = 1000  # events that come after it
EPOCHS = 20  # of the runs with and without a checkpoint on disk
KEY_EPOCHS = 200  # epochs of a state that holds all its keys
ROUNDS = 3
CLOSE_ROUNDS = 15  # of what differs by little
KILLS = 7
PANES, SLIDE = 60, 10  # panes of the sliding window, seconds of one
HOUR = 3600
STATE_PARTS = ("compactionWaitUs", "operatorsUs", "changelogUs", "updatesUs")  # of an epoch, in its report
WATERMARK = ("timestamp_seconds(timestamp)", "10 seconds")
WINDOWS = (
    "SELECT window.start AS start, device_id, avg(temperature) AS mean, max(humidity) AS most, count(*) AS n FROM iot "
    "GROUP BY window(timestamp_seconds(timestamp), {}), device_id"
)
TUMBLING = WINDOWS.format("'10 seconds'")
KEYS = "key STRING, reading DOUBLE, timestamp INT"
BY_KEY = (
    "SELECT window.start AS start, key, avg(reading) AS mean, max(reading) AS most, count(*) AS n FROM iot "
    "GROUP BY window(timestamp_seconds(timestamp), '1 day'), key"
)


def fill(bench, count):
    """The plant's topic: all but the last events as fast as they go, and these after a pause that closes the windows."""
    if count <= LAST:
        raise measure.Failed(f"the windows need more than {LAST} events")
    cost = bench.fill("plant", count - LAST, "plant")
    time.sleep(PAUSE)
    bench.fill("plant", LAST, "plant", seed=2)
    return cost


def lake(table, sql, more=""):
    return f"  lake:\n    sql: \"{sql}\"\n    format: delta\n    options:\n      path: {table}\n{more}"


def forebay(bench, topic, sql, name, *more, most=None, schema=PLANT, checkpoint=None):
    """One run of Forebay's windows over a topic into a fresh folder."""
    home = fresh(f"{bench.dir}/forebay-{name}")
    table, elsewhere = f"{home}/table", f"      checkpointLocation: {checkpoint}\n" if checkpoint else ""
    query = lake(table, sql, elsewhere)
    file = bench.pipeline(f"{home}/pipeline.yaml", bench.kafka, topic, schema, query, most=most, watermark=WATERMARK)
    return bench.run(file, home, table, f"forebay-{name}", *more)


def flink(bench, topic):
    home = fresh(f"{bench.dir}/flink-windows")
    command = [f"{SERVICES}/flink-python.sh", "scripts/bench/flink_job.py", bench.kafka, topic, f"{home}/table"]
    return measure.measured(command, bench.log("flink-windows")) | {"table": f"{home}/table"}


def totals(bench, table):
    """Windows and events of a Delta table, and what the check says of each device."""
    groups = bench.groups(table, "windows")
    return {"windows": sum(int(g[1]) for g in groups), "n": sum(int(g[2]) for g in groups), "groups": groups}


def flink_totals(folder, last):
    """All events in Flink's files, and what the check says of each device, by the windows that begin at `last` or before."""
    devices, total = {}, 0
    for path in glob.glob(f"{folder}/**/*", recursive=True):
        if os.path.isdir(path):
            continue
        with open(path, newline="") as file:
            for start, device, mean, most, n in csv.reader(file):
                at = int(datetime.datetime.fromisoformat(start).replace(tzinfo=datetime.timezone.utc).timestamp())
                total += int(n)
                if at <= last:
                    had = devices.get(device, (0, 0, 0.0, 0, 0, 0))
                    hundredths = had[3] + round(float(mean) * int(n) * 100)
                    devices[device] = (had[0] + 1, had[1] + int(n), max(had[2], float(most)), hundredths, had[4] + at, max(had[5], at))
    return total, devices


def compared(bench, facts):
    """Forebay, Spark and Flink in turn over the plant's topic; what closed must be the same in all three."""
    count, runs, told = facts["events"]["plant"], {"forebay": [], "spark": [], "flink": []}, None
    work = {
        "forebay": lambda: forebay(bench, "plant", TUMBLING, "windows"),
        "spark": lambda: bench.spark("plant", "plant", "windows", "windows"),
        "flink": lambda: flink(bench, "plant"),
    }
    rounds = facts["rounds"] | {"flink": facts["rounds"]["spark"]}
    for number in range(1, max(rounds.values()) + 1):
        for name in [name for name in work if number <= rounds[name]]:
            say(f"windows: {name}, round {number} of {rounds[name]} …")
            run = work[name]()
            say(f"windows: {name}: {run['wall']:.1f} s, {run['cpu']:.1f} CPU-s, {run['peak'] / 1e6:.0f} MB")
            runs[name].append(run)
            if name == "flink":
                same_in_flink(run["table"], told, count)
            else:
                had, told = told, totals(bench, run["table"])
                if not told["windows"] or had not in (None, told):
                    raise measure.Failed(f"windows: {name} has {told['windows']} windows of {told['n']} events, not those of the first run")
    bench.spark_check([(runs["forebay"][-1]["table"], runs["spark"][-1]["table"], "windows")])
    forebay(bench, "plant", TUMBLING, "windows-told", *TOLD)
    durations = added(bench.progress("forebay-windows-told"))
    for name in runs:
        shutil.rmtree(runs[name][-1]["table"], ignore_errors=True)
    return {"runs": runs, "durations": durations, "windows": told["windows"], "n": told["n"]}


def same_in_flink(folder, told, count):
    """Flink closes all windows at the end: those that are closed in the others must be equal, and no event may be missing."""
    theirs = {
        device: (int(windows), int(n), float(most), int(hundredths), int(starts), int(last))
        for device, windows, n, most, hundredths, starts, last in told["groups"]
    }
    total, devices = flink_totals(folder, max(one[5] for one in theirs.values()))
    if total != count or devices != theirs:
        raise measure.Failed(f"windows: Flink has {total} events of {count}, or the windows that are closed differ from Forebay's")


def checkpointing(bench, facts):
    """The same run with its checkpoint on the disk and in memory, in epochs of a twentieth of the topic."""
    count = facts["events"]["plant"]
    memory = tempfile.mkdtemp(prefix="forebay-bench-", dir="/dev/shm")
    found, first = {"epochs": EPOCHS, "most": -(-count // EPOCHS), "disk": [], "memory": [], "parts": []}, None
    try:
        for number in range(1, CLOSE_ROUNDS + 1):
            # Whoever comes first in a round comes second in the next.
            for place in ("disk", "memory")[:: 1 if number % 2 else -1]:
                name = f"checkpoint-{place}"
                where = f"{bench.dir}/forebay-{name}/checkpoint" if place == "disk" else f"{fresh(memory)}/checkpoint"
                run = forebay(bench, "plant", TUMBLING, name, *TOLD, most=found["most"], checkpoint=where)
                say(f"checkpoint, {place}, round {number} of {CLOSE_ROUNDS}: {run['wall']:.2f} s, {run['cpu']:.1f} CPU-s")
                groups = bench.groups(run["table"], "windows")
                first = first or groups
                if groups != first:
                    raise measure.Failed(f"checkpoint, {place}: other windows than in the first run")
                found[place].append(run)
                if place == "disk":
                    found["parts"].append(checkpoint_parts(bench.progress(f"forebay-{name}")))
    finally:
        shutil.rmtree(memory, ignore_errors=True)
    return found


def checkpoint_parts(reports):
    """What of the epochs' time went into making plans, state and commits durable, in milliseconds; reports leave out what is
    less than one, so each is counted up."""
    told, count = added(reports), len(reports)
    state = sum(one["commitTimeMs"] for report in reports for one in report["stateOperators"])
    whole = sum(report["batchDuration"] for report in reports)
    parts = {"plan": told["walCommit"], "state": state, "commit": told["commitOffsets"]}
    return {"epochs": count, "all": whole} | {name: took + count for name, took in parts.items()}


def key_counts(facts):
    """Keys of the large state and of the small one: a twentieth of the events, a million at most, and one in a hundred of them."""
    many = min(1_000_000, facts["events"]["plant"] // 20)
    return many // 100 * 100, many // 100


def fill_keys(bench, facts):
    many, few = key_counts(facts)
    for topic, keys in (("keys-many", many), ("keys-few", few)):
        bench.make_topic(bench.kafka, topic, partitions=1)
        send = [f"{SERVICES}/python.sh", "scripts/bench/send_keys.py", bench.kafka, topic, str(keys), str(few), str(KEY_EPOCHS)]
        measure.measured(send, bench.log(f"fill-{topic}"))


def epochs(bench, facts):
    """The time of an epoch that changes as many keys in a large state as in a small one. No window closes."""
    many, few = key_counts(facts)
    found = {"many": many, "few": few, "epochs": KEY_EPOCHS, "times": {"keys-many": [], "keys-few": []}, "bytes": {}}
    for number in range(1, ROUNDS + 1):
        for topic, keys in (("keys-many", many), ("keys-few", few)):
            forebay(bench, topic, BY_KEY, topic, *TOLD, most=few, schema=KEYS)
            reports = [one for one in bench.progress(f"forebay-{topic}") if one["numInputRows"]][-KEY_EPOCHS - 1:]
            states = [report["stateOperators"][0] for report in reports[1:]]
            if len(states) != KEY_EPOCHS or any((one["numRowsTotal"], one["numRowsUpdated"]) != (keys, few) for one in states):
                raise measure.Failed(f"{topic}: not {KEY_EPOCHS} epochs that change {few} of {keys} keys: {states[:1]}")
            took = sorted((after["told"] - before["told"]) * 1000 for before, after in zip(reports, reports[1:]))
            found["times"][topic].append({
                "mean": sum(took) / len(took), "p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)], "most": took[-1],
                **{part: sum(state["customMetrics"][part] for state in states) / len(took) / 1000 for part in STATE_PARTS},
            })
            found["bytes"][topic] = states[-1]["memoryUsedBytes"]
            say(f"{keys} keys, {few} changed, round {number} of {ROUNDS}: {found['times'][topic][-1]['mean']:.1f} ms an epoch")
    return found


def newest_commit(checkpoint):
    """The number of the newest epoch whose commit is in the journal; -1 if there is none."""
    mark = b' {"commit":{"epoch":'
    try:
        with open(f"{checkpoint}/journal", "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 16_384))
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return -1
    return max((int(line.split(mark)[1].split(b",")[0].rstrip(b"}")) for line in lines if mark in line), default=-1)


def await_commit(process, checkpoint, epoch, limit, log):
    by = time.monotonic() + limit
    while newest_commit(checkpoint) < epoch:
        if time.monotonic() > by or process.poll() is not None:
            raise measure.Failed(f"epoch {epoch} was not committed: {measure.tail(log)}")
        time.sleep(0.001)


def recovery(bench, facts):
    """From a kill -9 with all keys held to the first commit of the run that follows, in seconds."""
    many, few = key_counts(facts)
    home, log, rng = fresh(f"{bench.dir}/recovery"), bench.log("recovery"), random.Random(5)
    checkpoint = f"{home}/checkpoint"
    query = lake(f"{home}/table", BY_KEY, f"      checkpointLocation: {checkpoint}\n")
    file = bench.pipeline(f"{home}/pipeline.yaml", bench.kafka, "keys-many", KEYS, query, most=few, watermark=WATERMARK)
    command = bench.command(file, home)
    process, found = measure.start(command, log), {"keys": many, "took": [], "held": [], "state": 0}
    await_commit(process, checkpoint, many // few, 300, log)
    for number in range(1, KILLS + 1):
        await_commit(process, checkpoint, newest_commit(checkpoint) + rng.randint(2, 15), 60, log)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        measure.running.discard(process)
        last = newest_commit(checkpoint)
        process = measure.start(command, log)
        await_commit(process, checkpoint, last + 1, 60, log)
        found["took"].append(time.monotonic() - began)
        say(f"kill {number} of {KILLS} after epoch {last}: the next is committed after {found['took'][-1]:.3f} s")
    measure.stop(process)
    found["state"] = sum(os.path.getsize(path) for path in glob.glob(f"{checkpoint}/state/*") if os.path.isfile(path))
    return found


def sliding(bench, facts):
    """CPU of a sliding window of many panes and of one that tumbles and is as long as a slide."""
    devices = max(10, min(1000, facts["events"]["plant"] // 20_000))
    bench.make_topic(bench.kafka, "hour")
    send = [f"{SERVICES}/python.sh", "scripts/bench/send_hour.py", bench.kafka, "hour", str(devices), str(HOUR)]
    measure.measured(send, bench.log("fill-hour"))
    closed = (HOUR - 1 - 10) // SLIDE  # the watermark is 10 seconds behind the last second
    work = {
        "tumbling": (f"'{SLIDE} seconds'", devices * SLIDE * closed),
        "sliding": (f"'{PANES * SLIDE} seconds', '{SLIDE} seconds'", devices * SLIDE * sum(min(end, PANES) for end in range(1, closed + 1))),
    }
    found = {"devices": devices, "events": devices * HOUR, "windows": devices * closed, "most": devices * 100, "tumbling": [], "sliding": []}
    for number in range(1, ROUNDS + 1):
        for name, (window, events) in work.items():
            run = forebay(bench, "hour", WINDOWS.format(window), name, most=found["most"])
            found[name].append(run)
            say(f"{name}, round {number} of {ROUNDS}: {run['wall']:.2f} s, {run['cpu']:.2f} CPU-s")
            seen = totals(bench, run["table"])
            if (seen["windows"], seen["n"]) != (devices * closed, events):
                raise measure.Failed(f"{name}: {seen['windows']} windows with {seen['n']} events, not {devices * closed} with {events}")
    return found


def all_of_it(bench, facts):
    found = {"compared": compared(bench, facts), "checkpointing": checkpointing(bench, facts)}
    fill_keys(bench, facts)
    return found | {"epochs": epochs(bench, facts), "recovery": recovery(bench, facts), "sliding": sliding(bench, facts)}
