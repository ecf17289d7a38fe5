// From latitude and longitude to pixels, pure: an equirectangular view that fits all points, a graticule in round
// degrees, a scale bar in round kilometres. No tiles: no request leaves the machine.
import { ticks } from "./place";

export interface Point {
  lat: number;
  lon: number;
}

export interface View {
  /** Pixels. */
  width: number;
  /** True if no nearer view is made. */
  isClosest: boolean;
  x(lon: number): number;
  y(lat: number): number;
  lats: number[];
  lons: number[];
  /** Length of the scale bar, in kilometres and pixels. */
  bar: { km: number; pixels: number };
}

const KM_PER_DEGREE = 111.32;
/** A view is never narrower than this, about 200 m: one device must not be shown to the millimetre. */
const LEAST_DEGREES = 0.002;

/** True for a place on earth. */
export const onEarth = ({ lat, lon }: Point): boolean => Math.abs(lat) <= 90 && Math.abs(lon) <= 180;

export function fit(points: Point[], width: number, height: number, margin: number): View | null {
  if (points.length === 0 || width <= 2 * margin || height <= 2 * margin) return null;
  const lats = points.map((point) => point.lat);
  const lons = points.map((point) => point.lon);
  const least = (list: number[]): number => list.reduce((a, b) => Math.min(a, b));
  const most = (list: number[]): number => list.reduce((a, b) => Math.max(a, b));
  const lat = (least(lats) + most(lats)) / 2;
  const lon = (least(lons) + most(lons)) / 2;
  const squeeze = Math.max(0.05, Math.cos((lat * Math.PI) / 180));
  const tall = Math.max(LEAST_DEGREES, most(lats) - least(lats));
  const wide = Math.max(LEAST_DEGREES, (most(lons) - least(lons)) * squeeze);
  const scale = Math.min((width - 2 * margin) / wide, (height - 2 * margin) / tall);
  const x = (at: number): number => width / 2 + (at - lon) * squeeze * scale;
  const y = (at: number): number => height / 2 - (at - lat) * scale;
  const half = { lon: width / 2 / scale / squeeze, lat: height / 2 / scale };
  return {
    width,
    isClosest: tall === LEAST_DEGREES && wide === LEAST_DEGREES,
    x,
    y,
    lats: ticks(lat - half.lat, lat + half.lat, 4),
    lons: ticks(lon - half.lon, lon + half.lon, 5),
    bar: scaleBar(scale / KM_PER_DEGREE, width / 4),
  };
}

function scaleBar(pixelsPerKm: number, most: number): View["bar"] {
  const rough = most / pixelsPerKm;
  const power = 10 ** Math.floor(Math.log10(rough));
  const km = [5, 2, 1].map((n) => n * power).find((n) => n <= rough) ?? power;
  return { km, pixels: km * pixelsPerKm };
}

/** `52.52° N`, with as many decimals as the distance between two marks needs. */
export function degrees(value: number, kind: "lat" | "lon", step: number): string {
  const decimals = step >= 1 ? 0 : Math.min(4, Math.ceil(-Math.log10(step) - 1e-9));
  const side = kind === "lat" ? (value < 0 ? "S" : "N") : value < 0 ? "W" : "E";
  return `${Math.abs(value).toFixed(decimals)}° ${side}`;
}
