// What the view of quality shows follows from here: which of all that is judged, which lines, in which colour, where they break.
// Pure.
import type { JudgedRule, JudgedStep, OnFail, Quality, SourceQuality } from "../api/quality";
import type { QuarantineRecord, Source } from "../api/types";
import { fixed, NOTHING } from "../format/number";
import { ident } from "../format/text";
import type { Place, Steps } from "./url";

/** How far back each looks, and how long its steps are. */
export const PERIOD: Record<Steps, { ms: number; words: string; each: string }> = {
  minutes: { ms: 180 * 60_000, words: "the last three hours", each: "minute" },
  hours: { ms: 336 * 3_600_000, words: "the last two weeks", each: "hour" },
};

/** Lines that can be told apart. */
export const MOST_LINES = 6;
const COLOURS = 6;

/** What was judged by whom, as the address names it; else the first that has judged anything, else the first. */
export function chosen(all: SourceQuality[], { judge, judged }: Pick<Place, "judge" | "judged">): SourceQuality | null {
  const fits = (one: SourceQuality): boolean => (judge === "" || one.query === judge) && (judged === "" || one.source === judged);
  const has = ({ total }: SourceQuality): boolean => total.rows + total.unreadable > 0;
  const named = all.filter(fits);
  const these = named.length > 0 ? named : all;
  return these.find(has) ?? these[0] ?? null;
}

export interface Line {
  /** Null: records that gave no row to judge. */
  rule: string | null;
  /** Which of the colours, from 0. */
  colour: number;
  /** Which of the dashes, from 0: no two lines have both in common. */
  dash: number;
  failed: number;
  /** Its share of each step; null where nothing was judged. */
  shares: (number | null)[];
}

/** Colour and dash of a rule: by its place in the file, so they stay whatever fails. */
export function mark(index: number): { colour: number; dash: number } {
  return { colour: index % COLOURS, dash: (index + Math.floor(index / COLOURS)) % COLOURS };
}

/** The share of a step's records that failed a rule; null: that gave no row. */
function shareOf(point: JudgedStep, rule: string | null): number | null {
  if (rule === null) {
    const all = point.rows + point.unreadable;
    return all > 0 ? point.unreadable / all : null;
  }
  return point.rows > 0 ? (point.rules[rule] ?? 0) / point.rows : null;
}

/** A line for each of the rules that failed most, in the order of the file, and one for what could not be read; the one that is looked at always. */
export function lines(of: Pick<SourceQuality, "rules" | "points" | "unreadable">, looked: string): Line[] {
  const all = of.rules.map((rule, index) => ({ rule, index })).filter(({ rule }) => rule.failed > 0 || rule.name === looked);
  const worst = [...all].sort((a, b) => Number(b.rule.name === looked) - Number(a.rule.name === looked) || b.rule.failed - a.rule.failed).slice(0, MOST_LINES);
  const drawn = worst.sort((a, b) => a.index - b.index).map(({ rule, index }): Line => ({ rule: rule.name, ...mark(index), failed: rule.failed, shares: of.points.map((point) => shareOf(point, rule.name)) }));
  if (of.unreadable === 0) return drawn;
  return [...drawn, { rule: null, colour: -1, dash: -1, failed: of.unreadable, shares: of.points.map((point) => shareOf(point, null)) }];
}

/** Steps that are shown at least, however young what was judged is. */
const LEAST_STEPS = 15;

/** From when on there is something to show: what began within the time that is asked for is shown from its beginning on. */
export function begins({ rows, unreadable, total, points }: Pick<SourceQuality, "rows" | "unreadable" | "total" | "points">, { from, to, step }: Pick<Quality, "from" | "to" | "step">): number {
  const [first] = points;
  if (!first || total.rows + total.unreadable > rows + unreadable) return from;
  return Math.max(from, Math.min(first.at, to - LEAST_STEPS * step));
}

/** Pixels that a step takes at least: what is drawn closer is noise to the eye. */
const LEAST_PIXELS = 10;
/** Into how many steps of the server's one that is drawn may be gathered, by how long those are. */
const GATHERED: Record<number, number[]> = { 60_000: [1, 2, 5, 10, 15, 30], 3_600_000: [1, 2, 3, 6, 12, 24] };

/** How long a step is that is drawn in a picture of this width. */
export function stepFor(period: number, step: number, width: number): number {
  const all = (GATHERED[step] ?? [1]).map((n) => n * step);
  return all.find((one) => (period / one) * LEAST_PIXELS <= width) ?? all[all.length - 1] ?? step;
}

/** The steps that lie in the same longer one as their sum: shares of that are exact. */
export function gathered(points: JudgedStep[], step: number): JudgedStep[] {
  const found: JudgedStep[] = [];
  for (const point of points) {
    const at = Math.floor(point.at / step) * step;
    const last = found[found.length - 1];
    if (last?.at !== at) {
      found.push({ ...point, at, rules: { ...point.rules } });
      continue;
    }
    last.rows += point.rows;
    last.failed += point.failed;
    last.unreadable += point.unreadable;
    for (const [rule, failed] of Object.entries(point.rules)) last.rules[rule] = (last.rules[rule] ?? 0) + failed;
  }
  return found;
}

/** The points of a line in pieces: it breaks where nothing was judged, and where a step is missing. */
export function pieces(points: JudgedStep[], shares: (number | null)[], step: number): number[][] {
  const found: number[][] = [];
  let before = -Infinity;
  points.forEach((point, index) => {
    if ((shares[index] ?? null) === null) return;
    const last = found[found.length - 1];
    if (last && point.at - before <= step && last[last.length - 1] === index - 1) last.push(index);
    else found.push([index]);
    before = point.at;
  });
  return found;
}

/** The upper end of the axis: never so near to nothing that a single record fills the picture. */
export function ceiling(all: Line[]): number {
  const most = all.reduce((top, line) => line.shares.reduce<number>((high, share) => Math.max(high, share ?? 0), top), 0);
  return Math.min(1, Math.max(0.001, most * 1.08));
}

/** What becomes of a row, in words. */
export const FATE: Record<OnFail, string> = { quarantine: "set aside", flag: "flagged, goes on", drop: "dropped", fail: "stops the query" };
export const fateOf = ({ onFail }: Pick<JudgedRule, "onFail">): string => (onFail === null ? "in the file no more" : FATE[onFail]);

/** What a rule takes of a core for each row. */
export function cost(nanos: number | null): string {
  if (nanos === null) return NOTHING;
  if (nanos < 1) return "<1 ns";
  return nanos >= 1_000 ? `${fixed(nanos / 1_000, nanos < 10_000 ? 1 : 0)} µs` : `${fixed(nanos, nanos < 10 ? 1 : 0)} ns`;
}

/** What all rules of the file take together; null before any was timed. */
export function costOfAll(rules: JudgedRule[]): number | null {
  const known = rules.flatMap(({ nanosPerRow }) => (nanosPerRow === null ? [] : [nanosPerRow]));
  return known.length === 0 ? null : known.reduce((sum, one) => sum + one, 0);
}

/** The records among these that were set aside for this rule; without one, all of the source. */
export function asideFor(records: QuarantineRecord[], source: string, rule: string): QuarantineRecord[] {
  const same = (name: string): boolean => name.toLowerCase() === source.toLowerCase();
  return records.filter((one) => !one.refusedBy && (one.sources ?? [source]).some(same) && (rule === "" || one.why.includes(`expectation \`${rule}\` failed`)));
}

/** The followed source whose devices these are, if the page follows it. */
export function followed(sources: Source[], judged: string): Source | null {
  return sources.find((one) => one.name === judged) ?? sources.find((one) => (one.reads ?? one.name) === judged) ?? null;
}

/** The rows that a rule flagged, and that went on. */
export function flaggedSql(source: string, rule: string): string {
  return `SELECT *\nFROM ${ident(source)}\nWHERE array_contains(_failed_expectations, '${rule.replace(/[\\']/g, "\\$&")}')\nLIMIT 100`;
}

/** Completes what a server says. */
export function qualityOf(raw: Quality): Quality {
  const sources = (raw.sources ?? []).map((one) => ({ ...one, points: one.points.map((point) => ({ ...point, rules: point.rules ?? {} })), devices: one.devices.map((device) => ({ ...device, rules: device.rules ?? {} })) }));
  return { ...raw, sources };
}
