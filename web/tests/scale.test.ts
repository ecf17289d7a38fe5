import { describe, expect, it } from "vitest";
import { bins, bounded, yRange } from "../src/charts/place";
import { scaleOf } from "../src/charts/scale";
import { sparkScale, trace } from "../src/charts/spark";
import { markWords, powerWord } from "../src/format/number";
import { thin } from "../src/state/series";

/** What a chart of these values has along its axis. */
function axis(values: number[]): string[] {
  const scale = scaleOf(values);
  const drawn = values.map(scale.put);
  for (const height of drawn) expect(Number.isFinite(height)).toBe(true);
  const [low, high] = yRange(Math.min(...drawn), Math.max(...drawn), []);
  return scale.words(scale.marks(low, high, 5));
}

describe("an axis", () => {
  it("is plain where values are", () => {
    expect(axis([48, 52.5])).toEqual(["48", "50", "52"]);
    expect(axis([42.5, 52.4])).toEqual(["42.5", "45.0", "47.5", "50.0", "52.5"]);
    expect(axis([0, 1_204_311])).toEqual(["0", "500,000", "1,000,000"]);
  });
  it("tells neighbours apart also where they differ little", () => {
    expect(axis([50.01, 50.04])).toEqual(["50.01", "50.02", "50.03", "50.04"]);
    expect(axis([12_345_678, 12_345_700]).length).toBe(new Set(axis([12_345_678, 12_345_700])).size);
  });
  it("has millions, billions, then powers of ten", () => {
    expect(axis([0, 4e7])).toEqual(["0", "10\u202fM", "20\u202fM", "30\u202fM", "40\u202fM"]);
    expect(axis([0, 4e10])).toEqual(["0", "10\u202fbn", "20\u202fbn", "30\u202fbn", "40\u202fbn"]);
    expect(axis([-1e300, 1e300])).toEqual(["-1.0e300", "-0.5e300", "0", "0.5e300", "1.0e300"]);
    expect(axis([0, 2e-9])).toEqual(["0", "0.5e-9", "1.0e-9", "1.5e-9", "2.0e-9"]);
  });
  it("is there for the largest and smallest numbers that exist", () => {
    for (const values of [[-Number.MAX_VALUE, Number.MAX_VALUE], [Number.MIN_VALUE, 5e-320], [1e300, 1e300], [0, 0]]) expect(axis(values).length).toBeGreaterThan(1);
  });
  it("is logarithmic where one value is worlds apart from the others, and only there", () => {
    const pump = [1_000, 3e-7, 2e-7, 2e-7, 1e-7, 1e-7, 2e-7];
    expect(scaleOf(pump).log).toBe(true);
    expect(axis(pump).every((word) => /^(0|1e-\d+|0\.\d+|1[0,]*)$/.test(word))).toBe(true);
    expect(axis([20, 21, 22, 1e300])).toContain("0");
    expect(axis([20, 21, 22, 1e300])).toEqual(["0", "1e100", "1e200", "1e300"]);
    expect(scaleOf([20, 21, 22, 1e6]).log).toBe(false);
    expect(scaleOf(pump, false).log).toBe(false);
  });
  it("leads back to the value", () => {
    for (const values of [[-5, 70], [1e300, -1e299], [1e-320, 1e-310], [20, 21, 22, 1e300]]) {
      const scale = scaleOf(values);
      for (const value of values) expect(scale.get(scale.put(value)) / value).toBeCloseTo(1, 3);
    }
  });
  it("has a word for a lonely mark", () => {
    expect(markWords([45.333333])).toEqual(["45.3"]);
    expect([0, 0.001, 1, 1e5, 1e6, -1e300].map(powerWord)).toEqual(["0", "0.001", "1", "100,000", "1e6", "-1e300"]);
  });
});

describe("values without bounds", () => {
  const most = Number.MAX_VALUE;
  it("have differences, bins and small lines", () => {
    expect(bounded(most) - bounded(-most)).toBeLessThan(Infinity);
    expect(bins([-most, 0, most], 18).reduce((sum, bin) => sum + bin.count, 0)).toBe(3);
    const { low, high } = sparkScale([[-most, most]]);
    expect(trace([-most, most, null, 0], 100, 24, low, high).path).not.toMatch(/NaN|Infinity/);
  });
  it("have a mean that is a number", () => {
    const column = [most, most, most, most];
    const block = { start: 0, step: 1_000, length: 4, tracks: [{ key: null, min: column, mean: column, max: column }], lastSecond: 3_000, weight: 1 };
    expect(thin(block, 4).tracks[0]?.mean[0]).toBeLessThanOrEqual(most);
  });
});
