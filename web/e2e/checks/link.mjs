// The page and its server: a connection that is lost, a reload, another version, a link to what is gone.
import assert from "node:assert/strict";
import { mock } from "../browser.mjs";
import { atOnce, headline, ready, visiting } from "../visit.mjs";

export const LINK = [
  {
    name: "a lost connection is told, and resumes by itself",
    needs: "mock",
    run: visiting({}, async (page, { base }) => {
      await page.waitForTimeout(2_500);
      await mock(base, { disconnect: 6_000 });
      await page.locator(".banner-lost").waitFor({ timeout: 4_000 });
      assert.match(await headline(page), /^No word from Forebay since/);
      await page.locator(".banner-back").waitFor({ timeout: 15_000 });
      assert.doesNotMatch(await headline(page), /^No word/);
    }),
  },
  {
    name: "a link that names what is not there is told, and the plant shows all the same",
    run: visiting({ until: atOnce, path: "/#/?sort=-pressure_of_nothing" }, async (page) => {
      await page.getByText("This view could not be shown.").waitFor({ timeout: 30_000 });
      await ready(page);
      assert.equal(await page.evaluate(() => location.hash), "#/");
    }),
  },
  {
    name: "a reload of the pipeline shows by itself, without a word of a lost connection",
    needs: "mock",
    run: visiting({}, async (page, { base }) => {
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
    }),
  },
  {
    name: "what Forebay has read late is on the chart once it is all there",
    needs: "mock",
    run: visiting({}, async (page, { base }) => {
      await page.locator('.line[data-phase="ready"] canvas').first().waitFor({ timeout: 5_000 });
      await page.waitForTimeout(2_500);
      const asked = page.waitForRequest((request) => /\/history\?.*field=temperature/.test(request.url()), { timeout: 5_000 });
      await mock(base, { caughtUp: true });
      await asked;
    }),
  },
  {
    name: "a page that is older than the Forebay that answers says so, and offers to load itself again",
    needs: "mock",
    run: visiting({}, async (page, { base }) => {
      await mock(base, { version: "0.5.0" });
      await page.getByText("Forebay is now 0.5.0.").waitFor({ timeout: 8_000 });
      await page.getByRole("button", { name: "Load the page again" }).click();
      await ready(page);
      assert.equal(await page.getByText("Forebay is now").count(), 0);
    }),
  },
  {
    name: "a Forebay that is killed and started again is back on an open page, and the history has no gap",
    needs: "restart",
    run: visiting({}, async (page, { base, restart }) => {
      const answered = [];
      page.on("response", async (response) => {
        if (/\/history\?.*field=temperature/.test(response.url()) && response.ok()) answered.push(await response.json().catch(() => null));
      });
      const history = async () => (await (await fetch(`${base}/api/v1/history?source=iot&field=temperature&range=15m`)).json());
      /** Seconds from `from` on in which there is nothing; the last ones are not over yet. */
      const missing = (answer, from) => {
        const { start, step, series: [all] } = answer;
        const last = start + step * all.mean.length - 3_000;
        if (last < killed + 2_500) return ["of before the restart"];
        return all.mean.flatMap((value, index) => (value === null && start + index * step >= from && start + index * step < last ? [new Date(start + index * step).toISOString()] : []));
      };
      await page.locator('[data-testid="device-row"]').nth(2).waitFor();
      await page.waitForTimeout(3_000);
      const { start, step, series } = await history();
      const first = start + step * (series[0].mean.findIndex((value) => value !== null) + 1);
      const killed = Date.now();
      restart.say("kill");
      await page.locator(".banner-lost").waitFor({ timeout: 20_000 });
      // Devices go on meanwhile: what they send now must be there afterwards.
      await page.waitForTimeout(6_000);
      restart.say("start");
      await page.locator(".banner-back").waitFor({ timeout: 60_000 });
      const end = Date.now() + 20_000;
      const gap = async (of) => {
        let found = ["not asked"];
        while (found.length > 0 && Date.now() < end) {
          found = missing(await of(), first);
          if (found.length > 0) await page.waitForTimeout(500);
        }
        return found;
      };
      assert.deepEqual(await gap(history), [], "the history has a gap");
      assert.deepEqual(await gap(() => answered.at(-1)), [], "what the page was given has a gap");
      assert.ok((Date.now() - first) / step > 8, "nothing was compared");
    }),
  },
];
