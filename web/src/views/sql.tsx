// The SQL console: one SELECT, SHOW or DESCRIBE over what the pipeline has, its result as table and chart, and a link that shows a
// colleague the same. It changes nothing and says its limits before anybody meets them.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, post, type Place } from "../api/http";
import type { SqlResult } from "../api/types";
import { ResultChart } from "../charts/result";
import { shapeOf } from "../charts/shape";
import { excerpt, offsetOf } from "../format/excerpt";
import { count, many } from "../format/number";
import { ident, clip, label, visible } from "../format/text";
import { span } from "../format/time";
import { LinkIcon, PlayIcon } from "../parts/icons";
import { Failure, Quiet, Section, Waiting } from "../parts/notes";
import { forgetSql, remember, sqlHistory } from "../state/prefs";
import { isLate, lateTable, lateTables } from "../state/remembers";
import * as store from "../state/store";
import { LONGEST_LINK, print, type SqlShape } from "../state/url";
import { Examples } from "./examples";
import { ResultTable } from "./resulttable";

const ROWS_A_PAGE = 50;
const MOST_ROWS = 10_000;
/** Longer statements are sent in a body instead of an address. */
const LONGEST_ADDRESS = 4_000;
const SHAPES: { shape: SqlShape; word: string }[] = [
  { shape: "auto", word: "Best fit" },
  { shape: "bar", word: "Bars" },
  { shape: "line", word: "Lines" },
  { shape: "table", word: "Table" },
];

export function SqlConsole() {
  const { sql: given, shape } = store.place.value;
  const [text, setText] = useState(given);
  const [answer, setAnswer] = useState<SqlResult | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [running, setRunning] = useState<AbortController | null>(null);
  const ran = useRef<string | null>(null);
  const editor = useRef<HTMLTextAreaElement | null>(null);

  const run = async (sql: string): Promise<void> => {
    const statement = sql.trim();
    if (statement === "") return;
    running?.abort();
    const control = new AbortController();
    ran.current = statement;
    // Places in an answer are counted from the statement's first letter, so the field shows just that.
    setText(statement);
    setRunning(control);
    setError(null);
    store.go({ sql: statement });
    try {
      const result = statement.length < LONGEST_ADDRESS ? await get<SqlResult>("/sql", { q: statement, limit: MOST_ROWS }, control.signal) : await post<SqlResult>("/sql", { sql: statement, limit: MOST_ROWS }, control.signal);
      if (control.signal.aborted) return;
      setAnswer(result);
      remember(statement);
    } catch (cause) {
      if (control.signal.aborted) return;
      setAnswer(null);
      setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause)));
    }
    setRunning(null);
  };
  // A link carries its SQL; coming from one, or going back, shows its result.
  useEffect(() => {
    if (given !== "" && given !== ran.current) {
      setText(given);
      void run(given);
    }
  }, [given]);

  const cancel = (): void => {
    running?.abort();
    setRunning(null);
  };
  const change = (next: string): void => {
    setText(next);
    // What was wrong is no longer what stands there.
    setError(null);
  };
  const goTo = (place: Place): void => {
    const at = offsetOf(text, place);
    editor.current?.focus();
    editor.current?.setSelectionRange(at, at);
  };
  return (
    <div class="sql">
      <Section id="console" title="SQL" note="One SELECT over the tables of this pipeline, or SHOW TABLES, DESCRIBE name: at most 10 s, 10,000 rows, 256 MiB, two at a time. It changes nothing.">
        <Tables insert={(name) => change(text.trim() === "" ? `SELECT * FROM ${name} LIMIT 100` : `${text}${/\s$/.test(text) ? "" : " "}${name}`)} />
        <Editor field={editor} text={text} change={change} run={() => void run(text)} wrong={error !== null} />
        {error && <Wrong error={error} sql={text} goTo={goTo} />}
        <div class="sql-buttons">
          <button type="button" class="button button-main" onClick={() => void run(text)} disabled={text.trim() === "" || running !== null}>
            <PlayIcon /> Run
          </button>
          {running && (
            <button type="button" class="button" onClick={cancel}>
              Cancel
            </button>
          )}
          <Share sql={text.trim()} />
          <Recent choose={(sql) => { setText(sql); void run(sql); }} />
        </div>
      </Section>
      <p class="sr" role="status">
        {running ? "Running" : answer ? told(answer) : ""}
      </p>
      <div class="sql-answer" aria-busy={running !== null}>
        {running && <Waiting what="the answer" like="skeleton-table" />}
        {answer && !running && <Answer result={answer} shape={shape} />}
        {!answer && !error && !running && <Examples choose={(sql) => { setText(sql); void run(sql); }} />}
      </div>
    </div>
  );
}

interface EditorProps {
  field: { current: HTMLTextAreaElement | null };
  text: string;
  change: (text: string) => void;
  run: () => void;
  wrong: boolean;
}

function Editor({ field, text, change, run, wrong }: EditorProps) {
  const rows = Math.min(16, Math.max(4, text.split("\n").length + 1));
  return (
    <textarea
      ref={field}
      class="editor"
      aria-label="SQL, Control and Enter to run"
      aria-invalid={wrong}
      aria-describedby={wrong ? "sql-wrong" : undefined}
      rows={rows}
      value={text}
      spellcheck={false}
      autocomplete="off"
      placeholder="SELECT …"
      onInput={(event) => change(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          run();
        }
      }}
    />
  );
}

/** What is wrong, under the text: its line with a caret, what it means, what helps. */
function Wrong({ error, sql, goTo }: { error: ApiError; sql: string; goTo: (place: Place) => void }) {
  const { place } = error;
  const line = place && excerpt(sql, place);
  return (
    <div id="sql-wrong" class="sql-wrong">
      {place && line && (
        <pre aria-hidden="true">
          <span class="soft">{line.margin}</span>
          {line.text}
          {"\n"}
          <b class="word-critical">{line.caret}</b>
        </pre>
      )}
      <Failure error={error} />
      {place && line && (
        <button type="button" class="text-button" onClick={() => goTo(place)}>
          Go to line {place.line}, column {place.column}
        </button>
      )}
    </div>
  );
}

function Tables({ insert }: { insert: (name: string) => void }) {
  const tables = store.schema.value?.tables.filter((name) => !isLate(name)) ?? [];
  const late = lateTables(store.tick.value?.queries ?? []);
  const chip = (name: string, reference: string) => (
    <button type="button" key={name} class="chip" onClick={() => insert(reference)}>
      {label(name)}
    </button>
  );
  return (
    <p class="tables">
      <span class="soft">Tables</span>
      {tables.map((name) => chip(name, ident(name)))}
      {late.map((query) => chip(`late.${query}`, lateTable(query)))}
    </p>
  );
}

const SAID_MS = 4_000;
function Share({ sql }: { sql: string }) {
  const [said, setSaid] = useState("");
  const link = print({ ...store.place.value, view: "sql", sql, device: null });
  const long = sql !== "" && !link.includes("q=");
  const copy = (): void => {
    const say = (words: string): void => {
      setSaid(words);
      setTimeout(() => setSaid(""), SAID_MS);
    };
    // A page from another machine without TLS has no clipboard; the address bar then has the link.
    const copied = navigator.clipboard?.writeText(location.origin + location.pathname + link) ?? Promise.reject(new Error("no clipboard"));
    copied.then(
      () => say("Copied"),
      () => {
        store.go({ sql, device: null }, true);
        say("It is in the address bar");
      },
    );
  };
  return (
    <button type="button" class="button" onClick={copy} disabled={sql === "" || long} title={long ? `Too long for a link: ${LONGEST_LINK} characters at most` : "A link that shows this result"}>
      <LinkIcon /> <span role="status">{said || "Copy link"}</span>
    </button>
  );
}

function Recent({ choose }: { choose: (sql: string) => void }) {
  const box = useRef<HTMLDetailsElement | null>(null);
  const list = sqlHistory.value;
  if (list.length === 0) return null;
  const close = (): void => box.current?.removeAttribute("open");
  return (
    <details
      ref={box}
      class="recent"
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !box.current?.open) return;
        close();
        box.current.querySelector("summary")?.focus();
      }}
    >
      <summary class="button">History</summary>
      <ul>
        {list.map((sql) => (
          <li key={sql}>
            <button type="button" class="text-button mono" onClick={() => { close(); choose(sql); }}>
              {clip(visible(sql.replace(/\s+/g, " ")), 120)}
            </button>
          </li>
        ))}
        <li>
          <button type="button" class="text-button" onClick={forgetSql}>
            Forget these
          </button>
        </li>
      </ul>
    </details>
  );
}

const told = (result: SqlResult): string => `${many(result.rowCount, "row")} in ${span(result.millis)}${result.truncated ? `; only the first ${count(result.rows.length)} are shown` : ""}`;

function Answer({ result, shape }: { result: SqlResult; shape: SqlShape }) {
  const drawn = shape === "auto" ? shapeOf(result) : shape;
  return (
    <Section
      id="answer"
      title="Result"
      note={told(result)}
      tools={
        <div class="switch" role="group" aria-label="Show as">
          {SHAPES.map((one) => (
            <button type="button" key={one.shape} aria-pressed={shape === one.shape} onClick={() => store.go({ shape: one.shape }, true)}>
              {one.word}
            </button>
          ))}
        </div>
      }
    >
      {result.rows.length === 0 ? <Quiet>No rows.</Quiet> : drawn !== "table" && <div class="card"><ResultChart result={result} shape={drawn} /></div>}
      {result.rows.length > 0 && <ResultTable result={result} caption="Result" page={ROWS_A_PAGE} />}
    </Section>
  );
}
