// Where every record went, as a picture that balances: two bars of one length. Who does not see it reads the table.
import { useEffect, useState } from "preact/hooks";
import type { Ledger } from "../api/types";
import { useSeen } from "../charts/seen";
import { bytes, count, share } from "../format/number";
import { label } from "../format/text";
import { LevelIcon } from "../parts/icons";
import { Quiet, Section, Waiting } from "../parts/notes";
import { balance, FATES, firstOf, meaning, type Balance } from "../state/balance";
import { loadLedger } from "../state/session";
import * as store from "../state/store";

const REFRESH_MS = 2_000;
const BAR = 26;
const FALL = 30;

export function LedgerView() {
  const [wish, setWish] = useState<string | null>(null);
  const { queries = {} } = store.ledger.value ?? {};
  const names = Object.keys(queries).sort();
  useEffect(() => {
    const load = (): void => void loadLedger().catch(() => undefined);
    load();
    const timer = setInterval(load, REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
  // A query that is gone from the file is no choice any more.
  const first = firstOf(queries, (store.schema.value?.queries ?? []).map((query) => query.name));
  const chosen = wish !== null && wish in queries ? wish : first;
  const ledger: Ledger | null = chosen === null ? null : (queries[chosen] ?? null);
  const choice = chosen !== null && names.length > 1 && (
    <select aria-label="Query" value={chosen} onChange={(event) => setWish(event.currentTarget.value)}>
      {names.map((name) => (
        <option key={name} value={name}>
          {label(name)}
        </option>
      ))}
    </select>
  );
  return (
    <Section id="ledger" title="Ledger" tools={choice}>
      {!ledger && (store.ledger.value ? <Quiet>No query runs.</Quiet> : <Waiting what="the ledger" />)}
      {ledger && ledger.read === 0 && <Quiet>Nothing has been read yet. Every record will be counted here once, where its fate is decided.</Quiet>}
      {ledger && ledger.read > 0 && <Picture ledger={ledger} query={chosen ?? ""} />}
    </Section>
  );
}

function Picture({ ledger, query }: { ledger: Ledger; query: string }) {
  const { host, width } = useSeen();
  const sides = balance(ledger, width);
  const rows = FATES.filter(({ fate }) => ledger[fate] > 0 || fate === "emitted" || fate === "quarantined");
  return (
    <div class="ledger" ref={host}>
      <div class="ledger-top">
        <span class="num ledger-read">{count(ledger.read)}</span>
        <span class="soft">
          records read{ledger.bytesRead ? `, ${bytes(ledger.bytesRead)}` : ""}
        </span>
        <span class={`verdict verdict-${sides.balances ? "ok" : "bad"}`} data-testid="verdict">
          <LevelIcon level={sides.balances ? "ok" : "critical"} size={14} />
          {sides.balances ? "balances" : `${count(Math.abs(sides.difference))} ${sides.difference > 0 ? "unaccounted for" : "too many"}`}
        </span>
      </div>
      {width > 0 && <Bars sides={sides} width={width} />}
      <table class="fates">
        <caption class="sr">What became of the {count(ledger.read)} records that were read</caption>
        <tbody>
          {rows.map(({ fate, word, means }) => (
            <tr key={fate}>
              <th scope="row">
                <span class={`swatch fate-${fate}`} aria-hidden="true" />
                {word}
                <span class="soft">{meaning(means, query)}</span>
              </th>
              <td class="num">{count(ledger[fate])}</td>
              <td class="num soft">{share(ledger[fate], ledger.read)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">together</th>
            <td class="num">{count(sides.accounted)}</td>
            <td class="num soft">{sides.balances ? "= read" : "≠ read"}</td>
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

function Bars({ sides, width }: { sides: Balance; width: number }) {
  const height = BAR * 2 + FALL;
  return (
    <svg class="ledger-bars" width={width} height={height} aria-hidden="true">
      <defs>
        <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="hatch-ground" width="6" height="6" />
          <line class="hatch-line" x1="0" y1="0" x2="0" y2="6" />
        </pattern>
      </defs>
      <rect class="fate-read" x="0" y="0" width={sides.read.width} height={BAR} rx="4" />
      {sides.difference < 0 && <rect class="fate-missing" x={sides.read.width} y="0" width={width - sides.read.width} height={BAR} />}
      {sides.pieces.map((piece) => (
        <g key={piece.fate} class={`fate-${piece.fate}`}>
          <rect class="fall" x={piece.x} y={BAR + 2} width={Math.max(0, piece.width - 1)} height={FALL - 4} />
          <rect x={piece.x} y={BAR + FALL} width={Math.max(1, piece.width - 1)} height={BAR} rx={piece.width > 8 ? 4 : 1} />
        </g>
      ))}
    </svg>
  );
}
