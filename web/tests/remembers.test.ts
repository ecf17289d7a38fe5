import { describe, expect, it } from "vitest";
import { lateShare, lateSql, lateTables, remembered } from "../src/state/remembers";
import { NOON } from "./fixtures";

const held = { keys: 1_204, limit: 2 ** 30, oldest: NOON, newest: NOON, late: 0, lateBytes: 0, ahead: 0 };

describe("what a query remembers", () => {
  it("is its watermark and how far that is behind, its keys, and its size beside the limit", () => {
    const told = remembered({ watermark: NOON - 12_000, stateBytes: 12_288, remembers: held }, NOON);
    expect(told.watermark).toMatch(/^\d\d:\d\d:\d\d, 12 s behind$/);
    expect(told.keys).toMatch(/^1,204, the first until \d\d:\d\d:\d\d$/);
    expect(told.size?.replaceAll("\u202f", " ")).toBe("12.0 KiB of 1.0 GiB");
  });
  it("holds keys that end by nothing without a time", () => {
    expect(remembered({ watermark: null, stateBytes: 0, remembers: { ...held, oldest: null, newest: null } }, NOON).keys).toBe("1,204");
  });
  it("names late rows and those from too far ahead only where there are any", () => {
    const calm = remembered({ watermark: NOON, stateBytes: 0, remembers: held }, NOON);
    expect([calm.late, calm.ahead]).toEqual([null, null]);
    const told = remembered({ watermark: NOON, stateBytes: 0, remembers: { ...held, late: 1, ahead: 31 } }, NOON);
    expect([told.late, told.ahead]).toEqual(["1 record", "31 rows"]);
  });
  it("is ahead of the clock where the devices' clocks are, and nothing where a query has no state", () => {
    expect(remembered({ watermark: NOON + 5_000, stateBytes: 0, remembers: held }, NOON).watermark).toContain("5.0 s ahead");
    expect(Object.values(remembered({ watermark: null, stateBytes: 0, remembers: null }, NOON))).toEqual([null, null, null, null, null]);
  });
  it("tells the share of late rows where that is worth a word", () => {
    const share = (late: number, read: number | null) => lateShare({ remembers: { ...held, late }, read });
    expect([share(547, 2_000), share(10, 1_000), share(9, 1_000), share(5, null), share(0, 0)]).toEqual(["27 % of records late", "1 % of records late", null, null, null]);
    expect(lateShare({ remembers: null, read: 5 })).toBeNull();
  });
  it("has a table of late rows once there are any", () => {
    const queries = [{ name: "minutes", remembers: { ...held, late: 3 } }, { name: "calm", remembers: held }, { name: "lake", remembers: null }];
    expect(lateTables(queries)).toEqual(["minutes"]);
  });
  it("has late rows that the console can read, whatever the query's name", () => {
    expect(lateSql("minutes")).toBe("SELECT * FROM late.minutes");
    expect(lateSql("per-minute")).toBe("SELECT * FROM late.`per-minute`");
  });
});
