// One chart's history and its growth: loaded once, appended each second, loaded again after a lost connection.
//
// Ticks that arrive while the history is on its way are kept and appended after it; `append` ignores what the history
// already holds. So the seam between the two has neither gap nor double.
import { signal } from "@preact/signals";
import { ApiError, get } from "../api/http";
import type { History, Range, TickChart } from "../api/types";
import { append, fromHistory, type Block } from "./series";

export const SPAN: Record<Range, number> = { "15m": 15 * 60_000, "6h": 6 * 3_600_000, "24h": 24 * 3_600_000 };

/** Points asked for: every second of 15 minutes; longer ranges as fine as a wide chart can show. */
const POINTS: Record<Range, number> = { "15m": 900, "6h": 1_080, "24h": 1_440 };

export interface Wish {
  source: string;
  field: string;
  range: Range;
  keys: string[];
  /** Whether the line over all devices is wanted, too. */
  all: boolean;
}

/** Ticks kept while a history loads; more than this would mean that it never comes. */
const MOST_WAITING = 120;

export class Feed {
  /** Counts up whenever there is something new to draw. */
  readonly version = signal(0);
  readonly state = signal<"loading" | "ready" | "error">("loading");
  error: ApiError | null = null;
  block: Block | null = null;
  private waiting: TickChart[] = [];
  private running: AbortController | null = null;

  constructor(readonly wish: Wish) {}

  get span(): number {
    return SPAN[this.wish.range];
  }

  async load(): Promise<void> {
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    if (!this.block) this.state.value = "loading";
    const { source, field, range, keys, all } = this.wish;
    const ask = (key: string[]): Promise<History> =>
      get<History>("/history", { source, field, range, points: POINTS[range], key }, running.signal);
    try {
      const parts = await Promise.all([...(all ? [ask([])] : []), ...(keys.length > 0 ? [ask(keys)] : [])]);
      if (running.signal.aborted) return;
      this.block = joined(parts);
      for (const chart of this.waiting) this.add(chart);
      this.error = null;
      this.state.value = "ready";
    } catch (cause) {
      if (running.signal.aborted) return;
      this.error = cause instanceof ApiError ? cause : new ApiError(0, String(cause));
      this.state.value = "error";
    }
    this.waiting = [];
    this.running = null;
    this.version.value += 1;
  }

  tick(chart: TickChart): void {
    if (chart.source !== this.wish.source || chart.field !== this.wish.field) return;
    if (this.running) {
      this.waiting.push(chart);
      if (this.waiting.length > MOST_WAITING) this.waiting.shift();
      return;
    }
    if (this.block && this.add(chart)) this.version.value += 1;
  }

  stop(): void {
    this.running?.abort();
    this.running = null;
  }

  private add(chart: TickChart): boolean {
    if (!this.block) return false;
    const series = chart.series.filter(({ key }) => (key === null ? this.wish.all : this.wish.keys.includes(key)));
    return append(this.block, { ...chart, series }, this.span);
  }
}

/** Two answers of the same field and range as one block; the second is moved onto the first one's axis. */
function joined(parts: History[]): Block {
  const [first, second] = parts;
  if (!first) return fromHistory({ source: "", field: "", step: 1_000, start: 0, series: [] });
  const block = fromHistory(first);
  if (!second) return block;
  const other = fromHistory(second);
  if (block.length === 0) return other;
  const shift = Math.round((other.start - block.start) / block.step);
  const moved = (column: (number | null)[]): (number | null)[] =>
    Array.from({ length: block.length }, (_, slot) => column[slot - shift] ?? null);
  for (const track of other.tracks) {
    block.tracks.push({ ...track, min: moved(track.min), mean: moved(track.mean), max: moved(track.max) });
  }
  return block;
}

const feeds = new Set<Feed>();

/** Opens a feed; it follows the ticks until `closeFeed`. */
export function openFeed(wish: Wish): Feed {
  const feed = new Feed(wish);
  feeds.add(feed);
  void feed.load();
  return feed;
}

export function closeFeed(feed: Feed): void {
  feed.stop();
  feeds.delete(feed);
}

export function feedTick(charts: TickChart[]): void {
  for (const chart of charts) for (const feed of feeds) feed.tick(chart);
}

/** After a lost connection: what was missed is in the server's history. Resolves when every chart has it. */
export async function reloadFeeds(): Promise<void> {
  await Promise.all([...feeds].map((feed) => feed.load()));
}

/** Loads the charts of one source: seconds that were told as empty have been filled since. */
export function reloadOf(source: string): void {
  for (const feed of feeds) if (feed.wish.source === source) void feed.load();
}

/** Loads the charts of all sources but the one whose seconds the stream brings. */
export function reloadOthers(followed: string): void {
  for (const feed of feeds) if (feed.wish.source !== followed) void feed.load();
}
