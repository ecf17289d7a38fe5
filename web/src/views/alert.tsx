// One alert: what happened to it, the rows that caused it, what people said, and the others of its rule and key. A drawer beside the
// page; the whole window on a phone. Escape closes it, the back button too.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "../api/http";
import { alertOf } from "../api/normal";
import type { Alert, AlertPage, AlertRule, Value } from "../api/types";
import { Spans } from "../charts/spans";
import { deviceLabel, label, visible, whole } from "../format/text";
import { full, moment, span, zone } from "../format/time";
import { CloseIcon, LevelIcon } from "../parts/icons";
import { Failure, Quiet, Waiting } from "../parts/notes";
import { useAsked } from "../state/asked";
import { merged, newer, story, type Step } from "../state/kinds";
import { says } from "../state/session";
import * as store from "../state/store";
import { acknowledging, told, wordsOf } from "./alerts";
import { Confirm, LONGEST_WORDS, type Question } from "./confirm";
import { silencing } from "./silences";

/** Where an old alert is looked for: so many pages. */
const PAGES = 5;
const PAGE = 1_000;
/** Of the same rule and key. */
const OTHERS = 50;
const OTHERS_SHOWN = 8;
const EVERY_MS = 10_000;

export function AlertDrawer() {
  const { alert } = store.place.value;
  return alert === null || !store.booted.value ? null : <Drawer key={alert} id={alert} />;
}

function Drawer({ id }: { id: string }) {
  const dialog = useRef<HTMLDialogElement | null>(null);
  const heading = useRef<HTMLHeadingElement | null>(null);
  const { alert, error } = useAlert(id);
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    heading.current?.focus();
    return () => before?.focus?.();
  }, []);
  const level = !alert ? "unknown" : alert.state === "open" ? alert.severity : "ok";
  return (
    <dialog ref={dialog} class="drawer" aria-labelledby="alert-title" onClose={() => store.go({ alert: null })} onClick={(event) => { if (event.target === dialog.current) dialog.current?.close(); }}>
      <div class="drawer-body alert-body">
        <header class="drawer-head">
          <LevelIcon level={level} size={24} />
          <div>
            <h2 id="alert-title" ref={heading} tabIndex={-1}>
              {alert ? wordsOf(alert) : "Alert"}
            </h2>
            {alert && <Since alert={alert} />}
          </div>
          <button type="button" class="icon-button" onClick={() => dialog.current?.close()} aria-label="Close">
            <CloseIcon />
          </button>
        </header>
        {error && <Failure error={error} />}
        {!alert && !error && <Waiting what="the alert" />}
        {alert && <Body alert={alert} />}
      </div>
    </dialog>
  );
}

function Since({ alert }: { alert: Alert }) {
  const now = store.now.value;
  const end = alert.clearedAt ?? now;
  return (
    <p class="soft num">
      <span class={alert.state === "open" ? `word-${alert.severity}` : ""}>{alert.severity}</span> ·{" "}
      {alert.state === "open" ? `open since ${moment(alert.openedAt, now, true)}, for ${span(Math.max(0, end - alert.openedAt))}` : `open from ${moment(alert.openedAt, now, true)} to ${moment(end, now, true)}, for ${span(Math.max(0, end - alert.openedAt))}`}
      {alert.worst && alert.worst !== alert.severity && ` · was ${alert.worst}`} · times in {zone(now)}
    </p>
  );
}

function Body({ alert }: { alert: Alert }) {
  const [question, setQuestion] = useState<Question | null>(null);
  const source = store.sourceOf(alert);
  const rule = store.schema.value?.alerts.find((one) => one.name === alert.rule);
  const name = alert.key === null ? "NULL" : deviceLabel(alert.key, source, store.keyFieldOf(source));
  const isOpen = alert.state === "open";
  return (
    <>
      <div class="alert-buttons">
        {isOpen && !alert.acknowledged && store.mayOperate.value && (
          <button type="button" class="button button-main" onClick={() => setQuestion(acknowledging(alert, wordsOf(alert)))}>
            Acknowledge
          </button>
        )}
        {store.mayOperate.value && (
          <button type="button" class="button" onClick={() => setQuestion(silencing(alert, name))}>
            Silence
          </button>
        )}
        {store.isDevice(alert) && (
          <button type="button" class="button" onClick={() => store.go({ alert: null, device: alert.key ?? "", source })}>
            <bdi>{name}</bdi>
          </button>
        )}
        <button type="button" class="button" onClick={() => store.go({ view: "alerts", alert: null, device: null, is: "", rule: alert.rule, severity: "", find: "" })}>
          <span>
            All of <bdi>{label(alert.rule, 24)}</bdi>
          </span>
        </button>
      </div>
      {alert.muted && isOpen && (
        <p class="alert-muted">
          Nobody is told: {label(alert.muted, 60)}. If it is still open when that ends, and nobody has acknowledged it, it is told then.
        </p>
      )}
      <section aria-label="What happened">
        <h3>What happened</h3>
        <ol class="story">
          {story(alert).map((step, index) => (
            <Happened key={index} step={step} alert={alert} source={source} />
          ))}
        </ol>
        {isOpen && store.mayOperate.value && <Say alert={alert} />}
      </section>
      {rule && <Means rule={rule} />}
      <Rows alert={alert} source={source} />
      <Others alert={alert} name={name} />
      {question && <Confirm question={question} done={() => setQuestion(null)} />}
    </>
  );
}

function Happened({ step, alert, source }: { step: Step; alert: Alert; source: string }) {
  const now = store.now.peek();
  const values = Object.entries(step.value ?? {}).map(([field, value]) => told(source, field, value));
  const icon = step.what === "cleared" ? "ok" : (step.severity ?? (step.what === "opened" ? alert.severity : "unknown"));
  const who = <bdi>{label(step.by ?? "", 40)}</bdi>;
  return (
    <li data-step={step.what}>
      <LevelIcon level={icon} />
      <div>
        <p>
          {step.what === "opened" && <b>Opened{step.severity ? `, ${step.severity}` : ""}</b>}
          {step.what === "level" && <b>Became {step.severity}</b>}
          {step.what === "cleared" && <b>{alert.ruleRemoved ? "Ended: its rule is not in the file any more" : "Cleared"}</b>}
          {step.what === "acknowledged" && <b>{who} takes care of it</b>}
          {step.what === "comment" && <b>{who}</b>}
        </p>
        {values.length > 0 && <p class="soft num">{values.join(" · ")}</p>}
        {step.comment && <p class="story-said">{step.comment.split("\n").map(visible).join("\n")}</p>}
      </div>
      <time class="soft num" dateTime={new Date(step.at).toISOString()} title={full(step.at)}>
        {moment(step.at, now, true)}
      </time>
    </li>
  );
}

function Say({ alert }: { alert: Alert }) {
  const [text, setText] = useState("");
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (text.trim() === "" || busy) return;
    setBusy(true);
    try {
      await says("/alerts/comment", alert.id, text.trim());
      setText("");
      setError(null);
    } catch (cause) {
      setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause)));
    }
    setBusy(false);
  };
  return (
    <form class="say" onSubmit={(event) => void send(event)}>
      <textarea class="input" rows={2} maxLength={LONGEST_WORDS} aria-label="Comment" placeholder="Say something of it" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      <button type="submit" class="button" disabled={busy || text.trim() === ""}>
        Comment
      </button>
      {error && <Failure error={error} />}
    </form>
  );
}

function Means({ rule }: { rule: AlertRule }) {
  const facts: [string, string][] = [["on", rule.on], ["opens when", rule.when]];
  if (rule.for) facts.push(["for at least", span(rule.for)]);
  if (rule.clear) facts.push(["clears when", rule.clear]);
  return (
    <section aria-label="Its rule">
      <h3>
        Rule <bdi>{label(rule.name, 40)}</bdi>
      </h3>
      <dl class="rule-facts">
        {facts.map(([word, text]) => (
          <div key={word}>
            <dt>{word}</dt>
            <dd>
              <code>{visible(text)}</code>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** The rows that caused it, the newest first, with the records that they are. */
function Rows({ alert, source }: { alert: Alert; source: string }) {
  const rows = [...(alert.rows ?? [])].reverse();
  if (rows.length === 0) return null;
  const fields = [...new Set(rows.flatMap(({ value }) => Object.keys(value)))];
  const cell = (field: string, value: Value | undefined): string => (value === undefined || value === null ? "NULL" : typeof value === "number" ? told(source, field, value).replace(`${label(field, 24)} `, "") : label(String(value), 32));
  return (
    <section aria-label="Rows that caused it">
      <h3>Rows that caused it</h3>
      <div class="table-scroll" role="region" aria-label="Rows that caused it, table" tabIndex={0}>
        <table class="table causes">
          <thead>
            <tr>
              <th scope="col">time</th>
              {fields.map((field) => (
                <th scope="col" key={field} title={whole(field, 24)}>
                  <bdi>{label(field, 24)}</bdi>
                </th>
              ))}
              <th scope="col">record</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <tr key={index}>
                <td class="num" title={full(row.at)}>
                  {moment(row.at, store.now.peek(), true)}
                </td>
                {fields.map((field) => (
                  <td key={field} class="num">
                    {cell(field, row.value[field])}
                  </td>
                ))}
                <td class="num soft">
                  {label(row.topic, 24)} / {row.partition}
                  {row.offset !== null && row.offset !== undefined && ` / ${row.offset}`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** When this rule was open for this key, as a picture and a list. */
function Others({ alert, name }: { alert: Alert; name: string }) {
  const { rule, source, key } = alert;
  const wish = JSON.stringify([rule, source, key]);
  const whose = key === null ? { keyIs: "null" } : key === "" ? { keyIs: "empty" } : { key };
  const asked = useAsked(wish, true, EVERY_MS, (signal) => get<AlertPage>("/alerts", { rule, source, limit: OTHERS, ...whose }, signal));
  const { open, cleared } = store.alerts.value;
  const live = [...open, ...cleared, alert].filter((one) => one.rule === rule && one.source === source && one.key === key);
  const all = merged((asked.answer?.alerts ?? []).map(alertOf), live).sort((a, b) => b.openedAt - a.openedAt);
  const others = all.filter((one) => one.id !== alert.id);
  return (
    <section aria-label="Of the same rule and key">
      <h3>
        <bdi>{label(rule, 24)}</bdi> of <bdi>{name}</bdi> so far
      </h3>
      {asked.error && <Failure error={asked.error} />}
      {!asked.answer && !asked.error && <Waiting what="its history" />}
      {asked.answer && <Spans alerts={all} chosen={alert.id} now={store.now.value} />}
      {asked.answer && others.length === 0 && <Quiet>It is the only one that is remembered.</Quiet>}
      <ul class="others">
        {others.slice(0, OTHERS_SHOWN).map((one) => (
          <li key={one.id}>
            <LevelIcon level={one.state === "open" ? one.severity : "ok"} />
            <button type="button" class="text-button num" onClick={() => store.go({ alert: String(one.id) }, true)}>
              {moment(one.openedAt, store.now.peek(), true)}
            </button>
            <span class="soft num">
              {one.severity}, {one.state === "open" ? "open" : `for ${span(Math.max(0, (one.clearedAt ?? 0) - one.openedAt))}`}
            </span>
          </li>
        ))}
      </ul>
      {(others.length > OTHERS_SHOWN || asked.answer?.next) && key !== null && (
        <button type="button" class="text-button" onClick={() => store.go({ view: "alerts", alert: null, is: "", rule, severity: "", find: key })}>
          All of them
        </button>
      )}
    </section>
  );
}

/** The alert of this name: as the stream tells it, or looked for among what the server remembers. */
function useAlert(id: string): { alert: Alert | null; error: ApiError | null } {
  const { open, cleared } = store.alerts.value;
  const live = [...open, ...cleared].find((one) => String(one.id) === id) ?? null;
  const last = useRef<Alert | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [found, setFound] = useState<Alert | null>(null);
  useEffect(() => {
    if (live) return;
    const running = new AbortController();
    lookFor(id, running.signal).then(
      (alert) => (alert ? setFound(alert) : setError(new ApiError(404, "This alert is not remembered any more", null, "The newest that have cleared are kept."))),
      (cause: unknown) => {
        if (!running.signal.aborted) setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause)));
      },
    );
    return () => running.abort();
  }, [id]);
  const known = [live, found, last.current].filter((one): one is Alert => one !== null);
  last.current = known.length > 0 ? known.reduce(newer) : null;
  return { alert: last.current, error: last.current ? null : error };
}

async function lookFor(id: string, signal: AbortSignal): Promise<Alert | null> {
  let cursor: string | null = null;
  for (let page = 0; page < PAGES; page += 1) {
    const answer: AlertPage = await get<AlertPage>("/alerts", { limit: PAGE, cursor }, signal);
    const found = answer.alerts.find((one) => String(one.id) === id);
    if (found) return alertOf(found);
    cursor = answer.next;
    if (cursor === null) return null;
  }
  return null;
}
