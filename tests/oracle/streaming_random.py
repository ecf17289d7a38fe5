"""Random cases of the streaming suite, all from one seed: queries that Spark and Forebay both take, and input with disorder,
late rows, nulls, two partitions and empty steps. Every fourth is a join of two streams, every eighth stands on a union.

    python3 tests/oracle/streaming_random.py SEED N     prints them

Values are multiples of a quarter, so that sums are exact in whatever order they are made.
"""

import json
import random
import sys

SIZES = ["4 seconds", "5 seconds", "7 seconds", "10 seconds", "12 seconds", "30 seconds"]
SLIDES = {"4 seconds": ["1 second", "2 seconds", "3 seconds"], "5 seconds": ["2 seconds", "1 second"],
          "7 seconds": ["2 seconds", "3 seconds", "5 seconds"], "10 seconds": ["5 seconds", "4 seconds", "3 seconds"],
          "12 seconds": ["5 seconds", "4 seconds", "6 seconds"], "30 seconds": ["10 seconds", "7 seconds"]}
STARTS = [None, None, None, "1 second", "500 milliseconds", "-1 second"]
AGGREGATES = ["count(*)", "count(v)", "sum(v)", "avg(v)", "min(v)", "max(v)", "sum(i)", "min(i)", "max(i)", "avg(i)", "min(ts)",
              "max(ts)", "count_if(v > 10)", "count_if(i IS NULL)", "sum(v) FILTER (WHERE i > 0)", "count(*) FILTER (WHERE k = 'a')",
              "stddev(v)", "var_pop(v)", "max(k)", "array_sort(collect_set(i))", "array_sort(collect_list(v))", "bool_or(v > 10)",
              "sum(CAST(v AS DECIMAL(12, 2)))"]
FILTERS = ["v > 0", "k <> 'b'", "i IS NOT NULL", "v > 0 AND k IS NOT NULL", "abs(i) < 3", "ts > TIMESTAMP '2024-01-01 00:00:10'",
           "v > 0 AND ts < TIMESTAMP '2024-01-01 00:02:00'"]
KEYS = [[], ["k"], ["i"], ["k", "i"], ["upper(k)"], ["v > 10"]]


def source(rng):
    return {"schema": "k STRING, ts TIMESTAMP, v DOUBLE, i INT",
            "watermark": {"column": "ts", "delay": rng.choice(["0 seconds", "1 second", "5 seconds", "10 seconds", "20 seconds"])}}


def query(rng):
    """SQL and mode, and de-duplication."""
    kind = rng.choices(["window", "sliding", "session", "plain", "deduplicate", "chained", "stateless"], [5, 5, 4, 2, 3, 3, 1])[0]
    where = f" WHERE {rng.choice(FILTERS)}" if rng.random() < 0.4 else ""
    chosen = rng.sample(AGGREGATES, rng.randint(1, 4))
    aggregates = ", ".join(f"{aggregate} AS a{number}" for number, aggregate in enumerate(chosen))
    if kind == "stateless":
        return {"sql": f"SELECT k, ts, v * 2 AS w FROM events{where}", "mode": rng.choice(["append", "update"])}
    if kind == "deduplicate":
        keys = rng.choice([["k"], ["k", "ts"], ["i", "k"], ["k", "v"]])
        deduplicate = {"keys": keys}
        it = source(rng)
        if "ts" not in keys and rng.random() < 0.5:
            deduplicate["within"] = it["watermark"]["delay"] = rng.choice(["1 second", "5 seconds", "10 seconds"])
        columns = list(dict.fromkeys(keys + ["ts"]))
        return dict(it, sql=f"SELECT {', '.join(columns)} FROM events{where}", mode="append", deduplicate=deduplicate,
                    partitions=1)
    keys = rng.choice(KEYS if kind != "session" else KEYS[1:])
    if kind == "plain":
        group = f" GROUP BY {', '.join(keys)}" if keys else ""
        columns = ", ".join([f"{key} AS g{number}" for number, key in enumerate(keys)] + [aggregates])
        return {"sql": f"SELECT {columns} FROM events{where}{group}", "mode": rng.choice(["update", "complete"])}
    size = rng.choice(SIZES)
    if kind == "session":
        gap = rng.choice(["'3 seconds'", "'5 seconds'", "CASE WHEN i > 0 THEN '6 seconds' ELSE '2 seconds' END"])
        window, name, mode = f"session_window(ts, {gap})", "session_window", rng.choice(["append", "append", "complete"])
    else:
        slide = rng.choice(SLIDES[size]) if kind == "sliding" else size
        start = rng.choice(STARTS) if slide != "1 second" else None
        more = f", '{slide}'" if start or slide != size else ""
        window = f"window(ts, '{size}'{more}" + (f", '{start}'" if start else "") + ")"
        name, mode = "window", rng.choice(["append", "append", "update", "complete"])
    group = ", ".join([window] + keys)
    columns = ", ".join([f"{name}.start AS start", f"{name}.end AS end"] + [f"{key} AS g{n}" for n, key in enumerate(keys)])
    having = " HAVING count(*) > 1" if rng.random() < 0.15 else ""
    if kind == "chained":
        inner = f"SELECT window AS w, k, count(*) AS n, sum(v) AS s FROM events{where} GROUP BY window(ts, '{size}'), k"
        return {"views": {"fine": inner}, "mode": "append",
                "sql": f"SELECT window.start AS start, sum(n) AS n, max(s) AS s FROM fine GROUP BY window(w, '{rng.choice(SIZES)}')"}
    return {"sql": f"SELECT {columns}, {aggregates} FROM events{where} GROUP BY {group}{having}", "mode": mode}


def steps(rng, partitions):
    now, all_steps = 0.0, []
    for number in range(rng.randint(2, 3)):
        step = []
        # Not empty at first: Spark runs its first epoch also without records (case key-none-complete).
        for _ in range(rng.choice([0, 1, 5, 9, 14][number == 0:])):
            now += rng.choice([0, 0, 0.5, 1, 2, 8])
            ts = now - (rng.random() < 0.3) * rng.choice([1, 3, 5, 10, 11, 30])
            at = None if rng.random() < 0.03 else max(0, round(ts * 4) / 4)
            row = [rng.choice(["a", "b", "c", "A", None]), at, rng.choice([None, rng.randint(-40, 200) / 4]), rng.choice([None, -2, 0, 1, 2, 5])]
            step.append({"row": row, "partition": rng.randrange(partitions)})
        all_steps.append(step)
    # Far ahead, so that what is open comes out.
    return all_steps + [[{"row": ["z", now + 100, 1, 1], "partition": 0}], [{"row": ["z", now + 300, 1, 1], "partition": 0}]]


def bound(rng, this, other, most, ways):
    """`this` no later than `other` and a little, in one of so many ways of writing it."""
    length = f"INTERVAL {rng.choice(most)} SECONDS"
    less, more = rng.choice([(this, f"{other} + {length}"), (f"{this} - {length}", other)])
    return rng.choice([f"{less} <= {more}", f"{more} >= {less}", f"{less} < {more}", f"NOT ({less} > {more})"][:ways])


def join(rng):
    """Two streams whose rows meet: kind, keys, bounds, conditions of one side and of both, at times a window behind."""
    kind = rng.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT SEMI JOIN"])
    # NULL is equal to NULL in Spark's full join, whatever is written.
    is_full = kind == "FULL JOIN"
    keys = rng.choice([["k <=> rk"], ["i <=> ri", "k <=> rk"]] if is_full else
                      [["k = rk"], ["i = ri"], ["k = rk", "i = ri"], ["i + 1 = ri", "k = rk"], ["k <=> rk"]])
    by = rng.choice(["range", "range", "range", "window"] + ["time"] * (not is_full) + ["none"] * (kind == "JOIN"))
    if by == "range":
        # Spark tells whether an outer join ends before it takes NOT out of a condition.
        ways = 4 if kind == "JOIN" else 3
        bounds = [bound(rng, "rt", "lt", [0, 3, 5, 10], ways), bound(rng, "lt", "rt", [0, 2, 5], ways)]
        needed = {"LEFT JOIN": 1, "LEFT SEMI JOIN": 1, "RIGHT JOIN": 0}.get(kind)
        drop = rng.choice([None, None, needed]) if needed is not None else None
        bounds = [part for index, part in enumerate(bounds) if index != drop]
    else:
        bounds = {"time": ["lt = rt"], "window": ["lw = rw"], "none": []}[by]
    # Not `v > 3`: Spark's outer joins take it for a bound of the time (case join-right-with-a-number-compared).
    extra = rng.choice([[], [], ["v < rv"], ["v < 3"], ["rv < 3"], ["(v <> 2 OR rv > 5)"]])
    sides = ["l", "r"]
    if by == "window":
        size = rng.choice(SIZES)
        sides = [f"(SELECT k, i, v, window(lt, '{size}') AS lw FROM l)", f"(SELECT rk, ri, rv, window(rt, '{size}') AS rw FROM r)"]
    where = rng.choice(["", "", " WHERE v > 2", " WHERE k <> 'b'"]) if kind != "RIGHT JOIN" else ""
    columns = "k, i, v" if "SEMI" in kind else rng.choice(["k, rk, v, rv", "i, ri, v, rv"] + ["k, lt, rt"] * (by != "window"))
    tables = f"FROM {sides[0]} {kind} {sides[1]} ON {' AND '.join(keys + bounds + extra)}{where}"
    delays = ["0 seconds", "1 second", "5 seconds", "10 seconds"]
    case = {"sources": {
        "l": {"schema": "k STRING, lt TIMESTAMP, v DOUBLE, i INT", "watermark": {"column": "lt", "delay": rng.choice(delays)}},
        "r": {"schema": "rk STRING, rt TIMESTAMP, rv DOUBLE, ri INT", "watermark": {"column": "rt", "delay": rng.choice(delays)}}},
        "mode": "append", "sql": f"SELECT {columns} {tables}"}
    if rng.random() < 0.2 and by not in ("none", "window"):
        case["sql"] = (f"SELECT window.start AS start, count(*) AS n, sum(v) AS s FROM (SELECT lt, v {tables}) "
                       f"GROUP BY window(lt, '{rng.choice(SIZES)}')")
    if rng.random() < 0.2:
        case["multipleWatermarkPolicy"] = "max"
    return case


def two_steps(rng):
    """Steps of two streams that go side by side, one of them at times far behind."""
    now, all_steps = 0.0, []
    for number in range(rng.randint(2, 4)):
        step = {"l": [], "r": []}
        for _ in range(rng.choice([0, 2, 6, 10, 16][number == 0:])):
            now += rng.choice([0, 0, 0.5, 1, 2, 6])
            ts = now - (rng.random() < 0.3) * rng.choice([1, 3, 5, 10, 11, 30])
            at = None if rng.random() < 0.03 else max(0, round(ts * 4) / 4)
            row = [rng.choice(["a", "b", None] + ["a"] * 2), at, rng.choice([None] + [rng.randint(0, 24) / 4] * 5), rng.choice([None, 0, 1, 1, 2])]
            step[rng.choice(["l", "r"])].append(row)
        if any(step.values()):
            # Spark forgets over a restart how far a side had come (case join-one-side-silent-over-a-restart): each goes on in
            # each step, by a row that no condition holds back.
            for side, behind in (("l", 0), ("r", 4)):
                step[side].append(["a", max(0, round((now - behind) * 4) / 4), 2.5, 1])
        all_steps.append(step)
    for ahead in (100, 300, 301):
        all_steps.append({side: [["z", now + ahead, 2.5, 1]] for side in ("l", "r")})
    return all_steps


def union(rng):
    """A query over one stream whose rows come from two, or from one by two ways."""
    case = query(rng)
    # Which of equal keys is the first, a union does not say.
    while "deduplicate" in case:
        case = query(rng)
    delay = lambda: rng.choice(["0 seconds", "1 second", "5 seconds", "10 seconds"])
    of = lambda: {"schema": "k STRING, ts TIMESTAMP, v DOUBLE, i INT", "watermark": {"column": "ts", "delay": delay()}}
    names = rng.choice([["l", "r"], ["l", "r"], ["l", "l"]])
    where = rng.choice(["", f" WHERE {rng.choice(FILTERS)}"])
    second = rng.choice(["k, ts, v, i", "lower(k), ts, v + 1, i", "k, ts, i, CAST(v AS INT)"])
    parts = f"(SELECT k, ts, v, i FROM {names[0]} UNION ALL SELECT {second} FROM {names[1]}{where})"
    put = lambda sql: sql.replace("FROM events", f"FROM {parts}")
    case["sql"] = put(case["sql"])
    if "views" in case:
        case["views"] = {name: put(sql) for name, sql in case["views"].items()}
    case["sources"] = {name: of() for name in dict.fromkeys(names)}
    if rng.random() < 0.2:
        case["multipleWatermarkPolicy"] = "max"
    case["steps"] = []
    for step in steps(rng, 1):
        rows = [record["row"] for record in step]
        sides = {name: [] for name in case["sources"]}
        for row in rows:
            sides[rng.choice(list(sides))].append(row)
        # After a restart Spark's watermark waits for all sources: each has a row that no condition holds back.
        for side in sides.values():
            if rows:
                side.append(["z", max(row[1] or 0 for row in rows), 1, 1])
        case["steps"].append(sides)
    return case


def cases(seed, count):
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        if number % 4 == 3:
            rows = dict(join(rng), name=f"random-{seed}-{number}", steps=two_steps(rng))
            if rng.random() < 0.2:
                rows["maxOffsetsPerTrigger"] = rng.choice([4, 9])
            yield rows
            continue
        if number % 8 == 5:
            yield dict(union(rng), name=f"random-{seed}-{number}")
            continue
        case = dict(source(rng), partitions=rng.choice([1, 1, 2]))
        case.update(query(rng))
        case["name"] = f"random-{seed}-{number}"
        case["steps"] = steps(rng, case["partitions"])
        if case["partitions"] == 1 and rng.random() < 0.2:
            case["maxOffsetsPerTrigger"] = rng.choice([5, 12])
        yield case


if __name__ == "__main__":
    for it in cases(int(sys.argv[1]), int(sys.argv[2])):
        print(json.dumps(it))
