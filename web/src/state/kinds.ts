// What a list of alerts comes to: how many of each kind, whose keys are worst, what is muted and by what, and what one of them has
// been through. Pure, so that the numbers on the page follow from the list that it shows.
import type { Alert, Severity, Value } from "../api/types";
import { order } from "./status";

/** A rule at one severity. */
export interface Kind {
  rule: string;
  severity: Severity;
  open: number;
  cleared: number;
}

/** Kinds with the worst first, then those with most open. */
export function kinds(alerts: Alert[]): Kind[] {
  const found = new Map<string, Kind>();
  for (const { rule, severity, state } of alerts) {
    const name = JSON.stringify([rule, severity]);
    const kind = found.get(name) ?? { rule, severity, open: 0, cleared: 0 };
    kind[state] += 1;
    found.set(name, kind);
  }
  return [...found.values()].sort((a, b) => order[b.severity] - order[a.severity] || b.open - a.open || b.cleared - a.cleared || (a.rule < b.rule ? -1 : 1));
}

/** What a key has to do with alerts. */
export interface Troubled {
  source: string;
  key: string | null;
  count: number;
  /** How long at least one was open, ms: what was open together counts once. */
  ms: number;
  /** The worst of what is open now. */
  severity: Severity | null;
}

/** The keys of these alerts, the one with most of them, or with the longest time in them, first. */
export function worst(alerts: Alert[], by: "count" | "ms", now: number, sourceOf: (alert: Alert) => string = ({ source }) => source): Troubled[] {
  const found = new Map<string, { one: Troubled; spans: [number, number][] }>();
  for (const alert of alerts) {
    const source = sourceOf(alert);
    const name = JSON.stringify([source, alert.key]);
    const entry = found.get(name) ?? { one: { source, key: alert.key, count: 0, ms: 0, severity: null }, spans: [] };
    entry.one.count += 1;
    entry.spans.push([alert.openedAt, Math.max(alert.openedAt, alert.clearedAt ?? now)]);
    if (alert.state === "open" && (entry.one.severity === null || order[alert.severity] > order[entry.one.severity])) entry.one.severity = alert.severity;
    found.set(name, entry);
  }
  const all = [...found.values()].map(({ one, spans }) => ({ ...one, ms: covered(spans) }));
  const other = by === "count" ? "ms" : "count";
  return all.sort((a, b) => b[by] - a[by] || b[other] - a[other] || ((a.key ?? "") < (b.key ?? "") ? -1 : 1));
}

/** The length of what these spans cover together. */
export function covered(spans: [number, number][]): number {
  let sum = 0;
  let until = -Infinity;
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    sum += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return sum;
}

/** What is open and nobody is told of, by what mutes it: a silence, or another alert. */
export function mutes(alerts: Alert[]): { by: string; alerts: Alert[] }[] {
  const found = new Map<string, Alert[]>();
  for (const alert of alerts) {
    if (alert.state === "open" && alert.muted) found.set(alert.muted, [...(found.get(alert.muted) ?? []), alert]);
  }
  return [...found].map(([by, muted]) => ({ by, alerts: muted })).sort((a, b) => b.alerts.length - a.alerts.length || (a.by < b.by ? -1 : 1));
}

/** What is looked for among alerts. */
export interface Wanted {
  is: "" | "open" | "cleared";
  rule: string;
  severity: Severity | "";
  find: string;
}

/** Those that are wanted. Words are a part of key or message; where they are a key, whole, those of that key alone are meant. */
export function wanted(alerts: Alert[], { is, rule, severity, find }: Wanted): Alert[] {
  const exact = find !== "" && alerts.some(({ key }) => key === find);
  const words = find.toLowerCase();
  const has = (text: string | null): boolean => text !== null && text.toLowerCase().includes(words);
  return alerts.filter(
    (alert) =>
      (is === "" || alert.state === is) &&
      (rule === "" || alert.rule === rule) &&
      (severity === "" || alert.severity === severity) &&
      (find === "" || (exact ? alert.key === find : has(alert.key) || has(alert.message))),
  );
}

/** One thing that happened to an alert. */
export interface Step {
  at: number;
  what: "opened" | "level" | "acknowledged" | "comment" | "cleared";
  severity?: Severity;
  value?: Record<string, Value>;
  by?: string;
  comment?: string;
}

/** All that is known of what happened to an alert, its opening first, the rest by time. */
export function story(alert: Alert): Step[] {
  const said = (what: "acknowledged" | "comment", remark: { at: number; by: string; comment?: string }): Step => ({ what, at: remark.at, by: remark.by, ...(remark.comment ? { comment: remark.comment } : {}) });
  const steps: Step[] = (alert.levels ?? []).map(({ at, severity, value }) => ({ at, what: "level", severity, value }));
  if (alert.acknowledged) steps.push(said("acknowledged", alert.acknowledged));
  steps.push(...(alert.comments ?? []).map((remark) => said("comment", remark)));
  if (alert.clearedAt !== null) steps.push({ at: alert.clearedAt, what: "cleared", value: alert.clearedValue ?? {} });
  const opened: Step = { at: alert.openedAt, what: "opened", value: alert.value, ...((alert.levels ?? []).length === 0 ? { severity: alert.severity } : {}) };
  return [opened, ...steps.sort((a, b) => a.at - b.at)];
}

/** The newer of two words on the same alert. */
export function newer(a: Alert, b: Alert): Alert {
  const [stepA, stepB] = [a.step ?? 0, b.step ?? 0];
  if (stepA !== stepB) return stepA > stepB ? a : b;
  if (a.state !== b.state) return a.state === "cleared" ? a : b;
  return (a.comments?.length ?? 0) > (b.comments?.length ?? 0) ? a : b;
}

/** Two lists as one, each alert once. */
export function merged(before: Alert[], more: Alert[]): Alert[] {
  const all = new Map<Alert["id"], Alert>();
  for (const alert of [...before, ...more]) {
    const known = all.get(alert.id);
    all.set(alert.id, known ? newer(known, alert) : alert);
  }
  return [...all.values()];
}
