// Is all well? if not, where? since when? The first line, and what stands behind it.
import assert from "node:assert/strict";
import { mock, open } from "../browser.mjs";
import { accessible, atOnce, fits, headline, ready, says, stopAndStart, visiting } from "../visit.mjs";

export const STATUS = [
  {
    name: "an alert appears by itself, in the line, the feed, the row and for screen readers",
    needs: "mock",
    run: visiting({}, async (page, { base, browser, context }) => {
      assert.match(await headline(page), /^All well/);
      const edge = () => page.locator('[data-testid="device-row"]').nth(1).evaluate((row) => Math.round(row.querySelector("td").getBoundingClientRect().left));
      const before = await edge();
      await mock(base, { overheat: "device_2" });
      await says(page, "device_2 overheats");
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
    }),
  },
  {
    name: "what is stopped is said, has no pace and no known backlog, and stays said; silence tells since when",
    needs: "mock",
    run: visiting({}, async (page, { base }) => {
      await mock(base, { stop: "alerts/overheat" });
      await says(page, "^Alert rule overheat is stopped since \\d\\d:\\d\\d:\\d\\d$");
      await mock(base, { stop: "lake" });
      await says(page, "^1 query and 1 alert rule are stopped$");
      assert.equal(await page.locator(".query summary").first().innerText(), "–/s · backlog not known");
      await mock(base, { unbalanced: 14_000 });
      await says(page, "ledger does not balance");
      assert.match(await page.locator(".hero-parts").innerText(), /1 query and 1 alert rule are stopped/);
      await mock(base, { calm: true, unbalanced: 0 });
      await says(page, "^All well");
      await mock(base, { silent: true });
      await says(page, "^No device is sending since \\d\\d:\\d\\d:\\d\\d$");
    }),
  },
  {
    name: "the first line tells an alert's reading of now, not that of its opening, and is no news each second",
    needs: "mock",
    run: visiting({ wish: { tell: true, overheat: "device_2" } }, async (page, { base }) => {
      await says(page, "^1 critical alert: overheat: device_2, temperature [\\d.]+ since");
      const said = await page.locator('[data-testid="announcer"]').innerText();
      const { alerts } = await (await fetch(`${base}/api/v1/alerts?state=open`)).json();
      assert.match(alerts[0].message, new RegExp(`temperature ${alerts[0].value.temperature}$`));
      const told = async () => Number(/temperature ([\d.]+)/.exec(await headline(page))?.[1]);
      const first = await told();
      await page.waitForFunction((before) => !document.querySelector("h1").textContent.includes(`temperature ${before} `), first.toFixed(1));
      assert.notEqual(await told(), alerts[0].value.temperature);
      assert.equal(await page.locator('[data-testid="announcer"]').innerText(), said);
    }),
  },
  {
    name: "an alert rule is stopped and started on the page as a query is",
    needs: "mock",
    run: visiting({}, async (page) => {
      await page.locator(".query").first().waitFor();
      await stopAndStart(page, "overheat", "alert rule", "alert overheat");
      await says(page, "^All well");
    }),
  },
  {
    name: "a changed file that is refused is told with who, when and why, until one is taken",
    needs: "mock",
    run: visiting({ wish: { refuse: "SIGHUP" } }, async (page, { base }) => {
      await says(page, "^The changed file is refused since \\d\\d:\\d\\d:\\d\\d$");
      assert.match(await page.locator(".hero-parts").innerText(), /unknown key `formt` .*SIGHUP.*all goes on by the file before/s);
      assert.match(await page.locator(".hero-hint").innerText(), /^FB-1003 Did you mean/);
      await mock(base, { overheat: "device_2" });
      await says(page, "device_2 overheats");
      assert.match(await page.locator(".hero-parts").innerText(), /The changed file is refused/);
      await mock(base, { calm: true });
      await says(page, "^All well");
    }),
  },
  {
    name: "a table that cannot be read is told first and at its queries, with its file and line, until it can",
    needs: "mock",
    run: visiting({ wish: { breakTable: "devices" } }, async (page, { base }) => {
      await says(page, "^The table devices cannot be read since \\d\\d:\\d\\d:\\d\\d$");
      assert.match(await page.locator(".hero-parts").innerText(), /record 2 of a file has `many`.*\(data\/devices\.csv:3\).*the version read before is used/s);
      assert.match(await page.locator(".hero-hint").innerText(), /^FB-2007 Mend the file/);
      assert.deepEqual(await page.locator(".query:has(.query-warning)").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label"))), ["query lake", "query minutes"]);
      assert.match(await page.locator(".query-warning").first().innerText(), /^\s*The table devices cannot be read since \d\d:\d\d:\d\d: FB-2007 record 2 .*the version read before is used\.\s+Mend the file\.$/s);
      await accessible(page);
      await fits(page, "the page");
      await mock(base, { overheat: "device_2" });
      await says(page, "device_2 overheats");
      assert.match(await page.locator(".hero-parts").innerText(), /The table devices cannot be read/);
      await mock(base, { calm: true });
      await says(page, "^All well");
      assert.equal(await page.locator(".query-warning").count(), 0);
    }),
  },
  {
    name: "the ledger is that of one query, never a sum in which a record counts twice, and has the words of its sink",
    needs: "mock",
    run: visiting({}, async (page, { base }) => {
      const choice = page.locator("#ledger select");
      await choice.waitFor();
      assert.equal(await choice.inputValue(), "lake");
      assert.deepEqual(await choice.locator("option").allInnerTexts(), ["alerts/overheat", "hot", "lake", "minutes"]);
      const { queries } = await (await fetch(`${base}/api/v1/ledger`)).json();
      const read = Number((await page.locator(".ledger-read").innerText()).replaceAll(",", ""));
      assert.ok(Math.abs(read - queries.lake.read) < 1_000, `${read} read, not ${queries.lake.read}`);
      assert.match(await page.locator(".fates").innerText(), /to the sink/);
      await choice.selectOption("alerts/overheat");
      await page.locator(".fates").getByText("looked at by the rule").waitFor();
    }),
  },
  {
    name: "a ledger that does not balance is the first thing the page says",
    needs: "mock",
    run: visiting({ until: atOnce }, async (page, { base }) => {
      await mock(base, { unbalanced: 14_000 });
      await says(page, "ledger does not balance");
      await page.locator('[data-testid="verdict"]').waitFor();
      assert.match(await page.locator('[data-testid="verdict"]').innerText(), /14,000 unaccounted for/);
    }),
  },
  {
    name: "what waits is told so that status line and queries agree",
    run: visiting({}, async (page, { isMock }) => {
      await page.locator(".query").first().waitFor();
      const words = await page.locator("main, .hero").allInnerTexts();
      assert.doesNotMatch(words.join(" "), /nothing waits/);
      if (isMock) {
        assert.match(await page.locator(".hero-parts").innerText(), /queries keep up/);
        assert.match(await page.locator(".query summary").first().innerText(), /\d+ behind/);
        await page.locator(".query summary").first().click();
        await page.locator(".query [open]").getByText("its trigger, in 0.4 s").waitFor();
      }
    }),
  },
  {
    name: "a query with state tells its watermark, what it holds and until when, what came too late, and whose clock is off",
    run: visiting({ wish: { clocks: true } }, async (page, { isMock }) => {
      const panel = page.locator('.query[aria-label="query minutes"]');
      await panel.locator("summary").click();
      const fact = (name) => panel.locator("dl > div", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd");
      const says = async (name, words) => assert.match((await fact(name).innerText()).replace(/\s/g, " "), words);
      // Of a living plant the watermark has moved once its second epoch is there.
      await fact("watermark").waitFor({ timeout: 20_000 });
      await says("watermark", /\d\d:\d\d:\d\d, .+ behind$/);
      await says("open keys", /^\d+, the first until .*\d\d:\d\d:\d\d$/);
      await says("state", /^[\d.]+ (B|KiB) of 1(\.0)? GiB$/);
      if (!isMock) return;
      await says("too far ahead", /^1 row$/);
      assert.equal(await panel.locator("summary .tag").innerText(), "27 % of records late");
      await says("clocks", /^1 device ahead, 1 behind; worst device_2, 2(\.0)? h ahead$/);
      await fact("came too late").getByText("3 records").click();
      await page.locator("#answer tbody tr").first().waitFor();
      assert.equal(await page.locator(".editor").inputValue(), "SELECT * FROM late.minutes");
      assert.match(page.url(), /as=table/);
      assert.equal(await page.locator("#answer .result-bars, #answer canvas").count(), 0, "late rows are no chart");
      await page.locator(".tables .chip", { hasText: "late.minutes" }).waitFor();
    }),
  },
];
