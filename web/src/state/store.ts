// What the page knows, as signals, and nothing else: who writes them is `session.ts`.
import { computed, signal, untracked, type Signal } from "@preact/signals";
import type { ApiError } from "../api/http";
import type { Alert, Device, Field, Hello, Labels, LedgerPage, QuarantinePage, Schema, Source, Tick } from "../api/types";
import { plain } from "../format/number";
import { deviceSource, isOfDevice, NO_ALERTS, type AlertBook } from "./apply";
import { understood } from "./fleet";
import { present } from "./present";
import { byUrgency, status } from "./status";
import { highlighted, layout, TRAILS } from "./panels";
import { LONGEST_KEY, parse, print, type Place } from "./url";

export const place = signal<Place>(parse(location.hash));

/** Goes to another place. A step of its own in the browser's history unless it only refines the same view. */
export function go(change: Partial<Place>, replace = false): void {
  const next = { ...place.peek(), ...change };
  // Who is open is who is singled out, and stays it when the drawer closes.
  if (next.device !== null) next.picked = next.device;
  const link = print(next);
  if (replace) history.replaceState(null, "", link);
  else if (link !== location.hash) history.pushState(null, "", link);
  place.value = next;
}
addEventListener("popstate", () => (place.value = parse(location.hash)));
addEventListener("hashchange", () => (place.value = parse(location.hash)));

export const schema = signal<Schema | null>(null);
export const bootError = signal<ApiError | null>(null);
export const needsSignIn = signal(false);

export interface Link {
  phase: "opening" | "live" | "lost";
  /** Server's clock. */
  lostSince: number | null;
  attempt: number;
  retryAt: number | null;
  /** When the link came back, until that is no longer worth a word. */
  backAt: number | null;
}
export const link = signal<Link>({ phase: "opening", lostSince: null, attempt: 0, retryAt: null, backAt: null });

export const hello = signal<Hello | null>(null);
export const tick = signal<Tick | null>(null);
/** The server's clock, moved once a second. */
export const now = signal(Date.now());
/** How far the server's clock is ahead of ours, ms. */
export const skew = signal(0);

export interface Row {
  key: string;
  device: Signal<Device>;
}
export const slice = signal<{ total: number; offset: number; rows: Row[] } | null>(null);
/** True once everything that the first drawing needs has been asked for: nothing is then drawn twice. */
export const booted = signal(false);
/** Of each source: how many devices it has, and the keys of the first few regardless of search and page. */
export const known = signal<Record<string, { total: number; keys: string[] }>>({});
/** The version of Forebay that answers now, if the page is of an older one. */
export const newer = signal<string | null>(null);
/** What the page has to say about itself, such as a link that could not be shown. */
export const notice = signal<string | null>(null);

export const alerts = signal<AlertBook>(NO_ALERTS);
export const quarantine = signal<QuarantinePage | null>(null);
export const ledger = signal<LedgerPage | null>(null);
/** Events per second, one number a second, oldest first; the last belongs to `now`. */
export const rates = signal<(number | null)[]>([]);

export const source = computed<Source | null>(() => {
  const all = schema.value?.sources ?? [];
  return all.find((one) => one.name === place.value.source) ?? all[0] ?? null;
});
/** What is chosen of the labels that the source has. */
const choices = computed(() => JSON.stringify(understood(place.value.where, source.value)));
export const where = computed(() => JSON.parse(choices.value) as string[]);
/** How the devices in view are spread; null until it is known. */
export const labels = computed<Labels | null>(() => (tick.value?.labels?.source === source.value?.name ? (tick.value?.labels ?? null) : null));
/** What the page need not show: panels that nobody asked for, and whose field never had a value. */
const blanks = signal<ReadonlySet<string>>(new Set());
export const blank = computed<ReadonlySet<string>>(() => ((schema.value?.panels.length ?? 0) > 0 ? new Set() : blanks.value));
export function isBlank(panel: string, yes: boolean): void {
  if (blanks.peek().has(panel) === yes) return;
  const all = new Set(blanks.peek());
  if (yes) all.add(panel);
  else all.delete(panel);
  blanks.value = all;
}
/** Whether the plant shows where the devices of a source are. */
export const isMapped = (name: string): boolean => panels.value.some(({ panel, source: of, trouble }) => panel.chart === "map" && of?.name === name && trouble === null);
export const panels = computed(() => (schema.value ? layout(schema.value) : []));
/** Devices of all sources. */
export const total = computed(() => tick.value?.devices.total ?? Object.values(known.value).reduce((sum, one) => sum + one.total, 0));

/** Devices of one source. Ticks count all together, so with several sources the last list must do. */
export function totalOf(name: string): number {
  const only = (schema.value?.sources.length ?? 0) === 1;
  return only ? total.value : (known.value[name]?.total ?? 0);
}

const alerting = computed(() => JSON.stringify(byUrgency(alerts.value.open.filter(isDevice)).map((alert) => [sourceOf(alert), alert.key ?? ""])));
const alertingPairs = computed(() => JSON.parse(alerting.value) as [string, string][]);

/** The source, or the followed view, whose device an alert is about. */
export function sourceOf(alert: Alert): string {
  const rule = schema.value?.alerts.find((one) => one.name === alert.rule);
  return deviceSource(alert, rule, schema.value?.sources ?? []);
}

/** True if what an alert is about is a device of its source, and not a value of another column or of a removed rule. */
export function isDevice(alert: Alert): boolean {
  const rule = schema.value?.alerts.find((one) => one.name === alert.rule);
  const of = sourceOf(alert);
  return rule !== undefined && isOfDevice({ ...alert, source: of }, rule, keyFieldOf(of));
}

/** The devices of a source that its charts single out: few devices all, of many the alerting ones and the open one. */
export function chartKeys(of: Source): string[] {
  if (of.key === null) return [];
  const hot = alertingPairs.value.filter(([name]) => name === of.name).map(([, key]) => key);
  const looked = of.name === source.value?.name ? place.value.device : null;
  // The empty key cannot be asked for: it would mean all devices. Nor can one that no address has room for.
  return highlighted(known.value[of.name]?.keys ?? [], totalOf(of.name), hot, looked).filter((key) => key !== "" && key.length <= LONGEST_KEY);
}

/** The devices of which a map shows the way: all of a small fleet, else those that charts draw. */
export function trailKeys(of: Source): string[] {
  const charted = chartKeys(of);
  if (of.key === null || totalOf(of.name) > TRAILS) return charted;
  const all = (known.value[of.name]?.keys ?? []).filter((key) => key !== "" && key.length <= LONGEST_KEY);
  return [...new Set([...all, ...charted])];
}

/**
 * When the newest event came: the last second that had any; before the seconds that are known, what the devices say if
 * all of them are in sight. Null if it is not known.
 */
const lastEvent = computed(() => {
  const back = rates.value.length - 1 - rates.value.findLastIndex((rate) => (rate ?? 0) > 0);
  if (back < rates.value.length) return (tick.value?.now ?? now.value) - back * 1_000;
  const list = slice.value;
  if (!list || list.rows.length === 0 || list.rows.length < total.value) return null;
  return Math.max(...list.rows.map((row) => row.device.value.lastSeen));
});

/** The value that a device has now, as the table shows it; of one that the table does not show, its last second's mean. */
export function valueNow(sourceName: string, key: string | null, field: string): number | null {
  const row = slice.value?.rows.find((one) => one.key === (key ?? ""));
  if (row && row.device.value.source === sourceName) {
    const value = row.device.value.values[field];
    return typeof value === "number" ? value : null;
  }
  const chart = tick.value?.charts.find((one) => one.source === sourceName && one.field === field);
  return chart?.series.find((one) => one.key === key)?.mean ?? null;
}

/** An alert's message with its device's readings of this second; no quicker, so that people can read it. */
function wordsOf(alert: Alert): string {
  if (!isDevice(alert)) return alert.message;
  return present(alert, (field) => {
    const value = untracked(() => valueNow(sourceOf(alert), alert.key, field));
    return value === null ? null : plain(value, fieldOf(sourceOf(alert), field));
  });
}

const ending = computed(() => new Set((schema.value?.queries ?? []).filter(({ trigger }) => /^(availableNow|once)$/i.test(trigger ?? "")).map(({ name }) => name)));

export const headline = computed(() =>
  status({
    connected: link.value.phase === "live",
    lostSince: link.value.lostSince,
    tick: tick.value,
    open: alerts.value.open,
    isDevice,
    words: wordsOf,
    startedAt: hello.value?.startedAt ?? null,
    lastCleared: alerts.value.cleared[0]?.clearedAt ?? null,
    lastEvent: lastEvent.value,
    ending: ending.value,
    now: now.value,
  }),
);

/** What whoever looks may do; where the server asks nobody, everything. */
const role = computed(() => schema.value?.session?.role ?? "admin");
export const mayOperate = computed(() => role.value !== "viewer");
export const mayDrop = computed(() => role.value === "admin");

export function fieldOf(sourceName: string, name: string): Field | undefined {
  return schema.value?.sources.find((one) => one.name === sourceName)?.fields.find((field) => field.name === name);
}
export function keyFieldOf(sourceName: string): string | null | undefined {
  return schema.value?.sources.find((one) => one.name === sourceName)?.key;
}
