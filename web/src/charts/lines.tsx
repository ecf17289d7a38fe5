// Lines of a result of SQL. Loaded when one is to be drawn.
import uPlot from "uplot";
import { useEffect, useRef } from "preact/hooks";
import type { SqlResult, Value } from "../api/types";
import { decimalsFor, fixed } from "../format/number";
import { label } from "../format/text";
import { epochMillis, minute, moment } from "../format/time";
import { paint } from "../state/prefs";
import { now } from "../state/store";
import { dash, FONT, palette } from "./palette";
import { useSeen } from "./seen";
import { number } from "./shape";

export function Lines({ result, x, ys, time, height }: { result: SqlResult; x: number; ys: number[]; time: boolean; height: number }) {
  const { host, width, visible } = useSeen();
  const canvas = useRef<HTMLDivElement | null>(null);
  const painted = paint.value;
  useEffect(() => {
    if (!visible || width < 40 || !canvas.current) return;
    const plot = new uPlot(options(result, ys, time, width, height), data(result, x, ys, time), canvas.current);
    return () => plot.destroy();
  }, [result, width, visible, painted, height]);
  return (
    <div ref={host}>
      <div ref={canvas} role="img" aria-label={`${result.rows.length} points of ${ys.map((y) => label(result.columns[y]?.name ?? "")).join(", ")}; the table has the same values`} style={{ height: `${height}px` }} />
      <ul class="legend">
        {ys.map((y, index) => (
          <li key={y}>
            <span class={`swatch series-${index + 1}`} />
            {label(result.columns[y]?.name ?? "")}
          </li>
        ))}
      </ul>
    </div>
  );
}

function data(result: SqlResult, x: number, ys: number[], time: boolean): uPlot.AlignedData {
  const rows = result.rows
    .map((row, index) => ({ row, at: x < 0 ? index : time ? seconds(row[x]) : (number(row[x]) ?? index) }))
    .filter((one): one is { row: Value[]; at: number } => one.at !== null)
    .sort((a, b) => a.at - b.at);
  return [rows.map((one) => one.at), ...ys.map((y) => rows.map(({ row }) => number(row[y])))];
}

function seconds(value: Value | undefined): number | null {
  if (typeof value === "number") return epochMillis(value) / 1e3;
  const parsed = typeof value === "string" ? Date.parse(/\d{2}:\d{2}/.test(value) && !/[zZ]|[+-]\d\d:?\d\d$/.test(value) ? `${value.replace(" ", "T")}Z` : value) : NaN;
  return Number.isNaN(parsed) ? null : parsed / 1e3;
}

function options(result: SqlResult, ys: number[], time: boolean, width: number, height: number): uPlot.Options {
  const colours = palette();
  const axis: uPlot.Axis = { stroke: colours.soft, font: FONT, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false } };
  const few = result.rows.length < 80;
  return {
    width,
    height,
    legend: { show: false },
    cursor: { drag: { x: false, y: false, setScale: false } },
    padding: [12, 12, 0, 0],
    scales: { x: { time } },
    axes: [
      { ...axis, grid: { show: false }, size: 28, values: (_, splits) => splits.map((s) => (time ? (width > 500 ? moment(s * 1e3, now.peek()) : minute(s * 1e3)) : fixed(s, 0))) },
      { ...axis, size: 56, values: (_, splits) => splits.map((s) => fixed(s, Number.isInteger(s) ? 0 : decimalsFor(s))) },
    ],
    series: [{}, ...ys.map((_, index) => ({ stroke: colours.series[index] ?? colours.ink, width: 1.75, dash: dash(index), points: { show: few } }))],
  };
}
