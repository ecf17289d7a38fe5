// Opens pages in Chromium and watches what no test should have to ask for: requests to other hosts, violations of the
// content security policy, errors on the console, long tasks.
import { chromium } from "playwright-core";

const ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"];

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: ARGS });
}

/** A page of its own context, with `seen`: what it asked, what it complained about. `prepare` is called before it asks anything. */
export async function open(browser, base, { path = "/", width = 1440, height = 1000, dark = false, reduced = false, scale = 1, touch = false, script, prepare } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: reduced ? "reduce" : "no-preference", deviceScaleFactor: scale, hasTouch: touch, isMobile: touch, timezoneId: "Europe/Berlin", locale: "en-GB", ignoreHTTPSErrors: base.startsWith("https:") });
  const page = await context.newPage();
  const seen = { foreign: [], policy: [], errors: [] };
  const own = new URL(base).origin;
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== own) seen.foreign.push(request.url());
  });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("console", (message) => {
    if (/content security policy/i.test(message.text())) seen.policy.push(message.text());
    else if (message.type() === "error" && !/net::ERR|Failed to load resource/.test(message.text())) seen.errors.push(message.text());
  });
  await page.addInitScript(() => {
    window.longTasks = [];
    document.addEventListener("securitypolicyviolation", (event) => console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI}`));
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => ({ start: entry.startTime, ms: entry.duration })))).observe({ type: "longtask", buffered: true });
  });
  if (script) await page.addInitScript(script);
  await prepare?.(page);
  await page.goto(base + path, { waitUntil: "load" });
  return { page, context, seen };
}

/** Tells the mock to change; real servers have no such door. */
export async function mock(base, wish) {
  const answer = await fetch(`${base}/__mock`, { method: "POST", body: JSON.stringify(wish) });
  if (!answer.ok) throw new Error(`the mock refused ${JSON.stringify(wish)}`);
}
