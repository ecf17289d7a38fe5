// Alerts: all of them and what they come to, one of them and its history, what people do with them.
import assert from "node:assert/strict";
import { mock } from "../browser.mjs";
import { accessible, atOnce, fits, ready, signIn, visit, visiting } from "../visit.mjs";

const PATH = "/#/alerts";
/** The view is there, with its list or with the word that there is none. */
const listed = (page) => page.locator("#all-alerts .feed, #all-alerts .quiet").first().waitFor({ timeout: 12_000 });
const items = (page) => page.locator("#all-alerts .alert");
const keysOf = (page) => items(page).evaluateAll((all) => all.map((one) => one.dataset.key));
const kind = (page, rule) => page.locator(`[data-testid="kind"]:has-text("${rule}")`);
const stateOf = (page) => page.getByRole("group", { name: "State" });
const numberIn = (words) => Number(/[\d,]+/.exec(words)?.[0].replaceAll(",", ""));
/** Waits until this many alerts are listed. */
const lists = (page, many) => page.waitForFunction((n) => document.querySelectorAll("#all-alerts .alert").length === n, many, { timeout: 12_000 });
const drawer = (page) => page.locator("dialog.drawer", { has: page.locator(".story") });
/** What the server has of alerts. */
const known = async (base, query = "") => (await (await fetch(`${base}/api/v1/alerts?limit=500${query}`)).json()).alerts;

export const ALERTS = [
  {
    name: "the alerts are a view of their own, at home on every server: filters, a link, no serious finding, nothing too wide",
    run: visiting({ path: `${PATH}?is=open&find=zzz`, until: listed }, async (page) => {
      assert.equal(await page.getByLabel("Find alerts by key or words").inputValue(), "zzz");
      assert.equal(await stateOf(page).getByRole("button", { name: /^Open/ }).getAttribute("aria-pressed"), "true");
      await page.locator("#all-alerts").getByText("No alert fits what is chosen.").waitFor();
      assert.match(await page.locator("#all-alerts .section-note").innerText(), /times in Europe\/Berlin/);
      assert.equal(await page.locator("nav [aria-current]").innerText(), "Alerts");
      await accessible(page);
      await fits(page, "the alerts");
      await page.getByRole("button", { name: "Show all" }).click();
      await page.waitForFunction(() => location.hash === "#/alerts");
      await page.getByRole("link", { name: "Plant", exact: true }).click();
      await ready(page);
    }),
  },
  {
    name: "alerts are counted by kind, keys by number and by time, and a silence by what it covers: as the server has them",
    needs: "mock",
    run: visiting({ mode: "vehicles", path: PATH, until: listed }, async (page, { base }) => {
      const all = await known(base);
      for (const rule of ["engine_overheat", "overspeed", "low_fuel", "invalid_gps"]) {
        const of = all.filter((alert) => alert.rule === rule);
        const cells = await kind(page, rule).locator("td").allInnerTexts();
        assert.deepEqual(cells.map(Number), [of.filter(({ state }) => state === "open").length, of.filter(({ state }) => state === "cleared").length], rule);
      }
      const first = async () => (await page.locator('[data-testid="worst"]').first().innerText()).replace(/\s+/g, " ");
      const counts = [...new Set(all.map(({ key }) => key))].map((name) => [name, all.filter(({ key }) => key === name).length]).sort((a, b) => b[1] - a[1]);
      // Several may have as many.
      const [name, number] = (await first()).split(" ");
      assert.deepEqual([Number(number), new Map(counts).get(name)], [counts[0][1], counts[0][1]]);
      await page.getByRole("group", { name: "Worst by" }).getByRole("button", { name: "by time" }).click();
      // The vehicles whose tank is empty for ten minutes each time, not those that are fast for seconds.
      const slow = new Set(all.filter(({ rule }) => rule === "low_fuel").map(({ key }) => key));
      await page.waitForFunction((keys) => keys.includes(document.querySelector('[data-testid="worst"] bdi')?.textContent), [...slow]);
      const [key, shown, unit] = (await first()).split(" ");
      // Each second that lies in one of its alerts or in several.
      const seconds = new Set(all.filter((alert) => alert.key === key).flatMap(({ openedAt, clearedAt }) => Array.from({ length: Math.ceil(((clearedAt ?? Date.now()) - openedAt) / 1_000) }, (_, i) => Math.floor(openedAt / 1_000) + i)));
      assert.equal(unit, "min");
      assert.ok(Math.abs(Number(shown) - seconds.size / 60) < 1.5, `${shown} min, not ${seconds.size} s`);
      assert.match((await page.locator("#muted").innerText()).replace(/\s+/g, " "), /silence roadworks covers 1 open alert overspeed · CAR-110/);
    }),
  },
  {
    name: "alerts are filtered by state, rule, severity and words; counts, list and link agree, and a press more takes it back",
    needs: "mock",
    run: visiting({ mode: "vehicles", path: PATH, until: listed }, async (page, { base }) => {
      const all = await known(base);
      const some = (test) => all.filter(test).length;
      await stateOf(page).getByRole("button", { name: /^Open/ }).click();
      await lists(page, some(({ state }) => state === "open"));
      assert.equal(await page.locator('#all-alerts [data-testid="alert-cleared"]').count(), 0);
      await page.getByLabel("Severity").selectOption("warning");
      await lists(page, some(({ state, severity }) => state === "open" && severity === "warning"));
      assert.equal(numberIn(await stateOf(page).getByRole("button", { name: /^Cleared/ }).innerText()), some(({ state, severity }) => state === "cleared" && severity === "warning"));
      await page.getByRole("button", { name: "Show all" }).click();
      await page.getByLabel("Rule").selectOption("low_fuel");
      await lists(page, some(({ rule }) => rule === "low_fuel"));
      assert.match(page.url(), /rule=low_fuel/);
      await page.reload();
      await listed(page);
      await lists(page, some(({ rule }) => rule === "low_fuel"));
      await kind(page, "engine_overheat").getByRole("button").click();
      await lists(page, some(({ rule }) => rule === "engine_overheat"));
      assert.equal(await page.getByLabel("Rule").inputValue(), "engine_overheat");
      assert.equal(await kind(page, "engine_overheat").getByRole("button").getAttribute("aria-pressed"), "true");
      await kind(page, "engine_overheat").getByRole("button").click();
      await page.getByLabel("Find alerts by key or words").fill("car-10");
      await page.waitForFunction(() => [...document.querySelectorAll("#all-alerts .alert")].every((one) => one.dataset.key.startsWith("CAR-10")));
      assert.ok(new Set(await keysOf(page)).size > 1, "a part of a key means several");
      // A whole key means that one alone.
      await page.locator('[data-testid="worst"] .text-button', { hasText: "CAR-104" }).click();
      await lists(page, some(({ key }) => key === "CAR-104"));
      assert.deepEqual([...new Set(await keysOf(page))], ["CAR-104"]);
      assert.equal(await page.getByLabel("Find alerts by key or words").inputValue(), "CAR-104");
    }),
  },
  {
    name: "a click and a confirmation acknowledge: one POST with the words, and everybody sees who takes care; a refusal is shown and changes nothing",
    needs: "mock",
    async run(run) {
      await visit(run, { mode: "vehicles", path: PATH, until: listed }, async (page, { base, browser }) => {
        const posts = [];
        page.on("request", (request) => request.method() === "POST" && posts.push([new URL(request.url()).pathname, request.postDataJSON()]));
        const other = await (await browser.newContext()).newPage();
        await other.goto(`${base}${PATH}`);
        await listed(other);
        const item = (on) => on.locator('#all-alerts [data-key="CAR-106"][data-testid="alert-open"]');
        await item(page).getByTestId("acknowledge").click();
        await page.getByRole("button", { name: "Cancel" }).click();
        assert.deepEqual(posts, [], "nothing is sent before somebody says so");
        await mock(base, { deaf: true });
        await item(page).getByTestId("acknowledge").click();
        await page.locator("dialog.confirm").getByRole("button", { name: "Acknowledge" }).click();
        await page.locator("dialog.confirm .failure").getByText("no space left on device").waitFor();
        assert.equal(posts.length, 1);
        await page.keyboard.press("Escape");
        assert.equal(await item(page).getByTestId("acknowledge").count(), 1, "it was refused, so it is offered still");
        assert.doesNotMatch(await item(page).innerText(), /takes care/);
        await mock(base, { calm: true });
        await item(page).getByTestId("acknowledge").click();
        await page.getByLabel(/What is known/).fill("the fan is broken");
        await page.locator("dialog.confirm").getByRole("button", { name: "Acknowledge" }).click();
        await page.locator("dialog.confirm").waitFor({ state: "detached" });
        assert.equal(posts.length, 2);
        const [open] = await known(base, "&state=open&rule=engine_overheat");
        assert.deepEqual(posts[1], ["/api/v1/alerts/acknowledge", { id: open.id, comment: "the fan is broken" }]);
        for (const on of [page, other]) {
          await item(on).getByText(/ana takes care of it since .*: the fan is broken/).waitFor({ timeout: 8_000 });
          assert.equal(await item(on).getByTestId("acknowledge").count(), 0);
        }
        await other.context().close();
      });
      // Who may only look is offered nothing, here and in the history.
      await visit(run, { mode: "vehicles", until: atOnce, wish: { role: "viewer" } }, async (page) => {
        await signIn(page, "mock");
        await page.keyboard.press("a");
        await listed(page);
        await page.locator('[data-testid="alert-open"] .alert-history').first().click();
        await drawer(page).waitFor();
        assert.equal(await page.getByRole("button", { name: "Acknowledge" }).count(), 0);
        assert.equal(await page.getByLabel("Comment").count(), 0);
      });
    },
  },
  {
    name: "a silence is made from an alert, of what, for how long and why; everybody sees whose it is until somebody ends it; a refusal is shown and changes nothing",
    needs: "mock",
    async run(run) {
      await visit(run, { mode: "vehicles", path: PATH, until: listed }, async (page, { base, browser }) => {
        const sent = [];
        page.on("request", (request) => request.method() !== "GET" && sent.push([request.method(), new URL(request.url()).pathname, request.postDataJSON()]));
        const other = await (await browser.newContext()).newPage();
        await other.goto(`${base}${PATH}`);
        await listed(other);
        const confirm = page.locator("dialog.confirm");
        const silences = (on) => on.locator('[data-testid="silence"]');
        assert.match((await page.locator('[data-testid="silence-of-file"]').innerText()).replace(/\s+/g, " "), /overspeed · CAR-110 until .* roadworks of the pipeline's file/);
        await page.locator('#all-alerts [data-key="CAR-106"][data-testid="alert-open"]').getByTestId("silence-it").click();
        await accessible(page);
        await page.getByRole("button", { name: "Cancel" }).click();
        assert.deepEqual(sent, [], "nothing is sent before somebody says so");
        await page.locator('#all-alerts [data-key="CAR-106"][data-testid="alert-open"] .alert-history').click();
        await drawer(page).getByRole("button", { name: "Silence" }).click();
        await mock(base, { deaf: true });
        await confirm.getByRole("button", { name: "Silence" }).click();
        await confirm.locator(".failure").getByText("no space left on device").waitFor();
        await mock(base, { calm: true });
        await confirm.getByLabel("For how long").selectOption("2 hours");
        await confirm.getByLabel(/^Why/).fill("<b>new fan</b>");
        await confirm.getByRole("button", { name: "Silence" }).click();
        await confirm.waitFor({ state: "detached" });
        const [first, second] = sent;
        assert.deepEqual(first, ["POST", "/api/v1/silences", { rules: ["engine_overheat"], key: "CAR-106", for: "1 hour" }]);
        assert.deepEqual(second, ["POST", "/api/v1/silences", { rules: ["engine_overheat"], key: "CAR-106", for: "2 hours", comment: "<b>new fan</b>" }]);
        await page.keyboard.press("Escape");
        for (const on of [page, other]) {
          await silences(on).waitFor({ timeout: 20_000 });
          assert.match((await silences(on).innerText()).replace(/\s+/g, " "), /^engine_overheat · CAR-106 #1 until .*, (1 h 59 min|2 h) left ana, .*: <b>new fan<\/b> End$/);
        }
        await page.getByRole("button", { name: "End the silence of engine_overheat · CAR-106" }).click();
        await confirm.getByRole("button", { name: "End it" }).click();
        for (const on of [page, other]) await silences(on).waitFor({ state: "detached", timeout: 20_000 });
        assert.deepEqual(sent[2].slice(0, 2), ["DELETE", "/api/v1/silences/1"]);
        // Of everybody, and of every rule.
        for (const [scope, asked] of [["rule", { rules: ["engine_overheat"], for: "1 hour" }], ["key", { rules: [], key: "CAR-106", for: "1 hour" }]]) {
          await page.locator('#all-alerts [data-key="CAR-106"][data-testid="alert-open"]').getByTestId("silence-it").click();
          await confirm.getByLabel("Of what").selectOption(scope);
          await confirm.getByRole("button", { name: "Silence" }).click();
          await confirm.waitFor({ state: "detached" });
          assert.deepEqual(sent.at(-1)[2], asked);
        }
        await page.waitForFunction(() => document.querySelectorAll('[data-testid="silence"]').length === 2);
        await accessible(page);
        await fits(page, "the silences");
        await mock(base, { calm: true });
        await other.context().close();
      });
      await visit(run, { mode: "vehicles", until: atOnce, wish: { role: "viewer" } }, async (page, { base }) => {
        await signIn(page, "mock");
        await page.keyboard.press("a");
        await listed(page);
        await page.locator('[data-testid="silence-of-file"]').waitFor();
        assert.equal(await page.getByRole("button", { name: "Silence" }).count(), 0, "who may only look is offered none");
        await mock(base, { calm: true });
      });
    },
  },
  {
    name: "one alert tells what happened to it, its rows with their records, what people said, and the others of its rule and key; its link opens it",
    needs: "mock",
    run: visiting({ mode: "vehicles", path: PATH, until: listed }, async (page, { base }) => {
      const [alert] = await known(base, "&state=open&rule=engine_overheat");
      await page.locator('[data-key="CAR-106"][data-testid="alert-open"] .alert-history').click();
      await drawer(page).waitFor();
      assert.match(decodeURIComponent(page.url()), /alert=engine_overheat\/CAR-106\/\d+/);
      const steps = () => drawer(page).locator(".story li").evaluateAll((all) => all.map((one) => one.dataset.step));
      assert.deepEqual(await steps(), ["opened"]);
      const rows = await drawer(page).locator(".causes tbody tr").allInnerTexts();
      assert.deepEqual(rows.map((row) => row.replace(/\s+/g, " ")).map((row) => /raw_telemetry \/ 0 \/ (\d+)/.exec(row)?.[1]), [...alert.rows].reverse().map(({ offset }) => String(offset)), "the newest first");
      assert.match(rows[0], new RegExp(`${alert.value.engine_temp_c.toFixed(1)}`));
      assert.match(await drawer(page).locator(".rule-facts").innerText(), /engine_temp_c > 110[^]*engine_temp_c < 100/);
      const others = (await known(base, "&rule=engine_overheat&key=CAR-106")).length;
      await drawer(page).locator(`.spans svg[aria-label^="${others} alerts since"]`).waitFor();
      assert.equal(await drawer(page).locator(".spans svg rect").count(), others + 1);
      await drawer(page).getByLabel("Comment").fill("it smokes\n<b>a lot</b>");
      await drawer(page).getByRole("button", { name: "Comment" }).click();
      await drawer(page).locator(".story-said").waitFor();
      assert.equal(await drawer(page).locator(".story-said").innerText(), "it smokes\n<b>a lot</b>");
      assert.deepEqual(await steps(), ["opened", "comment"]);
      await mock(base, { deaf: true });
      await drawer(page).getByLabel("Comment").fill("lost");
      await drawer(page).getByRole("button", { name: "Comment" }).click();
      await drawer(page).locator(".failure").getByText("no space left on device").waitFor();
      assert.equal(await drawer(page).getByLabel("Comment").inputValue(), "lost", "what was written stays");
      await accessible(page);
      // One that has cleared, by its link.
      const [cleared] = await known(base, "&state=cleared&rule=overspeed");
      await page.goto(`${base}/#/alerts?alert=${encodeURIComponent(cleared.id)}`);
      await page.reload();
      await drawer(page).waitFor();
      assert.deepEqual(await steps(), ["opened", "cleared"]);
      assert.match(await drawer(page).locator("header").innerText(), /open from .* to .*, for \d+ s/);
      await page.goto(`${base}/#/alerts?alert=gone%2F1`);
      await page.getByText("This alert is not remembered any more").waitFor();
    }),
  },
  {
    name: "an alert that opens is in the list, the counts and the worst by itself, and so is its end",
    needs: "mock",
    run: visiting({ path: PATH, until: listed }, async (page, { base }) => {
      const before = (await known(base)).length;
      await lists(page, Math.min(before, 50));
      await mock(base, { overheat: "device_3" });
      await page.locator('#all-alerts [data-key="device_3"][data-testid="alert-open"]').waitFor({ timeout: 20_000 });
      await page.waitForFunction(() => document.querySelector('[data-testid="kind"] .kind-open')?.textContent === "1");
      await page.locator('[data-testid="worst"]', { hasText: "device_3" }).locator(".level-critical").waitFor();
      await page.locator(".topbar-status").getByText("device_3 overheats").waitFor();
    }),
  },
  {
    name: "the keyboard alone goes to the alerts, through them, into one and back to where it was",
    needs: "mock",
    run: visiting({ mode: "vehicles" }, async (page) => {
      await page.keyboard.press("a");
      await listed(page);
      await page.keyboard.press("j");
      await page.keyboard.press("j");
      const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
      const second = await page.locator(".feed .alert-history").nth(1).getAttribute("aria-label");
      assert.equal(await focused(), second);
      await page.keyboard.press("Enter");
      await drawer(page).waitFor();
      await page.keyboard.press("Escape");
      await drawer(page).waitFor({ state: "detached" });
      assert.equal(await focused(), second, "the focus is lost");
      await page.keyboard.press("k");
      assert.equal(await focused(), await page.locator(".feed .alert-history").first().getAttribute("aria-label"));
      await page.keyboard.press("/");
      await page.waitForFunction(() => document.activeElement?.id === "alert-search");
    }),
  },
  {
    name: "no alert yet, none that fits, and a server that does not answer are said in words, with the way on",
    needs: "mock",
    async run(run) {
      await visit(run, { mode: "fleet", path: PATH, until: listed }, async (page) => {
        await page.locator("#all-alerts").getByText(/Nothing has set off an alert yet|No alert rules yet/).waitFor();
        await accessible(page);
      });
      await visit(run, { mode: "vehicles" }, async (page) => {
        let answers = false;
        await page.route("**/api/v1/alerts?*", (route) => (answers ? route.continue() : route.fulfill({ status: 500, contentType: "application/problem+json", body: JSON.stringify({ detail: "the book of alerts is closed", code: "FB-9999" }) })));
        await page.keyboard.press("a");
        await page.locator("#all-alerts .failure").getByText("the book of alerts is closed").waitFor({ timeout: 12_000 });
        assert.equal(await page.locator("#all-alerts .skeleton, #all-alerts .quiet").count(), 0, "it says that there are none, or that they come");
        answers = true;
        await page.getByRole("button", { name: "Try again" }).click();
        await items(page).first().waitFor();
        await page.locator("#all-alerts .failure").waitFor({ state: "detached" });
      });
    },
  },
  {
    name: "alerts are for everybody: no serious finding light and dark, all of it within 360 px and within reach of fingers",
    needs: "mock",
    async run(run) {
      for (const dark of [false, true]) {
        await visit(run, { mode: "vehicles", path: PATH, until: listed, dark, reduced: true }, (page) => accessible(page));
        await visit(run, { mode: "vehicles", path: PATH, until: listed, dark, reduced: true, width: 360, height: 780, touch: true }, async (page) => {
          const low = (within) => page.locator(within).locator("button, select, input, textarea").evaluateAll((all) => all.filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 36).map((one) => one.textContent || one.id));
          const beyond = (within) => page.locator(within).locator("*").evaluateAll((all) => all.filter((one) => one.checkVisibility() && !one.closest(".sr, .table-scroll") && one.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.outerHTML.slice(0, 80)));
          await fits(page, "the alerts at 360 px");
          assert.deepEqual(await low("main"), [], "too low for fingers");
          assert.deepEqual(await beyond("main"), [], "beyond the edge");
          await page.locator(".alert-history").first().tap();
          await drawer(page).waitFor();
          await drawer(page).locator(".spans").waitFor();
          await fits(page, "an alert at 360 px");
          assert.deepEqual(await low("dialog.drawer"), [], "too low for fingers, in the drawer");
          assert.deepEqual(await beyond("dialog.drawer"), [], "beyond the edge, in the drawer");
          await accessible(page);
        });
      }
    },
  },
];
