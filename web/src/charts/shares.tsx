// How often each value came, step by step: columns that stand on each other, in one order and with one colour for each value.
// The legend beside it has the same order, so that the picture can be read without its colours.
import type { Shares } from "../api/types";
import { count, markWords, share } from "../format/number";
import { label } from "../format/text";
import { clock, minute } from "../format/time";
import { firstStep, stacked, type Tone } from "../state/fleet";
import { ticks } from "./place";

const AXIS = 40;
const FOOT = 24;
/** Pixels between two words of the time axis, at least. */
const WORD = 96;

export const nameOf = (value: string | null): string => (value === null ? "no value" : value === "" ? "(empty)" : value);

export interface SharesChartProps {
  shares: Shares;
  /** The tone of each series, then that of the others. */
  tones: Tone[];
  title: string;
  width: number;
  height: number;
}

export function SharesChart({ shares, tones, title, width, height }: SharesChartProps) {
  const columns = stacked(shares);
  const top = columns.reduce((most, column) => Math.max(most, column.total), 0);
  const room = Math.max(1, width - AXIS);
  const each = room / Math.max(1, columns.length);
  const marks = ticks(0, Math.max(1, top), 3).filter((mark) => Number.isInteger(mark));
  const words = markWords(marks);
  const y = (value: number): number => height - (value / Math.max(1, top)) * (height - 12);
  const x = (step: number): number => AXIS + step * each;
  const names = [...shares.series.map((one) => nameOf(one.value)), "others"];
  const totals = [...shares.series.map((one) => one.count), shares.others].map((counts) => counts.reduce((sum, one) => sum + one, 0));
  const all = totals.reduce((sum, one) => sum + one, 0);
  const told = names.flatMap((name, index) => (totals[index] ? [`${label(name, 40)} ${share(totals[index] ?? 0, all)}`] : []));
  const every = Math.max(1, Math.ceil(WORD / each));
  const first = firstStep(columns);
  const at = columns[first];
  return (
    <svg class="shares" width={width} height={height + FOOT} role="img" aria-label={`${title} over time: ${all === 0 ? "nothing came" : told.join(", ")}${at && first > 0 ? `, since ${clock(at.at)}` : ""}`}>
      {marks.map((mark, index) => (
        <g key={mark}>
          <line class="shares-grid" x1={AXIS} x2={width} y1={y(mark) + 0.5} y2={y(mark) + 0.5} />
          <text class="axis-text" x={AXIS - 6} y={y(mark) + 4} text-anchor="end">
            {words[index]}
          </text>
        </g>
      ))}
      {columns.map((column, step) => (
        <g key={column.at}>
          <title>{`${clock(column.at)}: ${column.parts.map((part) => `${count(part.to - part.from)} ${label(names[part.series] ?? "", 40)}`).join(", ") || "nothing"}`}</title>
          <rect class="shares-room" x={x(step)} y={0} width={each} height={height} />
          {column.parts.map((part) => (
            <rect key={part.series} class={`tone-${tones[part.series] ?? "none"}`} x={x(step)} y={y(part.to)} width={Math.max(1, each - (each > 4 ? 1 : 0))} height={Math.max(0.5, y(part.from) - y(part.to))} />
          ))}
        </g>
      ))}
      <line class="axis" x1={AXIS} x2={width} y1={height + 0.5} y2={height + 0.5} />
      {columns.map((column, step) =>
        step % every === 0 && x(step) + WORD / 2 < width ? (
          <text key={column.at} class="axis-text" x={x(step)} y={height + 18}>
            {minute(column.at)}
          </text>
        ) : null,
      )}
    </svg>
  );
}
