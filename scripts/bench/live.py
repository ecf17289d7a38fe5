"""What the live page costs and how late it is, measured on one run of the plant with the embedded log."""

import json
import selectors
import socket
import subprocess
import time
import urllib.request

import measure
from work import PLANT, SERVICES, fresh, percentile, ready

RATE = 20_000  # events a second
PAGES = 50
WINDOW = 15  # seconds of one measurement of CPU
WINDOWS = 5  # with pages, and as many without
FOUR = "device_id STRING, temperature DOUBLE, humidity DOUBLE, pressure DOUBLE, power DOUBLE"
LAKE = (
    "  lake:\n    sql: SELECT * FROM iot\n    format: delta\n    options:\n      path: lake\n"
    "    trigger:\n      processingTime: 1 second\n"
)


def started(bench, name, schema, *more):
    """A run of one query into a Delta table, with its embedded log: the process and the log's address."""
    home, address = fresh(f"{bench.dir}/{name}"), f"127.0.0.1:{bench.port + 2}"
    file = bench.pipeline(f"{home}/pipeline.yaml", address, "plant", schema, LAKE, "latest")
    log = bench.log(name)
    command = [bench.engine, "run", file, "--data", f"{home}/data", "--http", bench.http, "--kafka", address]
    process = measure.start([*command, *more], log)
    ready("forebay run", process, log)
    time.sleep(1)
    return process, address


def steady(bench, address, seconds):
    send = [f"{SERVICES}/python.sh", "scripts/bench/send_events.py", address, "plant", str(RATE), str(seconds)]
    return measure.start(send, bench.log("pages-send"))


def ended(bench, sender):
    """Waits for the sender, which must have kept its rate."""
    sender.wait(60)
    measure.running.discard(sender)
    if sender.returncode != 0:
        raise measure.Failed(f"the sender did not keep the rate: {measure.tail(bench.log('pages-send'))}")


def latency(bench, seconds=20, warm=5):
    """Event to the page's callback in Chromium, ms, and the view that the page asked for."""
    process, address = started(bench, "page", PLANT)
    sender = steady(bench, address, seconds + 4 * warm)
    time.sleep(2)
    command = ["scripts/web.sh", "latency", f"http://{bench.http}", str(seconds), str(warm)]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    if seen.returncode != 0:
        raise measure.Failed(f"the page: {seen.stderr[-1000:]}{seen.stdout[:500]}")
    if sender.poll() is not None:
        raise measure.Failed("the sender ended before the page was measured")
    ended(bench, sender)
    measure.stop(process)
    seen = json.loads(seen.stdout)
    late = seen["late"]
    return {
        "rows": len(late), "events": len(seen["newest"]), "p50": percentile(late, 0.5), "p99": percentile(late, 0.99),
        "max": max(late), "task": max(seen["tasks"], default=0), "view": seen["view"],
    }


class Pages:
    """Readers of the event stream that a page asks for, as many as there are sockets."""

    def __init__(self, http, view, count):
        host, port = http.split(":")
        self.selector, self.read, self.sockets = selectors.DefaultSelector(), {}, []
        for _ in range(count):
            reader = socket.create_connection((host, int(port)))
            reader.sendall(f"GET {view} HTTP/1.1\r\nHost: {http}\r\nAccept: text/event-stream\r\n\r\n".encode())
            reader.setblocking(False)
            self.selector.register(reader, selectors.EVENT_READ)
            self.read[reader], _ = 0, self.sockets.append(reader)

    def until(self, when):
        while (left := when - time.monotonic()) > 0:
            for key, _ in self.selector.select(min(left, 0.2)):
                data = key.fileobj.recv(1 << 20)
                if not data:
                    raise measure.Failed("the server ended a page's stream")
                self.read[key.fileobj] += data.count(b"event: values")

    def close(self):
        for reader in self.sockets:
            reader.close()
        return min(self.read.values())


def pages(bench, view):
    """CPU of the server for one event, ns, without pages and with many, in turn on one run."""
    process, address = started(bench, "pages", PLANT)
    settle = 3
    sender = steady(bench, address, 2 * settle + 2 * WINDOWS * (WINDOW + settle) + 10)
    time.sleep(2 * settle)
    found = {"count": PAGES, "without": [], "with": [], "events": []}
    for _ in range(WINDOWS):
        for name, count in (("without", 0), ("with", PAGES)):
            readers = Pages(bench.http, view, count)
            readers.until(time.monotonic() + settle)
            before, began = measure.cpu_of(process.pid), time.monotonic()
            readers.until(began + WINDOW)
            took = time.monotonic() - began
            found[name].append((measure.cpu_of(process.pid) - before) / took / RATE * 1e9)
            if count:
                found["events"].append(readers.close() / (WINDOW + settle))
    if min(found["events"]) < 5:
        raise measure.Failed(f"the pages saw {min(found['events']):.1f} events a second: nothing was measured")
    ended(bench, sender)
    measure.stop(process)
    return found


def filled(bench, *more, devices=1_000):
    """Most resident bytes of a run after a day of many devices, all of it read; the messages; the run's process."""
    process, address = started(bench, "history", FOUR, *more)
    log = bench.log("history-send")
    measure.measured([f"{SERVICES}/python.sh", "scripts/bench/send_history.py", address, "plant", str(devices)], log)
    count, by = int(measure.tail(log)), time.monotonic() + 120
    while True:
        with urllib.request.urlopen(f"http://{bench.http}/api/v1/live", timeout=10) as stream:
            tick = next(json.loads(line[6:]) for line in stream if line.startswith(b"data: ") and b'"followers"' in line)
        if all(follower["lag"] == 0 for follower in tick["followers"]) and tick["ledger"]["read"] == count:
            break
        if time.monotonic() > by:
            raise measure.Failed(f"the history is not there: {tick['followers']}, {tick['ledger']}, {count} were sent")
        time.sleep(0.5)
    seen, until = [], time.monotonic() + 20
    while time.monotonic() < until:
        seen.append(measure.resident(process.pid))
        time.sleep(0.1)
    return {"most": max(seen), "peak": measure.high_water(process.pid)}, count, process


def memory(bench):
    """Resident bytes of a run that has followed a day of many devices, and of one that was told not to."""
    alone, _, process = filled(bench, "--no-live")
    measure.stop(process)
    followed, count, process = filled(bench)
    question = f"http://{bench.http}/api/v1/history?source=iot&field=power&range=24h"
    with urllib.request.urlopen(question, timeout=10) as answer:
        means = json.load(answer)["series"][0]["mean"]
    share = sum(mean is not None for mean in means) / len(means)
    if share < 0.95:
        raise measure.Failed(f"only {share:.0%} of the day is in the history")
    measure.stop(process)
    return {"count": count, "alone": alone, "followed": followed}
