// Quality: how much of what came was as its source expects, over time and by rule; who fails most, and where those records are. One
// query's judgement of one source at a time, because several judge the same records; which, stands in the address.
import { useState } from "preact/hooks";
import { get } from "../api/http";
import type { JudgedDevice, Quality, SourceQuality } from "../api/quality";
import { QualityChart } from "../charts/quality";
import { useSeen } from "../charts/seen";
import { count, many, share } from "../format/number";
import { label } from "../format/text";
import { moment, zone } from "../format/time";
import { Failure, Quiet, Section, Waiting } from "../parts/notes";
import { useAsked } from "../state/asked";
import { wide } from "../state/prefs";
import { begins, chosen, gathered, lines, PERIOD, qualityOf, stepFor } from "../state/quality";
import { serverNow } from "../state/session";
import { ruleName } from "../state/status";
import * as store from "../state/store";
import type { Steps } from "../state/url";
import { Rules } from "./qualityrules";
import { Records, Worst } from "./qualityworst";

/** Asked again so often: minutes change with each epoch, hours hardly. */
const EVERY_MS: Record<Steps, number> = { minutes: 3_000, hours: 20_000 };
/** Devices that are asked for. */
const WORST = 10;

interface Found {
  /** Everything that is judged, each with its counts since its query began. */
  all: SourceQuality[];
  /** What is looked at; null if nothing is judged. */
  one: SourceQuality | null;
  from: number;
  to: number;
  step: number;
  /** The worst of the rule that is looked at, or of all. */
  devices: JudgedDevice[];
  others: number;
  wish: string;
}

async function find(wish: string, signal: AbortSignal): Promise<Found> {
  const { judge, judged, expectation, steps } = store.place.peek();
  const to = serverNow();
  const { ms } = PERIOD[steps];
  const { sources: all } = qualityOf(await get<Quality>("/quality", { from: to - 1, limit: 1 }, signal));
  const which = chosen(all, { judge, judged });
  if (!which) return { all, one: null, from: to - ms, to, step: 0, devices: [], others: 0, wish };
  const ask = async (rule: string) => qualityOf(await get<Quality>("/quality", { query: which.query, source: which.source, from: Math.floor(to - ms), limit: WORST, rule }, signal));
  const answer = await ask("");
  const one = answer.sources[0] ?? null;
  const own = expectation !== "" && one?.rules.some(({ name }) => name === expectation) ? ((await ask(expectation)).sources[0] ?? null) : one;
  return { all, one, from: answer.from, to: answer.to, step: answer.step, devices: own?.devices ?? [], others: own?.others ?? 0, wish };
}

export function QualityView() {
  const { judge, judged, expectation, steps } = store.place.value;
  const [attempt, setAttempt] = useState(0);
  const wish = JSON.stringify([judge, judged, steps]);
  const { answer, error } = useAsked(JSON.stringify([wish, expectation, attempt]), true, EVERY_MS[steps], (signal) => find(wish, signal));
  // What belongs to another choice is not shown for this one.
  const found = answer?.wish === wish ? answer : null;
  const stale = error && found ? "stale" : "";
  const one = found?.one ?? null;
  const looked = one?.rules.some(({ name }) => name === expectation) ? expectation : "";
  const head = (
    <Section id="quality" title="Quality" note={`times in ${zone(store.now.peek())}`} tools={<Tools found={found} />} key="head">
      {error && !found && <Failure error={error} retry={() => setAttempt(attempt + 1)} />}
      {!error && !found && <Waiting what="quality" like="skeleton-chart" />}
      {found && !one && <Nothing />}
      {found && one && <Overview found={found} one={one} looked={looked} />}
    </Section>
  );
  if (!found || !one) return <div class="plant">{head}</div>;
  const rules = <Rules key="rules" one={one} looked={looked} />;
  const worst = <Worst key="worst" one={one} looked={looked} devices={found.devices} others={found.others} />;
  const records = <Records key="records" one={one} looked={looked} />;
  if (!wide.value) return <div class={`plant ${stale}`}>{[head, rules, worst, records]}</div>;
  return (
    <div class={`plant plant-wide ${stale}`}>
      <div class="column">{[head, rules]}</div>
      <div class="column">{[worst, records]}</div>
    </div>
  );
}

/** Which source, as which query judged it; how fine time is cut. */
function Tools({ found }: { found: Found | null }) {
  const { steps } = store.place.value;
  const all = found?.all ?? [];
  const at = all.findIndex((one) => one.query === found?.one?.query && one.source === found?.one?.source);
  return (
    <>
      {all.length > 1 && (
        <select aria-label="What is judged" value={String(at)} onChange={(event) => choose(all[Number(event.currentTarget.value)])}>
          {all.map((one, index) => (
            <option key={index} value={String(index)}>
              {`${label(one.source, 24)}, by ${label(ruleName(one.query), 24)}`}
            </option>
          ))}
        </select>
      )}
      {all.length > 0 && (
        <div class="switch" role="group" aria-label="Time">
          {(["minutes", "hours"] as const).map((one) => (
            <button type="button" key={one} aria-pressed={steps === one} title={`${PERIOD[one].words}, ${PERIOD[one].each} by ${PERIOD[one].each}`} onClick={() => store.go({ steps: one }, true)}>
              by {one}
            </button>
          ))}
        </div>
      )}
    </>
  );
}

function choose(one: SourceQuality | undefined): void {
  if (one) store.go({ judge: one.query, judged: one.source, expectation: "" }, true);
}

function Nothing() {
  return (
    <div class="panel quality-none">
      <p>
        <b>No source says yet what it expects.</b> Say what a good record is, and here stands how many are: by rule, by device, over time.
      </p>
      <pre class="raw" tabIndex={0} aria-label="Example">{`sources:\n  cars:\n    …\n    expect:\n      - { column: speed, min: 0, max: 300, onFail: flag }\n      - { column: vin, required: true }`}</pre>
    </div>
  );
}

/** How much was as expected, in one number and one bar; below, how that went. */
function Overview({ found, one, looked }: { found: Found; one: SourceQuality; looked: string }) {
  const { host, width } = useSeen();
  const { steps } = store.place.value;
  const all = one.rows + one.unreadable;
  const from = begins(one, found);
  const step = stepFor(found.to - from, found.step, width);
  const points = gathered(one.points, step);
  const drawn = lines({ ...one, points }, looked);
  const ever = one.total.rows + one.total.unreadable;
  return (
    <div class="panel quality-card" data-testid="quality">
      {all === 0 && <Quiet>{ever === 0 ? "Nothing has come yet that could be judged." : `Nothing came in ${PERIOD[steps].words}.`}</Quiet>}
      {all > 0 && (
        <div class="quality-sum">
          <p class="quality-share num">
            {share(one.rows - one.failed, all)}
            <small>as expected</small>
          </p>
          <div class="quality-parts">
            <Bar good={one.rows - one.failed} failed={one.failed} unreadable={one.unreadable} />
            <ul class="num">
              <li>
                <span class="swatch quality-good" /> {count(one.rows - one.failed)} as expected
              </li>
              <li>
                <span class="swatch quality-failed" /> {count(one.failed)} failed a rule <span class="soft">{share(one.failed, all)}</span>
              </li>
              <li>
                <span class="swatch quality-unreadable" /> {count(one.unreadable)} could not be read <span class="soft">{share(one.unreadable, all)}</span>
              </li>
            </ul>
          </div>
        </div>
      )}
      <div ref={host}>
        {width > 0 && all > 0 && <QualityChart points={points} lines={drawn} looked={looked} from={from} to={found.to} step={step} width={width} now={store.now.peek()} />}
      </div>
      <p class="soft num quality-ever">
        {from > found.from ? `Since ${moment(one.points[0]?.at ?? from, store.now.peek())}` : PERIOD[steps].words.replace("the l", "L")}, judged by <bdi>{label(ruleName(one.query))}</bdi> as records of <bdi>{label(one.source)}</bdi>
        {ever > 0 && `. Since that query began: ${many(ever, "record")}, ${share(one.total.rows - one.total.failed, ever)} as expected`}.
      </p>
    </div>
  );
}

/** A part that exists is seen, however small it is. */
function Bar({ good, failed, unreadable }: { good: number; failed: number; unreadable: number }) {
  const parts = [
    { name: "quality-good", n: good },
    { name: "quality-failed", n: failed },
    { name: "quality-unreadable", n: unreadable },
  ].filter(({ n }) => n > 0);
  return (
    <div class="quality-bar" aria-hidden="true">
      {parts.map(({ name, n }) => (
        <span key={name} class={name} style={{ flexGrow: String(n) }} />
      ))}
    </div>
  );
}
