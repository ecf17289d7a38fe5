// Devices that a view makes of events: their labels, their means, and who is missing.
import assert from "node:assert/strict";
import { accessible, fits, ready, visit, visiting } from "../visit.mjs";

const section = (page) => page.locator("#fleet");
const values = (page, panel) => section(page).locator(`.panel[aria-label="${panel}"] .spread-value`);
const drawn = (page) => page.waitForFunction(() => document.querySelectorAll("#fleet svg.shares").length === 2 && document.querySelectorAll('#fleet [data-chart="averages"] .bars tr').length > 3 && document.querySelectorAll("#fleet .missing li").length > 0, null, { timeout: 30_000 });
const customers = (page) => page.locator('[data-testid="device-row"] [data-name="customerId"]').allInnerTexts();

export const FLEET = [
  {
    name: "a fleet shows its states now and over time, the means of its devices, and who is late or silent",
    needs: "mock",
    run: visiting({ mode: "fleet", height: 2_000 }, async (page) => {
      await drawn(page);
      assert.deepEqual((await values(page, "Status").locator(".spread-name").allInnerTexts()).sort(), ["ERROR", "STANDBY", "SUCCESS"]);
      const devices = (await values(page, "Status").locator(".spread-count").allInnerTexts()).reduce((sum, one) => sum + Number(one), 0);
      assert.equal(devices, 24, "each device is in one state");
      assert.match(await section(page).locator('.panel[aria-label="Status"] svg.shares').getAttribute("aria-label"), /^Status over time: .*SUCCESS \d+/);
      const missing = await section(page).locator('.panel[aria-label="Late and missing devices"]').innerText();
      for (const words of [/now 2 silent, 1 late/, /40 readings came late so far/, /D005\s+silent since \d\d:\d\d/, /D018\s+silent since/, /D012\s+data 3 min late/]) assert.match(missing, words);
      const means = (await section(page).locator('[data-chart="averages"] .bars td.num').allInnerTexts()).map(Number.parseFloat);
      assert.deepEqual(means, [...means].sort((a, b) => b - a), "the highest first");
      await section(page).getByLabel("Field of the averages").selectOption("humidity");
      await section(page).locator('.panel[aria-label="Average humidity by device"] .bars').waitFor();
    }),
  },
  {
    name: "a customer is chosen once, for the fleet and the table; the link carries it, and a pressed state comes off again",
    needs: "mock",
    async run(run) {
      await visit(run, { mode: "fleet" }, async (page) => {
        await section(page).getByLabel("Devices by customerId").selectOption({ label: await section(page).locator("option", { hasText: "CI00117" }).first().innerText() });
        await page.waitForFunction(() => decodeURIComponent(location.hash).includes("where=customerId:CI00117"));
        await page.waitForFunction(() => [...document.querySelectorAll('[data-testid="device-row"] [data-name="customerId"]')].every((cell) => cell.textContent === "CI00117"));
        assert.match(await page.locator("#devices .section-note").innerText(), /only customerId CI00117/);
        const all = await page.locator('[data-testid="device-row"]').count();
        await page.reload();
        await ready(page);
        assert.deepEqual([...new Set(await customers(page))], ["CI00117"], "the link says so");
        const state = values(page, "Status").last();
        await state.focus();
        await page.keyboard.press("Enter");
        await page.waitForFunction(() => document.querySelector('#fleet .spread-value[aria-pressed="true"] .spread-name')?.textContent && decodeURIComponent(location.hash).includes("where=status:"));
        await page.keyboard.press("Enter");
        await page.waitForFunction(() => !decodeURIComponent(location.hash).includes("where=status:"));
        assert.equal(await page.locator('[data-testid="device-row"]').count(), all);
        await section(page).getByRole("button", { name: "All devices" }).click();
        await page.waitForFunction(() => !location.hash.includes("where=") && document.querySelectorAll('[data-testid="device-row"]').length === 24);
      });
      // A link of another pipeline: what is not known is not asked for.
      await visit(run, { mode: "plant", path: "/#/?where=customerId%3ACI00117" }, async (page) => {
        assert.equal(await page.locator('[data-testid="device-row"]').count(), 3);
        assert.equal(await section(page).count(), 0);
      });
    },
  },
  {
    name: "who is late is one press away in the table, and opens there",
    needs: "mock",
    run: visiting({ mode: "fleet", path: "/#/?state=late" }, async (page) => {
      await page.waitForFunction(() => document.querySelectorAll('[data-testid="device-row"]').length === 1);
      assert.match(await page.locator('[data-testid="device-row"]').innerText(), /D012[\s\S]*clock 3 min behind/);
      await page.getByRole("button", { name: /^All\s*24/ }).click();
      await page.waitForFunction(() => document.querySelectorAll('[data-testid="device-row"]').length === 24);
      await section(page).locator(".missing .text-button", { hasText: "D005" }).click();
      await page.locator("dialog.drawer", { hasText: "D005" }).waitFor();
    }),
  },
  {
    name: "a fleet is for everybody: no serious finding light and dark, nothing too wide at 320 px, nothing moves once it is drawn",
    needs: "mock",
    async run(run) {
      for (const options of [{}, { dark: true }, { width: 320, height: 780, touch: true }]) {
        await visit(run, { mode: "fleet", reduced: true, ...options }, async (page) => {
          await page.locator("#fleet .spread").first().waitFor();
          await fits(page, `the fleet at ${options.width ?? 1440} px`);
          if (options.width) {
            const cut = await section(page).locator(".spread-value, .choice, .panel").evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().right > innerWidth).length);
            assert.equal(cut, 0, "parts beyond the edge");
            const low = await section(page).locator(".spread-value, select").evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().height < 36).length);
            assert.equal(low, 0, "too low for fingers");
          }
          await accessible(page);
        });
      }
      // On the screens that people have, the table needs no scrolling and no query's name is broken.
      for (const width of [1_400, 1_180, 1_024, 700]) {
        await visit(run, { mode: "fleet", width }, async (page) => {
          await page.locator("#queries .query h4").first().waitFor();
          const wide = await page.locator("#devices .table-scroll").evaluate((table) => table.scrollWidth - table.clientWidth);
          if (width > 1_000) assert.ok(wide <= 0, `the table is ${wide} px too wide at ${width} px`);
          const broken = await page.locator(".query h4").evaluateAll((all) => all.filter((one) => one.getClientRects().length > 1 || one.offsetHeight > 1.8 * Number.parseFloat(getComputedStyle(one).lineHeight)).map((one) => one.textContent));
          assert.deepEqual(broken, [], `names in several lines at ${width} px`);
        });
      }
      await visit(run, { mode: "fleet", height: 2_000 }, async (page) => {
        await drawn(page);
        const moved = await page.evaluate(async () => {
          const shifts = [];
          new PerformanceObserver((list) => shifts.push(...list.getEntries().filter((entry) => entry.sources.some(({ node }) => node?.closest?.("#fleet"))))).observe({ type: "layout-shift" });
          await new Promise((resume) => setTimeout(resume, 6_000));
          return shifts.reduce((sum, entry) => sum + entry.value, 0);
        });
        assert.ok(moved < 0.01, `it moved by ${moved}`);
      });
    },
  },
];
