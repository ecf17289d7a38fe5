import { describe, expect, it } from "vitest";
import type { Labels, Shares } from "../src/api/types";
import { choiceOf, choose, chosen, drawnLabels, firstStep, ranked, stacked, tones, understood, valuesOf } from "../src/state/fleet";
import { source } from "./fixtures";

const LABELS = ["customerId", "status", "a:b"];

describe("a choice of labels", () => {
  it("is read by the labels there are, also where a name holds a colon", () => {
    expect(choiceOf("status:ERROR", LABELS)).toEqual({ field: "status", value: "ERROR" });
    expect(choiceOf("a:b:c:d", LABELS)).toEqual({ field: "a:b", value: "c:d" });
    expect(choiceOf("status:", LABELS)).toEqual({ field: "status", value: "" });
    expect(choiceOf("statusERROR", LABELS)).toBeNull();
    expect(choiceOf("temperature:3", LABELS)).toBeNull();
  });
  it("is one for each label, and is taken back alone", () => {
    const one = choose([], "status", "ERROR", LABELS);
    const both = choose(one, "customerId", "C1", LABELS);
    expect(choose(both, "status", "SUCCESS", LABELS)).toEqual(["customerId:C1", "status:SUCCESS"]);
    expect(choose(both, "status", null, LABELS)).toEqual(["customerId:C1"]);
    expect([chosen(both, "status", LABELS), chosen(both, "a:b", LABELS)]).toEqual(["ERROR", null]);
  });
  it("of a label that the source does not have is not asked for", () => {
    expect(understood(["status:ERROR", "hall:7"], source({ labels: ["status"] }))).toEqual(["status:ERROR"]);
    expect(understood(["status:ERROR"], source())).toEqual([]);
    expect(understood(["status:ERROR"], null)).toEqual([]);
  });
});

describe("the pictures of labels", () => {
  const facet = (field: string, values: number, others = 0) => ({ field, others, values: Array.from({ length: values }, (_, i) => ({ value: `v${i}`, devices: 1 })) });
  it("are of those with few values", () => {
    const labels: Labels = { source: "s", total: 1, quiet: 0, late: 0, labels: [facet("customer", 40), facet("status", 3), facet("hall", 8), facet("none", 0), facet("many", 3, 9)] };
    expect(drawnLabels(labels).map((one) => one.field)).toEqual(["status", "hall"]);
  });
  it("give words that everybody uses their usual colour, and all others one of their own", () => {
    expect(tones(["ERROR", "SUCCESS", "STANDBY", "warning", "blue", "green", null])).toEqual(["bad", "ok", "idle", "warn", "1", "2", "none"]);
  });
  it("keep a value's place while it comes and goes", () => {
    const shares: Shares = { source: "s", field: "f", step: 1, start: 0, series: [{ value: "b", count: [1] }, { value: null, count: [1] }], others: [0] };
    expect(valuesOf({ field: "f", others: 0, values: [{ value: "c", devices: 1 }, { value: "a", devices: 1 }] }, shares)).toEqual(["a", "b", "c", null]);
    expect(valuesOf(undefined, null)).toEqual([]);
  });
  it("stand on each other, and their height is all that came", () => {
    const shares: Shares = { source: "s", field: "f", step: 10, start: 100, series: [{ value: "a", count: [0, 2, 0] }, { value: "b", count: [0, 3, 1] }], others: [0, 1, 0] };
    const columns = stacked(shares);
    expect(columns.map((column) => [column.at, column.total])).toEqual([[100, 0], [110, 6], [120, 1]]);
    expect(columns[1]?.parts).toEqual([{ series: 0, from: 0, to: 2 }, { series: 1, from: 2, to: 5 }, { series: 2, from: 5, to: 6 }]);
    expect(firstStep(columns)).toBe(1);
    expect(firstStep(stacked({ ...shares, series: [], others: [0, 0] }))).toBe(2);
  });
});

describe("the means of devices", () => {
  it("are in order, without those that have none", () => {
    const series = [{ key: "b", mean: [2] }, { key: "none", mean: [null] }, { key: "a", mean: [2] }, { key: "c", mean: [9] }, { key: null, mean: [1] }];
    expect(ranked(series)).toEqual([{ key: "c", mean: 9 }, { key: "a", mean: 2 }, { key: "b", mean: 2 }]);
  });
});
