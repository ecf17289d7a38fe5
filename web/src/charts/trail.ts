// Where devices have been, pure: two columns of a history, latitude and longitude, made into the pieces of a path.
import type { Block, Column } from "../state/series";
import { onEarth, type Point } from "./geo";

export interface Trail {
  /** Pieces of the path, each without a gap, oldest first; none is empty. */
  pieces: Point[][];
  /** The newest place, also where it is far from all others. */
  last: Point;
}

/** Silence for so long ends a piece: where a device was meanwhile is not known. */
export const GAP_MS = 60_000;

/**
 * The trail of each key that told a place on earth. What lies far from nearly all of its places is no part of its way: a receiver
 * that jumps drove nowhere. A step in which only one of both is known has no place.
 */
export function trails(lat: Block, lon: Block): Map<string, Trail> {
  const found = new Map<string, Trail>();
  const shift = Math.round((lat.start - lon.start) / lat.step);
  for (const { key, mean } of lat.tracks) {
    const other = lon.tracks.find((track) => track.key === key);
    if (key === null || !other) continue;
    const pieces = path(mean, other.mean, shift, Math.max(1, Math.round(GAP_MS / lat.step)));
    const last = pieces.at(-1)?.at(-1);
    if (last) found.set(key, { pieces: withoutJumps(pieces), last });
  }
  return found;
}

function withoutJumps(pieces: Point[][]): Point[][] {
  const all = pieces.flat();
  const kept = new Set(near(all));
  if (kept.size === all.length) return pieces;
  const cut = pieces.flatMap((piece) => {
    const parts: Point[][] = [[]];
    for (const point of piece) {
      if (kept.has(point)) parts.at(-1)?.push(point);
      else if (parts.at(-1)?.length) parts.push([]);
    }
    return parts;
  });
  return cut.filter((part) => part.length > 0);
}

function path(lats: Column, lons: Column, shift: number, gap: number): Point[][] {
  const pieces: Point[][] = [];
  let before = -Infinity;
  lats.forEach((lat, slot) => {
    const lon = lons[slot + shift];
    if (lat === null || lon === null || lon === undefined || !onEarth({ lat, lon })) return;
    if (slot - before > gap) pieces.push([]);
    before = slot;
    pieces.at(-1)?.push({ lat, lon });
  });
  return pieces;
}

/**
 * The points that a view is made for: all but those that lie far from nearly all others, as a receiver without a fix sends
 * them (0° 0° is one). Far is twenty times the distance from the middle that half of the points keep within.
 */
export function near<P extends Point>(points: P[]): P[] {
  if (points.length < 3) return points;
  const middle = (list: number[]): number => list.sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
  const lat = middle(points.map((point) => point.lat));
  const lon = middle(points.map((point) => point.lon));
  const away = (point: Point): number => Math.hypot(point.lat - lat, (point.lon - lon) * Math.cos((lat * Math.PI) / 180));
  // A fleet in one yard is not far away when one of it drives out of the gate.
  const far = 20 * Math.max(0.05, middle(points.map(away)));
  return points.filter((point) => away(point) <= far);
}
