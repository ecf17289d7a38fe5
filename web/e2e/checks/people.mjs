// Who may do what: tokens, roles, and what asks before it is done.
import assert from "node:assert/strict";
import { mock } from "../browser.mjs";
import { accessible, atOnce, fits, ready, signIn, stopAndStart, visit, visiting } from "../visit.mjs";

export const PEOPLE = [
  {
    name: "replay and drop ask first, and then do it",
    needs: "mock",
    run: visiting({}, async (page) => {
      const records = page.locator(".record");
      await records.first().waitFor();
      assert.equal(await records.count(), 5);
      await page.locator(".record input").first().check();
      await page.getByRole("button", { name: "Drop 1 record" }).click();
      await page.getByRole("button", { name: "Cancel" }).click();
      assert.equal(await records.count(), 5);
      await page.getByRole("button", { name: "Replay 1 record" }).click();
      await page.getByRole("button", { name: "Replay", exact: true }).click();
      await page.waitForFunction(() => document.querySelectorAll(".record").length === 4);
    }),
  },
  {
    name: "who must sign in is asked for a token, and a viewer is offered nothing that changes",
    needs: "mock",
    run: visiting({ until: atOnce, wish: { role: "viewer" } }, async (page) => {
      await page.getByLabel("Token").fill("wrong");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("this token is not known").waitFor();
      await accessible(page);
      await page.getByLabel("Token").fill("mock");
      await page.getByRole("button", { name: "Sign in" }).click();
      await ready(page);
      await page.locator(".record").first().waitFor();
      assert.equal(await page.locator(".topbar-compact").count(), 0, "the short line stands beside the long one");
      await page.evaluate(() => scrollTo(0, 900));
      await page.locator(".topbar-compact").waitFor();
      await page.evaluate(() => scrollTo(0, 0));
      await page.locator(".topbar-compact").waitFor({ state: "detached" });
      assert.equal(await page.getByRole("button", { name: /^(Replay|Drop|Stop)/ }).count(), 0);
      await page.getByText("To replay needs the role operator, to drop admin.").waitFor();
      assert.match(await page.getByTestId("who").innerText(), /ana viewer/);
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("Token").waitFor();
      assert.equal(await page.getByTestId("who").count(), 0);
    }),
  },
  {
    name: "an operator may replay and not drop, and a session that ends leads back to the form and asks no more",
    needs: "mock",
    run: visiting({ until: atOnce, wish: { role: "operator" }, width: 360, height: 780 }, async (page, { base }) => {
      await signIn(page, "mock");
      await page.locator(".record").first().waitFor();
      assert.ok((await page.getByRole("button", { name: /^Replay/ }).count()) > 0);
      assert.equal(await page.getByRole("button", { name: /^Drop/ }).count(), 0);
      await stopAndStart(page, "lake");
      await fits(page, "what an operator sees");
      await mock(base, { revoke: true });
      await page.getByText("Your session has ended.").waitFor();
      await page.waitForTimeout(500);
      let asked = 0;
      page.on("request", () => (asked += 1));
      // Longer than the longest pause between two attempts.
      await page.waitForTimeout(5_500);
      assert.equal(asked, 0, "it goes on asking");
      await page.getByLabel("Token").fill("mock");
      await page.getByRole("button", { name: "Sign in" }).click();
      await ready(page);
    }),
  },
  {
    name: "a real server signs in and out, shows what each role may do, and takes a change from its own page",
    needs: "tokens",
    run: (run) => visit(run, { until: atOnce }, async (page, { base, context }) => {
      const { viewer, operator } = run;
      await page.getByLabel("Token").fill(`fb_${"A".repeat(43)}`);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("this token is not known").waitFor();
      await signIn(page, viewer);
      assert.match(await page.getByTestId("who").innerText(), /viewer/);
      assert.equal(await page.getByRole("button", { name: /^(Replay|Drop|Stop|Start)/ }).count(), 0);
      const cookies = await context.cookies();
      assert.deepEqual(cookies.map((one) => [one.httpOnly, one.sameSite, one.secure]), [[true, "Strict", base.startsWith("https:")]]);
      assert.equal(await page.evaluate(() => document.cookie), "");
      // Another tab signs out: the stream of this one ends with the session.
      const other = await context.newPage();
      await other.goto(base);
      await ready(other);
      await other.getByRole("button", { name: "Sign out" }).click();
      await other.getByLabel("Token").waitFor();
      await page.getByText("Your session has ended.").waitFor();
      // A tab that lies behind another one draws nothing.
      await other.close();
      await page.bringToFront();
      await signIn(page, operator);
      await page.getByTestId("who").getByText("operator").first().waitFor();
      await stopAndStart(page, "lake");
    }),
  },
];
