// The SQL console.
import assert from "node:assert/strict";
import { accessible, atOnce, visiting } from "../visit.mjs";

const AVERAGES = "SELECT device_id, avg(temperature) AS avg_temp FROM iot GROUP BY device_id";

export const SQL = [
  {
    name: "SQL runs from a link, shows chart and table, tells an error with code and hint",
    run: visiting({ until: atOnce, path: `/#/sql?q=${encodeURIComponent(AVERAGES)}` }, async (page) => {
      await page.locator("#answer table.table tbody tr").first().waitFor({ timeout: 12_000 });
      assert.equal(await page.locator(".editor").inputValue(), AVERAGES);
      const rows = await page.locator("#answer table.table tbody tr").count();
      const bars = page.locator("#answer .result-bars table.bars tbody tr");
      assert.ok(rows > 0 && (await bars.count()) >= Math.min(rows, 3), `${await bars.count()} bars of ${rows} rows`);
      await page.getByRole("button", { name: "Table", exact: true }).click();
      await page.locator("#answer .result-bars").waitFor({ state: "detached" });
      assert.match(page.url(), /as=table/);
      await page.locator(".editor").fill("DROP TABLE iot");
      await page.locator(".editor").press("Control+Enter");
      await page.locator(".sql-wrong .failure code").waitFor({ timeout: 12_000 });
      assert.match(await page.locator(".sql-wrong .failure").innerText(), /FB-\d{4}/);
    }),
  },
  {
    name: "an error of SQL points at its line and column, the keyboard goes there, and the link shows it again",
    needs: "mock",
    run: visiting({ until: atOnce, path: "/#/sql" }, async (page) => {
      const editor = page.locator(".editor");
      await editor.waitFor();
      await editor.focus();
      await page.keyboard.type("SELECT device_id\nFROM laek");
      await page.keyboard.press("Control+Enter");
      await page.locator(".sql-wrong pre").waitFor();
      assert.equal(await page.locator(".sql-wrong pre").evaluate((one) => one.textContent), "2 │ FROM laek\n         ^");
      assert.equal(await editor.getAttribute("aria-invalid"), "true");
      await accessible(page);
      await page.keyboard.press("Tab");
      assert.match(await page.evaluate(() => document.activeElement?.textContent ?? ""), /^Go to line 2, column 6/);
      await page.keyboard.press("Enter");
      assert.deepEqual(await page.evaluate(() => [document.activeElement?.className, document.activeElement?.selectionStart]), ["editor", 22]);
      await page.keyboard.press("Control+Shift+End");
      await page.keyboard.type("lake LIMIT 3");
      assert.equal(await page.locator(".sql-wrong").count(), 0, "an error outlived its text");
      await page.keyboard.press("Control+Enter");
      await page.locator("#answer tbody tr").nth(2).waitFor();
      assert.match(await page.locator("[role=status]", { hasText: "3 rows in" }).first().innerText(), /3 rows in/);
      const link = page.url();
      await page.goto("about:blank");
      await page.goto(link);
      await page.locator("#answer tbody tr").nth(2).waitFor();
      assert.equal(await page.locator(".editor").inputValue(), "SELECT device_id\nFROM lake LIMIT 3");
    }),
  },
];
