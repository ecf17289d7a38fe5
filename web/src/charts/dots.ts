// Points of a map in pixels, pure: from one to the next by an arrow key, and where the words beside them have room.

export type Direction = "left" | "right" | "up" | "down";

/** Pixels; y grows downwards. */
export interface Dot {
  x: number;
  y: number;
}

/** What lies beside the direction counts so many times. */
const BESIDE = 2;

/** The index of the nearest dot that lies more in this direction than beside it; -1 if there is none. */
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

/** Half the height of a word, and of the mark that it must not cover. */
const HALF = 7;
const MARK = 9;
/** From the middle of a mark to its word. */
const AWAY = 14;

/**
 * Where each dot's word begins and its middle line is: to the right, to the left, above or below it, the first place that is free of
 * marks and of the words before it; null if none is.
 */
export function placed(dots: Dot[], widths: number[], size: { width: number; height: number }): (Dot | null)[] {
  const taken: { left: number; right: number; top: number; bottom: number }[] = dots.map(({ x, y }) => ({ left: x - MARK, right: x + MARK, top: y - MARK, bottom: y + MARK }));
  return dots.map(({ x, y }, index) => {
    const wide = widths[index] ?? 0;
    const places = [
      { x: x + AWAY, y },
      { x: x - AWAY - wide, y },
      { x: x - wide / 2, y: y - AWAY - 4 },
      { x: x - wide / 2, y: y + AWAY + 4 },
    ];
    for (const place of places) {
      const box = { left: place.x - 2, right: place.x + wide + 2, top: place.y - HALF, bottom: place.y + HALF };
      const fits = box.left >= 0 && box.right <= size.width && box.top >= 0 && box.bottom <= size.height;
      if (!fits || taken.some((one) => one.left < box.right && box.left < one.right && one.top < box.bottom && box.top < one.bottom)) continue;
      taken.push(box);
      return place;
    }
    return null;
  });
}
