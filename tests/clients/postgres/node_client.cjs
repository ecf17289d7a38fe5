// node-postgres: text form, parameters, names of statements, cursors, refusals, cancel.
//
//   tests/clients/postgres/node.sh HOST:PORT

"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { Client, Pool, Query, types } = require("pg");
const Cursor = require("pg-cursor");

const [host, port] = process.argv[2].split(":");
const who = {
  host,
  port: Number(port),
  user: process.env.PGUSER ?? "forebay",
  database: process.env.PGDATABASE ?? "forebay",
  password: process.env.PGPASSWORD,
};
const refused = new Set(["25006", "0A000", "42501"]);
// Hours wherever it runs: what a cancel request must end (shared.py has the same).
const slow = `SELECT count(*) FROM ${[...Array(10).keys()].map((n) => `iot_device_events e${n}`).join(", ")} WHERE e0.pressure + e9.pressure > e5.pressure`;

const ok = (name) => console.log(`OK ${name}`);
// The files' lines: numbers as they are written, because JavaScript's cannot hold a bigint.
const rows = (table) =>
  fs
    .readFileSync(path.join(__dirname, "data", `${table}.jsonl`), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line.replace(/("(?:big|exact)": |[[ ])(-?\d{15,}(?:\.\d+)?)/g, '$1"$2"')));
const fails = async (promise, codes) =>
  assert.rejects(promise, (error) => {
    assert.ok(codes.has(error.code), `${error.code} ${error.message} is none of ${[...codes]}`);
    return true;
  });

async function play() {
  const client = new Client(who);
  await client.connect();
  assert.equal((await client.query("SELECT 1 AS one")).rows[0].one, 1);
  ok("connects");

  const found = (await client.query("SELECT * FROM every_type ORDER BY id")).rows;
  const expected = rows("every_type");
  assert.equal(found.length, expected.length);
  expected.forEach((row, at) => {
    const came = found[at];
    assert.deepEqual(Object.keys(came), Object.keys(row));
    assert.equal(came.id, row.id);
    assert.equal(came.small, row.small);
    assert.equal(came.big, row.big === null ? null : String(row.big));
    assert.equal(came.single === null ? null : Math.fround(came.single), row.single === null ? null : Math.fround(row.single));
    assert.equal(came.number, row.number);
    assert.equal(came.flag, row.flag);
    assert.equal(came.words, row.words);
    assert.equal(came.bytes === null ? null : came.bytes.toString("base64"), row.bytes);
    assert.deepEqual(came.tags, row.tags);
    assert.deepEqual(came.counts, row.counts === null ? null : row.counts.map((n) => (n === null ? null : String(n))));
    assert.equal(came.instant === null ? null : came.instant.getTime(), row.instant === null ? null : new Date(row.instant.replace(" ", "T")).getTime());
  });
  assert.deepEqual(found.map((row) => row.exact), ["12.345000", "99999999999999.999999", "-0.000001", null, "0.000000"]);
  ok("every value of every type");

  // Times to the microsecond, days without a zone: as text, since Date has neither.
  const texts = { getTypeParser: (oid) => ([1114, 1184, 1082].includes(oid) ? (text) => text : types.getTypeParser(oid)) };
  const { rows: times } = await client.query({ text: "SELECT id, local_time, instant, day FROM every_type ORDER BY id", types: texts });
  assert.equal(times[0].local_time, "2026-01-05 11:13:53.643364");
  assert.match(times[1].local_time, /^9999-12-31 23:59:59\.999999$/);
  assert.match(times[0].instant, /^2026-01-05 11:13:53\.643364\+00$/);
  assert.equal(times[2].day, "1969-12-31");
  ok("times to the microsecond");

  const events = rows("iot_device_events");
  const device = "D\"4's 🌡";
  const count = async (where, values, name) =>
    Number((await client.query({ text: `SELECT count(*) AS n FROM iot_device_events WHERE ${where}`, values, name })).rows[0].n);
  assert.equal(await count('"deviceId" = $1', [device]), events.filter((row) => row.deviceId === device).length);
  for (const least of [10003, 10006, 10009]) {
    assert.equal(await count('"eventOffset" >= $1', [least], "by-offset"), events.filter((row) => row.eventOffset >= least).length);
  }
  assert.equal(await count('"eventTime" < $1', [new Date("2026-01-05T11:15:00Z")]), events.filter((row) => row.eventTime < "2026-01-05 11:15:00").length);
  assert.equal(await count("status = ANY($1)", [["ERROR", "STANDBY"]]), events.filter((row) => row.status !== "SUCCESS").length);
  assert.equal(await count("$1::text IS NULL", [null]), events.length);
  ok("parameters, and a statement with a name");

  const cursor = client.query(new Cursor("SELECT n FROM generate_series(1, 5000) AS t(n) ORDER BY n"));
  const read = [];
  for (let part = await cursor.read(700); part.length; part = await cursor.read(700)) {
    assert.ok(part.length <= 700);
    read.push(...part.map((row) => Number(row.n)));
  }
  assert.equal(read.length, 5000);
  assert.equal(read.at(-1), 5000);
  await cursor.close();
  ok("a cursor of 700 rows at a time");

  const faults = { "SELECT * FROM no_such_table": "42P01", "SELECT no_such_column FROM device_status": "42703", "SELEC 1": "42601", "SELECT 1 / 0": "22012" };
  for (const [sql, code] of Object.entries(faults)) {
    await fails(client.query(sql), new Set([code]));
    assert.equal((await client.query("SELECT 1 AS one")).rows[0].one, 1);
  }
  for (const sql of ["CREATE TABLE made_by_node (id int)", "INSERT INTO device_status (status) VALUES ('ERROR')", "DROP TABLE device_status", "COPY device_status FROM STDIN"]) {
    await fails(client.query(sql), refused);
  }
  ok("faults and refusals have their SQLSTATE, and the session goes on");

  const begin = Date.now();
  const long = new Query(slow);
  const ended = new Promise((resolve, reject) => long.on("error", reject).on("end", resolve));
  client.query(long);
  setTimeout(() => new Client(who).cancel(client, long), 1000); // a client that is not connected, made for this alone
  await fails(ended, new Set(["57014"]));
  assert.ok(Date.now() - begin < 20000, "a cancelled statement ended late");
  assert.equal((await client.query("SELECT 1 AS one")).rows[0].one, 1);
  await client.end();
  ok("a cancel request ends the statement, not the session");

  const pool = new Pool({ ...who, max: 4 });
  const many = await Promise.all([...Array(20).keys()].map((n) => pool.query("SELECT $1::int AS n", [n])));
  assert.deepEqual(many.map((answer) => answer.rows[0].n), [...Array(20).keys()]);
  await pool.end();
  ok("a pool of four");
}

play().then(
  () => process.exit(0),
  (error) => {
    console.error("FAILED", error);
    process.exit(1);
  },
);
