// The mock's fleet of vehicles: where they drive, and what goes wrong with them, as pure functions of vehicle and time.
import { dice } from "./dice.mjs";

const round = (value, decimals) => Math.round(value * 10 ** decimals) / 10 ** decimals;
const wave = (t, period, phase) => Math.sin((2 * Math.PI * t) / period + phase);

export const VEHICLES = Array.from({ length: 12 }, (_, n) => `CAR-${101 + n}`);

const RULES = [
  { name: "overspeed", severity: "warning", when: "speed_kmph > 140", clear: "speed_kmph < 130", every: 23 * 60_000, long: 40_000, who: (n) => n % 3 === 0, field: "speed_kmph", words: (key, value) => `${key} drives ${value} km/h` },
  { name: "engine_overheat", severity: "critical", when: "engine_temp_c > 110", clear: "engine_temp_c < 100", every: 61 * 60_000, long: 90_000, who: (n) => n % 4 === 1, field: "engine_temp_c", words: (key, value) => `${key}'s engine has ${value} °C` },
  { name: "low_fuel", severity: "info", when: "fuel_level < 10", clear: "fuel_level > 20", every: 97 * 60_000, long: 11 * 60_000, who: (n) => n % 5 === 2, field: "fuel_level", words: (key, value) => `${key} has ${value} % of fuel` },
  { name: "invalid_gps", severity: "info", when: "NOT gps_ok", clear: "gps_ok", every: 140 * 60_000, long: 30_000, who: (n) => n === 7, field: "gps_ok", words: (key) => `${key} cannot be at 0.0, 0.0` },
];
export const VEHICLE_RULES = RULES.map(({ name, severity, when, clear }) => ({ name, on: "cars", key: "car_id", keyFields: { cars: "car_id" }, when, clear, for: null, severity }));

/** These are open while the mock runs, however long it takes: which vehicle, which rule, since when before its start. */
const STANDING = [
  [3, 0, 25_000],
  [5, 1, 130_000],
  [2, 2, 9 * 60_000],
  [9, 0, 70_000],
];

const LIMIT = { speed_kmph: 140, engine_temp_c: 110 };

export class Vehicles {
  constructor(started) {
    /** When the page could first look. */
    this.opened = started;
  }

  value(n, field, t) {
    const standing = (rule) => STANDING.find(([vehicle, which, ago]) => vehicle === n && which === rule && t >= this.opened - ago);
    switch (field) {
      case "latitude":
        // The one whose engine is hot drives north of all others: no mark covers it.
        return round((n === 5 ? 26.54 : 26.3) + 0.09 * wave(t, 2_400_000 + n * 70_000, n) + 0.02 * wave(t, 310_000, n * 2), 5);
      case "longitude":
        return round(50.1 + 0.12 * wave(t, 2_900_000 + n * 50_000, n * 1.7) + 0.02 * wave(t, 290_000, n), 5);
      case "speed_kmph":
        return round((standing(0) ? 152 : 78) + 22 * wave(t, 240_000, n) * (standing(0) ? 0.2 : 1) + dice(n, Math.floor(t / 500)) * 3, 1);
      case "engine_temp_c":
        return round((standing(1) ? 121 : 88) + 4 * wave(t, 600_000, n) + dice(n + 20, Math.floor(t / 500)), 1);
      case "fuel_level":
        return round(standing(2) ? 7.5 : 35 + ((n * 13) % 50) - ((t / 60_000) % 20) / 2, 1);
      case "engine_rpm":
        return Math.round(2_200 + 700 * wave(t, 240_000, n) + 40 * dice(n + 40, Math.floor(t / 500)));
      case "event_timestamp":
        return t;
      default:
        return null;
    }
  }

  /** What opened since six hours, and what cleared. */
  alerts(now) {
    const list = STANDING.map(([n, rule, ago]) => this.one(n, RULES[rule], this.opened - ago, null));
    for (const rule of RULES) {
      VEHICLES.forEach((_, n) => {
        if (!rule.who(n)) return;
        for (let back = 1; back < 16; back += 1) {
          const at = Math.floor(this.opened / rule.every - back) * rule.every + n * 17_000;
          const cleared = at + rule.long * (0.6 + dice(n, back));
          if (at > this.opened - 6 * 3_600_000 && cleared < this.opened - 10 * 60_000) list.push(this.one(n, rule, at, Math.round(cleared)));
        }
      });
    }
    return list.filter(({ openedAt }) => openedAt <= now).sort((a, b) => b.openedAt - a.openedAt);
  }

  one(n, rule, openedAt, clearedAt) {
    const key = VEHICLES[n];
    const limit = LIMIT[rule.field];
    const value = rule.field === "gps_ok" ? false : round(limit ? limit * (1.04 + 0.08 * dice(n, Math.floor(openedAt / 1000))) : 7.5, 1);
    const row = (ago) => ({ at: openedAt - ago, value: { [rule.field]: value }, source: "cars", topic: "raw_telemetry", partition: 0, offset: Math.floor((openedAt - ago) / 1000) % 1_000_000 });
    return {
      id: `${rule.name}/${key}/${openedAt}`,
      rule: rule.name,
      source: "cars",
      key,
      severity: rule.severity,
      state: clearedAt === null ? "open" : "cleared",
      openedAt,
      clearedAt,
      seenAt: openedAt + 40,
      message: rule.words(key, value),
      value: { [rule.field]: value },
      clearedValue: clearedAt === null ? null : { [rule.field]: rule.field === "gps_ok" ? true : round(value * 0.85, 1) },
      step: clearedAt === null ? 1 : 2,
      event: clearedAt === null ? "opened" : "cleared",
      worst: rule.severity,
      rows: [row(1_000), row(0)],
      ...(clearedAt === null && n === 9 ? { muted: "silence roadworks" } : {}),
    };
  }
}

const field = (name, type, kind, role, unit = null) => ({ name, type, kind, role, unit, description: null });

export const vehicles = {
  pipeline: "fleet",
  title: "Fleet",
  sources: [
    {
      name: "cars",
      reads: "telemetry",
      topic: "raw_telemetry",
      key: "car_id",
      bootstrap: "localhost:9092",
      fields: [
        field("car_id", "STRING", "text", "key"),
        field("latitude", "DOUBLE", "number", "lat"),
        field("longitude", "DOUBLE", "number", "lon"),
        field("event_timestamp", "TIMESTAMP", "time", "time"),
        field("speed_kmph", "DOUBLE", "number", "value", "km/h"),
        field("fuel_level", "DOUBLE", "number", "value", "%"),
        field("engine_temp_c", "DOUBLE", "number", "value", "°C"),
        field("engine_rpm", "DOUBLE", "number", "value", "1/min"),
      ],
    },
  ],
  queries: [{ name: "device_data", sql: "SELECT * FROM cars", format: "delta", trigger: "1 second" }],
  tables: ["telemetry", "cars", "device_data", "corrupt_records", "alerts"],
  panels: [
    { id: "map", title: "Where they are", chart: "map", source: "cars", wide: true },
    { id: "speed", title: "Speed", chart: "line", source: "cars", field: "speed_kmph", unit: "km/h", warn: 130, critical: 140 },
    { id: "temp", title: "Engine temperature", chart: "line", source: "cars", field: "engine_temp_c", unit: "°C", warn: 105, critical: 110 },
    { id: "kinds", title: "Alerts by kind", chart: "sql", as: "bar", every: 5000, sql: "SELECT alert_type, count(*) AS reports FROM alerts GROUP BY alert_type ORDER BY reports DESC" },
    { id: "worst", title: "Worst vehicles", chart: "sql", as: "bar", every: 5000, sql: "SELECT car_id, count(*) AS reports FROM alerts GROUP BY car_id ORDER BY reports DESC LIMIT 10" },
    { id: "valid", title: "Whole and broken reports a minute", chart: "sql", as: "line", wide: true, every: 5000, sql: "SELECT minute, sum(whole) AS whole, sum(broken) AS broken FROM device_data GROUP BY minute" },
  ],
  alerts: VEHICLE_RULES,
};

/** What the SQL of its panels gives. */
export function vehicleRows(text, plant, now) {
  const alerts = plant.alerts(now);
  const by = (name) => Object.entries(alerts.reduce((sum, alert) => ({ ...sum, [alert[name]]: (sum[alert[name]] ?? 0) + 12 }), {})).sort((a, b) => b[1] - a[1]);
  const answer = (columns, rows) => ({ columns: columns.map(([name, type]) => ({ name, type })), rows, rowCount: rows.length, truncated: false, millis: 12 });
  if (/alert_type/.test(text)) return answer([["alert_type", "STRING"], ["reports", "BIGINT"]], by("rule").map(([rule, n]) => [rule.toUpperCase(), n]));
  if (/car_id, count/.test(text)) return answer([["car_id", "STRING"], ["reports", "BIGINT"]], by("key").slice(0, 10));
  if (/broken/.test(text)) {
    const minute = Math.floor(now / 60_000) * 60_000;
    const rows = Array.from({ length: 15 }, (_, i) => minute - (14 - i) * 60_000).map((at) => [new Date(at).toISOString(), 700 + Math.round(20 * dice(1, at / 60_000)), 25 + Math.round(12 * dice(2, at / 60_000))]);
    return answer([["minute", "TIMESTAMP"], ["whole", "BIGINT"], ["broken", "BIGINT"]], rows);
  }
  return null;
}
