// Queries that collect and archive.
import assert from "node:assert/strict";
import { accessible, fits, visiting } from "../visit.mjs";

export const CYCLES = [
  {
    name: "a cycle tells what it does, and each archive can be downloaded by its whole name",
    needs: "mock",
    run: visiting({ wish: { cycles: true } }, async (page) => {
      const card = page.locator(".cycle");
      await card.waitFor();
      assert.match(await card.innerText(), /cycle 4 collects since .*, archived in \d+ s/);
      const links = card.locator("tbody a");
      assert.equal(await links.count(), 3);
      assert.equal(await links.first().getAttribute("href"), "/api/v1/cycles/collect/archives/backup%2Fcollect_20261122_120003.csv");
      assert.equal(await links.first().getAttribute("download"), "collect_20261122_120003.csv");
      await accessible(page);
      await fits(page, "the page with archives");
    }),
  },
];
