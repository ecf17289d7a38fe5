// What the checks share: a page that is opened for a check and closed after it, and what is asked of every page.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { mock, open } from "./browser.mjs";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The table has its devices. */
export const ready = (page) => page.locator('[data-testid="device-row"]').first().waitFor({ timeout: 8_000 });

/** For checks that wait by themselves. */
export const atOnce = () => Promise.resolve();

/**
 * A check on one page: `act(page, { base, isMock, browser, context })` once `until` holds. Afterwards nothing may have been
 * wrong with the page, and the mock is a plain plant again. `wish` is told to the mock first; the rest goes to the browser.
 */
export function visiting({ mode = "plant", wish, until = ready, ...options }, act) {
  return (run) => visit(run, { mode, wish, until, ...options }, act);
}

/** The same, for a check of several pages. */
export async function visit({ browser, base, isMock, restart }, { mode = "plant", wish, until = ready, ...options }, act) {
  if (isMock) await mock(base, { mode, calm: true, unbalanced: 0, role: null, ...wish });
  const { page, context, seen } = await open(browser, base, options);
  try {
    await until(page);
    const said = await act(page, { base, isMock, browser, context, restart });
    clean(seen);
    return said;
  } finally {
    await context.close();
    if (isMock) await mock(base, { mode: "plant", calm: true, unbalanced: 0, role: null });
  }
}

/** Nothing foreign, nothing against the policy, no error. */
export function clean(seen) {
  assert.deepEqual(seen.foreign, [], "requests to other hosts");
  assert.deepEqual(seen.policy, [], "violations of the content security policy");
  assert.deepEqual(seen.errors, [], "errors on the console");
}

/** The first line of the page. */
export const headline = (page) => page.locator("h1").first().innerText();

/** Waits until the first line is as this expression says. */
export const says = (page, words) => page.waitForFunction((source) => new RegExp(source).test(document.querySelector("h1")?.textContent ?? ""), words, { timeout: 15_000 });

/** No finding that axe calls serious; gives how many others there are. */
export async function accessible(page) {
  // Through the debugger's door: the page's own policy rightly allows no other script.
  await page.evaluate(axeSource);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const bad = found.violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  assert.deepEqual(bad.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target.join(" ")} ${node.any[0]?.message ?? ""}`).join(" | ")}`), []);
  return found.violations.length;
}

/** Nothing makes the page scroll sideways, and no dialog either. */
export async function fits(page, what) {
  const wide = await page.evaluate(() => Math.max(...[document.documentElement, ...document.querySelectorAll("dialog[open]")].map((one) => one.scrollWidth - one.clientWidth)));
  assert.ok(wide <= 0, `${what} is ${wide} px too wide`);
}

/** Gives the form a token. */
export async function signIn(page, token) {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await ready(page);
}

/**
 * Stops a query, or what else `kind` says, and starts it again. What one that is well offers is folded away; what stopped
 * is open.
 */
export async function stopAndStart(page, name, kind = "query", label = `query ${name}`) {
  const offered = async (word) => {
    const button = page.getByRole("button", { name: `${word} ${kind} ${name}` });
    for (let i = 0; i < 80 && !(await button.isVisible()); i += 1) {
      const folded = page.locator(`.query[aria-label="${label}"] details:not([open]) summary`);
      if ((await folded.count()) > 0) await folded.click({ timeout: 1_000 }).catch(() => undefined);
      else await page.waitForTimeout(250);
    }
    assert.ok(await button.isVisible(), `${word} is not offered`);
    return button;
  };
  for (const word of ["Stop", "Start"]) {
    await (await offered(word)).click();
    await page.getByRole("button", { name: `${word} ${kind}`, exact: true }).click();
  }
  await offered("Stop");
}
