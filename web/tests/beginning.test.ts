import { afterEach, describe, expect, it } from "vitest";
import { beginning, firstIn, knowsFrom } from "../src/state/beginning";

describe("the range that all charts share", () => {
  const [line, events] = [{}, {}];
  afterEach(() => [line, events].forEach((chart) => knowsFrom(chart, null)));
  it("begins where the chart does that knows the most", () => {
    expect(beginning.value).toBeNull();
    knowsFrom(line, 70);
    knowsFrom(events, 40);
    expect(beginning.value).toBe(40);
    knowsFrom(events, null);
    expect(beginning.value).toBe(70);
    knowsFrom(line, -Infinity);
    expect(beginning.value).toBe(-Infinity);
  });
  it("is not made wider by events that nobody sees", () => {
    expect(firstIn([10, 60, 50], 40)).toBe(50);
    expect(firstIn([10], 40)).toBeNull();
    expect(firstIn([], 40)).toBeNull();
  });
});
