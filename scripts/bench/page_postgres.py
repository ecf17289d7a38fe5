"""What the page says of PostgreSQL: its floors, and the section that holds the figures."""

from statistics import median

from tables import of, rows, spread
from work import percentile

NAMES = (
    ("forebay", "Forebay"), ("copy", "`psql \\copy … (FORMAT binary)` of a file"), ("spark", "Spark, JDBC"),
    ("spark-rewrite", "Spark, JDBC with `reWriteBatchedInserts=true`"),
)


def ratio_of_pairs(ours, theirs):
    """The median of the rounds' ratios of speed: whoever comes first in turn."""
    return median(other / one for one, other in zip(of(ours, "wall"), of(theirs, "wall")))


def floors(facts, judged):
    found = facts["postgres"]
    runs = {name: {key: median(of(them, key)) for key in ("wall", "cpu")} for name, them in found["runs"].items()}
    judged.at_least("PostgreSQL: rows per second, `psql \\copy` of a binary file = 1", 0.8, runs["copy"]["wall"] / runs["forebay"]["wall"])
    judged.at_least("PostgreSQL: rows per CPU-second of the client, Spark's JDBC = 1", 10, runs["spark"]["cpu"] / runs["forebay"]["cpu"])
    judged.at_least("PostgreSQL: speed with exactly once, without = 1", 0.95, ratio_of_pairs(found["once"], found["off"]))
    append, upsert = (median(of(found["keyed"][name], "wall")) for name in ("append", "upsert"))
    judged.at_least("PostgreSQL: speed of upsert, append into the same keyed table = 1", 0.3, append / upsert)
    for name, them in found["wire"]["asked"].items():
        ratio = median(them["forebay"]) / median(them["duckdb"])
        judged.add(f"GROUP BY {name} of a Delta table through the Postgres wire, time, DuckDB = 1", "≤ 1.5×", f"{ratio:.2f}×", ratio <= 1.5)
    late = found["latency"]
    commit = percentile(late["commits"], 0.99)
    floor = max(100, 5 * commit)
    judged.add(
        "event to visible in PostgreSQL at 5,000 rows/s, p99", f"≤ max(100 ms, 5 × {commit:.1f} ms) = {floor:.0f} ms", f"{late['p99']:.1f} ms",
        late["p99"] <= floor,
    )


def section(facts):
    found = facts["postgres"]
    count = found["rows"]
    out = [
        "", "### Nested events to PostgreSQL", "",
        f"{facts['events']['devices']:,} events of several devices (4 partitions, lz4) become {count:,} rows of nine columns (uuid, text, "
        "bigint, timestamp, double) in a table without indexes, on a PostgreSQL of the same machine with fsync on. Forebay in one epoch, "
        "its number in the same transaction; Spark by `foreachBatch` and JDBC, `batchsize` 10,000, as the job's authors wrote it, and "
        "once with the driver's own rewriting of batches; `psql` copies a file that holds the very rows in PostgreSQL's binary form. "
        "Each into a table that is made anew. Whole process of the client from start to end; the server's CPU is not counted.", "",
    ]
    out += rows(["", "rounds", "wall, s", "rows/s", "CPU of the client, s", "rows per CPU-second", "peak memory, MB"], [
        [
            title, len(them), spread(of(them, "wall"), "{:.1f}"), f"{count / median(of(them, 'wall')):,.0f}", spread(of(them, "cpu"), "{:.1f}"),
            f"{count / max(median(of(them, 'cpu')), 0.001):,.0f}", spread(of(them, "peak", 1e-6), "{:.0f}"),
        ]
        for (name, title), them in ((pair, found["runs"][pair[0]]) for pair in NAMES)
    ])
    out += [
        "", "After each run the number of rows and the sum of the hashes of all rows were those of the first run.",
        "", f"Exactly once and not (`exactlyOnce: false`: no epoch's row), in {found['epochs']} epochs, in pairs whose order turns; seconds:", "",
    ]
    out += rows(["", "rounds", "wall, s", "CPU of the client, s"], [
        [title, len(found[name]), spread(of(found[name], "wall"), "{:.2f}"), spread(of(found[name], "cpu"), "{:.1f}")]
        for name, title in (("once", "exactly once"), ("off", "without"))
    ])
    out += ["", f"Into a table with a primary key (event, device), {found['keyed_rows']:,} rows, empty at first:", ""]
    out += rows(["", "rounds", "wall, s", "rows/s"], [
        [name, len(them), spread(of(them, "wall"), "{:.2f}"), f"{found['keyed_rows'] / median(of(them, 'wall')):,.0f}"]
        for name, them in found["keyed"].items()
    ])
    wired = found["wire"]
    out += [
        "", f"A GROUP BY as Power BI's DirectQuery writes it, over the same {wired['rows']:,} rows in a Delta table of {wired['files']} files: through the "
        "Postgres wire, as psql sees it with all rows fetched, and by DuckDB in its own process over the table's files:", "",
    ]
    out += rows(["", "groups", "rounds", "Forebay, ms", "DuckDB, ms"], [
        [f"by {name}", f"{them['groups']:,}", len(them["forebay"]), *(spread([took * 1000 for took in them[who]], "{:.0f}") for who in ("forebay", "duckdb"))]
        for name, them in wired["asked"].items()
    ])
    late = found["latency"]
    out += [
        "", "From the moment an event is handed to a producer to the moment another session sees its rows, at 5,000 rows a second through the "
        "embedded log, default trigger; 5 s of warming up, 20 s measured. The session looks every half millisecond. Beside it "
        "PostgreSQL's own commit of one row, timed in the server.", "",
    ]
    return out + rows(["", "p50, ms", "p99, ms", "max, ms"], [
        [f"event to visible ({late['visible']:,} rows)", *(f"{late[key]:.1f}" for key in ("p50", "p99", "max"))],
        [f"a commit ({len(late['commits'])})", *(f"{percentile(late['commits'], share):.2f}" for share in (0.5, 0.99, 1))],
    ])
