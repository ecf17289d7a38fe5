// Times as people read them: local, 24 hours, the day named when it is not today, the zone told once on the page.
// Pure but for the machine's own time zone.
import { NOTHING, fixed } from "./number";

// By hand: the formatters of `Intl` cost more to make than all that the page does until its first drawing.
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n: number): string => String(n).padStart(2, "0");
const day = (at: Date): string => `${at.getDate()} ${MONTHS[at.getMonth()] ?? ""}`;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `14:03:22` */
export function clock(ms: number): string {
  return `${minute(ms)}:${two(new Date(ms).getSeconds())}`;
}
/** `14:03` */
export function minute(ms: number): string {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}
/** `21 Nov` where a day begins, else `21 Nov 14:03`. */
export function dayOrTime(ms: number): string {
  const time = minute(ms);
  return time === "00:00" ? day(new Date(ms)) : `${day(new Date(ms))} ${time}`;
}
/** `21 Nov 2026, 14:03:22`; for titles and details. */
export function full(ms: number): string {
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? NOTHING : `${day(at)} ${at.getFullYear()}, ${clock(ms)}`;
}

/** A moment seen from `now`: `14:03` today, `20 Nov 14:03` another day, with the year if it is another. */
export function moment(ms: number, now: number, seconds = false): string {
  const time = seconds ? clock(ms) : minute(ms);
  const that = new Date(ms);
  const today = new Date(now);
  if (that.toDateString() === today.toDateString()) return time;
  if (Number.isNaN(that.getTime())) return NOTHING;
  return that.getFullYear() === today.getFullYear() ? `${day(that)} ${time}` : `${day(that)} ${that.getFullYear()} ${time}`;
}

/** Since when something is so: with seconds while it is fresh. */
export function since(ms: number, now: number): string {
  return moment(ms, now, now - ms < 10 * MINUTE);
}

/** A span in at most two units: `320 ms`, `4.2 s`, `3 min`, `2 h 05 min`, `3 d 4 h`. */
export function span(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NOTHING;
  if (ms < 0) return `-${span(-ms)}`;
  if (ms < SECOND) return `${fixed(ms, ms > 0 && ms < 9.95 && ms % 1 !== 0 ? 1 : 0)} ms`;
  if (ms < 10 * SECOND) return `${fixed(ms / SECOND, 1)} s`;
  if (ms < 2 * MINUTE) return `${fixed(ms / SECOND, 0)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) {
    const minutes = Math.floor((ms % HOUR) / MINUTE);
    return `${Math.floor(ms / HOUR)} h${minutes ? ` ${String(minutes).padStart(2, "0")} min` : ""}`;
  }
  const hours = Math.floor((ms % DAY) / HOUR);
  return `${Math.floor(ms / DAY)} d${hours ? ` ${hours} h` : ""}`;
}

/** How long ago, coarse enough not to flicker: `now`, `4 s ago`, `3 min ago`. */
export function ago(ms: number, now: number): string {
  const age = Math.max(0, now - ms);
  if (age < 2 * SECOND) return "now";
  if (age < 2 * MINUTE) return `${Math.floor(age / SECOND)} s ago`;
  return `${span(age)} ago`;
}

/** Reads what the server calls a moment: milliseconds, or ISO 8601 text. */
export function toMillis(value: number | string | null | undefined): number | null {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return null;
  const parsed = Date.parse(value);
  return Number.isNaN(parsed) ? null : parsed;
}

/** A number that stands for a time, as milliseconds: seconds, milliseconds, micros or nanos, told apart by size. */
export function epochMillis(value: number): number {
  const size = Math.abs(value);
  if (size < 1e11) return value * 1e3;
  if (size < 1e14) return value;
  if (size < 1e17) return value / 1e3;
  return value / 1e6;
}

let zoneName: string | null = null;

/** The zone that all times are in: `Europe/Berlin (UTC+1)`. */
export function zone(now: number): string {
  zoneName ??= new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const name = zoneName;
  const minutes = -new Date(now).getTimezoneOffset();
  const sign = minutes < 0 ? "−" : "+";
  const hours = Math.floor(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  const offset = minutes === 0 ? "UTC" : `UTC${sign}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
  return name === "UTC" || name === offset ? "UTC" : `${name} (${offset})`;
}
