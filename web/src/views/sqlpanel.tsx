// A panel that asks the tables by SQL, again and again while it can be seen.
import { useEffect, useState } from "preact/hooks";
import { ApiError, post } from "../api/http";
import type { Panel, SqlResult } from "../api/types";
import { Events } from "../charts/events";
import { ResultChart } from "../charts/result";
import { shapeOf } from "../charts/shape";
import { useSeen } from "../charts/seen";
import { Failure, Quiet, Waiting } from "../parts/notes";
import * as store from "../state/store";
import { ResultTable } from "./resulttable";

const EVERY_MS = 10_000;
const LEAST_MS = 1_000;
const ROWS = 500;

export function SqlPanel({ panel }: { panel: Panel }) {
  const { host, visible } = useSeen();
  const [result, setResult] = useState<SqlResult | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    if (!visible || !panel.sql) return;
    const running = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      try {
        setResult(await post<SqlResult>("/sql", { sql: panel.sql, limit: ROWS }, running.signal));
        setError(null);
      } catch (cause) {
        if (running.signal.aborted) return;
        setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause)));
      }
      timer = setTimeout(() => void ask(), Math.max(LEAST_MS, panel.every ?? EVERY_MS));
    };
    void ask();
    return () => {
      running.abort();
      clearTimeout(timer);
    };
  }, [visible, panel.sql, panel.every]);
  const wanted = panel.as ?? (panel.chart === "sql" ? null : panel.chart);
  const events = wanted === "events";
  const shape = !result ? "table" : wanted === null ? shapeOf(result) : wanted === "line" || wanted === "bar" ? wanted : "table";
  return (
    <div ref={host} class="sql-panel">
      {error && <Failure error={error} />}
      {!result && !error && <Waiting what="the answer" />}
      {result && events && <Events result={result} title={panel.title} />}
      {result && !events && result.rows.length === 0 && <Quiet>The query gives no rows now.</Quiet>}
      {result && !events && result.rows.length > 0 && (shape === "table" ? <ResultTable result={result} caption={panel.title} page={8} /> : <ResultChart result={result} shape={shape} height={200} />)}
      <a class="text-button" href={`#/sql?${new URLSearchParams({ q: panel.sql ?? "" }).toString()}`} onClick={(event) => { event.preventDefault(); store.go({ view: "sql", sql: panel.sql ?? "" }); }}>
        Open in SQL
      </a>
    </div>
  );
}
