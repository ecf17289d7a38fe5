// What SQL gave, as a chart: bars where the first column names and another counts, lines where the first is a time. A
// result that suits neither stays a table.
import type { SqlResult } from "../api/types";
import { decimalsFor, fixed } from "../format/number";
import { label } from "../format/text";
import { Waiting } from "../parts/notes";
import { Bars } from "./bars";
import { useLater } from "./later";
import { number, parts } from "./shape";

const MOST_LINES = 6;

export function ResultChart({ result, shape, height = 240 }: { result: SqlResult; shape: "line" | "bar"; height?: number }) {
  const { x, ys, time } = parts(result);
  if (ys.length === 0) return <p class="quiet">No column holds numbers, so there is nothing to draw.</p>;
  if (shape === "line") return <LaterLines result={result} x={x} ys={ys.slice(0, MOST_LINES)} time={time} height={height} />;
  return (
    <div class="result-bars">
      {ys.slice(0, 2).map((y) => {
        const name = result.columns[y]?.name ?? "";
        const values = result.rows.map((row) => number(row[y]));
        const decimals = decimalsFor(values.reduce<number>((most, value) => Math.max(most, Math.abs(value ?? 0)), 0));
        const whole = values.every((value) => value === null || Number.isInteger(value));
        return (
          <figure key={y}>
            <figcaption>{label(name)}</figcaption>
            <Bars caption={name} bars={result.rows.flatMap((row, index) => {
              const value = values[index] ?? null;
              return value === null ? [] : [{ name: x < 0 ? `row ${index + 1}` : String(row[x] ?? "null"), value, text: fixed(value, whole ? 0 : decimals) }];
            })} />
          </figure>
        );
      })}
    </div>
  );
}

function LaterLines(props: { result: SqlResult; x: number; ys: number[]; time: boolean; height: number }) {
  const lines = useLater(() => import("./lines"));
  return lines ? <lines.Lines {...props} /> : <Waiting what="the chart" />;
}
