// Which chart suits a result of SQL, decided from its columns alone.
import type { SqlResult, Value } from "../api/types";
import { epochMillis } from "../format/time";
import type { SqlShape } from "../state/url";

export type Shape = Exclude<SqlShape, "auto">;

/** More bars than this are read better as a table. */
const MOST_BARS = 40;

const isNumber = (type: string): boolean => /int|long|short|byte|double|float|decimal|real|number/i.test(type);
const isTime = (type: string): boolean => /timestamp|date/i.test(type);

/** Indexes of the columns that a chart would draw. */
export function parts({ columns }: Pick<SqlResult, "columns">): { x: number; ys: number[]; time: boolean } {
  const x = columns.findIndex(({ type, name }) => isTime(type) || (isNumber(type) && /^(ts|time|timestamp|minute|hour|day|window)$/i.test(name)));
  const time = x >= 0;
  const first = time ? x : columns.findIndex(({ type }) => !isNumber(type));
  const ys = columns.map((_, index) => index).filter((index) => index !== first && isNumber(columns[index]?.type ?? ""));
  return { x: first, ys, time };
}

/** What suits a result best. */
export function shapeOf(result: Pick<SqlResult, "columns" | "rows">): Shape {
  const { x, ys, time } = parts(result);
  if (ys.length === 0 || result.rows.length < 2) return "table";
  if (time) return "line";
  return x >= 0 && result.rows.length <= MOST_BARS ? "bar" : "table";
}

/** A cell as a number: decimals come as text. */
export function number(value: Value | undefined): number | null {
  if (typeof value === "number") return value;
  return typeof value === "string" && value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : null;
}

/** A cell as seconds since 1970; a text without a zone is in UTC, as the server has it. */
export function seconds(value: Value | undefined): number | null {
  if (typeof value === "number") return epochMillis(value) / 1e3;
  const parsed = typeof value === "string" ? Date.parse(/\d{2}:\d{2}/.test(value) && !/[zZ]|[+-]\d\d:?\d\d$/.test(value) ? `${value.replace(" ", "T")}Z` : value) : NaN;
  return Number.isNaN(parsed) ? null : parsed / 1e3;
}
