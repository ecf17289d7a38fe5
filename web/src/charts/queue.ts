// Drawing takes turns: a frame's worth of canvases at a time, so that many charts that change in the same second, or
// come into view together, never add up to one long task.

const BUDGET_MS = 8;

const waiting = new Map<object, () => void>();
let frame = 0;

/** Draws soon. A second request of the same `owner` before its turn replaces the first. */
export function drawSoon(owner: object, draw: () => void): void {
  waiting.set(owner, draw);
  if (frame === 0) frame = requestAnimationFrame(turn);
}

export function drawNever(owner: object): void {
  waiting.delete(owner);
}

function turn(): void {
  frame = 0;
  const begin = performance.now();
  for (const [owner, draw] of waiting) {
    waiting.delete(owner);
    draw();
    if (performance.now() - begin > BUDGET_MS) break;
  }
  if (waiting.size > 0) frame = requestAnimationFrame(turn);
}
