import { describe, expect, it } from "vitest";
import { unexpected } from "../src/state/unexpected";

describe("expectations that rows failed", () => {
  it("are told with how many did, the worst first", () => {
    expect(unexpected({ unexpected: [{ name: "vin_required", rows: 2 }, { name: "speed_range", rows: 7 }] })).toBe("speed_range 7, vin_required 2");
    for (const none of [[], null, undefined]) expect(unexpected({ unexpected: none })).toBeNull();
    const many = Array.from({ length: 10 }, (_, index) => ({ name: `e${index}`, rows: 10 - index }));
    expect(unexpected({ unexpected: many })).toMatch(/^e0 10, .*, e7 3, 2 more$/);
  });
});
