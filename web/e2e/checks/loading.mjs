// What a page shows while what it shows is on its way.
import assert from "node:assert/strict";
import { accessible, atOnce, ready, visit } from "../visit.mjs";

/** Holds back the answers of one path until it is let go. */
function held(page, path) {
  let go;
  const gone = new Promise((resolve) => (go = resolve));
  return page.route(path, async (route) => {
    await gone;
    await route.continue().catch(() => undefined);
  }).then(() => go);
}

/** The names of what is on its way. */
const waiting = (page) => page.getByRole("progressbar").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));

const none = (page) => page.waitForFunction(() => document.querySelector(".skeleton") === null, null, { timeout: 10_000 });

export const LOADING = [
  {
    name: "until the first answers the page shows the places of what comes, by their names, and not a moment longer",
    async run(run) {
      let schema;
      let history;
      const prepare = async (page) => {
        schema = await held(page, /\/api\/v1\/schema/);
        history = await held(page, /\/api\/v1\/history/);
      };
      await visit(run, { until: atOnce, prepare }, async (page) => {
        await page.locator("main [aria-busy=true] .skeleton").first().waitFor({ timeout: 5_000 });
        assert.deepEqual(await waiting(page), ["Loading measurements", "Loading measurements", "Loading devices"]);
        assert.equal(await page.locator(".skeleton").count(), 3, "one without a name");
        assert.equal(await page.locator('[data-testid="device-row"]').count(), 0);
        await accessible(page);

        schema();
        await ready(page);
        await page.locator(".line .skeleton").first().waitFor({ timeout: 5_000 });
        // Everything else comes with the first second; one without a name would never pass for a history.
        await page.waitForFunction(() => [...document.querySelectorAll(".skeleton")].every((one) => /^Loading the history of ./.test(one.getAttribute("aria-label") ?? "")), null, { timeout: 10_000 });
        assert.ok((await waiting(page)).length > 0, "the history is not waited for");
        assert.equal(await page.locator("[aria-busy=true]").count(), 0);

        history();
        await page.locator('.line[data-phase="ready"] canvas').first().waitFor({ timeout: 5_000 });
        await none(page);
      });
    },
  },
  {
    name: "while nothing is known of the pipeline, its name is not called empty",
    async run(run) {
      const gates = [];
      const prepare = async (page) => {
        for (const path of [/\/api\/v1\/schema/, /\/api\/v1\/live/]) gates.push(await held(page, path));
      };
      await visit(run, { until: atOnce, prepare }, async (page) => {
        await page.locator("main .skeleton").first().waitFor({ timeout: 5_000 });
        assert.ok(!(await page.locator("body").innerText()).includes("empty name"));
        gates.forEach((open) => open());
        await ready(page);
        assert.ok((await page.locator(".pipeline").innerText()).length > 0);
      });
    },
  },
];
