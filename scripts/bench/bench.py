"""Runs the whole benchmark in order and hands what it measured to the page. Started by run.sh."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import alerts
import gateways
import live
import measure
import page
import postgres
import windows
from work import Bench, say

SMALL = 10_000  # events of the topic on which the first epoch is waited for
AGAIN = 3  # rounds of what takes seconds
LOG_ROUNDS = 7  # of the logs: the client is what takes the time, and it varies more than they differ


def timed(what, work, estimate=""):
    say(f"{what}{f' (about {estimate})' if estimate else ''} …")
    result = work()
    if isinstance(result, dict) and "wall" in result:
        say(f"{what}: {result['wall']:.1f} s, {result['cpu']:.1f} CPU-s, {result['peak'] / 1e6:.0f} MB")
    return result


def engines(bench, facts):
    """Both engines in turn on both topics; each pair of tables must be equal."""
    pairs = []
    for shape in ("plant", "nested"):
        count = facts["events"][shape]
        runs = facts["runs"][shape] = {"forebay": [], "spark": []}
        seconds = {"forebay": count // 700_000 + 1, "spark": count // 180_000 + 15}
        for number in range(1, max(facts["rounds"].values()) + 1):
            for name in ("forebay", "spark"):
                if number > facts["rounds"][name]:
                    continue
                label = f"{name}, {shape}, round {number} of {facts['rounds'][name]}"
                run = timed(label, lambda: getattr(bench, name)(shape, shape, f"{shape}"), f"{seconds[name]} s")
                runs[name].append(run)
                groups = bench.groups(run["table"], shape)
                rows = sum(int(group[1]) for group in groups)
                expected = runs.setdefault("groups", groups)
                if rows != count or groups != expected:
                    raise measure.Failed(f"{label}: {rows} rows of {count}, or devices differ from the first run's")
        pairs.append((runs["forebay"][-1]["table"], runs["spark"][-1]["table"], shape))
        facts["durations"][shape] = timed("Forebay's own account", lambda: bench.durations(shape, shape))
        facts["checked"][shape] = len(runs.pop("groups"))
    timed("Spark compares the tables", lambda: bench.spark_check(pairs), "1 minute")
    for table in [pair[side] for pair in pairs for side in (0, 1)]:
        shutil.rmtree(table, ignore_errors=True)


def first_epochs(bench, facts):
    for number in range(1, AGAIN + 1):
        for name in ("forebay", "spark"):
            label = f"first epoch of {name}, round {number} of {AGAIN}"
            run = timed(label, lambda: getattr(bench, name)("small", "plant", "small"), "20 s")
            if run["first"] is None:
                raise measure.Failed(f"{label}: no commit was seen")
            facts["first"][name].append(run["first"])


def reading(bench, facts):
    for number in range(1, facts["read_rounds"] + 1):
        facts["read"]["forebay"].append(timed(f"reading alone, Forebay, round {number}", lambda: bench.read_forebay("plant")))
        facts["read"]["kcat"].append(timed(f"reading alone, kcat, round {number}", lambda: bench.read_kcat(bench.kafka, "plant")))


def logs(bench, facts):
    """The same producer and consumer on three logs, in turn; each round begins with another log."""
    count, names = facts["log_records"], list(facts["logs"])
    path = timed("taking events for the logs", lambda: bench.lines("plant", count))
    for number in range(1, LOG_ROUNDS + 1):
        for name in names:
            process, address = bench.embedded() if name == "forebay" else (None, bench.kafka)
            server = process.pid if process else bench.kafka_pid()
            try:
                topic, run = f"log-{name}-{number}", {}
                bench.make_topic(address, topic, *(["flush.messages=1"] if name == "kafka-flush" else []))
                for verb, work in (("produce", lambda: bench.produce(address, topic, path)),
                                   ("consume", lambda: bench.read_kcat(address, topic))):
                    before = measure.cpu_of(server)
                    took = timed(f"{name}: {verb}, round {number} of {LOG_ROUNDS}", work)
                    run |= {verb: count / took["wall"], f"{verb}-cpu": (measure.cpu_of(server) - before) / count}
                kept = bench.count(address, topic) if number == 1 else count
                if kept != count:
                    raise measure.Failed(f"{name}: {count} records went in, {kept} came out")
                facts["logs"][name].append(run)
            finally:
                if process:
                    measure.stop(process)
        names.append(names.pop(0))
    os.unlink(path)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    memory = int(next(line for line in open("/proc/meminfo") if line.startswith("MemTotal")).split()[1]) * 1024
    system = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release") if "=" in line)
    return {
        "cores": os.cpu_count(), "memory": memory, "model": model, "kernel": os.uname().release.split("-")[0],
        "system": system.get("PRETTY_NAME", "Linux").strip('"'),
    }


def versions(engine):
    def ask(*command):
        return subprocess.run(command, capture_output=True, text=True, check=False)

    java = ask("java", "-version").stderr.splitlines()
    kcat = [line for line in ask("kcat", "-V").stdout.splitlines() if "librdkafka" in line]
    names = "$kafka_version $spark_version $delta_version $flink_version $postgres_version $pgjdbc_version"
    pinned = ask("bash", "-c", f". scripts/services/common.sh; echo {names}").stdout.split()
    return {
        "Forebay": ask(engine, "--version").stdout.split()[-1]
        + time.strftime(", built %Y-%m-%d %H:%M UTC", time.gmtime(os.stat(engine).st_mtime)),
        "Apache Kafka": pinned[0], "Spark": pinned[1],
        "Delta Lake (Spark's)": pinned[2], "Flink": pinned[3], "PostgreSQL": pinned[4], "pgjdbc (Spark's)": pinned[5], "Java": java[0].split('"')[1] if java else "unknown",
        "kcat": kcat[0].split("(")[0].replace("Version", "").strip() if kcat else "unknown",
        "librdkafka (kcat's)": kcat[0].split("librdkafka")[1].split()[0] if kcat else "unknown",
    }


def line(bench, facts, args):
    """Everything but windows: each record by itself, the log, the page."""
    count, nested = args.events, args.nested or max(1, args.events // 4)
    facts["events"]["nested"] = nested
    facts |= {
        "read_rounds": facts["rounds"]["spark"], "log_records": min(args.log_records, count), "small": SMALL, "again": AGAIN,
        "runs": {}, "checked": {}, "durations": {}, "first": {"forebay": [], "spark": []}, "read": {"forebay": [], "kcat": []},
        "logs": {"forebay": [], "kafka": [], "kafka-flush": []},
    }
    for topic, many, shape in (("nested", nested, "nested"), ("small", SMALL, "plant")):
        timed(f"filling {topic} with {many} events", lambda: bench.fill(topic, many, shape), f"{many // 300_000 + 1} s")
    engines(bench, facts)
    first_epochs(bench, facts)
    reading(bench, facts)
    facts["latency"] = timed("latency of alerts", bench.latency, "40 s")
    facts["page"] = timed("latency of the page", lambda: live.latency(bench), "40 s")
    facts["pages"] = timed("the server with pages and without", lambda: live.pages(bench, facts["page"]["view"]), "3 minutes")
    facts["history"] = timed("memory with a day of history", lambda: live.memory(bench), "2 minutes")
    logs(bench, facts)


def main():
    parser = argparse.ArgumentParser()
    for name, kind in (("engine", str), ("reader", str), ("mqtt-load", str), ("detector-speed", str), ("dir", str), ("port", int), ("events", int), ("nested", int),
                       ("rounds", int), ("spark-rounds", int), ("log-records", int), ("rows", int), ("out", str)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--only", choices=("", "line", "windows", "postgres", "gateways", "alerts"), default="", help="one part of it")
    parser.add_argument("--trial", action="store_true", help="allow a build with test hooks: to try this script")
    args = parser.parse_args()
    began = time.monotonic()
    bench = Bench(args.engine, args.reader, args.mqtt_load, args.detector_speed, args.dir, args.port, args.trial)
    spark_rounds = args.spark_rounds or args.rounds
    facts = {
        "events": {"plant": args.events}, "rounds": {"forebay": args.rounds, "spark": spark_rounds},
        "machine": machine(), "versions": versions(args.engine), "day": time.strftime("%Y-%m-%d", time.gmtime()), "load": [os.getloadavg()[0]],
    }
    plant = f"{args.events // 300_000 + 1 + windows.PAUSE} s"
    if args.only in ("", "line", "windows"):
        timed(f"filling plant with {args.events} events", lambda: windows.fill(bench, args.events), plant)
    if args.only in ("", "line"):
        line(bench, facts, args)
    if args.only in ("", "postgres"):
        facts["postgres"] = timed("PostgreSQL", lambda: postgres.all_of_it(bench, facts, args.rows), "20 minutes")
    if args.only in ("", "gateways"):
        facts["gateways"] = timed("gateways", lambda: gateways.all_of_it(bench), "6 minutes")
    if args.only in ("", "alerts"):
        facts["alerts"] = timed("alerts and detectors", lambda: alerts.all_of_it(bench), "10 minutes")
    if args.only in ("", "windows"):
        facts["windows"] = timed("windows", lambda: windows.all_of_it(bench, facts), "a quarter of an hour")
    facts["took"] = time.monotonic() - began
    with open(f"{args.dir}/facts.json", "w") as file:
        json.dump(facts, file, indent=1)
    found = page.parts(facts)
    print("\n".join(found.values()))
    if args.out:
        before = open(args.out).read() if os.path.exists(args.out) else ""
        with open(args.out, "w") as file:
            file.write(page.page(before, found))
        say(f"wrote {args.out} after {facts['took'] / 60:.0f} minutes")


def leave(*_):
    for kind in (signal.SIGTERM, signal.SIGINT):  # once is enough: what follows must not be interrupted
        signal.signal(kind, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, leave)
    try:
        main()
    except measure.Failed as failed:
        say(f"failed: {failed}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(130)
    finally:
        measure.stop_all()
