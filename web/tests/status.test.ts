import { describe, expect, it } from "vitest";
import { sameTrouble, spoken, status, type Facts } from "../src/state/status";
import { alert, ledger, NOON, tick } from "./fixtures";

const facts = (more: Partial<Facts> = {}): Facts => ({ connected: true, lostSince: null, tick: tick(), open: [], isDevice: () => true, words: (alert) => alert.message, startedAt: NOON - 3_600_000, lastCleared: null, lastEvent: null, ending: new Set(), now: NOON, ...more });

describe("what fails for one reason", () => {
  it("is told with the first query, and named by the others", () => {
    const down = { code: "FB-5001", message: "cannot open a connection", hint: "" };
    const all = [{ name: "lake", error: null }, { name: "a", error: down }, { name: "b", error: { ...down } }, { name: "c", error: { ...down, message: "it does not fit" } }];
    expect(all.map((query) => sameTrouble(all, query))).toEqual([null, null, "a", null]);
  });
});

describe("the first line", () => {
  it("says that all is well only when it knows", () => {
    expect(spoken(status(facts()))).toMatch(/^All well since \d\d:\d\d · 3 devices · queries keep up$/);
    expect(status(facts({ connected: false })).level).toBe("unknown");
    expect(status(facts({ tick: null })).level).toBe("unknown");
  });
  it("names the device and since when", () => {
    const line = status(facts({ open: [alert("1")], tick: tick({ alerts: { open: 1, bySeverity: { critical: 1 } } }) }));
    expect(line.level).toBe("critical");
    expect(line.headline).toMatch(/^1 critical alert: device_2 overheats since \d\d:\d\d:\d\d$/);
    expect(line.device).toEqual({ source: "iot", key: "device_2" });
  });
  it("tells what is measured now, which is no news by itself", () => {
    const line = status(facts({ open: [alert("1", { message: "at 72.4" })], words: () => "at 68.2", tick: tick({ alerts: { open: 1, bySeverity: { critical: 1 } } }) }));
    expect(line.headline).toMatch(/^1 critical alert: at 68.2 since \d\d:\d\d:\d\d$/);
    expect(line.news).toMatch(/^1 critical alert: at 72.4 since/);
  });
  it("leads to no device where the alert is about something else", () => {
    expect(status(facts({ open: [alert("1")], isDevice: () => false, tick: tick({ alerts: { open: 1, bySeverity: { critical: 1 } } }) })).device).toBeNull();
  });
  it("speaks of the worst of many, and how many are critical", () => {
    const open = [alert("1", { severity: "warning", message: "cold" }), alert("2"), alert("3", { severity: "info" })];
    const line = status(facts({ open, tick: tick({ alerts: { open: 3, bySeverity: { critical: 1, warning: 1, info: 1 } } }) }));
    expect(line.headline).toMatch(/^3 alerts, 1 critical: device_2 overheats/);
  });
  it("puts a failing query before an alert, with code and hint", () => {
    const unsaved = [{ query: null, source: "iot", what: "the history of the live page is not saved", since: null, code: "FB-5005", error: "full", hint: null }];
    expect(status(facts({ tick: tick({ status: "failing", problems: unsaved }) })).headline).toBe("The history of iot is not saved");
    const problems = [{ query: "lake", what: "failed", since: NOON - 60_000, code: "FB-5001", error: "sink unavailable", hint: "Free some space." }];
    const line = status(facts({ open: [alert("1")], tick: tick({ status: "failing", problems, alerts: { open: 1, bySeverity: { critical: 1 } } }) }));
    expect(line.headline).toMatch(/^Query lake is failing since/);
    expect(line.parts).toContain("1 open alert");
    expect([line.code, line.hint]).toEqual(["FB-5001", "Free some space."]);
    const whole = problems.map((problem) => ({ ...problem, error: "FB-5001 sink unavailable (lake)" }));
    expect(status(facts({ tick: tick({ status: "failing", problems: whole }) })).parts[0], "the code stands by itself").toBe("sink unavailable (lake)");
  });
  it("never says well while the ledger does not balance", () => {
    const line = status(facts({ tick: tick({ ledger: ledger({ read: 5, emitted: 4, balances: false }) }) }));
    expect(line).toMatchObject({ level: "critical", headline: "The ledger does not balance" });
  });
  it("tells a backlog, silence, and a page that lags", () => {
    const query = { name: "lake", kind: "query", state: "running", lag: 12_000 } as never;
    expect(status(facts({ tick: tick({ lag: 12_000, queries: [query] }) })).headline).toBe("Query lake is 12,000 records behind");
    expect(status(facts({ tick: tick({ devices: { total: 3, live: 0, quiet: 3, alerting: 0 } }) })).headline).toBe("No device is sending");
    expect(status(facts({ tick: tick({ followers: [{ source: "iot", lag: 900, tooOld: 0, behind: true }] }) })).headline).toBe("This page is 900 records behind");
  });
  it("is not well while rows that a sink refused lately lie in the quarantine", () => {
    const refused = (rows: number, newest: number) => tick({ quarantine: { open: rows, bytes: 9, refused: [{ query: "lake", rows, newest }] } });
    const line = status(facts({ tick: refused(12, NOON - 60_000) }));
    expect([line.level, line.headline.replace(/\d\d:\d\d/, "T")]).toEqual(["warning", "12 rows of query lake were refused by the sink, the last at T"]);
    expect(line.hint).toContain("quarantine");
    expect(status(facts({ tick: refused(12, NOON - 25 * 3_600_000) })).level).toBe("ok");
    expect(status(facts({ open: [alert("1")], tick: { ...refused(1, NOON), alerts: { open: 1, bySeverity: { critical: 1 } } } })).parts.join()).toContain("1 row of query lake was refused");
  });
  it("does not call a second's worth of records a backlog, nor nothing", () => {
    const line = status(facts({ tick: tick({ lag: 80 }) }));
    expect(line.level).toBe("ok");
    expect(line.parts).toContain("queries keep up");
    expect(spoken(line)).not.toContain("nothing waits");
  });
  it("does not claim to know a backlog that nobody told", () => {
    expect(status(facts({ tick: tick({ lag: null }) })).parts).toContain("what waits is not known");
  });
  it("is not well while somebody has stopped a query, unless it ends by itself", () => {
    const queries = [{ name: "lake", kind: "query", state: "stopped", lag: 0 } as never];
    expect(status(facts({ tick: tick({ queries }) }))).toMatchObject({ level: "warning", headline: "Query lake is stopped" });
    expect(status(facts({ tick: tick({ queries }), ending: new Set(["lake"]) })).level).toBe("ok");
  });
  const stop = (name: string, kind: "query" | "alert", more = {}) => ({ name, kind, state: "stopped", lag: null, ...more }) as never;
  it("says of a stopped alert rule what it says of a stopped query, since when if that is known", () => {
    const rule = tick({ queries: [stop("alerts/overheat", "alert")] });
    expect(status(facts({ tick: rule }))).toMatchObject({ level: "warning", headline: "Alert rule overheat is stopped" });
    expect(status(facts({ tick: rule })).parts).toContain("what comes meanwhile waits in the log, how much is not known");
    expect(status(facts({ tick: tick({ queries: [stop("lake", "query", { since: NOON - 5_000 })] }) })).headline).toMatch(/^Query lake is stopped since \d\d:\d\d:\d\d$/);
    expect(status(facts({ tick: tick({ queries: [stop("a", "query"), stop("b", "query"), stop("alerts/c", "alert")] }) })).headline).toBe("2 queries and 1 alert rule are stopped");
  });
  it("keeps what is stopped in its words, whatever is worse", () => {
    const queries = [stop("lake", "query")];
    const words = "Query lake is stopped";
    const open = { open: 1, bySeverity: { critical: 1 } };
    const alerting = status(facts({ open: [alert("1")], tick: tick({ queries, alerts: open }) }));
    expect(alerting.level).toBe("critical");
    expect(alerting.parts).toEqual([words, "3 devices", "the others keep up"]);
    expect(status(facts({ tick: tick({ queries, status: "failing" }) })).parts).toContain(words);
    expect(status(facts({ tick: tick({ queries, ledger: ledger({ read: 5, balances: false }) }) })).parts).toContain(words);
    expect(status(facts({ tick: tick({ queries, devices: { total: 0, live: 0, quiet: 0, alerting: 0 } }) })).parts).toContain(words);
  });
  const file = { by: "SIGHUP", since: NOON - 5_000, what: "p.yaml has 1 problem", code: "FB-1003", error: "unknown key", hint: "Did you mean `format`?" };
  it("tells a file that was refused: who, when, why, what helps; and says it whatever is worse", () => {
    const line = status(facts({ tick: tick({ refusedReload: file }) }));
    expect(line).toMatchObject({ level: "warning", code: "FB-1003", hint: file.hint });
    expect(line.headline).toMatch(/^The changed file is refused since \d\d:\d\d:\d\d$/);
    expect(line.parts).toEqual(["unknown key", "read at the wish of SIGHUP", "all goes on by the file before"]);
    const worse = [
      status(facts({ tick: tick({ refusedReload: file, status: "failing" }) })),
      status(facts({ tick: tick({ refusedReload: file, ledger: ledger({ read: 5, balances: false }) }) })),
      status(facts({ open: [alert("1")], tick: tick({ refusedReload: file, alerts: { open: 1, bySeverity: { critical: 1 } } }) })),
      status(facts({ tick: tick({ refusedReload: file, queries: [stop("lake", "query")] }) })),
      status(facts({ tick: tick({ refusedReload: file, devices: { total: 0, live: 0, quiet: 0, alerting: 0 } }) })),
    ];
    for (const { headline, parts } of worse) {
      expect(headline).not.toMatch(/refused/);
      expect(parts.join()).toMatch(/The changed file is refused/);
    }
  });
  it("does not add up the devices of several sources", () => {
    const follower = (source: string, devices?: number) => ({ source, lag: 0, tooOld: 0, behind: false, devices });
    const first = (...followers: ReturnType<typeof follower>[]) => status(facts({ tick: tick({ followers }) })).parts[0];
    expect(first(follower("readings", 4), follower("states", 1))).toBe("4 devices of readings, 1 of states");
    expect(first(follower("iot", 3))).toBe("3 devices");
    expect(first(follower("dht", 1), follower("sr04", 1))).toBe("2 sources: dht, sr04");
    expect(first(follower("dht", 1), follower("sr04", 0))).toBe("2 sources: dht, sr04 (nothing yet)");
    expect(first(follower("iot"), follower("old"))).toBe("3 devices");
    expect(first(...["a", "b", "c", "d"].map((name) => follower(name, 1)))).toBe("4 sources");
  });
  const table = { name: "devices", query: "lake", since: new Date(NOON - 5_000).toISOString(), error: { code: "FB-2007", message: "record 2 of a file has `many`", place: "devices.csv:3", hint: "Mend the file." } };
  it("tells a table that cannot be read: since when, why, where, what is used; once for all its queries, and whatever is worse", () => {
    const brokenTables = [table, { ...table, query: "minutes" }];
    const line = status(facts({ tick: tick({ brokenTables }) }));
    expect(line).toMatchObject({ level: "warning", code: "FB-2007", hint: "Mend the file." });
    expect(line.headline).toMatch(/^The table devices cannot be read since \d\d:\d\d:\d\d$/);
    expect(line.parts).toEqual(["record 2 of a file has `many` (devices.csv:3)", "the version read before is used"]);
    const several = [...brokenTables, { ...table, name: "sites" }];
    expect(status(facts({ tick: tick({ brokenTables: several }) })).headline).toBe("2 tables cannot be read");
    const worse = [
      status(facts({ tick: tick({ brokenTables, status: "failing" }) })),
      status(facts({ tick: tick({ brokenTables, refusedReload: file }) })),
      status(facts({ open: [alert("1")], tick: tick({ brokenTables, alerts: { open: 1, bySeverity: { critical: 1 } } }) })),
      status(facts({ tick: tick({ brokenTables, queries: [stop("lake", "query")] }) })),
    ];
    for (const { headline, parts } of worse) {
      expect(headline).not.toMatch(/table/);
      expect(parts.join()).toMatch(/The table devices cannot be read/);
    }
  });
  it("says since when nobody sends, with seconds while that is fresh", () => {
    const silent = tick({ devices: { total: 3, live: 0, quiet: 3, alerting: 0 } });
    expect(status(facts({ tick: silent, lastEvent: NOON - 40_000 })).headline).toMatch(/^No device is sending since \d\d:\d\d:\d\d$/);
    expect(status(facts({ tick: silent, lastEvent: NOON - 700_000 })).headline).toMatch(/^No device is sending since \d\d:\d\d$/);
  });
  it("welcomes a plant that has sent nothing", () => {
    expect(status(facts({ tick: tick({ devices: { total: 0, live: 0, quiet: 0, alerting: 0 } }) })).headline).toBe("Ready, and nothing has been sent yet");
  });
  it("says nothing of devices where no source is followed for the page", () => {
    const blind = tick({ followers: [], rate: 0, devices: { total: 0, live: 0, quiet: 0, alerting: 0 } });
    expect(spoken(status(facts({ tick: blind })))).toMatch(/^All well since \d\d:\d\d · queries keep up$/);
    expect(status(facts({ open: [alert("1")], tick: { ...blind, alerts: { open: 1, bySeverity: { critical: 1 } } } })).parts).toEqual(["queries keep up"]);
  });
  it("says since when it knows nothing", () => {
    expect(status(facts({ connected: false, lostSince: NOON - 8_000 })).headline).toMatch(/^No word from Forebay since \d\d:\d\d:\d\d$/);
  });
});
