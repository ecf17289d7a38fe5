// Rows of a SELECT as events on a timeline: one mark for each, or for those that are too near to each other to be told apart, which
// are the taller the more they are. The range is that of all charts, and stands where theirs does.
import { useEffect, useRef } from "preact/hooks";
import type { Range, SqlResult } from "../api/types";
import { count, many } from "../format/number";
import { label } from "../format/text";
import { clock, minute, moment, since } from "../format/time";
import { Absent } from "../parts/notes";
import { beginning, firstIn, knowsFrom } from "../state/beginning";
import { SPAN } from "../state/feed";
import { windowOf } from "../state/series";
import * as store from "../state/store";
import { marksOf } from "./marks";
import { useSeen } from "./seen";
import { parts, seconds } from "./shape";

const HEIGHT = 64;
const FOOT = 24;
/** Pixels of the mark of one event; more of them grow towards the whole height. */
const ONE = 26;
/** Pixels between two words of the axis, at least. */
const WORD = 88;
const SECOND = 1_000;
const MINUTE = 60_000;
/** Room beside the marks, where charts have their axis and the names of their lines. */
const LEFT = 44;
const RIGHT = 72;
const WORDS: Record<Range, string> = { "15m": "15 min", "6h": "6 h", "24h": "24 h" };

export function Events({ result, title }: { result: SqlResult; title: string }) {
  const { host, width } = useSeen();
  const { x, time } = parts(result);
  const { range } = store.place.value;
  const end = store.now.value;
  const times = !time
    ? []
    : result.rows.flatMap((row) => {
        const at = seconds(row[x]);
        return at === null ? [] : [at * 1e3];
      });
  const own = useRef({});
  const first = firstIn(times, end - SPAN[range]);
  useEffect(() => knowsFrom(own.current, first), [first]);
  useEffect(() => () => knowsFrom(own.current, null), []);
  if (!time) return <Absent>Not drawn: no column of the SELECT is a TIMESTAMP.</Absent>;
  const room = Math.max(0, width - LEFT - RIGHT);
  const shown = windowOf(SPAN[range], end, store.hello.peek()?.startedAt ?? null, beginning.value);
  const start = end - shown;
  const marks = marksOf(times, start, end, room);
  const most = marks.reduce((high, mark) => Math.max(high, mark.count), 1);
  const all = marks.reduce((sum, mark) => sum + mark.count, 0);
  const newest = times.reduce((late, at) => Math.max(late, at), -Infinity);
  const oldest = times.reduce((early, at) => Math.min(early, at), Infinity);
  const cut = result.truncated && oldest > start;
  const told = [
    `${all === 0 ? "none" : count(all)} ${shown < SPAN[range] ? `since ${since(start, end)}` : `in the last ${WORDS[range]}`}`,
    times.length > 0 ? `newest ${moment(newest, end, true)}` : "",
    cut ? `older than ${moment(oldest, end, true)} not drawn: the newest ${many(times.length, "row")} are asked for` : "",
  ].filter((part) => part !== "").join(" · ");
  const axis = axisOf(start, end, room);
  return (
    <div ref={host} class="events">
      <svg width={width} height={HEIGHT + FOOT} role="img" aria-label={`${label(title)}: ${told}`}>
        {axis.map(({ at, x: place }) => (
          <g key={at}>
            <line class="shares-grid" x1={LEFT + place} x2={LEFT + place} y1={0} y2={HEIGHT} />
            <text class="axis-text" x={LEFT + place} y={HEIGHT + 18} text-anchor="middle">
              {at % MINUTE === 0 && shown >= 5 * MINUTE ? minute(at) : clock(at)}
            </text>
          </g>
        ))}
        <line class="axis" x1={LEFT} x2={LEFT + room} y1={HEIGHT + 0.5} y2={HEIGHT + 0.5} />
        {marks.map((mark) => {
          const tall = mark.count === 1 ? ONE : ONE + (HEIGHT - ONE) * (Math.log(mark.count) / Math.log(Math.max(2, most)));
          return (
            <g key={mark.x}>
              <title>{mark.count === 1 ? clock(mark.from) : `${count(mark.count)} from ${clock(mark.from)} to ${clock(mark.to)}`}</title>
              <rect class="event" x={LEFT + mark.x - 1.5} y={HEIGHT - tall} width={3} height={tall} rx="1.5" />
            </g>
          );
        })}
      </svg>
      <p class="soft num">{told}</p>
    </div>
  );
}

/** Full seconds, minutes or hours that have room for their words. */
function axisOf(start: number, end: number, width: number): { at: number; x: number }[] {
  const steps = [10 * SECOND, 30 * SECOND, ...[1, 5, 15, 60, 180, 360].map((minutes) => minutes * MINUTE)];
  const step = steps.find((one) => ((end - start) / one) * WORD <= width) ?? 720 * MINUTE;
  const shift = new Date(end).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((start - shift) / step) * step + shift;
  const marks: { at: number; x: number }[] = [];
  for (let at = first; at <= end; at += step) {
    const x = ((at - start) / (end - start)) * width;
    if (x >= 0 && x <= width) marks.push({ at, x });
  }
  return marks;
}
