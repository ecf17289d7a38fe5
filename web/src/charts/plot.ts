// The one place that knows uPlot: a time chart of tracks that is made once and fed with columns.
//
// It is built anew only when its series change; each second it gets new columns and draws itself once. Thresholds,
// alert spans and the names at the lines' ends are drawn on the same canvas after the lines.
import uPlot from "uplot";
import type { Severity } from "../api/types";
import { middles, type Block, type Reading, type Through } from "../state/series";
import { clock, minute } from "../format/time";
import { alpha, dash, FONT, type Palette } from "./palette";
import { spread, yRange } from "./place";
import type { Scale } from "./scale";

export interface PlotTrack {
  key: string | null;
  /** What stands at the line's end and in the tooltip. */
  name: string;
  /** Index into the palette. */
  colour: number;
}

export interface AlertSpan {
  from: number;
  to: number | null;
  severity: Severity;
}

export interface PlotState {
  block: Block;
  tracks: PlotTrack[];
  /** Where each line ends: its newest reading. */
  ends: (Reading | null)[];
  /** What of each step the lines of devices run through. */
  way: Through;
  /** True if steps were made wider to calm the lines. */
  calmed: boolean;
  /** How many slots of the history one step holds. */
  factor: number;
  /** How values become heights. What the library is given went through it; all else here is as it was measured. */
  scale: Scale;
  /** Silence in each track that its line crosses, ms. */
  bridges: number[];
  from: number;
  to: number;
  /** The server's clock. */
  now: number;
  warn: number | null;
  critical: number | null;
  min: number | null;
  max: number | null;
  spans: AlertSpan[];
  format: (value: number) => string;
  /** The newest reading in the words of the table. */
  told: (value: number) => string;
}

/** What stands under the pointer; `step` is the time that each point is of, ms, and `way` which of its readings. */
export type Hover = { at: number; step: number; way: Through; left: number; rows: { name: string; colour: string; text: string; range: string }[] } | null;

/** Room for the names at the lines' ends, pixels: at least, and at most as a share of the width. */
const LEAST_GUTTER = 72;
const MOST_GUTTER = 0.3;
const LABEL_GAP = 15;
/** Pixels between two marks of the axis, at least. */
const MARK_GAP = 28;
/** The same of times: what their words need, and a gap that keeps them apart. */
const TIME_GAP = 64;
const CLOCK_GAP = 88;
/** Shorter axes tell seconds. */
const FINE_MS = 300e3;
const sync = uPlot.sync("time");

export class Plot {
  private readonly chart: uPlot;
  private state: PlotState;
  private gutter = LEAST_GUTTER;

  constructor(host: HTMLElement, width: number, height: number, state: PlotState, colours: Palette, onHover: (hover: Hover) => void) {
    this.state = state;
    this.gutter = gutterFor(state, width);
    this.chart = new uPlot(this.options(width, height, colours, onHover), columnsOf(state), host);
  }

  update(state: PlotState): void {
    this.state = state;
    this.chart.setData(columnsOf(state), false);
    this.chart.setScale("x", { min: state.from / 1e3, max: state.to / 1e3 });
  }

  resize(width: number, height: number): void {
    this.chart.setSize({ width, height });
  }

  destroy(): void {
    this.chart.destroy();
  }

  private options(width: number, height: number, colours: Palette, onHover: (hover: Hover) => void): uPlot.Options {
    const { tracks } = this.state;
    const colour = (track: PlotTrack): string => (track.key === null && tracks.length > 1 ? colours.soft : (colours.series[track.colour % colours.series.length] ?? colours.ink));
    const series: uPlot.Series[] = [{}];
    const bands: uPlot.Band[] = [];
    for (const [index, track] of tracks.entries()) {
      const at = series.length;
      const gaps: uPlot.Series.GapsRefiner = (u, _at, _from, _to, found) => found.filter(([from, to]) => to - from > this.pixels(u, index));
      const edge: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false }, gaps };
      const points: uPlot.Series.Points = { show: true, size: 4, width: 0, fill: colour(track), filter: (u, at) => this.alone(u, at, index) };
      // A mean of many devices crosses no limit when one of them does: there the band's edge is a line, too.
      const rim = (way: Through): uPlot.Series => (this.state.tracks.length > 1 && track.key === null && this.state.way === way ? { ...edge, stroke: alpha(colours.soft, 0.6), width: 1 } : edge);
      series.push(rim("min"), rim("max"), { stroke: colour(track), width: 1.75, dash: dash(track.colour), points, gaps });
      bands.push({ series: [at + 1, at], fill: alpha(colour(track), track.key === null ? 0.16 : this.state.calmed && tracks.length > 1 ? 0.06 : tracks.length > 3 ? 0.08 : 0.12) });
    }
    const axis: uPlot.Axis = { stroke: colours.soft, font: FONT, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false } };
    return {
      width,
      height,
      series,
      bands,
      legend: { show: false },
      padding: [14, this.gutter, 0, 0],
      cursor: { sync: { key: sync.key }, drag: { setScale: false, x: false, y: false }, points: { show: false }, y: false },
      scales: {
        x: { time: true, range: () => [this.state.from / 1e3, this.state.to / 1e3] },
        y: { range: (_, low, high) => this.range(low, high) },
      },
      axes: [
        { ...axis, grid: { show: false }, space: () => (this.isFine() ? CLOCK_GAP : TIME_GAP), size: 28, gap: 6, values: (_, splits) => splits.map((s) => (this.isFine() ? clock(s * 1e3) : minute(s * 1e3))) },
        {
          ...axis,
          size: (_, values) => Math.max(36, 10 + 7.2 * Math.max(0, ...(values ?? []).map((v) => v.length))),
          gap: 8,
          splits: (u, _axis, low, high) => this.state.scale.marks(low, high, u.bbox.height / uPlot.pxRatio / MARK_GAP),
          values: (_, splits) => this.state.scale.words(splits),
        },
      ],
      hooks: {
        drawAxes: [(u) => this.drawLimits(u, colours)],
        draw: [(u) => this.drawScale(u, colours), (u) => this.drawLimitWords(u, colours), (u) => this.drawSpans(u, colours), (u) => this.drawNames(u, tracks.map(colour), colours)],
        setCursor: [(u) => onHover(this.hover(u, tracks.map(colour)))],
      },
    };
  }

  /** True where times are told with their seconds. */
  private isFine(): boolean {
    return this.state.to - this.state.from < FINE_MS;
  }

  /** From where to where the axis goes, in drawn values. */
  private range(low: number | null, high: number | null): [number, number] {
    const { warn, critical, min, max, scale } = this.state;
    const put = (value: number | null): number | null => (value === null ? null : scale.put(value));
    return yRange(low, high, [put(warn), put(critical)], put(min), put(max));
  }

  /** The width of the silence that a track's line crosses, in pixels of the canvas. */
  private pixels(u: uPlot, track: number): number {
    return (((this.state.bridges[track] ?? 0) + this.state.block.step) / (this.state.to - this.state.from)) * u.bbox.width;
  }

  /** Readings with no other near: without a dot nobody would see them. */
  private alone(u: uPlot, series: number, track: number): number[] {
    const column = u.data[series] as (number | null)[];
    const most = ((this.state.bridges[track] ?? 0) + this.state.block.step) / 1e3;
    const known: number[] = [];
    column.forEach((value, index) => value !== null && known.push(index));
    const far = (a: number | undefined, b: number | undefined): boolean => a === undefined || b === undefined || Math.abs((u.data[0][a] ?? 0) - (u.data[0][b] ?? 0)) > most;
    return known.filter((index, i) => far(known[i - 1], index) && far(known[i + 1], index));
  }

  /** Where a value stands, in pixels of the canvas. */
  private height(u: uPlot, value: number): number {
    return u.valToPos(this.state.scale.put(value), "y", true);
  }

  private drawLimits(u: uPlot, colours: Palette): void {
    const { ctx, bbox } = u;
    ctx.save();
    for (const { y, colour } of this.limits(u, colours)) {
      ctx.strokeStyle = colour;
      ctx.lineWidth = uPlot.pxRatio;
      ctx.setLineDash([4 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  }

  /** A scale that is not the usual one says so. */
  private drawScale({ ctx }: uPlot, colours: Palette): void {
    if (!this.state.scale.log) return;
    ctx.save();
    ctx.font = scaled(11);
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    ctx.fillStyle = colours.soft;
    ctx.fillText("logarithmic", 0, 0);
    ctx.restore();
  }

  /** The words of the limits: the critical one above its line, the warning below, so that near ones do not collide. */
  private drawLimitWords(u: uPlot, colours: Palette): void {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.font = scaled(11, 600);
    ctx.textAlign = "left";
    ctx.lineJoin = "round";
    ctx.lineWidth = 4 * uPlot.pxRatio;
    ctx.strokeStyle = colours.surface;
    for (const { y, colour, text, above } of this.limits(u, colours)) {
      ctx.textBaseline = above ? "bottom" : "top";
      const at = y + (above ? -3 : 4) * uPlot.pxRatio;
      ctx.strokeText(text, bbox.left + 4 * uPlot.pxRatio, at);
      ctx.fillStyle = colour;
      ctx.fillText(text, bbox.left + 4 * uPlot.pxRatio, at);
    }
    ctx.restore();
  }

  /** The limits that are in sight, in pixels of the canvas. */
  private limits(u: uPlot, colours: Palette): { y: number; colour: string; text: string; above: boolean }[] {
    const { bbox } = u;
    const named: [number | null, string, string, boolean][] = [
      [this.state.warn, colours.warning, "warn", this.state.critical === null],
      [this.state.critical, colours.critical, "critical", true],
    ];
    return named.flatMap(([value, colour, word, above]) => {
      if (value === null) return [];
      const y = Math.round(this.height(u, value)) + 0.5;
      return y < bbox.top || y > bbox.top + bbox.height ? [] : [{ y, colour, text: `${word} ${this.state.format(value)}`, above }];
    });
  }

  /** A bar along the top for as long as an alert on this field was open. */
  private drawSpans(u: uPlot, colours: Palette): void {
    const { ctx, bbox } = u;
    ctx.save();
    for (const span of this.state.spans) {
      const right = u.valToPos((span.to ?? this.state.to) / 1e3, "x", true);
      const left = u.valToPos(span.from / 1e3, "x", true);
      const from = Math.max(bbox.left, left);
      const width = Math.max(3 * uPlot.pxRatio, Math.min(bbox.left + bbox.width, right) - from);
      if (right < bbox.left || from > bbox.left + bbox.width) continue;
      ctx.fillStyle = colours[span.severity];
      ctx.fillRect(from, bbox.top - 8 * uPlot.pxRatio, width, 4 * uPlot.pxRatio);
    }
    ctx.restore();
  }

  private drawNames(u: uPlot, lineColours: string[], colours: Palette): void {
    const { ctx, bbox } = u;
    const ends = this.state.tracks.map((track, index) => this.end(track, index, lineColours[index] ?? colours.ink)).filter((end) => end !== null);
    const ratio = uPlot.pxRatio;
    const y = ends.map((end) => this.height(u, end.value));
    const placed = spread(y, LABEL_GAP * ratio, bbox.top + 4 * ratio, bbox.top + bbox.height - 4 * ratio);
    ctx.save();
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    ends.forEach((end, index) => {
      const x = Math.min(u.valToPos(end.at, "x", true), bbox.left + bbox.width);
      const label = placed[index] ?? 0;
      ctx.fillStyle = end.colour;
      ctx.beginPath();
      ctx.arc(x, y[index] ?? 0, 3 * ratio, 0, Math.PI * 2);
      ctx.fill();
      ctx.font = scaled(12, 600);
      const value = this.state.told(end.value);
      const left = bbox.left + bbox.width + 8 * ratio;
      ctx.fillText(value, left, label);
      const used = ctx.measureText(`${value} `).width;
      ctx.font = scaled(11);
      ctx.fillStyle = colours.soft;
      ctx.fillText(fitted(ctx, end.track.name, this.gutter * ratio - used - 8 * ratio), left + used, label);
    });
    ctx.restore();
  }

  private end(track: PlotTrack, index: number, colour: string): { track: PlotTrack; value: number; at: number; colour: string } | null {
    const end = this.state.ends[index] ?? null;
    return end && { track, value: end.value, at: end.at / 1e3, colour };
  }

  private hover(u: uPlot, lineColours: string[]): Hover {
    const index = u.cursor.idx;
    const left = u.cursor.left ?? -1;
    if (index === null || index === undefined || left < 0) return null;
    const time = u.data[0][index];
    if (time === undefined) return null;
    const rows = this.state.tracks.flatMap((track, at) => {
      const pick = (offset: number): number | null => {
        const drawn = (u.data[at * 3 + offset] as (number | null)[] | undefined)?.[index] ?? null;
        return drawn === null ? null : this.state.scale.get(drawn);
      };
      const mean = pick(3);
      const low = pick(1);
      const high = pick(2);
      if (mean === null) return [];
      const range = low !== null && high !== null && low !== high ? `${this.state.format(low)} to ${this.state.format(high)}` : "";
      return [{ name: track.name, colour: lineColours[at] ?? "", text: this.state.format(mean), range }];
    });
    return rows.length === 0 ? null : { at: time * 1e3, step: this.state.ends.some((end) => end && Math.abs(end.at - time * 1e3) < 1) ? 0 : this.state.block.step, way: this.state.way, left: left + u.bbox.left / uPlot.pxRatio, rows };
  }
}

/**
 * x, then low, high, line of each track. Steps stand at their middle. Each line ends at its newest reading: it must end
 * where the device is now, not at the mean of the last few seconds. One that fell silent ends between steps; its point
 * stands among theirs, and the others have none there.
 */
export function columnsOf({ block, tracks, ends, scale, now }: Pick<PlotState, "block" | "tracks" | "ends" | "scale" | "now">): uPlot.AlignedData {
  const put = (value: number | null): number | null => (value === null ? null : scale.put(value));
  const steps = middles(block, now);
  const slots = [
    ...steps.map((at, step) => ({ at, step, end: -1 })),
    ...ends.flatMap((end, index) => (end ? [{ at: end.at, step: -1, end: index }] : [])),
  ].sort((a, b) => a.at - b.at);
  // The library wants every x but once.
  for (let i = 1; i < slots.length; i += 1) {
    const [before, slot] = [slots[i - 1], slots[i]];
    if (before && slot && slot.at <= before.at) slot.at = before.at + 0.01;
  }
  const columns: uPlot.AlignedData = [slots.map(({ at }) => at / 1e3)];
  tracks.forEach(({ key }, index) => {
    const track = block.tracks.find((one) => one.key === key);
    for (const name of ["min", "max", "mean"] as const) {
      columns.push(slots.map(({ step, end }) => put(step >= 0 ? (track?.[name][step] ?? null) : end === index ? (ends[index]?.value ?? null) : null)));
    }
  });
  return columns;
}

const scaled = (size: number, weight = 400): string => FONT.replace("12px", `${weight} ${Math.round(size * uPlot.pxRatio)}px`);

/** What the longest name and a value need, within bounds. */
function gutterFor(state: PlotState, width: number): number {
  const ctx = document.createElement("canvas").getContext("2d");
  if (!ctx) return LEAST_GUTTER;
  ctx.font = FONT.replace("12px", "600 12px");
  const value = Math.max(0, ...state.tracks.map((_, index) => ctx.measureText(`${state.told(state.ends[index]?.value ?? 0)} `).width));
  ctx.font = FONT.replace("12px", "11px");
  const names = Math.max(0, ...state.tracks.map((track) => ctx.measureText(track.name).width));
  return Math.max(LEAST_GUTTER, Math.min(width * MOST_GUTTER, Math.ceil(value + names) + 18));
}

/** `name`, shortened from the front until it fits `width` device pixels: devices differ at the end of their names. */
function fitted(ctx: CanvasRenderingContext2D, name: string, width: number): string {
  if (ctx.measureText(name).width <= width) return name;
  let points = Array.from(name);
  while (points.length > 1 && ctx.measureText(`…${points.join("")}`).width > width) points = points.slice(1);
  return `…${points.join("")}`;
}
