// The page in a real browser: `node e2e/run.mjs [BASE] [NAME…]`. Without a base it starts the mock by itself.
//
// Each check is named by the promise it keeps. Those that need a state only the mock can make (`needs: "mock"`) are
// skipped, and said to be, against another server; so are those that sign in (`needs: "tokens"`), unless FOREBAY_TOKENS
// names a viewer's and an operator's token with a comma between them; so is what needs a fleet of vehicles with faults
// (`needs: "vehicles"`), unless FOREBAY_VEHICLES says that there is one; and the one in which the server is killed, unless
// FOREBAY_RESTART names a folder: whoever runs the checks does there what a file `kill`, and then `start`, asks for. A run
// in which nothing was checked fails.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";
import { CHECKS } from "./checks.mjs";

// Below the ports that the system gives to outgoing connections.
const PORT = 12_000 + (process.pid % 20_000);
const [given, ...only] = process.argv.slice(2);
let child = null;
let base = given && given !== "mock" ? given.replace(/\/$/, "") : null;
if (!base) {
  child = spawn(process.execPath, [fileURLToPath(new URL("../mock/serve.mjs", import.meta.url)), "--port", String(PORT)], { stdio: ["ignore", "pipe", "inherit"] });
  child.once("exit", (code, signal) => console.log(`the mock has ended (${signal ?? `exit code ${code}`})`));
  await once(child.stdout, "data");
  base = `http://127.0.0.1:${PORT}`;
}

const folder = process.env.FOREBAY_RESTART;
const restart = folder ? { say: (word) => writeFileSync(join(folder, word), "") } : null;

const browser = await launch();
let passed = 0;
let failed = 0;
const again = [];
for (const check of CHECKS) {
  if (only.length > 0 && !only.some((part) => check.name.includes(part))) continue;
  if (check.needs === "mock" && !child) {
    console.log(`skip  ${check.name} (needs the mock)`);
    continue;
  }
  const [viewer, operator] = (process.env.FOREBAY_TOKENS ?? "").split(",");
  if ((check.needs === "tokens") !== Boolean(operator)) {
    if (check.needs === "tokens") console.log(`skip  ${check.name} (needs FOREBAY_TOKENS)`);
    continue;
  }
  if ((check.needs === "vehicles") !== Boolean(process.env.FOREBAY_VEHICLES)) {
    if (check.needs === "vehicles") console.log(`skip  ${check.name} (needs FOREBAY_VEHICLES)`);
    continue;
  }
  if ((check.needs === "restart") !== Boolean(restart)) {
    if (check.needs === "restart") console.log(`skip  ${check.name} (needs FOREBAY_RESTART)`);
    continue;
  }
  const started = Date.now();
  const run = () => check.run({ browser, base, isMock: child !== null, viewer, operator, restart });
  try {
    // A machine that is busy with other tests may be late once: what fails twice is broken.
    const said = await run().catch((error) => {
      again.push(check.name);
      console.log(`again ${check.name}: ${String(error).split("\n")[0]}`);
      return run();
    });
    passed += 1;
    console.log(`pass  ${check.name} (${((Date.now() - started) / 1000).toFixed(1)} s)${said ? `: ${said}` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${check.name}\n      ${String(error?.stack ?? error).split("\n").slice(0, 12).join("\n      ")}`);
  }
}
await browser.close();
child?.removeAllListeners("exit");
child?.kill();
console.log(`${passed} passed, ${failed} failed${again.length > 0 ? `, ${again.length} tried twice` : ""}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
