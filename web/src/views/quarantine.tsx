// What could not be read: the record itself as it came, why, and the two things one can do about it. Both ask first.
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

export function Quarantine() {
  const page = store.quarantine.value;
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [question, setQuestion] = useState<Question | null>(null);
  const open = store.tick.value?.quarantine?.open ?? page?.open ?? 0;
  if (!page || (open === 0 && page.records.length === 0)) {
    return (
      <Section id="quarantine" title="Quarantine" note="empty">
        <Quiet>Every record could be read. One that cannot is kept here with its bytes and the reason, and the stream goes on.</Quiet>
      </Section>
    );
  }
  const ids = page.records.map((record) => record.id).filter((id) => chosen.has(id));
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const ask = (replay: boolean): void => setQuestion(asking(replay, ids, open, () => setChosen(new Set())));
  const what = ids.length > 0 ? many(ids.length, "record") : `all ${count(open)}`;
  const tools = store.mayOperate.value ? (
    <>
      <button type="button" class="button" onClick={() => ask(true)}>
        Replay {what}
      </button>
      <button type="button" class="button" onClick={() => ask(false)}>
        Drop {what}
      </button>
    </>
  ) : (
    <span class="soft">Replay and drop need the role operator.</span>
  );
  return (
    <Section id="quarantine" title="Quarantine" note={`${many(open, "record")}, ${bytes(store.tick.value?.quarantine?.bytes ?? page.bytes)}`} tools={tools}>
      <ul class="records">
        {page.records.map((record) => (
          <Item key={record.id} record={record} chosen={chosen.has(record.id)} toggle={() => toggle(record.id)} />
        ))}
      </ul>
      {page.next && <More page={page} />}
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
    <button type="button" class="button" onClick={() => void more()}>
      Show more
    </button>
  );
}

function Item({ record, chosen, toggle }: { record: QuarantineRecord; chosen: boolean; toggle: () => void }) {
  const at = toMillis(record.at);
  const raw = record.raw ?? record.rawBase64 ?? "";
  return (
    <li class={`record ${chosen ? "record-chosen" : ""}`}>
      <label class="record-check">
        <input type="checkbox" checked={chosen} onChange={toggle} />
        <span class="sr">Choose {label(record.id)}</span>
      </label>
      <div class="record-words">
        <p>
          <code class="code">{record.code}</code> <b>{clip(visible(record.why), 240)}</b>
          {record.path && <span class="soft"> at {label(record.path)}</span>}
        </p>
        <pre class="raw" tabIndex={0} aria-label="Raw record">
          {record.raw == null ? "base64: " : ""}
          {raw === "" ? "(empty)" : clip(visible(raw), RAW_SHOWN)}
        </pre>
        <p class="soft">
          <span class="num">
            {label(record.topic)} / {record.partition} / {record.offset}
          </span>
          {" · "}
          {many(record.queries.length, "query", "queries")}: {record.queries.map((name) => label(name)).join(", ")}
          {at !== null && (
            <span title={full(at)}>
              {" · "}
              {moment(at, store.now.value, true)}
            </span>
          )}
          {record.truncated && " · cut short here, whole in the quarantine"}
        </p>
      </div>
    </li>
  );
}
