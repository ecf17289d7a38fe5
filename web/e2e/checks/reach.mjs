// For everybody and everywhere: screen readers, the keyboard, fingers, a phone, dark and light.
import assert from "node:assert/strict";
import { accessible, atOnce, fits, ready, says, visit, visiting } from "../visit.mjs";

/** The boxes of each row: its name, what is told of it, and its other cells. Runs in the browser. */
const boxesOf = (rows) =>
  rows.map((row) =>
    [...row.querySelectorAll(".col-name bdi, .tag, td")].map((one) => {
      const { left, top, right, bottom } = one.getBoundingClientRect();
      return { words: one.textContent, isNamed: !one.matches("td"), isCut: one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0, left, top, right, bottom };
    }),
  );

/** Pairs of boxes that share more than a hair, and boxes whose words are cut. */
const overlaps = (boxes) => [
  ...boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1).map((b) => `${a.words} / ${b.words}`)),
  ...boxes.filter((one) => one.isNamed && one.isCut).map((one) => `${one.words} is cut`),
];

export const REACH = [
  {
    name: "no serious accessibility finding, light and dark, plant, device and SQL",
    async run(run) {
      for (const dark of [false, true]) {
        await visit(run, { dark, reduced: true }, async (page) => {
          await page.waitForTimeout(500);
          await accessible(page);
          await page.locator('[data-testid="device-row"] .text-button').first().click();
          await page.locator("dialog.drawer .fields").waitFor();
          await accessible(page);
        });
        const until = (page) => page.locator(".editor").waitFor();
        await visit(run, { dark, path: "/#/sql", reduced: true, until }, async (page) => {
          await page.waitForTimeout(500);
          await accessible(page);
        });
      }
    },
  },
  {
    name: "no serious accessibility finding while alerting, failing, empty and with a thousand devices",
    needs: "mock",
    async run(run) {
      for (const mode of ["alerting", "failing", "empty", "thousand"]) {
        for (const dark of [false, true]) {
          const wish = mode === "alerting" ? { mode: "plant", overheat: "device_2" } : {};
          await visit(run, { mode, wish, dark, reduced: true, until: atOnce }, async (page) => {
            if (mode === "alerting") await says(page, "device_2 overheats");
            await page.waitForTimeout(1_500);
            await accessible(page);
          });
        }
      }
    },
  },
  {
    name: "the keyboard alone reaches help, search, ranges, a device and SQL",
    run: visiting({}, async (page) => {
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
    }),
  },
  {
    name: "fits a phone of 360 pixels, light and dark, every view",
    async run(run) {
      const answered = (page) => page.locator("#answer").waitFor({ timeout: 12_000 });
      const views = { "/": ready, "/#/sql?q=SELECT+device_id%2C+avg(temperature)+AS+t+FROM+iot+GROUP+BY+device_id": answered };
      for (const dark of [false, true]) {
        for (const [path, until] of Object.entries(views)) await visit(run, { width: 360, height: 780, dark, path, until }, (page) => fits(page, path));
      }
    },
  },
  {
    name: "a device's name, its alert and its clock stand apart and whole, on a phone, at 900 and at 1400 pixels",
    needs: "mock",
    run: visiting({ wish: { clocks: true, overheat: "device_2" } }, async (page) => {
      await says(page, "device_2 overheats");
      await page.locator('tr[data-severity="critical"] .tag-critical').waitFor();
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        for (const width of [360, 900, 1400]) {
          await page.setViewportSize({ width, height: 1000 });
          const rows = await page.locator('[data-testid="device-row"]').evaluateAll(boxesOf);
          const named = rows.map((row) => row.filter(({ isNamed }) => isNamed).map(({ words }) => words.replace(/\s/g, " ")));
          assert.deepEqual(named, [["device_1", "clock 40 s behind"], ["device_2", "critical", "clock 2 h ahead"], ["device_3"]]);
          for (const row of rows) assert.deepEqual(overlaps(row), [], `at ${width} px`);
          await fits(page, `${width} px`);
        }
      }
    }),
  },
  {
    name: "the theme is set before the first paint, follows the system, and yields to a choice",
    run: visiting({ dark: true }, async (page) => {
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
    }),
  },
  {
    name: "fingers find whatever can be touched: nothing is less than 36 px tall on a phone",
    run: visiting({ width: 390, height: 844, touch: true }, async (page, { base }) => {
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
    }),
  },
  {
    name: "the chosen theme stays, and nothing moves for who wants no motion",
    run: visiting({ reduced: true }, async (page) => {
      await page.getByRole("button", { name: "Dark colours" }).click();
      await page.reload();
      await ready(page);
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
      assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    }),
  },
];
