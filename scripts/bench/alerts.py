"""What alerts and detectors cost: event to webhook, many rules, each detector by itself, and k-means beside Spark ML.

The receiver of webhooks is this program, so what is measured ends where somebody else has read the notice.
"""

import json
import os
import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import measure
from work import PLANT, SERVICES, fresh, percentile, ready, say

ROUNDS = 3
RATE, WARM, SECONDS = 20_000, 5, 20
RULES, DEVICES, RULED = 100, 10_000, 5_000_000  # rules, devices, events
SCORED = 5_000_000  # events that k-means scores
TRAINED = 200_000  # of them those that it learns from
KINDS = (
    "z_score", "robust_z", "ewma", "ewma_chart", "holt_winters", "seasonal", "cusum", "page_hinkley", "half_space_trees", "stuck", "gap", "auto",
)


class Receiver(ThreadingHTTPServer):
    """Takes notices and notes when it read each, in microseconds since 1970."""

    daemon_threads = True

    def __init__(self):
        self.heard = heard = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                heard.append((time.time_ns() // 1000, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def heard(bench, detectors):
    """Event to webhook, in milliseconds, at a steady rate through the embedded log; with detectors, each watches the same number."""
    name = "heard-detectors" if detectors else "heard"
    home, receiver, address = fresh(f"{bench.dir}/{name}"), Receiver(), f"127.0.0.1:{bench.port + 2}"
    kinds = KINDS if detectors else ()
    text = "  nothing: { sql: SELECT * FROM iot WHERE device_id = 'nobody', format: console }\n"
    text += "alerts:\n  hot: { on: iot, key: device_id, when: temperature > 70, clear: temperature < 65, message: \"{sent}\" }\n"
    text += "".join(f"  by_{kind}: {{ on: of_{kind}, key: device_id, when: is_anomaly, clear: NOT is_anomaly }}\n" for kind in kinds)
    if kinds:
        text += "detectors:\n" + "".join(f"  of_{kind}: {{ on: iot, key: device_id, column: temperature, kind: {kind} }}\n" for kind in kinds)
    url = f"http://127.0.0.1:{receiver.server_port}/"
    text += f"channels:\n  here: {{ format: webhook, rules: [hot], options: {{ url: \"{url}\", allowLocal: true }} }}\n"
    file = bench.pipeline(f"{home}/pipeline.yaml", address, "alarms", f"{PLANT}, sent BIGINT", text, "latest")
    log = bench.log(name)
    command = [bench.engine, "run", file, "--data", f"{home}/data", "--http", bench.http, "--kafka", address, "--no-live"]
    before = bench.fdatasync()
    process = measure.start(command, log)
    ready("forebay run", process, log)
    time.sleep(1)
    send = [f"{SERVICES}/python.sh", "scripts/bench/send_alarms.py", address, "alarms", str(RATE), str(WARM + SECONDS)]
    sender = measure.start(send, bench.log(f"{name}-send"))
    sender.wait(WARM + SECONDS + 60)
    measure.running.discard(sender)
    time.sleep(2)
    measure.stop(process)
    receiver.shutdown()
    if sender.returncode != 0:
        raise measure.Failed(f"the sender did not keep the rate: {measure.tail(bench.log(f'{name}-send'))}")
    syncs = before + bench.fdatasync()
    took = []
    for seen, body in receiver.heard:
        for line in json.loads(body).get("transitions", []):
            if line["event"] == "opened":
                took.append((int(line["message"]), seen))
    if not took:
        raise measure.Failed(f"no notice was heard: {measure.tail(log)}")
    begin = min(sent for sent, _ in took) + WARM * 1_000_000
    late = [(seen - sent) / 1000 for sent, seen in took if sent >= begin]
    say(f"event to webhook{' beside all detectors' if detectors else ''}: p99 {percentile(late, 0.99):.1f} ms of {len(late)}")
    return {
        "count": len(late), "p50": percentile(late, 0.5), "p99": percentile(late, 0.99), "max": max(late),
        "sync50": percentile(syncs, 0.5) / 1000, "sync99": percentile(syncs, 0.99) / 1000,
    }


def rules(bench):
    """Events a second and core through one rule and through many over one topic, from Kafka to the journals; and the transitions that they made.

    The plant's temperatures end at 80 degrees. Where it is calm no condition holds; else one rule has devices that alert, and in a storm five.
    """
    bench.fill("ruled", RULED, "plant", devices=DEVICES)
    found = {}
    for name, count, hot in (("one", 1, 80), ("calm", RULES, 80), ("some", RULES, 79.9), ("storm", RULES, 79.5)):
        text = "  nothing: { sql: SELECT * FROM iot WHERE device_id = 'nobody', format: console, trigger: availableNow }\nalerts:\n"
        text += "".join(
            f"  rule_{number}: {{ on: iot, key: device_id, when: temperature > {hot + number / 10}, clear: temperature < {hot - 30 + number / 10} }}\n"
            for number in range(count)
        )
        found[name] = []
        for number in range(1, ROUNDS + 1):
            home = fresh(f"{bench.dir}/ruled")
            file = bench.pipeline(f"{home}/pipeline.yaml", bench.kafka, "ruled", PLANT, text)
            run = measure.measured(bench.command(file, home), bench.log("ruled"))
            counts = re.findall(r"opened=(\d+) raised=(\d+) lowered=(\d+) cleared=(\d+)", open(bench.log("ruled")).read())
            run["transitions"] = sum(int(number) for line in counts for number in line)
            found[name].append(run)
            say(f"{count} rules, {name}, round {number} of {ROUNDS}: {RULED / run['cpu']:,.0f} events per CPU-second, {run['transitions']} transitions")
    return found


def detectors(bench):
    """Nanoseconds of a row for each kind, by the program that runs it alone: `ns` with the key's state out of the checkpoint's bytes and back."""
    done = subprocess.run([bench.detector_speed], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise measure.Failed(f"detector_speed: {done.stderr[-1000:]}")
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    return {
        name: {"inputs": int(inputs), "held": float(held), "ns": float(epoch), "bytes": int(size), "saved": int(saved)}
        for name, inputs, held, epoch, size, saved in lines
    }


def k_means(bench):
    """The same k-means (two clusters) over a topic into a Delta table, by Forebay and by Spark ML."""
    bench.fill("scored", SCORED, "plant")
    home = fresh(f"{bench.dir}/k-means")
    with open(f"{home}/train.csv", "w") as out:
        out.write("temperature,humidity\n")
        done = subprocess.run(
            ["kcat", "-C", "-b", bench.kafka, "-t", "scored", "-o", "beginning", "-e", "-q", "-c", str(TRAINED)], capture_output=True, check=True,
        )
        for line in done.stdout.splitlines():
            row = json.loads(line)
            out.write(f"{row['temperature']},{row['humidity']}\n")
    text = "  lake:\n    sql: SELECT device_id, temperature, humidity, score FROM near\n    format: delta\n    options: { path: TABLE }\n"
    text += "detectors:\n  near: { on: iot, columns: [temperature, humidity], kind: k_means, model: MODEL, settings: { k: 2, standardise: 0 } }\n"
    found = {"forebay": [], "spark": []}
    for number in range(1, ROUNDS + 1):
        for name in ("forebay", "spark"):
            run_home = fresh(f"{home}/{name}")
            if name == "forebay":
                body = text.replace("MODEL", f"{home}/model.json").replace("TABLE", f"{run_home}/table")
                file = bench.pipeline(f"{run_home}/pipeline.yaml", bench.kafka, "scored", PLANT, body)
                if not os.path.exists(f"{home}/model.json"):
                    train = [bench.engine, "train", "near", "-f", file, "--on", f"{home}/train.csv", "--data", f"{run_home}/data"]
                    measure.measured(train, bench.log("train"))
                run = measure.measured(bench.command(file, run_home), bench.log("k-means-forebay"))
            else:
                command = [
                    f"{SERVICES}/learning-python.sh", "scripts/bench/spark_kmeans.py", bench.kafka, "scored", PLANT, f"{run_home}/table",
                    f"{run_home}/checkpoint", f"{home}/train.csv", f"{home}/spark-model",
                ]
                if not os.path.exists(f"{home}/spark-model"):
                    measure.measured([*command, "train"], bench.log("train-spark"))
                run = measure.measured(command, bench.log("k-means-spark"))
            sql = f"SELECT count(*) AS n, avg(score) AS mean FROM delta.`{run_home}/table`"
            asked = subprocess.run([bench.engine, "query", sql, "--format", "csv", "--data", f"{bench.dir}/query"], capture_output=True, text=True)
            if asked.returncode != 0:
                raise measure.Failed(f"forebay query: {asked.stderr[-1000:]}")
            count, mean = asked.stdout.splitlines()[1].split(",")
            run |= {"mean": float(mean)}
            expected = found["forebay"][0] if found["forebay"] else run
            if int(count) != SCORED or abs(run["mean"] / expected["mean"] - 1) > 0.001:
                raise measure.Failed(f"k-means of {name}: {count} rows of {SCORED}, mean distance {mean}, at first {expected['mean']}")
            found[name].append(run)
            say(f"k-means, {name}, round {number} of {ROUNDS}: {run['wall']:.1f} s, {run['cpu']:.1f} CPU-s")
    return found


def backtest(bench):
    """What one rule would have done over a Delta table with the events that k-means scored. After [`k_means`], which made the topic."""
    run = bench.forebay("scored", "plant", "tried")
    text = "  nothing: { sql: SELECT * FROM iot WHERE device_id = 'nobody', format: console }\nalerts:\n"
    text += "  hot: { on: iot, key: device_id, when: temperature > 79.9, clear: temperature < 50 }\n"
    file = bench.pipeline(f"{bench.dir}/tried.yaml", bench.kafka, "scored", PLANT, text)
    found = []
    for number in range(1, ROUNDS + 1):
        log = bench.log("backtest")
        tried = measure.measured([bench.engine, "backtest", file, "--on", f"delta.`{run['table']}`", "--time", "timestamp_seconds(timestamp)", "--json"], log)
        rows = re.search(r'"rows":\s*(\d+)', open(log).read())
        if not rows or int(rows[1]) != SCORED:
            raise measure.Failed(f"the backtest did not look at {SCORED} rows: {measure.tail(log)}")
        found.append(tried)
        say(f"backtest, round {number} of {ROUNDS}: {SCORED / tried['wall']:,.0f} rows a second")
    return found


def all_of_it(bench):
    return {
        "heard": heard(bench, False), "beside": heard(bench, True), "rules": rules(bench), "detectors": detectors(bench), "kmeans": k_means(bench),
        "backtest": backtest(bench),
        "counts": {"rules": RULES, "devices": DEVICES, "ruled": RULED, "scored": SCORED, "rate": RATE},
    }
