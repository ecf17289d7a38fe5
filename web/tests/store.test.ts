import { describe, expect, it } from "vitest";
import { backoff } from "../src/api/live";
import { address, problem } from "../src/api/http";
import { deviceSource, Gathered, isOfDevice, loaded, NO_ALERTS, patched, secondLater, transition } from "../src/state/apply";
import { alert, device, NOON, source } from "./fixtures";

describe("values between two frames", () => {
  it("are merged: the newest of each field, none lost", () => {
    const gathered = new Gathered();
    gathered.add({ t: 1, rows: [[0, 10, 1, { temperature: 50 }], [1, 10, 1, { humidity: 40 }]] });
    gathered.add({ t: 2, rows: [[0, 20, 2, { temperature: 51 }], [0, 30, 3, { humidity: 44 }]] });
    expect(gathered.size).toBe(2);
    expect(gathered.take()).toEqual([
      [0, { lastSeen: 30, rate: 3, values: { temperature: 51, humidity: 44 } }],
      [1, { lastSeen: 10, rate: 1, values: { humidity: 40 } }],
    ]);
    expect(gathered.take()).toEqual([]);
  });
  it("do not change what the sender still holds", () => {
    const values = { temperature: 50 };
    const gathered = new Gathered();
    gathered.add({ t: 1, rows: [[0, 10, 1, values]] });
    gathered.add({ t: 2, rows: [[0, 11, 1, { temperature: 60 }]] });
    expect(values).toEqual({ temperature: 50 });
  });
  it("make a quiet device live again and keep its other values", () => {
    const before = device("a", { state: "quiet", values: { temperature: 1, status: "on" } });
    const after = patched(before, { lastSeen: NOON + 1, rate: 2, values: { temperature: 2 } });
    expect(after).toMatchObject({ state: "live", rate: 2, values: { temperature: 2, status: "on" } });
    expect(before.values).toEqual({ temperature: 1, status: "on" });
  });
});

describe("a small line", () => {
  const spark = { field: "t", points: [1, 2, 3] };
  it("moves on by the value of each second, and by nothing in silence", () => {
    expect(secondLater(device("a", { spark, values: { t: 9 } }), NOON + 400).spark?.points).toEqual([2, 3, 9]);
    expect(secondLater(device("a", { spark, values: { t: 9 } }), NOON + 9_000).spark?.points).toEqual([2, 3, null]);
    expect(spark.points).toEqual([1, 2, 3]);
  });
});

describe("the alert book", () => {
  it("opens and clears each alert exactly once", () => {
    const open = alert("1");
    const cleared = alert("1", { state: "cleared", clearedAt: NOON });
    let book = transition(NO_ALERTS, open);
    book = transition(book, open);
    expect(book.open).toHaveLength(1);
    book = transition(transition(book, cleared), cleared);
    expect(book).toMatchObject({ open: [], cleared: [cleared] });
  });
  it("shows an open alert as it is now, and not as it was before", () => {
    const first = transition(NO_ALERTS, alert("1", { step: 1 }));
    const mine = alert("1", { step: 2, acknowledged: { at: NOON, by: "ana" } });
    expect(transition(first, mine).open).toEqual([mine]);
    expect(transition(transition(first, mine), alert("1", { step: 1 })).open).toEqual([mine]);
  });
  it("does not open again what has cleared, should the opening come late", () => {
    const book = transition(transition(NO_ALERTS, alert("1", { state: "cleared", clearedAt: NOON })), alert("1"));
    expect(book.open).toEqual([]);
  });
  it("is the server's lists, cleared winning over open", () => {
    const book = loaded([alert("1"), alert("2", { openedAt: NOON })], [alert("1", { state: "cleared", clearedAt: NOON })]);
    expect(book.open.map((one) => one.id)).toEqual(["2"]);
    expect(book.cleared).toHaveLength(1);
  });
});

describe("the connection", () => {
  it("waits longer each time, five seconds at most", () => {
    expect([1, 2, 3, 4, 5, 6, 60].map((n) => backoff(n, 0))).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    expect(backoff(9, 0.999)).toBeGreaterThanOrEqual(4_000);
  });
  it("repeats lists, leaves out what is empty, escapes the rest", () => {
    expect(address("/history", { key: ["a,b", "c&d"], range: "6h", cursor: null, search: "" })).toBe("/api/v1/history?key=a%2Cb&key=c%26d&range=6h");
  });
  it("reads a problem, and a body that is none", () => {
    expect(problem(400, '{"detail":"no","code":"FB-4001","hint":"do"}')).toMatchObject({ message: "no", code: "FB-4001", hint: "do", status: 400 });
    expect(problem(502, "<html>")).toMatchObject({ message: "refused with status 502", code: null });
  });
});

describe("an alert", () => {
  it("is about a device where its key is the field of its own source that names one", () => {
    const rule = { name: "overheat", on: "plant", key: "d", when: "t > 1", severity: "critical" as const };
    const keyFields = { hall_1: "device_id", hall_2: "name" };
    const of = (name: string, key: string | null, more = {}): boolean => isOfDevice(alert("1", { source: name }), { ...rule, ...more }, key);
    expect(of("hall_1", "device_id", { keyFields })).toBe(true);
    expect(of("hall_2", "id", { keyFields })).toBe(false);
    expect(of("hall_2", "name", { keyFields })).toBe(true);
    expect(of("hall_3", null, { keyFields })).toBe(false);
    expect(of("hall_3", "device_id")).toBe(true);
  });
  it("is about the devices of a view that is followed, where its rule watches that", () => {
    const rule = { name: "overheat", on: "Devices", key: "deviceId", when: "", severity: "critical" as const };
    const about = alert("1", { source: "device_stream" });
    expect(deviceSource(about, rule, [source({ name: "devices", reads: "device_stream" })])).toBe("devices");
    expect(deviceSource(about, rule, [source({ name: "devices", reads: "devices" })])).toBe("device_stream");
    expect(deviceSource(about, undefined, [source({ name: "devices", reads: "device_stream" })])).toBe("device_stream");
  });
});
