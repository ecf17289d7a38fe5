// Quality: how much was as expected, over time and by rule; who fails most, and where those records are.
import assert from "node:assert/strict";
import { mock } from "../browser.mjs";
import { accessible, atOnce, fits, visit, visiting } from "../visit.mjs";

const PATH = "/#/quality";
const rule = (page, name) => page.locator(`[data-testid="rule"][data-rule="${name}"]`);
const drawn = (page) => page.locator(".quality-line").first().waitFor({ timeout: 12_000 });
const settled = (page) => page.locator("#quality-worst").waitFor({ timeout: 12_000 });
const words = async (locator) => (await locator.innerText()).replace(/\s+/g, " ").trim();
const known = async (base, query = "") => (await (await fetch(`${base}/api/v1/quality?limit=10${query}`)).json()).sources;
/** The rules of the page with what failed each, as numbers. */
const counts = (page) => page.locator('[data-testid="rule"]').evaluateAll((all) => Object.fromEntries(all.map((one) => [one.dataset.rule, Number(one.querySelector("td").firstChild.textContent.replaceAll(",", "").replace("–", "0"))])));

/** Until both are the same: a minute may end between two questions. */
async function same(page, ask, show) {
  let wanted;
  let shown;
  for (let i = 0; i < 30; i += 1) {
    [wanted, shown] = [await ask(), await show()];
    if (JSON.stringify(wanted) === JSON.stringify(shown)) return shown;
    await page.waitForTimeout(500);
  }
  assert.deepEqual(shown, wanted);
}

export const QUALITY = [
  {
    name: "quality shows the share that was as expected, a line for each rule that failed, and what each rule does and costs, as the server counts them",
    needs: "mock",
    run: visiting({ path: PATH, until: drawn }, async (page, { base }) => {
      const ask = async () => Object.fromEntries((await known(base, "&query=lake&source=iot"))[0].rules.map(({ name, failed }) => [name, failed]));
      const shown = await same(page, ask, () => counts(page));
      const failing = Object.entries(shown).filter(([, failed]) => failed > 0).map(([name]) => name);
      assert.deepEqual(await page.locator(".quality-line").evaluateAll((all) => all.map((one) => one.dataset.rule)), [...failing, ""], "a line each, and one for what could not be read");
      assert.match(await words(page.getByTestId("quality")), /^9\d\.\d% as expected [\d,]+ as expected [\d,]+ failed a rule \d\.\d% [\d,]+ could not be read/);
      assert.match(await words(rule(page, "temperature_range")), /^temperature_range set aside [\d,]+ 0\.\d% 21 ns$/);
      assert.match(await words(rule(page, "device_id_required")), /stops the query – 3\.2 ns$/, "what is never counted is not 0");
      assert.match(await words(rule(page, "timestamp_range")), /in the file no more/);
      assert.match(await page.locator(".quality-lines").getAttribute("aria-label"), /^Share of records that failed, over time: temperature_range [\d,]+/);
      // Ten minutes without a record are a gap in every line.
      assert.ok((await page.locator('.quality-line[data-rule="temperature_range"] path').count()) >= 2, "the line goes on where nothing came");
      await page.locator(".quality-lines").hover({ position: { x: 300, y: 90 } });
      assert.match(await words(page.locator(".quality-told")), /^\d\d:\d\d to \d\d:\d\d, [\d,]+ records .*temperature_range \d+ /);
      await page.getByRole("button", { name: "by hours" }).click();
      await page.getByText(/^Last two weeks, judged by lake/).waitFor();
      assert.match(page.url(), /steps=hours/);
      const weeks = async () => Object.fromEntries((await known(base, `&query=lake&source=iot&from=${Date.now() - 336 * 3_600_000}`))[0].rules.map(({ name, failed }) => [name, failed]));
      await same(page, weeks, () => counts(page));
      // A query that judged the same source stands beside it.
      await page.getByLabel("What is judged").selectOption({ label: "iot, by overheat" });
      await page.getByText(/judged by overheat as records of iot/).waitFor();
    }),
  },
  {
    name: "a rule is looked at by a click: its line, its devices, its records or the way to its rows; the link says so, and a press more takes it back",
    needs: "mock",
    run: visiting({}, async (page, { base }) => {
      await page.keyboard.press("q");
      await drawn(page);
      await rule(page, "temperature_range").getByRole("button").click();
      await page.waitForFunction(() => location.hash.includes("expectation=temperature_range"));
      const back = await page.locator(".quality-line").evaluateAll((all) => all.filter((one) => !one.classList.contains("quality-back")).map((one) => one.dataset.rule));
      assert.deepEqual(back, ["temperature_range"]);
      const devices = async () => page.locator('[data-testid="worst-device"]').evaluateAll((all) => all.map((one) => [one.querySelector("bdi").textContent, Number(one.querySelector(".worst-number").textContent.replaceAll(",", ""))]));
      const ask = async () => (await known(base, "&query=lake&source=iot&rule=temperature_range"))[0].devices.map(({ key, failed }) => [key, failed]);
      assert.equal((await same(page, ask, devices))[0][0], "device_2");
      await page.locator("#quality-records .record").first().waitFor();
      const asides = await page.locator("#quality-records .record b").allInnerTexts();
      assert.deepEqual(asides, ["expectation `temperature_range` failed: `temperature` is 1084.0; expected from -40 to 150"]);
      await page.reload();
      await drawn(page);
      assert.equal(await rule(page, "temperature_range").getByRole("button").getAttribute("aria-pressed"), "true");
      await rule(page, "device_id_pattern").getByRole("button").click();
      await page.getByText("nothing of them is kept").waitFor();
      await rule(page, "device_id_required").getByRole("button").click();
      await page.getByText("A row that fails this rule stops the query").waitFor();
      await page.getByText("Nobody's record failed device_id_required in the last three hours.").waitFor();
      await rule(page, "humidity_range").getByRole("button").click();
      await page.getByRole("button", { name: "Show them in SQL" }).click();
      await page.locator("textarea").waitFor();
      assert.match(await page.locator("textarea").inputValue(), /array_contains\(_failed_expectations, 'humidity_range'\)/);
      await page.goBack();
      await drawn(page);
      await rule(page, "humidity_range").getByRole("button").click();
      await page.waitForFunction(() => !location.hash.includes("expectation=") && document.querySelectorAll(".quality-back").length === 0);
      await page.locator('[data-testid="worst-device"]', { hasText: "device_2" }).getByRole("button").click();
      await page.locator("dialog.drawer").getByText("device_2").first().waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "All in quarantine" }).click();
      await page.locator("#quarantine .record").first().waitFor();
    }),
  },
  {
    name: "that no source expects anything, nothing came, nothing failed and a server that does not answer are said in words, and what comes shows by itself",
    needs: "mock",
    async run(run) {
      await visit(run, { mode: "seed", path: PATH, until: atOnce }, async (page) => {
        await page.getByText("No source says yet what it expects.").waitFor();
        await accessible(page);
      });
      await visit(run, { path: PATH, until: settled, wish: { quality: { silent: true } } }, async (page, { base }) => {
        await page.getByText("Nothing has come yet that could be judged.").waitFor();
        await mock(base, { quality: { well: true } });
        await page.locator(".quality-share", { hasText: "100%" }).waitFor({ timeout: 12_000 });
        await page.getByText("Nobody's record failed a rule in the last three hours.").waitFor();
        assert.match(await words(page.getByTestId("quality")), /^100% as expected/);
        assert.equal(await page.locator(".quality-line").count(), 0);
        await mock(base, { quality: {}, calm: true });
        await drawn(page);
      });
      await visit(run, {}, async (page) => {
        let answers = false;
        await page.route("**/api/v1/quality?*", (route) => (answers ? route.continue() : route.fulfill({ status: 500, contentType: "application/problem+json", body: JSON.stringify({ detail: "the book of quality is closed", code: "FB-9999" }) })));
        await page.keyboard.press("q");
        await page.locator("#quality .failure").getByText("the book of quality is closed").waitFor({ timeout: 12_000 });
        answers = true;
        await page.getByRole("button", { name: "Try again" }).click();
        await drawn(page);
      });
    },
  },
  {
    name: "quality is for everybody: no serious finding light and dark, all of it within 360 px and within reach of fingers, whatever rules and devices are called",
    needs: "mock",
    async run(run) {
      for (const dark of [false, true]) {
        await visit(run, { path: `${PATH}?expectation=temperature_range`, until: drawn, dark, reduced: true }, (page) => accessible(page));
        for (const mode of ["plant", "odd"]) {
          await visit(run, { mode, path: PATH, until: drawn, dark, reduced: true, width: 360, height: 780, touch: true }, async (page) => {
            await page.locator("#quality-records .record").first().waitFor();
            await fits(page, "quality at 360 px");
            const low = await page.locator("main").locator("button, select").evaluateAll((all) => all.filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 36).map((one) => one.textContent));
            assert.deepEqual(low, [], "too low for fingers");
            const beyond = await page.locator("main *").evaluateAll((all) => all.filter((one) => one.checkVisibility() && !one.closest(".sr, .table-scroll") && one.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.outerHTML.slice(0, 80)));
            assert.deepEqual(beyond, [], "beyond the edge");
            assert.equal(await page.locator("main img").count(), 0, "a name became a picture");
            await accessible(page);
          });
        }
      }
    },
  },
  {
    name: "the quality of a real fleet's reports is what its queries counted, and what was set aside stands beside it",
    needs: "vehicles",
    run: visiting({ path: PATH, until: drawn }, async (page, { base }) => {
      // What has judged anything is shown first: a query without its PostgreSQL has not.
      const first = (await known(base)).find(({ total }) => total.rows > 0);
      const ask = async () => Object.fromEntries((await known(base, `&query=${encodeURIComponent(first.query)}&source=${first.source}`))[0].rules.map(({ name, failed }) => [name, failed]));
      const shown = await same(page, ask, () => counts(page));
      const [worst, failed] = Object.entries(shown).sort(([, a], [, b]) => b - a)[0];
      assert.ok(failed > 0 && first.unreadable > 0, JSON.stringify(shown));
      assert.equal(await page.locator('.quality-line[data-rule=""]').count(), 1);
      await rule(page, worst).getByRole("button").click();
      await page.locator("#quality-records .record b").first().waitFor();
      for (const why of await page.locator("#quality-records .record b").allInnerTexts()) assert.match(why, new RegExp(`expectation \`${worst}\` failed: `));
      const device = page.locator('[data-testid="worst-device"]').first();
      const key = await device.locator("bdi").innerText();
      assert.match(key, /^CAR-/);
      await device.getByRole("button").click();
      await page.locator("dialog.drawer").getByText(key).first().waitFor();
    }),
  },
];
