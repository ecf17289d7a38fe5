// Takes the page's pictures: `node e2e/shots.mjs BASE FOLDER [NAME…]`. Works against any server; the states that only
// the mock can show are left out elsewhere.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, mock, open } from "./browser.mjs";

const [base = "http://127.0.0.1:25180", folder = "e2e/out", ...only] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });

const wait = (page, ms) => page.waitForTimeout(ms);
const SHOTS = {
  "plant-light": { mode: "plant" },
  "plant-dark": { mode: "plant", dark: true },
  "plant-full": { mode: "plant", full: true },
  alerting: { mode: "plant", before: (b) => mock(b, { overheat: "device_2" }), after: (page) => wait(page, 9_000) },
  "alerting-dark": { mode: "plant", dark: true, before: (b) => mock(b, { overheat: "device_2" }), after: (page) => wait(page, 9_000) },
  failing: { mode: "failing" },
  empty: { mode: "empty" },
  thousand: { mode: "thousand", full: true },
  seed: { mode: "seed" },
  "thousand-dark": { mode: "thousand", dark: true },
  "six-hours": { mode: "plant", path: "/#/?range=6h" },
  phone: { mode: "plant", width: 360, height: 780, scale: 2 },
  "phone-full": { mode: "plant", width: 360, height: 780, full: true },
  "phone-dark": { mode: "plant", width: 360, height: 780, dark: true, scale: 2 },
  device: { mode: "plant", path: "/#/?device=device_2" },
  sql: { mode: "plant", path: `/#/sql?q=${encodeURIComponent("SELECT device_id,\n       avg(temperature) AS avg_temp,\n       max(humidity) AS max_humidity\nFROM lake\nGROUP BY device_id")}` },
  "sql-error": { mode: "plant", path: "/#/sql?q=SELECT+*+FROM+laek" },
  "sql-start": { mode: "plant", path: "/#/sql" },
  reconnecting: { mode: "plant", after: async (page, b) => { await mock(b, { disconnect: 9_000 }); await wait(page, 3_500); } },
  hostile: { mode: "hostile", full: true },
  help: { mode: "plant", after: (page) => page.keyboard.press("?") },
  odd: { mode: "odd", full: true, height: 3_600 },
  "odd-phone": { mode: "odd", width: 360, height: 6_000, path: "/#/?device=device_3" },
  two: { mode: "two" },
  fleet: { mode: "fleet", height: 1_300, after: (page) => wait(page, 5_000) },
  "fleet-dark": { mode: "fleet", dark: true, path: "/#/?where=customerId%3ACI00190&range=6h", height: 1_300, after: (page) => wait(page, 5_000) },
  "fleet-phone": { mode: "fleet", width: 320, height: 1_500, after: (page) => wait(page, 5_000) },
  vehicles: { mode: "vehicles", height: 1_900, after: (page) => wait(page, 2_000) },
  "vehicles-picked": { mode: "vehicles", path: "/#/?pick=CAR-104", height: 900, dark: true, after: (page) => wait(page, 2_000) },
  "vehicles-phone": { mode: "vehicles", width: 360, height: 3_400, path: "/#/?pick=CAR-104", after: (page) => wait(page, 2_000) },
  alerts: { mode: "vehicles", path: "/#/alerts" },
  "alerts-dark": { mode: "vehicles", path: "/#/alerts?rule=overspeed&severity=warning", dark: true },
  "alerts-phone": { mode: "vehicles", path: "/#/alerts", width: 360, height: 2_400 },
  "alerts-none": { mode: "vehicles", path: "/#/alerts?find=zzz" },
  "alerts-empty": { mode: "fleet", path: "/#/alerts" },
  alert: { mode: "vehicles", path: "/#/alerts", after: async (page) => { await page.locator(".alert-history").first().click(); await wait(page, 1_500); } },
  "alert-dark": { mode: "vehicles", path: "/#/alerts", dark: true, after: async (page) => { await page.locator(".alert-history").nth(2).click(); await wait(page, 1_500); } },
  "alert-phone": { mode: "vehicles", path: "/#/alerts", width: 360, height: 1_400, after: async (page) => { await page.locator(".alert-history").first().click(); await wait(page, 1_500); } },
  acknowledge: { mode: "vehicles", path: "/#/alerts", width: 360, height: 780, after: async (page) => { await page.getByTestId("acknowledge").first().click(); await wait(page, 500); } },
  quality: { mode: "plant", path: "/#/quality" },
  "quality-dark": { mode: "plant", path: "/#/quality?expectation=temperature_range", dark: true, after: async (page) => { await page.locator(".quality-lines").hover({ position: { x: 560, y: 90 } }); await wait(page, 300); } },
  "quality-hours": { mode: "plant", path: "/#/quality?steps=hours" },
  "quality-phone": { mode: "plant", path: "/#/quality", width: 360, height: 2_000 },
  "quality-odd": { mode: "odd", path: "/#/quality" },
  "quality-none": { mode: "seed", path: "/#/quality" },
  blind: { mode: "blind" },
  young: { mode: "plant", path: "/#/?range=6h", before: (b) => mock(b, { young: 12 * 60_000 }) },
  refused: { mode: "plant", before: (b) => mock(b, { refuse: "--watch" }) },
  stopped: { mode: "plant", full: true, before: (b) => mock(b, { refuse: "SIGHUP", stop: "alerts/overheat" }) },
  unbalanced: { mode: "plant", before: (b) => mock(b, { unbalanced: 14_000 }), full: true },
};

const isMock = (await fetch(`${base}/__mock`, { method: "POST", body: "{}" })).ok;
const browser = await launch();
for (const [name, shot] of Object.entries(SHOTS)) {
  if (only.length > 0 && !only.includes(name)) continue;
  if (isMock) await mock(base, { mode: shot.mode, unbalanced: 0, calm: true });
  else if (shot.mode !== "plant" || shot.before || shot.after) continue;
  await shot.before?.(base);
  const { page, context, seen } = await open(browser, base, shot);
  await wait(page, 2_500);
  await shot.after?.(page, base);
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: shot.full ?? false, timeout: 120_000 });
  console.log(name, JSON.stringify(seen));
  await context.close();
}
if (isMock) await mock(base, { mode: "plant" });
await browser.close();
