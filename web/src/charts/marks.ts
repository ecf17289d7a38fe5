// Where events stand on a timeline, pure: those that would cover each other become one mark that knows how many it is. No event
// that lies in the range is left out, so the counts of all marks are the count of the events.

export interface Mark {
  /** Pixels from the left. */
  x: number;
  count: number;
  /** The first and the last of its events, milliseconds. */
  from: number;
  to: number;
}

/** Marks of `times` (milliseconds, in any order) that lie from `start` to `end`, on so many pixels, at most one each `gap`. */
export function marksOf(times: number[], start: number, end: number, width: number, gap = 4): Mark[] {
  const places = Math.max(1, Math.floor(width / gap));
  const marks = new Map<number, Mark>();
  for (const at of times) {
    if (!(at >= start && at <= end)) continue;
    const place = Math.min(places - 1, Math.floor(((at - start) / (end - start || 1)) * places));
    const mark = marks.get(place);
    if (!mark) marks.set(place, { x: (place + 0.5) * (width / places), count: 1, from: at, to: at });
    else {
      mark.count += 1;
      mark.from = Math.min(mark.from, at);
      mark.to = Math.max(mark.to, at);
    }
  }
  return [...marks.values()].sort((a, b) => a.x - b.x);
}
