// History as columns: what a line chart draws, and how it grows.
//
// A block is a run of equal steps from `start`; every track has one slot per step and null where nothing was measured.
// The promise: whatever is appended, no slot is ever counted twice and a gap stays a gap. Live seconds that fall into a
// wider last step are merged into it (min, max exactly; the mean weighted by the seconds seen).
import type { History, TickChart } from "../api/types";

export type Column = (number | null)[];

export interface Track {
  key: string | null;
  min: Column;
  mean: Column;
  max: Column;
  /** The newest second that came: the last step may be wider. */
  latest?: Reading | null;
}

export interface Block {
  /** Begin of the first step, ms. */
  start: number;
  /** Length of a step, ms. */
  step: number;
  /** Number of steps. */
  length: number;
  tracks: Track[];
  /** Begin of the last second that was appended, and how many of the last step's seconds are known. */
  lastSecond: number;
  weight: number;
}

export function fromHistory(history: History): Block {
  const length = history.series.reduce((most, series) => Math.max(most, series.mean.length), 0);
  const start = Number.isFinite(history.start) ? history.start : 0;
  const step = Math.max(1, history.step);
  const lastStep = start + (length - 1) * step;
  return {
    start,
    step,
    length,
    tracks: history.series.map(({ key, min, mean, max }) => ({ key, min: [...min], mean: [...mean], max: [...max], latest: lastOf(mean, start, step) })),
    lastSecond: length === 0 ? -Infinity : step <= 1_000 ? lastStep : lastStep - 1,
    weight: Math.max(1, Math.floor(step / 2_000)),
  };
}

/** The last reading of a history: as near to the newest as it tells. */
function lastOf(mean: Column, start: number, step: number): Reading | null {
  const last = mean.findLastIndex((value) => value !== null);
  const value = mean[last] ?? null;
  return value === null ? null : { at: start + (last + 1) * step, value };
}

/** Appends one closed second; keeps at most `span` ms. Seconds that are already in, or before the block, change nothing. */
export function append(block: Block, chart: TickChart, span: number): boolean {
  if (chart.t <= block.lastSecond || chart.series.length === 0) return false;
  if (block.length === 0) block.start = Math.floor(chart.t / block.step) * block.step;
  const index = Math.floor((chart.t - block.start) / block.step);
  if (index < 0) return false;
  const most = Math.ceil(span / block.step) + 1;
  if (index - block.length > most) restart(block, chart.t);
  const slot = Math.floor((chart.t - block.start) / block.step);
  const merges = slot < block.length;
  grow(block, slot + 1);
  block.weight = merges ? block.weight : 0;
  for (const point of chart.series) put(block, slot, chart.t, point);
  block.weight += 1;
  block.lastSecond = chart.t;
  const extra = block.length - most;
  if (extra > 0) drop(block, extra);
  return true;
}

function put(block: Block, slot: number, t: number, point: TickChart["series"][number]): void {
  let track = block.tracks.find((one) => one.key === point.key);
  if (!track) {
    const empty = (): Column => new Array<number | null>(block.length).fill(null);
    track = { key: point.key, min: empty(), mean: empty(), max: empty() };
    block.tracks.push(track);
  }
  if (point.mean === null) return;
  track.latest = { at: t + 1_000, value: point.mean };
  const before = track.mean[slot] ?? null;
  const low = point.min ?? point.mean;
  const high = point.max ?? point.mean;
  track.mean[slot] = before === null ? point.mean : blend(before, block.weight, point.mean);
  track.min[slot] = Math.min(low, track.min[slot] ?? low);
  track.max[slot] = Math.max(high, track.max[slot] ?? high);
}

/** The mean of `n` values and one more; no sum of huge ones that would be infinite. */
const blend = (mean: number, n: number, value: number): number => mean * (n / (n + 1)) + value / (n + 1);

function grow(block: Block, length: number): void {
  for (const track of block.tracks) {
    for (const column of [track.min, track.mean, track.max]) while (column.length < length) column.push(null);
  }
  block.length = Math.max(block.length, length);
}

function drop(block: Block, steps: number): void {
  for (const track of block.tracks) for (const column of [track.min, track.mean, track.max]) column.splice(0, steps);
  block.start += steps * block.step;
  block.length -= steps;
}

function restart(block: Block, t: number): void {
  for (const track of block.tracks) track.min.length = track.mean.length = track.max.length = 0;
  block.start = Math.floor(t / block.step) * block.step;
  block.length = 0;
}

/** The block in steps `factor` times as wide, aligned to multiples of the new step, so that it does not flicker as it moves. */
export function thin(block: Block, factor: number): Block {
  if (factor <= 1 || block.length === 0) return block;
  const step = block.step * factor;
  const start = Math.floor(block.start / step) * step;
  const lead = Math.round((block.start - start) / block.step);
  const length = Math.ceil((lead + block.length) / factor);
  const tracks = block.tracks.map((track) => {
    const wide: Track = { ...track, min: new Array(length).fill(null), mean: new Array(length).fill(null), max: new Array(length).fill(null) };
    const seen = new Uint32Array(length);
    for (let i = 0; i < block.length; i += 1) {
      const mean = track.mean[i] ?? null;
      if (mean === null) continue;
      const slot = Math.floor((lead + i) / factor);
      const low = track.min[i] ?? mean;
      const high = track.max[i] ?? mean;
      const n = seen[slot] ?? 0;
      wide.mean[slot] = n === 0 ? mean : blend(wide.mean[slot] ?? 0, n, mean);
      wide.min[slot] = Math.min(low, wide.min[slot] ?? low);
      wide.max[slot] = Math.max(high, wide.max[slot] ?? high);
      seen[slot] = n + 1;
    }
    return wide;
  });
  return { ...block, start, step, length, tracks };
}

/** How many steps to take together so that about `points` are left: 1, 2, 3, 5, 10, 15, 30, 60 …, which people can name. */
export function thinning(length: number, points: number): number {
  const least = length / Math.max(1, points);
  const nice = [1, 2, 3, 5, 6, 10, 15, 20, 30, 60, 120, 300, 600];
  return nice.find((factor) => factor >= least) ?? Math.ceil(least);
}

/**
 * How restless the means are: the usual jump between two known steps as a share of the whole range, the roughest track's.
 * A smooth course is near 0, pure noise near a third.
 */
export function roughness(block: Block): number {
  return block.tracks.reduce((most, track) => {
    const known = track.mean.filter((value): value is number => value !== null);
    if (known.length < 8) return most;
    let low = Infinity;
    let high = -Infinity;
    let jumps = 0;
    known.forEach((value, index) => {
      low = Math.min(low, value);
      high = Math.max(high, value);
      jumps += index > 0 ? Math.abs(value - (known[index - 1] ?? value)) : 0;
    });
    return high > low ? Math.max(most, jumps / (known.length - 1) / (high - low)) : most;
  }, 0);
}

/** Rougher than this, lines of several devices are a tangle. */
const TANGLE = 0.16;
/** How much wider steps become for restless readings, at most. */
const WIDER = 5;

/** What of a step a line runs through. */
export type Through = "mean" | "min" | "max";

/** Where there is a limit, lines run through the end of each step that can cross it. A critical value below the warning is a lower limit. */
export function through(warn: number | null | undefined, critical: number | null | undefined): Through {
  if (warn == null && critical == null) return "mean";
  return warn != null && critical != null && critical < warn ? "min" : "max";
}

/**
 * The block as it is drawn: about `points` steps; restless readings in wider steps, whose band still holds every
 * extreme, so that a course can be seen in them. `before` is what was chosen last: once wide, a chart stays wide.
 * Where a limit could be crossed, nothing is calmed, and the lines of `edges` (the keys of devices) run through the
 * extremes: whatever the width of the chart, what crossed is seen to have crossed.
 */
export function drawn(block: Block, steps: number, points: number, before: number, way: Through = "mean", edges: (string | null)[] = []): { block: Block; factor: number; calmed: boolean } {
  const fine = thinning(steps, points);
  if (way !== "mean") {
    const thinned = thin(block, fine);
    const tracks = thinned.tracks.map((track) => (edges.includes(track.key) ? { ...track, mean: track[way] } : track));
    return { block: { ...thinned, tracks }, factor: fine, calmed: false };
  }
  const wide = fine * WIDER;
  if (before === wide) return { block: thin(block, wide), factor: wide, calmed: true };
  const first = thin(block, fine);
  if (roughness(first) <= TANGLE) return { block: first, factor: fine, calmed: false };
  return { block: thin(block, wide), factor: wide, calmed: true };
}

export interface Reading {
  at: number;
  value: number;
}

/** When each step is drawn, ms: at its middle, and the last ones no later than `now`. Strictly rising. */
export function middles(block: Block, now: number): number[] {
  const last = Math.max(now, block.start + (block.length - 1) * block.step + 1);
  return Array.from({ length: block.length }, (_, i) => Math.min(block.start + (i + 0.5) * block.step, last - (block.length - 1 - i)));
}

/**
 * Where the line of a track ends: at the device's newest reading, the very one that the table shows; where that is not
 * known, at the newest second that came. Never before its last step.
 */
export function endOf(block: Block, key: string | null, told: Reading | null, now: number): Reading | null {
  const track = block.tracks.find((one) => one.key === key);
  const last = track?.mean.findLastIndex((value) => value !== null) ?? -1;
  const reading = told ?? track?.latest;
  if (!reading || last < 0) return null;
  return { value: reading.value, at: Math.max(Math.min(reading.at, now), (middles(block, now)[last] ?? 0) + 1) };
}

/** Silence that is not worth a gap in a line, ms: half a minute, or ten times the usual pause between two readings. */
export function bridge(block: Block, track: Track): number {
  let first = -1;
  let last = -1;
  let known = 0;
  track.mean.forEach((value, index) => {
    if (value === null) return;
    if (first < 0) first = index;
    last = index;
    known += 1;
  });
  const usual = known > 1 ? ((last - first) / (known - 1)) * block.step : 0;
  return Math.max(LEAST_BRIDGE_MS, 10 * usual);
}
const LEAST_BRIDGE_MS = 30_000;

/** When the first known reading of any track was, ms; null without one. */
export function firstKnown(block: Block): number | null {
  const slots = block.tracks.map((track) => track.mean.findIndex((value) => value !== null)).filter((slot) => slot >= 0);
  return slots.length === 0 ? null : block.start + Math.min(...slots) * block.step;
}

/** The least that a chart shows, ms and steps: what comes in the first moments should fill it like a plant, not like a speck. */
const LEAST_WINDOW_MS = 60_000;
const LEAST_WINDOW_STEPS = 5;

/**
 * How much of `span` is shown of a plant that runs since `started`: nothing can have been before it began, unless
 * something was, `first` being the first reading.
 */
export function windowOf(span: number, to: number, started: number | null, first: number | null, step = 1_000): number {
  if (started === null || first === null) return span;
  return Math.min(span, Math.max(LEAST_WINDOW_MS, LEAST_WINDOW_STEPS * step, to - Math.min(started, first)));
}

export interface Extent {
  last: number | null;
  min: number | null;
  max: number | null;
}

/** The smallest, largest and last known value of a track. */
export function extent(track: Track): Extent {
  let min: number | null = null;
  let max: number | null = null;
  let last: number | null = null;
  for (let i = 0; i < track.mean.length; i += 1) {
    const mean = track.mean[i] ?? null;
    if (mean === null) continue;
    last = mean;
    const low = track.min[i] ?? mean;
    const high = track.max[i] ?? mean;
    min = min === null ? low : Math.min(min, low);
    max = max === null ? high : Math.max(max, high);
  }
  return { last, min, max };
}
