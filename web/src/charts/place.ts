// Geometry that charts share, pure: where labels go so that they do not cover each other, where ticks sit, how
// histogram bins are cut.

/** Moves centres apart until each has `gap` to the next, staying in [low, high] as far as they fit. Keeps their order. */
export function spread(centres: number[], gap: number, low: number, high: number): number[] {
  const order = centres.map((y, index) => ({ y, index })).sort((a, b) => a.y - b.y);
  let floor = low;
  for (const one of order) {
    one.y = Math.max(one.y, floor);
    floor = one.y + gap;
  }
  let ceiling = high;
  for (const one of [...order].reverse()) {
    one.y = Math.min(one.y, ceiling);
    ceiling = one.y - gap;
  }
  const placed = new Array<number>(centres.length).fill(0);
  for (const one of order) placed[one.index] = one.y;
  return placed;
}

/** About `wanted` round numbers from `low` to `high`. */
export function ticks(low: number, high: number, wanted: number): number[] {
  const span = high - low;
  if (!(span > 0) || wanted < 1) return [low];
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const first = Math.ceil(low / step - 1e-9) * step;
  const list: number[] = [];
  for (let i = 0; first + i * step <= high + step * 1e-9 && list.length < 100; i += 1) list.push(first + i * step);
  return list;
}

/** The largest size that is drawn: differences of two such values are numbers, too. */
const LARGEST = Number.MAX_VALUE / 4;
/** `value`, or the nearest that differences can be made of. */
export const bounded = (value: number): number => Math.min(LARGEST, Math.max(-LARGEST, value));

export interface Bin {
  from: number;
  to: number;
  count: number;
}

/** Equal bins with round edges over all values. */
export function bins(values: number[], wanted: number): Bin[] {
  const known = values.filter(Number.isFinite).map(bounded);
  if (known.length === 0) return [];
  const low = known.reduce((a, b) => Math.min(a, b));
  const high = known.reduce((a, b) => Math.max(a, b));
  if (low === high) return [{ from: low, to: high, count: known.length }];
  const marks = ticks(low, high, wanted);
  const step = marks.length > 1 ? (marks[1] ?? 1) - (marks[0] ?? 0) : high - low;
  const first = Math.floor(low / step + 1e-9) * step;
  const size = Math.max(1, Math.floor((high - first) / step + 1e-9) + 1);
  const list = Array.from({ length: size }, (_, i): Bin => ({ from: first + i * step, to: first + (i + 1) * step, count: 0 }));
  for (const value of known) {
    const bin = list[Math.min(size - 1, Math.max(0, Math.floor((value - first) / step + 1e-9)))];
    if (bin) bin.count += 1;
  }
  return list;
}

/** The range of a y axis: the data with air around it, a near threshold included, never flat. */
export function yRange(low: number | null, high: number | null, limits: (number | null | undefined)[], fixedMin?: number | null, fixedMax?: number | null): [number, number] {
  let from = low ?? 0;
  let to = high ?? 1;
  const span = to - from || Math.abs(to) || 1;
  for (const limit of limits) {
    if (typeof limit !== "number") continue;
    if (limit > to && limit - to < span * 0.6) to = limit;
    if (limit < from && from - limit < span * 0.6) from = limit;
  }
  const air = (to - from || Math.abs(to) || 1) * 0.08;
  const min = fixedMin ?? (from >= 0 && from - air < 0 ? 0 : from - air);
  const max = fixedMax ?? to + air;
  return max > min ? [min, max] : [min, min + 1];
}
