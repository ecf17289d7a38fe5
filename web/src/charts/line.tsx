// A field's history as a chart: one line per device, or, where there are many, their mean in a band from the lowest to
// the highest with the notable devices on top. The same is told as text for whoever cannot see it.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Field, Panel, Range, Source } from "../api/types";
import { fixed, fieldDecimals, plain, withUnit } from "../format/number";
import { deviceLabel, label } from "../format/text";
import { moment, since, span } from "../format/time";
import { beginning, knowsFrom } from "../state/beginning";
import { closeFeed, openFeed, SPAN, type Feed } from "../state/feed";
import { theme } from "../state/prefs";
import { bridge, drawn, endOf, extent, firstKnown, through, windowOf, type Block, type Reading, type Through } from "../state/series";
import * as store from "../state/store";
import { Absent, Failure, Waiting } from "../parts/notes";
import { drawNever, drawSoon } from "./queue";
import { palette } from "./palette";
import { useLater } from "./later";
import type { Plot, AlertSpan, Hover, PlotState, PlotTrack } from "./plot";
import { scaleOf } from "./scale";
import { useSeen } from "./seen";

/** Pixels that one step of a line gets at least. */
const PIXELS = 3;

export interface LineProps {
  source: Source;
  field: Field;
  keys: string[];
  /** Draw the line over all devices, too. */
  all: boolean;
  range: Range;
  /** False where the page says already which device this is. */
  named?: boolean;
  limits?: Pick<Panel, "warn" | "critical" | "min" | "max">;
  height: number;
  /** Told whether there is nothing to draw. */
  onEmpty?: (empty: boolean) => void;
}

export function LineChart(props: LineProps) {
  const { source, field, keys, all, range, limits = {}, height, named = true } = props;
  const { host, width, visible } = useSeen();
  const wish = JSON.stringify([source.name, field.name, range, keys, all]);
  const [feed, setFeed] = useState<Feed | null>(null);
  useEffect(() => {
    const opened = openFeed({ source: source.name, field: field.name, range, keys, all });
    setFeed(opened);
    return () => closeFeed(opened);
  }, [wish]);

  const drawing = useLater(() => import("./plot"));
  const canvas = useRef<HTMLDivElement | null>(null);
  const plot = useRef<{ plot: Plot; made: string; wish: string; factor: number } | null>(null);
  const [hover, setHover] = useState<Hover>(null);
  const [step, setStep] = useState(0);
  /** When what is drawn begins, if that is later than what was chosen. */
  const [begin, setBegin] = useState<number | null>(null);
  const version = feed?.version.value ?? 0;
  const phase = feed?.state.value ?? "loading";
  const painted = theme.value;

  const tracks = useMemo<PlotTrack[]>(() => {
    const own = keys.map((key, index) => ({ key, name: named ? deviceLabel(key, source.name, source.key, 24) : "", colour: all ? index + 1 : index }));
    return all ? [{ key: null, name: !named ? "" : source.key === null ? label(source.name, 24) : "mean", colour: 0 }, ...own] : own;
  }, [wish]);

  const empty = phase === "ready" && !feed?.block?.tracks.some((track) => track.mean.some((value) => value !== null));

  useEffect(() => {
    if (phase === "ready") props.onEmpty?.(empty);
  }, [empty, phase]);
  const known = feed?.block && phase === "ready" && !empty ? firstKnown(feed.block) : null;
  const told = known !== null && known <= store.now.peek() - SPAN[range] ? -Infinity : known;
  useEffect(() => {
    if (feed) knowsFrom(feed, told);
  }, [feed, told]);
  useEffect(() => () => void (feed && knowsFrom(feed, null)), [feed]);
  const begins = beginning.value;

  useEffect(() => {
    const block = feed?.block;
    if (empty) {
      // Without a reading there is no scale, and an invented one would be a lie.
      plot.current?.plot.destroy();
      plot.current = null;
      return;
    }
    if (!visible || width < 40 || !canvas.current || !block || phase !== "ready" || !drawing) return;
    drawSoon(host, () => {
      if (!canvas.current) return;
      const state = plotState(block, tracks, props, width, plot.current?.wish === wish ? plot.current.factor : 0);
      const made = `${wish}/${painted}/${state.calmed}/${state.way}/${state.scale.log}`;
      if (plot.current?.made !== made) {
        plot.current?.plot.destroy();
        plot.current = { plot: new drawing.Plot(canvas.current, width, height, state, palette(), setHover), made, wish, factor: state.factor };
      } else {
        plot.current.plot.resize(width, height);
        plot.current.plot.update(state);
        plot.current.factor = state.factor;
      }
      setStep(state.block.step);
      setBegin(state.to - state.from < SPAN[range] ? state.from : null);
    });
    return () => drawNever(host);
  }, [drawing, feed, version, phase, visible, width, height, painted, wish, limits.warn, limits.critical, begins]);
  useEffect(() => () => plot.current?.plot.destroy(), []);

  const summary = useMemo(() => describe(feed?.block ?? null, tracks, field, range), [feed, version, tracks]);
  return (
    <div class="line" ref={host} data-phase={phase}>
      <div class="line-canvas" ref={canvas} role="img" aria-label={summary} style={{ height: empty ? "0" : `${height}px` }} />
      {phase === "loading" && <Waiting what={`the history of ${label(field.name)}`} like="line-over" />}
      {phase === "error" && feed?.error && (
        <div class="line-over">
          <Failure error={feed.error} retry={() => void feed.load()} />
        </div>
      )}
      {step > FINEST && !empty && phase === "ready" && <StepWords step={step} way={through(limits.warn, limits.critical)} />}
      {begin !== null && !empty && phase === "ready" && <span class="line-begin soft num">{`all there is, since ${since(begin, store.now.peek())}`}</span>}
      {empty && <Absent>No readings in the last {span(SPAN[range])}.</Absent>}
      {hover && <Tip hover={hover} width={width} />}
    </div>
  );
}

/** A chart in steps wider than the finest says how wide, and what of each is drawn. */
function StepWords({ step, way }: { step: number; way: Through }) {
  return <span class="line-steps soft num">{`${WAYS[way]} of ${stepSpan(step)} steps`}</span>;
}

const FINEST = 1_000;
const WAYS: Record<Through, string> = { mean: "mean", max: "highest", min: "lowest" };
/** `15 s`, where a span would say `5.0 s`. */
const stepSpan = (ms: number): string => span(ms).replace(".0 ", " ");

/** The device's newest reading as the table has it. */
function toldBy(source: Source, field: Field, key: string | null): Reading | null {
  if (key === null && source.key !== null) return null;
  const device = store.slice.peek()?.rows.find((row) => row.key === (key ?? ""))?.device.peek();
  const value = device?.source === source.name ? device.values[field.name] : undefined;
  return device && typeof value === "number" && Number.isFinite(value) ? { at: device.lastSeen, value } : null;
}

function plotState(block: Block, tracks: PlotTrack[], { field, limits = {}, range, keys, source }: LineProps, width: number, before: number): PlotState {
  const to = Math.max(store.now.peek(), block.start + block.length * block.step);
  const window = windowOf(SPAN[range], to, store.hello.peek()?.startedAt ?? null, beginning.peek() ?? firstKnown(block), block.step);
  const way = through(limits.warn, limits.critical);
  const edges = tracks.map(({ key }) => key).filter((key) => key !== null || source.key === null);
  const shown = drawn(block, window / block.step, (width - 140) / PIXELS, before, way, edges);
  const now = Math.min(to, store.now.peek());
  const sizes = block.tracks.map(extent).flatMap(({ min, max }) => [Math.abs(min ?? 0), Math.abs(max ?? 0)]);
  const decimals = fieldDecimals(field, Math.max(0, ...sizes));
  const scale = scaleOf(block.tracks.flatMap((track) => [...track.mean, ...track.min, ...track.max]), limits.min == null && limits.max == null);
  return {
    block: shown.block,
    ends: tracks.map(({ key }) => endOf(shown.block, key, toldBy(source, field, key), now)),
    way,
    now,
    calmed: shown.calmed,
    factor: shown.factor,
    scale,
    bridges: tracks.map(({ key }) => bridgeOf(block, key)),
    tracks,
    from: to - window,
    to,
    warn: limits.warn ?? null,
    critical: limits.critical ?? null,
    min: limits.min ?? null,
    max: limits.max ?? null,
    spans: alertSpans(source.name, field.name, keys),
    format: (value) => fixed(value, scale.log ? fieldDecimals(field, value) : decimals),
    told: (value) => plain(value, field),
  };
}

function bridgeOf(block: Block, key: string | null): number {
  const track = block.tracks.find((one) => one.key === key);
  return track ? bridge(block, track) : 0;
}

/** Alerts of the drawn devices whose condition names this field. */
function alertSpans(source: string, field: string, keys: string[]): AlertSpan[] {
  const { open, cleared } = store.alerts.peek();
  return [...cleared, ...open]
    .filter((alert) => store.sourceOf(alert) === source && field in alert.value && keys.includes(alert.key ?? "") && store.isDevice(alert))
    .map((alert) => ({ from: alert.openedAt, to: alert.clearedAt, severity: alert.severity }));
}

function describe(block: Block | null, tracks: PlotTrack[], field: Field, range: Range): string {
  if (!block) return `${field.name}, loading`;
  const say = (value: number | null): string => (value === null ? "nothing" : withUnit(fixed(value, fieldDecimals(field, value)), field.unit));
  const parts = tracks.flatMap((track) => {
    const known = block.tracks.find((one) => one.key === track.key);
    if (!known) return [];
    const { last, min, max } = extent(known);
    return last === null ? [] : [`${track.name || "it"} last ${say(last)}, from ${say(min)} to ${say(max)}`];
  });
  return `${field.name} over the last ${span(SPAN[range])}: ${parts.join("; ") || "no readings"}.`;
}

function Tip({ hover, width }: { hover: NonNullable<Hover>; width: number }) {
  const right = hover.left > width / 2;
  return (
    <div class="tip" aria-hidden="true" style={right ? { right: `${width - hover.left + 12}px` } : { left: `${hover.left + 12}px` }}>
      <div class="tip-time">{moment(hover.at, store.now.peek(), true)}{hover.step > FINEST && `, ${WAYS[hover.way]} of ${stepSpan(hover.step)}`}</div>
      {hover.rows.map((row) => (
        <div class="tip-row" key={row.name || "it"}>
          <span class="swatch" style={{ background: row.colour }} />
          <bdi>{row.name}</bdi>
          <b>{row.text}</b>
          {row.range && <span class="tip-range">{row.range}</span>}
        </div>
      ))}
    </div>
  );
}
