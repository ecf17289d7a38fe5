// How late the page sees what happens: `node e2e/latency.mjs BASE SECONDS [WARM]`, for benchmarks.
//
// The page is opened as it is; only its EventSource is watched from outside. For each device of each `values` event it
// notes the time of the page's own callback and the timestamp of the device's newest record, both on this machine's
// clock in whole milliseconds. Prints JSON: `view` (what the page asked for), `late` (ms, one for each row that changed),
// `newest` (ms, one for each event), `tasks` (ms, each long task of the main thread) and `ticks`.
import { launch, open } from "./browser.mjs";

const [base, seconds, warm = "5"] = process.argv.slice(2);

/** Runs in the page before its own code. */
function watch() {
  const seen = (window.seen = { late: [], newest: [], ticks: 0, on: false });
  const listen = EventSource.prototype.addEventListener;
  EventSource.prototype.addEventListener = function (name, listener, ...more) {
    const { pathname, search } = new URL(this.url);
    seen.view = pathname + search;
    const watched = (event) => {
      const now = Date.now();
      if (seen.on && name === "tick") seen.ticks += 1;
      if (seen.on && name === "values") {
        const data = JSON.parse(event.data);
        seen.newest.push(now - data.e);
        for (const row of data.rows) seen.late.push(now - row[1]);
      }
      listener(event);
    };
    return listen.call(this, name, watched, ...more);
  };
}

const browser = await launch();
const { page, seen: complaints } = await open(browser, base, { script: watch });
await page.waitForTimeout(Number(warm) * 1000);
const from = await page.evaluate(() => {
  window.seen.on = true;
  return performance.now();
});
await page.waitForTimeout(Number(seconds) * 1000);
const { view, late, newest, ticks } = await page.evaluate(() => window.seen);
const tasks = await page.evaluate((from) => window.longTasks.filter((task) => task.start >= from).map((task) => task.ms), from);
await browser.close();
console.log(JSON.stringify({ view, late, newest, ticks, tasks, errors: complaints.errors }));
process.exitCode = view && late.length > 0 && complaints.errors.length === 0 ? 0 : 1;
