import { describe, expect, it } from "vitest";
import { Caught } from "../src/state/caught";

const NOW = 1_800_000_000_000;

describe("what the server read late", () => {
  const asked = (caught: Caught, caughtUp: number | null | undefined, at = 0, age = 60_000) => caught.again([{ source: "iot", caughtUp }], NOW + at, age);

  it("is loaded once, when it is all there", () => {
    const caught = new Caught();
    expect(asked(caught, NOW - 90_000)).toEqual([]);
    expect(asked(caught, NOW - 90_000, 1_000)).toEqual([]);
    expect(asked(caught, NOW + 1_500, 2_000)).toEqual(["iot"]);
    expect(asked(caught, NOW + 1_500, 3_000)).toEqual([]);
  });

  it("is news after a restart, whose backlog takes its time", () => {
    const caught = new Caught();
    asked(caught, NOW - 90_000);
    for (const at of [1_000, 2_000, 3_000]) expect(asked(caught, null, at)).toEqual([]);
    expect(asked(caught, NOW + 3_500, 4_000)).toEqual(["iot"]);
  });

  it("is news for a page that is younger than it", () => {
    expect(asked(new Caught(), NOW - 500, 0, 2_000)).toEqual(["iot"]);
    expect(asked(new Caught(), NOW - 5_000, 0, 2_000)).toEqual([]);
  });

  it("is not asked for all the time, and not forgotten either", () => {
    const caught = new Caught();
    asked(caught, NOW - 90_000);
    expect(asked(caught, NOW + 1_000, 1_000)).toEqual(["iot"]);
    expect(asked(caught, NOW + 3_000, 3_000)).toEqual([]);
    expect(asked(caught, NOW + 3_000, 6_000)).toEqual(["iot"]);
  });

  it("is of one source, and a server that does not tell it is asked nothing", () => {
    const caught = new Caught();
    const readers = (two: number) => [{ source: "one", caughtUp: 5 }, { source: "two", caughtUp: two }, { source: "old" }];
    expect(caught.again(readers(5), NOW, 1_000)).toEqual([]);
    expect(caught.again(readers(6), NOW, 1_000)).toEqual(["two"]);
  });
});
