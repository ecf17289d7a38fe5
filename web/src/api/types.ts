// What the server says, as types. One file, so that a change of the contract is a change of one file.
// Times are milliseconds since 1970 unless a name says otherwise; a value that is not there is null.

export type Value = number | string | boolean | null;
export type Kind = "number" | "text" | "bool" | "time";
export type Role = "key" | "value" | "status" | "lat" | "lon" | "time" | "other";
export type Severity = "info" | "warning" | "critical";
export type Range = "15m" | "6h" | "24h";

export interface Field {
  name: string;
  type: string;
  kind: Kind;
  role: Role;
  unit?: string | null;
  description?: string | null;
}

export interface Source {
  name: string;
  topic: string;
  key: string | null;
  /** The source in the file whose records it shows: its own name, but for a view. */
  reads?: string | null;
  /** Fields by whose values devices are told apart. */
  labels?: string[] | null;
  fields: Field[];
  /** Where producers send to (`host:port`), so that the empty page can show a command that works. */
  bootstrap?: string | null;
}

export type ChartKind = "line" | "bar" | "gauge" | "map" | "distribution" | "table" | "sql" | "events";

export interface Panel {
  id: string;
  title: string;
  chart: ChartKind;
  source?: string | null;
  field?: string | null;
  sql?: string | null;
  /** How an SQL panel is drawn; its table if absent. */
  as?: ChartKind | null;
  /** How often an SQL panel asks again, in milliseconds. */
  every?: number | null;
  unit?: string | null;
  min?: number | null;
  max?: number | null;
  warn?: number | null;
  critical?: number | null;
  pinned?: boolean;
  wide?: boolean;
}

export interface AlertRule {
  name: string;
  on: string;
  key: string | null;
  /** The field of each of its sources that the key is, without those of which it is computed; where the server tells it. */
  keyFields?: Record<string, string>;
  when: string;
  clear?: string | null;
  /** Milliseconds. */
  for?: number | null;
  severity: Severity;
}

export interface Schema {
  pipeline: string;
  title?: string | null;
  sources: Source[];
  /** `sources`: those that a query reads, where the server tells it. */
  queries: { name: string; sql: string; format: string; trigger?: string | null; sources?: string[] | null }[];
  tables: string[];
  panels: Panel[];
  alerts: AlertRule[];
  /** Who asks, if the server asks who they are. */
  session?: Session | null;
}

export interface Device {
  source: string;
  key: string;
  state: "live" | "quiet";
  lastSeen: number;
  rate: number;
  count: number;
  alerts: number;
  severity: Severity | null;
  /** Null where the source has no event time. */
  clock?: DeviceClock | null;
  values: Record<string, Value>;
  spark?: { field: string; points: (number | null)[] } | null;
}

/** How far event times are from their records' timestamps, in milliseconds; more than 0: ahead. */
export interface DeviceClock {
  /** The median of the last nine. */
  offset: number;
  latest: number;
  state: "right" | "ahead" | "behind";
  /** Records that were too far ahead, or behind, to count. */
  ahead: number;
  behind: number;
}

/** Devices whose clocks are off, and those that are furthest off. */
export interface Clocks {
  ahead: number;
  behind: number;
  worst: { key: string; offset: number }[];
}

export interface DeviceCounts {
  live: number;
  quiet: number;
  alerting: number;
}

export interface DevicePage {
  total: number;
  counts: DeviceCounts;
  devices: Device[];
  next: string | null;
}

export interface History {
  source: string;
  field: string;
  unit?: string | null;
  step: number;
  start: number;
  series: { key: string | null; min: (number | null)[]; mean: (number | null)[]; max: (number | null)[] }[];
}

/** How many devices said a value of a label last; null: they never said one. */
export interface Facet {
  field: string;
  values: { value: string | null; devices: number }[];
  /** Devices with rarer values. */
  others: number;
}

/** The devices that fit, by their labels. `late`: their event times are behind what the watermark waits for. */
export interface Labels {
  source: string | null;
  total: number;
  quiet: number;
  late: number;
  /** Readings of theirs that came late, since the history began; a server of before does not say. */
  lateRows?: number;
  labels: Facet[];
}

/** How many rows had each value of a label, in steps of `step` ms from `start` on. */
export interface Shares {
  source: string;
  field: string;
  step: number;
  start: number;
  series: { value: string | null; count: number[] }[];
  others: number[];
}

export interface Alert {
  id: string | number;
  rule: string;
  source: string;
  /** Null where the records have none. */
  key: string | null;
  severity: Severity;
  state: "open" | "cleared";
  /** It ended because its rule is not in the file any more. */
  ruleRemoved?: boolean;
  openedAt: number;
  clearedAt: number | null;
  seenAt?: number;
  message: string;
  value: Record<string, Value>;
  /** How many transitions it has had. */
  step?: number;
  /** Its newest transition. */
  event?: "opened" | "raised" | "lowered" | "acknowledged" | "cleared";
  /** The worst that it has been. */
  worst?: Severity;
  /** Changes of its level, oldest first. */
  levels?: { at: number; severity: Severity; value: Record<string, Value> }[];
  /** The newest of the rows that caused it, oldest first. */
  rows?: Cause[];
  /** The values at clearing. */
  clearedValue?: Record<string, Value> | null;
  /** Present where nothing came: of a field, or of the key. */
  noData?: { field?: string };
  acknowledged?: Remark;
  comments?: Remark[];
  /** Why nobody was told of its opening, if so. */
  muted?: string;
}

/** A row that caused an alert, and its record. */
export interface Cause {
  at: number;
  value: Record<string, Value>;
  source: string;
  topic: string;
  partition: number;
  offset?: number | null;
}

/** What somebody did or said. */
export interface Remark {
  at: number;
  by: string;
  comment?: string;
}

/** Who is told of nothing until when, as somebody made it. Empty lists mean all. */
export interface Silence {
  id: string;
  state: "active" | "pending" | "expired";
  rules: string[];
  /** The one key, NULL among them; absent where patterns say it. */
  key?: string | null;
  keys: string[];
  severities: Severity[];
  from: number;
  until: number;
  made: Remark;
  ended?: Remark;
}

/** One of the pipeline's file; times are null where it comes again every week. */
export interface FileSilence {
  name: string;
  rules: string[];
  keys: string[];
  severities: Severity[];
  from: number | null;
  until: number | null;
  active: boolean;
}

export interface SilencePage {
  silences: Silence[];
  ofFile: FileSilence[];
}

export interface AlertPage {
  open: number;
  alerts: Alert[];
  next: string | null;
}

export interface QuarantineRecord {
  id: string;
  queries: string[];
  sources?: string[];
  /** The sink that refused it, where it is a row and no record: there is nothing to replay. */
  refusedBy?: string | null;
  code: string;
  path?: string | null;
  why: string;
  at: number | string;
  topic: string;
  partition: number;
  offset: number;
  key?: string | null;
  raw: string | null;
  rawBase64?: string;
  truncated?: boolean;
}

export interface QuarantinePage {
  open: number;
  /** Of those, rows that sinks refused. */
  refusedRows?: number;
  bytes: number;
  records: QuarantineRecord[];
  next: string | null;
}

export interface Ledger {
  read: number;
  emitted: number;
  aggregated: number;
  unmatched: number;
  filtered: number;
  deduplicated: number;
  dropped: number;
  quarantined: number;
  late: number;
  inFlight: number;
  replayed?: number;
  rowsOut?: number;
  rowsRefused?: number;
  bytesRead?: number;
  balances: boolean;
}

export interface LedgerPage {
  total: Ledger;
  queries: Record<string, Ledger>;
  note?: string;
}

export interface SqlResult {
  columns: { name: string; type: string }[];
  rows: Value[][];
  rowCount: number;
  truncated: boolean;
  millis: number;
}

/** A query that collects files for a time and archives them. */
export interface Cycle {
  query: string;
  /** How long a cycle collects, in milliseconds. */
  every: number;
  /** How many cycles; null for ever. */
  repeat: number | null;
  template: string;
  stage: "waiting" | "collecting" | "merging" | "archiving" | "cleaning" | "done";
  /** Which cycle, from 0. */
  number: number | null;
  /** Since when it collects. */
  since: number | null;
  count: number;
  rows: number;
  bytes: number;
  /** The newest, newest first. */
  archives: Archive[];
}

export interface Archive {
  cycle: number;
  name: string;
  rows: number;
  bytes: number;
  at: number;
}

export interface Latency {
  p50: number | null;
  p99: number | null;
}

export interface Problem {
  /** Of a query, of a gateway or of the history of a source. */
  query: string | null;
  source?: string | null;
  gateway?: string | null;
  what: string;
  since: string | number | null;
  code: string | null;
  error: string | null;
  hint: string | null;
}

/** The pipeline's file as it was refused last: what runs is by an older one. */
export interface RefusedReload {
  /** Who had it read. */
  by: string;
  since: string | number;
  what: string;
  code: string;
  error: string;
  hint: string;
}

/** A table at rest of which a newer version cannot be read, told of each query that reads it. */
export interface BrokenTable {
  name: string;
  query: string;
  since: string | number | null;
  error: { code: string; message: string; place?: string | null; hint: string | null };
}

/** What a query with state holds: `oldest` and `newest` are when the first and the last of its keys are done. */
export interface Remembers {
  keys: number;
  limit: number;
  oldest: number | null;
  newest: number | null;
  /** Rows that came too late; they are in the table `late.QUERY`. */
  late: number;
  lateBytes: number;
  /** Rows whose time was too far ahead to move the watermark. */
  ahead: number;
}

export interface QueryView {
  name: string;
  kind: "query" | "alert";
  state: string;
  /** Since when it does not run, where it does not. */
  since?: string | number | null;
  epoch: number | null;
  /** Records that it read, where the server tells it. */
  read?: number | null;
  /** Rows that its sink refused since it began. */
  rowsRefused?: number | null;
  /** The expectations that rows of its sources failed since it began, where the server tells them. */
  unexpected?: { name: string; rows: number }[] | null;
  /** Null where nobody can know it: of a query that is stopped or failed. */
  lag: number | null;
  rate: number | null;
  latency: Latency | null;
  error: { code: string; message: string; detail?: string | null; hint: string | null } | null;
  watermark: string | number | null;
  stateBytes: number | null;
  /** Null of a query without state. */
  remembers: Remembers | null;
  waitingFor: string | null;
  epochs: { epoch: number; rows: number; ms: number; at: number }[];
}

export interface Hello {
  pipeline: string;
  version: string;
  startedAt: number;
  now: number;
  /** Events per second of the last minutes, one number a second, the newest last: the water line at once. */
  rates?: (number | null)[];
}

export interface TickChart {
  source: string;
  field: string;
  t: number;
  series: { key: string | null; min: number | null; mean: number | null; max: number | null }[];
}

export interface Tick {
  now: number;
  rate: number;
  lag: number | null;
  latency: Latency | null;
  status: "ok" | "failing";
  problems: Problem[];
  refusedReload: RefusedReload | null;
  brokenTables: BrokenTable[];
  queries: QueryView[];
  ledger: Ledger | null;
  alerts: { open: number; bySeverity: Partial<Record<Severity, number>> };
  /** `refused`: rows that sinks refused and that are still there, by query; `newest` is when the last was set aside. */
  quarantine: { open: number; bytes: number; refused?: { query: string; rows: number; newest: number }[] } | null;
  devices: { total: number } & DeviceCounts;
  /**
   * `rate`, `devices`: events per second and devices of this source, where the server tells it; `caughtUp`: when it last came to the
   * source's end, having been late.
   */
  followers: {
    source: string; reads?: string | null; lag: number | null; tooOld: number; behind: boolean;
    caughtUp?: number | null; rate?: number | null; devices?: number | null; clocks?: Clocks | null;
  }[];
  /** How the devices in view are spread, of a source with labels. */
  labels?: Labels | null;
  charts: TickChart[];
}

export interface DeviceSlice {
  total: number;
  offset: number;
  rows: Device[];
}

/** `[index in the slice, lastSeen, rate, what changed]`. */
export type ValueRow = [number, number, number, Record<string, Value>];

export interface Values {
  t: number;
  e?: number;
  rows: ValueRow[];
}

export interface Session {
  /** False if the server asks nobody who they are. */
  auth: boolean;
  role: "viewer" | "operator" | "admin";
  name?: string | null;
}
