import { describe, expect, it } from "vitest";
import { LONGEST_LINK, liveQuery, parse, print, START, type Place } from "../src/state/url";

describe("the address", () => {
  it("brings a colleague to the same place", () => {
    const places: Place[] = [
      START,
      { ...START, range: "6h", search: "press", state: "alerting", sort: "-temperature", page: 3 },
      { ...START, device: "", picked: "" },
      { ...START, source: "cars", picked: "CAR-101" },
      { ...START, view: "alerts", is: "open", rule: "overheat", severity: "critical", find: "press 1&2", alert: "overheat/d 1/5" },
      { ...START, view: "quality", judge: "lake 1", judged: "cars/2&3", steps: "hours", expectation: "speed range" },
      { ...START, state: "late", where: ["customerId:CI00103", "status:", "a:b:c&d=é"] },
      { ...START, ...((device) => ({ device, picked: device }))(`<img src=x onerror="a&b=c#d">, 🏭\n`) },
      { ...START, view: "sql", sql: "SELECT *\nFROM `a b` WHERE x > 70 -- ok", shape: "bar" },
    ];
    for (const place of places) expect(parse(print(place))).toEqual(place);
  });
  it("is short for the first page", () => {
    expect(print(START)).toBe("#/");
  });
  it("forgives what it does not know", () => {
    expect(parse("#/nowhere?range=9y&page=-4&state=odd&as=pie&is=gone&severity=odd&steps=years")).toEqual(START);
    expect(parse("")).toEqual(START);
    expect(parse("#/?page=1e99").page).toBe(0);
  });
  it("never grows without bound", () => {
    expect(print({ ...START, view: "sql", sql: "x".repeat(LONGEST_LINK) })).toBe("#/sql");
  });
});

describe("the stream's query", () => {
  const view = { source: "iot", search: "", state: "", where: [], sort: "key", offset: 0, limit: 25, fields: ["temperature", "humidity"], keys: ["a", "b"], field: "temperature" };
  it("says what the person sees", () => {
    expect(liveQuery(view)).toBe("source=iot&sort=key&offset=0&limit=25&fields=temperature%2Chumidity&keys=a%2Cb&field=temperature");
  });
  it("carries what is chosen of labels", () => {
    expect(liveQuery({ ...view, where: ["status:ERROR", "customerId:a,b"] })).toContain("where=status%3AERROR&where=customerId%3Aa%2Cb");
  });
  it("cuts no name in two", () => {
    const sent = new URLSearchParams(liveQuery({ ...view, keys: ["a,b", "c", "d"] }));
    expect([sent.getAll("keys"), sent.getAll("key")]).toEqual([["c,d"], ["a,b"]]);
    expect(new URLSearchParams(liveQuery({ ...view, fields: ["a,b", "c"] })).has("fields")).toBe(false);
  });
  it("does not send a name of a megabyte", () => {
    expect(liveQuery({ ...view, keys: ["x".repeat(1_000_000)] }).length).toBeLessThan(300);
  });
});
