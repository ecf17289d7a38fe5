import { describe, expect, it } from "vitest";
import { problem } from "../src/api/http";
import { excerpt, offsetOf } from "../src/format/excerpt";

const SQL = "SELECT a,\n\tb\nFROM laek";

describe("a place in a statement", () => {
  it("comes with the problem, and only if it is one", () => {
    expect(problem(400, '{"detail":"no","place":{"line":3,"column":6}}').place).toEqual({ line: 3, column: 6 });
    for (const place of ['"line 3"', "null", '{"line":0,"column":1}', '{"line":1.5,"column":1}']) expect(problem(400, `{"detail":"no","place":${place}}`).place).toBeNull();
  });
  it("is shown by its line and a caret under it", () => {
    expect(excerpt(SQL, { line: 3, column: 6 })).toEqual({ margin: "3 │ ", text: "FROM laek", caret: "         ^" });
    expect(excerpt(SQL, { line: 2, column: 2 })).toEqual({ margin: "2 │ ", text: " b", caret: "     ^" });
  });
  it("may be the end of a line, not beyond", () => {
    expect(excerpt("SELECT", { line: 1, column: 7 })?.caret).toBe("          ^");
    expect(excerpt("SELECT", { line: 1, column: 9 })).toBeNull();
    expect(excerpt("SELECT", { line: 2, column: 1 })).toBeNull();
  });
  it("counts characters, not their halves, and shows what is invisible", () => {
    expect(excerpt("'🏭' x", { line: 1, column: 5 })?.caret).toBe("        ^");
    const hidden = excerpt("a\u202Eb c", { line: 1, column: 5 });
    expect(hidden?.text).toBe("a‹U+202E›b c");
    expect(hidden?.caret.indexOf("^")).toBe("1 │ a‹U+202E›b ".length);
  });
  it("is cut from a line of any length", () => {
    const found = excerpt(`${"x".repeat(5_000)}!${"y".repeat(5_000)}`, { line: 1, column: 5_001 });
    expect(found?.text.length).toBeLessThan(90);
    expect(found?.text[(found.caret.length ?? 0) - 1 - "1 │ ".length]).toBe("!");
  });
  it("is where the text field counts it", () => {
    expect(SQL.slice(offsetOf(SQL, { line: 3, column: 6 }))).toBe("laek");
    expect("'🏭' x".slice(offsetOf("'🏭' x", { line: 1, column: 5 }))).toBe("x");
  });
});
