// A server that speaks the page's contract with invented data, so that the page can be developed and tested alone.
//
//   node mock/serve.mjs [--port 25180] [--mode plant|two|fleet|vehicles|seed|alerting|failing|empty|thousand|hostile|odd|unnamed|blind] [--dist dist]
//
// POST /__mock changes its mind while it runs: {mode}, {overheat: key}, {calm: true}, {disconnect: ms}, {unbalanced: n},
// {stop: query}, {silent: true}, {refuse: who} (the changed file), {breakTable: name} (it cannot be read), {young: ms} (it began so long ago), {clocks: true} (two devices' are off), {cycles: true} (a query archives), {quality: {well: true}} (nothing fails) or {quality: {silent: true}} (nothing came), {caughtUp: true} (a backlog is read), {deaf: true} (what people say of alerts cannot be kept), {tell: true} (alerts tell their reading), {role: viewer|operator|admin|null}, {revoke: true} (every session ends), {reload: title}, {version: text}.
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { serveLive, dropAll, named, sliceOf } from "./live.mjs";
import { quality } from "./quality.mjs";
import { World } from "./state.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const port = Number(option("port", "25180"));
const dist = normalize(option("dist", fileURLToPath(new URL("../dist", import.meta.url))));
const world = new World(option("mode", "plant"));
let awayUntil = 0;
/** With a role the mock asks for the token `mock`; sessions of an older generation have ended. */
let role = null;
let generation = 0;
/** What people say of alerts cannot be kept. */
let deaf = false;

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

/** A request that the mock stumbles over is answered and told; the next ones must not find it gone. */
const server = createServer((request, response) => {
  try {
    serve(request, response);
  } catch (error) {
    console.error(`mock: ${request.method} ${request.url}: ${error.stack}`);
    if (!response.headersSent) json(response, 500, { title: "the mock stumbled", detail: String(error) });
  }
});

/** The fields of the source that devices belong to: none if no source is followed. */
const fieldsOf = (schema, source) => ((schema.sources.find((one) => one.name === source) ?? schema.sources[0])?.fields ?? []).map((field) => field.name);

function serve(request, response) {
  const url = new URL(request.url ?? "/", "http://mock");
  if (url.pathname === "/__mock" && request.method === "POST") return body(request, (wish) => control(wish, response));
  if (Date.now() < awayUntil) return request.socket.destroy();
  if (!url.pathname.startsWith("/api/v1")) return file(url.pathname, response);
  if (role && url.pathname !== "/api/v1/session" && !(request.headers.cookie ?? "").split("; ").includes(`session=mock${generation}`)) return json(response, 401, { title: "sign in", detail: "this server asks who you are", code: "FB-8010" });
  if (request.method !== "GET" && request.headers["x-forebay"] !== "1") return json(response, 403, { title: "request refused", detail: "the header X-Forebay is missing", code: "FB-8001" });
  if (request.method === "DELETE" && url.pathname === "/api/v1/session") {
    response.writeHead(204, { "Set-Cookie": "session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0" });
    return response.end();
  }
  const ended = request.method === "DELETE" && /^\/api\/v1\/silences\/(\d+)$/.exec(url.pathname);
  if (ended) return json(response, 200, world.endSilence(ended[1], "ana", Date.now()));
  if (request.method === "POST") return body(request, (data) => change(url.pathname.slice(7), data, response));
  return answer(url.pathname.slice(7), url.searchParams, request, response);
}

/** What each path takes; like the real server, the mock refuses what it does not know. */
const TAKES = {
  "/live": ["source", "search", "state", "where", "sort", "offset", "limit", "fields", "keys", "key", "field"],
  "/labels": ["source", "search", "state", "where"],
  "/shares": ["source", "field", "range", "where", "points"],
  "/devices": ["source", "search", "state", "where", "sort", "limit", "cursor", "fields"],
  "/device": ["source", "key"],
  "/history": ["source", "field", "range", "key", "points"],
  "/alerts": ["state", "source", "key", "keyIs", "rule", "limit", "cursor"],
  "/quarantine": ["query", "code", "limit", "cursor"],
  "/quality": ["query", "source", "rule", "device", "from", "to", "limit"],
  "/cycles": ["limit"],
  "/sql": ["q", "limit"],
};

/** A query that collects for two minutes and has archived three times. */
const cycle = (now) => ({
  query: "collect", every: 120_000, repeat: null, template: "backup/{name}_{yyyyMMdd_HHmmss}.csv", stage: "collecting", number: 4, since: now - 30_000, count: 3, rows: 3_600, bytes: 180_000,
  archives: [3, 2, 1].map((n) => ({ cycle: n, name: `backup/collect_20261122_12000${n}.csv`, rows: 1_200, bytes: 60_000, at: now - 30_000 - (3 - n) * 120_000 })),
});

function answer(path, query, request, response) {
  const unknown = [...query.keys()].find((name) => !(TAKES[path] ?? []).includes(name));
  if (unknown) return json(response, 400, { title: "bad request", detail: `there is no parameter \`${unknown}\``, code: "FB-8001" });
  const now = Date.now();
  const limit = Math.min(500, Number(query.get("limit") ?? 50));
  const from = Number(query.get("cursor") ?? 0);
  const page = (list) => ({ some: list.slice(from, from + limit), next: from + limit < list.length ? String(from + limit) : null });
  switch (path) {
    case "/live": {
      const sort = (query.get("sort") ?? "key").replace(/^-/, "");
      const names = fieldsOf(world.schema, query.get("source"));
      if (!["key", "lastSeen", ...names].includes(sort)) return json(response, 400, { title: "bad request", detail: `no field is named \`${sort}\``, code: "FB-8001", hint: `There are: ${names.join(", ")}.` });
      return serveLive(world, query, request, response);
    }
    case "/pipelines":
      return json(response, 200, [{ name: world.schema.pipeline, version: "0.4.0", startedAt: world.plant.started, status: world.failingSince ? "failing" : "ok", problems: [] }]);
    case "/schema":
      return json(response, 200, { ...world.schema, session: role ? { auth: true, role, name: "ana" } : null });
    case "/queries":
      return json(response, 200, world.queries(now));
    case "/cycles":
      return json(response, 200, world.cycles ? [cycle(now)] : []);
    case "/ledger":
      return json(response, 200, world.ledger(now));
    case "/devices": {
      const fields = fieldsOf(world.schema);
      const view = { source: query.get("source"), search: (query.get("search") ?? "").toLowerCase(), state: query.get("state") ?? "", where: query.getAll("where"), sort: query.get("sort") ?? "key", offset: 0, limit: Infinity };
      const { total, numbers } = sliceOf(world, view, now);
      const { some, next } = page(numbers);
      return json(response, 200, { total, counts: world.counts(now), devices: some.map((n) => named(world, world.plant.device(n, now, fields, null), view.source)), next });
    }
    case "/device": {
      const n = query.get("source") === "mains" ? 0 : world.plant.numberOf(query.get("key") ?? "");
      if (n < 0) return json(response, 404, { title: "not found", detail: "no device has this key", code: "FB-8001" });
      return json(response, 200, world.plant.device(n, now, fieldsOf(world.schema), "temperature"));
    }
    case "/labels":
      return json(response, 200, world.labels(now, { state: query.get("state") ?? "", search: (query.get("search") ?? "").toLowerCase(), where: query.getAll("where") }));
    case "/shares":
      return json(response, 200, world.shares(query.get("field") ?? "", query.get("range") ?? "15m", query.getAll("where"), Number(query.get("points") ?? 180), now));
    case "/history":
      return json(response, 200, world.history(query.get("field") ?? "", query.get("range") ?? "15m", query.getAll("key"), now, query.has("points") ? Number(query.get("points")) : undefined));
    case "/alerts": {
      const state = query.get("state") ?? "all";
      const all = world.plant.alerts(now);
      const [source, key, rule] = [query.get("source"), query.get("key"), query.get("rule")];
      const { some, next } = page(all.filter((alert) => (state === "all" || alert.state === state) && (source === null || alert.source === source) && (key === null || alert.key === key) && (rule === null || alert.rule === rule)));
      return json(response, 200, { open: all.filter((alert) => alert.state === "open").length, alerts: some, next });
    }
    case "/silences":
      return json(response, 200, world.silencesOf(now));
    case "/quarantine": {
      const { some, next } = page(world.records.filter(({ queries }) => !query.has("query") || queries.includes(query.get("query"))));
      return json(response, 200, { open: world.records.length, bytes: 412, records: some, next });
    }
    case "/quality": {
      const answer = quality(world, query, now, world.quality);
      return answer ? json(response, 200, answer) : json(response, 404, { title: "not found", detail: "there is no such rule", code: "FB-8001" });
    }
    case "/sql":
      return sql(query.get("q") ?? "", response);
    default:
      return json(response, 404, { title: "not found", detail: `there is nothing at ${path}`, code: "FB-8001" });
  }
}

function change(path, data, response) {
  if (path === "/session") {
    if (data.token !== "mock") return json(response, 401, { title: "sign in", detail: "this token is not known", code: "FB-8010", hint: "Ask whoever runs Forebay for one." });
    response.setHeader("Set-Cookie", `session=mock${generation}; HttpOnly; SameSite=Strict; Path=/`);
    return json(response, 200, {});
  }
  if (path === "/sql") return sql(String(data.sql ?? ""), response);
  if (path === "/quarantine/replay" || path === "/quarantine/drop") {
    const before = world.records.length;
    world.records = data.all ? [] : world.records.filter((record) => !data.records?.includes(record.id));
    return json(response, 200, { requested: before - world.records.length });
  }
  if (path === "/silences") return silence(data, response);
  if (path === "/alerts/acknowledge" || path === "/alerts/comment") return remark(path, data, response);
  const act = /^\/queries\/(.+)\/(stop|start)$/.exec(path);
  if (act) {
    const name = decodeURIComponent(act[1]);
    if (act[2] === "stop") world.stopped.set(name, Date.now());
    else world.stopped.delete(name);
    return json(response, 200, {});
  }
  return json(response, 404, { title: "not found", detail: `there is nothing at ${path}`, code: "FB-8001" });
}

/** Somebody silences something. */
function silence(wish, response) {
  if (deaf) return json(response, 503, { title: "storage", detail: "cannot write the silences: no space left on device", code: "FB-5001", hint: "Free some space." });
  return json(response, 200, world.silence(wish, "ana", Date.now()));
}

/** What somebody does or says of an alert that is open. */
function remark(path, { id, comment }, response) {
  if (deaf) return json(response, 503, { title: "storage", detail: "cannot write the journal of alerts: no space left on device", code: "FB-5001", hint: "Free some space." });
  const open = world.plant.alerts(Date.now()).find((alert) => alert.id === id && alert.state === "open");
  if (!open) return json(response, 404, { title: "not found", detail: `no alert \`${id}\` is open`, code: "FB-8001", hint: "It has cleared, or its rule is not running." });
  const said = { at: Date.now(), by: "ana", ...(comment ? { comment } : {}) };
  world.plant.say(id, path === "/alerts/comment" ? "comment" : "acknowledge", said);
  return json(response, 200, world.plant.alerts(Date.now()).find((alert) => alert.id === id));
}

function sql(text, response) {
  const { status, body: result } = world.sql(text);
  setTimeout(() => json(response, status, result), 60);
}

function control(wish, response) {
  if (wish.mode) {
    world.set(wish.mode);
    awayUntil = 0;
    dropAll();
  }
  if (wish.calm) {
    deaf = false;
    world.plant.forget();
    world.plant.forced.clear();
    world.stopped.clear();
    world.plant.silence(false);
    world.refused = null;
    world.broken = [];
    world.clocksOff = false;
    world.cycles = false;
    world.silences = [];
    world.quality = {};
    world.plant.young(null);
  }
  if (wish.deaf) deaf = true;
  if (wish.overheat) world.plant.forced.set(world.plant.numberOf(wish.overheat), Date.now() - 1_000);
  if (wish.quality) world.quality = wish.quality;
  if (wish.cycles) world.cycles = true;
  if (wish.stop) world.stopped.set(wish.stop, Date.now());
  if (wish.silent) world.plant.silence(true);
  if (wish.tell) world.plant.tells = true;
  if (wish.refuse) world.refuse(wish.refuse);
  if (wish.breakTable) world.breakTable(wish.breakTable);
  if (wish.young) world.plant.young(wish.young);
  if (wish.clocks) world.clocksOff = true;
  if (wish.caughtUp) world.caughtUp = Date.now();
  if (wish.role !== undefined) role = wish.role;
  if (wish.revoke) {
    generation += 1;
    dropAll();
  }
  if (wish.reload) {
    // As a reload of the pipeline's file: other panels, the same process, every stream ends.
    world.schema = { ...world.schema, title: wish.reload };
    dropAll();
  }
  if (wish.version) {
    // As a restart with another binary.
    world.version = wish.version;
    dropAll();
  }
  if (wish.unbalanced !== undefined) world.unbalanced = wish.unbalanced;
  if (wish.disconnect) {
    awayUntil = Date.now() + wish.disconnect;
    dropAll();
  }
  json(response, 200, { mode: world.mode });
}

function file(path, response) {
  const name = normalize(path === "/" ? "/index.html" : path);
  const full = join(dist, name);
  const there = full.startsWith(dist) && existsSync(full) && statSync(full).isFile();
  if (!there) return json(response, 404, { title: "not found", detail: `there is no file ${path}` });
  response.writeHead(200, { "Content-Type": TYPES[extname(full)] ?? "application/octet-stream", "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer" });
  createReadStream(full).on("error", () => response.destroy()).pipe(response);
}

function body(request, act) {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => {
    try {
      act(text ? JSON.parse(text) : {});
    } catch (error) {
      console.error(`mock: ${request.method} ${request.url} with ${text}: ${error.stack}`);
      request.socket.destroy();
    }
  });
}

function json(response, status, value) {
  response.writeHead(status, { "Content-Type": status < 400 ? "application/json" : "application/problem+json", "Cache-Control": "no-store" });
  response.end(JSON.stringify(value));
}

server.listen(port, "127.0.0.1", () => console.log(`mock of ${world.mode} at http://127.0.0.1:${port}`));
