"""Asks a real Spark what the cases of the streaming suite give: the job that `forebay spark` makes of each case's own file,
run once for each step on what was published until then.

    scripts/oracle.sh regenerate [NAME …]                      stores the answers of all written cases, or of these
    scripts/oracle.sh ask --out FILE [--live] [--random N --seed S] [NAME …]     answers into another file

The one thing that is changed in a job is its sink: each query's rows are collected (foreachBatch) instead of printed.
The records come through Kafka at --bootstrap. See streaming_cases.py for the files.
"""

import argparse
import datetime
import logging
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
import zoneinfo

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
# The Kafka client and the YAML reader are those of the other tests; Spark's own packages come first.
sys.path.append(os.environ["FOREBAY_CLIENTS"])

import streaming_cases as suite  # noqa: E402
from kafka import KafkaProducer  # noqa: E402
from kafka.admin import KafkaAdminClient, NewTopic  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql import types as T  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402
from pyspark.sql.streaming import DataStreamWriter  # noqa: E402
from spark_json import encoded, quoted, timestamp_text  # noqa: E402
from spark_session import session  # noqa: E402

# Cases that are asked side by side: most of a step is waiting for files and planning.
TOGETHER = 6


def moment(micros, zone):
    """A time as `show` prints it."""
    if -62_135_596_800_000_000 <= micros <= 253_402_214_400_000_000:
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        local = (epoch + datetime.timedelta(microseconds=micros)).astimezone(zone).replace(tzinfo=None)
        text = local.isoformat(sep=" ", timespec="microseconds")
    else:
        text = timestamp_text(micros).replace("T", " ").rstrip("Z")
    return text.rstrip("0").rstrip(".")


def shown(kind, value, zone):
    """A value that `encoded` brought, as Spark's `show` prints it."""
    if value is None:
        return "NULL"
    if isinstance(kind, T.TimestampType):
        return moment(value, zone)
    if isinstance(kind, T.TimestampNTZType):
        return value.isoformat(sep=" ", timespec="microseconds").rstrip("0").rstrip(".")
    if isinstance(kind, T.DateType):
        return (datetime.date(1970, 1, 1) + datetime.timedelta(days=value)).isoformat()
    if isinstance(kind, T.BooleanType):
        return "true" if value else "false"
    if isinstance(kind, (T.FloatType, T.DoubleType)):
        return repr(value) if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(kind, T.StringType):
        return bytes(value).decode()
    if isinstance(kind, T.ArrayType):
        return "[" + ", ".join(shown(kind.elementType, item, zone) for item in value) + "]"
    if isinstance(kind, T.MapType):
        pairs = (f"{key} -> {shown(kind.valueType, item, zone)}" for key, item in value)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(kind, T.StructType):
        return "{" + ", ".join(shown(field.dataType, value[i], zone) for i, field in enumerate(kind.fields)) + "}"
    return str(value)


def zone_of(name):
    """A region, or an offset such as +05:30."""
    if name[0] in "+-":
        return datetime.datetime.strptime(name, "%z").tzinfo
    return zoneinfo.ZoneInfo(name)


class Asked:
    """A case while it is asked."""

    def __init__(self, case, text, folder, zone):
        self.case, self.folder, self.zone = case, folder, zone
        self.job = compile(text, f"{case['name']}.py", "exec")
        self.answer = {"columns": None, "rows": []}
        self.queries = []

    def collect(self, frame, _epoch):
        fields = frame.schema.fields
        if self.answer["columns"] is None:
            self.answer["columns"] = [[field.name, field.dataType.simpleString()] for field in fields]
        columns = [F.expr(encoded(field.dataType, quoted(field.name))).alias(f"c{i}") for i, field in enumerate(fields)]
        rows = [[shown(field.dataType, row[i], self.zone) for i, field in enumerate(fields)] for row in frame.select(*columns).collect()]
        if self.case["mode"] == "complete":
            self.answer["rows"][-1] = rows
        else:
            self.answer["rows"][-1] += rows

    def start(self):
        """Begins a step; the job's own text does it."""
        if not self.is_going():
            return
        self.answer["rows"].append([])
        os.environ["FOREBAY_DATA"] = self.folder
        # The session's setting: what one case asks for is not for the others.
        SparkSession.active().conf.set("spark.sql.streaming.multipleWatermarkPolicy", "min")
        real = DataStreamWriter.start
        name = self.case["name"]
        DataStreamWriter.start = lambda writer, *_, **__: real(writer.queryName(name).foreachBatch(self.collect))
        try:
            names = {"__name__": "case"}
            exec(self.job, names)
            self.queries = names["queries"]
        except Exception as error:
            self.fail(error)
        finally:
            DataStreamWriter.start = real

    def finish(self):
        """Waits for the step's end."""
        for query in self.queries:
            try:
                query.awaitTermination()
            except Exception as error:
                self.fail(error)
        self.queries = []
        if self.answer["rows"]:
            self.answer["rows"][-1].sort()

    def is_going(self):
        return "refused" not in self.answer and "failed" not in self.answer

    def fail(self, error):
        condition = getattr(error, "getCondition", lambda: None)() or type(error).__name__
        # What came before it stays.
        before = self.answer["rows"][:-1]
        self.answer = {"columns": self.answer["columns"] if before else None, "rows": before, "failed" if before else "refused": condition}
        causes = re.findall(r"Caused by: (.*)", str(error))
        self.answer["said"] = (str(error).split("\n") + causes)[-1 if causes else 0][:300]


class Oracle:
    def __init__(self, bootstrap, forebay):
        self.bootstrap, self.forebay = bootstrap, forebay
        self.spark = session("streaming oracle", cores=1, memory="1g", spark__sql__shuffle__partitions="1",
                             spark__sql__streaming__metricsEnabled="false", spark__sql__streaming__stopTimeout="60s",
                             spark__sql__codegen__wholeStage="false", spark__sql__adaptive__enabled="false",
                             spark__log__level="OFF")
        self.spark.sparkContext.setLogLevel("OFF")  # errors are answers here
        logging.disable(logging.CRITICAL)
        self.producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        self.folder = tempfile.mkdtemp(prefix="forebay-oracle-")
        self.run = uuid.uuid4().hex[:8]

    def close(self):
        self.producer.close()
        self.admin.close()
        self.spark.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def topic(self, name):
        """Topics of an earlier run on the same log are not this one's."""
        return f"{name}.{self.run}"

    def prepare(self, case):
        folder = pathlib.Path(self.folder) / case["name"]
        folder.mkdir()
        text = case["pipeline"].replace(suite.BOOTSTRAP, self.bootstrap)
        for topic in case["topics"]:
            text = text.replace(f'"{topic}"', f'"{self.topic(topic)}"')
        file = folder / "case.yaml"
        file.write_text(text)
        made = subprocess.run([self.forebay, "spark", str(file)], capture_output=True, text=True)
        if made.returncode != 0:
            sys.exit(f"`forebay spark` of {case['name']} failed:\n{made.stderr}\n{text}")
        self.admin.create_topics([NewTopic(self.topic(topic), partitions, 1) for topic, partitions in case["topics"].items()])
        zone = next((line.split()[1] for line in text.splitlines() if line.startswith("timeZone:")), "UTC")
        return Asked(case, made.stdout, str(folder), zone_of(zone))

    def add(self, folder, name, rows):
        """A new version of a Delta table."""
        text = folder / f"{name}.rows"
        text.write_text("".join(row + "\n" for row in rows["rows"]))
        self.spark.read.schema(rows["schema"]).json(str(text)).coalesce(1).write.format("delta").mode("append").save(str(folder / name))

    def publish(self, records):
        for topic, partition, text in records:
            self.producer.send(self.topic(topic), value=None if text is None else text.encode(), partition=partition)

    def ask(self, cases):
        """The cases with their answers, in the same order."""
        asked = [self.prepare(case) for case in cases]
        for number in range(max(len(case["steps"]) for case in cases)):
            now = [it for it in asked if number < len(it.case["steps"]) and it.is_going()]
            for it in now:
                self.publish(it.case["steps"][number])
                for name, text in it.case.get("files", [{}] * (number + 1))[number].items():
                    (pathlib.Path(it.folder) / name).write_text(text)
                for name, rows in it.case.get("deltas", [{}] * (number + 1))[number].items():
                    self.add(pathlib.Path(it.folder), name, rows)
            self.producer.flush()
            for it in now:
                it.start()
            for it in now:
                it.finish()
        for it in asked:
            shutil.rmtree(it.folder, ignore_errors=True)
        return [dict(it.case, **it.answer) for it in asked]


def chosen(arguments):
    cases = suite.written()
    if arguments.names:
        known = {case["name"] for case in cases}
        unknown = set(arguments.names) - known
        if unknown:
            sys.exit(f"there is no case {', '.join(sorted(unknown))}")
        cases = [case for case in cases if case["name"] in arguments.names]
    elif arguments.action == "ask":
        cases = [case for case in cases if arguments.live and case.get("live")]
    if arguments.random:
        import streaming_random
        cases += [suite.resolved(case) for case in streaming_random.cases(arguments.seed, arguments.random)]
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["regenerate", "ask"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--forebay", required=True, help="the binary that makes the jobs")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--live", action="store_true", help="the cases that are marked so")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="so many random cases")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_intermixed_args()
    if arguments.action == "ask" and arguments.out is None:
        parser.error("`ask` needs --out")
    cases = chosen(arguments)
    if not cases:
        parser.error("no case was chosen")
    oracle = Oracle(arguments.bootstrap, arguments.forebay)
    begin, answered = time.time(), []
    try:
        for first in range(0, len(cases), TOGETHER):
            answered += oracle.ask(cases[first:first + TOGETHER])
            if arguments.action == "ask":
                suite.save(answered, oracle.spark.version, arguments.out)
            print(f"{len(answered)} of {len(cases)} after {time.time() - begin:.0f} s", file=sys.stderr, flush=True)
        version = oracle.spark.version
    finally:
        oracle.close()
    for case in answered:
        if "said" in case:
            print(f"  {case['name']}: {case.get('refused') or case.get('failed')}: {case.pop('said')}", file=sys.stderr)
    if arguments.action == "regenerate":
        stored = {} if not arguments.names else suite.answers()
        stored.update((case["name"], case) for case in answered)
        order = [case["name"] for case in suite.written()]
        suite.save([stored[name] for name in order if name in stored], version)
    else:
        suite.save(answered, version, arguments.out)
    print(f"OK Spark {version} answered {len(answered)} cases in {time.time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
