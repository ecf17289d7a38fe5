// Whose records fail most, and where those records are: set aside with their bytes, flagged in the rows, or gone.
import { get } from "../api/http";
import type { ByRule, JudgedDevice, SourceQuality } from "../api/quality";
import type { QuarantinePage, QuarantineRecord } from "../api/types";
import { count, many } from "../format/number";
import { clip, deviceLabel, label, visible, whole } from "../format/text";
import { full, moment, toMillis } from "../format/time";
import { Quiet, Section, Waiting } from "../parts/notes";
import { useAsked } from "../state/asked";
import { asideFor, flaggedSql, followed, PERIOD } from "../state/quality";
import * as store from "../state/store";

/** Rules that are told of a device. */
const RULES = 3;
const EVERY_MS = 5_000;
/** Records that are looked through, and shown. */
const LOOKED = 200;
const SHOWN = 6;
const LINE_SHOWN = 160;

export function Worst({ one, looked, devices, others }: { one: SourceQuality; looked: string; devices: JudgedDevice[]; others: number }) {
  const { steps } = store.place.value;
  const of = followed(store.schema.value?.sources ?? [], one.source);
  const most = Math.max(1, devices[0]?.failed ?? 0);
  const none = looked === "" ? "Nobody's record failed a rule" : `Nobody's record failed ${label(looked, 40)}`;
  return (
    <Section id="quality-worst" title="Who fails most" note={looked === "" ? "all rules" : label(looked, 32)}>
      {devices.length === 0 && <Quiet>{others === 0 ? `${none} in ${PERIOD[steps].words}.` : `${many(others, "failure")}, and none of them can be told by device: no column names one, or these records have no value in it.`}</Quiet>}
      {devices.length > 0 && (
        <ol class="worst card quality-worst">
          {devices.map((device) => (
            <li key={device.key} data-testid="worst-device">
              {of ? (
                <button type="button" class="text-button" title={whole(device.key, 28)} onClick={() => store.go({ device: device.key, source: of.name })}>
                  <bdi>{deviceLabel(device.key, of.name, of.key, 28)}</bdi>
                </button>
              ) : (
                <bdi title={whole(device.key, 28)}>{label(device.key, 28)}</bdi>
              )}
              <span class="bar-track">
                <span class="bar bar-warning" style={{ width: `${(device.failed / most) * 100}%` }} />
              </span>
              <span class="num worst-number">{count(device.failed)}</span>
              {looked === "" && <small class="soft quality-which">{worded(device.rules)}</small>}
            </li>
          ))}
        </ol>
      )}
      {devices.length > 0 && others > 0 && <Quiet>{many(others, "failure")} of others, who are not told one by one.</Quiet>}
    </Section>
  );
}

/** `speed_range 12, vin_required 3`, the worst first. */
function worded(rules: ByRule): string {
  const all = Object.entries(rules).sort(([, a], [, b]) => b - a);
  const told = all.slice(0, RULES).map(([name, n]) => (all.length === 1 ? label(name, 32) : `${label(name, 28)} ${count(n)}`));
  return [...told, ...(all.length > RULES ? [`${all.length - RULES} more`] : [])].join(", ");
}

export function Records({ one, looked }: { one: SourceQuality; looked: string }) {
  const rule = one.rules.find(({ name }) => name === looked);
  const aside = !rule || rule.onFail === "quarantine" || rule.onFail === null;
  return (
    <Section id="quality-records" title={rule?.onFail === "flag" ? "Its rows" : "Set aside"} note={aside && looked !== "" ? label(looked, 32) : undefined} tools={aside ? <ToQuarantine /> : undefined}>
      {aside && <Aside one={one} looked={looked} />}
      {rule?.onFail === "flag" && <Flagged source={one.source} rule={rule.name} />}
      {rule?.onFail === "drop" && <Quiet>Rows that fail this rule are dropped: they are counted, and nothing of them is kept.</Quiet>}
      {rule?.onFail === "fail" && <Quiet>A row that fails this rule stops the query, and nothing of its epoch is written or counted. The query says which row it was.</Quiet>}
    </Section>
  );
}

function Flagged({ source, rule }: { source: string; rule: string }) {
  const known = store.schema.value?.tables.some((name) => name === source) ?? false;
  return (
    <>
      <Quiet>Rows that fail this rule go on, and their column _failed_expectations names it.</Quiet>
      {known && (
        <button type="button" class="button" onClick={() => store.go({ view: "sql", sql: flaggedSql(source, rule) })}>
          Show them in SQL
        </button>
      )}
    </>
  );
}

/** The whole quarantine, where records are replayed and dropped. */
function ToQuarantine() {
  if ((store.tick.value?.quarantine?.open ?? 0) === 0) return null;
  const go = (): void => {
    store.go({ view: "plant", device: null });
    // The plant's parts come one after the other.
    let left = 60;
    const look = (): void => {
      const there = document.getElementById("quarantine");
      if (there) there.scrollIntoView();
      else if ((left -= 1) > 0) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  };
  return (
    <button type="button" class="text-button" onClick={go}>
      All in quarantine
    </button>
  );
}

function Aside({ one, looked }: { one: SourceQuality; looked: string }) {
  const wish = JSON.stringify([one.query, one.source]);
  const { answer, error } = useAsked(wish, true, EVERY_MS, async (signal) => ({ wish, page: await get<QuarantinePage>("/quarantine", { query: one.query, limit: LOOKED }, signal) }));
  const page = answer?.wish === wish ? answer.page : null;
  if (!page) return error ? <Quiet>What was set aside cannot be shown now: {error.message}</Quiet> : <Waiting what="records" />;
  const all = asideFor(page.records, one.source, looked);
  if (all.length === 0) {
    return <Quiet>{page.next ? `None of the newest ${count(LOOKED)} records that were set aside failed this.` : looked === "" ? "No record of this source is set aside." : "No record is set aside for this rule."}</Quiet>;
  }
  return (
    <>
      <ul class="records" aria-label="Records set aside">
        {all.slice(0, SHOWN).map((record) => (
          <Item key={record.id} record={record} />
        ))}
      </ul>
      {all.length > SHOWN && <Quiet>{`and ${count(all.length - SHOWN)}${page.next ? " or more" : ""} before`}</Quiet>}
    </>
  );
}

function Item({ record }: { record: QuarantineRecord }) {
  const at = toMillis(record.at);
  const raw = record.raw ?? record.rawBase64 ?? "";
  const words = raw === "" ? "(empty)" : clip(visible(raw), LINE_SHOWN);
  return (
    <li class="record">
      <details class="record-words">
        <summary>
          <code class="code">{label(record.code, 32)}</code>
          {at !== null && (
            <span class="record-time num" title={full(at)}>
              {moment(at, store.now.value, true)}
            </span>
          )}
          <b>{clip(visible(record.why), 240)}</b>
          <span class="record-line mono">{words}</span>
        </summary>
        <pre class="raw" tabIndex={0} aria-label="Raw record">
          {record.raw == null ? "base64: " : ""}
          {words}
        </pre>
        <p class="soft num">
          {label(record.topic)} / {record.partition} / {record.offset}
        </p>
      </details>
    </li>
  );
}
