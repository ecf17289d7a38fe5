"""The pieces of work that are measured. Each returns figures; nothing here prints a table or judges."""

import csv
import glob
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime

import measure

SERVICES = "scripts/services"
PLANT = "device_id STRING, temperature DOUBLE, humidity DOUBLE, timestamp INT"
NESTED = (
    "event_id STRING, ts TIMESTAMP, "
    "site STRUCT<plant: STRING, line: INT, pos: STRUCT<lat: DOUBLE, lon: DOUBLE>>, "
    "device STRUCT<id: STRING, fw: STRING>, readings ARRAY<DOUBLE>, status STRING, ok BOOLEAN, seq BIGINT"
)
# Whole numbers, because sums of floating-point numbers depend on the order of the rows: of temperatures in hundredths.
CHECKS = {
    "plant": "SELECT device_id, count(*) AS n, sum(CAST(round(temperature * 100) AS BIGINT)) AS t, "
    "max(humidity) AS h, sum(CAST(timestamp AS BIGINT)) AS s FROM TABLE GROUP BY device_id",
    "nested": "SELECT device.id AS device, count(*) AS n, sum(seq) AS s, max(site.pos.lat) AS lat, "
    "max(status) AS status, sum(CAST(ok AS INT)) AS ok FROM TABLE GROUP BY device.id",
    "windows": "SELECT device_id, count(*) AS windows, sum(n) AS n, max(most) AS most, "
    "sum(CAST(round(mean * n * 100) AS BIGINT)) AS t, sum(CAST(start AS BIGINT)) AS start, "
    "max(CAST(start AS BIGINT)) AS last FROM TABLE GROUP BY device_id",
}

TOLD = ("--log-level", "info,forebay_engine=debug", "--log-format", "json")  # a report of each epoch in the log


def say(text):
    print(f"[bench] {text}", file=sys.stderr, flush=True)


def fresh(path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def added(reports):
    """The sums of `durationMs` over progress reports, in milliseconds."""
    total = {}
    for report in reports:
        for name, value in report["durationMs"].items():
            total[name] = total.get(name, 0) + value
    return total


def ready(what, process, log):
    """Waits until a server says in its log that it is ready."""
    by = time.monotonic() + 30
    while "ready" not in measure.tail(log):
        if time.monotonic() > by or process.poll() is not None:
            raise measure.Failed(f"{what} is not ready: {measure.tail(log)}")
        time.sleep(0.05)


def has_commit(table):
    """Whether a Delta table has a commit that adds rows."""
    seen = set()

    def look():
        for path in glob.glob(f"{table}/_delta_log/*.json"):
            if path not in seen:
                with open(path) as file:
                    text = file.read()
                if '"add"' in text:
                    return True
                if text.endswith("\n"):
                    seen.add(path)
        return False

    return look


class Bench:
    """Where things are, and what each piece of work needs of them."""

    def __init__(self, engine, reader, mqtt_load, detector_speed, folder, port, trial):
        self.engine, self.reader, self.mqtt_load, self.dir, self.port = engine, reader, mqtt_load, folder, port
        self.detector_speed = detector_speed
        self.trial = trial  # true only to try the script itself with a build for tests
        self.kafka = f"127.0.0.1:{port}"
        self.http = f"127.0.0.1:{port + 4}"

    def log(self, name):
        os.makedirs(f"{self.dir}/logs", exist_ok=True)
        return f"{self.dir}/logs/{name}.log"

    def fill(self, topic, count, shape, seed=1, devices=1000):
        command = [
            self.engine, "simulate", "--rate", "0", "--count", str(count), "--partitions", "4", "--compression", "lz4",
            "--devices", str(devices), "--seed", str(seed), "--bootstrap", self.kafka, "--topic", topic, "--shape", shape,
        ]
        return measure.measured(command, self.log(f"fill-{topic}"))

    def pipeline(self, path, bootstrap, topic, schema, query, starting="earliest", most=None, watermark=None):
        """Writes a pipeline file. `most` is the most records of one epoch, `watermark` the event time and its delay."""
        with open(path, "w") as file:
            file.write(
                "pipeline: bench\nsources:\n  iot:\n    format: kafka\n    options:\n"
                f"      kafka.bootstrap.servers: \"{bootstrap}\"\n      subscribe: {topic}\n"
                f"      startingOffsets: {starting}\n"
                + (f"      maxOffsetsPerTrigger: {most}\n" if most else "")
                + f"    value: json\n    schema: \"{schema}\"\n"
                + (f"    watermark: {{ column: \"{watermark[0]}\", delay: {watermark[1]} }}\n" if watermark else "")
                + f"queries:\n{query}"
            )
        return path

    def forebay(self, topic, shape, name, *more):
        """One run of Forebay over a topic into a fresh folder: its cost, its table, its own account of the epochs."""
        home = fresh(f"{self.dir}/forebay-{name}")
        table = f"{home}/table"
        schema = PLANT if shape == "plant" else NESTED
        query = f"  lake:\n    sql: SELECT * FROM iot\n    format: delta\n    options:\n      path: {table}\n"
        file = self.pipeline(f"{home}/pipeline.yaml", self.kafka, topic, schema, query)
        return self.run(file, home, table, f"forebay-{name}", *more)

    def command(self, file, home):
        """Forebay over what there is of a topic, with its data in `home`."""
        return [
            self.engine, "run", file, "--trigger", "availableNow", "--data", f"{home}/data",
            "--http", self.http, "--kafka", f"127.0.0.1:{self.port + 2}",
        ]

    def run(self, file, home, table, name, *more):
        log = self.log(name)
        cost = measure.measured([*self.command(file, home), *more], log, until=has_commit(table))
        if not self.trial and "test hooks" in open(log).read(4000):
            raise measure.Failed("this forebay carries test hooks: build it with make build")
        return cost | {"table": table, "epochs": self.epochs(table)}

    def progress(self, name):
        """The progress reports in the log of a run with `TOLD`, one for each epoch; `told` is when, in seconds since 1970."""
        with open(self.log(name)) as log:
            lines = [json.loads(line) for line in log if '"epoch committed"' in line]
        return [
            json.loads(line["fields"]["progress"]) | {"told": datetime.fromisoformat(line["timestamp"]).timestamp()} for line in lines
        ]

    def durations(self, topic, shape):
        """One more run, not measured: the sums of Forebay's own `durationMs` over its epochs, in milliseconds."""
        self.forebay(topic, shape, "told", *TOLD)
        return added(self.progress("forebay-told"))

    def spark(self, topic, shape, name, *more):
        home = fresh(f"{self.dir}/spark-{name}")
        table = f"{home}/table"
        schema = PLANT if shape == "plant" else NESTED
        command = [
            f"{SERVICES}/spark-python.sh", "scripts/bench/spark_job.py", self.kafka, topic, schema, table,
            f"{home}/checkpoint", *more,
        ]
        cost = measure.measured(command, self.log(f"spark-{name}"), until=has_commit(table))
        return cost | {"table": table, "epochs": self.epochs(table)}

    def epochs(self, table):
        """Commits that hold files, files and bytes of a Delta table that nobody has compacted yet."""
        commits, files, size = 0, 0, 0
        for path in glob.glob(f"{table}/_delta_log/*.json"):
            adds = [json.loads(line)["add"] for line in open(path) if '"add"' in line]
            commits, files = commits + bool(adds), files + len(adds)
            size += sum(add["size"] for add in adds)
        return {"commits": commits, "files": files, "bytes": size}

    def groups(self, table, shape):
        """The check's rows of a table, asked by Forebay."""
        sql = CHECKS[shape].replace("TABLE", f"delta.`{table}`")
        command = [self.engine, "query", sql, "--format", "csv", "--data", f"{self.dir}/query"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise measure.Failed(f"forebay query: {done.stderr[-1000:]}")
        return sorted(map(tuple, list(csv.reader(io.StringIO(done.stdout)))[1:]))

    def spark_check(self, pairs):
        arguments = [part for ours, theirs, shape in pairs for part in (ours, theirs, CHECKS[shape])]
        measure.measured([f"{SERVICES}/spark-python.sh", "scripts/bench/spark_check.py", *arguments], self.log("check"))

    def read_forebay(self, topic):
        return measure.measured([self.reader, self.kafka, topic], self.log("read-forebay"))

    def read_kcat(self, bootstrap, topic):
        command = ["kcat", "-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-f", ""]
        return measure.measured(command, self.log("kcat"))

    def count(self, bootstrap, topic):
        """Records of a topic, counted by one dot for each, so that a log which lost some does not win."""
        path = self.log("count")
        command = ["kcat", "-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-f", "."]
        measure.measured(command, path)
        return os.path.getsize(path)

    def make_topic(self, bootstrap, topic, *config, partitions=4):
        command = [f"{SERVICES}/python.sh", "scripts/bench/make_topic.py", bootstrap, topic, str(partitions), *config]
        measure.measured(command, self.log("make-topic"))

    def fdatasync(self, count=400):
        """Microseconds of append 4 KiB + fdatasync, one by one."""
        path, block, took = f"{self.dir}/fdatasync", b"x" * 4096, []
        file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for _ in range(count):
            begin = time.perf_counter_ns()
            os.write(file, block)
            os.fdatasync(file)
            took.append((time.perf_counter_ns() - begin) / 1000)
        os.close(file)
        os.unlink(path)
        return took

    def latency(self, rate=20_000, warm=5, seconds=20):
        """Event to console alert, in milliseconds, through the embedded log of the same process."""
        home = fresh(f"{self.dir}/latency")
        address = f"127.0.0.1:{self.port + 2}"
        query = (
            "  hot:\n    sql: SELECT device_id, temperature, sent FROM iot WHERE temperature > 70\n"
            "    format: console\n    options:\n      numRows: 1000000\n      truncate: \"false\"\n"
        )
        schema = f"{PLANT}, sent BIGINT"
        file = self.pipeline(f"{home}/pipeline.yaml", address, "alerts", schema, query, "latest")
        command = [self.engine, "run", file, "--data", f"{home}/data", "--http", self.http, "--kafka", address]
        log = self.log("latency")
        before = self.fdatasync()
        process = measure.start(command, log, stdout=subprocess.PIPE)
        ready("forebay run", process, log)
        time.sleep(1)
        send = [f"{SERVICES}/python.sh", "scripts/bench/send_events.py", address, "alerts", str(rate), str(warm + seconds)]
        sender = measure.start(send, self.log("latency-send"))
        chunks, output, quiet = [], process.stdout.fileno(), None
        os.set_blocking(output, False)
        while quiet is None or time.monotonic() - quiet < 2:
            try:
                data = os.read(output, 1 << 20)
            except BlockingIOError:
                data = b""
                time.sleep(0.0002)
            if data:
                chunks.append((time.time_ns() // 1000, data))
            if quiet is None and sender.poll() is not None:
                quiet = time.monotonic()
        measure.running.discard(sender)
        measure.stop(process)
        if sender.returncode != 0:
            raise measure.Failed(f"the sender did not keep the rate: {measure.tail(self.log('latency-send'))}")
        syncs = before + self.fdatasync()
        rows = sent_times(chunks)
        begin = min(sent for sent, _ in rows) + warm * 1_000_000
        took = [(seen - sent) / 1000 for sent, seen in rows if sent >= begin]
        return {
            "rows": len(took), "p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "max": max(took),
            "sync50": percentile(syncs, 0.5) / 1000, "sync99": percentile(syncs, 0.99) / 1000,
        }

    def embedded(self):
        """Starts the embedded log alone."""
        home, address = fresh(f"{self.dir}/log"), f"127.0.0.1:{self.port + 3}"
        log = self.log("embedded")
        command = [self.engine, "log", "serve", "--listen", address, "--data", home, "--http", self.http]
        process = measure.start(command, log)
        ready("forebay log serve", process, log)
        return process, address

    def kafka_pid(self):
        """The process of the broker that run.sh started."""
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if b"kafka.Kafka" in words and f"{self.dir}/kafka/server.properties".encode() in words:
                return int(path.split("/")[2])
        raise measure.Failed("the broker's process is not found")

    def lines(self, topic, count):
        """The first events of a topic as lines of a file."""
        path = f"{self.dir}/lines"
        with open(path, "wb") as out:
            command = ["kcat", "-C", "-b", self.kafka, "-t", topic, "-o", "beginning", "-e", "-q", "-c", str(count)]
            measure.measured(command, self.log("lines"), stdout=out)
        return path

    def produce(self, bootstrap, topic, path):
        command = ["kcat", "-P", "-b", bootstrap, "-t", topic, "-z", "lz4", "-X", "acks=all", "-l", path]
        return measure.measured(command, self.log("produce"))


def sent_times(chunks):
    """When each row was sent and when the chunk that ended it was read, both in microseconds since 1970."""
    rows, rest = [], b""
    for seen, data in chunks:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            cells = line.split(b"|")
            if len(cells) == 5 and cells[3].strip().isdigit():
                rows.append((int(cells[3]), seen))
    if not rows:
        raise measure.Failed("no alert came to the console")
    return rows

