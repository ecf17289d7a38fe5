// Vehicles on the map: who is where, who is singled out, by click, by key, by finger, and by an alert.
import assert from "node:assert/strict";
import { accessible, fits, visit, visiting } from "../visit.mjs";

const map = (page) => page.locator('[data-chart="map"] canvas');
const card = (page) => page.getByTestId("picked");
/** The map has its vehicles and their ways. */
const drawn = (page) => page.waitForFunction(() => /^12 devices on the map, 4 with open alerts, 12 with the way/.test(document.querySelector('[data-chart="map"] canvas')?.getAttribute("aria-label") ?? ""), null, { timeout: 20_000 });
const pickedIn = (page) => new URLSearchParams(new URL(page.url()).hash.split("?")[1] ?? "").get("pick");
const isPicked = (page, key) => page.waitForFunction((name) => document.querySelector('[data-testid="picked"] b')?.textContent === name, key, { timeout: 8_000 });

/** Clicks on a grid of the canvas: whom each place singles out, and where. Runs in the browser. */
const places = (canvas) => {
  const box = canvas.getBoundingClientRect();
  const found = {};
  for (let y = 6; y < box.height; y += 6) {
    for (let x = 6; x < box.width; x += 6) {
      canvas.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: box.left + x, clientY: box.top + y }));
      const key = new URLSearchParams(location.hash.split("?")[1] ?? "").get("pick");
      if (key !== null) (found[key] ??= []).push({ x, y });
    }
  }
  return found;
};

export const MAP = [
  {
    name: "a vehicle is singled out by a click on the map: its state and its alerts stand there, its alerts are marked, and elsewhere is nobody",
    needs: "mock",
    run: visiting({ mode: "vehicles", until: drawn, height: 1_200 }, async (page) => {
      await map(page).scrollIntoViewIfNeeded();
      const found = await map(page).evaluate(places);
      assert.ok(Object.keys(found).length >= 10, `only ${Object.keys(found)} can be reached`);
      const [{ x, y }] = found["CAR-106"].slice(Math.floor(found["CAR-106"].length / 2));
      await map(page).click({ position: { x, y } });
      await isPicked(page, "CAR-106");
      assert.equal(pickedIn(page), "CAR-106");
      const words = (await card(page).innerText()).replace(/\s+/g, " ");
      assert.match(words, /^CAR-106 live, seen .* speed_kmph [\d.]+ km\/h .* engine_temp_c 1[12]\d\.\d °C .*CAR-106's engine has [\d.]+ °C since \d\d:\d\d/);
      assert.deepEqual(await page.locator("#alerts .alert-picked").evaluateAll((all) => all.map((one) => one.dataset.key)), ["CAR-106"]);
      // What it says moves on.
      const before = await card(page).locator(".picked-values").innerText();
      await page.waitForFunction((was) => document.querySelector(".picked-values").innerText !== was, before, { timeout: 10_000 });
      await card(page).getByRole("button", { name: "Details" }).click();
      await page.locator("dialog.drawer", { hasText: "CAR-106" }).waitFor();
      await page.keyboard.press("Escape");
      await page.locator("dialog.drawer").waitFor({ state: "detached" });
      await isPicked(page, "CAR-106");
      await card(page).getByRole("button", { name: "Single out nobody" }).click();
      await card(page).waitFor({ state: "detached" });
      assert.equal(await page.locator(".alert-picked").count(), 0);
    }),
  },
  {
    name: "an alert shows its vehicle on the map, a vehicle its alerts, and the link of it opens so",
    needs: "mock",
    run: visiting({ mode: "vehicles", until: drawn, height: 1_200 }, async (page) => {
      const pixels = () => map(page).evaluate((canvas) => canvas.toDataURL());
      const plain = await pixels();
      await page.getByRole("button", { name: "CAR-104 on the map" }).click();
      await isPicked(page, "CAR-104");
      await page.waitForFunction((was) => document.querySelector('[data-chart="map"] canvas').toDataURL() !== was, plain);
      assert.ok(await map(page).evaluate((canvas) => { const { top, bottom } = canvas.getBoundingClientRect(); return top < innerHeight && bottom > 0; }), "the map is out of sight");
      await page.reload();
      await drawn(page);
      await isPicked(page, "CAR-104");
      await card(page).getByRole("button", { name: /drives/ }).click();
      await page.locator("dialog.drawer .story").waitFor();
      await page.locator("dialog.drawer").getByRole("button", { name: "CAR-104", exact: true }).click();
      await page.locator("dialog.drawer .fields").waitFor();
    }),
  },
  {
    name: "arrow keys go from vehicle to vehicle, worst first; Enter opens it, Escape leaves it, and each is told to who hears it",
    needs: "mock",
    run: visiting({ mode: "vehicles", until: drawn, height: 1_200 }, async (page) => {
      await map(page).focus();
      await page.keyboard.press("ArrowRight");
      await isPicked(page, "CAR-106");
      assert.equal(await page.locator('[data-chart="map"] [role="status"]').innerText(), "CAR-106, live, 1 open alert, critical");
      const seen = new Set(["CAR-106"]);
      for (const key of ["ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowRight", "ArrowUp"]) {
        await page.keyboard.press(key);
        seen.add(await card(page).locator("b").innerText());
      }
      assert.ok(seen.size >= 4, `it only came to ${[...seen].join(", ")}`);
      const last = await card(page).locator("b").innerText();
      await page.keyboard.press("Enter");
      await page.locator("dialog.drawer", { hasText: last }).waitFor();
      await page.keyboard.press("Escape");
      await page.locator("dialog.drawer").waitFor({ state: "detached" });
      assert.equal(await page.evaluate(() => document.activeElement?.tagName), "CANVAS", "the focus is lost");
      await page.keyboard.press("Escape");
      await card(page).waitFor({ state: "detached" });
    }),
  },
  {
    name: "a fleet of vehicles is for everybody: no serious finding light and dark, all of it within 360 px and within reach of fingers",
    needs: "mock",
    async run(run) {
      for (const dark of [false, true]) {
        await visit(run, { mode: "vehicles", path: "/#/?pick=CAR-104", until: drawn, dark, reduced: true }, async (page) => {
          await isPicked(page, "CAR-104");
          await accessible(page);
        });
        await visit(run, { mode: "vehicles", until: drawn, dark, reduced: true, width: 360, height: 780, touch: true }, async (page) => {
          await map(page).scrollIntoViewIfNeeded();
          const [spot] = (await map(page).evaluate(places))["CAR-106"];
          await map(page).tap({ position: spot });
          await isPicked(page, "CAR-106");
          await fits(page, "the fleet at 360 px");
          const beyond = await page.locator("main *").evaluateAll((all) => all.filter((one) => one.checkVisibility() && !one.closest(".sr, .table-scroll, .uplot, .line") && one.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.outerHTML.slice(0, 80)));
          assert.deepEqual(beyond, [], "beyond the edge");
          const low = await page.locator("#alerts, .map").locator("button").evaluateAll((all) => all.filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 36).map((one) => one.textContent));
          assert.deepEqual(low, [], "too low for fingers");
        });
      }
    },
  },
];
