"""What the page says of gateways and of CSV files: their floors, and the section that holds the figures."""

from statistics import median

from tables import of, rows, spread


def floors(facts, judged):
    found = facts["gateways"]
    rate = median(of(found["rates"]["forebay"], "per_second"))
    judged.add("MQTT: QoS 1 publishes acknowledged after fsync, a second", "≥ 60,000", f"{rate:,.0f}", rate >= 60_000)
    late = found["steady"]
    floor = 5 + 5 * late["sync99"]
    p99 = late["p99_us"] / 1000
    judged.add(
        f"MQTT: PUBLISH to PUBACK at {found['rate']:,}/s, p99", f"≤ 5 ms + 5 × {late['sync99']:.2f} ms = {floor:.1f} ms", f"{p99:.1f} ms", p99 <= floor,
    )
    held = found["idle"]
    judged.add(f"MQTT: resident memory with {held['count']:,} idle connections", "≤ 150 MB", f"{held['with'] / 1e6:.0f} MB", held["with"] <= 150e6)
    csv = found["csv"]
    judged.at_least("CSV files: events per CPU-second, Spark = 1", 10, median(of(csv["spark"], "cpu")) / median(of(csv["forebay"], "cpu")))


def section(facts):
    found = facts["gateways"]
    rates, late, held = found["rates"], found["steady"], found["idle"]
    out = [
        "", "### MQTT", "",
        f"{found['connections']} connections with {found['in_flight']} QoS 1 publishes of about 90 bytes in flight each, for {found['seconds']} s, by the same "
        "small client. Forebay acknowledges after the fsync of its log; Mosquitto (persistence on, its defaults) does not wait for the "
        "disk. The bridge is Mosquitto, a Python program (paho-mqtt, confluent-kafka) and Apache Kafka with its defaults: from the first publish "
        "until Kafka has all. What was acknowledged was counted in the log.", "",
    ]
    out += rows(["", "rounds", "messages/s", "PUBLISH to PUBACK, p50, ms", "p99, ms", "CPU of the server per message, µs"], [
        [
            title, len(them), spread(of(them, "per_second"), "{:,.0f}"), spread(of(them, "p50_us", 1e-3), "{:.1f}"),
            spread(of(them, "p99_us", 1e-3), "{:.1f}"), spread(of(them, "cpu", 1e6), "{:.1f}"),
        ]
        for title, them in (("Forebay, in its log, fsynced", rates["forebay"]), ("Mosquitto, in its memory", rates["mosquitto"]))
    ] + [["Mosquitto, a Python bridge, Apache Kafka", len(found["bridged"]), spread(found["bridged"], "{:,.0f}"), "", "", ""]])
    out += [
        "", f"At a steady {found['rate']:,} publishes a second over the same connections, from when each was due:", "",
    ]
    out += rows(["", "p50, ms", "p99, ms", "max, ms"], [
        [f"PUBLISH to PUBACK ({late['acknowledged']:,})", *(f"{late[key] / 1000:.2f}" for key in ("p50_us", "p99_us", "max_us"))],
        ["append 4 KiB and fdatasync, same disk", f"{late['sync50']:.2f}", f"{late['sync99']:.2f}", ""],
    ])
    out += [
        "", f"Resident memory of Forebay: {held['alone'] / 1e6:.0f} MB before, {held['with'] / 1e6:.0f} MB with {held['count']:,} connections that say nothing.",
        "", "### JSON from Kafka to CSV files", "",
        f"{found['events']:,} of the plant's events, trigger `availableNow`; the rows of each run were those of the first, whoever wrote them.", "",
    ]
    return out + rows(["", "rounds", "wall, s", "CPU, s", "peak memory, MB"], [
        [title, len(found["csv"][name]), spread(of(found["csv"][name], "wall"), "{:.1f}"), spread(of(found["csv"][name], "cpu"), "{:.1f}"),
         spread(of(found["csv"][name], "peak", 1e-6), "{:.0f}")]
        for name, title in (("forebay", "Forebay"), ("spark", "Spark"))
    ])
