// The live connection: one server-sent event stream per view.
//
// It promises three things: the newest view wins (an older stream is closed before the next one opens, so slices never
// mix); a silent server counts as a lost one, because a half-open connection reports no error; and it never gives up,
// waiting longer each time, at most five seconds. What was missed in between is not guessed: the greeting of the new
// stream says that one was lost, and the page loads history and alerts again. A stream that ends, as at a reload of the
// pipeline, is opened anew at once, and only if that fails does anybody hear of it.
import type { Alert, DeviceSlice, Hello, Tick, Values } from "./types";
import { type ApiError, problem, ROOT } from "./http";

export interface LiveHandlers {
  /** A stream is open; `again` if one was lost before, also where `lost` was not told. */
  hello(data: Hello, again: boolean): void;
  tick(data: Tick): void;
  devices(data: DeviceSlice): void;
  values(data: Values): void;
  alert(data: Alert): void;
  /** The stream is lost; the next attempt comes in `wait` ms. */
  lost(attempt: number, wait: number): void;
  /** The server answers, but refuses this view: what it says about it. */
  refused(error: ApiError): void;
}

/** Ticks come once a second: this long without any means that nobody is there. */
const SILENCE_MS = 6_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
/** A stream that ends sooner than this has not been worth much: the next one waits as if it had not been. */
const WORTH_MS = 2_000;

/** The pause before attempt `attempt` (from 1): doubled each time, at most 5 s, up to a fifth shorter by `dice` in [0, 1). */
export function backoff(attempt: number, dice: number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt - 1, 10));
  return Math.round(full * (1 - dice / 5));
}

export class LiveLink {
  private stream: EventSource | null = null;
  private query: string | null = null;
  private attempt = 0;
  /** When the stream was greeted; null before. */
  private greeted: number | null = null;
  /** The attempt that led to this stream. */
  private cost = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly on: LiveHandlers) {}

  /** Shows the view that `query` describes; does nothing if it is shown already. */
  show(query: string): void {
    if (query === this.query && this.stream) return;
    this.query = query;
    this.open();
  }

  /** Tries at once instead of after the pause. */
  hurry(): void {
    if (this.query !== null && this.attempt > 0) this.open();
  }

  close(): void {
    clearTimeout(this.retry);
    clearTimeout(this.silence);
    this.stream?.close();
    this.stream = null;
  }

  private open(): void {
    this.close();
    const stream = new EventSource(`${ROOT}/live?${this.query ?? ""}`);
    this.stream = stream;
    this.greeted = null;
    const listen = <T>(name: string, act: (data: T) => void): void => {
      stream.addEventListener(name, (event) => {
        if (stream !== this.stream) return;
        this.heard();
        act(JSON.parse((event as MessageEvent<string>).data) as T);
      });
    };
    listen<Hello>("hello", (data) => {
      this.cost = this.attempt;
      this.attempt = 0;
      this.greeted = Date.now();
      this.on.hello(data, this.cost > 0);
    });
    listen<Tick>("tick", (data) => this.on.tick(data));
    listen<DeviceSlice>("devices", (data) => this.on.devices(data));
    listen<Values>("values", (data) => this.on.values(data));
    listen<Alert>("alert", (data) => this.on.alert(data));
    stream.onerror = () => {
      if (stream === this.stream) this.fail(this.wasWorth());
    };
    this.heard();
  }

  private heard(): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.fail(false), SILENCE_MS);
  }

  /** The stream is of no use any more; `ended` if it was, and the server closed it. */
  private fail(ended: boolean): void {
    this.close();
    if (this.greeted === null) void this.ask();
    else if (!this.wasWorth()) this.attempt = this.cost;
    this.attempt += 1;
    const wait = backoff(this.attempt, Math.random());
    if (!ended) this.on.lost(this.attempt, wait);
    this.retry = setTimeout(() => this.open(), wait);
  }

  private wasWorth(): boolean {
    return this.greeted !== null && Date.now() - this.greeted >= WORTH_MS;
  }

  /** A stream cannot tell why it does not open; a plain request can. */
  private async ask(): Promise<void> {
    const control = new AbortController();
    const query = this.query;
    try {
      const answer = await fetch(`${ROOT}/live?${query ?? ""}`, { signal: control.signal, credentials: "same-origin" });
      const refuses = answer.status >= 400 && answer.status < 500;
      if (refuses && query === this.query) this.on.refused(problem(answer.status, await answer.text()));
    } catch {
      // Nobody is there; the next attempt will see.
    }
    control.abort();
  }
}
