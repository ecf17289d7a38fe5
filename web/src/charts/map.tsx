// Where the devices are, and where they were: points in a graticule, and behind each of a small fleet the path of the last
// 15 minutes, which grows as the readings come. An alert is a triangle, a quiet device a ring, so that shape says what colour
// says. Who is far from all others does not shrink them to a dot: it is a mark at the edge, and is said. A click, or an arrow key,
// singles a device out: its state and its alerts stand below, its alerts are marked in the feed, and the way back is the same.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Device, Severity, Source } from "../api/types";
import { many } from "../format/number";
import { deviceLabel, label } from "../format/text";
import { Absent, Quiet, Waiting } from "../parts/notes";
import { closeFeed, openFeed, type Feed } from "../state/feed";
import { coordinate } from "../state/panels";
import { theme } from "../state/prefs";
import { order } from "../state/status";
import { useRoster } from "../state/roster";
import * as store from "../state/store";
import { Picked } from "../views/picked";
import { degrees, fit, onEarth, type Point, type View } from "./geo";
import { alpha, FONT, palette } from "./palette";
import { drawNever, drawSoon } from "./queue";
import { canvasOf, useSeen } from "./seen";
import { placed, toward, type Direction } from "./dots";
import { near, trails, type Trail } from "./trail";

/** Pixels: where there is room, more of them. */
const heightOf = (width: number): number => (width >= 700 ? 400 : 288);
const MARGIN = 36;
/** Names are written beside the points up to this many. */
const NAMED = 12;
/** Above this many the points are drawn smaller. */
const CROWD = 150;
const REACH = 14;

/** A view is kept while all points are in it and take at least this share of it, so that it does not swim with them. */
const FILLED = 0.4;

interface Spot {
  device: Device;
  lat: number;
  lon: number;
}

export function DeviceMap({ source }: { source: Source }) {
  const { host, width, visible } = useSeen();
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const roster = useRoster(source.name, visible);
  const paths = usePaths(source, visible);
  const spots = spotsOf(nowOf(roster?.devices ?? [], source), source, paths);
  const close = near(spots);
  const within = [...close, ...close.flatMap(({ device }) => paths.get(device.key)?.pieces.flat() ?? [])];
  const kept = useRef<Kept | null>(null);
  const view = viewOf(kept, within, width);
  const painted = theme.value;
  const trailing = view === null ? [] : close.flatMap(({ device }) => paths.get(device.key) ?? []);
  const { picked } = store.place.value;
  const at = spots.findIndex((spot) => spot.device.key === picked);
  const chosen = spots[at] ?? null;
  const way = (picked !== null && paths.get(picked)) || null;
  // Alerts open and clear between two lists of devices.
  const marks = JSON.stringify(spots.map(({ device }) => [device.alerts, device.severity, device.state]));
  useEffect(() => {
    const { current } = canvas;
    if (!visible || !current || width === 0 || !view) return;
    drawSoon(canvas, () => draw(current, { width, view, spots, ways: trailing, chosen, way, source }));
    return () => drawNever(canvas);
  }, [roster, paths, view, width, visible, painted, picked, marks]);
  const hint = `map-hint-${source.name.replace(/[^a-z0-9]/gi, "-")}`;
  const alerting = spots.filter((spot) => spot.device.alerts > 0).length;
  const away = spots.filter((spot) => !close.includes(spot));
  const says = [`${many(spots.length, "device")} on the map`, `${alerting} with open alerts`, ...(trailing.length > 0 ? [`${trailing.length} with the way of the last 15 minutes`] : [])];
  const pick = (spot: Spot | null): void => store.go({ picked: spot?.device.key ?? null, ...(spot ? { source: source.name } : {}) }, true);
  const point = (event: MouseEvent): void => {
    const box = canvas.current?.getBoundingClientRect();
    if (view && box) pick(nearest(spots, view, event.clientX - box.left, event.clientY - box.top));
  };
  const key = (event: KeyboardEvent): void => {
    if (!view || event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = ARROWS[event.key];
    if (event.key === "Enter" && chosen) store.go({ device: chosen.device.key, source: source.name });
    else if (event.key === "Escape" && chosen) pick(null);
    else if (direction) {
      const next = chosen ? toward(spots.map((spot) => onEdge(view.x(spot.lon), view.y(spot.lat), width)), at, direction) : worstOf(spots);
      if (next >= 0) pick(spots[next] ?? null);
    } else return;
    event.preventDefault();
  };
  return (
    <div ref={host} class="map">
      {!roster && <Waiting what="the map" />}
      {spots.length > 0 && <canvas ref={canvas} role="application" aria-roledescription="map" tabIndex={0} onClick={point} onKeyDown={key} aria-label={says.join(", ")} aria-describedby={chosen ? undefined : hint} style={{ height: `${heightOf(width)}px` }} />}
      {spots.length > 0 && (
        <div>
          <p class="sr" role="status">
            {chosen && spoken(chosen.device, source)}
          </p>
          {chosen ? <Picked device={chosen.device} source={source} /> : <p id={hint} class="soft map-hint">A click or the arrow keys single one out, with its state and its alerts.</p>}
        </div>
      )}
      {roster && spots.length === 0 && (
        <Absent>
          No device has told its place yet. Who sends <code>{label(coordinate(source, "lat")?.name ?? "")}</code> and <code>{label(coordinate(source, "lon")?.name ?? "")}</code> shows here.
        </Absent>
      )}
      {away.length > 0 && <Quiet>{farAway(away, source)}</Quiet>}
      {roster && roster.total > roster.devices.length && <Quiet>The first {roster.devices.length} of {many(roster.total, "device")}.</Quiet>}
    </div>
  );
}

const ARROWS: Record<string, Direction> = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

/** Who is singled out, for those who hear it. */
function spoken({ key, state, alerts, severity }: Device, source: Source): string {
  return `${deviceLabel(key, source.name, source.key, 40)}, ${state}, ${alerts === 0 ? "no open alert" : `${many(alerts, "open alert")}, ${severity ?? "warning"}`}`;
}

/** Where the arrow keys begin: at whoever is worst. */
function worstOf(spots: Spot[]): number {
  const rank = ({ device }: Spot): number => (device.alerts > 0 ? order[device.severity ?? "warning"] : 0);
  return spots.reduce((best, spot, index) => (best < 0 || rank(spot) > rank(spots[best] ?? spot) ? index : best), -1);
}

/** The devices as they are this second, where more than their list is known: rows of the table, and alerts as they open and clear. */
function nowOf(devices: Device[], source: Source): Device[] {
  const rows = new Map(store.slice.value?.rows.map((row) => [row.key, row.device.peek()]));
  const { open } = store.alerts.value;
  // Where not all are listed, the list of devices knows more.
  const isAll = open.length >= (store.tick.value?.alerts.open ?? 0);
  const alerts = new Map<string, { alerts: number; severity: Severity }>();
  for (const alert of open) {
    if (store.sourceOf(alert) !== source.name || !store.isDevice(alert)) continue;
    const known = alerts.get(alert.key ?? "");
    const severity = known && order[known.severity] > order[alert.severity] ? known.severity : alert.severity;
    alerts.set(alert.key ?? "", { alerts: (known?.alerts ?? 0) + 1, severity });
  }
  return devices.map((device) => {
    const row = rows.get(device.key);
    const fresh = row?.source === source.name ? { ...device, ...row, values: { ...device.values, ...row.values } } : device;
    return isAll ? { ...fresh, ...(alerts.get(device.key) ?? { alerts: 0, severity: null }) } : fresh;
  });
}

/** The ways of a small fleet, or of those that charts draw; they grow by the seconds that the server pushes. */
function usePaths(source: Source, visible: boolean): Map<string, Trail> {
  const [lat, lon] = [coordinate(source, "lat")?.name, coordinate(source, "lon")?.name];
  const keys = store.trailKeys(source);
  const wish = JSON.stringify([source.name, lat, lon, keys, visible]);
  const [feeds, setFeeds] = useState<Feed[]>([]);
  useEffect(() => {
    if (!visible || keys.length === 0 || !lat || !lon) return;
    const opened = [lat, lon].map((field) => openFeed({ source: source.name, field, range: "15m", keys, all: false }));
    setFeeds(opened);
    return () => {
      setFeeds([]);
      opened.forEach(closeFeed);
    };
  }, [wish]);
  // Both are read, so that either's news draws the map anew.
  const versions = feeds.map((feed) => feed.version.value);
  const [lats, lons] = feeds.map((feed) => feed.block);
  return versions.length > 0 && lats && lons ? trails(lats, lons) : new Map<string, Trail>();
}

interface Kept {
  view: View;
  width: number;
}

/** The view that was there, while the points are well in it; else one that fits them. */
function viewOf(kept: { current: Kept | null }, points: Point[], width: number): View | null {
  const before = kept.current;
  const height = heightOf(width);
  if (before && before.width === width && points.length > 0) {
    const range = (list: number[], size: number): boolean => {
      const [low, high] = [Math.min(...list), Math.max(...list)];
      return low >= MARGIN / 3 && high <= size - MARGIN / 3;
    };
    const xs = points.map((point) => before.view.x(point.lon));
    const ys = points.map((point) => before.view.y(point.lat));
    const filled = Math.max((Math.max(...xs) - Math.min(...xs)) / width, (Math.max(...ys) - Math.min(...ys)) / height);
    if (range(xs, width) && range(ys, height) && (filled >= FILLED || before.view.isClosest)) return before.view;
  }
  const view = fit(points, width, height, MARGIN);
  kept.current = view && { view, width };
  return view;
}

function farAway(away: Spot[], source: Source): string {
  const [first] = away;
  if (!first) return "";
  const where = `${degrees(first.lat, "lat", 0.01)}, ${degrees(first.lon, "lon", 0.01)}`;
  const name = deviceLabel(first.device.key, source.name, source.key, 40);
  return away.length === 1 ? `${name} is far away, at ${where}: shown at the edge.` : `${away.length} devices are far away, ${name} at ${where}: shown at the edge.`;
}

/** A device is where it was last: of those with a way the newest second, of others the last reading of the list. */
function spotsOf(devices: Device[], source: Source, paths: Map<string, Trail>): Spot[] {
  const lat = coordinate(source, "lat")?.name ?? "";
  const lon = coordinate(source, "lon")?.name ?? "";
  return devices.flatMap((device) => {
    const last = paths.get(device.key)?.last;
    if (last) return [{ device, ...last }];
    const spot = { device, lat: device.values[lat], lon: device.values[lon] };
    return typeof spot.lat === "number" && typeof spot.lon === "number" && onEarth(spot as Spot) ? [spot as Spot] : [];
  });
}

function nearest(spots: Spot[], view: View, x: number, y: number): Spot | null {
  let best: Spot | null = null;
  let least = REACH ** 2;
  for (const spot of spots) {
    const { x: left, y: top } = onEdge(view.x(spot.lon), view.y(spot.lat), view.width);
    const away = (left - x) ** 2 + (top - y) ** 2;
    if (away < least) [best, least] = [spot, away];
  }
  return best;
}

/** The place itself, or the nearest at the edge. */
function onEdge(x: number, y: number, width: number): { x: number; y: number } {
  return { x: Math.min(width - 8, Math.max(8, x)), y: Math.min(heightOf(width) - 8, Math.max(8, y)) };
}

interface Picture {
  width: number;
  view: View;
  spots: Spot[];
  ways: Trail[];
  /** Who is singled out, and its way. */
  chosen: Spot | null;
  way: Trail | null;
  source: Source;
}

function draw(canvas: HTMLCanvasElement, { width, view, spots, ways, chosen, way, source }: Picture): void {
  const height = heightOf(width);
  const ctx = canvasOf(canvas, width, height);
  if (!ctx) return;
  // A canvas keeps what the last drawing left.
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  const colours = palette();
  ctx.font = FONT.replace("12px", "11px");
  ctx.lineWidth = 1;
  ctx.strokeStyle = colours.grid;
  ctx.fillStyle = colours.faint;
  const step = (list: number[]): number => Math.abs((list[1] ?? 1) - (list[0] ?? 0)) || 1;
  for (const lon of view.lons) {
    const x = Math.round(view.x(lon)) + 0.5;
    line(ctx, x, 0, x, height);
    ctx.fillText(degrees(lon, "lon", step(view.lons)), x + 4, height - 6);
  }
  for (const lat of view.lats) {
    const y = Math.round(view.y(lat)) + 0.5;
    line(ctx, 0, y, width, y);
    ctx.fillText(degrees(lat, "lat", step(view.lats)), 4, y - 4);
  }
  ctx.lineWidth = 1.5;
  ctx.lineJoin = "round";
  const trace = (pieces: Point[][]): void => {
    for (const piece of pieces) {
      ctx.beginPath();
      for (const point of piece) ctx.lineTo(view.x(point.lon), view.y(point.lat));
      ctx.stroke();
    }
  };
  ctx.strokeStyle = alpha(colours.series[0] ?? colours.ink, chosen ? 0.25 : 0.4);
  trace(ways.flatMap((one) => one.pieces));
  if (chosen && way) {
    ctx.lineWidth = 2.5;
    ctx.strokeStyle = colours.water;
    trace(way.pieces);
  }
  ctx.textBaseline = "middle";
  const upwards = [...spots].sort((a, b) => Number(a === chosen) - Number(b === chosen) || a.device.alerts - b.device.alerts);
  for (const spot of upwards) {
    const { x, y } = onEdge(view.x(spot.lon), view.y(spot.lat), width);
    const { device } = spot;
    const colour = device.alerts > 0 ? colours[device.severity ?? "warning"] : device.state === "quiet" ? colours.faint : (colours.series[0] ?? colours.ink);
    mark(ctx, x, y, colour, device, colours.surface, spots.length > CROWD ? 3 : 4.5);
    if (spot === chosen) ring(ctx, x, y, colours.water);
  }
  // Whoever matters most has the word where there is not room for all.
  const named = upwards.reverse().filter((spot) => spots.length <= NAMED || spot === chosen);
  const words = named.map((spot) => deviceLabel(spot.device.key, source.name, source.key, 20));
  const dots = named.map((spot) => onEdge(view.x(spot.lon), view.y(spot.lat), width));
  placed(dots, words.map((word) => ctx.measureText(word).width), { width, height }).forEach((at, index) => {
    if (!at) return;
    ctx.fillStyle = named[index] === chosen ? colours.ink : colours.soft;
    ctx.fillText(words[index] ?? "", at.x, at.y);
  });
  const { km, pixels } = view.bar;
  ctx.strokeStyle = colours.soft;
  ctx.lineWidth = 2;
  line(ctx, width - 12 - pixels, 16, width - 12, 16);
  ctx.fillStyle = colours.soft;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  ctx.fillText(km >= 1 ? `${km} km` : `${Math.round(km * 1000)} m`, width - 12, 28);
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

function ring(ctx: CanvasRenderingContext2D, x: number, y: number, colour: string): void {
  ctx.beginPath();
  ctx.arc(x, y, 13, 0, Math.PI * 2);
  ctx.lineWidth = 2.5;
  ctx.strokeStyle = colour;
  ctx.stroke();
}

function mark(ctx: CanvasRenderingContext2D, x: number, y: number, colour: string, device: Device, ground: string, radius: number): void {
  ctx.beginPath();
  if (device.alerts > 0) {
    ctx.moveTo(x, y - 8);
    ctx.lineTo(x + 7.5, y + 5.5);
    ctx.lineTo(x - 7.5, y + 5.5);
    ctx.closePath();
  } else ctx.arc(x, y, radius, 0, Math.PI * 2);
  ctx.lineWidth = radius > 4 || device.alerts > 0 ? 2 : 1;
  if (device.state === "quiet" && device.alerts === 0) {
    ctx.strokeStyle = colour;
    ctx.stroke();
    return;
  }
  ctx.strokeStyle = ground;
  ctx.stroke();
  ctx.fillStyle = device.alerts > 0 ? colour : alpha(colour, 0.85);
  ctx.fill();
}
