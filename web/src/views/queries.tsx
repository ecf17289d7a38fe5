// Each query in two lines: does it move, how fast, how far behind. The rest (what it waits for, its state, its epoch, to
// stop it) is a step away while all is well, and open when it is not; if it fails: why and what helps. The small bars
// are its last epochs, as tall as they took long.
import { useRef, useState } from "preact/hooks";
import { post } from "../api/http";
import type { QueryView } from "../api/types";
import { count, many, rate } from "../format/number";
import { clip, label, visible, whole } from "../format/text";
import { moment, since, span, toMillis } from "../format/time";
import { LevelIcon } from "../parts/icons";
import { Section, Waiting } from "../parts/notes";
import { clocksOff, ofQuery } from "../state/clocks";
import { lateShare, lateSql, remembered } from "../state/remembers";
import { unexpected } from "../state/unexpected";
import { OLD_ROWS, ruleName, sameTrouble, whyUnreadable, type Level } from "../state/status";
import * as store from "../state/store";
import { Confirm, type Question } from "./confirm";

export function Queries() {
  const all = store.tick.value?.queries;
  const [question, setQuestion] = useState<Question | null>(null);
  const own = all?.filter((query) => query.kind === "query") ?? [];
  const rules = all?.filter((query) => query.kind === "alert") ?? [];
  return (
    <Section id="queries" title="Queries" note={all ? many(own.length, "query", "queries") : undefined}>
      {!all && <Waiting what="queries" />}
      <div class="queries">
        {own.map((query) => (
          <Query key={query.name} query={query} like={sameTrouble(own, query)} ask={setQuestion} />
        ))}
      </div>
      {rules.length > 0 && <h3>Alert rules</h3>}
      <div class="queries">
        {rules.map((query) => (
          <Query key={query.name} query={query} ask={setQuestion} />
        ))}
      </div>
      {question && <Confirm question={question} done={() => setQuestion(null)} />}
    </Section>
  );
}

export function levelOf(query: Pick<QueryView, "state" | "error">): Level {
  if (query.error || /fail|retry/i.test(query.state)) return "critical";
  return /run|idle|wait|active/i.test(query.state) ? "ok" : "unknown";
}

function Query({ query, like = null, ask }: { query: QueryView; like?: string | null; ask: (question: Question) => void }) {
  const sql = store.schema.value?.queries.find((one) => one.name === query.name);
  const level = levelOf(query);
  const held = remembered(query, store.now.value);
  const late = lateShare(query);
  const stopped = /stop|fail/i.test(query.state);
  const name = ruleName(query.name);
  // What it did before it stopped is not what it does.
  const runs = !/stop|fail|retry/i.test(query.state) && !query.error;
  const steady = useSteady(query.rate);
  const broken = store.tick.value?.brokenTables.filter((table) => table.query === query.name) ?? [];
  // While a query moves, its state flickers between two words that say the same: it is well.
  const stoodAt = toMillis(query.since);
  const state = level === "ok" ? "" : query.state;
  return (
    <article class="query" data-level={level} aria-label={`${query.kind} ${label(name)}`}>
      <header>
        <LevelIcon level={level} />
        <h4 title={whole(name)}>
          <bdi>{label(name)}</bdi>
        </h4>
        <span class="soft">{[sql ? `to ${sql.format}` : "", state].filter((word) => word !== "").join(" · ")}</span>
        <Epochs epochs={query.epochs} />
      </header>
      {query.error && like !== null && (
        <p class="query-like">
          <code class="code">{query.error.code}</code> <span class="soft">for the same reason as <bdi>{label(like)}</bdi></span>
        </p>
      )}
      {query.error && like === null && (
        <div class="query-error">
          <p>
            <code class="code">{query.error.code}</code> {clip(visible(query.error.message), 400)}
          </p>
          {query.error.detail && <p>{clip(visible(query.error.detail), 400)}</p>}
          {query.error.hint && <p class="soft">{query.error.hint}</p>}
        </div>
      )}
      {broken.map((table) => (
        <div class="query-warning" key={table.name}>
          <p>
            <LevelIcon level="warning" /> The table <bdi>{label(table.name)}</bdi> cannot be read
            {toMillis(table.since) !== null && ` since ${since(toMillis(table.since) ?? 0, store.now.value)}`}: <code class="code">{table.error.code}</code> {whyUnreadable(table)}; {OLD_ROWS}.
          </p>
          {table.error.hint && <p class="soft">{table.error.hint}</p>}
        </div>
      ))}
      <details open={level !== "ok" && like === null}>
        <summary class="num">
          {pace({ ...query, rate: steady }, runs)}
          {late && <span class="tag tag-warning">{late}</span>}
          {(query.rowsRefused ?? 0) > 0 && <span class="tag tag-warning">{many(query.rowsRefused ?? 0, "row")} refused</span>}
        </summary>
        <dl class="query-facts">
          <Fact name="since" value={stoodAt === null ? null : since(stoodAt, store.now.value)} />
          <Fact name="half stored in" value={!runs || query.latency?.p50 == null ? null : span(query.latency.p50)} />
          <Fact name="epoch" value={query.epoch === null ? null : count(query.epoch)} />
          <Fact name="open keys" value={held.keys} />
          <Fact name="state" value={held.size} />
          <Fact name="watermark" value={held.watermark} />
          {held.late !== null && <Late name={query.name} rows={held.late} />}
          {(query.rowsRefused ?? 0) > 0 && <Refused query={query} />}
          <Unexpected query={query} />
          <Fact name="too far ahead" value={held.ahead} />
          {query.remembers && <Fact name="clocks" wide value={clocksOff(ofQuery(store.tick.value?.followers ?? [], sql?.sources))} />}
          <Fact name="waits for" wide value={query.waitingFor ? label(query.waitingFor, 80) : null} />
        </dl>
        {store.mayOperate.value && (
          <button type="button" class="button" onClick={() => ask(stopped ? starting(query) : stopping(query))}>
            {stopped ? "Start" : "Stop"}
            <span class="sr"> {WORDS[query.kind]} {label(name)}</span>
          </button>
        )}
      </details>
    </article>
  );
}

/** What tells in one line whether a query keeps up: how fast, how soon, how far behind. One that does not run has no pace. */
export function pace({ rate: now, latency, lag }: Pick<QueryView, "rate" | "latency" | "lag">, runs = true): string {
  const parts = [
    !runs ? "–/s" : now === null ? "" : `${rate(now)}/s`,
    !runs || latency?.p99 == null ? "" : `99 % stored in ${span(latency.p99)}`,
    lag === null ? "backlog not known" : lag === 0 ? "" : `${count(lag)} behind`,
  ];
  return parts.filter((part) => part !== "").join(" · ") || "no records yet";
}

/** Seconds over which a rate is taken: an epoch lands in one second or in the next, and the number must not jump for it. */
const STEADY = 5;

/** The mean of the last few values, one a tick. */
function useSteady(value: number | null): number | null {
  const last = useRef<{ now: number; values: number[] }>({ now: 0, values: [] });
  const now = store.tick.value?.now ?? 0;
  if (value === null) last.current = { now, values: [] };
  else if (last.current.now !== now) last.current = { now, values: [...last.current.values.slice(1 - STEADY), value] };
  const { values } = last.current;
  return values.length === 0 ? null : values.reduce((sum, one) => sum + one, 0) / values.length;
}

function Fact({ name, value, wide = false }: { name: string; value: string | null; wide?: boolean }) {
  if (value === null) return null;
  return (
    <div class={wide ? "fact-wide" : ""}>
      <dt>{name}</dt>
      <dd class="num">{value}</dd>
    </div>
  );
}

/** What rows failed of what their sources expect, and the way to when and whose. */
function Unexpected({ query }: { query: QueryView }) {
  const words = unexpected(query);
  if (words === null) return null;
  return (
    <div class="fact-wide">
      <dt>not as expected</dt>
      <dd class="num">
        <button type="button" class="text-button" title="over time, and by device" onClick={() => store.go({ view: "quality", judge: query.name, judged: "", expectation: "" })}>
          {words}
        </button>
      </dd>
    </div>
  );
}

/** Rows that its sink refused since it began, how many of them are still set aside, and the way to them. */
function Refused({ query }: { query: QueryView }) {
  const open = store.tick.value?.quarantine?.refused?.find((of) => of.query === query.name);
  return (
    <div class="fact-wide">
      <dt>refused by the sink</dt>
      <dd class="num">
        {many(query.rowsRefused ?? 0, "row")}
        {open && (
          <>
            {", the last "}
            {moment(open.newest, store.now.value)}
            {": "}
            <button type="button" class="text-button" onClick={() => document.getElementById("quarantine")?.scrollIntoView()}>
              {count(open.rows)} in quarantine
            </button>
          </>
        )}
      </dd>
    </div>
  );
}

/** Rows that came too late, and the way to them. */
function Late({ name, rows }: { name: string; rows: string }) {
  const sql = lateSql(name);
  return (
    <div>
      <dt>came too late</dt>
      <dd class="num">
        <a class="text-button" href={`#/sql?${new URLSearchParams({ q: sql, as: "table" }).toString()}`} onClick={(event) => { event.preventDefault(); store.go({ view: "sql", sql, shape: "table" }); }}>
          {rows}
        </a>
      </dd>
    </div>
  );
}

const WORDS = { query: "query", alert: "alert rule" };

const stopping = ({ name, kind }: QueryView): Question => ({
  title: `Stop ${label(ruleName(name))}?`,
  words: `It finishes the epoch it is in and then waits. Records that come meanwhile stay in the log; nothing is lost.${kind === "alert" ? " Until it is started again nothing opens or clears." : ""}`,
  act: `Stop ${WORDS[kind]}`,
  danger: true,
  run: () => post(`/queries/${encodeURIComponent(name)}/stop`, {}),
});

const starting = ({ name, kind }: QueryView): Question => ({
  title: `Start ${label(ruleName(name))}?`,
  words: "It goes on after its last committed epoch.",
  act: `Start ${WORDS[kind]}`,
  danger: false,
  run: () => post(`/queries/${encodeURIComponent(name)}/start`, {}),
});

const WIDTH = 5;
const HEIGHT = 24;
function Epochs({ epochs }: { epochs: QueryView["epochs"] }) {
  if (epochs.length === 0) return null;
  const slowest = epochs.reduce((most, epoch) => Math.max(most, epoch.ms), 1);
  const last = epochs[epochs.length - 1];
  const say = `The last ${many(epochs.length, "epoch")}: the slowest took ${span(slowest)}, the last ${span(last?.ms)} for ${many(last?.rows ?? 0, "record")}`;
  return (
    <svg class="epochs" width={epochs.length * WIDTH} height={HEIGHT} role="img" aria-label={say}>
      <title>{say}</title>
      {epochs.map((epoch, index) => {
        const tall = Math.max(2, (epoch.ms / slowest) * HEIGHT);
        return <rect key={epoch.epoch} class={epoch.rows === 0 ? "epoch-empty" : ""} x={index * WIDTH} y={HEIGHT - tall} width={WIDTH - 2} height={tall} rx="1" />;
      })}
    </svg>
  );
}
