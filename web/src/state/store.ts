// What the page knows, as signals, and nothing else: who writes them is `session.ts`.
import { computed, signal, type Signal } from "@preact/signals";
import type { ApiError } from "../api/http";
import type { Device, Field, Hello, LedgerPage, QuarantinePage, Schema, Session, Source, Tick } from "../api/types";
import { NO_ALERTS, type AlertBook } from "./apply";
import { byUrgency, status } from "./status";
import { highlighted, layout } from "./panels";
import { parse, print, type Place } from "./url";

export const place = signal<Place>(parse(location.hash));

/** Goes to another place. A step of its own in the browser's history unless it only refines the same view. */
export function go(change: Partial<Place>, replace = false): void {
  const next = { ...place.peek(), ...change };
  const link = print(next);
  if (replace) history.replaceState(null, "", link);
  else if (link !== location.hash) history.pushState(null, "", link);
  place.value = next;
}
addEventListener("popstate", () => (place.value = parse(location.hash)));
addEventListener("hashchange", () => (place.value = parse(location.hash)));

export const schema = signal<Schema | null>(null);
export const bootError = signal<ApiError | null>(null);
export const session = signal<Session>({ auth: false, role: "admin" });
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
/** How many devices the server has, as told by its list. */
export const listed = signal(0);
/** Keys of the first few devices regardless of search and page: the charts' lines. */
export const knownKeys = signal<string[]>([]);

export const alerts = signal<AlertBook>(NO_ALERTS);
export const quarantine = signal<QuarantinePage | null>(null);
export const ledger = signal<LedgerPage | null>(null);
/** Events per second, one number a second, oldest first; the last belongs to `now`. */
export const rates = signal<(number | null)[]>([]);

/** The device that the pointer or the keyboard is on, in the table or the legend. */
export const looked = signal<string | null>(null);

export const source = computed<Source | null>(() => {
  const all = schema.value?.sources ?? [];
  return all.find((one) => one.name === place.value.source) ?? all[0] ?? null;
});
export const panels = computed(() => (schema.value ? layout(schema.value) : []));
export const total = computed(() => tick.value?.devices.total ?? listed.value);

const alertingKeys = computed(() => byUrgency(alerts.value.open).map((alert) => alert.key).join("\u0000"));
/** Few devices: all of them; many: the alerting ones and the one whose drawer is open. */
export const chartKeys = computed<string[]>(() => {
  const list = alertingKeys.value === "" ? [] : alertingKeys.value.split("\u0000");
  return highlighted(knownKeys.value, total.value, list, place.value.device);
});

export const headline = computed(() =>
  status({
    connected: link.value.phase === "live",
    lostSince: link.value.lostSince,
    tick: tick.value,
    open: alerts.value.open,
    startedAt: hello.value?.startedAt ?? null,
    lastCleared: alerts.value.cleared[0]?.clearedAt ?? null,
    now: now.value,
  }),
);

export const mayOperate = computed(() => session.value.role !== "viewer");

export function fieldOf(sourceName: string, name: string): Field | undefined {
  return schema.value?.sources.find((one) => one.name === sourceName)?.fields.find((field) => field.name === name);
}
export function keyFieldOf(sourceName: string): string | null | undefined {
  return schema.value?.sources.find((one) => one.name === sourceName)?.key;
}
