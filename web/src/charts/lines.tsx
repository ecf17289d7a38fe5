// Lines of a result of SQL. Loaded when one is to be drawn.
import uPlot from "uplot";
import { useEffect, useRef } from "preact/hooks";
import type { SqlResult, Value } from "../api/types";
import { markWords } from "../format/number";
import { label } from "../format/text";
import { clock, minute, moment } from "../format/time";
import { theme } from "../state/prefs";
import { now } from "../state/store";
import { dash, FONT, palette } from "./palette";
import { yRange } from "./place";
import { scaleOf, type Scale } from "./scale";
import { useSeen } from "./seen";
import { number, seconds } from "./shape";

/** Pixels between two marks of the axis, at least. */
const MARK_GAP = 28;
/** The same of times: `20 Nov 14:03` is the longest of their words. */
const TIME_GAP = 104;
/** Axes shorter than this tell seconds. */
const FINE_S = 300;

export function Lines({ result, x, ys, time, height }: { result: SqlResult; x: number; ys: number[]; time: boolean; height: number }) {
  const { host, width, visible } = useSeen();
  const canvas = useRef<HTMLDivElement | null>(null);
  const painted = theme.value;
  useEffect(() => {
    if (!visible || width < 40 || !canvas.current) return;
    const scale = scaleOf(result.rows.flatMap((row) => ys.map((y) => number(row[y]))));
    const plot = new uPlot(options(result, ys, time ? null : namesOf(result, x), time, width, height, scale), data(result, x, ys, time, scale), canvas.current);
    return () => plot.destroy();
  }, [result, width, visible, painted, height]);
  return (
    <div ref={host}>
      <div ref={canvas} role="img" aria-label={`${result.rows.length} points of ${ys.map((y) => label(result.columns[y]?.name ?? "")).join(", ")}; the table has the same values`} style={{ height: `${height}px` }} />
      <ul class="legend">
        {ys.map((y, index) => (
          <li key={y}>
            <span class={`swatch series-${index + 1}`} />
            <bdi>{label(result.columns[y]?.name ?? "")}</bdi>
          </li>
        ))}
      </ul>
    </div>
  );
}

function data(result: SqlResult, x: number, ys: number[], time: boolean, scale: Scale): uPlot.AlignedData {
  const put = (value: number | null): number | null => (value === null ? null : scale.put(value));
  const names = !time && namesOf(result, x) !== null;
  const rows = result.rows
    .map((row, index) => ({ row, at: x < 0 ? index : time ? seconds(row[x]) : (names ? index : (number(row[x]) ?? index)) }))
    .filter((one): one is { row: Value[]; at: number } => one.at !== null)
    .sort((a, b) => a.at - b.at);
  return [rows.map((one) => one.at), ...ys.map((y) => rows.map(({ row }) => put(number(row[y]))))];
}

/** What stands along the axis where the first column names and neither counts nor tells a time. */
function namesOf({ rows }: SqlResult, x: number): string[] | null {
  return x < 0 || rows.every((row) => number(row[x]) !== null) ? null : rows.map((row) => label(String(row[x] ?? "null"), 14));
}

/** Times with as much of the day and the second as the span needs. */
function times(splits: number[], width: number): string[] {
  const fine = (splits[splits.length - 1] ?? 0) - (splits[0] ?? 0) < FINE_S;
  return splits.map((s) => (fine ? clock(s * 1e3) : width > 500 ? moment(s * 1e3, now.peek()) : minute(s * 1e3)));
}

/** `names` is null where the axis counts or tells times. */
function options(result: SqlResult, ys: number[], names: string[] | null, time: boolean, width: number, height: number, scale: Scale): uPlot.Options {
  const colours = palette();
  const axis: uPlot.Axis = { stroke: colours.soft, font: FONT, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false } };
  const few = result.rows.length < 80;
  return {
    width,
    height,
    legend: { show: false },
    cursor: { drag: { x: false, y: false, setScale: false } },
    padding: [12, 32, 0, 0],
    scales: { x: { time }, y: { range: (_, low, high) => yRange(low, high, []) } },
    axes: [
      { ...axis, grid: { show: false }, size: 28, ...(time ? { space: TIME_GAP } : {}), values: (_, splits) => (time ? times(splits, width) : names ? splits.map((s) => names[s] ?? "") : markWords(splits)) },
      {
        ...axis,
        size: (_, values) => Math.max(36, 10 + 7.2 * Math.max(0, ...(values ?? []).map((v) => v.length))),
        splits: (u, _axis, low, high) => scale.marks(low, high, u.bbox.height / uPlot.pxRatio / MARK_GAP),
        values: (_, splits) => scale.words(splits),
      },
    ],
    series: [{}, ...ys.map((_, index) => ({ stroke: colours.series[index] ?? colours.ink, width: 1.75, dash: dash(index), points: { show: few } }))],
  };
}
