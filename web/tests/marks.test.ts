import { describe, expect, it } from "vitest";
import { marksOf } from "../src/charts/marks";
import { seconds } from "../src/charts/shape";
import { doing } from "../src/state/cycles";

describe("events on a timeline", () => {
  it("lose none that lies in the range, however many share a place", () => {
    const times = Array.from({ length: 1_000 }, (_, i) => 1_000 + i * 7);
    const marks = marksOf(times, 1_000, 8_000, 400);
    expect(marks.reduce((sum, mark) => sum + mark.count, 0)).toBe(1_000);
    expect(marks.length).toBeLessThanOrEqual(100);
    expect(marks.every((mark, i) => mark.x > (marks[i - 1]?.x ?? -1) && mark.x <= 400 && mark.from <= mark.to)).toBe(true);
  });
  it("are none outside of the range, and stand where they happened", () => {
    expect(marksOf([0, 999, 8_001], 1_000, 8_000, 400)).toEqual([]);
    const [first, last] = marksOf([8_000, 1_000], 1_000, 8_000, 400);
    expect(first).toMatchObject({ count: 1, from: 1_000 });
    expect([first?.x, last?.x]).toEqual([2, 398]);
    expect(marksOf([1], 1, 1, 0)).toHaveLength(1);
  });
  it("are told in UTC where their text has no zone", () => {
    for (const text of ["2026-11-22 12:00:00", "2026-11-22T12:00:00Z", "2026-11-22T13:00:00+01:00"]) expect(seconds(text)).toBe(Date.UTC(2026, 10, 22, 12) / 1e3);
    expect(seconds("no time")).toBeNull();
  });
});

describe("a cycle in a line", () => {
  const cycle = { stage: "collecting", number: 1, since: 1_000, every: 120_000, repeat: 3 } as const;
  it("tells which it is and when its archive comes", () => {
    expect(doing(cycle, 61_000)).toMatch(/^cycle 1 of 3 collects since .*, archived in 60 s$/);
    expect(doing(cycle, 122_000)).toMatch(/archived after this epoch$/);
    expect(doing({ ...cycle, stage: "merging", since: null }, 0)).toBe("cycle 1 of 3 is over: its files become one");
    expect(doing({ ...cycle, stage: "waiting", number: null, since: null }, 0)).toBe("has not begun");
    expect(doing({ ...cycle, stage: "done", number: 3, since: null }, 0)).toBe("done: cycle 3 of 3");
  });
});
