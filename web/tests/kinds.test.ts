import { describe, expect, it } from "vitest";
import type { Alert } from "../src/api/types";
import { covered, kinds, merged, mutes, newer, story, wanted, worst } from "../src/state/kinds";
import { alert, NOON } from "./fixtures";

const MINUTE = 60_000;
const cleared = (id: string, from: number, to: number, more: Partial<Alert> = {}): Alert => alert(id, { state: "cleared", openedAt: NOON + from, clearedAt: NOON + to, ...more });

describe("kinds of alerts", () => {
  it("are rules at a severity, the worst first, each counted open and cleared", () => {
    const list = [alert("1", { rule: "low", severity: "info" }), alert("2"), alert("3"), cleared("4", 0, 1), alert("5", { rule: "fast", severity: "warning" }), alert("6", { severity: "warning" })];
    expect(kinds(list)).toEqual([
      { rule: "overheat", severity: "critical", open: 2, cleared: 1 },
      { rule: "fast", severity: "warning", open: 1, cleared: 0 },
      { rule: "overheat", severity: "warning", open: 1, cleared: 0 },
      { rule: "low", severity: "info", open: 1, cleared: 0 },
    ]);
    expect(kinds([])).toEqual([]);
  });
});

describe("who is worst", () => {
  const list = [
    cleared("1", -9 * MINUTE, -8 * MINUTE, { key: "a" }),
    cleared("2", -7 * MINUTE, -6 * MINUTE, { key: "a" }),
    alert("3", { key: "b", openedAt: NOON - 30 * MINUTE, severity: "warning" }),
    cleared("4", -4 * MINUTE, -3 * MINUTE, { key: null }),
    cleared("5", -4 * MINUTE, -3 * MINUTE, { key: "a", source: "mains" }),
  ];
  it("is who had most alerts, or was in one for longest; what is open counts until now", () => {
    expect(worst(list, "count", NOON).map(({ source, key, count, ms, severity }) => [source, key, count, ms / MINUTE, severity])).toEqual([
      ["iot", "a", 2, 2, null],
      ["iot", "b", 1, 30, "warning"],
      ["iot", null, 1, 1, null],
      ["mains", "a", 1, 1, null],
    ]);
    expect(worst(list, "ms", NOON)[0]?.key).toBe("b");
  });
  it("counts time in which two were open once, and none of one that opens in the future", () => {
    expect(covered([[0, 10], [5, 15], [6, 7], [20, 30], [30, 31]])).toBe(26);
    expect(covered([])).toBe(0);
    expect(worst([alert("1", { openedAt: NOON + MINUTE })], "ms", NOON)[0]?.ms).toBe(0);
  });
});

describe("what is muted", () => {
  it("is what is open and nobody is told of, by what mutes it", () => {
    const list = [alert("1", { muted: "silence nights" }), alert("2", { muted: "inhibited by stopped" }), alert("3", { muted: "silence nights" }), alert("4"), cleared("5", 0, 1, { muted: "silence nights" })];
    expect(mutes(list).map(({ by, alerts }) => [by, alerts.map(({ id }) => id)])).toEqual([["silence nights", ["1", "3"]], ["inhibited by stopped", ["2"]]]);
  });
});

describe("what is wanted", () => {
  const list = [alert("1", { key: "press-1" }), alert("2", { key: "press-10", severity: "info" }), cleared("3", 0, 1, { key: "oven", message: "Press the button" }), alert("4", { key: null, rule: "other" })];
  const all = { is: "", rule: "", severity: "", find: "" } as const;
  const ids = (choice: Partial<Parameters<typeof wanted>[1]>): unknown[] => wanted(list, { ...all, ...choice }).map(({ id }) => id);
  it("is everything, or what state, rule and severity say", () => {
    expect([ids({}), ids({ is: "open" }), ids({ is: "cleared" }), ids({ rule: "other" }), ids({ severity: "info" }), ids({ severity: "info", is: "cleared" })]).toEqual([["1", "2", "3", "4"], ["1", "2", "4"], ["3"], ["4"], ["2"], []]);
  });
  it("is a part of key or message, whatever its letters; a whole key is that one alone", () => {
    expect([ids({ find: "PRESS" }), ids({ find: "press-1" }), ids({ find: "press-10" }), ids({ find: "zzz" })]).toEqual([["1", "2", "3"], ["1"], ["2"], []]);
  });
});

describe("the story of an alert", () => {
  it("begins with its opening, and tells levels, people and end by time", () => {
    const remark = (at: number, comment?: string) => ({ at: NOON + at, by: "ana", ...(comment ? { comment } : {}) });
    const all = cleared("1", 0, 9, { levels: [{ at: NOON + 5, severity: "critical", value: { t: 91 } }], acknowledged: remark(7), comments: [remark(3, "why?")], clearedValue: { t: 60 } });
    expect(story(all).map(({ what, at }) => [what, at - NOON])).toEqual([["opened", 0], ["comment", 3], ["level", 5], ["acknowledged", 7], ["cleared", 9]]);
    expect(story(all)[4]?.value).toEqual({ t: 60 });
    // At which level it opened is known only of one that never changed.
    expect([story(all)[0]?.severity, story(alert("2"))[0]?.severity]).toEqual([undefined, "critical"]);
  });
  it("keeps its beginning where people's clock is before the records'", () => {
    expect(story(alert("1", { openedAt: NOON, acknowledged: { at: NOON - 5, by: "ana" } })).map(({ what }) => what)).toEqual(["opened", "acknowledged"]);
  });
});

describe("two words on one alert", () => {
  it("are settled by steps, then by its end, then by comments", () => {
    const open = alert("1", { step: 1 });
    const said = alert("1", { step: 1, comments: [{ at: 1, by: "ana", comment: "x" }] });
    const taken = alert("1", { step: 2 });
    const over = alert("1", { step: 2, state: "cleared" });
    expect([newer(open, taken), newer(taken, open), newer(taken, over), newer(over, taken), newer(said, open), newer(open, said)]).toEqual([taken, taken, over, over, said, said]);
  });
  it("make one list in which each alert is once", () => {
    expect(merged([alert("1", { step: 1 }), alert("2")], [alert("1", { step: 2 }), alert("3")]).map(({ id, step }) => [id, step])).toEqual([["1", 2], ["2", undefined], ["3", undefined]]);
  });
});
