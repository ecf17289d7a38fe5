// From when on charts show something: one range of time for all of them, lines and events alike, in which none leaves out what it knows.
import { computed, signal } from "@preact/signals";

/** The first moment of which each chart on the page knows something, ms; -Infinity for one that fills its range. */
const all = signal<ReadonlyMap<object, number>>(new Map());

/** The earliest of them; null while no chart knows anything. */
export const beginning = computed(() => (all.value.size === 0 ? null : Math.min(...all.value.values())));

/** A chart tells what it knows: nothing (null) when it is gone, or has nothing to show. */
export function knowsFrom(chart: object, first: number | null): void {
  if ((all.peek().get(chart) ?? null) === first) return;
  const changed = new Map(all.peek());
  if (first === null) changed.delete(chart);
  else changed.set(chart, first);
  all.value = changed;
}

/** The first of these moments that lies in the range; null if none does. What is older is not seen, so nothing has to make room for it. */
export function firstIn(times: number[], from: number): number | null {
  const first = times.reduce((early, at) => (at >= from ? Math.min(early, at) : early), Infinity);
  return first === Infinity ? null : first;
}
