// The first line of the page, decided purely from facts: is all well? if not, where? since when?
//
// The order of precedence is the order of urgency for a plant engineer: a page that knows nothing must not say "all
// well"; a ledger that does not add up outranks all, because data may be lost; a failing query outranks an alert,
// because behind it alerts may be missing; an alert outranks a query that somebody stopped, and that outranks a
// backlog, because it is the cause of one. What is stopped is said at every level: behind it something is missing. So is
// a file that was refused, a table that cannot be read, and rows that a sink refused: what runs is not what somebody wanted.
import type { Alert, BrokenTable, Problem, QueryView, Severity, Tick } from "../api/types";
import { count, many } from "../format/number";
import { clip, label, visible } from "../format/text";
import { moment, since, toMillis } from "../format/time";
import { clocksOff } from "./clocks";

export type Level = "ok" | "info" | "warning" | "critical" | "unknown";

export interface Facts {
  /** False until the first tick came, and while the connection is lost. */
  connected: boolean;
  /** When the connection was lost or first tried, ms on the server's clock. */
  lostSince: number | null;
  tick: Tick | null;
  open: Alert[];
  /** Whether an alert is about a device, which can be shown. */
  isDevice: (alert: Alert) => boolean;
  /** What an alert says, with what is measured now. */
  words: (alert: Alert) => string;
  /** When Forebay started, ms. */
  startedAt: number | null;
  /** When the newest alert cleared, ms. */
  lastCleared: number | null;
  /** When the newest event came, ms; null if that is not known. */
  lastEvent: number | null;
  /** Queries that end by themselves when they have read what there was: to have stopped is what they are for. */
  ending: ReadonlySet<string>;
  now: number;
}

export interface Status {
  level: Level;
  /** The answer in a few words. */
  headline: string;
  /** The same without what is measured now: only when this changes is there news. */
  news?: string;
  /** What to know besides, joined by dots; the rate stands beside it in figures. */
  parts: string[];
  /** What may help, if something is wrong. */
  hint: string | null;
  code: string | null;
  /** The device that the headline speaks of. */
  device: { source: string; key: string } | null;
}

/** A backlog below this many seconds of the present rate is not worth a word. */
const LAG_SECONDS = 5;
const LAG_FLOOR = 100;

/** The worse, the greater. */
export const order: Record<Severity, number> = { critical: 3, warning: 2, info: 1 };

/** Open alerts, worst first, then oldest first. */
export function byUrgency(alerts: Alert[]): Alert[] {
  return [...alerts].sort((a, b) => order[b.severity] - order[a.severity] || a.openedAt - b.openedAt);
}

export function status(facts: Facts): Status {
  const { tick, now } = facts;
  const none = { hint: null, code: null, device: null };
  if (!facts.connected) {
    if (facts.lostSince === null) return { level: "unknown", headline: "Asking Forebay…", parts: [], ...none };
    return {
      level: "unknown",
      headline: `No word from Forebay since ${moment(facts.lostSince, now, true)}`,
      parts: tick ? ["what you see below is from then"] : [],
      ...none,
    };
  }
  if (!tick) return { level: "unknown", headline: "Asking Forebay…", parts: [], ...none };
  const alertTotal = Math.max(tick.alerts.open, facts.open.length);
  if (tick.ledger && !tick.ledger.balances) return unbalanced(facts, tick, alertTotal);
  if (tick.status === "failing" || tick.problems.length > 0) return failing(facts, tick, alertTotal);
  if (alertTotal > 0) return alerting(facts, tick, alertTotal);
  return calm(facts, tick);
}

/** Every record must be counted once: a ledger that does not add up is the worst there is, because data may be lost. */
function unbalanced(facts: Facts, tick: Tick, alerts: number): Status {
  const parts = remarks(facts, tick);
  if (tick.problems.length > 0) parts.push(many(tick.problems.length, "problem", "problems"));
  if (alerts > 0) parts.push(many(alerts, "open alert"));
  const hint = "Records may be lost or doubled. The ledger below shows where; keep the data folder as it is and report this.";
  return { level: "critical", headline: "The ledger does not balance", parts, hint, code: null, device: null };
}

function failing(facts: Facts, tick: Tick, alerts: number): Status {
  const first: Problem | undefined = tick.problems[0];
  const more = tick.problems.length - 1;
  const parts: string[] = [];
  // An error as a text begins with its code, which stands by itself below.
  if (first?.error) parts.push(clip(visible(first.code && first.error.startsWith(`${first.code} `) ? first.error.slice(first.code.length + 1) : first.error), 240));
  if (more > 0) parts.push(`${many(more, "more problem", "more problems")}`);
  parts.push(...remarks(facts, tick));
  if (alerts > 0) parts.push(many(alerts, "open alert"));
  const when = sinceWords(toMillis(first?.since), facts.now);
  return {
    level: "critical",
    headline: first ? `${subject(first)}${when}` : "Forebay is failing",
    parts,
    hint: first?.hint ?? null,
    code: first?.code ?? null,
    device: null,
  };
}

function subject(problem: Problem): string {
  if (problem.query !== null) return `Query ${label(problem.query)} is failing`;
  if (problem.gateway) return `Gateway ${label(problem.gateway)} has no connection`;
  return `The history of ${label(problem.source ?? "")} is not saved`;
}

function alerting(facts: Facts, tick: Tick, total: number): Status {
  const [first] = byUrgency(facts.open);
  const worst: Severity = first?.severity ?? worstOf(tick.alerts.bySeverity);
  const stopped = stops(facts, tick);
  const parts = [...stopped, ...refused(facts, tick), ...unreadable(facts, tick), ...rowsRefused(facts, tick), ...(tick.followers.length > 0 ? [devices(tick)] : []), waits(tick, stopped.length > 0)];
  const critical = tick.alerts.bySeverity.critical ?? 0;
  if (!first) return { level: worst, headline: many(total, "open alert"), parts, hint: null, code: null, device: null };
  const what = (message: string): string => (message ? clip(visible(message), 120) : `${label(first.rule)} on ${label(first.key ?? "NULL")}`).replace(/[.\s]+$/, "");
  const lead = total === 1 ? `1 ${worst === "info" ? "notice" : worst === "critical" ? "critical alert" : "alert"}` : `${count(total)} alerts${critical > 0 && critical < total ? `, ${count(critical)} critical` : ""}`;
  const line = (message: string): string => `${lead}: ${what(message)} since ${since(first.openedAt, facts.now)}`;
  return {
    level: worst,
    headline: line(facts.words(first)),
    news: line(first.message),
    parts,
    hint: null,
    code: null,
    device: facts.isDevice(first) ? { source: first.source, key: first.key ?? "" } : null,
  };
}

function calm(facts: Facts, tick: Tick): Status {
  const none = { hint: null, code: null, device: null };
  // A run may follow no source for the page: then nothing is known of devices, and nothing is said of them.
  const follows = tick.followers.length > 0;
  if (follows && tick.devices.total === 0) {
    return { level: "info", headline: "Ready, and nothing has been sent yet", parts: [...remarks(facts, tick), "the first event will show here by itself"], ...none };
  }
  const late = tick.followers.find((follower) => follower.behind);
  const [stop] = stops(facts, tick);
  const parts = follows ? [devices(tick)] : [];
  if (stop) {
    const unknown = stopped(facts, tick).some((query) => query.lag === null) ? ", how much is not known" : "";
    return { level: "warning", headline: stop, parts: [...parts, `what comes meanwhile waits in the log${unknown}`, ...refused(facts, tick), ...unreadable(facts, tick)], ...none };
  }
  const { refusedReload: file } = tick;
  if (file) {
    const [headline = ""] = refused(facts, tick);
    return { level: "warning", headline, parts: [clip(visible(file.error), 240), `read at the wish of ${label(file.by)}`, "all goes on by the file before", ...unreadable(facts, tick)], hint: file.hint, code: file.code, device: null };
  }
  const [table] = tick.brokenTables;
  if (table) {
    const [headline = ""] = unreadable(facts, tick);
    return { level: "warning", headline, parts: [whyUnreadable(table), OLD_ROWS], hint: table.error.hint, code: table.error.code, device: null };
  }
  const [set] = rowsRefused(facts, tick);
  if (set) {
    const hint = "The quarantine below has each row with the sink's words. Mend what they name, put the rows in by hand, then drop them there.";
    return { level: "warning", headline: set, parts: [...parts, "all other rows are written"], hint, code: null, device: null };
  }
  if (lagMatters(tick)) {
    const worst = [...tick.queries].sort((a, b) => (b.lag ?? 0) - (a.lag ?? 0))[0];
    const where = worst && (worst.lag ?? 0) > 0 ? `Query ${label(worst.name)} is` : "Queries are";
    return { level: "warning", headline: `${where} ${count(worst?.lag || tick.lag)} records behind`, parts, ...none };
  }
  if (late) {
    return { level: "warning", headline: `This page is ${count(late.lag)} records behind`, parts: [...parts, "queries are not held up by it"], ...none };
  }
  if (follows && tick.devices.live === 0) {
    return { level: "warning", headline: `No device is sending${sinceWords(facts.lastEvent, facts.now)}`, parts: [`${many(tick.devices.quiet, "device")} quiet`, waits(tick)], ...none };
  }
  if (tick.devices.quiet > 0) parts.push(`${count(tick.devices.quiet)} quiet`);
  const clocks = clocksOff(tick.followers);
  if (clocks !== null) parts.push(`clocks: ${clocks}`);
  parts.push(waits(tick));
  const from = Math.max(facts.startedAt ?? 0, facts.lastCleared ?? 0);
  return { level: "ok", headline: `All well${sinceWords(from > 0 ? from : null, facts.now)}`, parts, ...none };
}

/** More sources than these are not told one by one. */
const MOST_SOURCES = 3;

/** How many devices there are: of each source by itself, for one key in two sources may be one device. */
function devices({ followers, devices: { total } }: Tick): string {
  const of = followers.flatMap(({ source, devices: there }) => (there == null ? [] : [{ source, there }]));
  if (followers.length < 2 || of.length < followers.length) return many(total, "device");
  if (of.length > MOST_SOURCES) return many(of.length, "source");
  // A device for each source is what sources without a key are: their names say more than a count.
  if (of.every(({ there }) => there < 2)) return `${many(of.length, "source")}: ${of.map(({ source, there }) => `${label(source)}${there === 0 ? " (nothing yet)" : ""}`).join(", ")}`;
  return of.map(({ source, there }, index) => `${index === 0 ? many(there, "device") : count(there)} of ${label(source)}`).join(", ");
}

/** ` since 14:03`, or nothing where it is not known. */
const sinceWords = (at: number | null, now: number): string => (at === null ? "" : ` since ${since(at, now)}`);

/** Queries and alert rules that somebody stopped. */
function stopped(facts: Facts, tick: Tick): QueryView[] {
  return tick.queries.filter((query) => query.state === "stopped" && !facts.ending.has(query.name));
}

/** What is stopped, in one part; none if nothing is. */
function stops(facts: Facts, tick: Tick): string[] {
  const all = stopped(facts, tick);
  const [first] = all;
  if (!first) return [];
  const rules = all.filter((query) => query.kind === "alert").length;
  if (all.length === 1) {
    const what = rules === 1 ? `Alert rule ${label(ruleName(first.name))}` : `Query ${label(first.name)}`;
    return [`${what} is stopped${sinceWords(toMillis(first.since), facts.now)}`];
  }
  const kinds = [
    ...(all.length > rules ? [many(all.length - rules, "query", "queries")] : []),
    ...(rules > 0 ? [many(rules, "alert rule")] : []),
  ];
  return [`${kinds.join(" and ")} are stopped`];
}

/** The file that was refused last, in one part; none if the last one was taken. */
function refused(facts: Facts, { refusedReload: file }: Tick): string[] {
  return file ? [`The changed file is refused${sinceWords(toMillis(file.since), facts.now)}`] : [];
}

/** What is joined with while a table cannot be read. */
export const OLD_ROWS = "the version read before is used";

/** What is wrong with a table, and in which line of which file. */
export const whyUnreadable = ({ error }: BrokenTable): string => clip(visible(error.message), 240) + (error.place ? ` (${label(error.place, 120)})` : "");

/** The tables that cannot be read, in one part; each once, however many queries read it; none if all can be read. */
function unreadable(facts: Facts, { brokenTables }: Tick): string[] {
  const [first] = brokenTables;
  if (!first) return [];
  const names = new Set(brokenTables.map((table) => table.name));
  return [names.size > 1 ? `${many(names.size, "table")} cannot be read` : `The table ${label(first.name)} cannot be read${sinceWords(toMillis(first.since), facts.now)}`];
}

/** Rows that were refused longer ago are not what the first line is about; they are in the quarantine still. */
const LATELY_MS = 24 * 3_600_000;

/** Rows that sinks refused lately and that nobody has dealt with, in one part; none if there are none. */
function rowsRefused(facts: Facts, { quarantine }: Tick): string[] {
  const lately = (quarantine?.refused ?? []).filter(({ rows, newest }) => rows > 0 && facts.now - newest < LATELY_MS);
  const rows = lately.reduce((sum, of) => sum + of.rows, 0);
  if (rows === 0) return [];
  const newest = Math.max(...lately.map((of) => of.newest));
  const who = lately.length > 1 ? many(lately.length, "query", "queries") : `query ${label(lately[0]?.query ?? "")}`;
  return [`${many(rows, "row")} of ${who} ${rows === 1 ? "was" : "were"} refused by the sink, the last at ${moment(newest, facts.now)}`];
}

/** What is said whatever is worse. */
const remarks = (facts: Facts, tick: Tick): string[] => [...stops(facts, tick), ...refused(facts, tick), ...unreadable(facts, tick), ...rowsRefused(facts, tick)];

/** The rule of a query that watches for it. */
export const ruleName = (query: string): string => query.replace(/^alerts\//, "");

function lagMatters(tick: Tick): boolean {
  return (tick.lag ?? 0) > Math.max(LAG_FLOOR, tick.rate * LAG_SECONDS);
}

/**
 * How far the queries are behind, in words. A few records wait at any moment, for a trigger or for the epoch that
 * reads them: that is keeping up, and "nothing waits" would be wrong half of the time.
 */
function waits(tick: Tick, others = false): string {
  if (tick.lag === null) return "what waits is not known";
  return lagMatters(tick) ? `${count(tick.lag)} records wait` : others ? "the others keep up" : "queries keep up";
}

function worstOf(by: Partial<Record<Severity, number>>): Severity {
  return by.critical ? "critical" : by.warning ? "warning" : "info";
}

/** The first query that fails for the same reason: it is told once, where one thing that is down stops several. */
export function sameTrouble(all: Pick<QueryView, "name" | "error">[], query: Pick<QueryView, "name" | "error">): string | null {
  const { error } = query;
  const first = error && all.find((one) => one.error?.code === error.code && one.error.message === error.message);
  return first && first.name !== query.name ? first.name : null;
}

/** The whole line as one sentence, for readers who hear it. */
export function spoken(status: Status): string {
  return [status.headline, ...status.parts].join(" · ");
}
