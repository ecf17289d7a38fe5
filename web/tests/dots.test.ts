import { describe, expect, it } from "vitest";
import { placed, toward } from "../src/charts/dots";

describe("an arrow key on a map", () => {
  const dots = [{ x: 100, y: 100 }, { x: 200, y: 110 }, { x: 120, y: 190 }, { x: 90, y: 20 }, { x: 0, y: 100 }, { x: 130, y: 195 }];
  it("goes to the nearest that lies more that way than beside it", () => {
    expect((["right", "down", "up", "left"] as const).map((way) => toward(dots, 0, way))).toEqual([1, 2, 3, 4]);
  });
  it("stays where nothing lies that way, or nobody is", () => {
    expect([toward(dots, 3, "up"), toward(dots, 9, "up"), toward([], 0, "left"), toward([{ x: 1, y: 1 }, { x: 1, y: 1 }], 0, "right")]).toEqual([-1, -1, -1, -1]);
  });
});

describe("words beside dots", () => {
  const size = { width: 200, height: 100 };
  it("stand to the right, else to the left, above or below, and inside of the map", () => {
    expect(placed([{ x: 20, y: 50 }], [40], size)).toEqual([{ x: 34, y: 50 }]);
    expect(placed([{ x: 190, y: 50 }], [40], size)).toEqual([{ x: 136, y: 50 }]);
    expect(placed([{ x: 100, y: 50 }], [120], size)).toEqual([{ x: 40, y: 32 }]);
  });
  it("never cover a mark or one another: the first has the place, and who has none is left out", () => {
    const crowd = Array.from({ length: 30 }, (_, n) => ({ x: 80 + (n % 6) * 4, y: 40 + Math.floor(n / 6) * 4 }));
    const places = placed(crowd, crowd.map(() => 40), size);
    expect(places[0]).not.toBeNull();
    const boxes = places.flatMap((place) => (place ? [{ left: place.x, right: place.x + 40, top: place.y - 7, bottom: place.y + 7 }] : []));
    expect(boxes.length).toBeGreaterThan(1);
    expect(boxes.length).toBeLessThan(30);
    for (const [index, one] of boxes.entries()) {
      for (const other of boxes.slice(index + 1)) expect(one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom).toBe(false);
      for (const { x, y } of crowd) expect(x > one.left && x < one.right && y > one.top && y < one.bottom).toBe(false);
    }
  });
});
