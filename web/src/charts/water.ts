// The surface of the water line, pure: events per second as points, null where nothing was measured.

/** As much as the line shows at most. */
const SECONDS = 900;
/** A plant that has just begun fills the basin with its first minutes. */
const LEAST_SECONDS = 60;
/** Room over the highest point, and under the lowest. */
const AIR = 10;

/**
 * Points from left to right for `rates`, one a second, the newest last, in a picture of `width` and `height` pixels.
 * Seconds are taken together so that each point has four pixels; any width will do, also none.
 */
export function surface(rates: (number | null)[], width: number, height: number): ([number, number] | null)[] {
  const top = rates.reduce<number>((most, one) => Math.max(most, one ?? 0), 1) * 1.25;
  const began = rates.findIndex((one) => one !== null);
  const shown = Math.min(SECONDS, Math.max(LEAST_SECONDS, began < 0 ? 0 : rates.length - began));
  const seconds = Math.ceil(shown / Math.max(1, Math.min(shown, Math.floor(width / 4))));
  const lead = shown - rates.length;
  const points: ([number, number] | null)[] = [];
  for (let from = 0; from < shown; from += seconds) {
    const some = rates.slice(Math.max(0, from - lead), Math.max(0, from + seconds - lead)).filter((one) => one !== null);
    const x = ((from + seconds / 2) / shown) * width;
    const mean = some.reduce((sum, one) => sum + one, 0) / some.length;
    points.push(some.length === 0 ? null : [x, height - (mean / top) * (height - AIR) - 1]);
  }
  return points;
}
