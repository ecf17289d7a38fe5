import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LiveLink } from "../src/api/live";
import type { Hello } from "../src/api/types";
import { NOON } from "./fixtures";

/** A stream of which the test says what it does. */
class Stream {
  static all: Stream[] = [];
  static get last(): Stream {
    return Stream.all[Stream.all.length - 1] as Stream;
  }
  onerror: (() => void) | null = null;
  closed = false;
  private readonly ears = new Map<string, (event: { data: string }) => void>();
  constructor(readonly url: string) {
    Stream.all.push(this);
  }
  addEventListener(name: string, ear: (event: { data: string }) => void): void {
    this.ears.set(name, ear);
  }
  close(): void {
    this.closed = true;
  }
  say(name: string, data: unknown): void {
    this.ears.get(name)?.({ data: JSON.stringify(data) });
  }
}

const hello: Hello = { pipeline: "plant", version: "1", startedAt: NOON, now: NOON };

describe("the live connection", () => {
  let told: string[];
  let link: LiveLink;
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("EventSource", Stream);
    vi.stubGlobal("fetch", () => Promise.reject(new Error("nobody is there")));
    vi.spyOn(Math, "random").mockReturnValue(0);
    Stream.all = [];
    told = [];
    const nothing = (): void => undefined;
    link = new LiveLink({
      hello: (_, again) => told.push(again ? "hello again" : "hello"),
      lost: (attempt, wait) => told.push(`lost ${attempt} ${wait}`),
      tick: nothing,
      devices: nothing,
      values: nothing,
      alert: nothing,
      refused: nothing,
    });
    link.show("view");
  });
  afterEach(() => {
    link.close();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
  const greet = (lived = 0): void => {
    Stream.last.say("hello", hello);
    vi.advanceTimersByTime(lived);
  };

  it("is opened anew without a word when the server ends it, as at a reload", () => {
    greet(3_000);
    Stream.last.onerror?.();
    expect(told).toEqual(["hello"]);
    vi.advanceTimersByTime(250);
    expect(Stream.all).toHaveLength(2);
    greet();
    expect(told).toEqual(["hello", "hello again"]);
  });
  it("is told to be lost when it cannot be opened anew", () => {
    greet(3_000);
    Stream.last.onerror?.();
    vi.advanceTimersByTime(250);
    Stream.last.onerror?.();
    expect(told).toEqual(["hello", "lost 2 500"]);
  });
  it("is told to be lost when the server falls silent", () => {
    greet(6_000);
    expect(told).toEqual(["hello", "lost 1 250"]);
  });
  it("waits longer each time also for a server that greets and hangs up", () => {
    for (let n = 0; n < 4; n += 1) {
      greet();
      Stream.last.onerror?.();
      vi.advanceTimersByTime(5_000);
    }
    expect(told.filter((word) => word.startsWith("lost"))).toEqual(["lost 1 250", "lost 2 500", "lost 3 1000", "lost 4 2000"]);
  });
  it("begins anew after a stream that was worth it", () => {
    greet();
    Stream.last.onerror?.();
    vi.advanceTimersByTime(250);
    greet(3_000);
    Stream.last.onerror?.();
    vi.advanceTimersByTime(250);
    expect(Stream.all).toHaveLength(3);
  });
});
