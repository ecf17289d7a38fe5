// What is measured: charts, their steps and axes, tables that are not cut.
import assert from "node:assert/strict";
import { visit, visiting } from "../visit.mjs";

/** How many pixels of a panel's chart are drawn: of the words at its axis, and of its lines left of the middle. */
const inked = (panel) =>
  panel.locator("canvas").first().evaluate((canvas) => {
    const { width, height } = canvas;
    const count = (from, to) => canvas.getContext("2d").getImageData(Math.floor(from), 0, Math.floor(to - from), height).data.reduce((sum, part, i) => sum + (i % 4 === 3 && part > 60 ? 1 : 0), 0);
    return { axis: count(0, 34 * devicePixelRatio), lines: count(width * 0.25, width * 0.6) };
  });

export const CHARTS = [
  {
    name: "a chart says how wide its steps are, and with limits that they are the highest, on a desk and on a phone",
    needs: "mock",
    async run(run) {
      for (const width of [1440, 360]) {
        await visit(run, { width }, async (page) => {
          const words = (name) => page.locator(`.panel[aria-label="${name}"] .line-steps`);
          await words("Temperature").waitFor();
          assert.match(await words("Temperature").innerText(), /^highest of \d+ s steps$/);
          assert.match(await words("Humidity").innerText(), /^mean of \d+ s steps$/);
          assert.equal(await page.locator(".line-begin").count(), 0, "there is more than is shown");
        });
      }
    },
  },
  {
    name: "a plant that began minutes ago fills its charts also where six hours or a day are chosen, and they say so",
    needs: "mock",
    async run(run) {
      for (const range of ["6h", "24h"]) {
        await visit(run, { wish: { young: 12 * 60_000 }, path: `/#/?range=${range}` }, async (page) => {
          const panel = page.locator('.panel[aria-label="Temperature"]');
          await panel.locator(".line-begin").waitFor();
          assert.match(await panel.locator(".line-begin").innerText(), /^all there is, since \d\d:\d\d$/);
          await page.waitForTimeout(1_000);
          const { lines } = await inked(panel);
          assert.ok(lines > 300, `the left half of ${range} is empty (${lines} pixels)`);
        });
      }
    },
  },
  {
    name: "a file that names no panels gets a card for each field that has a value, and one line for the others",
    needs: "mock",
    run: visiting({ mode: "unnamed" }, async (page) => {
      await page.getByText("Without a value so far: nothing.").waitFor();
      const cards = await page.locator("#charts .panel").evaluateAll((all) => all.filter((card) => card.checkVisibility()).map((card) => card.getAttribute("aria-label")));
      assert.deepEqual(cards, ["Temperature", "Humidity"]);
    }),
  },
  {
    name: "no value in the table of a phone is cut, with few columns or many",
    needs: "mock",
    async run(run) {
      for (const mode of ["plant", "thousand"]) {
        await visit(run, { mode, width: 360, height: 780 }, async (page) => {
          const cut = await page.locator(".table-scroll").first().evaluate((table) => {
            const { right } = table.getBoundingClientRect();
            return [table.scrollWidth - table.clientWidth, ...[...table.querySelectorAll("td, th")].filter((cell) => cell.checkVisibility() && (cell.getBoundingClientRect().right > right || cell.scrollWidth > cell.clientWidth)).map((cell) => cell.innerText)];
          });
          assert.deepEqual(cut, [0]);
          assert.match(await page.locator('[data-testid="device-row"] .col-field').first().evaluate((cell) => getComputedStyle(cell, "::before").content), /temperature/);
        });
      }
    },
  },
  {
    name: "several sources have their charts each, also one without devices",
    needs: "mock",
    run: visiting({ mode: "two" }, async (page) => {
      await page.waitForFunction(() => document.querySelectorAll('.line[data-phase="ready"] canvas').length === 3);
      await page.getByLabel("Source").selectOption("mains");
      await page.waitForFunction(() => location.hash.includes("source=mains"));
      await page.getByRole("button", { name: "mains" }).first().click();
      await page.locator("dialog.drawer .line canvas").first().waitFor();
    }),
  },
  {
    name: "values without bounds are drawn on an axis with words; what was never sent has no axis at all",
    needs: "mock",
    run: visiting({ mode: "odd", width: 1440, height: 3_600 }, async (page) => {
      const panel = (name) => page.locator(`.panel[aria-label="${name}"]`);
      for (const name of ["Huge", "Apart", "Temperature"]) {
        await panel(name).locator(".uplot").waitFor();
        await page.waitForTimeout(1_500);
        const { axis, lines } = await inked(panel(name));
        assert.ok(axis > 60, `${name} has no words at its axis (${axis} pixels)`);
        assert.ok(lines > 300, `${name} has no line (${lines} pixels)`);
      }
      await panel("Nothing").getByText("No readings in the last 15 min").waitFor();
      assert.equal(await panel("Nothing").locator(".uplot").count(), 0);
      assert.ok((await panel("Nothing").boundingBox()).height < 120, "a chart of nothing is a line of text");
      await panel("Where they are").getByText("No device has told its place yet").waitFor();
      assert.ok((await panel("Where they are").boundingBox()).height < 120, "a map of nothing is a line of text");
      const titles = await page.locator(".panel h3").allInnerTexts();
      assert.ok(titles.includes("a.b") && titles.includes("A b"), `of two names one was changed: ${titles.slice(0, 6)}`);
    }),
  },
  {
    name: "each kind of panel that a file may choose is drawn: line, map, distribution, bars, gauge, SQL, table",
    needs: "mock",
    run: visiting({ mode: "thousand", width: 1440, height: 4_000 }, async (page) => {
      const panel = (chart) => page.locator(`.panel[data-chart="${chart}"]`);
      for (const chart of ["line", "map"]) {
        await panel(chart).first().locator("canvas").first().waitFor();
        await page.waitForTimeout(1_500);
        const { axis, lines } = await inked(panel(chart).first());
        assert.ok(axis + lines > 300, `nothing is drawn on the ${chart} (${axis + lines} pixels)`);
      }
      assert.match(await panel("map").locator("canvas").getAttribute("aria-label"), /^[\d,]+ devices on the map, \d+ with open alerts, [123] with the way of the last 15 minutes$/);
      await panel("distribution").locator("rect.bin").first().waitFor();
      assert.match(await panel("distribution").locator("svg").getAttribute("aria-label"), /^[\d,]+ devices; most, \d+, lie from [\d.]+ to [\d.]+\s°C$/);
      assert.ok((await panel("distribution").locator("line.limit-critical").count()) === 1, "its limit is not drawn");
      const bars = (chart) => panel(chart).locator("table.bars tbody tr");
      await bars("bar").first().waitFor();
      assert.match((await bars("bar").allInnerTexts()).join(" "), /\d+ devices/);
      await panel("gauge").locator('[role="meter"]').nth(5).waitFor();
      assert.equal(await panel("gauge").locator(".gauge-crit").count(), 6);
      await bars("sql").nth(7).waitFor();
      assert.equal(await bars("sql").count(), 8);
      assert.ok((await page.locator('[data-testid="device-row"]').count()) > 10);
    }),
  },
];
