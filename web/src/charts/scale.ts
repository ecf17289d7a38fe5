// How values become heights, pure. The drawing library counts in numbers of ordinary size, so huge and tiny values are
// drawn in a power of ten; and where they span so many magnitudes that a linear scale would be a flat line with one
// spike, the scale is logarithmic on both sides of zero.
//
// What must stay true: whatever the values, what is drawn is finite, and `get(put(value))` is `value` but for rounding.
import { markWords, powerWord } from "../format/number";
import { ticks } from "./place";

export interface Scale {
  log: boolean;
  put(value: number): number;
  get(drawn: number): number;
  /** About `wanted` round marks from `low` to `high`, all as they are drawn. */
  marks(low: number, high: number, wanted: number): number[];
  /** What stands at marks. */
  words(marks: number[]): string[];
}

/** Values from here on are drawn in their power of ten, and so are those below its inverse. */
const LARGE = 1e12;
/** The largest value is that many times the usual one before the scale is logarithmic: no linear one could show both. */
const WORLDS_APART = 1e9;
/** The smallest power of ten that can be divided by. */
const LEAST_POWER = -300;
const MOST_POWER = 308;
/** Decades from one mark of a logarithmic axis to the next. */
const DECADES = [1, 2, 3, 5, 10, 20, 50, 100, 200];
/** Values that are looked at to find the usual one. */
const SAMPLE = 200;

/** The scale that suits values, null being nothing; `mayBeLog` is false where a person said how far it goes. */
export function scaleOf(values: (number | null)[], mayBeLog = true): Scale {
  let largest = 0;
  for (const value of values) if (value !== null && Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  if (largest === 0) return linear(1);
  const usual = usualSize(values);
  if (mayBeLog && largest / usual > WORLDS_APART) return logarithmic(usual / 10);
  return linear(largest >= LARGE || largest < 1 / LARGE ? 10 ** Math.max(LEAST_POWER, Math.floor(Math.log10(largest))) : 1);
}

/** The median size of some of the values that are not zero. */
function usualSize(values: (number | null)[]): number {
  const every = Math.max(1, Math.floor(values.length / SAMPLE));
  const some = values.filter((value, index): value is number => index % every === 0 && value !== null && value !== 0 && Number.isFinite(value));
  const sizes = some.map(Math.abs).sort((a, b) => a - b);
  return sizes[Math.floor(sizes.length / 2)] ?? Infinity;
}

export function linear(unit: number): Scale {
  const get = (drawn: number): number => drawn * unit;
  return {
    log: false,
    put: (value) => value / unit,
    get,
    marks: ticks,
    words: (marks) => markWords(marks.map((mark) => round(get(mark)))),
  };
}

/** Straight below `near` on both sides of zero, a decade per step beyond. */
function logarithmic(near: number): Scale {
  const floor = Math.max(10 ** LEAST_POWER, near);
  const put = (value: number): number => Math.sign(value) * Math.log10(1 + Math.abs(value) / floor);
  const get = (drawn: number): number => Math.sign(drawn) * floor * (10 ** Math.abs(drawn) - 1);
  return {
    log: true,
    put,
    get,
    marks: (low, high, wanted) => {
      const gap = (high - low) / Math.max(1, wanted);
      const every = DECADES.find((decades) => decades >= gap) ?? MOST_POWER;
      const powers: number[] = [];
      for (let power = Math.ceil(Math.log10(floor) / every) * every; power <= MOST_POWER; power += every) {
        // Near zero the decades crowd.
        if (put(10 ** power) >= gap / 2) powers.push(put(10 ** power));
      }
      return [...powers.map((mark) => -mark).reverse(), 0, ...powers].filter((mark) => mark >= low && mark <= high);
    },
    words: (marks) => marks.map((mark) => powerWord(round(get(mark)))),
  };
}

/** Without the dust of having been multiplied. */
const round = (value: number): number => Number(value.toPrecision(12));
