// What is asked for when a silence is made from an alert, and what is said of those that there are.
import { expect, test } from "vitest";
import type { Alert, Silence } from "../src/api/types";
import { about, LENGTHS, present, wish } from "../src/state/silences";

const alert = (key: string | null): Alert => ({ id: "1", rule: "heat", source: "iot", key, severity: "warning", state: "open", openedAt: 0, clearedAt: null, message: "", value: {} });
const silence = (over: Partial<Silence>): Silence => ({ id: "7", state: "active", rules: [], keys: [], severities: [], from: 0, until: 100, made: { at: 0, by: "ana" }, ...over });

test("a key is meant as it is, also one with a star, the empty one and NULL", () => {
  for (const key of ["press-*", "", null]) expect(wish(alert(key), "both", "1 hour", "")).toEqual({ rules: ["heat"], key, for: "1 hour" });
});

test("of every rule, or of everybody, with the words or without", () => {
  expect(wish(alert("a"), "key", "1 day", "why")).toEqual({ rules: [], key: "a", for: "1 day", comment: "why" });
  expect(wish(alert("a"), "rule", "1 day", "")).toEqual({ rules: ["heat"], for: "1 day" });
});

test("it is said of what, and that it is of all", () => {
  expect(about(silence({ rules: ["heat"], keys: ["press-*"], severities: ["info"] }))).toEqual(["heat", "press-*", "info"]);
  expect(about(silence({ key: null }))).toEqual(["NULL"]);
  expect(about(silence({ key: "" }))).toEqual(["the empty key"]);
  expect(about(silence({}))).toEqual(["all alerts"]);
});

test("what has ended is no more there, also before the server has said so", () => {
  const all = [silence({ id: "1" }), silence({ id: "2", state: "pending", from: 150, until: 200 }), silence({ id: "3", state: "expired", until: 300 })];
  expect(present(all, 99).map(({ id }) => id)).toEqual(["1", "2"]);
  expect(present(all, 100).map(({ id }) => id)).toEqual(["2"]);
});

test("an hour is offered first", () => {
  expect(LENGTHS[0]?.[0]).toBe("1 hour");
});
