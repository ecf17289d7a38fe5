// The line of a statement that is wrong, and the caret under it. Pure.
import type { Place } from "../api/http";
import { visible } from "./text";

/** Characters of the line that are shown on each side of the place. */
const AROUND = 40;

export interface Excerpt {
  /** The line's number as it stands before it, with what divides them. */
  margin: string;
  text: string;
  /** Blanks up to the place, as wide as `margin` and `text` are, and the caret. */
  caret: string;
}

/** The line of `sql` at `place`; null if there is no such line, so that nothing wrong is pointed at. */
export function excerpt(sql: string, { line, column }: Place): Excerpt | null {
  const whole = sql.split("\n")[line - 1];
  if (whole === undefined) return null;
  const points = Array.from(whole.replaceAll("\t", " "));
  if (column > points.length + 1) return null;
  const from = Math.max(0, column - 1 - AROUND);
  const to = Math.min(points.length, column - 1 + AROUND);
  const before = `${from > 0 ? "…" : ""}${visible(points.slice(from, column - 1).join(""))}`;
  const after = `${visible(points.slice(column - 1, to).join(""))}${to < points.length ? "…" : ""}`;
  const margin = `${line} │ `;
  return { margin, text: before + after, caret: `${" ".repeat(Array.from(margin + before).length)}^` };
}

/** Where `place` is in `sql`, counted as a text field counts. */
export function offsetOf(sql: string, { line, column }: Place): number {
  const lines = sql.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  return before + Array.from(lines[line - 1] ?? "").slice(0, column - 1).join("").length;
}
