import { describe, expect, it } from "vitest";
import type { JudgedStep, SourceQuality } from "../src/api/quality";
import { asideFor, begins, ceiling, chosen, cost, costOfAll, flaggedSql, followed, gathered, lines, mark, pieces, qualityOf, stepFor } from "../src/state/quality";

const MINUTE = 60_000;
const step = (at: number, rows: number, rules: Record<string, number> = {}, unreadable = 0): JudgedStep => ({ at: at * MINUTE, rows, failed: Math.max(0, ...Object.values(rules)), unreadable, rules });
const rule = (name: string, failed: number) => ({ name, onFail: "flag" as const, failed, nanosPerRow: 10 });
const of = (more: Partial<SourceQuality>): SourceQuality => ({ query: "lake", source: "cars", rows: 0, failed: 0, unreadable: 0, rules: [], devices: [], others: 0, total: { rows: 0, failed: 0, unreadable: 0 }, points: [], ...more });

describe("what is looked at", () => {
  const all = [of({}), of({ query: "hot" }), of({ query: "hot", source: "vans" })];
  it("is what the address names, in whole or in part, else the first that has judged anything", () => {
    expect(chosen(all, { judge: "", judged: "" })).toBe(all[0]);
    expect(chosen(all, { judge: "hot", judged: "" })).toBe(all[1]);
    expect(chosen(all, { judge: "", judged: "vans" })).toBe(all[2]);
    expect(chosen(all, { judge: "gone", judged: "vans" })).toBe(all[0]);
    const busy = of({ query: "busy", total: { rows: 0, failed: 0, unreadable: 1 } });
    expect(chosen([...all, busy], { judge: "", judged: "" })).toBe(busy);
    expect(chosen([...all, busy], { judge: "hot", judged: "" })).toBe(all[1]);
    expect(chosen([], { judge: "", judged: "" })).toBeNull();
  });
});

describe("lines of rules", () => {
  it("are shares of each step, of those that failed, in the order of the file; nothing judged is no share", () => {
    const drawn = lines(of({ unreadable: 5, rules: [rule("a", 0), rule("b", 1), rule("c", 6)], points: [step(0, 10, { b: 1, c: 5 }), step(1, 0, {}, 5), step(2, 4, { c: 1 })] }), "");
    expect(drawn.map((line) => [line.rule, line.shares])).toEqual([
      ["b", [0.1, null, 0]],
      ["c", [0.5, null, 0.25]],
      [null, [0, 1, 0]],
    ]);
    expect(drawn[0]).toMatchObject(mark(1));
    expect(ceiling(drawn)).toBe(1);
    expect(ceiling([])).toBe(0.001);
  });
  it("are the six worst, and the one that is looked at", () => {
    const rules = Array.from({ length: 9 }, (_, n) => rule(`r${n}`, n + 1));
    expect(lines(of({ rules }), "").map((line) => line.rule)).toEqual(["r3", "r4", "r5", "r6", "r7", "r8"]);
    expect(lines(of({ rules }), "r0").map((line) => line.rule)).toEqual(["r0", "r4", "r5", "r6", "r7", "r8"]);
    expect(lines(of({ rules: [rule("calm", 0)] }), "calm")).toHaveLength(1);
  });
  it("differ in colour or dash, however many there are", () => {
    const all = Array.from({ length: 36 }, (_, index) => JSON.stringify(mark(index)));
    expect(new Set(all).size).toBe(36);
  });
  it("break where a step is missing and where nothing was judged", () => {
    const points = [step(0, 1), step(1, 1), step(3, 1), step(4, 0), step(5, 1)];
    expect(pieces(points, [0, 0.5, 0, null, 1], MINUTE)).toEqual([[0, 1], [2], [4]]);
    expect(pieces([], [], MINUTE)).toEqual([]);
  });
});

describe("steps that are drawn", () => {
  it("are longer where there is less room, and sum exactly what they hold", () => {
    expect(stepFor(180 * MINUTE, MINUTE, 4_000)).toBe(MINUTE);
    expect(stepFor(180 * MINUTE, MINUTE, 700)).toBe(5 * MINUTE);
    expect(stepFor(180 * MINUTE, MINUTE, 1)).toBe(30 * MINUTE);
    const points = [step(3, 10, { a: 1 }), step(4, 20, { b: 2 }, 1), step(5, 30, { a: 3 })];
    const before = JSON.stringify(points);
    expect(gathered(points, 5 * MINUTE)).toEqual([{ at: 0, rows: 30, failed: 3, unreadable: 1, rules: { a: 1, b: 2 } }, { ...points[2], at: 5 * MINUTE }]);
    expect(JSON.stringify(points)).toBe(before);
  });
});

describe("the time that is shown", () => {
  const asked = { from: 0, to: 180 * MINUTE, step: MINUTE };
  const young = (at: number, ever = 1) => ({ rows: 1, unreadable: 0, total: { rows: ever, failed: 0, unreadable: 0 }, points: [step(at, 1)] });
  it("begins where what was judged began, and not with what merely came after a silence", () => {
    expect(begins(young(100), asked)).toBe(100 * MINUTE);
    expect(begins(young(179), asked)).toBe(165 * MINUTE);
    expect(begins(young(100, 2), asked)).toBe(0);
    expect(begins({ ...young(0), points: [] }, asked)).toBe(0);
    expect(begins(young(-1), asked)).toBe(0);
  });
});

describe("what it costs", () => {
  it("is told in the unit that fits, and not at all before it is known", () => {
    expect([null, 0, 0.4, 3.24, 41.6, 1_234, 56_000].map(cost)).toEqual(["–", "<1 ns", "<1 ns", "3.2 ns", "42 ns", "1.2 µs", "56 µs"]);
    expect(costOfAll([])).toBeNull();
    expect(costOfAll([rule("a", 0), { ...rule("b", 0), nanosPerRow: null }, rule("c", 0)])).toBe(20);
  });
});

describe("where the records are", () => {
  const record = (why: string, more = {}) => ({ id: why, queries: ["lake"], sources: ["Cars"], code: "expect.range", why, at: 0, topic: "t", partition: 0, offset: 0, raw: null, ...more });
  it("are those of the source that were set aside for the rule, as `why` names it", () => {
    const all = [record("expectation `speed` failed: 4"), record("expectation `speed_2` failed: 4"), record("expectation `a` failed: 1; expectation `speed` failed: 4"), record("expectation `speed` failed: x", { sources: ["vans"] }), record("refused", { refusedBy: "lake" })];
    expect(asideFor(all, "cars", "speed")).toEqual([all[0], all[2]]);
    expect(asideFor(all, "cars", "")).toEqual(all.slice(0, 3));
  });
  it("in SQL are named as texts and names, whatever they hold", () => {
    expect(flaggedSql("a b", "it's \\")).toBe("SELECT *\nFROM `a b`\nWHERE array_contains(_failed_expectations, 'it\\'s \\\\')\nLIMIT 100");
  });
  it("and their devices are those of the source itself, or of a view of it", () => {
    const source = (name: string, reads: string | null) => ({ name, reads, topic: "", key: null, fields: [] });
    const all = [source("view", "cars"), source("cars", null)];
    expect(followed(all, "cars")?.name).toBe("cars");
    expect(followed(all.slice(0, 1), "cars")?.name).toBe("view");
    expect(followed([], "cars")).toBeNull();
  });
});

describe("an older server", () => {
  it("costs details", () => {
    const raw = { from: 0, to: 1, step: 1, sources: [{ ...of({}), points: [{ at: 0, rows: 1, failed: 0, unreadable: 0 }], devices: [{ key: "a", failed: 1 }] }] };
    expect(qualityOf(raw as never).sources[0]).toMatchObject({ points: [{ rules: {} }], devices: [{ rules: {} }] });
  });
});
