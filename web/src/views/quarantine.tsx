// What could not be read, and rows that a sink refused: why, when and the record in a line, as it came when opened; and the two
// things one can do about it. Both ask first. A row was read already, so it is not replayed.
import { useState } from "preact/hooks";
import { get, post } from "../api/http";
import type { QuarantinePage, QuarantineRecord } from "../api/types";
import { bytes, count, many } from "../format/number";
import { clip, label, visible } from "../format/text";
import { full, moment, toMillis } from "../format/time";
import { Quiet, Section } from "../parts/notes";
import { loadQuarantine } from "../state/session";
import * as store from "../state/store";
import { Confirm, type Question } from "./confirm";

const RAW_SHOWN = 600;
/** Of the raw record in its one line; the style sheet cuts what is too long for the window. */
const LINE_SHOWN = 200;
/** Records that show before somebody asks for more. */
const FEW = 5;

export function Quarantine() {
  const page = store.quarantine.value;
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [question, setQuestion] = useState<Question | null>(null);
  const [all, setAll] = useState(false);
  const open = store.tick.value?.quarantine?.open ?? page?.open ?? 0;
  if (!page || (open === 0 && page.records.length === 0)) {
    return (
      <Section id="quarantine" title="Quarantine" note="empty">
        <Quiet>Every record could be read. One that cannot is kept here with its bytes and the reason, and the stream goes on.</Quiet>
      </Section>
    );
  }
  const picked = page.records.filter((record) => chosen.has(record.id));
  const ids = picked.map((record) => record.id);
  // What a sink refused was read already: there is nothing to replay.
  const records = picked.filter((record) => !record.refusedBy).map((record) => record.id);
  const rows = page.refusedRows ?? 0;
  const again = picked.length > 0 ? records.length : Math.max(0, open - rows);
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const ask = (replay: boolean): void => setQuestion(asking(replay, replay ? records : ids, replay ? again : open, () => setChosen(new Set())));
  const what = ids.length > 0 ? many(ids.length, "record") : `all ${count(open)}`;
  const tools = store.mayOperate.value ? (
    <>
      {again > 0 && (
        <button type="button" class="button" onClick={() => ask(true)}>
          Replay {ids.length > 0 ? many(again, "record") : `all ${count(again)}`}
        </button>
      )}
      {store.mayDrop.value ? (
        <button type="button" class="button" onClick={() => ask(false)}>
          Drop {what}
        </button>
      ) : (
        <span class="soft">To drop needs the role admin.</span>
      )}
    </>
  ) : (
    <span class="soft">To replay needs the role operator, to drop admin.</span>
  );
  return (
    <Section id="quarantine" title="Quarantine" note={`${many(open, "record")}, ${bytes(store.tick.value?.quarantine?.bytes ?? page.bytes)}`} tools={tools}>
      <ul class="records">
        {page.records.slice(0, all ? page.records.length : FEW).map((record) => (
          <Item key={record.id} record={record} chosen={chosen.has(record.id)} toggle={() => toggle(record.id)} />
        ))}
      </ul>
      {!all && page.records.length > FEW ? (
        <button type="button" class="button records-more" onClick={() => setAll(true)}>
          Show more
        </button>
      ) : (
        page.next && <More page={page} />
      )}
      {question && <Confirm question={question} done={() => setQuestion(null)} />}
    </Section>
  );
}

function asking(replay: boolean, ids: string[], open: number, after: () => void): Question {
  const n = ids.length > 0 ? ids.length : open;
  return {
    title: replay ? `Replay ${many(n, "record")}?` : `Drop ${many(n, "record")}?`,
    words: replay
      ? "Each goes through its query once more. What can be read now reaches the sink; what still cannot comes back here. The ledger counts them as read again."
      : "They leave the quarantine for good. The log still has them for as long as it keeps its records.",
    act: replay ? "Replay" : "Drop",
    danger: !replay,
    run: async () => {
      await post(replay ? "/quarantine/replay" : "/quarantine/drop", ids.length > 0 ? { records: ids } : { all: true });
      after();
      await loadQuarantine();
    },
  };
}

function More({ page }: { page: QuarantinePage }) {
  const more = async (): Promise<void> => {
    const next = await get<QuarantinePage>("/quarantine", { limit: 20, cursor: page.next });
    store.quarantine.value = { ...next, records: [...page.records, ...next.records] };
  };
  return (
    <button type="button" class="button records-more" onClick={() => void more()}>
      Show more
    </button>
  );
}

function Item({ record, chosen, toggle }: { record: QuarantineRecord; chosen: boolean; toggle: () => void }) {
  const at = toMillis(record.at);
  const raw = record.raw ?? record.rawBase64 ?? "";
  const words = raw === "" ? "(empty)" : clip(visible(raw), RAW_SHOWN);
  return (
    <li class={`record ${chosen ? "record-chosen" : ""}`}>
      <label class="record-check">
        <input type="checkbox" checked={chosen} onChange={toggle} />
        <span class="sr">Choose {label(record.id)}</span>
      </label>
      <details class="record-words">
        <summary>
          <code class="code">{label(record.code, 32)}</code>
          <b>{clip(visible(record.why), 240)}</b>
          {at !== null && (
            <span class="record-time num" title={full(at)}>
              {moment(at, store.now.value, true)}
            </span>
          )}
          <span class="record-line mono">{clip(words, LINE_SHOWN)}</span>
        </summary>
        <pre class="raw" tabIndex={0} aria-label="Raw record">
          {record.raw == null ? "base64: " : ""}
          {words}
        </pre>
        <p class="soft">
          <span class="num">
            {label(record.topic)} / {record.partition} / {record.offset}
          </span>
          {record.path && ` · at ${label(record.path)}`}
          {" · "}
          {many(record.queries.length, "query", "queries")}: {record.queries.map((name) => label(name)).join(", ")}
          {(record.sources ?? []).length > 0 && ` · read as ${record.sources?.map((name) => label(name)).join(", ")}`}
          {record.truncated && " · cut short here, whole in the quarantine"}
        </p>
        {record.refusedBy && (
          <p class="soft">
            A row that {label(record.refusedBy, 80)} refused; the other rows of its record are written, so there is nothing to replay. Mend the table, put the row in by hand, then drop it here.
          </p>
        )}
      </details>
    </li>
  );
}
