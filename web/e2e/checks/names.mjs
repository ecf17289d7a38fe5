// Names from outside: hostile ones and endless ones.
import assert from "node:assert/strict";
import { fits, visit, visiting } from "../visit.mjs";

export const NAMES = [
  {
    name: "hostile device names stay text and harm nothing",
    needs: "mock",
    run: visiting({ mode: "hostile" }, async (page) => {
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
      assert.ok(names.includes("(no device_id)"));
      assert.ok((await page.content()).length < 1_000_000, "a name of a megabyte is cut before it is drawn");
      await fits(page, "the plant");
    }),
  },
  {
    name: "names of 5,000 letters break where they stand: nothing is wider than its window, on a desk and on a phone",
    needs: "mock",
    async run(run) {
      const look = async (page, { base }, width) => {
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
      };
      for (const width of [1440, 360]) {
        await visit(run, { mode: "odd", wish: { overheat: "device_3" }, width, height: 5_000, reduced: true }, (page, more) => look(page, more, width));
      }
    },
  },
];
