// The devices: a slice of all, latest values at most 30 times a second. A row draws itself when its own device changed,
// and nothing else does. Dim rows are quiet devices; they say since when.
import { computed } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Spark, sparkScale } from "../charts/spark";
import type { Device, Field, Source } from "../api/types";
import { count, fieldDecimals, plain, rate, withUnit } from "../format/number";
import { deviceLabel, label, whole } from "../format/text";
import { ago, epochMillis, full, moment } from "../format/time";
import { ArrowIcon, LevelIcon, StateIcon } from "../parts/icons";
import { Quiet, Section, Waiting } from "../parts/notes";
import { clockOff } from "../state/clocks";
import { columns } from "../state/panels";
import { MOST_COLUMNS, PAGE, sparkField } from "../state/session";
import * as store from "../state/store";
import type { StateFilter } from "../state/url";
import { Pager } from "./resulttable";

const NO_POINTS: (number | null)[] = [];

/** The small lines of all rows have one scale. Told as text, so that rows only hear of it when it is another. */
const sparkWords = computed(() => {
  const rows = store.slice.value?.rows.map((row) => row.device.value.spark?.points ?? NO_POINTS) ?? [];
  const panel = store.panels.value.find((laid) => laid.source === store.source.value && laid.field?.name === sparkField())?.panel;
  return JSON.stringify(sparkScale(rows, panel));
});
const sparkRange = computed(() => JSON.parse(sparkWords.value) as { low: number; high: number });

const FILTERS: { state: StateFilter; word: string }[] = [
  { state: "", word: "All" },
  { state: "alerting", word: "Alerting" },
  { state: "live", word: "Live" },
  { state: "quiet", word: "Quiet" },
];
/** Only where devices have a clock that can be looked after. */
const LATE: (typeof FILTERS)[number] = { state: "late", word: "Late" };

export function Devices() {
  const source = store.source.value;
  const slice = store.slice.value;
  const { search, state, page } = store.place.value;
  const fields = useMemo(() => (source ? columns(source, MOST_COLUMNS) : []), [source]);
  if (!source) return null;
  return (
    <Section id="devices" title="Devices" note={<Note source={source.name} />} tools={<Sources />}>
      <div class="filters">
        <Search />
        <StateSwitch />
      </div>
      {!slice && <Waiting what="devices" like="skeleton-table" />}
      {slice && slice.rows.length === 0 && (
        <Quiet>
          {search ? <>No device matches “{label(search)}”.</> : state ? `No device is ${state} now.` : store.where.value.length > 0 ? "No device is as chosen." : "No device has sent anything yet."}
        </Quiet>
      )}
      {slice && slice.rows.length > 0 && (
        <div class="table-scroll" role="region" aria-label="Devices, table" tabIndex={0}>
          <table class="table devices">
            <caption class="sr">Devices with their latest values</caption>
            <thead>
              <tr>
                <Head name="key" title={source.key ?? "source"} first />
                {sparkField() !== "" && (
                  <th scope="col" class="col-spark">
                    <span class="sr">{sparkField()}, </span>last minute
                  </th>
                )}
                {fields.map((field) => (
                  <Head key={field.name} name={field.name} title={field.name} unit={field.unit} num={field.kind === "number"} />
                ))}
                <th scope="col" class="num col-rate">
                  msg/s
                </th>
                <Head name="lastSeen" title="last seen" num />
              </tr>
            </thead>
            <tbody>
              {slice.rows.map((row) => (
                <DeviceRow key={row.key} row={row} fields={fields} source={source} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {slice && slice.total > PAGE && <Pager at={page * PAGE} size={PAGE} total={slice.total} go={(start) => store.go({ page: Math.floor(start / PAGE) }, true)} what="devices" />}
    </Section>
  );
}

/** Whether the table is narrowed by the fleet's choices, and how fast its source sends. */
function Note({ source }: { source: string }) {
  const choices = store.where.value;
  return choices.length > 0 ? <span>only {choices.map((text) => label(text.replace(":", " "), 40)).join(", ")}</span> : <Pace source={source} />;
}

/** How fast one of several sources sends; of a single one the status line tells it. */
function Pace({ source }: { source: string }) {
  const followers = store.tick.value?.followers ?? [];
  const now = followers.find((one) => one.source === source)?.rate;
  return followers.length > 1 && now != null ? <span class="num">{rate(now)} events/s</span> : null;
}

/** Apart from the table, because its counts change every second and the table need not. */
function StateSwitch() {
  const { state } = store.place.value;
  const counts = store.tick.value?.devices;
  // Ticks count the devices of all sources together.
  const single = store.schema.value?.sources.length === 1;
  const clocks = store.tick.value?.followers.find((one) => one.source === store.source.value?.name)?.clocks;
  const shown: Record<StateFilter, number | undefined> = { "": counts?.total, alerting: counts?.alerting, live: counts?.live, quiet: counts?.quiet, late: clocks?.behind };
  const filters = clocks || state === "late" ? [...FILTERS, LATE] : FILTERS;
  return (
    <div class="switch" role="group" aria-label="State">
      {filters.map((one) => (
        <button type="button" key={one.state} aria-pressed={state === one.state} onClick={() => store.go({ state: one.state, page: 0 }, true)}>
          {one.word}
          {single && <span class="switch-count num">{count(shown[one.state])}</span>}
        </button>
      ))}
    </div>
  );
}

function Sources() {
  const all = store.schema.value?.sources ?? [];
  if (all.length < 2) return null;
  return (
    <select aria-label="Source" value={store.source.value?.name ?? ""} onChange={(event) => store.go({ source: event.currentTarget.value, page: 0, sort: "key", where: [] }, true)}>
      {all.map((one) => (
        <option key={one.name} value={one.name}>
          {label(one.name)}
        </option>
      ))}
    </select>
  );
}

const TYPING_MS = 200;
function Search() {
  const { search } = store.place.value;
  const [text, setText] = useState(search);
  useEffect(() => setText(search), [search]);
  useEffect(() => {
    if (text === search) return;
    const timer = setTimeout(() => store.go({ search: text, page: 0 }, true), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return <input id="device-search" type="search" class="input" placeholder="Find a device" aria-label="Find a device by its name" value={text} onInput={(event) => setText(event.currentTarget.value)} autocomplete="off" spellcheck={false} />;
}

function Head({ name, title, unit, num = false, first = false }: { name: string; title: string; unit?: string | null | undefined; num?: boolean; first?: boolean }) {
  const { sort } = store.place.value;
  const up = sort === name;
  const down = sort === `-${name}`;
  const next = name === "key" ? (up ? "-key" : "key") : down ? name : `-${name}`;
  return (
    <th scope="col" class={num ? "num" : first ? "col-name" : ""} aria-sort={up ? "ascending" : down ? "descending" : "none"}>
      <button type="button" class="sort" onClick={() => store.go({ sort: next, page: 0 }, true)} title={whole(title, 20)}>
        <bdi>{label(title, 20)}</bdi>
        {unit && <span class="unit">{label(unit, 12)}</span>}
        {(up || down) && <ArrowIcon down={down} />}
      </button>
    </th>
  );
}

function DeviceRow({ row, fields, source }: { row: store.Row; fields: Field[]; source: Source }) {
  const device = row.device.value;
  const name = deviceLabel(device.key, device.source, source.key);
  const quiet = device.state === "quiet";
  const open = (): void => store.go({ device: device.key, source: device.source });
  const { low, high } = sparkRange.value;
  return (
    <tr class={quiet ? "row-quiet" : ""} data-severity={device.severity ?? undefined} onClick={open} data-testid="device-row">
      <th scope="row" class="col-name">
        <Mark device={device} />
        <button type="button" class="text-button" onClick={(event) => { event.stopPropagation(); open(); }} title={whole(device.key)}>
          <bdi>{name}</bdi>
        </button>
        <Tags device={device} />
      </th>
      {sparkField() !== "" && (
        <td class="col-spark">
          <Spark points={device.spark?.points ?? NO_POINTS} low={low} high={high} />
        </td>
      )}
      {fields.map((field) => (
        <ValueCell key={field.name} value={device.values[field.name]} field={field} />
      ))}
      <td class="num soft col-rate">{rate(device.rate)}</td>
      <Seen at={device.lastSeen} quiet={quiet} />
    </tr>
  );
}

/** What is wrong with a device, in words. Its place is there while nothing is: see the sheet. */
function Tags({ device }: { device: Device }) {
  const clock = clockOff(device.clock);
  return (
    <span class="tags">
      {device.alerts > 0 && <span class={`tag tag-${device.severity ?? "warning"}`}>{device.severity}</span>}
      {clock && <span class="tag">clock {clock}</span>}
    </span>
  );
}

function Mark({ device }: { device: Device }) {
  if (device.alerts > 0) return <LevelIcon level={device.severity ?? "warning"} size={14} />;
  return (
    <>
      <StateIcon state={device.state} />
      <span class="sr">{device.state}, </span>
    </>
  );
}

export function ValueCell({ value, field }: { value: Device["values"][string] | undefined; field: Field }) {
  // For the narrow table, whose head stands over no column.
  const named = { "data-name": label(field.name, 20) };
  if (typeof value === "number" && (field.role === "time" || field.kind === "time")) {
    return <td class="num col-field" {...named}>{moment(epochMillis(value), store.now.peek(), true)}</td>;
  }
  if (typeof value === "number") return <td class="num value col-field" {...named} data-unit={field.unit ? withUnit("", label(field.unit, 12)) : undefined}>{plain(value, field, fieldDecimals(field, value))}</td>;
  return (
    <td class={`col-field ${field.kind === "number" ? "num" : ""}`} {...named} title={typeof value === "string" ? whole(value, 24) : undefined}>
      <bdi>{typeof value === "string" ? label(value, 24) : plain(value, field)}</bdi>
    </td>
  );
}

/** Its own component, because it changes with the clock and the rest of the row does not. */
function Seen({ at, quiet }: { at: number; quiet: boolean }) {
  const now = store.now.value;
  return (
    <td class="num soft" title={full(at)}>
      {quiet ? `quiet since ${moment(at, now)}` : ago(at, now)}
    </td>
  );
}
