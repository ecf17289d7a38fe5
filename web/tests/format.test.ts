import { describe, expect, it } from "vitest";
import { bytes, count, decimalsFor, fieldDecimals, fixed, many, plain, rate, reading, share } from "../src/format/number";
import { clip, deviceLabel, label, titleOf, visible, whole } from "../src/format/text";
import { ago, clock, epochMillis, full, moment, since, span, toMillis } from "../src/format/time";
import { field, NOON } from "./fixtures";

describe("numbers", () => {
  it("carry as many decimals as mean something", () => {
    expect(decimalsFor(72.41)).toBe(1);
    expect(decimalsFor(4.2)).toBe(2);
    expect(decimalsFor(0.042)).toBe(4);
    expect(decimalsFor(12_000)).toBe(0);
    expect(fieldDecimals(field("n", { type: "BIGINT" }), 4)).toBe(0);
    expect(fieldDecimals(field("t", { unit: "°C" }), 4.26)).toBe(1);
  });
  it("are grouped, signed and finite", () => {
    expect(fixed(1234567.891, 1)).toBe("1,234,567.9");
    expect(fixed(-0.01, 1)).toBe("0.0");
    expect(fixed(1e21, 0)).toBe("1.00e21");
    expect(fixed(NaN, 1)).toBe("NaN");
  });
  it("bear their unit, bytes in powers of 1024", () => {
    expect(reading(54.25, field("t", { unit: "°C" }))).toBe("54.3\u202f°C");
    expect(reading(55.5, field("h", { unit: "%" }))).toBe("55.5%");
    expect(reading(null, field("h"))).toBe("–");
    expect(bytes(18_432)).toBe("18.0\u202fKiB");
    expect(bytes(512)).toBe("512\u202fB");
  });
  it("count in words a person says", () => {
    expect(count(1_204_311)).toBe("1,204,311");
    expect(count(769_000_000)).toBe("769\u202fM");
    expect(rate(6.71)).toBe("6.7");
    expect(rate(20)).toBe("20");
    expect(rate(0.02)).toBe("0.02");
    expect(many(1, "device")).toBe("1 device");
    expect(many(2, "query", "queries")).toBe("2 queries");
  });
  it("never round a part that exists to nothing, nor a whole that lacks something to all", () => {
    expect(share(1, 1_000_000)).toBe("<0.1%");
    expect(share(999_999, 1_000_000)).toBe(">99.9%");
    expect(share(5, 5)).toBe("100%");
    expect(share(0, 5)).toBe("0%");
    expect(share(0, 0)).toBe("–");
  });
  it("leave other values as they are", () => {
    expect(plain(true)).toBe("yes");
    expect(plain("on")).toBe("on");
    expect(plain(undefined)).toBe("–");
  });
});

describe("times", () => {
  it("tell spans in two units at most", () => {
    expect(span(8.4)).toBe("8.4 ms");
    expect(span(320)).toBe("320 ms");
    expect(span(4_200)).toBe("4.2 s");
    expect(span(80_000)).toBe("80 s");
    expect(span(180_000)).toBe("3 min");
    expect(span(7_500_000)).toBe("2 h 05 min");
    expect(span(90 * 3_600_000)).toBe("3 d 18 h");
    expect(span(null)).toBe("–");
  });
  it("tell ages without flicker and never in the future", () => {
    expect(ago(NOON - 900, NOON)).toBe("now");
    expect(ago(NOON + 5_000, NOON)).toBe("now");
    expect(ago(NOON - 4_700, NOON)).toBe("4 s ago");
    expect(ago(NOON - 200_000, NOON)).toBe("3 min ago");
  });
  it("read moments of either form, and epochs of any unit", () => {
    expect(toMillis("2016-12-14T18:45:24.873Z")).toBe(1_481_741_124_873);
    expect(toMillis("nonsense")).toBeNull();
    for (const unit of [1e-3, 1, 1e3, 1e6]) expect(Math.round(epochMillis(NOON * unit))).toBe(NOON);
  });
});

describe("names from data", () => {
  it("never hide a character or turn the text around", () => {
    expect(visible("a\u202Eb")).toBe("a‹U+202E›b");
    expect(visible("line\nend\u0000")).toBe("line↵end‹U+0000›");
    expect(visible("dev\u200Dice")).toBe("dev‹U+200D›ice");
    expect(visible("👨‍👩‍👧")).toBe("👨‍👩‍👧");
  });
  it("say so when there is nothing to read", () => {
    expect(label("")).toBe("(empty name)");
    expect(label("   ")).toBe("(blank name)");
    expect(deviceLabel("", "iot", null)).toBe("iot");
    expect(deviceLabel("", "iot", undefined)).toBe("iot");
    expect(deviceLabel("", "iot", "device_id")).toBe("(no device_id)");
  });
  it("are cut at whole characters, however long they are", () => {
    const long = "x".repeat(1_000_000);
    expect(label(long)).toHaveLength(48);
    expect(whole(long)?.length).toBeLessThanOrEqual(512);
    expect(clip("🏭🏭🏭🏭", 3)).toBe("🏭🏭…");
    expect(clip("abc", 3)).toBe("abc");
    expect(whole("short")).toBeUndefined();
  });
  it("become titles", () => {
    expect(titleOf("oil_temperature")).toBe("Oil temperature");
    expect(titleOf("line_2")).toBe("Line 2");
  });
  it("stay as they are where words would tell another name", () => {
    for (const name of ["a.b", "site.oil_temperature", "pH", "NOx", "oilTemp", "_a", "a__b", "Ort"]) expect(titleOf(name)).toBe(name);
  });
});

describe("local times", () => {
  const at = new Date(2026, 10, 21, 14, 3, 9).getTime();
  it("are short today and name the day otherwise", () => {
    expect(clock(at)).toBe("14:03:09");
    expect(moment(at, at)).toBe("14:03");
    expect(moment(at - 86_400_000, at)).toBe("20 Nov 14:03");
    expect(moment(new Date(2025, 0, 2, 3, 4).getTime(), at)).toBe("2 Jan 2025 03:04");
    expect(full(at)).toBe("21 Nov 2026, 14:03:09");
    expect(full(NaN)).toBe("–");
    expect(since(at - 599_000, at)).toBe("13:53:10");
    expect(since(at - 600_000, at)).toBe("13:53");
  });
});
