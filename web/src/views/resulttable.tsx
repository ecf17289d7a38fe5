// Rows as a table, a page at a time, so that ten thousand rows cost no more than the ones that show.
import { useEffect, useState } from "preact/hooks";
import type { SqlResult, Value } from "../api/types";
import { count, decimalsFor, fixed } from "../format/number";
import { label, whole } from "../format/text";

export function ResultTable({ result, caption, page }: { result: SqlResult; caption: string; page: number }) {
  const [at, setAt] = useState(0);
  useEffect(() => setAt(0), [result.columns.map((column) => column.name).join()]);
  const from = Math.min(at, Math.max(0, Math.ceil(result.rows.length / page) - 1)) * page;
  const shown = result.rows.slice(from, from + page);
  const numeric = result.columns.map((_, index) => shown.every((row) => row[index] === null || typeof row[index] === "number"));
  const decimals = result.columns.map((_, index) => {
    const values = shown.map((row) => row[index]).filter((value): value is number => typeof value === "number");
    return values.every(Number.isInteger) ? 0 : Math.max(2, decimalsFor(Math.max(0, ...values.map(Math.abs))));
  });
  return (
    <>
      <div class="table-scroll" role="region" aria-label={`${label(caption)}, table`} tabIndex={0}>
        <table class="table">
          <caption class="sr">{label(caption)}</caption>
          <thead>
            <tr>
              {result.columns.map((column, index) => (
                <th key={index} scope="col" class={numeric[index] ? "num" : ""}>
                  <bdi>{label(column.name)}</bdi>
                  <span class="type">{label(column.type, 24).toLowerCase()}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, index) => (
              <tr key={from + index}>
                {row.map((value, column) => (
                  <Cell key={column} value={value} decimals={decimals[column] ?? 2} num={numeric[column] ?? false} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {result.rows.length > page && <Pager at={from} size={page} total={result.rows.length} go={(start) => setAt(Math.floor(start / page))} what="rows" />}
    </>
  );
}

function Cell({ value, decimals, num }: { value: Value; decimals: number; num: boolean }) {
  if (value === null) return <td class={`soft ${num ? "num" : ""}`}>null</td>;
  if (typeof value === "number") return <td class="num" title={String(value)}>{Number.isInteger(value) && Math.abs(value) < 1e15 ? fixed(value, decimals) : fixed(value, decimals)}</td>;
  const text = typeof value === "string" ? value : typeof value === "boolean" ? String(value) : JSON.stringify(value);
  return (
    <td title={whole(text, 80)}>
      <bdi>{label(text, 80)}</bdi>
    </td>
  );
}

interface PagerProps {
  at: number;
  size: number;
  total: number;
  go: (start: number) => void;
  what: string;
}

export function Pager({ at, size, total, go, what }: PagerProps) {
  const last = Math.min(total, at + size);
  return (
    <nav class="pager" aria-label={`Pages of ${what}`}>
      <button type="button" class="button" disabled={at === 0} onClick={() => go(Math.max(0, at - size))}>
        Back
      </button>
      <span class="num">
        {total === 0 ? "0" : `${count(at + 1)}–${count(last)}`} of {count(total)} {what}
      </span>
      <button type="button" class="button" disabled={last >= total} onClick={() => go(at + size)}>
        Next
      </button>
    </nav>
  );
}
