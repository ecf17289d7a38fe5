import { describe, expect, it } from "vitest";
import { degrees, fit } from "../src/charts/geo";
import { bins, spread, ticks, yRange } from "../src/charts/place";
import { sparkScale, trace } from "../src/charts/spark";
import { near, trails } from "../src/charts/trail";
import { surface } from "../src/charts/water";
import { fromHistory } from "../src/state/series";

describe("labels at the lines' ends", () => {
  it("never cover each other and stay inside", () => {
    const placed = spread([10, 11, 12, 200], 15, 0, 200);
    const sorted = [...placed].sort((a, b) => a - b);
    for (let i = 1; i < sorted.length; i += 1) expect((sorted[i] ?? 0) - (sorted[i - 1] ?? 0)).toBeGreaterThanOrEqual(15);
    expect(Math.max(...placed)).toBeLessThanOrEqual(200);
  });
  it("keep the order of their lines", () => {
    const placed = spread([50, 20, 21], 10, 0, 100);
    expect(placed[1]).toBeLessThan(placed[2] ?? 0);
    expect(placed[2]).toBeLessThan(placed[0] ?? 0);
  });
});

describe("axes", () => {
  it("have round marks", () => {
    expect(ticks(0, 10, 5)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(ticks(5, 5, 4)).toEqual([5]);
  });
  it("include a threshold that is near, not one that is far", () => {
    expect(yRange(50, 60, [65], null, null)[1]).toBeGreaterThan(65);
    expect(yRange(50, 52, [90], null, null)[1]).toBeLessThan(60);
  });
  it("are never flat, and obey the file's bounds", () => {
    const [low, high] = yRange(5, 5, []);
    expect(high).toBeGreaterThan(low);
    expect(yRange(5, 6, [], 0, 100)).toEqual([0, 100]);
  });
});

describe("a histogram", () => {
  it("counts every value once", () => {
    const values = Array.from({ length: 500 }, (_, i) => Math.sin(i) * 30 + 50);
    expect(bins(values, 18).reduce((sum, bin) => sum + bin.count, 0)).toBe(500);
  });
  it("survives equal values and values that are no numbers", () => {
    expect(bins([4, 4, NaN], 10)).toEqual([{ from: 4, to: 4, count: 2 }]);
    expect(bins([], 10)).toEqual([]);
  });
});

describe("the map", () => {
  it("holds every point, also a single one", () => {
    const points = [{ lat: 52.3, lon: 13.1 }, { lat: 52.6, lon: 13.7 }];
    const view = fit(points, 400, 300, 30);
    for (const { lat, lon } of points) {
      expect(view?.x(lon)).toBeGreaterThanOrEqual(29.9);
      expect(view?.x(lon)).toBeLessThanOrEqual(370.1);
      expect(view?.y(lat)).toBeGreaterThanOrEqual(29.9);
      expect(view?.y(lat)).toBeLessThanOrEqual(270.1);
    }
    expect(fit([{ lat: 0, lon: 0 }], 400, 300, 30)?.x(0)).toBe(200);
    expect(fit([], 400, 300, 30)).toBeNull();
  });
  it("names degrees with their side of the world", () => {
    expect(degrees(-33.9, "lat", 0.1)).toBe("33.9° S");
    expect(degrees(13, "lon", 5)).toBe("13° E");
  });
});

describe("the way of a device", () => {
  const block = (start: number, tracks: [string, (number | null)[]][]) =>
    fromHistory({ source: "iot", field: "x", step: 1_000, start, series: tracks.map(([key, mean]) => ({ key, min: mean, mean, max: mean })) });
  it("has a place where both are known, on one clock", () => {
    const lat = block(2_000, [["a", [1, 2, null, 4]], ["b", [5, 5, 5, 5]]]);
    const lon = block(1_000, [["a", [9, 10, null, 30, 40]], ["c", [1, 1, 1, 1, 1]]]);
    expect(trails(lat, lon).get("a")).toEqual({ pieces: [[{ lat: 1, lon: 10 }, { lat: 4, lon: 40 }]], last: { lat: 4, lon: 40 } });
    expect([...trails(lat, lon).keys()]).toEqual(["a"]);
  });
  it("breaks where nothing is known for a minute, and where a place is none", () => {
    const silent = new Array<null>(60).fill(null);
    const both = block(0, [["a", [1, 91, 2, ...silent, 3]], ["b", [400, null]]]);
    expect(trails(both, both).get("a")?.pieces.map((piece) => piece.map(({ lat }) => lat))).toEqual([[1, 2], [3]]);
    expect(trails(both, both).has("b")).toBe(false);
  });
  it("has no line to where a receiver jumps, and still tells that it is there now", () => {
    const at = [1, 1.01, 1.02, 50, 1.03, 1.04, 1.05, 50];
    const jumping = block(0, [["a", at]]);
    const trail = trails(jumping, jumping).get("a");
    expect(trail?.pieces.map((piece) => piece.map(({ lat }) => lat))).toEqual([[1, 1.01, 1.02], [1.03, 1.04, 1.05]]);
    expect(trail?.last.lat).toBe(50);
  });
  it("does not make the view of one who is where nobody is", () => {
    const yard = [1, 2, 3, 4].map((n) => ({ lat: 26.3 + n / 1_000, lon: 50.1 - n / 900 }));
    const driving = { lat: 26.9, lon: 50.6 };
    expect(near([...yard, driving, { lat: 0, lon: 0 }])).toEqual([...yard, driving]);
    expect(near([{ lat: 0, lon: 0 }, { lat: 52, lon: 13 }])).toHaveLength(2);
  });
});

describe("a small line", () => {
  it("crosses the usual pause between two readings and breaks at a long silence", () => {
    expect(trace([1, null, null, 3, 4], 100, 24, 0, 5).path.match(/M/g)).toHaveLength(1);
    expect(trace([1, 2, ...new Array<null>(30).fill(null), 3, 4], 100, 24, 0, 5).path.match(/M/g)).toHaveLength(2);
  });
  it("runs in the middle when nothing changes", () => {
    expect(trace([5, 5], 100, 24, 5, 5).path).toBe("M3 12L97 12");
  });
});

describe("the scale of a column of small lines", () => {
  it("is one for all, so that noise is small beside a jump", () => {
    const { low, high } = sparkScale([[50, 51, 50], [48, 79, null]]);
    expect([low, high]).toEqual([48, 79]);
    const heights = (path: string) => [...path.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map((found) => Number(found[1]));
    const noise = heights(trace([50, 51, 50], 100, 24, low, high).path);
    expect(Math.max(...noise) - Math.min(...noise)).toBeLessThan(1);
  });
  it("spans a tenth of the values at least, and takes in limits that are near", () => {
    expect(sparkScale([[100, 100.5]])).toEqual({ low: 95.225, high: 105.275 });
    expect(sparkScale([[50, 60]], { warn: 65, critical: 70 })).toEqual({ low: 50, high: 70 });
    expect(sparkScale([[50, 60]], { warn: 900 })).toEqual({ low: 50, high: 60 });
    expect(sparkScale([[50, 60]], { min: 0, max: 100 })).toEqual({ low: 0, high: 100 });
    expect(sparkScale([[null], []])).toEqual({ low: 0, high: 1 });
  });
});

describe("the water line", () => {
  it("is drawn at any width, also while the window has none", () => {
    for (const width of [0, 1, 3, 4, 5, 360, 5_000]) {
      const points = surface(new Array<number>(900).fill(20), width, 72);
      expect(points.length).toBeGreaterThan(0);
      expect(points.flatMap((point) => point ?? []).every(Number.isFinite)).toBe(true);
    }
  });
  it("fills the basin with the first minutes of a plant, and later with a quarter of an hour", () => {
    const filled = (rates: (number | null)[]) => surface(rates, 480, 72).filter((point) => point !== null).length / surface(rates, 480, 72).length;
    expect(filled(new Array<number>(30).fill(5))).toBeCloseTo(0.5, 1);
    expect(filled([...new Array<null>(600).fill(null), ...new Array<number>(300).fill(5)])).toBeCloseTo(1, 1);
    expect(filled(new Array<number>(900).fill(5))).toBe(1);
  });
  it("has no water where nothing was measured", () => {
    const rates = [...new Array<number>(300).fill(5), ...new Array<null>(300).fill(null), ...new Array<number>(300).fill(5)];
    const points = surface(rates, 900, 72);
    expect(points[Math.floor(points.length / 2)]).toBeNull();
    expect(points[0]).not.toBeNull();
    expect(points.at(-1)).not.toBeNull();
  });
});
