// What the page shows first, how heavy it is, and what it costs to keep it moving.
import assert from "node:assert/strict";
import { mock } from "../browser.mjs";
import { accessible, atOnce, headline, ready, visit, visiting } from "../visit.mjs";

const FIRST_PAINT_BYTES = 300_000;
const LONG_TASK_MS = 50;
const LOAD_MS = 2_000;

/** Tasks that the browser itself calls long: by the clock, so they grow on a machine that is busy with other things. */
const longTasks = (page) => page.evaluate(() => window.longTasks.map((task) => Math.round(task.ms)));

/**
 * Work of each task on the page's main thread, ms of processor time: what the page costs, however busy the machine is.
 * The browser has pages of its own in other processes; the page's is the one that asked for `base`.
 */
function mainTasks(events, base) {
  const own = new Set(events.filter((event) => event.name === "ResourceSendRequest" && event.args.data?.url?.startsWith(base)).map((event) => event.pid));
  const mains = new Set(events.filter((event) => event.name === "thread_name" && event.args.name === "CrRendererMain" && own.has(event.pid)).map((event) => `${event.pid}/${event.tid}`));
  return events.filter((event) => /RunTask$/.test(event.name) && event.tdur !== undefined && mains.has(`${event.pid}/${event.tid}`)).map((event) => event.tdur / 1_000);
}

/**
 * How a driver times the page's callback, with nothing in the page for it: each listener of `values` is wrapped.
 * `event` is the newest event's own time, `done` when the callback returned, both ms since 1970.
 */
const TIMED = () => {
  window.timed = [];
  const listen = EventSource.prototype.addEventListener;
  EventSource.prototype.addEventListener = function (name, act, ...more) {
    const wrapped = name !== "values" ? act : (message) => {
      act(message);
      window.timed.push({ event: JSON.parse(message.data).e, done: performance.timeOrigin + performance.now() });
    };
    return listen.call(this, name, wrapped, ...more);
  };
};

export const FIRST = [
  {
    name: "first load shows status, charts with history and devices, within its weight",
    run: visiting({ until: atOnce }, async (page) => {
      const started = Date.now();
      await ready(page);
      await page.locator('.line[data-phase="ready"] canvas').first().waitFor({ timeout: 5_000 });
      const took = Date.now() - started;
      const bytes = await page.evaluate(() => performance.getEntriesByType("resource").filter((one) => /\.(js|css|svg)$/.test(new URL(one.name).pathname)).reduce((sum, one) => sum + one.encodedBodySize, 0));
      const label = await page.locator(".line-canvas").first().getAttribute("aria-label");
      assert.match(label ?? "", /over the last 15 min: .*last/);
      assert.ok(took < LOAD_MS, `ready after ${took} ms`);
      assert.ok(bytes < FIRST_PAINT_BYTES, `${bytes} bytes`);
      return `${took} ms, ${Math.round(bytes / 1000)} kB on the wire`;
    }),
  },
  {
    name: "values move by themselves, without a reload",
    run: visiting({}, async (page) => {
      const cells = () => page.locator(".devices tbody td.value").allInnerTexts();
      const before = await cells();
      await page.waitForFunction((was) => [...document.querySelectorAll(".devices tbody td.value")].some((cell, i) => cell.textContent !== was[i]), before, { timeout: 10_000 });
    }),
  },
  {
    name: "no task over 50 ms with a thousand devices at 20,000 events a second, from the first moment on",
    needs: "mock",
    async run(run) {
      await run.browser.startTracing(undefined, { categories: ["toplevel", "devtools.timeline", "__metadata"] });
      const wall = await visit(run, { mode: "thousand" }, async (page) => {
        await page.waitForTimeout(6_000);
        await page.mouse.wheel(0, 1_600);
        await page.waitForTimeout(5_000);
        return longTasks(page);
      });
      const tasks = mainTasks(JSON.parse((await run.browser.stopTracing()).toString()).traceEvents, run.base);
      assert.ok(tasks.length > 100, "no tasks were seen at all");
      assert.deepEqual(tasks.filter((ms) => ms > LONG_TASK_MS), [], "tasks that worked for more than 50 ms");
      return `longest ${Math.max(...tasks).toFixed(0)} ms of work; by the clock of this machine ${wall.length === 0 ? "none is long" : `${wall.join(", ")} ms`}`;
    },
  },
  {
    name: "whoever measures can time each batch of values from outside, from the event to the end of its callback",
    run: visiting({ until: atOnce, path: "/#/sql", script: TIMED }, async (page) => {
      await page.evaluate(() => (location.hash = "#/"));
      await ready(page);
      await page.waitForFunction(() => window.timed.length > 20, null, { timeout: 20_000 });
      const timed = await page.evaluate(() => window.timed);
      assert.ok(timed.every(({ event, done }) => Number.isFinite(event) && done - event > -1_000 && done - event < 60_000), JSON.stringify(timed[0]));
    }),
  },
  {
    name: "an empty plant says how to send the first event, and turns into the plant when it comes",
    needs: "mock",
    run: visiting({ mode: "empty", until: atOnce }, async (page, { base }) => {
      await page.getByRole("heading", { name: "Send the first event" }).waitFor();
      assert.match(await page.locator(".command pre").first().innerText(), /forebay produce .*--topic iot_topic/s);
      await mock(base, { mode: "plant" });
      await ready(page);
    }),
  },
  {
    name: "a run that follows no source says so, tells all else, and claims nothing of devices",
    needs: "mock",
    run: visiting({ mode: "blind", until: atOnce, reduced: true }, async (page) => {
      await page.getByText("This run shows no devices").waitFor();
      await page.locator(".query").first().waitFor();
      await page.locator(".record").first().waitFor();
      assert.match(await headline(page), /^All well since/);
      assert.doesNotMatch(await page.locator(".hero").innerText(), /device|nothing has been sent/);
      await accessible(page);
    }),
  },
];
