// Numbers as people read them: as many digits as carry meaning, the same number of decimals down a column, units after
// a thin space. Pure; a value that is not there is "–".
import type { Field, Value } from "../api/types";

export const NOTHING = "–";
const THIN = "\u202f";

/** `value` with exactly `decimals` decimals and grouped thousands. Values beyond 1e15 or below 1e-6 go scientific. */
export function fixed(value: number, decimals: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-6)) return value.toExponential(2).replace("e+", "e");
  const [whole = "0", rest] = size.toFixed(decimals).split(".");
  const text = rest === undefined ? grouped(whole) : `${grouped(whole)}.${rest}`;
  return value < 0 && /[1-9]/.test(text) ? `-${text}` : text;
}

// By hand: the first formatter of `Intl` costs more than all that the page does until its first drawing.
const grouped = (digits: string): string => (digits.length > 3 ? digits.replace(/\B(?=(\d{3})+$)/g, ",") : digits);

/** The least number of decimals that write `step` as it is, up to twelve. */
function decimalsOf(step: number): number {
  for (let decimals = 0; decimals < 12; decimals += 1) {
    const whole = step * 10 ** decimals;
    if (Math.abs(whole - Math.round(whole)) < 1e-6 * Math.max(1, whole)) return decimals;
  }
  return 12;
}

/** More decimals than this behind a power of ten are harder to read than all digits. */
const MOST_DECIMALS = 4;

/**
 * What stands at the marks of an axis: as few decimals as tell neighbours apart, the same for all; millions, billions
 * or a power of ten where zeros would be many.
 */
export function markWords(marks: number[]): string[] {
  const size = marks.reduce((most, mark) => Math.max(most, Math.abs(mark)), 0);
  if (marks.length < 2) return marks.map((mark) => fixed(mark, decimalsFor(mark)));
  const step = Math.min(...marks.slice(1).map((mark, index) => Math.abs(mark - (marks[index] ?? mark))));
  const digits = (): string[] => marks.map((mark) => fixed(mark, decimalsOf(step)));
  if (size === 0 || (size >= 1e-4 && size < 1e7)) return digits();
  const exponent = Math.max(-300, Math.floor(Math.log10(size)));
  const power = exponent < 0 || exponent > 12 ? exponent : exponent < 9 ? 6 : 9;
  const decimals = decimalsOf(step / 10 ** power);
  if (decimals > MOST_DECIMALS && size < 1e15) return digits();
  const tail = power === 6 ? `${THIN}M` : power === 9 ? `${THIN}bn` : `e${power}`;
  return marks.map((mark) => (mark === 0 ? "0" : `${fixed(mark / 10 ** power, decimals)}${tail}`));
}

/** A power of ten, as it stands at a logarithmic axis. */
export function powerWord(value: number): string {
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 1e6)) return fixed(value, decimalsOf(size));
  return value.toExponential(0).replace("e+", "e");
}

/** How many decimals a column needs whose largest magnitude is `size`: about four significant digits. */
export function decimalsFor(size: number): number {
  const abs = Math.abs(size);
  if (!Number.isFinite(abs) || abs >= 1_000) return 0;
  if (abs >= 10) return 1;
  if (abs >= 1 || abs === 0) return 2;
  return Math.min(6, 2 - Math.floor(Math.log10(abs)));
}

const WHOLE = /^(tinyint|smallint|int|integer|bigint|long|short|byte)\b/i;
const ONE_DECIMAL = new Set(["°C", "°F", "K", "%"]);

/** How many decimals a field's values get: none for whole numbers, one for degrees and percent, else by magnitude. */
export function fieldDecimals(field: Pick<Field, "type" | "unit" | "role"> | undefined, size: number): number {
  if (field && WHOLE.test(field.type)) return 0;
  if (field && (field.role === "lat" || field.role === "lon")) return 4;
  if (field?.unit && ONE_DECIMAL.has(field.unit)) return 1;
  return decimalsFor(size);
}

/** `text` and its unit. Percent and degrees stand close, others after a thin space. */
export function withUnit(text: string, unit: string | null | undefined): string {
  if (!unit || text === NOTHING) return text;
  return unit === "%" || unit === "°" ? `${text}${unit}` : `${text}${THIN}${unit}`;
}

/** A reading with its unit; bytes become KiB, MiB and so on. */
export function reading(value: number | null | undefined, field?: Field, decimals?: number): string {
  if (value === null || value === undefined) return NOTHING;
  if (field?.unit === "B") return bytes(value);
  return withUnit(fixed(value, decimals ?? fieldDecimals(field, value)), field?.unit);
}

/** Any value of data as text, without its unit. Time fields are handled by the caller, who knows their unit. */
export function plain(value: Value | undefined, field?: Field, decimals?: number): string {
  if (value === null || value === undefined) return NOTHING;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return fixed(value, decimals ?? fieldDecimals(field, value));
  return value;
}

/** A count: every digit up to ten million, then millions, billions with three digits. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOTHING;
  const size = Math.abs(value);
  if (size >= 1e10) return `${(value / 1e9).toPrecision(3)}${THIN}bn`;
  if (size >= 1e7) return `${(value / 1e6).toPrecision(3)}${THIN}M`;
  return fixed(value, 0);
}

/** Events per second: one decimal below ten, none above. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOTHING;
  if (value !== 0 && Math.abs(value) < 0.1) return fixed(value, 2);
  return Math.abs(value) < 9.95 && value % 1 !== 0 ? fixed(value, 1) : count(Math.round(value));
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOTHING;
  const steps = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = value;
  let step = 0;
  while (Math.abs(size) >= 1024 && step < steps.length - 1) {
    size /= 1024;
    step += 1;
  }
  return withUnit(step === 0 || Math.abs(size) >= 100 ? fixed(size, 0) : fixed(size, 1), steps[step]);
}

/** A share of a whole; a part that exists never reads as 0 %, one that is not all never as 100 %. */
export function share(part: number, whole: number): string {
  if (whole <= 0) return NOTHING;
  const percent = (part / whole) * 100;
  if (part > 0 && percent < 0.1) return "<0.1%";
  if (part < whole && percent > 99.9) return ">99.9%";
  return `${fixed(percent, percent >= 99.95 || percent === 0 ? 0 : 1)}%`;
}

/** `3 devices`, `1 device`. */
export function many(n: number, one: string, more = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : more}`;
}
