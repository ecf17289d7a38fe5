// What the page promises in a browser, one promise each.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { mock, open } from "./browser.mjs";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FIRST_PAINT_BYTES = 300_000;
const LONG_TASK_MS = 50;
const LOAD_MS = 2_000;

/** Nothing foreign, nothing against the policy, no error. */
function clean(seen) {
  assert.deepEqual(seen.foreign, [], "requests to other hosts");
  assert.deepEqual(seen.policy, [], "violations of the content security policy");
  assert.deepEqual(seen.errors, [], "errors on the console");
}

const ready = (page) => page.locator('[data-testid="device-row"]').first().waitFor({ timeout: 8_000 });
async function signIn(page, token) {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await ready(page);
}
/** Stops the query and starts it again. What a query that is well offers is folded away; what stopped is open. */
async function stopAndStart(page, query) {
  const offered = async (word) => {
    const button = page.getByRole("button", { name: `${word} query ${query}` });
    for (let i = 0; i < 80 && !(await button.isVisible()); i += 1) {
      const folded = page.locator(`.query[aria-label="query ${query}"] details:not([open]) summary`);
      if ((await folded.count()) > 0) await folded.click({ timeout: 1_000 }).catch(() => undefined);
      else await page.waitForTimeout(250);
    }
    assert.ok(await button.isVisible(), `${word} is not offered`);
    return button;
  };
  for (const word of ["Stop", "Start"]) {
    await (await offered(word)).click();
    await page.getByRole("button", { name: `${word} query`, exact: true }).click();
  }
  await offered("Stop");
}
const headline = (page) => page.locator("h1").first().innerText();

async function accessible(page) {
  // Through the debugger's door: the page's own policy rightly allows no other script.
  await page.evaluate(axeSource);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const bad = found.violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  assert.deepEqual(bad.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target.join(" ")} ${node.any[0]?.message ?? ""}`).join(" | ")}`), []);
  return found.violations.length;
}

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

async function reset(isMock, base, mode = "plant") {
  if (isMock) await mock(base, { mode, calm: true, unbalanced: 0, role: null });
}

/** Nothing makes the page scroll sideways, and no dialog either. */
async function fits(page, what) {
  const wide = await page.evaluate(() => Math.max(...[document.documentElement, ...document.querySelectorAll("dialog[open]")].map((one) => one.scrollWidth - one.clientWidth)));
  assert.ok(wide <= 0, `${what} is ${wide} px too wide`);
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

export const CHECKS = [
  {
    name: "first load shows status, charts with history and devices, within its weight",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      const { page, context, seen } = await open(browser, base);
      const started = Date.now();
      await ready(page);
      await page.locator('.line[data-phase="ready"] canvas').first().waitFor({ timeout: 5_000 });
      const took = Date.now() - started;
      const bytes = await page.evaluate(() => performance.getEntriesByType("resource").filter((one) => /\.(js|css|svg)$/.test(new URL(one.name).pathname)).reduce((sum, one) => sum + one.encodedBodySize, 0));
      const label = await page.locator(".line-canvas").first().getAttribute("aria-label");
      assert.match(label ?? "", /over the last 15 min: .*last/);
      assert.ok(took < LOAD_MS, `ready after ${took} ms`);
      assert.ok(bytes < FIRST_PAINT_BYTES, `${bytes} bytes`);
      clean(seen);
      await context.close();
      return `${took} ms, ${Math.round(bytes / 1000)} kB on the wire`;
    },
  },
  {
    name: "values move by themselves, without a reload",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      const cells = () => page.locator(".devices tbody td.value").allInnerTexts();
      const before = await cells();
      await page.waitForFunction((was) => [...document.querySelectorAll(".devices tbody td.value")].some((cell, i) => cell.textContent !== was[i]), before, { timeout: 10_000 });
      clean(seen);
      await context.close();
    },
  },
  {
    name: "an alert appears by itself, in the line, the feed, the row and for screen readers",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      assert.match(await headline(page), /^All well/);
      const edge = () => page.locator('[data-testid="device-row"]').nth(1).evaluate((row) => Math.round(row.querySelector("td").getBoundingClientRect().left));
      const before = await edge();
      await mock(base, { overheat: "device_2" });
      await page.waitForFunction(() => /device_2 overheats/.test(document.querySelector("h1")?.textContent ?? ""), null, { timeout: 15_000 });
      assert.match(await page.locator('[data-testid="alert-open"]').first().innerText(), /device_2 overheats/);
      await page.locator('tr[data-severity="critical"]').waitFor({ timeout: 3_000 });
      assert.match(await page.locator('[data-testid="announcer"]').innerText(), /device_2 overheats/);
      assert.match(await page.title(), /^▲/);
      assert.match(await headline(page), /since \d\d:\d\d:\d\d$/);
      assert.equal(await edge(), before, "the word of the alert moved what stands beside it");
      // The present value, the rule, and what the value was when it opened.
      await page.waitForFunction(() => /critical · overheat/.test(document.querySelector('[data-testid="alert-open"]').innerText) && /°C now · [\d.]+.°C at opening/.test(document.querySelector('[data-testid="alert-open"]').innerText));
      const ended = await page.locator('[data-testid="alert-cleared"]').first().innerText();
      assert.match(ended, /cleared .*\d\d:\d\d[^]*after \d/);
      assert.match(ended, /(critical|warning|info) · overheat/);
      const phone = await open(browser, base, { width: 360, height: 780 });
      await ready(phone.page);
      await phone.page.evaluate(() => scrollTo(0, 900));
      const words = phone.page.locator(".topbar-status span");
      await words.waitFor();
      assert.match(await words.innerText(), /device_2 overheats since/);
      assert.ok(await words.evaluate((one) => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight + 1), "the bar cuts the headline");
      await phone.context.close();
      await mock(base, { calm: true });
      clean(seen);
      await context.close();
    },
  },
  {
    name: "what is stopped is said, has no pace and no known backlog, and stays said; silence tells since when",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      await mock(base, { stop: "alerts/overheat" });
      const says = (words) => page.waitForFunction((source) => new RegExp(source).test(document.querySelector("h1")?.textContent ?? ""), words, { timeout: 5_000 });
      await says("^Alert rule overheat is stopped$");
      await mock(base, { stop: "lake" });
      await says("^1 query and 1 alert rule are stopped$");
      assert.equal(await page.locator(".query summary").first().innerText(), "–/s · backlog not known");
      await mock(base, { unbalanced: 14_000 });
      await says("ledger does not balance");
      assert.match(await page.locator(".hero-parts").innerText(), /1 query and 1 alert rule are stopped/);
      await mock(base, { calm: true, unbalanced: 0 });
      await says("^All well");
      await mock(base, { silent: true });
      await says("^No device is sending since \\d\\d:\\d\\d:\\d\\d$");
      clean(seen);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "a chart says how wide its steps are, and with limits that they are the highest, on a desk and on a phone",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      for (const width of [1440, 360]) {
        const { page, context, seen } = await open(browser, base, { width });
        await ready(page);
        const words = (name) => page.locator(`.panel[aria-label="${name}"] .line-steps`);
        await words("Temperature").waitFor();
        assert.match(await words("Temperature").innerText(), /^highest of \d+ s steps$/);
        assert.match(await words("Humidity").innerText(), /^mean of \d+ s steps$/);
        clean(seen);
        await context.close();
      }
    },
  },
  {
    name: "no value in the table of a phone is cut, with few columns or many",
    needs: "mock",
    async run({ browser, base }) {
      for (const mode of ["plant", "thousand"]) {
        await reset(true, base, mode);
        const { page, context, seen } = await open(browser, base, { width: 360, height: 780 });
        await ready(page);
        const cut = await page.locator(".table-scroll").first().evaluate((table) => {
          const { right } = table.getBoundingClientRect();
          return [table.scrollWidth - table.clientWidth, ...[...table.querySelectorAll("td, th")].filter((cell) => cell.checkVisibility() && (cell.getBoundingClientRect().right > right || cell.scrollWidth > cell.clientWidth)).map((cell) => cell.innerText)];
        });
        assert.deepEqual(cut, [0]);
        assert.match(await page.locator('[data-testid="device-row"] .col-field').first().evaluate((cell) => getComputedStyle(cell, "::before").content), /temperature/);
        clean(seen);
        await context.close();
      }
      await reset(true, base);
    },
  },
  {
    name: "a lost connection is told, resumes by itself, and leaves no gap in the history",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      await page.waitForTimeout(2_500);
      await mock(base, { disconnect: 6_000 });
      await page.locator(".banner-lost").waitFor({ timeout: 4_000 });
      assert.match(await headline(page), /^No word from Forebay since/);
      await page.locator(".banner-back").waitFor({ timeout: 15_000 });
      assert.doesNotMatch(await headline(page), /^No word/);
      const history = await (await fetch(`${base}/api/v1/history?source=iot&field=temperature&range=15m&key=device_1`)).json();
      assert.ok(history.series[0].mean.every((value) => value !== null), "the history itself has a gap");
      clean(seen);
      await context.close();
    },
  },
  {
    name: "no serious accessibility finding, light and dark, plant, device and SQL",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      for (const dark of [false, true]) {
        for (const path of ["/", "/#/sql"]) {
          const { page, context } = await open(browser, base, { dark, path, reduced: true });
          await (path === "/" ? ready(page) : page.locator(".editor").waitFor());
          await page.waitForTimeout(500);
          await accessible(page);
          if (path === "/") {
            await page.locator('[data-testid="device-row"] .text-button').first().click();
            await page.locator("dialog.drawer .fields").waitFor();
            await accessible(page);
          }
          await context.close();
        }
      }
    },
  },
  {
    name: "no serious accessibility finding while alerting, failing, empty and with a thousand devices",
    needs: "mock",
    async run({ browser, base }) {
      for (const mode of ["plant", "failing", "empty", "thousand"]) {
        await reset(true, base, mode);
        if (mode === "plant") await mock(base, { overheat: "device_2" });
        for (const dark of [false, true]) {
          const { page, context } = await open(browser, base, { dark, reduced: true });
          await page.waitForTimeout(mode === "plant" && !dark ? 9_000 : 1_500);
          await accessible(page);
          await context.close();
        }
      }
      await reset(true, base);
    },
  },
  {
    name: "hostile device names stay text and harm nothing",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base, "hostile");
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      await page.waitForTimeout(1_500);
      for (const row of await page.locator('[data-testid="device-row"] .text-button').all()) {
        await row.click();
        await page.locator("dialog.drawer").waitFor();
        await page.keyboard.press("Escape");
        await page.locator("dialog.drawer").waitFor({ state: "detached" });
      }
      assert.equal(await page.evaluate(() => window.pwned), undefined);
      assert.equal(await page.locator("main img, main script").count(), 0);
      const names = (await page.locator('[data-testid="device-row"] th').allInnerTexts()).join("\n");
      assert.ok(names.includes("<img src=x onerror"), "the name is shown as it is");
      assert.ok(names.includes("‹U+202E›"), "what turns text around is shown");
      assert.ok(names.includes("(empty name)"));
      assert.ok((await page.content()).length < 1_000_000, "a name of a megabyte is cut before it is drawn");
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} px too wide`);
      clean(seen);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "no task over 50 ms with a thousand devices at 20,000 events a second, from the first moment on",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base, "thousand");
      await browser.startTracing(undefined, { categories: ["toplevel", "devtools.timeline", "__metadata"] });
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      await page.waitForTimeout(6_000);
      await page.mouse.wheel(0, 1_600);
      await page.waitForTimeout(5_000);
      const wall = await longTasks(page);
      const tasks = mainTasks(JSON.parse((await browser.stopTracing()).toString()).traceEvents, base);
      clean(seen);
      await context.close();
      await reset(true, base);
      assert.ok(tasks.length > 100, "no tasks were seen at all");
      assert.deepEqual(tasks.filter((ms) => ms > LONG_TASK_MS), [], "tasks that worked for more than 50 ms");
      return `longest ${Math.max(...tasks).toFixed(0)} ms of work; by the clock of this machine ${wall.length === 0 ? "none is long" : `${wall.join(", ")} ms`}`;
    },
  },
  {
    name: "the keyboard alone reaches help, search, ranges, a device and SQL",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      await page.keyboard.press("Tab");
      assert.match(await page.evaluate(() => document.activeElement?.textContent ?? ""), /Skip to the content/);
      await page.keyboard.press("Enter");
      assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
      await page.keyboard.press("?");
      await page.locator("dialog.help").waitFor();
      await page.keyboard.press("Escape");
      await page.keyboard.press("2");
      await page.waitForFunction(() => location.hash.includes("range=6h"));
      await page.keyboard.press("j");
      await page.keyboard.press("Enter");
      await page.locator("dialog.drawer").waitFor();
      await page.keyboard.press("Escape");
      await page.locator("dialog.drawer").waitFor({ state: "detached" });
      await page.keyboard.press("/");
      await page.waitForFunction(() => document.activeElement?.id === "device-search");
      await page.keyboard.type("zzz");
      await page.getByText("No device matches").waitFor();
      await page.keyboard.press("Control+a");
      await page.keyboard.press("Delete");
      await ready(page);
      await page.evaluate(() => document.activeElement?.blur());
      await page.keyboard.press("s");
      await page.locator(".editor").waitFor();
      clean(seen);
      await context.close();
    },
  },
  {
    name: "SQL runs from a link, shows chart and table, tells an error with code and hint",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      const sql = "SELECT device_id, avg(temperature) AS avg_temp FROM iot GROUP BY device_id";
      const { page, context, seen } = await open(browser, base, { path: `/#/sql?q=${encodeURIComponent(sql)}` });
      await page.locator("#answer table.table tbody tr").first().waitFor({ timeout: 12_000 });
      assert.equal(await page.locator(".editor").inputValue(), sql);
      await page.locator(".editor").fill("DROP TABLE iot");
      await page.locator(".editor").press("Control+Enter");
      await page.locator(".sql-wrong .failure code").waitFor({ timeout: 12_000 });
      assert.match(await page.locator(".sql-wrong .failure").innerText(), /FB-\d{4}/);
      clean(seen);
      await context.close();
    },
  },
  {
    name: "replay and drop ask first, and then do it",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      const records = page.locator(".record");
      await records.first().waitFor();
      assert.equal(await records.count(), 3);
      await page.locator(".record input").first().check();
      await page.getByRole("button", { name: "Drop 1 record" }).click();
      await page.getByRole("button", { name: "Cancel" }).click();
      assert.equal(await records.count(), 3);
      await page.getByRole("button", { name: "Replay 1 record" }).click();
      await page.getByRole("button", { name: "Replay", exact: true }).click();
      await page.waitForFunction(() => document.querySelectorAll(".record").length === 2);
      clean(seen);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "who must sign in is asked for a token, and a viewer is offered nothing that changes",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      await mock(base, { role: "viewer" });
      const { page, context } = await open(browser, base);
      await page.getByLabel("Token").fill("wrong");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("this token is not known").waitFor();
      await accessible(page);
      await page.getByLabel("Token").fill("mock");
      await page.getByRole("button", { name: "Sign in" }).click();
      await ready(page);
      await page.locator(".record").first().waitFor();
      assert.equal(await page.locator(".topbar-compact").count(), 0, "the short line stands beside the long one");
      await page.evaluate(() => scrollTo(0, 900));
      await page.locator(".topbar-compact").waitFor();
      await page.evaluate(() => scrollTo(0, 0));
      await page.locator(".topbar-compact").waitFor({ state: "detached" });
      assert.equal(await page.getByRole("button", { name: /^(Replay|Drop|Stop)/ }).count(), 0);
      await page.getByText("To replay needs the role operator, to drop admin.").waitFor();
      assert.match(await page.getByTestId("who").innerText(), /ana viewer/);
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("Token").waitFor();
      assert.equal(await page.getByTestId("who").count(), 0);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "an operator may replay and not drop, and a session that ends leads back to the form and asks no more",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      await mock(base, { role: "operator" });
      const { page, context } = await open(browser, base, { width: 360, height: 780 });
      await signIn(page, "mock");
      await page.locator(".record").first().waitFor();
      assert.ok((await page.getByRole("button", { name: /^Replay/ }).count()) > 0);
      assert.equal(await page.getByRole("button", { name: /^Drop/ }).count(), 0);
      await stopAndStart(page, "lake");
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${wide} px too wide`);
      await mock(base, { revoke: true });
      await page.getByText("Your session has ended.").waitFor();
      await page.waitForTimeout(500);
      let asked = 0;
      page.on("request", () => (asked += 1));
      // Longer than the longest pause between two attempts.
      await page.waitForTimeout(5_500);
      assert.equal(asked, 0, "it goes on asking");
      await page.getByLabel("Token").fill("mock");
      await page.getByRole("button", { name: "Sign in" }).click();
      await ready(page);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "a real server signs in and out, shows what each role may do, and takes a change from its own page",
    needs: "tokens",
    async run({ browser, base, viewer, operator }) {
      const { page, context, seen } = await open(browser, base);
      await page.getByLabel("Token").fill(`fb_${"A".repeat(43)}`);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("this token is not known").waitFor();
      await signIn(page, viewer);
      assert.match(await page.getByTestId("who").innerText(), /viewer/);
      assert.equal(await page.getByRole("button", { name: /^(Replay|Drop|Stop|Start)/ }).count(), 0);
      const cookies = await context.cookies();
      assert.deepEqual(cookies.map((one) => [one.httpOnly, one.sameSite, one.secure]), [[true, "Strict", base.startsWith("https:")]]);
      assert.equal(await page.evaluate(() => document.cookie), "");
      // Another tab signs out: the stream of this one ends with the session.
      const other = await context.newPage();
      await other.goto(base);
      await ready(other);
      await other.getByRole("button", { name: "Sign out" }).click();
      await other.getByLabel("Token").waitFor();
      await page.getByText("Your session has ended.").waitFor();
      // A tab that lies behind another one draws nothing.
      await other.close();
      await page.bringToFront();
      await signIn(page, operator);
      await page.getByTestId("who").getByText("operator").first().waitFor();
      await stopAndStart(page, "lake");
      clean(seen);
      await context.close();
    },
  },
  {
    name: "a link that names what is not there is told, and the plant shows all the same",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      const { page, context, seen } = await open(browser, base, { path: "/#/?sort=-pressure_of_nothing" });
      await page.getByText("This view could not be shown.").waitFor({ timeout: 30_000 });
      await ready(page);
      assert.equal(await page.evaluate(() => location.hash), "#/");
      clean(seen);
      await context.close();
    },
  },
  {
    name: "several sources have their charts each, also one without devices",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base, "two");
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      await page.waitForFunction(() => document.querySelectorAll('.line[data-phase="ready"] canvas').length === 3);
      await page.getByLabel("Source").selectOption("mains");
      await page.waitForFunction(() => location.hash.includes("source=mains"));
      await page.getByRole("button", { name: "mains" }).first().click();
      await page.locator("dialog.drawer .line canvas").first().waitFor();
      clean(seen);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "a ledger that does not balance is the first thing the page says",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      await mock(base, { unbalanced: 14_000 });
      const { page, context, seen } = await open(browser, base);
      await page.waitForFunction(() => /ledger does not balance/.test(document.querySelector("h1")?.textContent ?? ""));
      await page.locator('[data-testid="verdict"]').waitFor();
      assert.match(await page.locator('[data-testid="verdict"]').innerText(), /28,000 unaccounted for/);
      clean(seen);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "an empty plant says how to send the first event, and turns into the plant when it comes",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base, "empty");
      const { page, context, seen } = await open(browser, base);
      await page.getByRole("heading", { name: "Send the first event" }).waitFor();
      assert.match(await page.locator(".command pre").first().innerText(), /forebay produce .*--topic iot_topic/s);
      await mock(base, { mode: "plant" });
      await ready(page);
      clean(seen);
      await context.close();
    },
  },
  {
    name: "a run that follows no source says so, tells all else, and claims nothing of devices",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base, "blind");
      const { page, context, seen } = await open(browser, base, { reduced: true });
      await page.getByText("This run shows no devices").waitFor();
      await page.locator(".query").first().waitFor();
      await page.locator(".record").first().waitFor();
      assert.match(await headline(page), /^All well since/);
      assert.doesNotMatch(await page.locator(".hero").innerText(), /device|nothing has been sent/);
      await accessible(page);
      clean(seen);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "fits a phone of 360 pixels, light and dark, every view",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      for (const dark of [false, true]) {
        for (const path of ["/", "/#/sql?q=SELECT+device_id%2C+avg(temperature)+AS+t+FROM+iot+GROUP+BY+device_id"]) {
          const { page, context, seen } = await open(browser, base, { width: 360, height: 780, dark, path });
          await (path === "/" ? ready(page) : page.locator("#answer").waitFor({ timeout: 12_000 }));
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${path} is ${wide} px too wide`);
          clean(seen);
          await context.close();
        }
      }
    },
  },
  {
    name: "names of 5,000 letters break where they stand: nothing is wider than its window, on a desk and on a phone",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base, "odd");
      await mock(base, { overheat: "device_3" });
      for (const width of [1440, 360]) {
        const { page, context, seen } = await open(browser, base, { width, height: 5_000, reduced: true });
        await ready(page);
        await page.locator(".record").first().waitFor();
        await page.locator(".alert").first().waitFor();
        await page.locator(".panel .bars").first().waitFor();
        await fits(page, `the plant at ${width} px`);
        await page.locator('[data-testid="device-row"] .text-button').nth(1).click();
        await page.locator("dialog.drawer .fields").waitFor();
        await page.waitForTimeout(500);
        await fits(page, `the drawer at ${width} px`);
        await page.goto(`${base}/#/sql?q=${encodeURIComponent("SELECT device_id, avg(t), max(u) FROM iot GROUP BY device_id")}`);
        await page.locator("#answer table.table tbody tr").first().waitFor();
        await fits(page, `bars of SQL at ${width} px`);
        await page.getByRole("button", { name: "Lines" }).click();
        await page.locator("#answer .legend").waitFor();
        await fits(page, `lines of SQL at ${width} px`);
        await page.locator(".editor").fill(`SELECT ${"e".repeat(5_000)} FROM laek`);
        await page.locator(".editor").press("Control+Enter");
        await page.locator(".sql-wrong").waitFor();
        await fits(page, `an error of SQL at ${width} px`);
        clean(seen);
        await context.close();
      }
      await reset(true, base);
    },
  },
  {
    name: "values without bounds are drawn on an axis with words; what was never sent has no axis at all",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base, "odd");
      const { page, context, seen } = await open(browser, base, { width: 1440, height: 3_600 });
      await ready(page);
      const panel = (name) => page.locator(`.panel[aria-label="${name}"]`);
      for (const name of ["Huge", "Apart", "Temperature"]) {
        await panel(name).locator(".uplot").waitFor();
        await page.waitForTimeout(1_500);
        const inked = await panel(name).locator("canvas").first().evaluate((canvas) => {
          const { width, height } = canvas;
          const count = (from, to) => canvas.getContext("2d").getImageData(Math.floor(from), 0, Math.floor(to - from), height).data.reduce((sum, part, i) => sum + (i % 4 === 3 && part > 60 ? 1 : 0), 0);
          return { axis: count(0, 34 * devicePixelRatio), lines: count(width * 0.25, width * 0.6) };
        });
        assert.ok(inked.axis > 60, `${name} has no words at its axis (${inked.axis} pixels)`);
        assert.ok(inked.lines > 300, `${name} has no line (${inked.lines} pixels)`);
      }
      await panel("Nothing").getByText("No readings in the last 15 min").waitFor();
      assert.equal(await panel("Nothing").locator(".uplot").count(), 0);
      assert.ok((await panel("Nothing").boundingBox()).height < 120, "a chart of nothing is a line of text");
      await panel("Where they are").getByText("No device has told its place yet").waitFor();
      assert.ok((await panel("Where they are").boundingBox()).height < 120, "a map of nothing is a line of text");
      const titles = await page.locator(".panel h3").allInnerTexts();
      assert.ok(titles.includes("a.b") && titles.includes("A b"), `of two names one was changed: ${titles.slice(0, 6)}`);
      clean(seen);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "what waits is told so that status line and queries agree",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      await page.locator(".query").first().waitFor();
      const words = await page.locator("main, .hero").allInnerTexts();
      assert.doesNotMatch(words.join(" "), /nothing waits/);
      if (isMock) {
        assert.match(await page.locator(".hero-parts").innerText(), /queries keep up/);
        assert.match(await page.locator(".query summary").first().innerText(), /\d+ behind/);
        await page.locator(".query summary").first().click();
        await page.locator(".query [open]").getByText("its trigger, in 0.4 s").waitFor();
      }
      clean(seen);
      await context.close();
    },
  },
  {
    name: "a reload of the pipeline shows by itself, without a word of a lost connection",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      // Longer than a stream that would be called worthless.
      await page.waitForTimeout(2_500);
      await page.evaluate(() => {
        window.banners = [];
        new MutationObserver(() => window.banners.push(...[...document.querySelectorAll(".banner-lost, .skeleton-table")].map((one) => one.className))).observe(document.body, { childList: true, subtree: true });
      });
      await mock(base, { reload: "Plant, second edition" });
      await page.getByText("Plant, second edition").first().waitFor({ timeout: 4_000 });
      await ready(page);
      assert.deepEqual(await page.evaluate(() => window.banners), [], "what was shown was taken away");
      assert.match(await headline(page), /^All well/);
      clean(seen);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "a page that is older than the Forebay that answers says so, and offers to load itself again",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      const { page, context, seen } = await open(browser, base);
      await ready(page);
      await mock(base, { version: "0.5.0" });
      await page.getByText("Forebay is now 0.5.0.").waitFor({ timeout: 8_000 });
      await page.getByRole("button", { name: "Load the page again" }).click();
      await ready(page);
      assert.equal(await page.getByText("Forebay is now").count(), 0);
      clean(seen);
      await context.close();
      await reset(true, base);
    },
  },
  {
    name: "the theme is set before the first paint, follows the system, and yields to a choice",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      const { page, context, seen } = await open(browser, base, { dark: true });
      await ready(page);
      const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(await theme(), "dark");
      const dark = await ground();
      await page.emulateMedia({ colorScheme: "light" });
      await page.waitForFunction(() => document.documentElement.dataset.theme === "light");
      assert.notEqual(await ground(), dark);
      await page.getByRole("button", { name: "Dark colours" }).click();
      assert.equal(await ground(), dark);
      await page.emulateMedia({ colorScheme: "dark" });
      await page.emulateMedia({ colorScheme: "light" });
      assert.equal(await theme(), "dark", "a choice was forgotten");
      clean(seen);
      await context.close();
    },
  },
  {
    name: "an error of SQL points at its line and column, the keyboard goes there, and the link shows it again",
    needs: "mock",
    async run({ browser, base }) {
      await reset(true, base);
      const { page, context, seen } = await open(browser, base, { path: "/#/sql" });
      const editor = page.locator(".editor");
      await editor.waitFor();
      await editor.focus();
      await page.keyboard.type("SELECT device_id\nFROM laek");
      await page.keyboard.press("Control+Enter");
      await page.locator(".sql-wrong pre").waitFor();
      assert.equal(await page.locator(".sql-wrong pre").evaluate((one) => one.textContent), "2 │ FROM laek\n         ^");
      assert.equal(await editor.getAttribute("aria-invalid"), "true");
      await accessible(page);
      await page.keyboard.press("Tab");
      assert.match(await page.evaluate(() => document.activeElement?.textContent ?? ""), /^Go to line 2, column 6/);
      await page.keyboard.press("Enter");
      assert.deepEqual(await page.evaluate(() => [document.activeElement?.className, document.activeElement?.selectionStart]), ["editor", 22]);
      await page.keyboard.press("Control+Shift+End");
      await page.keyboard.type("lake LIMIT 3");
      assert.equal(await page.locator(".sql-wrong").count(), 0, "an error outlived its text");
      await page.keyboard.press("Control+Enter");
      await page.locator("#answer tbody tr").nth(2).waitFor();
      assert.match(await page.locator("[role=status]", { hasText: "3 rows in" }).first().innerText(), /3 rows in/);
      const link = page.url();
      await page.goto("about:blank");
      await page.goto(link);
      await page.locator("#answer tbody tr").nth(2).waitFor();
      assert.equal(await page.locator(".editor").inputValue(), "SELECT device_id\nFROM lake LIMIT 3");
      clean(seen);
      await context.close();
    },
  },
  {
    name: "whoever measures can time each batch of values from outside, from the event to the end of its callback",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      const { page, context, seen } = await open(browser, base, { path: "/#/sql", script: TIMED });
      await page.evaluate(() => (location.hash = "#/"));
      await ready(page);
      await page.waitForFunction(() => window.timed.length > 20, null, { timeout: 20_000 });
      const timed = await page.evaluate(() => window.timed);
      assert.ok(timed.every(({ event, done }) => Number.isFinite(event) && done - event > -1_000 && done - event < 60_000), JSON.stringify(timed[0]));
      clean(seen);
      await context.close();
    },
  },
  {
    name: "fingers find whatever can be touched: nothing is less than 36 px tall on a phone",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      const { page, context, seen } = await open(browser, base, { width: 390, height: 844, touch: true });
      await ready(page);
      await page.locator(".query").first().waitFor();
      const small = (within) =>
        page.evaluate(
          (root) =>
            [...document.querySelector(root).querySelectorAll("button, select, input, a[href], summary, textarea")]
              .filter((one) => one.checkVisibility() && !one.matches(".skip"))
              .map((one) => ({ words: (one.textContent || one.id || one.className).slice(0, 24), tall: (one.matches("[type=checkbox]") ? one.closest("label") : one).getBoundingClientRect().height }))
              .filter(({ tall }) => tall < 36),
          within,
        );
      assert.deepEqual(await small("body"), [], "on the plant");
      await page.locator('[data-testid="device-row"] .text-button').first().tap();
      await page.locator("dialog.drawer .fields").waitFor();
      assert.deepEqual(await small("dialog.drawer"), [], "in the drawer");
      await page.goto(`${base}/#/sql?q=${encodeURIComponent("SELECT * FROM nowhere")}`);
      await page.locator(".sql-wrong").waitFor({ timeout: 12_000 });
      assert.deepEqual(await small("body"), [], "at the SQL");
      await fits(page, "the SQL");
      clean(seen);
      await context.close();
    },
  },
  {
    name: "the chosen theme stays, and nothing moves for who wants no motion",
    async run({ browser, base, isMock }) {
      await reset(isMock, base);
      const { page, context, seen } = await open(browser, base, { reduced: true });
      await ready(page);
      await page.getByRole("button", { name: "Dark colours" }).click();
      await page.reload();
      await ready(page);
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
      assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
      clean(seen);
      await context.close();
    },
  },
];
