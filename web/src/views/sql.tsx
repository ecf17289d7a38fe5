// The SQL console: one SELECT over what the pipeline has, its result as table and chart, and a link that shows a
// colleague the same. It changes nothing and says its limits before anybody meets them.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, post } from "../api/http";
import type { SqlResult } from "../api/types";
import { ResultChart } from "../charts/result";
import { shapeOf } from "../charts/shape";
import { count, many } from "../format/number";
import { clip, label } from "../format/text";
import { span } from "../format/time";
import { LinkIcon, PlayIcon } from "../parts/icons";
import { Failure, Quiet, Section } from "../parts/notes";
import { forgetSql, remember, sqlHistory } from "../state/prefs";
import * as store from "../state/store";
import { LONGEST_LINK, print, type SqlShape } from "../state/url";
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

  const run = async (sql: string): Promise<void> => {
    const statement = sql.trim();
    if (statement === "") return;
    running?.abort();
    const control = new AbortController();
    ran.current = statement;
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
  return (
    <div class="sql">
      <Section id="console" title="SQL" note="One SELECT over the tables of this pipeline: at most 10 s, 10,000 rows, 256 MiB, two at a time. It changes nothing.">
        <Tables insert={(name) => setText((before) => (before.trim() === "" ? `SELECT * FROM ${name} LIMIT 100` : `${before}${/\s$/.test(before) ? "" : " "}${name}`))} />
        <Editor text={text} change={setText} run={() => void run(text)} />
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
      <div aria-live="polite" class="sql-answer">
        {running && <div class="skeleton skeleton-table" />}
        {error && <Failure error={error} />}
        {answer && !running && <Answer result={answer} shape={shape} />}
        {!answer && !error && !running && <Examples choose={(sql) => { setText(sql); void run(sql); }} />}
      </div>
    </div>
  );
}

function Editor({ text, change, run }: { text: string; change: (text: string) => void; run: () => void }) {
  const rows = Math.min(16, Math.max(4, text.split("\n").length + 1));
  return (
    <textarea
      class="editor"
      aria-label="SQL, Control and Enter to run"
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

/** A name as Spark's SQL wants it. */
export const ident = (name: string): string => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `\`${name.replaceAll("`", "``")}\``);

function Tables({ insert }: { insert: (name: string) => void }) {
  const tables = store.schema.value?.tables ?? [];
  return (
    <p class="tables">
      <span class="soft">Tables</span>
      {tables.map((name) => (
        <button type="button" key={name} class="chip" onClick={() => insert(ident(name))}>
          {label(name)}
        </button>
      ))}
    </p>
  );
}

const SAID_MS = 2_000;
function Share({ sql }: { sql: string }) {
  const [said, setSaid] = useState("");
  const link = print({ ...store.place.value, view: "sql", sql, device: null });
  const long = sql !== "" && !link.includes("q=");
  const copy = (): void => {
    void navigator.clipboard?.writeText(location.origin + location.pathname + link).then(() => {
      setSaid("Copied");
      setTimeout(() => setSaid(""), SAID_MS);
    });
  };
  return (
    <button type="button" class="button" onClick={copy} disabled={sql === "" || long} title={long ? `Too long for a link: ${LONGEST_LINK} characters at most` : "A link that shows this result"}>
      <LinkIcon /> {said || "Copy link"}
    </button>
  );
}

function Recent({ choose }: { choose: (sql: string) => void }) {
  const list = sqlHistory.value;
  if (list.length === 0) return null;
  return (
    <details class="recent">
      <summary class="button">History</summary>
      <ul>
        {list.map((sql) => (
          <li key={sql}>
            <button type="button" class="text-button mono" onClick={() => choose(sql)}>
              {clip(sql.replace(/\s+/g, " "), 120)}
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

function Answer({ result, shape }: { result: SqlResult; shape: SqlShape }) {
  const drawn = shape === "auto" ? shapeOf(result) : shape;
  return (
    <Section
      id="answer"
      title="Result"
      note={`${many(result.rowCount, "row")} in ${span(result.millis)}${result.truncated ? `; only the first ${count(result.rows.length)} are shown` : ""}`}
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

/** Statements that work on this pipeline, made from its schema. */
export function examples(): { words: string; sql: string }[] {
  const source = store.source.peek();
  // A table answers sooner than a topic that is read from its beginning.
  const names = store.schema.peek()?.sources.map((one) => one.name) ?? [];
  const tables = store.schema.peek()?.tables ?? [];
  const table = tables.find((name) => !names.includes(name)) ?? tables[0];
  if (!source || !table) return [];
  const numbers = source.fields.filter((field) => field.kind === "number" && field.role === "value").slice(0, 2);
  const [first, second] = numbers;
  const list = [{ words: "A hundred rows", sql: `SELECT * FROM ${ident(table)} LIMIT 100` }];
  if (source.key && first) {
    const more = second ? `,\n       max(${ident(second.name)}) AS max_${second.name.replace(/\W/g, "_")}` : "";
    list.unshift({ words: "By device", sql: `SELECT ${ident(source.key)},\n       avg(${ident(first.name)}) AS avg_${first.name.replace(/\W/g, "_")}${more}\nFROM ${ident(table)}\nGROUP BY ${ident(source.key)}\nORDER BY 1` });
  }
  return list;
}

function Examples({ choose }: { choose: (sql: string) => void }) {
  const list = examples();
  if (list.length === 0) return null;
  return (
    <Section id="examples" title="To begin with">
      <div class="examples">
        {list.map((one) => (
          <button type="button" key={one.words} class="example" onClick={() => choose(one.sql)}>
            <span>{one.words}</span>
            <code>{one.sql}</code>
          </button>
        ))}
      </div>
    </Section>
  );
}
