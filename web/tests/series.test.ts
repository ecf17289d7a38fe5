import { describe, expect, it } from "vitest";
import type { History } from "../src/api/types";
import { columnsOf } from "../src/charts/plot";
import { linear } from "../src/charts/scale";
import { append, bridge, drawn, endOf, extent, firstKnown, fromHistory, middles, thin, thinning, through, windowOf } from "../src/state/series";

const history = (mean: (number | null)[], step = 1_000, start = 60_000): History => ({ source: "iot", field: "t", step, start, series: [{ key: "a", min: mean.map((v) => (v === null ? null : v - 1)), mean, max: mean.map((v) => (v === null ? null : v + 1)) }] });
const second = (t: number, mean: number | null, key: string | null = "a") => ({ source: "iot", field: "t", t, series: [{ key, min: mean === null ? null : mean - 2, mean, max: mean === null ? null : mean + 2 }] });

describe("the window of a chart", () => {
  const MIN = 60_000;
  it("grows with a plant that has just begun, from one minute to all", () => {
    expect(windowOf(15 * MIN, 100 * MIN, 99.5 * MIN, 99.6 * MIN)).toBe(MIN);
    expect(windowOf(15 * MIN, 100 * MIN, 95 * MIN, 96 * MIN)).toBe(5 * MIN);
    expect(windowOf(15 * MIN, 100 * MIN, 10 * MIN, 99 * MIN)).toBe(15 * MIN);
  });
  it("is what there is also where six hours or a day are chosen, in a few steps at least", () => {
    expect(windowOf(360 * MIN, 1000 * MIN, 988 * MIN, 989 * MIN, 10_000)).toBe(12 * MIN);
    expect(windowOf(1440 * MIN, 1000 * MIN, 998 * MIN, 998 * MIN, MIN)).toBe(5 * MIN);
  });
  it("hides nothing that was there before the start, and guesses nothing", () => {
    expect(windowOf(15 * MIN, 100 * MIN, 99 * MIN, 92 * MIN)).toBe(8 * MIN);
    expect(windowOf(15 * MIN, 100 * MIN, null, 99 * MIN)).toBe(15 * MIN);
    expect(windowOf(15 * MIN, 100 * MIN, 99 * MIN, null)).toBe(15 * MIN);
  });
  it("begins with the first reading of any device", () => {
    const track = (...mean: (number | null)[]) => ({ key: null, min: mean, mean, max: mean });
    const block = (...tracks: ReturnType<typeof track>[]) => ({ start: 5_000, step: 1_000, length: 3, tracks, lastSecond: 7_000, weight: 1 });
    expect(firstKnown(block(track(null, null, 1), track(null, 2, null)))).toBe(6_000);
    expect(firstKnown(block(track(null, null, null)))).toBeNull();
  });
});

describe("a chart's history", () => {
  it("grows by a second at its end", () => {
    const block = fromHistory(history([1, 2]));
    expect(append(block, second(62_000, 3), 900_000)).toBe(true);
    expect(block.tracks[0]?.mean).toEqual([1, 2, 3]);
    expect(block.length).toBe(3);
  });
  it("counts no second twice", () => {
    const block = fromHistory(history([1, 2]));
    expect(append(block, second(61_000, 9), 900_000)).toBe(false);
    append(block, second(62_000, 3), 900_000);
    expect(append(block, second(62_000, 9), 900_000)).toBe(false);
    expect(block.tracks[0]?.mean).toEqual([1, 2, 3]);
  });
  it("keeps a gap a gap", () => {
    const block = fromHistory(history([1, 2]));
    append(block, second(64_000, 5), 900_000);
    expect(block.tracks[0]?.mean).toEqual([1, 2, null, null, 5]);
  });
  it("never holds more than its range", () => {
    const block = fromHistory(history([1, 2, 3]));
    for (let t = 63_000; t < 200_000; t += 1_000) append(block, second(t, t), 10_000);
    expect(block.length).toBe(11);
    expect(block.start).toBe(189_000);
    expect(block.tracks[0]?.mean).toHaveLength(11);
  });
  it("starts over after a pause longer than its range", () => {
    const block = fromHistory(history([1, 2, 3]));
    append(block, second(10_000_000, 7), 10_000);
    expect(block.start).toBe(10_000_000);
    expect(block.tracks[0]?.mean).toEqual([7]);
  });
  it("merges seconds into wider steps: extremes exactly", () => {
    const block = fromHistory(history([10], 10_000, 60_000));
    append(block, second(70_000, 20), 900_000);
    append(block, second(71_000, 40), 900_000);
    const [track] = block.tracks;
    expect(track?.mean).toEqual([10, 30]);
    expect(track?.min).toEqual([9, 18]);
    expect(track?.max).toEqual([11, 42]);
  });
  it("takes in a device that was not there before", () => {
    const block = fromHistory(history([1, 2]));
    append(block, second(62_000, 3, "b"), 900_000);
    expect(block.tracks.map((track) => track.key)).toEqual(["a", "b"]);
    expect(block.tracks[1]?.mean).toEqual([null, null, 3]);
    expect(block.tracks[0]?.mean).toEqual([1, 2, null]);
  });
  it("begins from nothing", () => {
    const block = fromHistory({ source: "iot", field: "t", step: 1_000, start: 0, series: [] });
    expect(append(block, second(5_000, 1), 900_000)).toBe(true);
    expect([block.start, block.length]).toEqual([5_000, 1]);
  });
});

describe("thinning", () => {
  it("keeps extremes and the order, aligned to its step", () => {
    const block = fromHistory(history([1, 9, 2, null, 5, 7], 1_000, 61_000));
    const wide = thin(block, 3);
    expect(wide.start).toBe(60_000);
    expect(wide.step).toBe(3_000);
    expect(wide.tracks[0]?.max).toEqual([10, 6, 8]);
    expect(wide.tracks[0]?.min).toEqual([0, 1, 6]);
    expect(wide.tracks[0]?.mean).toEqual([5, 3.5, 7]);
  });
  it("gives an old step the same values while new seconds come", () => {
    const block = fromHistory(history([1, 2, 3, 4, 5, 6], 1_000, 60_000));
    const before = thin(block, 3).tracks[0]?.mean.slice(0, 2);
    append(block, second(66_000, 99), 900_000);
    expect(thin(block, 3).tracks[0]?.mean.slice(0, 2)).toEqual(before);
  });
  it("leaves a gap where nothing was measured", () => {
    expect(thin(fromHistory(history([1, 2, null, null, 5, 6])), 2).tracks[0]?.mean).toEqual([1.5, null, 5.5]);
  });
  it("takes steps that people can name", () => {
    expect(thinning(900, 900)).toBe(1);
    expect(thinning(900, 130)).toBe(10);
    expect(thinning(2160, 200)).toBe(15);
  });
  it("ends at the reading that the table shows, else at the newest second, never before its last step", () => {
    const block = fromHistory(history([1, 2, 3, 70, null]));
    const now = 66_000;
    expect(endOf(block, "a", { at: 65_990, value: 71.5 }, now)).toEqual({ at: 65_990, value: 71.5 });
    expect(endOf(block, "a", null, now)).toEqual({ at: 64_000, value: 70 });
    expect(endOf(block, "a", { at: 0, value: 9 }, now)).toEqual({ at: 63_501, value: 9 });
    expect(endOf(block, "nobody", { at: 0, value: 9 }, now)).toBeNull();
    append(block, second(65_000, 80), 900_000);
    const wide = thin(block, 30);
    expect(endOf(wide, "a", null, now)).toEqual({ at: 66_001, value: 80 });
  });
  it("draws each line to its end, whatever the width of the steps", () => {
    const block = drawn(fromHistory(history(Array.from({ length: 90 }, (_, i) => i), 1_000, 60_000)), 900, 30, 0, "max", ["a"]).block;
    const ends = [{ at: 150_400, value: 41 }, { at: 149_000, value: 7 }];
    const tracks = ["a", "b"].map((key, colour) => ({ key, name: key, colour }));
    const columns = columnsOf({ block, tracks, ends, scale: linear(1), now: 150_500 }) as (number | null)[][];
    const x = columns[0] as number[];
    expect(x.every((at, i) => i === 0 || at > (x[i - 1] ?? 0))).toBe(true);
    expect([x.at(-1), columns[3]?.at(-1)]).toEqual([150.4, 41]);
    expect(columns[6]?.[x.indexOf(149)]).toBe(7);
    expect(columns[3]?.[x.indexOf(149)]).toBeNull();
  });
  it("puts no step beyond now", () => {
    expect(middles(fromHistory(history([1, 2], 10_000, 60_000)), 72_000)).toEqual([65_000, 72_000]);
  });
  it("hides no crossing: where there is a limit, every width of chart shows the highest", () => {
    const peaks = fromHistory(history(Array.from({ length: 900 }, (_, i) => (i === 450 ? 79 : 40 + 20 * Math.abs(Math.sin(i * i))))));
    for (const points of [900, 200, 60, 20]) {
      const shown = drawn(peaks, 900, points, 0, through(65, 70), ["a"]);
      expect(shown.calmed).toBe(false);
      expect(Math.max(...(shown.block.tracks[0]?.mean ?? []).map(Number))).toBe(80);
      expect(shown.block.tracks[0]?.min.some((low) => low !== null && low < 45)).toBe(true);
    }
    expect(Math.max(...(drawn(peaks, 900, 60, 0, "max", []).block.tracks[0]?.mean ?? []).map(Number))).toBeLessThan(70);
  });
  it("takes a critical value below the warning for a lower limit", () => {
    expect([through(null, null), through(5, null), through(65, 70), through(20, 10)]).toEqual(["mean", "max", "max", "min"]);
  });
  it("draws noise in wider steps whose band holds every extreme, and stays at that", () => {
    const noise = fromHistory(history(Array.from({ length: 900 }, (_, i) => 20 + 60 * Math.abs(Math.sin(i * i)))));
    const first = drawn(noise, 900, 300, 0);
    expect([first.factor, first.calmed]).toEqual([15, true]);
    const [raw] = noise.tracks;
    const [shown] = first.block.tracks;
    expect(Math.max(...(shown?.max ?? []).map(Number))).toBe(Math.max(...(raw?.max ?? []).map(Number)));
    const smooth = fromHistory(history(Array.from({ length: 900 }, (_, i) => Math.sin(i / 90))));
    expect(drawn(smooth, 900, 300, 0).factor).toBe(3);
    expect(drawn(smooth, 900, 300, 15).factor).toBe(15);
  });
  it("crosses the usual pause of a device and no longer silence", () => {
    const often = fromHistory(history([1, 2, 3, 4]));
    const seldom = fromHistory(history([1, ...new Array<null>(9).fill(null), 2, ...new Array<null>(9).fill(null), 3]));
    expect(often.tracks[0] && bridge(often, often.tracks[0])).toBe(30_000);
    expect(seldom.tracks[0] && bridge(seldom, seldom.tracks[0])).toBe(100_000);
  });
  it("knows last, least and most", () => {
    const [track] = fromHistory(history([3, 8, null])).tracks;
    expect(track && extent(track)).toEqual({ last: 8, min: 2, max: 9 });
  });
});
