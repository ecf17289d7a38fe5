"""What the page says of windows: their floors, and the section that holds their figures."""

from statistics import median

from tables import of, rows, spread

NAMES = (("forebay", "Forebay"), ("spark", "Spark"), ("flink", "Flink"))


def checkpoint_ratios(found):
    """What a checkpoint leaves of the speed: by runs whose checkpoint lies in memory, and by the epochs' own account."""
    pairs = zip(of(found["memory"], "wall"), of(found["disk"], "wall"))
    runs = median([memory / disk for memory, disk in pairs])
    account = median([1 - (one["plan"] + one["state"] + one["commit"]) / one["all"] for one in found["parts"]])
    return runs, account


def floors(facts, judged):
    found = facts["windows"]
    runs = found["compared"]["runs"]
    middle = {name: {key: median(of(runs[name], key)) for key in ("wall", "cpu", "peak")} for name in runs}
    ours = middle["forebay"]
    judged.at_least("windows: events per CPU-second, Spark = 1", 18, middle["spark"]["cpu"] / ours["cpu"])
    judged.at_least("windows: speed by wall time, Spark = 1", 10, middle["spark"]["wall"] / ours["wall"])
    judged.at_most("windows: peak memory, Spark = 1", 10, ours["peak"] / middle["spark"]["peak"])
    judged.at_least("windows: events per CPU-second, Flink = 1", 10, middle["flink"]["cpu"] / ours["cpu"])
    kept = min(checkpoint_ratios(found["checkpointing"]))
    judged.at_least("windows: speed with a checkpoint, without = 1 (the lower of two ways to tell)", 0.95, kept)
    state, took, slide = found["epochs"], found["recovery"]["took"], found["sliding"]
    epoch = {name: median(of(state["times"][name], "mean")) for name in state["times"]}
    ratio = epoch["keys-many"] / epoch["keys-few"]
    panes = median(of(slide["sliding"], "cpu")) / median(of(slide["tumbling"], "cpu"))
    what = f"time of an epoch that changes {state['few']:,} of {state['many']:,} keys, all of {state['few']:,} = 1"
    judged.add(what, "≤ 1.3×", f"{ratio:.2f}×", ratio <= 1.3)
    what = f"kill -9 with {found['recovery']['keys']:,} keys to the first new commit, the longest"
    judged.add(what, "≤ 1 s", f"{max(took):.2f} s", max(took) <= 1)
    judged.add("CPU of a sliding window of 60 panes, tumbling by the slide = 1", "≤ 2×", f"{panes:.2f}×", panes <= 2)


def section(facts):
    found, count = facts["windows"], facts["events"]["plant"]
    return [*compared(found["compared"], count), *checkpointing(found["checkpointing"]), *epochs(found["epochs"]),
            *recovery(found["recovery"]), *sliding(found["sliding"])]


def compared(found, count):
    out = [
        "", "### Windows", "",
        f"The plant's topic, {count:,} events: average temperature, highest humidity and number of events of each device in each ten "
        "seconds, with a watermark ten seconds behind. Forebay and Spark append to a Delta table with `availableNow`; Flink SQL "
        "writes CSV files, with a parallelism of 2, and ends where the topic ended. Whole process from start to end, in turn, each into "
        "a fresh folder, everything else by default.", "",
    ]
    lines = []
    for name, title in NAMES:
        runs = found["runs"][name]
        lines.append([
            title, len(runs), spread(of(runs, "wall"), "{:.1f}"), spread(of(runs, "cpu"), "{:.1f}"),
            *(f"{median(of(runs, key)) / count * 1e9:.0f}" for key in ("cpu", "user", "system")), spread(of(runs, "peak", 1e-6), "{:.0f}"),
        ])
    out += rows(["", "rounds", "wall, s", "CPU, s", "CPU per event, ns", "user", "kernel", "peak memory, MB"], lines)
    parts = ", ".join(f"{name} {value}" for name, value in sorted(found["durations"].items(), key=lambda item: -item[1]))
    return out + [
        "", f"The last {count - found['n']:,} events are in windows that Forebay and Spark hold open when they end; Flink writes these too. "
        f"The {found['windows']:,} windows of the others were compared after each run: for each device their number, the sums of events, "
        "temperatures and starts, the maximum. All were equal, and no event was missing.",
        "", f"Forebay's own account (`durationMs`) of one such run, in milliseconds: {parts}.",
    ]


def checkpointing(found):
    runs, account = checkpoint_ratios(found)
    out = [
        "", "#### What the checkpoint costs", "",
        f"The same windows in epochs of {found['most']:,} events. A query without a checkpoint does not exist, so \"without\" is told in "
        "two ways: with the checkpoint in memory (`/dev/shm`), which leaves out the disk; and by the epochs' own account, which "
        "leaves out the time in which plan, state and commit were made durable, the work of writing them included. Table and "
        "data are on the disk both times. The ratio of the runs is the median of those of the rounds, as either comes first in turn.", "",
    ]
    out += rows(["checkpoint", "rounds", "wall, s", "CPU, s"], [
        [title, len(found[name]), *(spread(of(found[name], key), form) for key, form in (("wall", "{:.2f}"), ("cpu", "{:.1f}")))]
        for name, title in (("disk", "on the disk"), ("memory", "in memory"))
    ])
    parts, each = found["parts"], {}
    for name in ("all", "plan", "state", "commit"):
        each[name] = median([one[name] / one["epochs"] for one in parts])
    return out + [
        "", f"An epoch took {each['all']:.0f} ms: its plan {each['plan']:.1f}, the changes of its state {each['state']:.1f}, its commit "
        f"{each['commit']:.1f} ms, each counted up to a whole one. So the speed with a checkpoint is {runs:.3f} of that without by the runs, {account:.3f} by the "
        "account (which counts the outcome's line in the journal as computing). Each epoch waits for the same few fsyncs: smaller ones "
        "pay a larger share.",
    ]


def epochs(found):
    out = [
        "", "#### Large state", "",
        f"Counts, averages and maxima by key in a window of a day, which no epoch closes; {found['epochs']} epochs of "
        f"{found['few']:,} messages, each of another key, after all {found['many']:,} keys were there; beside it as many messages of "
        f"{found['few']:,} keys in all. Snapshots are written meanwhile. Milliseconds from one epoch's report to the next's:", "",
    ]
    times = {name: found["times"][name] for name in ("keys-few", "keys-many")}
    header = ["keys", "rounds", "mean", "p50", "p99", "longest", "state, MB"]
    out += rows(header, [
        [f"{found[name.removeprefix('keys-')]:,}", len(runs), spread(of(runs, "mean"), "{:.1f}"),
         *(f"{median(of(runs, key)):.0f}" for key in ("p50", "p99", "most")), f"{found['bytes'][name] / 1e6:.1f}"]
        for name, runs in times.items()
    ])
    out += ["", "Where the difference comes from (means, milliseconds):", ""]
    return out + rows(["part", *(f"{found[name.removeprefix('keys-')]:,} keys" for name in times), "difference"], [
        [title, *(f"{value:.2f}" for value in values), f"{values[1] - values[0]:.2f}"]
        for title, values in profile(times)
    ])


def profile(times):
    """The parts of an epoch, each with its milliseconds for few and for many keys."""
    def part(name):
        return [median(of(runs, name)) for runs in times.values()]

    state = {
        "waiting for the compaction that runs beside it": part("compactionWaitUs"),
        "operators: looking keys up, reading and computing their values": part("operatorsUs"),
        "changes of the state, made durable": part("changelogUs"),
        "changes of the state, in memory": part("updatesUs"),
    }
    rest = [whole - sum(parts) for whole, *parts in zip(part("mean"), *state.values())]
    return [("all else: planning, reading, decoding, grouping, committing, reporting", rest), *state.items()]


def recovery(found):
    return [
        "", "#### After a kill -9", "",
        f"The same query with {found['keys']:,} keys is killed in the middle of its epochs and started again at once; seconds from "
        f"the kill to the next commit in its journal, {len(found['took'])} times: {spread(found['took'], '{:.2f}')}. Its snapshots and "
        f"changes took {found['state'] / 1e6:.1f} MB on the disk at the end; the page cache is warm.",
    ]


def sliding(found):
    out = [
        "", "#### Sliding windows", "",
        f"An hour of {found['devices']:,} devices, {found['events']:,} events, in epochs of {found['most']:,} (100 seconds each): "
        "windows of ten minutes that slide by ten seconds (60 panes) beside windows of ten seconds. Both close "
        f"{found['windows']:,} windows, and hold as many events as they must.", "",
    ]
    return out + rows(["windows", "rounds", "wall, s", "CPU, s", "peak memory, MB"], [
        [title, len(found[name]), *(spread(of(found[name], key), "{:.2f}") for key in ("wall", "cpu")),
         spread(of(found[name], "peak", 1e-6), "{:.0f}")]
        for name, title in (("tumbling", "ten seconds"), ("sliding", "ten minutes, by ten seconds"))
    ])
