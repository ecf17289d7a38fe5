// Each rule of a source: what it does with rows that fail, how many did, which share that is, what it costs. One is looked at by a click.
import type { JudgedRule, SourceQuality } from "../api/quality";
import { Swatch } from "../charts/quality";
import { count, many, NOTHING, share } from "../format/number";
import { label, whole } from "../format/text";
import { Section } from "../parts/notes";
import { cost, costOfAll, fateOf, mark } from "../state/quality";
import * as store from "../state/store";

export function Rules({ one, looked }: { one: SourceQuality; looked: string }) {
  const all = costOfAll(one.rules);
  const tools = looked !== "" && (
    <button type="button" class="button" onClick={() => store.go({ expectation: "" }, true)}>
      Show all
    </button>
  );
  return (
    <Section id="quality-rules" title="Rules" note={`${many(one.rules.length, "rule")}${all === null ? "" : ` · together ${cost(all)} a row`}`} tools={tools}>
      <table class="kinds card quality-rules" aria-label="Rules">
        <thead>
          <tr>
            <th scope="col">rule</th>
            <th scope="col" class="num">
              failed
            </th>
            <th scope="col" class="num">
              cost a row
            </th>
          </tr>
        </thead>
        <tbody>
          {one.rules.map((rule, index) => (
            <Rule key={rule.name} rule={rule} index={index} rows={one.rows} pressed={rule.name === looked} />
          ))}
          {one.unreadable > 0 && (
            <tr>
              <th scope="row">
                <div class="quality-cell">
                  <Swatch line={{ colour: -1, dash: -1 }} />
                  <div class="quality-rule">
                    could not be read <small class="soft">set aside before any rule</small>
                  </div>
                </div>
              </th>
              <td class="num">
                {count(one.unreadable)} <small class="soft">{share(one.unreadable, one.rows + one.unreadable)}</small>
              </td>
              <td class="num soft">{NOTHING}</td>
            </tr>
          )}
        </tbody>
      </table>
    </Section>
  );
}

function Rule({ rule, index, rows, pressed }: { rule: JudgedRule; index: number; rows: number; pressed: boolean }) {
  // Of an epoch in which a row stopped the query nothing is counted: it was never committed.
  const stops = rule.onFail === "fail" && rule.failed === 0;
  return (
    <tr class={pressed ? "kind-chosen" : rule.failed === 0 ? "quality-calm" : ""} data-testid="rule" data-rule={rule.name}>
      <th scope="row">
        <div class="quality-cell">
          <Swatch line={mark(index)} />
          <div class="quality-rule">
            <button type="button" class="text-button" aria-pressed={pressed} title={whole(rule.name, 40)} onClick={() => store.go({ expectation: pressed ? "" : rule.name }, true)}>
              <bdi>{label(rule.name, 40)}</bdi>
            </button>
            <small class="soft">
              {fateOf(rule)}
              {rule.nanosPerRow !== null && <span class="quality-narrow">{` · ${cost(rule.nanosPerRow)} a row`}</span>}
            </small>
          </div>
        </div>
      </th>
      <td class="num">
        {stops ? NOTHING : count(rule.failed)} <small class="soft">{rows > 0 && rule.failed > 0 ? share(rule.failed, rows) : ""}</small>
      </td>
      <td class="num soft">{cost(rule.nanosPerRow)}</td>
    </tr>
  );
}
