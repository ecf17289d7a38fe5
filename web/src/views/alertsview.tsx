// All alerts: what is open, worst first, then what has cleared; narrowed by state, rule, severity and words; how many of each kind there
// are, whose are most, and what is muted. All of it follows from one list, and what narrows it stands in the address.
import { useEffect, useState } from "preact/hooks";
import type { Alert, Severity } from "../api/types";
import { count, many } from "../format/number";
import { label } from "../format/text";
import { zone } from "../format/time";
import { Failure, Quiet, Section, Waiting } from "../parts/notes";
import { useAlertList } from "../state/alertlist";
import { kinds, merged, wanted } from "../state/kinds";
import { wide } from "../state/prefs";
import { byUrgency } from "../state/status";
import * as store from "../state/store";
import { START, type AlertFilter } from "../state/url";
import { Item } from "./alerts";
import { Kinds, Muted, Worst } from "./alertkinds";
import { Silences } from "./silences";

const PAGE = 50;
const TYPING_MS = 200;
const NOTHING = { is: START.is, rule: START.rule, severity: START.severity, find: START.find };

export function AlertsView() {
  const { is, rule, severity, find } = store.place.value;
  const all = useAlertList("");
  // The newest of all may hold little of one rule: its own are asked for as well.
  const own = useAlertList(rule, rule !== "");
  const listed = all.alerts ?? [];
  const alerts = rule === "" ? listed : merged(listed, own.alerts ?? []);
  const fitting = wanted(alerts, { is, rule, severity, find });
  const error = all.error ?? own.error;
  const narrowed = JSON.stringify({ is, rule, severity, find }) !== JSON.stringify(NOTHING);
  const rules = [...new Set([...(store.schema.value?.alerts ?? []).map(({ name }) => name), ...listed.map((alert) => alert.rule), ...(rule === "" ? [] : [rule])])];
  const feed = (
    <Section id="all-alerts" title="Alerts" note={noteOf(alerts, all.isCut)} key="feed">
      <Filters alerts={wanted(alerts, { is: "", rule, severity, find })} rules={rules} narrowed={narrowed} />
      {error && <Failure error={error} retry={() => { all.retry(); own.retry(); }} />}
      {!all.alerts && !all.error && <Waiting what="alerts" like="skeleton-table" />}
      {all.alerts && <Feed alerts={fitting} rules={rules.length} narrowed={narrowed} key={JSON.stringify({ is, rule, severity, find })} />}
    </Section>
  );
  const counts = all.alerts && <Kinds key="kinds" all={kinds(wanted(alerts, { is, rule: "", severity: "", find }))} />;
  const troubled = all.alerts && <Worst key="worst" alerts={wanted(alerts, { is, rule, severity, find: "" })} />;
  const muted = all.alerts && <Muted key="muted" alerts={alerts} />;
  const silences = <Silences key="silences" />;
  if (!wide.value) return <div class="plant">{[counts, feed, silences, troubled, muted]}</div>;
  return (
    <div class="plant plant-wide">
      <div class="column">{feed}</div>
      <div class="column">{[counts, silences, troubled, muted]}</div>
    </div>
  );
}

function noteOf(alerts: Alert[], isCut: boolean): string {
  return `${isCut ? `the newest ${count(alerts.length)} · ` : ""}times in ${zone(store.now.peek())}`;
}

const STATES: { is: AlertFilter; word: string }[] = [
  { is: "", word: "All" },
  { is: "open", word: "Open" },
  { is: "cleared", word: "Cleared" },
];
const SEVERITIES: Severity[] = ["critical", "warning", "info"];

function Filters({ alerts, rules, narrowed }: { alerts: Alert[]; rules: string[]; narrowed: boolean }) {
  const { is, rule, severity } = store.place.value;
  const countOf = (state: AlertFilter): number => alerts.filter((alert) => state === "" || alert.state === state).length;
  return (
    <div class="filters alert-filters">
      <Find />
      <div class="switch" role="group" aria-label="State">
        {STATES.map((one) => (
          <button type="button" key={one.is} aria-pressed={is === one.is} onClick={() => store.go({ is: one.is }, true)}>
            {one.word}
            <span class="switch-count num">{count(countOf(one.is))}</span>
          </button>
        ))}
      </div>
      <select aria-label="Rule" value={rule} onChange={(event) => store.go({ rule: event.currentTarget.value }, true)}>
        <option value="">any rule</option>
        {rules.map((name) => (
          <option key={name} value={name}>
            {label(name, 32)}
          </option>
        ))}
      </select>
      <select aria-label="Severity" value={severity} onChange={(event) => store.go({ severity: event.currentTarget.value as Severity | "" }, true)}>
        <option value="">any severity</option>
        {SEVERITIES.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
      {narrowed && (
        <button type="button" class="button" onClick={() => store.go(NOTHING, true)}>
          Show all
        </button>
      )}
    </div>
  );
}

function Find() {
  const { find } = store.place.value;
  const [text, setText] = useState(find);
  useEffect(() => setText(find), [find]);
  useEffect(() => {
    if (text === find) return;
    const timer = setTimeout(() => store.go({ find: text }, true), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return <input id="alert-search" type="search" class="input" placeholder="Key or words" aria-label="Find alerts by key or words" value={text} onInput={(event) => setText(event.currentTarget.value)} autocomplete="off" spellcheck={false} />;
}

function Feed({ alerts, rules, narrowed }: { alerts: Alert[]; rules: number; narrowed: boolean }) {
  const [most, setMost] = useState(PAGE);
  const open = byUrgency(alerts.filter(({ state }) => state === "open"));
  const cleared = alerts.filter(({ state }) => state === "cleared").sort((a, b) => (b.clearedAt ?? 0) - (a.clearedAt ?? 0));
  const rest = Math.max(0, open.length - most) + Math.max(0, cleared.length - most);
  if (alerts.length === 0) return <Quiet>{nothing(rules, narrowed)}</Quiet>;
  return (
    <div class="feed">
      {open.length > 0 && (
        <ul class="alerts" aria-label="Open alerts">
          {open.slice(0, most).map((alert) => (
            <Item key={alert.id} alert={alert} />
          ))}
        </ul>
      )}
      {cleared.length > 0 && (
        <>
          <h3>Cleared</h3>
          <ul class="alerts alerts-cleared" aria-label="Cleared alerts">
            {cleared.slice(0, most).map((alert) => (
              <Item key={alert.id} alert={alert} />
            ))}
          </ul>
        </>
      )}
      {rest > 0 && (
        <button type="button" class="button alerts-more" onClick={() => setMost(most + PAGE)}>
          Show more of {many(rest, "other")}
        </button>
      )}
    </div>
  );
}

function nothing(rules: number, narrowed: boolean): string {
  if (narrowed) return "No alert fits what is chosen.";
  return rules === 0 ? "No alert rules yet. What `alerts:` in the pipeline file finds shows here by itself." : "Nothing has set off an alert yet.";
}
