// The share of records that failed, a line for each rule, over how many were judged. What stands under the pointer is told in words below,
// in a place of its own, so nothing moves. Lines differ by dash and by the name at their end, not by colour alone.
import { useState } from "preact/hooks";
import type { JudgedStep } from "../api/quality";
import { count, fixed, many, share } from "../format/number";
import { label } from "../format/text";
import { dayOrTime, minute, moment, span } from "../format/time";
import { ceiling, pieces, type Line } from "../state/quality";
import { dash } from "./palette";
import { spread, ticks } from "./place";

const AXIS = 48;
const HEIGHT = 196;
const AIR = 10;
/** Of the columns that tell how many were judged. */
const VOLUME = 28;
const FOOT = 22;
/** Room for names at the ends of lines, where the picture is wide enough. */
const NAMES = 172;
const WIDE = 640;
/** Pixels between two words of the time axis, at least: a time, and a day. */
const WORD = 64;
const LONG_WORD = 104;

export const nameOf = (rule: string | null): string => (rule === null ? "could not be read" : label(rule, 28));
export const toneOf = (line: Pick<Line, "colour">): string => (line.colour < 0 ? "rule-unreadable" : `rule-${line.colour + 1}`);
/** As an attribute of a line: none for a whole one. */
export const dashOf = (line: Pick<Line, "dash">): string | undefined => (line.dash < 0 ? "1 4" : dash(line.dash).join(" ") || undefined);

export interface QualityChartProps {
  points: JudgedStep[];
  lines: Line[];
  /** The rule that is looked at; the others step back. */
  looked: string;
  from: number;
  to: number;
  step: number;
  width: number;
  now: number;
}

export function QualityChart({ points, lines, looked, from, to, step, width, now }: QualityChartProps) {
  const [at, setAt] = useState<number | null>(null);
  const named = width >= WIDE && lines.length > 0;
  const right = width - (named ? NAMES : 8);
  const top = ceiling(lines);
  const marks = ticks(0, top, 4);
  const most = points.reduce((high, point) => Math.max(high, point.rows + point.unreadable), 1);
  const x = (time: number): number => AXIS + ((time - from) / Math.max(1, to - from)) * Math.max(1, right - AXIS);
  // A step is drawn where its middle is.
  const middle = (point: JudgedStep): number => Math.min(right, Math.max(AXIS, x(point.at + step / 2)));
  const y = (value: number): number => AIR + (1 - value / top) * (HEIGHT - AIR);
  const foot = HEIGHT + 10 + VOLUME;
  const shown = at === null ? null : points.find((point) => point.at === at) ?? null;
  const ends = named ? endsOf(points, lines, y) : [];
  const point = (event: PointerEvent): void => {
    const box = (event.currentTarget as SVGElement).getBoundingClientRect();
    const place = event.clientX - box.left;
    const nearest = points.reduce<JudgedStep | null>((best, one) => (best === null || Math.abs(middle(one) - place) < Math.abs(middle(best) - place) ? one : best), null);
    setAt(nearest?.at ?? null);
  };
  const told = lines.map((line) => `${nameOf(line.rule)} ${count(line.failed)}`);
  return (
    <figure class="quality-chart">
      <svg class="quality-lines" width={width} height={foot + FOOT} role="img" aria-label={`Share of records that failed, over time: ${told.length > 0 ? told.join(", ") : "none failed"}`} onPointerMove={point} onPointerDown={point} onPointerLeave={() => setAt(null)}>
        {marks.map((value) => (
          <g key={value}>
            <line class="shares-grid" x1={AXIS} x2={right} y1={y(value) + 0.5} y2={y(value) + 0.5} />
            <text class="axis-text" x={AXIS - 6} y={y(value) + 4} text-anchor="end">
              {percent(value, marks)}
            </text>
          </g>
        ))}
        {points.map((one) => {
          const tall = Math.max(1, ((one.rows + one.unreadable) / most) * VOLUME);
          const left = Math.max(AXIS, x(one.at));
          return <rect key={one.at} class={`quality-volume ${one.at === at ? "quality-volume-at" : ""}`} x={left} y={foot - tall} width={Math.max(1, Math.min(x(one.at + step) - 1, right) - left)} height={tall} />;
        })}
        <text class="axis-text" x={AXIS - 6} y={foot - 4} text-anchor="end">
          judged
        </text>
        {shown && <line class="quality-at" x1={middle(shown)} x2={middle(shown)} y1={AIR} y2={foot} />}
        {lines.map((line) => {
          const back = looked !== "" && line.rule !== looked;
          return (
            <g key={line.rule ?? "unreadable"} class={`quality-line ${toneOf(line)} ${back ? "quality-back" : ""}`} data-rule={line.rule ?? ""}>
              {pieces(points, line.shares, step).map((piece) => (
                <Piece key={points[piece[0] ?? 0]?.at} places={piece.map((index) => [middle(points[index] as JudgedStep), y(line.shares[index] ?? 0)])} dash={dashOf(line)} ground={looked !== "" && line.rule === looked ? HEIGHT : null} />
              ))}
              {shown && line.shares[points.indexOf(shown)] != null && <circle cx={middle(shown)} cy={y(line.shares[points.indexOf(shown)] ?? 0)} r="3.5" />}
            </g>
          );
        })}
        {ends.map(({ line, place }) => (
          <text key={line.rule ?? "unreadable"} class={`quality-name ${toneOf(line)} ${looked !== "" && line.rule !== looked ? "quality-back" : ""}`} x={right + 8} y={place + 4}>
            {label(nameOf(line.rule), 20)}
          </text>
        ))}
        <line class="axis" x1={AXIS} x2={right} y1={foot + 0.5} y2={foot + 0.5} />
        {times(from, to, right - AXIS).map((time) => (
          <text key={time} class="axis-text" x={x(time)} y={foot + 17} text-anchor="middle">
            {to - from > 86_400_000 ? dayOrTime(time) : minute(time)}
          </text>
        ))}
      </svg>
      <figcaption class="quality-told num">{shown ? <Told point={shown} lines={lines} step={step} now={now} /> : <span class="soft">A line is the share of the records of {span(step)}; the columns below are how many were judged.</span>}</figcaption>
    </figure>
  );
}

/** A part of a line that does not break; over the ground where it is the one that is looked at. */
function Piece({ places, dash: dashes, ground }: { places: number[][]; dash: string | undefined; ground: number | null }) {
  const [first] = places;
  const last = places[places.length - 1];
  if (!first || !last) return null;
  if (places.length === 1) return <circle cx={first[0]} cy={first[1]} r="2" />;
  const path = places.map(([left, up], index) => `${index === 0 ? "M" : "L"}${round(left ?? 0)} ${round(up ?? 0)}`).join("");
  return (
    <>
      {ground !== null && <path class="quality-ground" d={`${path}L${round(last[0] ?? 0)} ${ground}L${round(first[0] ?? 0)} ${ground}Z`} />}
      <path d={path} stroke-dasharray={dashes} />
    </>
  );
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** What one step holds, the worst first. */
function Told({ point, lines, step, now }: { point: JudgedStep; lines: Line[]; step: number; now: number }) {
  const failing = lines
    .map((line) => ({ line, failed: line.rule === null ? point.unreadable : (point.rules[line.rule] ?? 0), of: line.rule === null ? point.rows + point.unreadable : point.rows }))
    .filter(({ failed }) => failed > 0)
    .sort((a, b) => b.failed - a.failed);
  return (
    <>
      <b>{moment(point.at, now)}</b>
      <span>
        to {minute(point.at + step)}, {many(point.rows + point.unreadable, "record")}
      </span>
      {failing.map(({ line, failed, of }) => (
        <span key={line.rule ?? "unreadable"}>
          <Swatch line={line} /> <bdi>{nameOf(line.rule)}</bdi> {count(failed)} <span class="soft">{share(failed, of)}</span>
        </span>
      ))}
      {failing.length === 0 && <span class="soft">all as expected</span>}
    </>
  );
}

/** A piece of a line, where it is named. */
export function Swatch({ line }: { line: Pick<Line, "colour" | "dash"> }) {
  return (
    <svg class={`rule-swatch ${toneOf(line)}`} width="22" height="8" aria-hidden="true">
      <path d="M1 4H21" stroke-dasharray={dashOf(line)} />
    </svg>
  );
}

/** Where the names stand: at the last share of each line, moved apart. */
function endsOf(points: JudgedStep[], lines: Line[], y: (value: number) => number): { line: Line; place: number }[] {
  const last = lines.map((line) => {
    const index = line.shares.reduce<number>((found, one, at) => (one === null ? found : at), -1);
    return y(line.shares[index] ?? 0);
  });
  const places = spread(last, 16, AIR, HEIGHT);
  return points.length === 0 ? [] : lines.map((line, index) => ({ line, place: places[index] ?? 0 }));
}

/** Round times that have room for their words. */
function times(from: number, to: number, width: number): number[] {
  const word = to - from > 86_400_000 ? LONG_WORD : WORD;
  const wanted = (Math.max(1, to - from) * word) / Math.max(1, width);
  const steps = [900_000, 1_800_000, 3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000, 172_800_000, 345_600_000, 604_800_000];
  const step = steps.find((one) => one >= wanted) ?? 604_800_000;
  // Days begin where the reader is.
  const zone = new Date(to).getTimezoneOffset() * 60_000;
  const found: number[] = [];
  for (let time = Math.ceil((from - zone) / step) * step + zone; time <= to; time += step) if (time > from + wanted / 4 && time < to - wanted / 4) found.push(time);
  return found;
}

/** As few decimals as tell the marks apart. */
function percent(value: number, marks: number[]): string {
  const step = ((marks[1] ?? 1) - (marks[0] ?? 0)) * 100;
  const decimals = step >= 1 && Number.isInteger(Math.round(step * 10) / 10) ? 0 : step >= 0.1 ? 1 : 2;
  return `${fixed(value * 100, decimals)}%`;
}
