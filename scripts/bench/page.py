"""docs/benchmarks.md from what was measured: the same layout each time, so that a later run changes figures only."""

from statistics import median

import page_alerts
import page_gateways
import page_postgres
import page_windows
from tables import Floors, of, rows, spread

MARK = "<!-- part: "  # before each part of the page
MET, MISSED = "met", "**missed**"


def line_floors(facts, judged):
    """The floors of all but windows."""
    for shape, runs in facts["runs"].items():
        ours, theirs = runs["forebay"], runs["spark"]
        judged.at_least(f"{shape}: events per CPU-second, Spark = 1", 18, median(of(theirs, "cpu")) / median(of(ours, "cpu")))
        judged.at_least(f"{shape}: speed by wall time, Spark = 1", 10, median(of(theirs, "wall")) / median(of(ours, "wall")))
        judged.at_most(f"{shape}: peak memory, Spark = 1", 8, median(of(ours, "peak")) / median(of(theirs, "peak")))
    first = facts["first"]
    judged.at_most("process start to first committed epoch, Spark = 1", 20, median(first["forebay"]) / median(first["spark"]))
    read = facts["read"]
    judged.at_most("reading alone: CPU per record, kcat = 1", 5, median(of(read["forebay"], "cpu")) / median(of(read["kcat"], "cpu")))
    late = facts["latency"]
    floor = 10 + 5 * late["sync99"]
    judged.add("event to alert, p99", f"≤ 10 ms + 5 × {late['sync99']:.2f} ms = {floor:.1f} ms", f"{late['p99']:.1f} ms", late["p99"] <= floor)
    for verb in ("produce", "consume"):
        ours = median(of(facts["logs"]["forebay"], verb))
        for name, text in (("kafka-flush", "Kafka that flushes each append"), ("kafka", "Kafka with its defaults")):
            judged.at_least(f"the log, {verb}: {text} = 1", 1, ours / median(of(facts["logs"][name], verb)))
    page, pages, history = facts["page"], facts["pages"], facts["history"]
    judged.add("event to the page's callback, p99", "≤ 60 ms", f"{page['p99']} ms", page["p99"] <= 60)
    ratio = median(pages["with"]) / median(pages["without"])
    judged.add(f"server's CPU per event with {pages['count']} pages, none = 1", "≤ 1.05×", f"{ratio:.3f}×", ratio <= 1.05)
    over = (history["followed"]["most"] - history["alone"]["most"]) / 1e6
    judged.add("resident memory with a full history, over the line's own", "≤ 100 MB", f"{over:.0f} MB", over <= 100)


def live(facts):
    """What the page shows late, and what it costs."""
    page, pages, history = facts["page"], facts["pages"], facts["history"]
    out = [
        "", "### The live page", "",
        f"20,000 events a second of 1,000 devices through the embedded log, one query into a Delta table, and the page as it opens "
        f"in Chromium on the same machine. For each device of each update: from the record's timestamp, which the producer "
        f"gives it, to the page's own callback; {page['events']:,} updates, whole milliseconds. The longest task of the page's main "
        f"thread took {page['task']:.0f} ms (50 ms and more are seen; 0: none was).", "",
    ]
    out += rows(["", "p50, ms", "p99, ms", "max, ms"], [[f"event to page ({page['rows']:,} values)", page["p50"], page["p99"], page["max"]]])
    out += [
        "", f"CPU of the server for one event, in nanoseconds, on one run, in turn without pages and with {pages['count']} readers of "
        "what the page asks for:", "",
    ]
    out += rows(["", "rounds", "CPU per event, ns"], [
        [title, len(pages[name]), spread(pages[name], "{:,.0f}")] for name, title in (("without", "no page"), ("with", f"{pages['count']} pages"))
    ])
    out += [
        "", f"Resident memory, in MB, of a run that has read {history['count']:,} messages: 1,000 devices with four numbers each for a day, "
        "every minute, every ten seconds of the last six hours, twice a second in the last quarter of an hour. The most of the 20 "
        "seconds after all was read; the line alone is the same run with `--no-live`.", "",
    ]
    out += rows(["", "most at rest", "peak"], [
        [title, *(f"{history[name][key] / 1e6:.0f}" for key in ("most", "peak"))]
        for name, title in (("alone", "the line alone"), ("followed", "with the history"))
    ])
    return out


def engine_tables(facts):
    out = []
    names = {"plant": "The plant's events: four flat fields", "nested": "The nested events: 12 fields, structs and an array"}
    for shape, runs in facts["runs"].items():
        count = facts["events"][shape]
        out += ["", f"#### {names[shape]}", "", f"{count:,} events.", ""]
        lines = []
        for name, title in (("forebay", "Forebay"), ("spark", "Spark")):
            them = runs[name]
            lines.append([
                title, len(them), spread(of(them, "wall"), "{:.1f}"), spread(of(them, "cpu"), "{:.1f}"),
                spread([run["cpu"] / count * 1e9 for run in them], "{:.0f}"), spread(of(them, "peak", 1e-6), "{:.0f}"),
                spread([run["epochs"]["files"] for run in them], "{:.0f}"),
                spread([run["epochs"]["bytes"] / 1e6 for run in them], "{:.0f}"),
            ])
        out += rows(["", "rounds", "wall, s", "CPU, s", "CPU per event, ns", "peak memory, MB", "files", "MB written"], lines)
    return out


def time_goes(facts):
    """What the script can say of where time goes: user and kernel time, and reading apart from the rest."""
    out = ["", "### Where the time goes", ""]
    lines = []
    for shape, runs in facts["runs"].items():
        for name, title in (("forebay", "Forebay"), ("spark", "Spark")):
            run, count = runs[name], facts["events"][shape]
            lines.append([
                f"{title}, {shape}", *(f"{median(of(run, key)) / count * 1e9:.0f}" for key in ("cpu", "user", "system")),
                f"{median([one['cpu'] / one['wall'] for one in run]):.2f}",
            ])
    count = facts["events"]["plant"]
    for name, title in (("forebay", "Forebay, reading alone"), ("kcat", "kcat, reading alone")):
        run = facts["read"][name]
        lines.append([
            title, *(f"{median(of(run, key)) / count * 1e9:.0f}" for key in ("cpu", "user", "system")),
            f"{median([one['cpu'] / one['wall'] for one in run]):.2f}",
        ])
    out += rows(["nanoseconds of CPU per event", "all", "user", "kernel", "cores in use"], lines)
    whole = median(of(facts["runs"]["plant"]["forebay"], "cpu")) / count * 1e9
    alone = median(of(facts["read"]["forebay"], "cpu")) / count * 1e9
    out += [
        "",
        f"Of Forebay's {whole:.0f} ns for one of the plant's events, reading and decompressing takes {alone:.0f} ns; the "
        f"other {whole - alone:.0f} ns are decoding JSON, encoding Parquet and committing. Fewer cores in use than there "
        f"are ({facts['machine']['cores']}) means waiting: for the broker, which shares the machine, or for the disk.",
    ]
    peak, source = (median(of(them, "peak", 1e-6)) for them in (facts["runs"]["plant"]["forebay"], facts["read"]["forebay"]))
    out += [
        "",
        f"Of the {peak:.0f} MB at the peak, reading alone accounts for {source:.0f} MB; the rest is what decoding and Parquet "
        "encoding hold, the allocator's reserve and the mapped pages of the program itself, which were not told apart.",
    ]
    for shape, runs in facts["runs"].items():
        told = facts["durations"].get(shape)
        if told:
            parts = ", ".join(f"{name} {value:.0f}" for name, value in sorted(told.items(), key=lambda item: -item[1]))
            epochs = runs["forebay"][-1]["epochs"]["commits"]
            out += ["", f"Forebay's own account (`durationMs`) of one run over the {shape} topic, {epochs} epoch(s), in milliseconds: {parts}."]
    out += ["", "No sampling profile was taken: the release binary carries no symbols."]
    return out


def floors_of(judge, facts):
    """The floors of a part: how many are met, which are not, and all of them."""
    floors = Floors()
    judge(facts, floors)
    missed = [name for name, _, _, met in floors.found if not met]
    out = [f"{len(floors.found) - len(missed)} of {len(floors.found)} floors met." + (f" Missed: {'; '.join(missed)}." if missed else ""), ""]
    return out + rows(["what", "floor", "measured", ""], [[n, f, v, MET if met else MISSED] for n, f, v, met in floors.found])


def parts(facts):
    """The parts of the page that these facts are of, by name: each with what it was measured on."""
    machine, versions = facts["machine"], facts["versions"]
    began = [
        "", f"Measured {facts['day']} on {machine['model']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB, {machine['system']}, Linux "
        f"{machine['kernel']}; load when it began {facts['load'][0]:.1f}. {', '.join(f'{name} {version}' for name, version in versions.items())}.", "",
    ]
    found = {}
    for name, title, is_there, judge, section in PARTS:
        if is_there in facts:
            lines = [f"## {title}", *began, *floors_of(judge, facts), *section(facts)]
            found[name] = "\n".join(lines) + "\n"
    return found


def page(before, found):
    """The whole page: the parts that were measured now, and of `before` those that were not."""
    kept = {}
    for part in before.split(MARK)[1:]:
        name, text = part.split(" -->\n", 1)
        kept[name] = text
    kept |= found
    every = [(name, kept[name]) for name, *_ in PARTS if name in kept]
    met, missed = (sum(line.endswith(f"| {word} |") for _, text in every for line in text.splitlines()) for word in (MET, MISSED))
    top = [
        "<!-- Written by scripts/bench/run.sh (make bench). Do not edit: every figure here was measured by it. -->",
        "# Benchmarks",
        "",
        "Forebay beside Spark Structured Streaming and Flink SQL on the same Apache Kafka topic, its log beside Apache Kafka, its way into",
        "PostgreSQL beside Spark's and COPY, its MQTT end point beside Mosquitto, all on one machine and with default settings. `make bench`",
        "repeats all of it and writes this page; one part of it can be renewed alone (`scripts/bench/run.sh`).",
        "",
        f"Of {met + missed} floors that were set before, {met} are met.",
        "",
    ]
    return "\n".join(top) + "".join(f"\n{MARK}{name} -->\n{text}" for name, text in every)


def line(facts):
    """All but windows: engines, start, reading, alerts, the log, the page."""
    late, rounds = facts["latency"], facts["rounds"]
    out = [
        "", "### JSON from Kafka to a Delta table", "",
        f"Topics of 4 partitions, lz4, 1,000 devices, on one Apache Kafka. Forebay ran {rounds['forebay']} time(s), Spark "
        f"(`local[{2}]`) {rounds['spark']} time(s), in turn, with the trigger `availableNow`, each into fresh folders. Whole "
        "process from start to end; CPU time and memory of all processes that belong to it, the broker's not. Medians, the "
        "range in brackets.",
    ]
    out += engine_tables(facts)
    out += [
        "",
        "After each run the rows of its table were counted, and counts, sums and maxima of each device compared with those "
        f"of the first run ({', '.join(f'{n:,} devices ({shape})' for shape, n in facts['checked'].items())}); at the end "
        "Spark compared the last tables of both. All were equal.",
        "", "### From start to the first committed epoch", "",
        f"A topic of {facts['small']:,} events; seconds from the start of the process to the first commit in the Delta log.", "",
    ]
    first = facts["first"]
    out += rows(["", "rounds", "seconds"], [
        [title, len(first[name]), spread(first[name], form)] for name, title, form in (("forebay", "Forebay", "{:.3f}"), ("spark", "Spark", "{:.1f}"))
    ])
    out += ["", "### Reading alone", "", "The plant's topic from end to end, nothing done with the records.", ""]
    count, read = facts["events"]["plant"], facts["read"]
    out += rows(["", "rounds", "wall, s", "CPU per record, ns", "peak memory, MB"], [
        [title, len(read[name]), spread(of(read[name], "wall"), "{:.1f}"), spread(of(read[name], "cpu", 1e9 / count), "{:.0f}"),
         spread(of(read[name], "peak", 1e-6), "{:.0f}")]
        for name, title in (("forebay", "Forebay's source"), ("kcat", "kcat"))
    ])
    out += [
        "", "### From event to alert", "",
        "20,000 events a second through the log embedded in the same process, default trigger, `WHERE temperature > 70`, "
        "console sink. From the moment an event is handed to a librdkafka producer (acks=all, no lingering) to the moment its "
        "line is read from the console; 5 s of warming up, 20 s measured. Each event is fsynced twice on its way: by the log "
        "and in the checkpoint.", "",
    ]
    out += rows(["", "p50, ms", "p99, ms", "max, ms"], [
        [f"event to alert ({late['rows']:,} alerts)", f"{late['p50']:.1f}", f"{late['p99']:.1f}", f"{late['max']:.1f}"],
        ["append 4 KiB and fdatasync, same disk", f"{late['sync50']:.2f}", f"{late['sync99']:.2f}", ""],
    ])
    out += [
        "", "### The embedded log beside Apache Kafka", "",
        f"kcat writes {facts['log_records']:,} of the plant's events (acks=all, lz4, 4 partitions), then reads them. "
        "Forebay's log fsyncs before it answers. Apache Kafka does not with its defaults; with `flush.messages=1` it does, "
        "which is the like-for-like comparison. Records per second, process start included; the page cache is warm.", "",
    ]
    names = (("forebay", "Forebay's log"), ("kafka-flush", "Apache Kafka, `flush.messages=1`"), ("kafka", "Apache Kafka, defaults"))
    out += rows(["", "rounds", "produced, records/s", "consumed, records/s"], [
        [title, len(facts["logs"][name]), spread(of(facts["logs"][name], "produce"), "{:,.0f}"), spread(of(facts["logs"][name], "consume"), "{:,.0f}")]
        for name, title in names
    ])
    out += ["", "kcat itself takes most of that time. CPU time of the log's process for one record, in nanoseconds:", ""]
    out += rows(["", "produce", "consume"], [
        [title, *(spread(of(facts["logs"][name], f"{verb}-cpu", 1e9), "{:.0f}") for verb in ("produce", "consume"))]
        for name, title in names
    ])
    out += live(facts)
    return out


PARTS = (
    ("line", "From a topic to a table, an alert and a page", "runs", line_floors, lambda facts: line(facts) + time_goes(facts)),
    ("windows", "Windows and state", "windows", page_windows.floors, page_windows.section),
    ("postgres", "PostgreSQL: into it, and as it", "postgres", page_postgres.floors, page_postgres.section),
    ("gateways", "Gateways and files", "gateways", page_gateways.floors, page_gateways.section),
    ("alerts", "Alerts and detectors", "alerts", page_alerts.floors, page_alerts.section),
)
