"""What the page says of alerts and detectors: their floors, and the section that holds the figures."""

from statistics import median

from tables import of, rows, spread

CHEAP, COSTLY = ("z_score", "ewma", "k_means"), ("isolation_forest", "half_space_trees")


def floors(facts, judged):
    found = facts["alerts"]
    alone, beside, counts = found["heard"], found["beside"], found["counts"]
    floor = 10 + 5 * alone["sync99"]
    judged.add(
        f"event to webhook at {counts['rate']:,} events/s, p99", f"≤ 10 ms + 5 × {alone['sync99']:.2f} ms = {floor:.1f} ms", f"{alone['p99']:.1f} ms",
        alone["p99"] <= floor,
    )
    more = 20 + 5 * beside["sync99"]
    judged.add(
        "the same beside all detectors, p99", f"≤ 20 ms + 5 × {beside['sync99']:.2f} ms = {more:.1f} ms", f"{beside['p99']:.1f} ms", beside["p99"] <= more,
    )
    for name, title in (("calm", "no condition holds"), ("some", "some devices alert"), ("storm", "an event in twenty opens or clears")):
        rate = median(counts["ruled"] / run["cpu"] for run in found["rules"][name])
        judged.add(
            f"{counts['rules']} rules over {counts['devices']:,} devices, from Kafka to the journals, {title}: events per CPU-second", "≥ 500,000", f"{rate:,.0f}",
            rate >= 500_000,
        )
    tried = median(counts["scored"] / run["wall"] for run in found["backtest"])
    judged.add("backtest of one rule over a Delta table: rows per second", "≥ 1,000,000", f"{tried:,.0f}", tried >= 1_000_000)
    for names, most in ((CHEAP, 150), (COSTLY, 3_000)):
        for name in names:
            cost = found["detectors"][name]["ns"]
            judged.add(f"detector {name}: a row", f"≤ {most:,} ns", f"{cost:,.0f} ns", cost <= most)
    both = found["kmeans"]
    judged.at_least("k-means: events per CPU-second, Spark ML = 1", 10, median(of(both["spark"], "cpu")) / median(of(both["forebay"], "cpu")))


def section(facts):
    found = facts["alerts"]
    counts = found["counts"]
    out = [
        "", "### From event to webhook", "",
        f"{counts['rate']:,} events a second through the log embedded in the same process, and one alert with a channel. From the moment an event "
        "is handed to a librdkafka producer (acks=all, no lingering) to the moment the receiver has read the notice of what it opened: the event, the "
        "transition and the notice are each fsynced before. Beside detectors, twelve more alerts watch the same events, each by a detector of another kind.", "",
    ]
    out += rows(["", "p50, ms", "p99, ms", "max, ms"], [
        [f"event to webhook ({found[name]['count']:,}){title}", *(f"{found[name][key]:.1f}" for key in ("p50", "p99", "max"))]
        for name, title in (("heard", ""), ("beside", ", beside all detectors"))
    ] + [["append 4 KiB and fdatasync, same disk", f"{found['heard']['sync50']:.2f}", f"{found['heard']['sync99']:.2f}", ""]])
    out += [
        "", "### Many rules", "",
        f"{counts['ruled']:,} of the plant's events of {counts['devices']:,} devices on Apache Kafka, and rules over them, each with a condition to open and one to clear, trigger "
        "`availableNow`. Each rule is a query of its own with its own checkpoint and journal; the figures pay for the start of the process, reading, decoding and all fsyncs.", "",
    ]
    out += rows(["", "transitions", "rounds", "wall, s", "CPU, s", "peak memory, MB"], [[
        title, f"{runs[0]['transitions']:,}", len(runs), *(spread(of(runs, key, by), form) for key, by, form in (("wall", 1, "{:.1f}"), ("cpu", 1, "{:.1f}"), ("peak", 1e-6, "{:.0f}"))),
    ] for title, runs in (
        ("one rule", found["rules"]["one"]), (f"{counts['rules']} rules", found["rules"]["calm"]), (f"{counts['rules']} rules, one of which alerts", found["rules"]["some"]),
        (f"{counts['rules']} rules, five of which alert", found["rules"]["storm"]),
    )])
    tried = found["backtest"]
    out += ["", "### A backtest", "", f"One rule over a Delta table of {counts['scored']:,} rows, as `forebay backtest` prints it, with the start of the process.", ""]
    out += rows(["rounds", "wall, s", "CPU, s", "peak memory, MB"], [[
        len(tried), spread(of(tried, "wall"), "{:.1f}"), spread(of(tried, "cpu"), "{:.1f}"), spread(of(tried, "peak", 1e-6), "{:.0f}"),
    ]])
    out += ["", "### Detectors", "", "One thread, batches of 1,000 rows, 10,000 keys in turn, the median batch. The second figure is judged: a row whose key's state comes out of the "
        "checkpoint's bytes before and goes back behind it, as where an epoch brings one row of each key.", ""]
    out += rows(["", "columns", "a row, ns", "with its state, ns", "bytes a key", "bytes saved"], [
        [name, cost["inputs"], f"{cost['held']:,.0f}", f"{cost['ns']:,.0f}", f"{cost['bytes']:,}", f"{cost['saved']:,}"] for name, cost in found["detectors"].items()
    ])
    both = found["kmeans"]
    out += [
        "", "### k-means beside Spark ML", "",
        f"Two clusters of two columns, trained from the same rows by each, applied to {counts['scored']:,} of the plant's events from Kafka into a Delta table with each row's "
        "distance from its centre; the rows were counted, and the mean distances are equal within a thousandth.", "",
    ]
    return out + rows(["", "rounds", "wall, s", "CPU, s", "peak memory, MB"], [
        [title, len(both[name]), spread(of(both[name], "wall"), "{:.1f}"), spread(of(both[name], "cpu"), "{:.1f}"), spread(of(both[name], "peak", 1e-6), "{:.0f}")]
        for name, title in (("forebay", "Forebay"), ("spark", "Spark ML"))
    ])
