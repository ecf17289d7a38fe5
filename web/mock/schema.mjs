// The schemas the mock knows: the plant of three devices, a bigger one with states, places and more to draw, and one
// with a second source that has no devices, only itself.

import { vehicles } from "./vehicles.mjs";

const field = (name, type, kind, role, unit = null) => ({ name, type, kind, role, unit, description: null });
const alerts = [{ name: "overheat", on: "iot", key: "device_id", when: "temperature > 70", clear: "temperature < 65", for: null, severity: "critical" }];
const hot = "SELECT device_id, temperature, humidity, timestamp FROM iot WHERE temperature > 70";

const minutes = "SELECT window.start AS minute, device_id, AVG(temperature) AS avg_temperature, MAX(humidity) AS max_humidity\nFROM iot\nGROUP BY window(timestamp_seconds(timestamp), '1 minute'), device_id";

export function schemaOf(mode) {
  if (mode === "two") return two;
  if (mode === "fleet") return fleet;
  if (mode === "vehicles") return vehicles;
  if (mode === "odd") return odd;
  // A file that names no panels: they follow from the fields.
  if (mode === "unnamed") return unnamed;
  // As with --no-live: the pipeline runs, and no source is followed for the page.
  if (mode === "blind") return { ...small, sources: [], panels: [] };
  return mode === "thousand" ? big : small;
}

const small = {
  pipeline: "plant",
  title: null,
  sources: [
    {
      name: "iot",
      topic: "iot_topic",
      key: "device_id",
      bootstrap: "localhost:9092",
      fields: [
        field("device_id", "STRING", "text", "key"),
        field("temperature", "DOUBLE", "number", "value", "°C"),
        field("humidity", "DOUBLE", "number", "value", "%"),
        field("timestamp", "INT", "number", "time"),
      ],
    },
  ],
  queries: [
    { name: "lake", sql: "SELECT * FROM iot", format: "delta", trigger: "1 second" },
    { name: "hot", sql: hot, format: "console", trigger: null },
    { name: "minutes", sql: minutes, format: "delta", trigger: "1 second" },
  ],
  tables: ["iot", "lake", "minutes"],
  panels: [
    { id: "p1", title: "Temperature", chart: "line", source: "iot", field: "temperature", unit: "°C", warn: 65, critical: 70, pinned: true, wide: false },
    { id: "p2", title: "Humidity", chart: "line", source: "iot", field: "humidity", unit: "%", pinned: false, wide: false },
    { id: "devices", title: "Devices", chart: "table", source: "iot", pinned: false, wide: true },
  ],
  alerts,
};

const big = {
  pipeline: "hall-7",
  title: "Hall 7, presses",
  sources: [
    {
      name: "iot",
      topic: "iot_topic",
      key: "device_id",
      bootstrap: "localhost:9092",
      fields: [
        field("device_id", "STRING", "text", "key"),
        field("temperature", "DOUBLE", "number", "value", "°C"),
        field("vibration", "DOUBLE", "number", "value", "mm/s"),
        field("power", "DOUBLE", "number", "value", "kW"),
        field("status", "STRING", "text", "status"),
        field("site.lat", "DOUBLE", "number", "lat"),
        field("site.lon", "DOUBLE", "number", "lon"),
        field("timestamp", "INT", "number", "time"),
      ],
    },
  ],
  queries: small.queries,
  tables: ["iot", "lake", "minutes"],
  panels: [
    { id: "t", title: "Temperature", chart: "line", source: "iot", field: "temperature", unit: "°C", warn: 65, critical: 70, pinned: true, wide: true },
    { id: "v", title: "Vibration", chart: "line", source: "iot", field: "vibration", unit: "mm/s", critical: 6 },
    { id: "w", title: "Power", chart: "line", source: "iot", field: "power", unit: "kW" },
    { id: "m", title: "Where they are", chart: "map", source: "iot" },
    { id: "d", title: "Temperature now, all presses", chart: "distribution", source: "iot", field: "temperature", unit: "°C", warn: 65, critical: 70 },
    { id: "s", title: "Status", chart: "bar", source: "iot", field: "status" },
    { id: "g", title: "Highest power", chart: "gauge", source: "iot", field: "power", unit: "kW", min: 0, max: 600, warn: 520, critical: 560 },
    { id: "q", title: "Average by press", chart: "sql", sql: "SELECT device_id, avg(temperature) AS avg_temp FROM lake GROUP BY device_id ORDER BY 2 DESC LIMIT 8", as: "bar", every: 10000 },
    { id: "table", title: "Devices", chart: "table", source: "iot" },
  ],
  alerts,
};

const mains = {
  name: "mains",
  topic: "mains",
  key: null,
  fields: [field("power", "DOUBLE", "number", "value", "kW"), field("timestamp", "INT", "number", "time")],
};

const two = {
  ...small,
  sources: [...small.sources, mains],
  panels: [...small.panels, { id: "mains", title: "power", chart: "line", source: "mains", field: "power", unit: "kW" }],
};

// One event tells of several devices, and a view makes a row of each: its rows are followed, by labels.
const exploded = "SELECT customerId, d.deviceId, d.temperature, d.pressure, d.humidity, d.status, eventTime\nFROM device_stream LATERAL VIEW explode(data.devices) t AS d";
const fleet = {
  ...small,
  pipeline: "devices",
  sources: [
    {
      name: "devices",
      reads: "device_stream",
      topic: "device_stream",
      key: "deviceId",
      labels: ["customerId", "status"],
      bootstrap: "localhost:9092",
      fields: [
        field("customerId", "STRING", "text", "status"),
        field("deviceId", "STRING", "text", "key"),
        field("temperature", "DOUBLE", "number", "value", "°C"),
        field("pressure", "DOUBLE", "number", "value", "hPa"),
        field("humidity", "DOUBLE", "number", "value", "%"),
        field("status", "STRING", "text", "status"),
        field("eventTime", "TIMESTAMP", "time", "time"),
      ],
    },
  ],
  queries: [
    { name: "lake", sql: exploded, format: "delta", trigger: "1 second", sources: ["device_stream"] },
    { name: "hot", sql: "SELECT * FROM devices WHERE status = 'ERROR'", format: "console", trigger: null, sources: ["device_stream"] },
    { name: "minutes", sql: "SELECT window, status, count(*) AS n FROM devices GROUP BY window(eventTime, '1 minute'), status", format: "delta", trigger: "1 second", sources: ["device_stream"] },
  ],
  tables: ["device_stream", "devices", "lake", "minutes"],
  panels: [
    { id: "p1", title: "temperature", chart: "line", source: "devices", field: "temperature", unit: "°C" },
    { id: "p2", title: "pressure", chart: "line", source: "devices", field: "pressure", unit: "hPa" },
    { id: "p3", title: "humidity", chart: "line", source: "devices", field: "humidity", unit: "%" },
  ],
  alerts: [],
};

const unnamed = {
  ...small,
  sources: [{ ...small.sources[0], fields: [...small.sources[0].fields, field("nothing", "DOUBLE", "number", "value")] }],
  panels: [],
};

const long = "L".repeat(5_000);
const odd = {
  ...small,
  sources: [
    {
      ...small.sources[0],
      fields: [
        field("device_id", "STRING", "text", "key"),
        ...["temperature", "a.b", "a_b", "huge", "apart", "nothing", long].map((name) => field(name, "DOUBLE", "number", "value")),
        field("site.lat", "DOUBLE", "number", "lat"),
        field("site.lon", "DOUBLE", "number", "lon"),
        field("status", "STRING", "text", "status"),
      ],
    },
  ],
  tables: ["iot", "lake", long],
  panels: [
    { id: "t", title: "temperature", chart: "line", source: "iot", field: "temperature", warn: 65, critical: 70 },
    ...["a.b", "a_b", "huge", "apart", "nothing"].map((name) => ({ id: name, title: name, chart: "line", source: "iot", field: name })),
    { id: "m", title: "iot", chart: "map", source: "iot" },
    { id: "g", title: "Huge, gauge", chart: "gauge", source: "iot", field: "huge" },
    { id: "d", title: "Huge, spread", chart: "distribution", source: "iot", field: "huge" },
    { id: "b", title: "Status", chart: "bar", source: "iot", field: "status" },
    { id: "l", title: long, chart: "line", source: "iot", field: long },
    { id: "q", title: long, chart: "sql", sql: "SELECT device_id, avg(huge) FROM iot GROUP BY device_id", as: "bar" },
  ],
};
