// Smallest believable messages, for tests that change one thing in them.
import type { Alert, Device, Field, Ledger, Schema, Source, Tick } from "../src/api/types";

export const NOON = Date.UTC(2026, 10, 21, 12, 0, 0);

export const field = (name: string, more: Partial<Field> = {}): Field => ({ name, type: "DOUBLE", kind: "number", role: "value", ...more });

export const source = (more: Partial<Source> = {}): Source => ({
  name: "iot",
  topic: "iot_topic",
  key: "device_id",
  fields: [
    field("device_id", { type: "STRING", kind: "text", role: "key" }),
    field("temperature", { unit: "°C" }),
    field("humidity", { unit: "%" }),
    field("timestamp", { type: "INT", role: "time" }),
  ],
  ...more,
});

export const schema = (more: Partial<Schema> = {}): Schema => ({ pipeline: "plant", sources: [source()], queries: [], tables: ["iot"], panels: [], alerts: [], ...more });

export const device = (key: string, more: Partial<Device> = {}): Device => ({ source: "iot", key, state: "live", lastSeen: NOON, rate: 1, count: 1, alerts: 0, severity: null, values: {}, ...more });

export const alert = (id: string, more: Partial<Alert> = {}): Alert => ({
  id,
  rule: "overheat",
  source: "iot",
  key: "device_2",
  severity: "critical",
  state: "open",
  openedAt: NOON - 240_000,
  clearedAt: null,
  message: "device_2 overheats",
  value: { temperature: 72.4 },
  ...more,
});

export const ledger = (more: Partial<Ledger> = {}): Ledger => ({ read: 0, emitted: 0, aggregated: 0, unmatched: 0, filtered: 0, deduplicated: 0, dropped: 0, quarantined: 0, late: 0, inFlight: 0, balances: true, ...more });

export const tick = (more: Partial<Tick> = {}): Tick => ({
  now: NOON,
  rate: 20,
  lag: 0,
  latency: { p50: 9, p99: 31 },
  status: "ok",
  problems: [],
  refusedReload: null,
  brokenTables: [],
  queries: [],
  ledger: ledger(),
  alerts: { open: 0, bySeverity: {} },
  quarantine: { open: 0, bytes: 0 },
  devices: { total: 3, live: 3, quiet: 0, alerting: 0 },
  followers: [{ source: "iot", lag: 0, tooOld: 0, behind: false }],
  charts: [],
  ...more,
});
