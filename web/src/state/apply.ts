// How messages change what is known, as pure functions: the slice of devices, the alerts.
//
// Values come up to 30 times a second and are gathered between two frames: of two changes to one field only the newer
// is ever drawn, and none is lost. Indexes belong to the slice that was sent last, so a new slice empties what waits.
import type { Alert, AlertRule, Device, Source, Value, ValueRow, Values } from "../api/types";

export interface Patch {
  lastSeen: number;
  rate: number;
  values: Record<string, Value>;
}

/** Changes that wait for the next frame, by index in the slice. */
export class Gathered {
  private readonly waiting = new Map<number, Patch>();

  get size(): number {
    return this.waiting.size;
  }

  add(message: Values): void {
    for (const row of message.rows) this.addRow(row);
  }

  private addRow([index, lastSeen, rate, values]: ValueRow): void {
    const known = this.waiting.get(index);
    if (!known) {
      this.waiting.set(index, { lastSeen, rate, values: { ...values } });
      return;
    }
    known.lastSeen = lastSeen;
    known.rate = rate;
    Object.assign(known.values, values);
  }

  /** Hands out what waits and forgets it. */
  take(): [number, Patch][] {
    const all = [...this.waiting];
    this.waiting.clear();
    return all;
  }

  clear(): void {
    this.waiting.clear();
  }
}

/** The device after a change. A device that sends is live again; when it falls quiet, the server says so. */
export function patched(device: Device, patch: Patch): Device {
  return {
    ...device,
    lastSeen: Math.max(device.lastSeen, patch.lastSeen),
    rate: patch.rate,
    state: patch.lastSeen > device.lastSeen ? "live" : device.state,
    values: { ...device.values, ...patch.values },
  };
}

/** The device a second later: its small line moves on by the value it has now, or by nothing if it was silent. */
export function secondLater(device: Device, now: number): Device {
  const { spark } = device;
  if (!spark || spark.points.length === 0) return device;
  const value = device.values[spark.field];
  const point = typeof value === "number" && now - device.lastSeen < 1_500 ? value : null;
  return { ...device, spark: { ...spark, points: [...spark.points.slice(1), point] } };
}

export interface AlertBook {
  /** Open alerts, newest first. */
  open: Alert[];
  /** Cleared alerts, the last cleared first, at most `REMEMBERED`. */
  cleared: Alert[];
}

export const NO_ALERTS: AlertBook = { open: [], cleared: [] };
const REMEMBERED = 50;

/** The book after one transition. A transition that is known already, or older than what is known, changes nothing. */
export function transition(book: AlertBook, alert: Alert): AlertBook {
  if (alert.state === "open") {
    if (book.cleared.some((one) => one.id === alert.id)) return book;
    const known = book.open.find((one) => one.id === alert.id);
    if (!known) return { ...book, open: [alert, ...book.open] };
    if ((alert.step ?? 0) < (known.step ?? 0)) return book;
    return { ...book, open: book.open.map((one) => (one === known ? alert : one)) };
  }
  if (book.cleared.some((one) => one.id === alert.id)) return book;
  return {
    open: book.open.filter((one) => one.id !== alert.id),
    cleared: [alert, ...book.cleared].slice(0, REMEMBERED),
  };
}

/** The book as the server lists it; the lists may overlap with transitions that came meanwhile. */
export function loaded(open: Alert[], cleared: Alert[]): AlertBook {
  const gone = new Set(cleared.map((alert) => alert.id));
  return {
    open: open.filter((alert) => !gone.has(alert.id)).sort((a, b) => b.openedAt - a.openedAt),
    cleared: [...cleared].sort((a, b) => (b.clearedAt ?? 0) - (a.clearedAt ?? 0)).slice(0, REMEMBERED),
  };
}

/** Whose device an alert is about: that of the view which its rule watches, where the view is followed; else that of its record's source. */
export function deviceSource(alert: Alert, rule: AlertRule | undefined, sources: Source[]): string {
  const view = sources.find((one) => one.reads && one.reads !== one.name && one.name.toLowerCase() === rule?.on.toLowerCase());
  return view ? view.name : alert.source;
}

/** True if an alert's key is the field of its source that names its devices; an older server says no fields. */
export function isOfDevice(alert: Alert, rule: AlertRule, deviceField: string | null | undefined): boolean {
  const field = rule.keyFields?.[alert.source];
  return rule.keyFields === undefined || (field !== undefined && field === deviceField);
}
