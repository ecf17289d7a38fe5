// What the address bar says: which view, which slice, which device, which SQL. Everything that a colleague should see
// when they get the link is here, nothing else. Pure both ways: `parse(print(place))` is `place`.
import type { Range, Severity } from "../api/types";

export type View = "plant" | "alerts" | "quality" | "sql";
export type StateFilter = "" | "live" | "quiet" | "late" | "alerting";
/** Of alerts; none: both. */
export type AlertFilter = "" | "open" | "cleared";
/** How fine time is cut where quality is shown: the newest three hours, or two weeks. */
export type Steps = "minutes" | "hours";
export type SqlShape = "auto" | "table" | "line" | "bar";

export interface Place {
  view: View;
  range: Range;
  source: string;
  search: string;
  state: StateFilter;
  /** What is chosen of labels, each as `FIELD:VALUE`. */
  where: string[];
  sort: string;
  page: number;
  /** The device whose drawer is open; null if none (an empty string is a device's name, too). */
  device: string | null;
  /** The device that is singled out on the map and in the feed; null if none. An open device is always it. */
  picked: string | null;
  /** Which alerts the view of them shows. */
  is: AlertFilter;
  rule: string;
  severity: Severity | "";
  /** Part of a key or of a message; the alerts of this key alone where one is named so. */
  find: string;
  /** The alert whose history is open. */
  alert: string | null;
  /** The query that judged, and the source it judged, of which quality is shown; none: the first. */
  judge: string;
  judged: string;
  /** The one that is looked at. */
  expectation: string;
  steps: Steps;
  sql: string;
  shape: SqlShape;
}

export const START: Place = {
  view: "plant",
  range: "15m",
  source: "",
  search: "",
  state: "",
  where: [],
  sort: "key",
  page: 0,
  device: null,
  picked: null,
  is: "",
  rule: "",
  severity: "",
  find: "",
  alert: null,
  judge: "",
  judged: "",
  expectation: "",
  steps: "minutes",
  sql: "",
  shape: "auto",
};

const RANGES: Range[] = ["15m", "6h", "24h"];
const STATES: StateFilter[] = ["", "live", "quiet", "late", "alerting"];
const IS: AlertFilter[] = ["", "open", "cleared"];
const SEVERITIES: (Severity | "")[] = ["", "info", "warning", "critical"];
const VIEWS: View[] = ["plant", "alerts", "quality", "sql"];
const STEPS: Steps[] = ["minutes", "hours"];
const SHAPES: SqlShape[] = ["auto", "table", "line", "bar"];

/** Longest address that is worth sharing; more than that stays out of the link. */
export const LONGEST_LINK = 8_000;

/** Choices of labels that the server takes, and how long each may be. */
const MOST_CHOICES = 20;
const LONGEST_CHOICE = 1_000;

export function parse(hash: string): Place {
  const text = hash.replace(/^#\/?/, "");
  const cut = text.indexOf("?");
  const path = cut < 0 ? text : text.slice(0, cut);
  const params = new URLSearchParams(cut < 0 ? "" : text.slice(cut + 1));
  const oneOf = <T extends string>(name: string, allowed: T[], otherwise: T): T => {
    const value = params.get(name) as T | null;
    return value !== null && allowed.includes(value) ? value : otherwise;
  };
  const page = Number(params.get("page") ?? 0);
  const device = params.get("device");
  return {
    view: VIEWS.find((view) => view === path) ?? START.view,
    range: oneOf("range", RANGES, START.range),
    source: params.get("source") ?? "",
    search: params.get("search") ?? "",
    state: oneOf("state", STATES, ""),
    where: params.getAll("where").filter((text) => text.length <= LONGEST_CHOICE).slice(0, MOST_CHOICES),
    sort: params.get("sort") || START.sort,
    page: Number.isInteger(page) && page > 0 && page < 1e6 ? page : 0,
    device,
    picked: device ?? params.get("pick"),
    is: oneOf("is", IS, ""),
    rule: params.get("rule") ?? "",
    severity: oneOf("severity", SEVERITIES, ""),
    find: params.get("find") ?? "",
    alert: params.get("alert"),
    judge: params.get("judge") ?? "",
    judged: params.get("judged") ?? "",
    expectation: params.get("expectation") ?? "",
    steps: oneOf("steps", STEPS, START.steps),
    sql: params.get("q") ?? "",
    shape: oneOf("as", SHAPES, "auto"),
  };
}

export function print(place: Place): string {
  const params = new URLSearchParams();
  const put = (name: string, value: string, normal: string): void => {
    if (value !== normal) params.set(name, value);
  };
  put("range", place.range, START.range);
  put("source", place.source, "");
  put("search", place.search, "");
  put("state", place.state, "");
  for (const choice of place.where) params.append("where", choice);
  put("sort", place.sort, START.sort);
  put("page", String(place.page), "0");
  if (place.device !== null) params.set("device", place.device);
  else if (place.picked !== null) params.set("pick", place.picked);
  put("is", place.is, "");
  put("rule", place.rule, "");
  put("severity", place.severity, "");
  put("find", place.find, "");
  if (place.alert !== null) params.set("alert", place.alert);
  put("judge", place.judge, "");
  put("judged", place.judged, "");
  put("expectation", place.expectation, "");
  put("steps", place.steps, START.steps);
  put("q", place.sql, "");
  put("as", place.shape, "auto");
  const text = params.toString();
  const path = `#/${place.view === START.view ? "" : place.view}`;
  const link = `${path}${text ? `?${text}` : ""}`;
  return link.length <= LONGEST_LINK ? link : path;
}

export interface LiveView {
  source: string;
  search: string;
  state: string;
  where: string[];
  sort: string;
  offset: number;
  limit: number;
  fields: string[];
  keys: string[];
  field: string;
}

/** Longest key that is sent in an address; a longer one is shown in the slice but has no line of its own in the charts. */
export const LONGEST_KEY = 256;
/** Longest text that is looked for. */
const LONGEST_SEARCH = 200;

/** Most keys of a view. */
const MOST_KEYS = 50;

/**
 * The query of `/live` for what the person sees. Lists are joined by commas; a key that holds one is sent alone as
 * `key`. A field that holds one cannot be named in a list, so all fields are asked for then, by naming none.
 */
export function liveQuery(view: LiveView): string {
  const params = new URLSearchParams();
  const put = (name: string, value: string): void => {
    if (value !== "") params.set(name, value);
  };
  put("source", view.source);
  put("search", view.search.slice(0, LONGEST_SEARCH));
  put("state", view.state);
  for (const choice of view.where) params.append("where", choice);
  put("sort", view.sort);
  params.set("offset", String(view.offset));
  params.set("limit", String(view.limit));
  if (!view.fields.some((name) => name.includes(","))) put("fields", view.fields.join(","));
  const keys = view.keys.filter((key) => key !== "" && key.length <= LONGEST_KEY).slice(0, MOST_KEYS);
  put("keys", keys.filter((key) => !key.includes(",")).join(","));
  for (const key of keys) if (key.includes(",")) params.append("key", key);
  put("field", view.field);
  return params.toString();
}
