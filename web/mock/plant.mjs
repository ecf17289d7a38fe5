// A believable plant without a plant: every value is a pure function of device and time, so that history and live
// values agree by construction and a reconnect finds exactly what it missed. Nothing is stored.

import { dice } from "./dice.mjs";
import { VEHICLES, Vehicles } from "./vehicles.mjs";

const DAY = 86_400_000;

const wave = (t, period, phase) => Math.sin((2 * Math.PI * t) / period + phase);

/** Heat of an episode in [0, 1]: every `EPISODE` ms the second device of each six runs hot for some minutes. */
const EPISODE = 47 * 60_000;
const LONG = 7 * 60_000;
/** The first such device is between two episodes when the mock starts, whatever the hour: nothing is open by chance. */
const PHASE = 23 * 60_000 - 61_000 - (Date.now() % EPISODE);
const shift = (n) => (n % 97) * 61_000 + PHASE;
function heat(n, t) {
  if (n % 6 !== 1) return 0;
  const into = (t + shift(n)) % EPISODE;
  return into < LONG ? Math.sin((Math.PI * into) / LONG) ** 2 : 0;
}

export class Plant {
  constructor(mode) {
    this.mode = mode;
    this.started = this.usual = Date.now() - 5 * 3_600_000 - 1_234_567;
    /** Before that nothing was sent. */
    this.first = -Infinity;
    /** Alerts have the message that one without words of its own has. */
    this.tells = false;
    /** Episodes that a test asked for: device number → since when. */
    this.forced = new Map();
    /** What people did and said: alert → {acknowledged, comments}. */
    this.remarks = new Map();
    /** The alerts of this second. */
    this.told = null;
    this.vehicles = mode === "vehicles" ? new Vehicles(Date.now()) : null;
    this.names = namesOf(mode);
    this.big = mode === "thousand";
    this.source = mode === "fleet" ? "devices" : mode === "vehicles" ? "cars" : "iot";
    this.quietFrom = new Map(mode === "fleet" ? [[4, Date.now() - 12 * 60_000 - 20_000], [17, Date.now() - 95_000]] : this.big ? this.names.flatMap((_, n) => (n % 83 === 7 ? [[n, Date.now() - 60_000 * (n % 50) - 90_000]] : [])) : []);
    this.alertsCache = null;
  }

  get rate() {
    return this.mode === "empty" || (this.names.length > 0 && this.quietFrom.size === this.names.length) ? 0 : this.mode === "seed" ? 0.5 : this.big ? 20_000 : 20;
  }

  /** Every device falls silent from now on, or speaks again. */
  silence(on) {
    if (on) this.quietFrom = new Map(this.names.map((_, n) => [n, Date.now()]));
    else if (!this.big && this.mode !== "fleet") this.quietFrom.clear();
  }

  /** It began so long ago, ms; null: as usual. */
  young(ms) {
    this.started = ms === null ? this.usual : Date.now() - ms;
    this.first = ms === null ? -Infinity : this.started;
  }

  numberOf(key) {
    return this.names.indexOf(key);
  }

  value(n, field, t) {
    if (this.vehicles) return this.vehicles.value(n, field, t);
    if ((this.mode === "odd" || this.mode === "unnamed") && field in ODD) return ODD[field](n, t);
    if (this.mode === "fleet" && field in FLEET) return FLEET[field](n, t);
    const noise = (amount) => (dice(n * 131 + field.length, Math.floor(t / 150)) - 0.5) * amount;
    if (this.mode === "seed" && field === "temperature") return round(20 + 60 * dice(n, Math.floor(t / 1000)), 2);
    if (this.mode === "seed" && field === "humidity") return round(30 + 60 * dice(n + 9, Math.floor(t / 1000)), 2);
    switch (field) {
      case "temperature": {
        const forced = this.forced.get(n);
        const extra = forced && t >= forced ? Math.min(1, (t - forced) / 8_000) * 26 : 0;
        const calm = 47 + (n % 5) * 2.1 + 3.2 * wave(t, DAY, n) + 1.6 * wave(t, 1_730_000, n * 2) + 0.8 * wave(t, 201_000, n * 5);
        return round(calm + extra + heat(n, t) * (this.mode === "alerting" ? 33 : 30) + noise(1.4), 2);
      }
      case "humidity":
        return round(58 - (n % 3) * 4 + 7 * wave(t, DAY, n + 2) + 2.4 * wave(t, 2_900_000, n) + noise(2.2), 2);
      case "vibration":
        return round(2.1 + (n % 4) * 0.35 + 0.4 * wave(t, 700_000, n) + heat(n, t) * 3.2 + Math.abs(noise(0.7)), 3);
      case "power":
        return round(320 + (n % 11) * 14 + 90 * Math.max(0, wave(t, DAY, -1.2)) + 18 * wave(t, 1_100_000, n) + noise(16), 1);
      case "status":
        return heat(n, t) > 0.5 ? "fault" : dice(n, Math.floor(t / 900_000)) < 0.08 ? "maintenance" : dice(n, 5) < 0.16 ? "idle" : "running";
      case "site.lat":
        return round(52.38 + dice(n, 1) * 0.21 + dice(n, 3) * 0.04 + 0.01 * wave(t, 900_000, n), 5);
      case "site.lon":
        return round(13.19 + dice(n, 2) * 0.42 + 0.016 * wave(t, 700_000, n * 3), 5);
      case "timestamp":
        return Math.floor(t / 1000);
      default:
        return null;
    }
  }

  /** Whether a device sends in this second: in the seed's plant one message comes every two seconds, from any of three. */
  sends(n, t) {
    return t >= this.first && (this.mode !== "seed" || dice(n + 40, Math.floor(t / 1000)) < 1 / 6);
  }

  lastSeen(n, now) {
    if (this.mode === "seed") {
      let t = Math.floor(now / 1000) * 1000;
      while (!this.sends(n, t)) t -= 1000;
      return t;
    }
    const quiet = this.quietFrom.get(n);
    if (quiet) return quiet;
    const gap = this.big ? 50 : 150;
    return Math.floor((now - 20) / gap) * gap;
  }

  /** How late the data of a device come, ms. */
  lateBy(n) {
    return this.mode === "fleet" && n % 24 === 11 ? 190_000 : 0;
  }

  /** The devices that last said this; a choice is `FIELD:VALUE`, an empty value is none. */
  fits(n, where, now, but = null) {
    const fields = [...new Set(where.map((text) => text.slice(0, text.indexOf(":"))))].filter((field) => field !== but);
    return fields.every((field) => where.some((text) => text === `${field}:${this.value(n, field, this.lastSeen(n, now)) ?? ""}`));
  }

  /** Open and cleared alerts up to `now`, with what people said of them. */
  alerts(now) {
    const second = Math.floor(now / 1000);
    if (this.told?.second !== second) this.told = { second, list: (this.vehicles ? this.vehicles.alerts(now) : this.episodes(now)).map((alert) => this.withRemarks(alert)) };
    return this.told.list;
  }

  /** Somebody takes care of an alert, or says something of it. */
  say(id, what, said) {
    const known = this.remarks.get(id) ?? { comments: [] };
    if (what === "comment") this.remarks.set(id, { ...known, comments: [...known.comments, said] });
    else if (!known.acknowledged) this.remarks.set(id, { ...known, acknowledged: said });
    this.told = null;
  }

  /** Nobody did or said anything. */
  forget() {
    this.remarks.clear();
    this.told = null;
  }

  withRemarks(alert) {
    const { acknowledged, comments = [] } = this.remarks.get(alert.id) ?? {};
    const step = (alert.step ?? (alert.state === "open" ? 1 : 2)) + (acknowledged ? 1 : 0);
    return { ...alert, step, ...(acknowledged ? { acknowledged } : {}), ...(comments.length > 0 ? { comments } : {}) };
  }

  /** Those of the plant's own rule, by scanning the smooth part of the temperature. */
  episodes(now) {
    if (this.mode === "empty" || this.mode === "seed" || this.mode === "fleet") return [];
    const second = Math.floor(now / 1000);
    if (this.alertsCache?.second === second) return this.alertsCache.list;
    const list = [];
    const first = this.big ? 6 : 24;
    this.names.forEach((key, n) => {
      if (this.quietFrom.has(n)) return;
      const forced = this.forced.get(n);
      if (forced && now - forced > 7_800) list.push(alertOf(key, `forced-${forced}`, forced + 7_800, null, this.value(n, "temperature", forced + 7_800), "critical"));
      if (n % 6 !== 1 || (this.big && n > 260)) return;
      for (let back = 0; back < first; back += 1) {
        const begin = Math.floor((now + shift(n)) / EPISODE - back) * EPISODE - shift(n);
        const opened = begin + LONG * 0.38;
        const cleared = begin + LONG * 0.72;
        if (opened > now || opened < this.started) continue;
        const severity = n % 12 === 1 ? "critical" : "warning";
        list.push(alertOf(key, begin, opened, cleared <= now ? cleared : null, this.value(n, "temperature", opened), severity));
      }
    });
    if (this.tells) for (const alert of list) alert.message = `${alert.rule}: ${alert.key}, temperature ${alert.value.temperature}`;
    list.sort((a, b) => b.openedAt - a.openedAt);
    this.alertsCache = { second, list };
    return list;
  }

  device(n, now, fields, spark) {
    const key = this.names[n];
    const quiet = this.quietFrom.has(n);
    const at = quiet ? this.quietFrom.get(n) : now;
    const open = this.alerts(now).filter((alert) => alert.key === key && alert.state === "open");
    const worst = open.some((alert) => alert.severity === "critical") ? "critical" : (open[0]?.severity ?? null);
    return {
      source: this.source,
      key,
      state: quiet ? "quiet" : "live",
      lastSeen: this.lastSeen(n, now),
      rate: quiet ? 0 : this.big ? 20 : round(20 / this.names.length, 1),
      count: Math.floor(((now - this.started) / 1000) * (this.big ? 20 : 6.7)),
      alerts: open.length,
      severity: worst,
      values: Object.fromEntries(fields.map((field) => [field, this.value(n, field, this.mode === "seed" ? this.lastSeen(n, at) : at)])),
      spark: spark ? { field: spark, points: Array.from({ length: 60 }, (_, i) => (this.sends(n, at - (59 - i) * 1_000) ? this.value(n, spark, at - (59 - i) * 1_000) : null)) } : null,
    };
  }
}

function alertOf(key, id, openedAt, clearedAt, temperature, severity) {
  return {
    id: `overheat/${key.slice(0, 40)}/${id}`,
    rule: "overheat",
    source: "iot",
    key,
    severity,
    state: clearedAt === null ? "open" : "cleared",
    openedAt: Math.round(openedAt),
    clearedAt: clearedAt === null ? null : Math.round(clearedAt),
    seenAt: Math.round(openedAt) + 40,
    message: `${key.slice(0, 5_000)} overheats`,
    value: { temperature },
  };
}

/** Values that no plant should have, and some have: too large for any axis, worlds apart, never there. */
const ODD = {
  "a.b": (n, t) => round(12 + n + wave(t, 300_000, n), 2),
  a_b: (n, t) => round(-12 - n - wave(t, 300_000, n), 2),
  huge: (n, t) => (n % 2 === 0 ? 1 : -1) * 1e300 * (1.2 + 0.4 * wave(t, 400_000, n)),
  apart: (n, t) => (n === 2 && t % 60_000 < 2_000 ? 1e300 : 10 ** (4 * wave(t, 500_000, n) - 4)),
  nothing: () => null,
  "site.lat": () => null,
  "site.lon": () => null,
};

const CUSTOMERS = ["CI00103", "CI00104", "CI00117", "CI00190"];
const customerOf = (n) => CUSTOMERS[Math.floor(dice(n, 77) * CUSTOMERS.length)];

/** What devices of customers say. */
const FLEET = {
  customerId: (n) => customerOf(n),
  status: (n, t) => {
    const roll = dice(n + 3, Math.floor(t / 45_000));
    return roll < 0.1 + 0.08 * wave(t, 900_000, 1) ? "ERROR" : roll > 0.82 ? "STANDBY" : "SUCCESS";
  },
  temperature: (n, t) => round(22 + (n % 7) * 2.3 + 3 * wave(t, DAY, n) + 1.8 * wave(t, 700_000, n) + (dice(n, Math.floor(t / 150)) - 0.5), 1),
  pressure: (n, t) => round(1008 + (n % 5) * 2 + 4 * wave(t, DAY, 1) + (dice(n + 1, Math.floor(t / 150)) - 0.5), 1),
  humidity: (n, t) => round(48 + (n % 6) * 3 + 6 * wave(t, DAY, n + 2) + (dice(n + 2, Math.floor(t / 150)) - 0.5) * 2, 1),
  eventTime: (n, t) => t - (n % 24 === 11 ? 190_000 : 400),
};

function namesOf(mode) {
  if (mode === "vehicles") return VEHICLES;
  if (mode === "fleet") return Array.from({ length: 24 }, (_, n) => `D${String(n + 1).padStart(3, "0")}`);
  if (mode === "odd") return ["W".repeat(5_000), "x".repeat(5_000), "device_3"];
  if (mode === "empty" || mode === "blind") return [];
  if (mode === "thousand") return Array.from({ length: 1000 }, (_, n) => `press-${String(n + 1).padStart(4, "0")}`);
  if (mode === "hostile") {
    return [
      `<img src=x onerror="window.pwned=1">`,
      `</script><script>window.pwned=1</script>`,
      "\u202Etxt.exe\u202C device",
      "",
      "🏭🔥👨‍👩‍👧‍👦 Straße ﷽",
      "'; DROP TABLE devices; --, and, commas",
      "../../etc/passwd\n\u0000\u0007",
      "=cmd|' /C calc'!A0",
      "%2F%00%0d%0a javascript:alert(1)",
      "x".repeat(1_000_000),
    ];
  }
  return ["device_1", "device_2", "device_3"];
}

const round = (value, decimals) => Math.round(value * 10 ** decimals) / 10 ** decimals;
