import { describe, expect, it } from "vitest";
import { schemaOf } from "../src/api/normal";
import { shapeOf } from "../src/charts/shape";
import { balance, firstOf, meaning, shares } from "../src/state/balance";
import { columns, defaults, exampleEvent, highlighted, layout } from "../src/state/panels";
import { field, ledger, NOON, schema, source } from "./fixtures";

describe("the choice of panels", () => {
  it("draws every measured field of a pipeline that names nothing, and nothing else", () => {
    expect(defaults(schema()).map((panel) => [panel.chart, panel.title])).toEqual([["line", "Temperature"], ["line", "Humidity"]]);
  });
  it("adds a map where there are places and bars where there are states", () => {
    const fields = [field("lat", { role: "lat" }), field("lon", { role: "lon" }), field("status", { kind: "text", role: "status" })];
    expect(defaults(schema({ sources: [source({ fields })] })).map((panel) => panel.chart)).toEqual(["map", "bar"]);
  });
  it("puts pinned panels first and keeps the file's order otherwise", () => {
    const panel = (id: string, more = {}) => ({ id, title: id, chart: "line" as const, source: "iot", field: "temperature", ...more });
    expect(layout(schema({ panels: [panel("a"), panel("b"), panel("c", { pinned: true })] })).map((one) => one.panel.id)).toEqual(["c", "a", "b"]);
  });
  it("leaves no panel alone in half a row", () => {
    const panel = (id: string, wide: boolean) => ({ id, title: id, chart: "line" as const, source: "iot", field: "temperature", wide });
    const wides = (...list: boolean[]) => layout(schema({ panels: list.map((wide, index) => panel(String(index), wide)) })).map((one) => one.panel.wide);
    expect(wides(true, false, false)).toEqual([true, false, false]);
    expect(wides(false, false, true, false)).toEqual([false, false, true, true]);
    expect(wides(false)).toEqual([true]);
  });
  it("tells why a panel cannot be drawn instead of dropping it", () => {
    const panels = [{ id: "x", title: "x", chart: "line" as const, field: "pressure" }, { id: "m", title: "m", chart: "map" as const }];
    expect(layout(schema({ panels })).map((one) => one.trouble)).toEqual(["the source has no field named pressure", "the source has no latitude and longitude"]);
  });
  it("makes words of a title that is only a field's name, and leaves a person's own", () => {
    const panels = [{ id: "a", title: "temperature", chart: "line" as const, field: "temperature" }, { id: "b", title: "Oven 3", chart: "line" as const, field: "temperature" }];
    expect(layout(schema({ panels })).map((one) => one.panel.title)).toEqual(["Temperature", "Oven 3"]);
  });
  it("leaves a dotted name as it is: `a.b` is not `a_b`", () => {
    const fields = [field("a.b"), field("a_b")];
    expect(defaults(schema({ sources: [source({ fields })] })).map((panel) => panel.title)).toEqual(["a.b", "A b"]);
  });
  it("takes the panel's unit before the field's", () => {
    const [laid] = layout(schema({ panels: [{ id: "x", title: "x", chart: "line", field: "temperature", unit: "K" }] }));
    expect(laid?.field?.unit).toBe("K");
  });
  it("tells a field's unit everywhere if a panel alone names it", () => {
    const fields = [field("temperature"), field("humidity", { unit: "%" })];
    const panels = [{ id: "x", title: "x", chart: "line" as const, source: "iot", field: "temperature", unit: "°C" }, { id: "y", title: "y", chart: "line" as const, field: "humidity", unit: "g/m³" }];
    expect(schemaOf(schema({ sources: [source({ fields })], panels })).sources[0]?.fields.map((one) => one.unit)).toEqual(["°C", "%"]);
  });
  it("gives the table measured fields first and neither key nor time nor place", () => {
    const fields = [...source().fields, field("note", { kind: "text", role: "other" }), field("state", { kind: "text", role: "status" }), field("lat", { role: "lat" }), field("lon", { role: "lon" })];
    expect(columns(source({ fields }), 9).map((one) => one.name)).toEqual(["temperature", "humidity", "state", "note"]);
  });
});

describe("the devices that charts single out", () => {
  it("are all of a few, in an order that keeps their colours", () => {
    expect(highlighted(["device_10", "device_2"], 2, ["device_10"], null)).toEqual(["device_2", "device_10"]);
  });
  it("are the alerting ones and the one looked at, of many", () => {
    expect(highlighted([], 1_000, ["p9", "p10", "p2", "p3"], "p1")).toEqual(["p1", "p9", "p10"]);
    expect(highlighted([], 1_000, [], null)).toEqual([]);
  });
});

describe("the ledger's picture", () => {
  it("has two sides of the same length when it balances", () => {
    const sides = balance(ledger({ read: 1_000_000, emitted: 900_000, filtered: 99_995, quarantined: 5 }), 300);
    const below = sides.pieces.reduce((sum, piece) => sum + piece.width, 0);
    expect(below).toBeCloseTo(sides.read.width, 6);
    expect(sides.balances).toBe(true);
    expect(sides.pieces.find((piece) => piece.fate === "quarantined")?.width).toBe(4);
  });
  it("shows what is missing as a piece of its own", () => {
    const sides = balance(ledger({ read: 100, emitted: 86, balances: false }), 300);
    expect(sides.pieces.at(-1)).toMatchObject({ fate: "missing", count: 14 });
    expect(sides).toMatchObject({ difference: 14, balances: false });
  });
  it("falls short above when there are too many below", () => {
    const sides = balance(ledger({ read: 90, emitted: 100, balances: false }), 300);
    expect(sides.read.width).toBeLessThan(300);
    expect(sides.difference).toBe(-10);
  });
  it("does not believe `balances` against the numbers", () => {
    expect(balance(ledger({ read: 2, emitted: 1, balances: true }), 300).balances).toBe(false);
  });
  it("leaves every part that exists something to see", () => {
    expect(shares([1_000_000, 1, 1], 100)).toEqual([92, 4, 4]);
    expect(shares([0, 0], 100)).toEqual([0, 0]);
  });
});

describe("whose ledger is shown", () => {
  it("is the first query's in the file, or that of the first that does not balance: never a sum", () => {
    const queries = { hot: ledger({ read: 2 }), "alerts/high": ledger({ read: 2 }), lake: ledger({ read: 2 }) };
    expect(firstOf(queries, ["lake", "hot"])).toBe("lake");
    expect(firstOf(queries, ["gone"])).toBe("alerts/high");
    expect(firstOf({ ...queries, "alerts/high": ledger({ balances: false }) }, ["lake"])).toBe("alerts/high");
    expect(firstOf({}, ["lake"])).toBeNull();
  });
  it("says what an alert rule does with a record, which is not to write it", () => {
    expect([meaning("to the sink", "lake"), meaning("to the sink", "alerts/high"), meaning("seen before", "alerts/high")]).toEqual(["to the sink", "looked at by the rule", "seen before"]);
  });
});

describe("a result's shape", () => {
  const result = (types: [string, string][], rows: number) => ({ columns: types.map(([name, type]) => ({ name, type })), rows: Array.from({ length: rows }, () => types.map(() => 1)) });
  it("is bars for names and numbers, lines for times, else a table", () => {
    expect(shapeOf(result([["device_id", "STRING"], ["avg", "DOUBLE"]], 3))).toBe("bar");
    expect(shapeOf(result([["minute", "TIMESTAMP"], ["avg", "DOUBLE"]], 30))).toBe("line");
    expect(shapeOf(result([["device_id", "STRING"], ["t", "DOUBLE"]], 100))).toBe("table");
    expect(shapeOf(result([["device_id", "STRING"]], 3))).toBe("table");
  });
});

describe("the first event", () => {
  it("fits the schema, nested as it is", () => {
    const fields = [...source().fields, field("site.pos.lat", { role: "lat" })];
    expect(exampleEvent(source({ fields }), NOON)).toEqual({ device_id: "device_1", temperature: 21.5, humidity: 55.5, timestamp: NOON / 1000, site: { pos: { lat: 52.52 } } });
  });
});
