// What the mock answers besides values: ledger, queries, quarantine, SQL, the once-a-second tick.
import { dice } from "./dice.mjs";
import { Plant } from "./plant.mjs";
import { schemaOf } from "./schema.mjs";
import { vehicleRows } from "./vehicles.mjs";

/** Fields that a tick has the newest second of. */
const CHARTED = new Set(["temperature", "humidity", "pressure", "vibration", "power", "a.b", "a_b", "huge", "apart", "nothing", "speed_kmph", "engine_temp_c", "latitude", "longitude"]);

const KEEP = { "15m": [15 * 60_000, 1_000], "6h": [6 * 3_600_000, 10_000], "24h": [24 * 3_600_000, 60_000] };

export class World {
  constructor(mode) {
    this.set(mode);
  }

  set(mode) {
    this.mode = mode;
    this.version = "0.4.0";
    this.plant = new Plant(mode);
    this.schema = schemaOf(mode);
    this.failingSince = mode === "failing" ? Date.now() - 130_000 : null;
    this.stopped = new Map();
    this.refused = null;
    this.broken = [];
    this.unbalanced = 0;
    this.clocksOff = false;
    this.silences = [];
    this.records = mode === "empty" ? [] : quarantined(this.plant.started, mode === "odd");
  }

  /** Keeps a silence as it is asked for; the mock's alerts do not heed it. */
  silence({ rules = [], keys = [], severities = [], key, for: length, comment }, by, now) {
    const hours = { "30 minutes": 0.5, "1 hour": 1, "2 hours": 2, "8 hours": 8, "1 day": 24, "1 week": 168 }[length];
    const made = { id: String(this.silences.length + 1), state: "active", rules, ...(key === undefined ? {} : { key }), keys, severities, from: now, until: now + hours * 3_600_000, made: { at: now, by, ...(comment ? { comment } : {}) } };
    this.silences.push(made);
    return made;
  }

  endSilence(id, by, now) {
    const found = this.silences.find((one) => one.id === id);
    Object.assign(found, { state: "expired", until: now, ended: { at: now, by } });
    return found;
  }

  silencesOf(now) {
    const roadworks = { name: "roadworks", rules: ["overspeed"], keys: ["CAR-110"], severities: [], from: now - 3_600_000, until: now + 3_600_000, active: true };
    return { silences: this.silences, ofFile: this.mode === "vehicles" ? [roadworks] : [] };
  }

  refuse(by) {
    this.refused = { by, since: new Date().toISOString(), what: "plant.yaml has 1 problem, so it is not taken", code: "FB-1003", error: "FB-1003 unknown key `formt` (plant.yaml:4:5)", hint: "Did you mean `format`?" };
  }

  breakTable(name) {
    const error = { code: "FB-2007", message: "record 2 of a file has `many` where the schema has `n INT`", detail: null, hint: "Mend the file.", place: `data/${name}.csv:3` };
    this.broken = ["lake", "minutes"].map((query) => ({ name, query, since: new Date().toISOString(), version: "1", rows: 3, bytes: 128, error }));
  }

  ledgerOf(query, now) {
    const read = this.mode === "empty" ? 0 : Math.floor(((now - this.plant.started) / 1000) * this.plant.rate);
    const zero = { aggregated: 0, unmatched: 0, deduplicated: 0, dropped: 0, late: 0, replayed: 0 };
    const bad = this.mode === "empty" ? 0 : Math.floor(read * 0.00004) + this.records.length;
    const inFlight = this.mode === "empty" ? 0 : query === "lake" ? Math.floor(((now % 1000) / 1000) * this.plant.rate) : 0;
    const filtered = query === "hot" ? Math.floor((read - bad) * 0.913) : 0;
    const taken = read - bad - inFlight - filtered - this.unbalanced;
    const late = query === "minutes" && taken > 0 ? 3 : 0;
    const emitted = query === "minutes" ? 0 : taken;
    const fates = query === "minutes" ? { ...zero, aggregated: taken - late, late } : zero;
    return { read, emitted, filtered, quarantined: bad, inFlight, ...fates, rowsOut: emitted, rowsRefused: 0, bytesRead: read * 96, balances: this.unbalanced === 0 };
  }

  ledger(now) {
    const queries = { lake: this.ledgerOf("lake", now), hot: this.ledgerOf("hot", now), minutes: this.ledgerOf("minutes", now), "alerts/overheat": this.ledgerOf("alerts/overheat", now) };
    const total = {};
    for (const one of Object.values(queries)) for (const [name, n] of Object.entries(one)) total[name] = typeof n === "number" ? (total[name] ?? 0) + n : n;
    return { total, queries, note: "All counts are since the query's first epoch." };
  }

  queries(now) {
    const second = Math.floor(now / 1000);
    const error = this.failingSince
      ? { code: "FB-5001", message: "sink unavailable: cannot write to data/iot_data: no space left on device", hint: "Free some space or move the table to another disk; the query goes on by itself." }
      : null;
    const epochs = (every, base, rows) =>
      this.mode === "empty" ? [] : Array.from({ length: 20 }, (_, i) => ({ epoch: second - 19 + i, rows: Math.round(rows * (0.8 + 0.4 * dice(i + second, every))), ms: Math.round(base * (0.7 + 0.9 * dice(second - 19 + i, every)) * (dice(second - 19 + i, 9) > 0.93 ? 2.2 : 1)), at: (second - 19 + i) * 1000 }));
    const one = (name, kind, extra) => ({ name, kind, state: this.stopped.has(name) ? "stopped" : "running", epoch: this.mode === "empty" ? null : second - 1_763_000_000 > 0 ? (second % 100_000) : second, lag: 0, rate: this.plant.rate, latency: null, error: null, watermark: null, stateBytes: 0, remembers: null, waitingFor: this.mode === "empty" ? "the first record" : null, epochs: [], ...extra, since: this.stopped.get(name) ?? null, ...(this.stopped.has(name) ? { lag: null } : {}) });
    return [
      one("lake", "query", { latency: { p50: 580 + 40 * dice(second, 4), p99: 1_060 + 40 * dice(second, 5) }, waitingFor: this.failingSince ? "the next attempt, in 8 s" : "its trigger, in 0.4 s", state: this.failingSince ? "retrying" : this.stopped.has("lake") ? "stopped" : "running", error, lag: this.failingSince ? Math.floor(((now - this.failingSince) / 1000) * 20) : Math.round((0.3 + 0.6 * dice(second, 11)) * this.plant.rate), epochs: this.failingSince ? epochs(1, 38, 20).slice(0, 12) : epochs(1, 38, 20) }),
      one("hot", "query", { latency: { p50: 8.4, p99: 31 }, waitingFor: "new records", epochs: epochs(2, 4, 2) }),
      one("minutes", "query", { latency: { p50: 610, p99: 1_090 }, waitingFor: "new records", epochs: epochs(4, 31, 20), ...this.remembered(now) }),
      one("alerts/overheat", "alert", { latency: { p50: 9.1, p99: 33 }, waitingFor: "new records", stateBytes: 18_432, epochs: epochs(3, 5, 20) }),
    ];
  }

  /** What the query of minutes holds: two minutes of each device, until the watermark has passed them. */
  remembered(now) {
    if (this.mode === "empty") return {};
    const minute = Math.floor(now / 60_000) * 60_000;
    const keys = this.plant.names.length * (now - minute < 11_000 ? 2 : 1);
    const remembers = { keys, limit: 2 ** 30, oldest: minute + 60_000, newest: minute + 60_000, late: 3, lateBytes: 2_048, ahead: 1 };
    return { read: 11, watermark: Math.floor(now / 1000) * 1000 - 11_000, stateBytes: keys * 96 + 4_096, remembers };
  }

  counts(now) {
    const total = this.plant.names.length;
    const quiet = this.plant.quietFrom.size;
    const alerting = new Set(this.plant.alerts(now).filter((alert) => alert.state === "open").map((alert) => alert.key)).size;
    return { total, live: total - quiet, quiet, alerting };
  }

  tick(now, view) {
    const open = this.plant.alerts(now).filter((alert) => alert.state === "open");
    const queries = this.queries(now);
    const failing = queries.find((query) => query.error);
    const bySeverity = {};
    for (const alert of open) bySeverity[alert.severity] = (bySeverity[alert.severity] ?? 0) + 1;
    const t = Math.floor(now / 1000) * 1000 - 1000;
    return {
      now,
      rate: this.rateAt(t),
      lag: Math.max(...queries.map((query) => query.lag ?? 0)),
      // Of the slowest query, as the real server tells it.
      latency: this.mode === "empty" ? null : queries[0].latency,
      status: failing ? "failing" : "ok",
      refusedReload: this.refused,
      brokenTables: this.broken,
      problems: failing ? [{ query: failing.name, what: "trying again, 14 attempts failed", since: new Date(this.failingSince).toISOString(), code: failing.error.code, error: failing.error.message, hint: failing.error.hint }] : [],
      queries,
      ledger: this.ledger(now).total,
      alerts: { open: open.length, bySeverity },
      quarantine: { open: this.records.length, bytes: this.records.reduce((sum, record) => sum + (record.raw?.length ?? 90), 0) },
      devices: this.counts(now),
      labels: this.labels(now, view),
      followers: this.schema.sources.map(({ name, reads }) => ({ source: name, reads: reads ?? name, lag: 0, tooOld: 0, behind: false, caughtUp: this.caughtUp, devices: name === this.plant.source ? this.plant.names.length : 1, rate: this.rateAt(t) / this.schema.sources.length, clocks: name === this.plant.source ? this.clocks() : null })),
      charts: this.mode === "empty" ? [] : view.fields.filter((name) => CHARTED.has(name)).map((name) => ({ source: this.plant.source, field: name, t, series: [null, ...view.keys].flatMap((key) => this.point(key, name, t, 1000)) })),
    };
  }

  /** How the devices that fit are spread; null of a source without labels. */
  labels(now, view) {
    const source = this.schema.sources[0];
    if (!source?.labels?.length) return null;
    const { plant } = this;
    const all = plant.names.map((_, n) => n).filter((n) => this.isIn(n, view.state) && plant.names[n].toLowerCase().includes(view.search ?? ""));
    const fit = all.filter((n) => plant.fits(n, view.where, now));
    const labels = source.labels.map((field) => {
      const counts = new Map();
      for (const n of all.filter((one) => plant.fits(one, view.where, now, field))) {
        const value = plant.value(n, field, plant.lastSeen(n, now));
        counts.set(value, (counts.get(value) ?? 0) + 1);
      }
      const values = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([value, devices]) => ({ value, devices }));
      return { field, values, others: 0 };
    });
    return { source: source.name, total: fit.length, quiet: fit.filter((n) => plant.quietFrom.has(n)).length, late: fit.filter((n) => plant.lateBy(n) > 0).length, lateRows: 40 * fit.filter((n) => plant.lateBy(n) > 0).length, labels };
  }

  /** Whether a device is in a state. */
  isIn(n, state) {
    const quiet = this.plant.quietFrom.has(n);
    return !state || state === "any" || (state === "quiet" ? quiet : state === "live" ? !quiet : state === "late" ? this.plant.lateBy(n) > 0 : true);
  }

  /** How many readings had each value of a label. */
  shares(field, range, where, points, now) {
    const [span, least] = KEEP[range] ?? KEEP["15m"];
    const step = least * Math.ceil(span / least / Math.max(1, points));
    const length = Math.ceil(span / step);
    const start = Math.floor(now / least) * least + least - length * step;
    const { plant } = this;
    const counts = new Map();
    for (let i = 0; i < length; i += 1) {
      const at = start + i * step + step / 2;
      for (let n = 0; n < plant.names.length; n += 1) {
        if (at < plant.first || at > now || (plant.quietFrom.get(n) ?? Infinity) < at) continue;
        if (!where.every((text) => `${text.slice(0, text.indexOf(":"))}:${plant.value(n, text.slice(0, text.indexOf(":")), at) ?? ""}` === text)) continue;
        const value = plant.value(n, field, at);
        if (!counts.has(value)) counts.set(value, new Array(length).fill(0));
        counts.get(value)[i] += Math.max(1, Math.round(step / 1_000));
      }
    }
    const series = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([value, count]) => ({ value, count }));
    return { source: this.schema.sources[0].name, field, step, start, series, others: new Array(length).fill(0) };
  }

  clocks() {
    if (this.mode === "fleet") return { ahead: 0, behind: 1, worst: [{ key: this.plant.names[11], offset: -this.plant.lateBy(11) }] };
    return this.clocksOff ? { ahead: 1, behind: 1, worst: [{ key: "device_2", offset: 7_200_000 }, { key: "device_1", offset: -40_000 }] } : { ahead: 0, behind: 0, worst: [] };
  }

  /** How far a device's clock is off, as `clocks` counts it. */
  clockOf(key) {
    if (this.mode === "fleet") {
      const late = this.plant.lateBy(this.plant.numberOf(key));
      return { offset: -late || -400, latest: -late || -400, state: late > 0 ? "behind" : "right", ahead: 0, behind: late > 0 ? 812 : 0 };
    }
    const offset = this.clocks().worst.find((one) => one.key === key)?.offset ?? 0;
    return { offset, latest: offset, state: offset === 0 ? "right" : offset > 0 ? "ahead" : "behind", ahead: 0, behind: 0 };
  }

  rateAt(t) {
    return this.plant.rate === 0 ? 0 : Math.round(this.plant.rate * (0.94 + 0.06 * Math.sin(t / 97_000) + 0.05 * (dice(Math.floor(t / 1000), 8) - 0.5)) * 10) / 10;
  }

  point(key, name, t, step) {
    const { plant } = this;
    const numbers = key === null ? Array.from({ length: Math.min(24, plant.names.length) }, (_, i) => (i * 41) % plant.names.length) : [plant.numberOf(key)];
    if (numbers[0] === undefined || numbers[0] < 0) return [];
    const steps = Array.from({ length: Math.min(60, step / 1000) }, (_, i) => (i * 1000) / step);
    let min = Infinity;
    let max = -Infinity;
    let sum = 0;
    let n = 0;
    for (const number of numbers) {
      if (plant.quietFrom.has(number) && t > plant.quietFrom.get(number)) continue;
      for (const part of this.mode === "seed" ? steps : key === null ? [0.5] : [0.2, 0.5, 0.8]) {
        if (!plant.sends(number, t + step * part)) continue;
        const value = plant.value(number, name, t + step * part);
        if (value === null) continue;
        min = Math.min(min, value);
        max = Math.max(max, value);
        sum += value / 100;
        n += 1;
      }
    }
    return n === 0 ? [{ key, min: null, mean: null, max: null }] : [{ key, min, mean: (sum / n) * 100, max }];
  }

  history(name, range, keys, now, points = 2_000) {
    const [span, least] = KEEP[range] ?? KEEP["15m"];
    const step = least * Math.ceil(span / least / Math.max(1, points));
    const end = Math.floor(now / step) * step;
    const start = end - span;
    const length = this.mode === "empty" ? 0 : Math.floor((end - start) / step);
    const series = (keys.length === 0 ? [null] : keys).map((key) => {
      const points = Array.from({ length }, (_, i) => this.point(key, name, start + i * step, step)[0] ?? { min: null, mean: null, max: null });
      return { key, min: points.map((p) => p.min), mean: points.map((p) => p.mean), max: points.map((p) => p.max) };
    });
    return { source: this.plant.source, field: name, unit: null, step, start, series };
  }

  sql(text) {
    if (!/^\s*select\b/i.test(text)) return { status: 400, body: { type: "about:blank", title: "SQL syntax", detail: "only one SELECT is allowed here", code: "FB-4001", hint: "Start the statement with SELECT.", place: { line: 1, column: 1 } } };
    const vehicles = this.mode === "vehicles" ? vehicleRows(text, this.plant, Date.now()) : null;
    if (vehicles) return { status: 200, body: vehicles };
    const from = /\bfrom\s+`?(\w+)/di.exec(text);
    const missing = from?.[1];
    if (missing && missing !== "late" && !this.schema.tables.includes(missing)) {
      const before = text.slice(0, from.indices[1][0]).split("\n");
      const place = { line: before.length, column: before.at(-1).length + 1 };
      return { status: 400, body: { title: "SQL cannot be planned", detail: `no table is named ${missing}`, code: "FB-4002", hint: `Tables here: ${this.schema.tables.join(", ")}.`, place } };
    }
    const now = Date.now();
    const column = (name, type) => ({ name: this.mode === "odd" ? name.repeat(500) : name, type });
    if (/group\s+by/i.test(text)) {
      const rows = this.plant.names.slice(0, 40).map((key, n) => [key.slice(0, 5_000), this.plant.value(n, "temperature", now), Math.abs(this.plant.value(n, "humidity", now))]);
      const limit = Number(/limit\s+(\d+)/i.exec(text)?.[1] ?? 1e4);
      const two = /max\(/i.test(text);
      return { status: 200, body: { columns: [column("device_id", "STRING"), column("avg_temp", "DOUBLE"), ...(two ? [column("max_humidity", "DOUBLE")] : [])], rows: rows.slice(0, limit).map((row) => (two ? row : row.slice(0, 2))), rowCount: Math.min(limit, rows.length), truncated: false, millis: 41 } };
    }
    const count = Math.min(10_000, Number(/limit\s+(\d+)/i.exec(text)?.[1] ?? 10_000));
    const rows = this.plant.names.length === 0 ? [] : Array.from({ length: count }, (_, i) => {
      const n = i % this.plant.names.length;
      const t = now - i * 50;
      return [this.plant.names[n].slice(0, 4000), this.plant.value(n, "temperature", t), this.plant.value(n, "humidity", t), Math.floor(t / 1000)];
    });
    return { status: 200, body: { columns: [column("device_id", "STRING"), column("temperature", "DOUBLE"), column("humidity", "DOUBLE"), column("timestamp", "INT")], rows, rowCount: rows.length, truncated: count === 10_000, millis: 212 } };
  }
}

function quarantined(started, odd) {
  const long = "q".repeat(5_000);
  const raws = odd ? [[long, long, `$.${long}`], [`{"${long}": 1}`, `\`${long}\` is not a DOUBLE`, "$"]] : [
    ['{"device_id": "device_3", "temperature": 41.', "the JSON ends inside a number", "$.temperature"],
    ['{"device_id": "device_1", "temperature": "warm", "humidity": 44.1, "timestamp": 1763726400}', "`warm` is not a DOUBLE", "$.temperature"],
    ["\u0000\u0001\u0002 not json at all", "expected a value, found a control character", "$"],
  ];
  const bad = raws.map(([raw, why, path], i) => ({ id: `iot_topic/0/${4_100 + i * 917}`, queries: ["lake", "hot"], sources: ["iot"], code: "FB-3001", path, why, at: started + 3_600_000 * (i + 1), topic: odd ? long : "iot_topic", partition: 0, offset: 4_100 + i * 917, key: null, raw, truncated: false }));
  if (odd) return bad;
  // The newest stand first.
  const unexpected = (id, ago, rule, code, path, why, raw) => ({ id: `iot_topic/0/${id}`, queries: ["lake", "hot"], sources: ["iot"], code, path, why: `expectation \`${rule}\` failed: ${why}`, at: Date.now() - ago * 60_000, topic: "iot_topic", partition: 0, offset: id, key: null, raw, truncated: false });
  return [
    unexpected(918_220, 48, "temperature_range", "expect.range", "$.temperature", "`temperature` is 1084.0; expected from -40 to 150", '{"device_id": "device_2", "temperature": 1084, "humidity": 41.2, "timestamp": 1763726460}'),
    unexpected(917_904, 49, "temperature_rate", "expect.rate", "$.temperature", "`temperature` is 96.1, `temperature` was 41.3 1 s before; expected to change by at most 5 a second", '{"device_id": "device_2", "temperature": 96.1, "humidity": 41.0, "timestamp": 1763726441}'),
    ...bad,
  ];
}
