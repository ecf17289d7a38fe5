// The page's life: load what is, open the stream, write what comes into the store, and start over where it was lost.
//
// The order matters once: the schema says what to draw, so it comes first; everything else loads beside each other and
// each part shows as soon as it is there. Values wait for a frame, so a burst costs one drawing.
import { batch, effect, signal, untracked } from "@preact/signals";
import { ApiError, get, post, whenUnauthorized } from "../api/http";
import { alertOf, schemaOf, sliceOf, tickOf } from "../api/normal";
import { LiveLink } from "../api/live";
import type { Alert, AlertPage, Device, DevicePage, DeviceSlice, Hello, LedgerPage, QuarantinePage, Schema, Tick } from "../api/types";
import { Gathered, loaded, patched, secondLater, transition } from "./apply";
import { Caught } from "./caught";
import { feedTick, reloadFeeds, reloadOf, reloadOthers } from "./feed";
import { columns, coordinate, natural, TRAILS } from "./panels";
import * as store from "./store";
import { liveQuery, START } from "./url";

/** Devices on one page of the table. */
export const PAGE = 25;
/** Columns of the table at its widest. */
export const MOST_COLUMNS = 6;

/** Numbers change at most ten times a second: faster ones are a blur that nobody can read. A lone value shows at once. */
const CALM_MS = 100;
const RETRY_MS = 2_000;
const BACK_SHOWN_MS = 6_000;
const RATES_KEPT = 900;

const gathered = new Gathered();
const caught = new Caught();
/** Lists are asked for again at most this often while devices come or go. */
const KNOWN_EVERY_MS = 2_000;
/** The stream carries the charts of one source; those of others are loaded anew this often. */
const OTHERS_EVERY_MS = 10_000;
let knownAt = 0;
let othersAt = 0;

let pending = false;
let lastFlush = -Infinity;
/** Transitions that came since the alerts were asked for: the answer may be older than they are. */
let meanwhile: Alert[] | null = null;
/** Whether the last tick counted other open alerts than are listed. */
let differed = false;
/** Open alerts that are listed at most. */
const OPEN_LISTED = 200;

const link = new LiveLink({
  hello: onHello,
  tick: (raw) => onTick(tickOf(raw)),
  devices: (raw) => onDevices(sliceOf(raw)),
  values: (message) => {
    gathered.add(message);
    if (pending) return;
    pending = true;
    const rest = lastFlush + CALM_MS - performance.now();
    if (rest <= 0) requestAnimationFrame(flush);
    else setTimeout(() => requestAnimationFrame(flush), rest);
  },
  alert: (raw) => {
    const alert = alertOf(raw);
    meanwhile?.push(alert);
    store.alerts.value = transition(store.alerts.value, alert);
  },
  lost: (attempt, wait) => {
    const before = store.link.value;
    store.link.value = {
      phase: "lost",
      lostSince: before.lostSince ?? store.tick.value?.now ?? serverNow(),
      attempt,
      retryAt: Date.now() + wait,
      backAt: null,
    };
  },
  refused: onRefused,
});

export function serverNow(): number {
  return Date.now() + store.skew.value;
}

export async function start(): Promise<void> {
  whenUnauthorized(askWho);
  setInterval(() => {
    // While ticks come, they carry the clock.
    if (store.link.value.phase !== "live") store.now.value = serverNow();
    const { backAt } = store.link.value;
    if (backAt !== null && Date.now() - backAt > BACK_SHOWN_MS) store.link.value = { ...store.link.value, backAt: null };
  }, 1_000);
  addEventListener("online", () => link.hurry());
  await load();
}

/** Loads the schema, then all the rest; tries again for as long as it takes. */
export async function load(): Promise<void> {
  try {
    store.schema.value = schemaOf(await get<Schema>("/schema"));
    store.bootError.value = null;
    store.needsSignIn.value = false;
  } catch (cause) {
    store.bootError.value = cause instanceof ApiError ? cause : new ApiError(0, String(cause));
    if (!store.needsSignIn.value) setTimeout(() => void load(), RETRY_MS);
    return;
  }
  await Promise.allSettled([loadKnown(), loadAlerts(), loadQuarantine(), loadLedger()]);
  store.booted.value = true;
  follow();
}

let following = false;
/** Opens the stream and opens it anew whenever the person looks at something else. */
function follow(): void {
  if (following) return;
  following = true;
  let pause: ReturnType<typeof setTimeout> | undefined;
  let first = true;
  effect(() => {
    const query = liveQuery(view());
    clearTimeout(pause);
    pause = setTimeout(() => link.show(query), first ? 0 : 120);
    first = false;
  });
}

/** The fields that charts and table need, so that the server sends no others. */
function view(): Parameters<typeof liveQuery>[0] {
  const { search, state, sort, page } = store.place.value;
  const source = store.source.value;
  const wanted = new Set<string>();
  const hasMap = store.panels.value.some(({ panel, source: of }) => panel.chart === "map" && of?.name === source?.name);
  for (const { panel, source: of, field } of store.panels.value) {
    if (!field || !of || panel.sql) continue;
    if (of.name === source?.name) wanted.add(field.name);
  }
  if (source) {
    for (const field of columns(source, MOST_COLUMNS)) wanted.add(field.name);
    for (const role of ["lat", "lon"] as const) {
      const at = coordinate(source, role);
      if (at && hasMap) wanted.add(at.name);
    }
  }
  return {
    source: source?.name ?? "",
    search,
    state,
    where: store.where.value,
    sort,
    offset: page * PAGE,
    limit: PAGE,
    fields: [...wanted],
    keys: source ? (hasMap ? store.trailKeys(source) : store.chartKeys(source)) : [],
    field: sparkField(),
  };
}

/** The field of the table's small lines: the first measured one. */
export function sparkField(): string {
  const source = store.source.value;
  return source?.fields.find((field) => field.kind === "number" && field.role === "value")?.name ?? "";
}

/** Nobody is signed in (any more): the form comes, and nothing is tried again until somebody is. */
function askWho(): void {
  link.close();
  store.needsSignIn.value = true;
}

/** After signing in. A page that showed something before begins anew: it may have been somebody else's. */
export async function enter(): Promise<void> {
  if (store.booted.value) location.reload();
  else await load();
}

/** A link may name what is not there (any more): the page says so and shows the plant as it is. */
function onRefused(error: ApiError): void {
  if (error.status === 401) return askWho();
  store.notice.value = `${error.message}${error.hint ? `. ${error.hint}` : ""}`;
  store.go({ source: "", search: "", state: "", where: [], sort: START.sort, page: 0 }, true);
}

function onHello(data: Hello, again: boolean): void {
  const before = store.hello.peek();
  batch(() => {
    store.hello.value = data;
    if (before && before.version !== data.version) store.newer.value = data.version;
    store.skew.value = data.now - Date.now();
    store.now.value = data.now;
    if (data.rates) store.rates.value = data.rates.slice(-RATES_KEPT);
    if (store.link.value.phase !== "lost") store.link.value = { ...store.link.value, phase: "live", lostSince: null, attempt: 0, retryAt: null };
  });
  // What is shown stays until what is new is there.
  if (again || (before && before.startedAt !== data.startedAt)) void catchUp();
}

function onTick(data: Tick): void {
  batch(() => {
    const before = store.tick.value;
    store.tick.value = data;
    store.skew.value = data.now - Date.now();
    store.now.value = data.now;
    store.rates.value = [...store.rates.value.slice(1 - RATES_KEPT), data.rate];
    feedTick(data.charts);
    caught.again(data.followers, data.now, performance.now()).forEach(reloadOf);
    for (const row of store.slice.value?.rows ?? []) row.device.value = secondLater(row.device.peek(), data.now);
    const open = untracked(() => store.alerts.value.open.length);
    const differs = data.alerts.open !== open && open < OPEN_LISTED;
    // A transition that was lost with a connection; one tick alone may only be ahead of its events.
    if (differs && differed) void loadAlerts().catch(() => undefined);
    differed = differs;
    if (before && data.quarantine && before.quarantine?.open !== data.quarantine.open) void loadQuarantine();
    const listed = Object.values(store.known.value).reduce((sum, one) => sum + one.total, 0);
    if (data.devices.total !== listed && data.now - knownAt > KNOWN_EVERY_MS) {
      knownAt = data.now;
      void loadKnown().catch(() => undefined);
    }
    if (data.now - othersAt > OTHERS_EVERY_MS) {
      othersAt = data.now;
      reloadOthers(store.source.value?.name ?? "");
    }
  });
}

function onDevices(data: DeviceSlice): void {
  gathered.clear();
  const before = new Map(store.slice.value?.rows.map((row) => [row.key, row]));
  const rows = data.rows.map((device) => {
    const row = before.get(device.key);
    if (!row || row.device.peek().source !== device.source) return { key: device.key, device: signal<Device>(device) };
    row.device.value = device;
    return row;
  });
  store.slice.value = { total: data.total, offset: data.offset, rows };
}

function flush(): void {
  pending = false;
  lastFlush = performance.now();
  const rows = store.slice.peek()?.rows;
  if (!rows) return gathered.clear();
  batch(() => {
    for (const [index, patch] of gathered.take()) {
      const row = rows[index];
      if (row) row.device.value = patched(row.device.peek(), patch);
    }
  });
}

/**
 * After a lost connection, a restart or a reload: schema, history, alerts and lists again. Where the loss was told, the
 * banner then says that nothing is missing.
 */
async function catchUp(): Promise<void> {
  // The pipeline may be another one, and its sources are what the lists are asked for.
  await reloadSchema().catch(() => undefined);
  await Promise.allSettled([reloadFeeds(), loadAlerts(), loadQuarantine(), loadLedger(), loadKnown()]);
  const told = store.link.value.phase === "lost";
  store.link.value = { phase: "live", lostSince: null, attempt: 0, retryAt: null, backAt: told ? Date.now() : null };
}

async function reloadSchema(): Promise<void> {
  const schema = schemaOf(await get<Schema>("/schema"));
  if (JSON.stringify(schema) !== JSON.stringify(untracked(() => store.schema.value))) store.schema.value = schema;
}

/** The first few keys of each source, and how many there are. */
async function loadKnown(): Promise<void> {
  const sources = untracked(() => store.schema.value?.sources ?? []);
  const pages = await Promise.all(sources.map(({ name }) => get<DevicePage>("/devices", { source: name, sort: "key", limit: TRAILS })));
  const list = sources.map(({ name }, index) => {
    const page = pages[index];
    return [name, { total: page?.total ?? 0, keys: (page?.devices ?? []).map((device) => device.key).sort(natural) }] as const;
  });
  store.known.value = Object.fromEntries(list);
}

export async function loadAlerts(): Promise<void> {
  const came: Alert[] = [];
  meanwhile = came;
  const [open, cleared] = await Promise.all([
    get<AlertPage>("/alerts", { state: "open", limit: OPEN_LISTED }),
    get<AlertPage>("/alerts", { state: "cleared", limit: 50 }),
  ]);
  store.alerts.value = came.reduce(transition, loaded(open.alerts.map(alertOf), cleared.alerts.map(alertOf)));
  if (meanwhile === came) meanwhile = null;
}

/** What somebody did here is shown at once; everybody else hears of it by the stream. */
export async function says(path: "/alerts/acknowledge" | "/alerts/comment", id: Alert["id"], comment: string): Promise<void> {
  const alert = alertOf(await post<Alert>(path, { id, ...(comment ? { comment } : {}) }));
  store.alerts.value = transition(store.alerts.value, alert);
}

export async function loadQuarantine(): Promise<void> {
  store.quarantine.value = await get<QuarantinePage>("/quarantine", { limit: 20 });
}

export async function loadLedger(): Promise<void> {
  store.ledger.value = await get<LedgerPage>("/ledger");
}

export function hurry(): void {
  link.hurry();
}
