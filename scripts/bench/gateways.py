"""What gateways take in: QoS 1 publishes beside Mosquitto, and a bridge from it to Kafka; idle connections; CSV files beside Spark.

The load is `mqtt_load`, an example of the gateway's crate, the same for both brokers.
"""

import glob
import json
import os
import resource
import subprocess
import time

import measure
from work import PLANT, SERVICES, fresh, percentile, ready, say

ROUNDS = 3
CONNECTIONS, IN_FLIGHT, SECONDS = 100, 32, 10
BRIDGED = 3  # seconds of load that the bridge is given
STEADY, STEADY_SECONDS = 20_000, 20  # publishes a second
IDLE = 10_000  # connections
CSV = 5_000_000  # events
PIPELINE = """pipeline: bench
gateways:
  hall:
    format: mqtt
    options: { listen: "127.0.0.1:PORT" }
    routes:
      "load/{device}": { topic: load, key: "{device}" }
sources:
  other:
    format: kafka
    options: { kafka.bootstrap.servers: "LOG", subscribe: other, startingOffsets: earliest }
queries:
  nothing: { sql: SELECT value FROM other, format: delta, options: { path: other } }
"""


def own(bench, name):
    """Forebay with its MQTT end point and its embedded log, and nothing else to do."""
    home = fresh(f"{bench.dir}/gateways-{name}")
    at, kept, file = f"127.0.0.1:{bench.port + 3}", f"127.0.0.1:{bench.port + 2}", f"{home}/pipeline.yaml"
    with open(file, "w") as out:
        out.write(PIPELINE.replace("PORT", str(bench.port + 3)).replace("LOG", kept))
    log = bench.log(f"gateways-{name}")
    command = [bench.engine, "run", file, "--data", f"{home}/data", "--http", bench.http, "--kafka", kept, "--no-live"]
    process = measure.start(command, log)
    ready("forebay run", process, log)
    return process, at, kept


def mosquitto(bench, name):
    home = fresh(f"{bench.dir}/mosquitto-{name}")
    os.chmod(home, 0o777)
    lines = [
        f"listener {bench.port + 3} 127.0.0.1", "allow_anonymous true", "persistence true", f"persistence_location {home}/",
        "max_queued_messages 0", "max_queued_bytes 0", "max_inflight_messages 0", "log_type error",
    ]
    if os.getuid() == 0:
        lines.append("user root")
    with open(f"{home}/mosquitto.conf", "w") as out:
        out.write("\n".join(lines) + "\n")
    process = measure.start(["mosquitto", "-c", f"{home}/mosquitto.conf"], bench.log(f"mosquitto-{name}"))
    time.sleep(1)
    if process.poll() is not None:
        raise measure.Failed(f"mosquitto ended: {measure.tail(bench.log(f'mosquitto-{name}'))}")
    return process, f"127.0.0.1:{bench.port + 3}"


def load(bench, *arguments):
    done = subprocess.run([bench.mqtt_load, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise measure.Failed(f"mqtt_load: {done.stderr[-1000:]}")
    return json.loads(done.stdout)


def rates(bench):
    """Acknowledged publishes a second, in turn; what Forebay acknowledged is counted in its log."""
    found = {"forebay": [], "mosquitto": []}
    for number in range(1, ROUNDS + 1):
        for name in ("forebay", "mosquitto"):
            process, at, *kept = own(bench, "rate") if name == "forebay" else mosquitto(bench, "rate")
            before = measure.cpu_of(process.pid)
            run = load(bench, at, CONNECTIONS, IN_FLIGHT, SECONDS)
            run["cpu"] = (measure.cpu_of(process.pid) - before) / run["acknowledged"]
            if kept and number == 1:
                in_log = bench.count(kept[0], "load")
                if in_log != run["acknowledged"]:
                    raise measure.Failed(f"{run['acknowledged']} publishes were acknowledged, {in_log} are in the log")
            measure.stop(process)
            found[name].append(run)
            say(f"QoS 1, {name}, round {number} of {ROUNDS}: {run['per_second']:,.0f}/s, p99 {run['p99_us'] / 1000:.1f} ms")
    return found


def bridged(bench):
    """Mosquitto, a Python that carries its messages to Apache Kafka, and how long until Kafka has them all."""
    found = []
    for number in range(1, ROUNDS + 1):
        process, at = mosquitto(bench, "bridge")
        topic = f"bridged-{number}"
        bench.make_topic(bench.kafka, topic)
        log = bench.log("bridge")
        bridge = measure.start([f"{SERVICES}/mqtt-python.sh", "scripts/bench/bridge.py", at, bench.kafka, topic], log)
        ready("the bridge", bridge, log)
        began = time.time()
        run = load(bench, at, CONNECTIONS, IN_FLIGHT, BRIDGED)
        delivered, by = (began, 0), time.monotonic() + 300
        while delivered[1] < run["acknowledged"]:
            if time.monotonic() > by or bridge.poll() is not None:
                raise measure.Failed(f"the bridge carried {delivered[1]} of {run['acknowledged']} messages: {measure.tail(log)}")
            time.sleep(0.2)
            when, count = measure.tail(log).splitlines()[-1].split()
            delivered = (float(when), int(count))
        for one in (bridge, process):
            measure.stop(one)
        in_kafka = bench.count(bench.kafka, topic)
        if in_kafka < run["acknowledged"]:
            raise measure.Failed(f"{run['acknowledged']} publishes were acknowledged, {in_kafka} are in Kafka")
        found.append(run["acknowledged"] / (delivered[0] - began))
        say(f"through Mosquitto and a bridge, round {number} of {ROUNDS}: {found[-1]:,.0f}/s")
    return found


def steady(bench):
    """How long a PUBLISH waits for its PUBACK at a steady rate, counted from when it was due."""
    process, at, _ = own(bench, "steady")
    before = bench.fdatasync()
    run = load(bench, at, "steady", STEADY, CONNECTIONS, STEADY_SECONDS)
    syncs = before + bench.fdatasync()
    measure.stop(process)
    return run | {"sync50": percentile(syncs, 0.5) / 1000, "sync99": percentile(syncs, 0.99) / 1000}


def idle(bench):
    """Resident bytes of Forebay without connections and with many that say nothing."""
    process, at, _ = own(bench, "idle")
    alone = measure.resident(process.pid)
    held = measure.start([bench.mqtt_load, at, "idle", str(IDLE)], bench.log("idle"))
    by = time.monotonic() + 60
    while f'"idle":{IDLE}' not in measure.tail(bench.log("idle")):
        if time.monotonic() > by or held.poll() is not None:
            raise measure.Failed(f"not all connections came about: {measure.tail(bench.log('idle'))}")
        time.sleep(0.1)
    time.sleep(5)
    most = measure.resident(process.pid)
    for one in (held, process):
        measure.stop(one)
    return {"alone": alone, "with": most, "count": IDLE}


def lines_of(folder):
    """Count of the rows of CSV files, and a sum that does not depend on their order."""
    import zlib

    count = total = 0
    for path in glob.glob(f"{folder}/**/*.csv", recursive=True):
        with open(path, "rb") as file:
            for row in file:
                count, total = count + 1, (total + zlib.crc32(row)) & 0xFFFFFFFFFFFFFFFF
    return count, total


def csv(bench):
    """Events of a topic into CSV files, by Forebay and by Spark, whose rows must be the same."""
    bench.fill("csv", CSV, "plant")
    found, expected = {"forebay": [], "spark": []}, None
    for number in range(1, ROUNDS + 1):
        for name in ("forebay", "spark"):
            home = fresh(f"{bench.dir}/csv-{name}")
            if name == "forebay":
                query = f"  files:\n    sql: SELECT * FROM iot\n    format: csv\n    options: {{ path: {home}/files }}\n"
                file = bench.pipeline(f"{home}/pipeline.yaml", bench.kafka, "csv", PLANT, query)
                run = measure.measured(bench.command(file, home), bench.log("csv-forebay"))
            else:
                command = [f"{SERVICES}/spark-python.sh", "scripts/bench/spark_job.py", bench.kafka, "csv", PLANT, f"{home}/files", f"{home}/checkpoint", "csv"]
                run = measure.measured(command, bench.log("csv-spark"))
            rows = lines_of(f"{home}/files")
            expected = expected or rows
            if rows != expected or rows[0] != CSV:
                raise measure.Failed(f"CSV files of {name}: {rows[0]} rows of {CSV}, or they differ from the first run's")
            found[name].append(run)
            say(f"CSV, {name}, round {number} of {ROUNDS}: {run['wall']:.1f} s, {run['cpu']:.1f} CPU-s")
    return found


def all_of_it(bench):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return {
        "rates": rates(bench), "bridged": bridged(bench), "steady": steady(bench), "idle": idle(bench), "csv": csv(bench),
        "events": CSV, "connections": CONNECTIONS, "in_flight": IN_FLIGHT, "seconds": SECONDS, "rate": STEADY,
    }
