import { describe, expect, it } from "vitest";
import { present } from "../src/state/present";
import { alert } from "./fixtures";

const said = (message: string, value = { temperature: 71.5 }, key = "press-1") => present(alert("1", { message, value, key }), (field) => (field === "temperature" ? "68.2" : null));

describe("the words of an alert as of now", () => {
  it("tell the present reading where the message tells that of the opening", () => {
    expect(said("overheat: press-1, temperature 71.5")).toBe("overheat: press-1, temperature 68.2");
    expect(said("71.5 °C, again 71.5.")).toBe("68.2 °C, again 68.2.");
    expect(said("hot at 72.0", { temperature: 72 })).toBe("hot at 68.2");
    expect(said("cold at -3.5", { temperature: -3.5 })).toBe("cold at 68.2");
  });
  it("leave alone what is another number, a name, or not known", () => {
    for (const message of ["press-71.5 overheats", "171.5 in hall 71.55", "step 71.5.2", "overheats"]) expect(said(message)).toBe(message);
    expect(said("overheat: 7, temperature 7", { temperature: 7 }, "7")).toBe("overheat: 7, temperature 7");
    expect(present(alert("1", { message: "at 71.5", value: { temperature: 71.5 } }), () => null)).toBe("at 71.5");
  });
});
