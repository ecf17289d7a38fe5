// The mock's event stream: a slice of devices, a tick each second, values at most 25 times a second.

const streams = new Set();
const FRAME = 40;

/** Ends every stream at once, as a restart or a reload would. */
export function dropAll() {
  for (const response of streams) response.destroy();
  streams.clear();
}

const list = (query, name) => query.getAll(name).flatMap((value) => value.split(",")).filter((value) => value !== "");

/** What is another after each transition and each comment. */
const markOf = (alert) => `${alert.state}/${alert.step}/${alert.comments?.length ?? 0}`;

export function serveLive(world, query, request, response) {
  const view = { source: query.get("source") ?? world.plant.source, where: query.getAll("where"), fields: list(query, "fields"), keys: [...list(query, "keys"), ...query.getAll("key")], offset: Number(query.get("offset") ?? 0), limit: Number(query.get("limit") ?? 30), search: (query.get("search") ?? "").toLowerCase(), state: query.get("state") ?? "", sort: query.get("sort") ?? "key" };
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  streams.add(response);
  const send = (event, data) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  const now = Date.now();
  send("hello", { pipeline: world.schema.pipeline, version: world.version, startedAt: world.plant.started, now, rates: Array.from({ length: 900 }, (_, i) => world.rateAt(now - (900 - i) * 1000)) });
  let slice = sliceOf(world, view, now);
  let known = new Map(world.plant.alerts(now).map((alert) => [alert.id, markOf(alert)]));
  const sendSlice = (at) => send("devices", { total: slice.total, offset: view.offset, rows: slice.numbers.map((n) => named(world, world.plant.device(n, at, view.fields, query.get("field")), view.source)) });
  sendSlice(now);
  send("tick", world.tick(now, view));

  let ticks = 0;
  const second = setInterval(() => {
    const at = Date.now();
    send("tick", world.tick(at, view));
    const fresh = sliceOf(world, view, at);
    ticks += 1;
    if (ticks % 15 === 0 || fresh.numbers.join() !== slice.numbers.join()) {
      slice = fresh;
      sendSlice(at);
    }
    let changed = false;
    for (const alert of world.plant.alerts(at)) {
      if (known.get(alert.id) !== markOf(alert)) {
        send("alert", alert);
        changed = true;
      }
    }
    known = new Map(world.plant.alerts(at).map((alert) => [alert.id, markOf(alert)]));
    if (changed) {
      slice = sliceOf(world, view, at);
      sendSlice(at);
    }
  }, 1000);
  let turn = 0;
  const values = setInterval(() => {
    const at = Date.now();
    turn += 1;
    const rows = slice.numbers.flatMap((n, index) => {
      if (!speaks(world, n, index, turn, at)) return [];
      return [[index, at - 5, world.plant.big ? 20 : 6.7, Object.fromEntries(view.fields.map((name) => [name, world.plant.value(n, name, at)]))]];
    });
    if (rows.length > 0) send("values", { t: at, e: at - 5, rows });
  }, FRAME);
  request.on("close", () => {
    clearInterval(second);
    clearInterval(values);
    streams.delete(response);
  });
}

/** A device with its clock; that of a source without a key is the source itself. */
export const named = (world, device, source) => (source === "mains" ? { ...device, source, key: "" } : { ...device, clock: world.clockOf(device.key) });

/** Whether a device says something in this frame. */
function speaks({ mode, plant }, n, index, turn, at) {
  if (plant.quietFrom.has(n)) return false;
  if (mode === "seed") return turn % 25 === 0 && plant.sends(n, at);
  return plant.big || (turn + index) % 4 === 0;
}

export function sliceOf(world, view, now) {
  const { plant } = world;
  const open = new Set(plant.alerts(now).filter((alert) => alert.state === "open").map((alert) => alert.key));
  // The source without a key has one device, itself, with the empty name.
  const all = view.source === "mains" ? [0] : plant.names.map((_, n) => n);
  const numbers = all.filter((n) => {
    const name = plant.names[n];
    const quiet = plant.quietFrom.has(n);
    if (view.search && !name.toLowerCase().includes(view.search)) return false;
    if (view.where?.length > 0 && !plant.fits(n, view.where, now)) return false;
    if (view.state === "late") return plant.lateBy(n) > 0;
    return view.state === "" || (view.state === "quiet" ? quiet : view.state === "live" ? !quiet : open.has(name));
  });
  const down = view.sort.startsWith("-");
  const by = view.sort.replace(/^-/, "");
  const key = (n) => (by === "key" ? plant.names[n] : by === "lastSeen" ? plant.lastSeen(n, now) : by === "clock" ? -plant.lateBy(n) : plant.value(n, by, Math.floor(now / 5000) * 5000));
  numbers.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
  if (down) numbers.reverse();
  return { total: numbers.length, numbers: numbers.slice(view.offset, view.offset + view.limit) };
}
