// The alert feed: what is open, worst first; below it what has cleared, newest first. A new one appears by itself.
import { useState } from "preact/hooks";
import type { Alert, Value } from "../api/types";
import { clip, deviceLabel, label, visible, whole } from "../format/text";
import { many, reading } from "../format/number";
import { full, moment, since, span } from "../format/time";
import { LevelIcon } from "../parts/icons";
import { Quiet, Section } from "../parts/notes";
import { wide } from "../state/prefs";
import { kinds } from "../state/kinds";
import { says } from "../state/session";
import { byUrgency } from "../state/status";
import * as store from "../state/store";
import { Confirm, type Question } from "./confirm";
import { silencing } from "./silences";

const OPEN_SHOWN = 8;
/** What has cleared is history: a few lines until somebody asks for more. */
const CLEARED_SHOWN = 3;
/** Fewer on a phone, where the feed stands above the charts. */
const CLEARED_SHOWN_NARROW = 1;

export function Alerts() {
  const { open, cleared } = store.alerts.value;
  const [all, setAll] = useState(false);
  const rules = store.schema.value?.alerts ?? [];
  const total = Math.max(store.tick.value?.alerts.open ?? 0, open.length);
  if (rules.length === 0 && open.length === 0 && cleared.length === 0) {
    return (
      <Section id="alerts" title="Alerts">
        <Quiet>
          No alert rules yet. Add <code>alerts:</code> to the pipeline file, and what they find shows here by itself.
        </Quiet>
      </Section>
    );
  }
  const few = wide.value ? CLEARED_SHOWN : CLEARED_SHOWN_NARROW;
  return (
    <Section id="alerts" title="Alerts" note={total > 0 ? `${total} open` : "none open"} tools={<a class="text-button" href="#/alerts" onClick={(event) => { event.preventDefault(); store.go({ view: "alerts" }); }}>All alerts</a>}>
      {open.length > 0 && <Chips open={open} />}
      {open.length > 0 && (
        <ul class="alerts" aria-label="Open alerts">
          {byUrgency(open).slice(0, OPEN_SHOWN).map((alert) => (
            <Item key={alert.id} alert={alert} />
          ))}
        </ul>
      )}
      {total > OPEN_SHOWN && (
        <button type="button" class="text-button" onClick={() => store.go({ state: "alerting", page: 0 })}>
          Show the devices of all {total}
        </button>
      )}
      {cleared.length > 0 && (
        <>
          <h3>Cleared</h3>
          <ul class="alerts alerts-cleared" aria-label="Cleared alerts">
            {cleared.slice(0, all ? cleared.length : few).map((alert) => (
              <Item key={alert.id} alert={alert} />
            ))}
          </ul>
          {cleared.length > few && (
            <button type="button" class="text-button alerts-more" aria-expanded={all} onClick={() => setAll(!all)}>
              {all ? "Show fewer" : `Show ${cleared.length - few} more`}
            </button>
          )}
        </>
      )}
      {open.length === 0 && cleared.length === 0 && <Quiet>Nothing has set off {rules.length === 1 ? "the rule" : `one of the ${rules.length} rules`} yet.</Quiet>}
    </Section>
  );
}

/** How many are open of each kind. */
function Chips({ open }: { open: Alert[] }) {
  return (
    <ul class="kind-chips" aria-label="Open alerts by kind">
      {kinds(open).map((kind) => (
        <li key={`${kind.severity}/${kind.rule}`}>
          <button type="button" class={`chip chip-${kind.severity}`} onClick={() => store.go({ view: "alerts", is: "open", rule: kind.rule, severity: kind.severity, find: "" })}>
            <LevelIcon level={kind.severity} size={12} />
            <span class="sr">{kind.severity} </span>
            <bdi>{label(kind.rule, 24)}</bdi> <b class="num">{kind.open}</b>
          </button>
        </li>
      ))}
    </ul>
  );
}

export const acknowledging = (alert: Alert, words: string): Question => ({
  title: "Take care of it?",
  words: `${words}. Everybody sees that you do. It stays open until it clears.`,
  act: "Acknowledge",
  danger: false,
  say: "What is known, or done (may be empty)",
  run: (said) => says("/alerts/acknowledge", alert.id, said),
});

/** The words of an alert; of one without, its rule. */
export const wordsOf = (alert: Alert): string => (alert.message ? clip(visible(alert.message), 140) : label(alert.rule));

/** A value with its unit speaks for itself; one without needs its field's name. */
export function told(source: string, name: string, value: Value): string {
  const field = store.fieldOf(source, name);
  if (typeof value === "number" && field?.unit) return reading(value, field);
  return `${label(name, 24)} ${typeof value === "number" ? reading(value, field) : label(String(value), 24)}`;
}

function showOnMap(source: string, key: string): void {
  store.go({ picked: key, source }, true);
  document.querySelector('[data-chart="map"]')?.scrollIntoView({ block: "nearest" });
}

export function Item({ alert, device = true }: { alert: Alert; device?: boolean }) {
  const now = store.now.value;
  const [question, setQuestion] = useState<Question | null>(null);
  const source = store.sourceOf(alert);
  const name = alert.key === null ? "NULL" : deviceLabel(alert.key, source, store.keyFieldOf(source));
  const open = alert.state === "open";
  const until = alert.clearedAt ?? now;
  const words = wordsOf(alert);
  const { picked, view } = store.place.value;
  const talk = alert.comments?.length ?? 0;
  const show = (): void => store.go({ device: alert.key ?? "", source });
  const leads = device && store.isDevice(alert);
  // A message that names its device is the way to it.
  const named = leads && alert.key !== null && alert.key !== "" && words.includes(alert.key);
  const values = Object.entries(alert.value)
    .slice(0, 3)
    .map(([field, value]) => {
      const then = told(source, field, value);
      const current = open && store.isDevice(alert) ? store.valueNow(source, alert.key, field) : null;
      return { field, then, now: current === null ? null : told(source, field, current) };
    });
  // The message is of the opening: where it tells a number and that is another one now, it says so.
  const old = values.some((value) => value.now !== null && value.now !== value.then) && /\d/.test(words.replace(alert.key ?? "", ""));
  const history = (
    <button type="button" class="text-button alert-history" aria-label={`History of ${label(alert.rule, 24)}, ${name}`} onClick={() => store.go({ alert: String(alert.id) })}>
      {talk > 0 ? `History and ${many(talk, "comment")}` : "History"}
    </button>
  );
  return (
    <li class={`alert ${open ? `alert-${alert.severity}` : ""} ${leads && picked !== null && picked === alert.key ? "alert-picked" : ""}`} data-testid={`alert-${alert.state}`} data-key={label(alert.key ?? "NULL", 64)}>
      <LevelIcon level={open ? alert.severity : "ok"} />
      <div class="alert-words">
        <p class="alert-message" title={whole(alert.message, 140)}>
          {named ? (
            <button type="button" class="text-button" onClick={show}>
              {words}
            </button>
          ) : (
            words
          )}
          {old && <small class="soft"> at opening</small>}
        </p>
        <p class="soft">
          <span class={open ? `word-${alert.severity}` : ""}>{alert.severity}</span> · <bdi>{label(alert.rule, 24)}</bdi>
          {device && !named && (
            <>
              {" · "}
              {leads ? (
                <button type="button" class="text-button" onClick={show} title={whole(alert.key ?? "")}>
                  <bdi>{name}</bdi>
                </button>
              ) : (
                <bdi>{name}</bdi>
              )}
            </>
          )}
          {!open && <> · {history}</>}
        </p>
        {alert.acknowledged && (
          <p class="soft">
            <bdi>{label(alert.acknowledged.by, 40)}</bdi> takes care of it since {moment(alert.acknowledged.at, now)}
            {alert.acknowledged.comment && <>: {clip(visible(alert.acknowledged.comment), 140)}</>}
          </p>
        )}
        {alert.muted && <p class="soft">nobody is told: {label(alert.muted, 60)}</p>}
        {values.map(({ field, then, now: current }) => (
          <p key={field} class="soft num">
            {current !== null && <b>{current} now</b>}
            {current !== null && current !== then && " · "}
            {current !== then && `${then} at opening`}
          </p>
        ))}
        {open && (
          <p class="alert-acts">
            {!alert.acknowledged && store.mayOperate.value && (
              <button type="button" class="text-button" data-testid="acknowledge" onClick={() => setQuestion(acknowledging(alert, words))}>
                Acknowledge
              </button>
            )}
            {store.mayOperate.value && view === "alerts" && (
              <button type="button" class="text-button" data-testid="silence-it" onClick={() => setQuestion(silencing(alert, name))}>
                Silence
              </button>
            )}
            {history}
            {leads && view === "plant" && store.isMapped(source) && (
              <button type="button" class="text-button" aria-label={`${name} on the map`} aria-pressed={picked === alert.key} onClick={() => showOnMap(source, alert.key ?? "")}>
                Map
              </button>
            )}
          </p>
        )}
      </div>
      <p class="alert-time num" title={`opened ${full(alert.openedAt)}`}>
        {open ? since(alert.openedAt, now) : `cleared ${moment(until, now, true)}`}
        <small>{`${open ? "for" : "after"} ${span(Math.max(0, until - alert.openedAt))}${alert.ruleRemoved ? ", rule removed" : ""}`}</small>
      </p>
      {question && <Confirm question={question} done={() => setQuestion(null)} />}
    </li>
  );
}
