// Where the devices are: points in a graticule. An alert is a triangle, a quiet device a ring, so that shape says what
// colour says. Clicking a point opens its device; the table below is the way for the keyboard.
import { useEffect, useRef } from "preact/hooks";
import type { Device, Source } from "../api/types";
import { many } from "../format/number";
import { deviceLabel, label } from "../format/text";
import { Absent, Quiet, Waiting } from "../parts/notes";
import { coordinate } from "../state/panels";
import { theme } from "../state/prefs";
import { useRoster } from "../state/roster";
import * as store from "../state/store";
import { degrees, fit, onEarth, type View } from "./geo";
import { alpha, FONT, palette } from "./palette";
import { drawNever, drawSoon } from "./queue";
import { canvasOf, useSeen } from "./seen";

const HEIGHT = 288;
const MARGIN = 36;
/** Names are written beside the points up to this many. */
const NAMED = 12;
/** Above this many the points are drawn smaller. */
const CROWD = 150;
const REACH = 14;

interface Spot {
  device: Device;
  lat: number;
  lon: number;
}

export function DeviceMap({ source }: { source: Source }) {
  const { host, width, visible } = useSeen();
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const roster = useRoster(source.name, visible);
  const spots = spotsOf(roster?.devices ?? [], source);
  const view = fit(spots, width, HEIGHT, MARGIN);
  const painted = theme.value;
  useEffect(() => {
    const { current } = canvas;
    if (!visible || !current || width === 0 || !view) return;
    drawSoon(canvas, () => draw(current, width, view, spots, source));
    return () => drawNever(canvas);
  }, [roster, width, visible, painted]);
  const alerting = spots.filter((spot) => spot.device.alerts > 0).length;
  const open = (event: MouseEvent): void => {
    const box = canvas.current?.getBoundingClientRect();
    const near = view && box ? nearest(spots, view, event.clientX - box.left, event.clientY - box.top) : null;
    if (near) store.go({ device: near.device.key, source: near.device.source });
  };
  return (
    <div ref={host} class="map">
      {!roster && <Waiting what="the map" />}
      {spots.length > 0 && <canvas ref={canvas} role="img" onClick={open} aria-label={`${many(spots.length, "device")} on the map, ${alerting} with open alerts`} style={{ height: `${HEIGHT}px` }} />}
      {roster && spots.length === 0 && (
        <Absent>
          No device has told its place yet. Who sends <code>{label(coordinate(source, "lat")?.name ?? "")}</code> and <code>{label(coordinate(source, "lon")?.name ?? "")}</code> shows here.
        </Absent>
      )}
      {roster && roster.total > roster.devices.length && <Quiet>The first {roster.devices.length} of {many(roster.total, "device")}.</Quiet>}
    </div>
  );
}

function spotsOf(devices: Device[], source: Source): Spot[] {
  const lat = coordinate(source, "lat")?.name ?? "";
  const lon = coordinate(source, "lon")?.name ?? "";
  return devices.flatMap((device) => {
    const spot = { device, lat: device.values[lat], lon: device.values[lon] };
    return typeof spot.lat === "number" && typeof spot.lon === "number" && onEarth(spot as Spot) ? [spot as Spot] : [];
  });
}

function nearest(spots: Spot[], view: View, x: number, y: number): Spot | null {
  let best: Spot | null = null;
  let least = REACH ** 2;
  for (const spot of spots) {
    const away = (view.x(spot.lon) - x) ** 2 + (view.y(spot.lat) - y) ** 2;
    if (away < least) [best, least] = [spot, away];
  }
  return best;
}

function draw(canvas: HTMLCanvasElement, width: number, view: View, spots: Spot[], source: Source): void {
  const ctx = canvasOf(canvas, width, HEIGHT);
  if (!ctx) return;
  const colours = palette();
  ctx.font = FONT.replace("12px", "11px");
  ctx.lineWidth = 1;
  ctx.strokeStyle = colours.grid;
  ctx.fillStyle = colours.faint;
  const step = (list: number[]): number => Math.abs((list[1] ?? 1) - (list[0] ?? 0)) || 1;
  for (const lon of view.lons) {
    const x = Math.round(view.x(lon)) + 0.5;
    line(ctx, x, 0, x, HEIGHT);
    ctx.fillText(degrees(lon, "lon", step(view.lons)), x + 4, HEIGHT - 6);
  }
  for (const lat of view.lats) {
    const y = Math.round(view.y(lat)) + 0.5;
    line(ctx, 0, y, width, y);
    ctx.fillText(degrees(lat, "lat", step(view.lats)), 4, y - 4);
  }
  ctx.textBaseline = "middle";
  const order = [...spots].sort((a, b) => a.device.alerts - b.device.alerts);
  for (const spot of order) {
    const x = view.x(spot.lon);
    const y = view.y(spot.lat);
    const { device } = spot;
    const colour = device.alerts > 0 ? colours[device.severity ?? "warning"] : device.state === "quiet" ? colours.faint : (colours.series[0] ?? colours.ink);
    mark(ctx, x, y, colour, device, colours.surface, spots.length > CROWD ? 3 : 4.5);
    if (spots.length > NAMED) continue;
    ctx.fillStyle = colours.soft;
    ctx.fillText(deviceLabel(device.key, source.name, source.key, 20), x + 10, y);
  }
  const { km, pixels } = view.bar;
  ctx.strokeStyle = colours.soft;
  ctx.lineWidth = 2;
  line(ctx, width - 12 - pixels, 16, width - 12, 16);
  ctx.fillStyle = colours.soft;
  ctx.textAlign = "right";
  ctx.fillText(km >= 1 ? `${km} km` : `${Math.round(km * 1000)} m`, width - 12, 28);
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
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
