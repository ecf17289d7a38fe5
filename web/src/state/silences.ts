// Silences that people make: what they are about in words, what may be asked for from an alert, and the list, asked for again after each change.
import { signal } from "@preact/signals";
import { post, remove } from "../api/http";
import type { Alert, FileSilence, Silence } from "../api/types";

/** Counts up with every change that this page makes. */
export const changes = signal(0);

/** How long, as the server reads it, and as people do. The first is what one wants most. */
export const LENGTHS: [string, string][] = [
  ["1 hour", "1 hour"],
  ["30 minutes", "30 minutes"],
  ["2 hours", "2 hours"],
  ["8 hours", "8 hours"],
  ["1 day", "1 day"],
  ["1 week", "1 week"],
];

/** Of what: what a silence made from an alert may be about. */
export type Scope = "both" | "key" | "rule";

/** What the server is asked for. A key is meant as it is, whatever letters it has. */
export function wish(alert: Alert, scope: string, length: string, comment: string): object {
  const rules = scope === "key" ? [] : [alert.rule];
  return { rules, ...(scope === "rule" ? {} : { key: alert.key }), for: length, ...(comment ? { comment } : {}) };
}

/** What it is about: `heat, press-*, critical`. */
export function about(silence: Silence | FileSilence): string[] {
  const { rules, keys, severities } = silence;
  const key = "key" in silence && silence.key !== undefined ? [silence.key === null ? "NULL" : silence.key === "" ? "the empty key" : silence.key] : [];
  const words = [...rules, ...key, ...keys, ...severities];
  return words.length > 0 ? words : ["all alerts"];
}

/** What holds or will, as the clock says by now: the list may be some seconds old. */
export function present(all: Silence[], now: number): Silence[] {
  return all.filter(({ until, state }) => state !== "expired" && until > now);
}

export async function make(body: object): Promise<void> {
  await post<Silence>("/silences", body);
  changes.value += 1;
}

export async function end(id: string): Promise<void> {
  await remove(`/silences/${encodeURIComponent(id)}`);
  changes.value += 1;
}
