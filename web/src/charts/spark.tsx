// The small line beside a device: one point for each of the last sixty seconds, no axes, the last one marked. Decoration
// for the eye, so it is hidden from screen readers; the values stand beside it as text.
import { useMemo } from "preact/hooks";
import type { Panel } from "../api/types";
import { bounded } from "./place";

export function Spark({ points, low, high, width = 96, height = 24 }: { points: (number | null)[]; low: number; high: number; width?: number; height?: number }) {
  // Rows draw themselves with every value; the line only changes when its points or the scale do.
  const { path, end } = useMemo(() => trace(points, width, height, low, high), [points, width, height, low, high]);
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <path d={path} />
      {end && <circle cx={end[0]} cy={end[1]} r="2" />}
    </svg>
  );
}

/** Seconds without a reading that the line still crosses. */
const LONGEST_BRIDGE = 20;

/** Values differ by at least this share of their size before they fill the height: less is noise. */
const LEAST_SHARE = 0.1;
/** A limit that is further off than this many times the span is not taken in: all lines would be flat. */
const NEAR = 2;

/**
 * One scale for the small lines of a column, so that a jump of one device stands out of the noise of the others: the
 * panel's range where a person gave one, else all that was measured, at least a tenth of it, and the limits that are near.
 */
export function sparkScale(rows: (number | null)[][], panel: Partial<Pick<Panel, "min" | "max" | "warn" | "critical">> = {}): { low: number; high: number } {
  let low = Infinity;
  let high = -Infinity;
  for (const points of rows) {
    for (const point of points) {
      if (point === null) continue;
      low = Math.min(low, bounded(point));
      high = Math.max(high, bounded(point));
    }
  }
  if (low > high) return { low: 0, high: 1 };
  const least = LEAST_SHARE * Math.max(Math.abs(low), Math.abs(high));
  const lack = Math.max(0, least - (high - low)) / 2;
  low -= lack;
  high += lack;
  const reach = NEAR * (high - low);
  for (const limit of [panel.warn, panel.critical]) {
    if (limit == null || limit > high + reach || limit < low - reach) continue;
    low = Math.min(low, limit);
    high = Math.max(high, limit);
  }
  return { low: Math.min(low, panel.min ?? low), high: Math.max(high, panel.max ?? high) };
}

/** The path through the known points, broken where they are silent for long; and where it ends. */
export function trace(points: (number | null)[], width: number, height: number, low: number, high: number): { path: string; end: [number, number] | null } {
  const span = high - low || 1;
  const middle = high === low;
  let path = "";
  let pen: boolean;
  let end: [number, number] | null = null;
  let before = -Infinity;
  points.forEach((point, index) => {
    if (point === null) return;
    // Devices that send every few seconds have one line, not a row of dots; a longer silence stays a gap.
    pen = index - before <= LONGEST_BRIDGE;
    before = index;
    const x = round(3 + (index / Math.max(1, points.length - 1)) * (width - 6));
    const y = round(middle ? height / 2 : 3 + (1 - (bounded(point) - low) / span) * (height - 6));
    path += `${pen ? "L" : "M"}${x} ${y}`;
    end = [x, y];
  });
  return { path, end };
}

const round = (value: number): number => Math.round(value * 10) / 10;
