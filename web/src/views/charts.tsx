// The panels: drawn from the schema, in the order that `layout` decided, over one time range for all.
import { computed } from "@preact/signals";
import type { Range } from "../api/types";
import { Bars } from "../charts/bars";
import { Distribution } from "../charts/distribution";
import { Gauge } from "../charts/gauge";
import { LineChart } from "../charts/line";
import { DeviceMap } from "../charts/map";
import { useSeen } from "../charts/seen";
import { tally } from "../charts/values";
import { many, plain } from "../format/number";
import { label, whole } from "../format/text";
import { zone } from "../format/time";
import { Absent, Quiet, Section, Waiting } from "../parts/notes";
import { OWN_LINE, type Laid } from "../state/panels";
import { useRoster } from "../state/roster";
import * as store from "../state/store";
import { SqlPanel } from "./sqlpanel";

const RANGES: { range: Range; word: string }[] = [
  { range: "15m", word: "15 min" },
  { range: "6h", word: "6 h" },
  { range: "24h", word: "24 h" },
];
const HEIGHT = 216;
/** Names of fields without a value that are told. */
const MOST_BLANK = 20;

export function RangeSwitch() {
  const { range } = store.place.value;
  return (
    <div class="switch" role="group" aria-label="Time range">
      {RANGES.map((one) => (
        <button type="button" key={one.range} aria-pressed={range === one.range} onClick={() => store.go({ range: one.range }, true)}>
          {one.word}
        </button>
      ))}
    </div>
  );
}

/** Records that came too late for any chart. Its own signal, because the rest of a tick does not concern the charts. */
const tooOld = computed(() => (store.tick.value?.followers ?? []).reduce((sum, one) => sum + one.tooOld, 0));

const noteOf = (late: number, narrowed: boolean): string => `${narrowed ? "all devices · " : ""}times in ${zone(store.now.peek())}${late > 0 ? ` · ${many(late, "record")} came too late to be drawn` : ""}`;

export function Charts() {
  const panels = store.panels.value;
  const blank = panels.filter(({ panel }) => store.blank.value.has(panel.id));
  return (
    <Section id="charts" title="Measurements" note={noteOf(tooOld.value, store.where.value.length > 0)} tools={<RangeSwitch />}>
      {panels.length === 0 && <Quiet>This pipeline's schema has no number to draw. The devices and their values are in the table below.</Quiet>}
      <div class="panels">
        {panels.map((laid) => (
          <PanelCard key={laid.panel.id} laid={laid} />
        ))}
      </div>
      {blank.length > 0 && <Quiet>{blankWords(blank)}</Quiet>}
    </Section>
  );
}

/** Fields whose panel nobody asked for, and that never had a value, take a line together. */
function blankWords(blank: Laid[]): string {
  const several = (store.schema.peek()?.sources.length ?? 1) > 1;
  const names = blank.map(({ source, field }) => `${several && source ? `${label(source.name, 24)}.` : ""}${label(field?.name ?? "", 24)}`);
  return `Without a value so far: ${names.slice(0, MOST_BLANK).join(", ")}${names.length > MOST_BLANK ? ` and ${names.length - MOST_BLANK} more` : ""}.`;
}

function PanelCard({ laid }: { laid: Laid }) {
  const { panel, source, field, trouble } = laid;
  const unit = field?.unit;
  const sources = store.schema.value?.sources.length ?? 1;
  return (
    <article hidden={store.blank.value.has(panel.id)} class={`panel ${panel.wide ? "panel-wide" : ""}`} aria-label={label(panel.title)} data-chart={panel.chart}>
      <header>
        <h3 title={whole(panel.title, 64)}>{label(panel.title, 64)}</h3>
        {unit && <span class="unit">{label(unit, 12)}</span>}
        {sources > 1 && source && <span class="soft">{label(source.name, 24)}</span>}
      </header>
      {trouble ? <Absent>Not drawn: {trouble}.</Absent> : <PanelBody laid={laid} />}
    </article>
  );
}

function PanelBody({ laid: { panel, source, field } }: { laid: Laid }) {
  if (panel.sql) return <SqlPanel panel={panel} />;
  if (!source) return null;
  if (panel.chart === "map") return <DeviceMap source={source} />;
  if (!field) return null;
  if (panel.chart === "gauge") return <Gauge source={source} field={field} panel={panel} />;
  if (panel.chart === "distribution") return <Distribution source={source} field={field} panel={panel} />;
  if (panel.chart === "bar") return <States laid={{ panel, source, field, trouble: null }} />;
  return <FieldLine laid={{ panel, source, field, trouble: null }} />;
}

function FieldLine({ laid: { panel, source, field } }: { laid: Laid }) {
  const { range } = store.place.value;
  if (!source || !field) return null;
  const keys = store.chartKeys(source);
  const all = store.totalOf(source.name) > OWN_LINE || keys.length === 0;
  return <LineChart source={source} field={field} keys={keys} all={all} range={range} limits={panel} height={HEIGHT} onEmpty={(empty) => store.isBlank(panel.id, empty)} />;
}

function States({ laid: { source, field, panel } }: { laid: Laid }) {
  const { host, visible } = useSeen();
  const roster = useRoster(source?.name ?? "", visible && source !== null);
  const counts = roster && field ? tally(roster.devices, field.name) : [];
  return (
    <div ref={host}>
      {!roster && <Waiting what="devices" />}
      {roster && counts.length === 0 && <Absent>No device has sent this field yet.</Absent>}
      {counts.length > 0 && <Bars caption={`Devices by ${panel.title}`} bars={counts.map(({ value, count }) => ({ name: plain(value), value: count, text: many(count, "device") }))} />}
    </div>
  );
}
