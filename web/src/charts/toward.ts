// From one point of a map to the next by an arrow key, pure: the nearest of those that lie more in this direction than beside it.

export type Direction = "left" | "right" | "up" | "down";

/** Pixels; y grows downwards. */
export interface Dot {
  x: number;
  y: number;
}

/** What lies beside the direction counts so many times. */
const BESIDE = 2;

/** The index of the next dot, or -1 if there is none in this direction. */
export function toward(dots: Dot[], from: number, direction: Direction): number {
  const here = dots[from];
  if (!here) return -1;
  let best = -1;
  let least = Infinity;
  dots.forEach((dot, index) => {
    const [right, down] = [dot.x - here.x, dot.y - here.y];
    const along = direction === "left" ? -right : direction === "right" ? right : direction === "up" ? -down : down;
    const beside = Math.abs(direction === "left" || direction === "right" ? down : right);
    if (index === from || along <= 0 || beside > BESIDE * along) return;
    const far = along + BESIDE * beside;
    if (far < least) [best, least] = [index, far];
  });
  return best;
}
