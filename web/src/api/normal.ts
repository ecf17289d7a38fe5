// Completes what the server says: a list that it left out is an empty one, a count is zero. So the rest of the page can
// rely on the types, and an older or newer server costs a detail, not the page.
import type { Alert, Device, DeviceSlice, Field, Panel, QueryView, Schema, Tick } from "./types";

type Loose<T> = { [K in keyof T]?: T[K] | null | undefined };

export function schemaOf(raw: Loose<Schema>): Schema {
  const panels = raw.panels ?? [];
  return {
    pipeline: raw.pipeline ?? "",
    title: raw.title ?? null,
    sources: (raw.sources ?? []).map((source) => ({ ...source, key: source.key ?? null, labels: source.labels ?? [], fields: (source.fields ?? []).map((field) => inUnit(field, source.name, panels)) })),
    queries: raw.queries ?? [],
    tables: raw.tables ?? [],
    panels,
    alerts: raw.alerts ?? [],
    session: raw.session ?? null,
  };
}

/** A unit that the file gives to a panel is the field's own, so that chart, table and alert say the same. */
function inUnit(field: Field, source: string, panels: Panel[]): Field {
  if (field.unit) return field;
  const panel = panels.find((one) => one.unit && one.field === field.name && (one.source ?? source) === source);
  return panel ? { ...field, unit: panel.unit ?? null } : field;
}

export function alertOf(raw: Alert): Alert {
  return { ...raw, key: raw.key ?? null, message: raw.message ?? "", clearedAt: raw.clearedAt ?? null, value: raw.value ?? {} };
}

export function deviceOf(raw: Device): Device {
  return { ...raw, alerts: raw.alerts ?? 0, severity: raw.severity ?? null, values: raw.values ?? {}, spark: raw.spark ?? null };
}

export function sliceOf(raw: DeviceSlice): DeviceSlice {
  return { total: raw.total ?? 0, offset: raw.offset ?? 0, rows: (raw.rows ?? []).map(deviceOf) };
}

function queryOf(raw: QueryView): QueryView {
  return { ...raw, kind: raw.kind ?? "query", state: raw.state ?? "", latency: raw.latency ?? null, error: raw.error ?? null, epochs: raw.epochs ?? [], rate: raw.rate ?? null, lag: raw.lag ?? null, epoch: raw.epoch ?? null, remembers: raw.remembers ?? null };
}

export function tickOf(raw: Loose<Tick>): Tick {
  return {
    now: raw.now ?? Date.now(),
    rate: raw.rate ?? 0,
    lag: raw.lag ?? null,
    latency: raw.latency ?? null,
    status: raw.status ?? "ok",
    problems: raw.problems ?? [],
    refusedReload: raw.refusedReload ?? null,
    brokenTables: raw.brokenTables ?? [],
    queries: (raw.queries ?? []).map(queryOf),
    ledger: raw.ledger ?? null,
    alerts: { open: raw.alerts?.open ?? 0, bySeverity: raw.alerts?.bySeverity ?? {} },
    quarantine: raw.quarantine ?? null,
    devices: { total: 0, live: 0, quiet: 0, alerting: 0, ...raw.devices },
    followers: raw.followers ?? [],
    labels: raw.labels ?? null,
    charts: raw.charts ?? [],
  };
}
