// The water line: events per second of the last quarter of an hour, as the surface of the basin that the status line
// stands over. It is data, not ornament: where nothing was measured there is no water.
import { useEffect, useRef } from "preact/hooks";
import { rate } from "../format/number";
import { theme } from "../state/prefs";
import * as store from "../state/store";
import type { Level } from "../state/status";
import { alpha } from "./palette";
import { drawNever, drawSoon } from "./queue";
import { canvasOf, useSeen } from "./seen";
import { surface } from "./water";

const HEIGHT = 72;

/** The water takes the colour of the status, `#rrggbb`. */
const WATER: Record<Level, string> = { ok: "#7fe0d3", info: "#9fd4ff", warning: "#ffd065", critical: "#ff9e7a", unknown: "#a9bcbf" };

export function WaterLine() {
  const { host, width, visible } = useSeen();
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const rates = store.rates.value;
  const painted = theme.value;
  const { level } = store.headline.value;
  useEffect(() => {
    const { current } = canvas;
    if (!visible || width === 0 || !current) return;
    drawSoon(canvas, () => draw(current, width, rates, WATER[level]));
    return () => drawNever(canvas);
  }, [rates, width, visible, painted, level]);
  const known = rates.filter((one): one is number => one !== null);
  const top = known.reduce((a, b) => Math.max(a, b), 0);
  return (
    <div class="waterline" ref={host}>
      <canvas ref={canvas} role="img" aria-label={`Events per second over the last 15 minutes: now ${rate(known[known.length - 1])}, at most ${rate(top)}`} />
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, width: number, rates: (number | null)[], colour: string): void {
  const ctx = canvasOf(canvas, width, HEIGHT);
  if (!ctx) return;
  const points = surface(rates, width, HEIGHT);
  const water = ctx.createLinearGradient(0, 0, 0, HEIGHT);
  water.addColorStop(0, alpha(colour, 0.28));
  water.addColorStop(1, alpha(colour, 0.04));
  let run: [number, number][] = [];
  const flush = (): void => {
    const first = run[0];
    const last = run[run.length - 1];
    if (first && last) fillRun(ctx, run, first, last, water, colour);
    run = [];
  };
  for (const point of points) {
    if (point) run.push(point);
    else flush();
  }
  flush();
}

function fillRun(ctx: CanvasRenderingContext2D, run: [number, number][], first: [number, number], last: [number, number], water: CanvasGradient, colour: string): void {
  ctx.beginPath();
  ctx.moveTo(first[0], HEIGHT);
  for (const [x, y] of run) ctx.lineTo(x, y);
  ctx.lineTo(last[0], HEIGHT);
  ctx.closePath();
  ctx.fillStyle = water;
  ctx.fill();
  ctx.beginPath();
  for (const [x, y] of run) ctx.lineTo(x, y);
  ctx.strokeStyle = alpha(colour, 0.75);
  ctx.lineWidth = 1.5;
  ctx.lineJoin = "round";
  ctx.stroke();
}
