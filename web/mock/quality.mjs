// What the mock's queries judged: shares of failures that follow from the time alone, so that every answer of one moment agrees with the next.
import { dice } from "./dice.mjs";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** What happened, happened so long before the mock began. */
const OPENED = Date.now();
const MINUTES = 180;
const HOURS = 336;

/** `share` of the rows of a minute; an incident is at `bump` minutes before the mock's start, ten times as much. */
const RULES = {
  plant: [
    { name: "temperature_range", onFail: "quarantine", nanosPerRow: 21.4, share: 0.004, bump: 52 },
    { name: "humidity_range", onFail: "flag", nanosPerRow: 19.8, share: 0.0022, bump: 118 },
    { name: "device_id_pattern", onFail: "drop", nanosPerRow: 154.1, share: 0.0008, bump: -1 },
    { name: "temperature_rate", onFail: "quarantine", nanosPerRow: 62.3, share: 0.0015, bump: 48 },
    { name: "device_id_required", onFail: "fail", nanosPerRow: 3.2, share: 0, bump: -1 },
    { name: "timestamp_range", onFail: null, nanosPerRow: null, share: 0.0006, bump: -1, until: 90 },
  ],
  odd: [
    { name: `<img src=x onerror="alert(1)">`, onFail: "quarantine", nanosPerRow: 1_200_000, share: 0.4, bump: -1 },
    { name: "n".repeat(4_000), onFail: "flag", nanosPerRow: null, share: 0.3, bump: -1 },
    { name: "\u202eegnar", onFail: "drop", nanosPerRow: 0, share: 0.2, bump: -1 },
    ...Array.from({ length: 9 }, (_, n) => ({ name: `rule_${n}`, onFail: "flag", nanosPerRow: 10 * n, share: 0.01 * (n + 1), bump: -1 })),
  ],
};

/** What is judged, by mode: query and source; none where no source expects anything. */
const JUDGED = {
  plant: [["lake", "iot"], ["hot", "iot"], ["alerts/overheat", "iot"]],
  odd: [["lake", "iot"]],
  two: [["lake", "iot"], ["lake", "mains"]],
};

/** A step: what came, and what of it failed which rule. Nothing came in ten minutes, and in a night. */
function stepOf(rules, at, length, opened, perMinute) {
  const minutes = length / MINUTE;
  const ago = (opened - at) / MINUTE;
  if (length === MINUTE ? ago >= 20 && ago < 30 : ago >= 60 * 60 && ago < 60 * 68) return null;
  const rows = Math.round(perMinute * minutes * (0.8 + 0.35 * dice(at / length, 71)));
  const counts = {};
  rules.forEach((rule, index) => {
    if (rule.until && ago < rule.until) return;
    const near = rule.bump < 0 ? 1 : 1 + 11 * Math.exp(-(((ago - rule.bump) / (length === MINUTE ? 6 : 90)) ** 2));
    const n = Math.round(rows * rule.share * near * (0.7 + 0.6 * dice(at / length, index)));
    if (n > 0) counts[rule.name] = n;
  });
  const failed = Math.min(rows, Math.round(Object.values(counts).reduce((sum, n) => sum + n, 0) * 0.97));
  return { at, rows, failed, unreadable: Math.round(rows * 0.0006 * dice(at / length, 99) * 2), rules: counts };
}

function devicesOf(names, rules, counts, limit) {
  const rest = { ...counts };
  const devices = names.slice(0, 40).map((key, n) => {
    const own = {};
    for (const rule of rules) {
      const take = Math.round((counts[rule.name] ?? 0) * (n === 1 ? 0.45 : 0.5 / names.length) * (0.6 + 0.8 * dice(n, rule.name.length)));
      const all = Math.min(take, rest[rule.name] ?? 0);
      if (all > 0) own[rule.name] = all;
      rest[rule.name] = (rest[rule.name] ?? 0) - all;
    }
    return { key, failed: Object.values(own).reduce((sum, one) => sum + one, 0), rules: own };
  });
  const worst = devices.filter(({ failed }) => failed > 0).sort((a, b) => b.failed - a.failed);
  const sum = (all) => all.reduce((n, one) => n + one, 0);
  return { devices: worst.slice(0, limit), others: sum(Object.values(counts)) - sum(worst.map(({ failed }) => failed)) };
}

/** The answer of `/quality`; null with what is not known. `silent`: nothing has come yet. `well`: nothing ever failed. */
export function quality({ mode, plant }, query, now, { well = false, silent = false } = {}) {
  const [to, limit] = [Number(query.get("to") ?? now), Number(query.get("limit") ?? 10)];
  const from = Number(query.get("from") ?? to - MINUTES * MINUTE);
  const length = from >= now - (MINUTES + 1) * MINUTE ? MINUTE : HOUR;
  const pairs = (JUDGED[mode] ?? []).filter(([name, source]) => (query.get("query") ?? name) === name && (query.get("source") ?? source) === source);
  const known = well ? RULES.plant.map((rule) => ({ ...rule, share: 0 })).slice(0, 5) : (RULES[mode] ?? RULES.plant);
  const rule = query.get("rule");
  if (rule && !known.some(({ name }) => name === rule)) return null;
  const rules = known.filter(({ name }) => !rule || name === rule);
  const kept = (at) => at >= now - (length === MINUTE ? MINUTES * MINUTE : HOURS * HOUR);
  const sources = pairs.map(([name, source]) => {
    const points = [];
    for (let at = Math.floor(from / length) * length; at < to && !silent; at += length) {
      const point = kept(at) ? stepOf(rules, at, length, OPENED, plant.rate * 60) : null;
      if (point) points.push(well ? { ...point, unreadable: 0 } : point);
    }
    const counts = {};
    for (const point of points) for (const [one, n] of Object.entries(point.rules)) counts[one] = (counts[one] ?? 0) + n;
    const sum = (of) => points.reduce((n, point) => n + point[of], 0);
    const told = rules.filter(({ onFail, name: one }) => onFail !== null || counts[one] > 0).map((one) => ({ name: one.name, onFail: one.onFail, failed: counts[one.name] ?? 0, nanosPerRow: one.nanosPerRow }));
    const total = silent ? { rows: 0, failed: 0, unreadable: 0 } : { rows: 48_120_000 + Math.floor(now / 1000) % 100_000, failed: well ? 0 : 412_000, unreadable: well ? 0 : 27_100 };
    return { query: name, source, rows: sum("rows"), failed: sum("failed"), unreadable: sum("unreadable"), rules: told, ...devicesOf(plant.names, rules, counts, limit), total, points };
  });
  return { from, to, step: length, sources };
}
