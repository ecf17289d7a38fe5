// Whose charts have holes that the server has filled since.
//
// A tick brings the newest second that is over, as far as the server has read: while it is behind, after a restart with a
// backlog, that second is empty, and what fills it comes with no tick. So the server says when it caught up last, and the
// history is loaded again whenever that is news.

export interface Reader {
  source: string;
  /** When its reader came to the source's end after it had not been there, ms of the server; null before the first time. */
  caughtUp?: number | null;
}

/** A server that falls behind again and again is not asked more often than this. */
const EVERY_MS = 5_000;

export class Caught {
  private readonly seen = new Map<string, number | null>();
  private readonly loaded = new Map<string, number>();

  /** The sources whose history is to be loaded again at `now`; `age` is for how long the page has been there, both ms. */
  again(readers: Reader[], now: number, age: number): string[] {
    return readers.filter((reader) => this.isNews(reader, now, age)).map(({ source }) => source);
  }

  private isNews({ source, caughtUp = null }: Reader, now: number, age: number): boolean {
    const before = this.seen.get(source);
    const news = caughtUp !== null && (before === undefined ? now - caughtUp < age : before !== caughtUp);
    if (news && now - (this.loaded.get(source) ?? -Infinity) < EVERY_MS) return false;
    this.seen.set(source, caughtUp);
    if (news) this.loaded.set(source, now);
    return news;
  }
}
