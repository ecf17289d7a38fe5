import { describe, expect, it } from "vitest";
import type { DeviceClock } from "../src/api/types";
import { clockOff, clocksOff, ofQuery } from "../src/state/clocks";

const HOUR = 3_600_000;
const clock = (offset: number, state: DeviceClock["state"]): DeviceClock => ({ offset, latest: offset, state, ahead: 0, behind: 0 });

describe("clocks that are off", () => {
  it("are told with how far", () => {
    expect(clockOff(clock(2 * HOUR, "ahead"))).toMatch(/^2(\.0)? h ahead$/);
    expect(clockOff(clock(-40_000, "behind"))).toMatch(/^40 s behind$/);
    for (const right of [clock(4_000, "right"), null, undefined]) expect(clockOff(right)).toBeNull();
  });

  it("are counted, and the worst is named", () => {
    const iot = { source: "iot", clocks: { ahead: 3, behind: 1, worst: [{ key: "press-17", offset: 2 * HOUR }, { key: "b", offset: 400_000 }] } };
    const slow = { source: "slow", clocks: { ahead: 0, behind: 1, worst: [{ key: "pump", offset: -20_000 }] } };
    const right = { source: "right", clocks: { ahead: 0, behind: 0, worst: [] } };
    expect(clocksOff([iot])).toMatch(/^3 devices ahead, 1 behind; worst press-17, 2(\.0)? h ahead$/);
    expect(clocksOff([right, slow])).toMatch(/^slow: 1 device behind; worst pump, 20 s behind$/);
    expect(clocksOff(ofQuery([iot, slow], ["iot"]))).toMatch(/^3 devices ahead, 1 behind/);
    expect(clocksOff(ofQuery([right, slow], ["right"]))).toBeNull();
    expect(ofQuery([right, slow], undefined)).toEqual([right, slow]);
    for (const none of [[], [right], [{ source: "timeless", clocks: null }]]) expect(clocksOff(none)).toBeNull();
  });
});
