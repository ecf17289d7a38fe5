"""What it costs to bring nested events from a topic into PostgreSQL, a row for each device, beside Spark's JDBC and `psql \\copy`.

The server is the one that run.sh started; its CPU is not counted, only the client's. Rows are compared after each run.
"""

import bisect
import os
import subprocess
import time

import measure
import wire
from work import SERVICES, fresh, percentile, ready, say

PASSWORD = "FOREBAY_BENCH_POSTGRES_PASSWORD"  # the variable; the server is on loopback and lives as long as the benchmark
COMMAND = {"PGUSER": "forebay", "PGPASSWORD": "forebay", "PGHOST": "127.0.0.1", "PGDATABASE": "forebay", "PGOPTIONS": "-c client_min_messages=warning"}
PAIRS = 7  # rounds of what differs by little
KEYED = 3  # rounds into a table with a key
EPOCHS = 20  # of the runs with and without exactly once
RATE, WARM, SECONDS = 5_000, 5, 20  # rows a second; seconds of warming up and measuring
COMMITS = 400  # that PostgreSQL is timed by, before and after
COLUMNS = ("eventId uuid, customerId text, eventOffset bigint, eventPublisher text, eventTime timestamp, deviceId text, measure text, "
           "status text, temperature double precision")
EVENTS = (
    "eventId STRING, eventOffset BIGINT, eventPublisher STRING, customerId STRING, data STRUCT<devices: ARRAY<STRUCT<deviceId: STRING, "
    "temperature: DOUBLE, measure: STRING, status: STRING>>>, eventTime TIMESTAMP"
)
SELECT = (
    "SELECT eventId, customerId, eventOffset, eventPublisher, eventTime, d.deviceId, d.measure, d.status, d.temperature FROM iot "
    "LATERAL VIEW explode(data.devices) t AS d WHERE d.deviceId IS NOT NULL"
)
# Looks at the one row of epochs without a pause worth naming, and notes when it first sees each transaction.
WATCH = """
CREATE TABLE seen (xid bigint, at bigint);
CREATE TABLE commits (ms double precision);
CREATE TABLE probe (n int);
CREATE PROCEDURE watch(seconds int) LANGUAGE plpgsql AS $$
DECLARE last bigint; now bigint; xids bigint[] := '{}'; ats bigint[] := '{}'; until timestamptz := clock_timestamp() + make_interval(secs => seconds);
BEGIN
  WHILE clock_timestamp() < until LOOP
    SELECT xmin::text::bigint INTO now FROM forebay_epochs LIMIT 1;
    IF now IS DISTINCT FROM last THEN
      xids := xids || now; ats := ats || (extract(epoch FROM clock_timestamp()) * 1000000)::bigint; last := now;
    END IF;
    COMMIT;
    PERFORM pg_sleep(0.0005);
  END LOOP;
  INSERT INTO seen SELECT * FROM unnest(xids, ats);
END $$;
CREATE PROCEDURE time_commits(count int) LANGUAGE plpgsql AS $$
DECLARE began timestamptz; took double precision[] := '{}';
BEGIN
  FOR n IN 1..count LOOP
    began := clock_timestamp();
    INSERT INTO probe VALUES (n);
    COMMIT;
    took := took || extract(epoch FROM clock_timestamp() - began)::double precision * 1000;
  END LOOP;
  INSERT INTO commits SELECT unnest(took);
END $$;
"""


class Database:
    """The server, through psql."""

    def __init__(self, bench):
        self.bench, self.port = bench, bench.port + 5
        self.url = f"jdbc:postgresql://127.0.0.1:{self.port}/forebay"
        self.environment = os.environ | COMMAND | {"PGPORT": str(self.port), PASSWORD: "forebay", "FOREBAY_POSTGRES_PASSWORD": "forebay"}

    def ask(self, *statements, user="forebay"):
        """The rows of the last statement, each a list of texts."""
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\t"] + [part for sql in statements for part in ("-c", sql)]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment | {"PGUSER": user}, timeout=1800)
        if done.returncode != 0:
            raise measure.Failed(f"psql: {done.stderr[-1000:]}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def fresh(self, table, more="", columns=COLUMNS):
        """An empty table, and a server that has nothing left to do from the run before."""
        self.ask(f"DROP TABLE IF EXISTS {table}", f"CREATE TABLE {table} ({columns}{more})")
        self.ask("CHECKPOINT", user="postgres")

    def account(self, table):
        """What the rows are, whatever their order."""
        return self.ask(f"SELECT count(*), sum(hashtextextended(r::text, 0)::numeric) FROM {table} AS r")[0]

    def query(self, table, sql=SELECT, more=()):
        """The query of a pipeline file that writes to a table."""
        options = [f"url: {self.url}", "user: forebay", f"password: ${{{PASSWORD}}}", f"dbtable: {table}", *more]
        return f"  rows:\n    sql: \"{sql}\"\n    format: postgres\n    options:\n" + "".join(f"      {option}\n" for option in options)

    def forebay(self, topic, table, more=(), most=None):
        """One run of Forebay over a topic into a table: its cost."""
        bench = self.bench
        home = fresh(f"{bench.dir}/forebay-{table}")
        file = bench.pipeline(f"{home}/pipeline.yaml", bench.kafka, topic, EVENTS, self.query(table, more=more), most=most)
        log = bench.log(f"forebay-{table}")
        cost = measure.measured(bench.command(file, home), log, env=self.environment)
        if not bench.trial and "test hooks" in open(log).read(4000):
            raise measure.Failed("this forebay carries test hooks: build it with make build")
        return cost

    def spark(self, topic, table, parameters):
        command = [
            f"{SERVICES}/spark-python.sh", "scripts/bench/spark_postgres.py", self.bench.kafka, topic, EVENTS,
            f"{self.url}?stringtype=unspecified{parameters}", table, fresh(f"{self.bench.dir}/spark-{table}"),
        ]
        return measure.measured(command, self.bench.log(f"spark-{table}"), env=self.environment)

    def copy(self, table, file):
        command = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-c", f"\\copy {table} FROM '{file}' (FORMAT binary)"]
        return measure.measured(command, self.bench.log(f"copy-{table}"), env=self.environment)


def compared(database, facts):
    """Forebay, `psql \\copy` and Spark in turn; whoever leaves other rows than the first ends the benchmark."""
    file = f"{database.bench.dir}/rows.copy"
    runs = {"forebay": [], "copy": [], "spark": [], "spark-rewrite": []}
    rounds = {"forebay": facts["rounds"]["forebay"], "copy": facts["rounds"]["forebay"], "spark": facts["rounds"]["spark"], "spark-rewrite": 1}
    work = {
        "forebay": lambda: database.forebay("devices", "rows"),
        "copy": lambda: database.copy("rows", file),
        "spark": lambda: database.spark("devices", "rows", ""),
        "spark-rewrite": lambda: database.spark("devices", "rows", "&reWriteBatchedInserts=true"),
    }
    told = None
    for number in range(1, max(rounds.values()) + 1):
        for name in [name for name in work if number <= rounds[name]]:
            say(f"PostgreSQL: {name}, round {number} of {rounds[name]} …")
            database.fresh("rows")
            run = work[name]()
            say(f"PostgreSQL: {name}: {run['wall']:.1f} s, {run['cpu']:.1f} CPU-s, {run['peak'] / 1e6:.0f} MB")
            runs[name].append(run)
            account = database.account("rows")
            if told is None:
                told = account
                # `\copy` writes as the one who runs psql, so the file lies where the benchmark's others do.
                database.ask(f"\\copy rows TO '{file}' (FORMAT binary)")
            if account != told or account[0] == "0":
                raise measure.Failed(f"PostgreSQL: {name} left {account[0]} rows, the first run {told[0]}, or others")
    os.unlink(file)
    return {"runs": runs, "rows": int(told[0])}


def pairs(database, facts, found):
    """What differs by little: exactly once on and off, each first in every other round."""
    most = -(-facts["events"]["devices"] // EPOCHS)
    found |= {"epochs": EPOCHS, "once": [], "off": []}
    for number in range(1, PAIRS + 1):
        for name in ("once", "off")[:: 1 if number % 2 else -1]:
            database.fresh("rows")
            more = [f"exactlyOnce: {'true' if name == 'once' else 'false'}"]
            run = database.forebay("devices", "rows", more, most)
            say(f"exactly once, {name}, round {number} of {PAIRS}: {run['wall']:.2f} s, {run['cpu']:.1f} CPU-s")
            found[name].append(run)
    if database.ask("SELECT count(*) FROM rows") != [[str(found["rows"])]]:
        raise measure.Failed("the last of them left other rows than the first run")


def keyed(database, found):
    """Appended and upserted into the same table, which has a key and is empty at first."""
    key = ", PRIMARY KEY (eventId, deviceId)"
    ways = {"append": [], "upsert": ["key: eventId, deviceId", "writeMode: upsert"]}
    found |= {"keyed": {name: [] for name in ways}}
    told = None
    for number in range(1, KEYED + 1):
        for name, more in ways.items():
            database.fresh("keyed", key)
            run = database.forebay("devices-keyed", "keyed", more)
            say(f"keyed, {name}, round {number} of {KEYED}: {run['wall']:.2f} s, {run['cpu']:.1f} CPU-s")
            found["keyed"][name].append(run)
            account = database.account("keyed")
            told = told or account
            if account != told or account[0] == "0":
                raise measure.Failed(f"{name} left {account[0]} rows, the first run {told[0]}, or others")
    found["keyed_rows"] = int(told[0])


def latency(database):
    """From the moment an event is handed to a producer to the moment its rows are seen in the table, in milliseconds."""
    bench, home = database.bench, fresh(f"{database.bench.dir}/postgres-latency")
    address = f"127.0.0.1:{bench.port + 2}"
    sql = "SELECT sent, d.deviceId, d.status, d.temperature FROM iot LATERAL VIEW explode(data.devices) t AS d"
    file = bench.pipeline(f"{home}/pipeline.yaml", address, "visible", f"{EVENTS}, sent BIGINT", database.query("visible", sql), "latest")
    database.ask("DROP TABLE IF EXISTS forebay_epochs")
    database.fresh("visible", columns="sent bigint, deviceId text, status text, temperature double precision")
    database.ask(WATCH)
    database.ask(f"CALL time_commits({COMMITS})")
    command = [bench.engine, "run", file, "--data", f"{home}/data", "--http", bench.http, "--kafka", address]
    log = bench.log("postgres-latency")
    process = measure.start(command, log, env=database.environment)
    ready("forebay run", process, log)
    time.sleep(2)
    watcher = measure.start(["psql", "-Xq", "-c", f"CALL watch({WARM + SECONDS + 8})"], bench.log("watch"), env=database.environment)
    send = [f"{SERVICES}/python.sh", "scripts/bench/send_devices.py", address, "visible", str(RATE), str(WARM + SECONDS)]
    measure.measured(send, bench.log("postgres-latency-send"))
    if watcher.wait(WARM + SECONDS + 60) != 0:
        raise measure.Failed(f"the watcher ended: {measure.tail(bench.log('watch'))}")
    measure.running.discard(watcher)
    measure.stop(process)
    database.ask(f"CALL time_commits({COMMITS})")
    seen = [(int(xid), int(at)) for xid, at in database.ask("SELECT xid, at FROM seen WHERE xid IS NOT NULL ORDER BY at")]
    rows = [(int(xid), int(sent)) for xid, sent in database.ask("SELECT xmin::text::bigint, sent FROM visible")]
    expected = RATE * (WARM + SECONDS)
    if len(rows) != expected:
        raise measure.Failed(f"{len(rows)} rows are in the table, {expected} were sent")
    return judged(seen, rows) | {"commits": sorted(float(ms) for (ms,) in database.ask("SELECT ms FROM commits"))}


def judged(seen, rows):
    """Each row with the first look that saw its transaction or a later one: there is one writer, so they come in order."""
    xids = [xid for xid, _ in seen]
    begin = min(sent for _, sent in rows) + WARM * 1_000_000
    took = []
    for xid, sent in rows:
        if sent >= begin:
            place = bisect.bisect_left(xids, xid)
            if place == len(xids):
                raise measure.Failed("a row's transaction was never seen")
            took.append((seen[place][1] - sent) / 1000)
    return {"visible": len(took), "p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "max": max(took)}


def all_of_it(bench, facts, count):
    """`count` rows, about: up to two devices an event."""
    database = Database(bench)
    facts["events"]["devices"] = count * 13 // 20  # some have no device, or one without a name
    for topic, events in (("devices", facts["events"]["devices"]), ("devices-keyed", facts["events"]["devices"] // 5)):
        bench.fill(topic, events, "devices")
    found = compared(database, facts)
    pairs(database, facts, found)
    keyed(database, found)
    found["wire"] = wire.all_of_it(bench, database, EVENTS, SELECT)
    found["latency"] = latency(database)
    return found
