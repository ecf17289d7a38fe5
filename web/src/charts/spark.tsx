// The small line beside a device: one point for each of the last sixty seconds, no axes, the last one marked. Decoration
// for the eye, so it is hidden from screen readers; the values stand beside it as text.
import { useMemo } from "preact/hooks";
import { bounded } from "./place";

export function Spark({ points, width = 96, height = 24 }: { points: (number | null)[]; width?: number; height?: number }) {
  // Rows draw themselves with every value; the line only changes when its points do.
  const { path, end } = useMemo(() => trace(points, width, height), [points, width, height]);
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <path d={path} />
      {end && <circle cx={end[0]} cy={end[1]} r="2" />}
    </svg>
  );
}

/** Seconds without a reading that the line still crosses. */
const LONGEST_BRIDGE = 20;

/** The path through the known points, broken where they are silent for long; and where it ends. */
export function trace(points: (number | null)[], width: number, height: number): { path: string; end: [number, number] | null } {
  let low = Infinity;
  let high = -Infinity;
  for (const point of points) {
    if (point === null) continue;
    low = Math.min(low, bounded(point));
    high = Math.max(high, bounded(point));
  }
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
