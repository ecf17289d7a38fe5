// The page and its server: a connection that is lost, a reload, another version, a link to what is gone.
import assert from "node:assert/strict";
import { mock } from "../browser.mjs";
import { atOnce, headline, ready, visiting } from "../visit.mjs";

export const LINK = [
  {
    name: "a lost connection is told, resumes by itself, and leaves no gap in the history",
    needs: "mock",
    run: visiting({}, async (page, { base }) => {
      await page.waitForTimeout(2_500);
      await mock(base, { disconnect: 6_000 });
      await page.locator(".banner-lost").waitFor({ timeout: 4_000 });
      assert.match(await headline(page), /^No word from Forebay since/);
      await page.locator(".banner-back").waitFor({ timeout: 15_000 });
      assert.doesNotMatch(await headline(page), /^No word/);
      const history = await (await fetch(`${base}/api/v1/history?source=iot&field=temperature&range=15m&key=device_1`)).json();
      assert.ok(history.series[0].mean.every((value) => value !== null), "the history itself has a gap");
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
];
