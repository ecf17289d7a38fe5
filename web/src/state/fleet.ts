// Choices among devices by their labels, and how their shares are drawn: pure, so that what stands in the address, what is
// asked and what is drawn follow from the same few functions.
import type { Facet, Labels, Shares, Source } from "../api/types";

/** A label with more values than this is chosen from, not drawn. */
export const MOST_DRAWN = 8;
/** Labels that are drawn. */
const MOST_PICTURES = 2;

/** The field and the value of `FIELD:VALUE`, for the labels of a source; a field's name may hold a colon. */
export function choiceOf(text: string, labels: string[]): { field: string; value: string } | null {
  const found = labels.filter((name) => text.startsWith(`${name}:`)).sort((a, b) => b.length - a.length)[0];
  return found === undefined ? null : { field: found, value: text.slice(found.length + 1) };
}

/** What is chosen of a label; null if anything is. An empty text stands for devices that never said one. */
export function chosen(where: string[], field: string, labels: string[]): string | null {
  for (const text of where) {
    const choice = choiceOf(text, labels);
    if (choice?.field === field) return choice.value;
  }
  return null;
}

/** The choices with another one of this label; null takes it back. */
export function choose(where: string[], field: string, value: string | null, labels: string[]): string[] {
  const rest = where.filter((text) => choiceOf(text, labels)?.field !== field);
  return value === null ? rest : [...rest, `${field}:${value}`];
}

/** The choices that a source has labels for: a link may be of another file, and what nobody knows is not asked for. */
export function understood(where: string[], source: Source | null): string[] {
  const labels = source?.labels ?? [];
  return where.filter((text) => choiceOf(text, labels) !== null);
}

/** The labels that are drawn: with few values, and more than one. */
export function drawnLabels(labels: Labels): Facet[] {
  return labels.labels.filter((one) => one.others === 0 && one.values.length > 0 && one.values.length <= MOST_DRAWN).slice(-MOST_PICTURES);
}

export type Tone = "ok" | "bad" | "warn" | "idle" | "1" | "2" | "3" | "4" | "5" | "6" | "none";

const TONES: [Tone, RegExp][] = [
  ["bad", /^(error|err|fail|failed|failure|fault|alarm|critical|down|nok|broken)$/i],
  ["ok", /^(success|ok|okay|running|online|up|healthy|good|active|normal|true)$/i],
  ["warn", /^(warn|warning|degraded|maintenance|late)$/i],
  ["idle", /^(standby|idle|off|offline|stopped|paused|inactive|false)$/i],
];

/** A colour for each value: words that everybody uses have the usual one, others take turns; none stands for no value. */
export function tones(values: (string | null)[]): Tone[] {
  let next = 0;
  return values.map((value) => {
    if (value === null) return "none";
    const known = TONES.find(([, words]) => words.test(value));
    if (known) return known[0];
    next += 1;
    return String(((next - 1) % 6) + 1) as Tone;
  });
}

export interface Column {
  /** When it begins, ms. */
  at: number;
  /** From the bottom upwards: index of the series, from and to as counts. */
  parts: { series: number; from: number; to: number }[];
  total: number;
}

/** The steps of an answer as columns; what belongs to no series of its own is the last one. */
export function stacked(shares: Shares): Column[] {
  const series = [...shares.series.map((one) => one.count), shares.others];
  return shares.others.map((_, step) => {
    let from = 0;
    const parts = series.flatMap((counts, index) => {
      const count = counts[step] ?? 0;
      if (count <= 0) return [];
      from += count;
      return [{ series: index, from: from - count, to: from }];
    });
    return { at: shares.start + step * shares.step, parts, total: from };
  });
}

/** Where there was anything: nothing is drawn for the time before a pipeline began. */
export function firstStep(columns: Column[]): number {
  const first = columns.findIndex((column) => column.total > 0);
  return first < 0 ? columns.length : first;
}

/** All values that are known of a label, now or over time, in one order, so that each keeps its colour. */
export function valuesOf(facet: Facet | undefined, shares: Shares | null): (string | null)[] {
  const now = facet?.values.map((one) => one.value) ?? [];
  const more = (shares?.series ?? []).map((one) => one.value).filter((value) => !now.includes(value));
  const named = [...now, ...more].filter((value): value is string => value !== null).sort();
  return [...now, ...more].includes(null) ? [...named, null] : named;
}

/** A mean for each key that had any value, the greatest first. */
export function ranked(series: { key: string | null; mean: (number | null)[] }[]): { key: string; mean: number }[] {
  const known = series.flatMap(({ key, mean }) => {
    const value = mean.find((one) => one !== null);
    return key === null || value === undefined || value === null ? [] : [{ key, mean: value }];
  });
  return known.sort((a, b) => b.mean - a.mean || (a.key < b.key ? -1 : 1));
}
