// The devices by what they say of themselves: how many are in each state, now and over time; which are warmest on average; which
// are late or silent. One choice of labels holds for all of it and for the table, and stands in the address.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { get } from "../api/http";
import { deviceOf } from "../api/normal";
import type { Device, DevicePage, Facet, Field, History, Labels, Range, Shares, Source } from "../api/types";
import { Bars } from "../charts/bars";
import { useSeen } from "../charts/seen";
import { nameOf, SharesChart } from "../charts/shares";
import { count, fieldDecimals, fixed, many, share, withUnit } from "../format/number";
import { deviceLabel, label, titleOf, whole } from "../format/text";
import { since, span } from "../format/time";
import { Absent, Failure, Section, Waiting } from "../parts/notes";
import { useAsked } from "../state/asked";
import { chosen, choose, drawnLabels, ranked, tones, valuesOf } from "../state/fleet";
import { SPAN } from "../state/feed";
import * as store from "../state/store";
import { where } from "../state/store";

/** Who is missing is asked so often; how many there are each second says. */
const EVERY_MS = 5_000;
/** What is read from a history of files is asked more seldom, the longer it is. */
const SHARES_MS: Record<Range, number> = { "15m": 10_000, "6h": 30_000, "24h": 60_000 };
const MEANS_MS: Record<Range, number> = { "15m": 15_000, "6h": 60_000, "24h": 120_000 };
const HEIGHT = 148;
/** Pixels of a step. */
const STEP = 5;
/** Devices whose means are compared: as many as one question takes. */
const COMPARED = 50;
/** Of those the bars that are shown. */
const BARS = 12;
/** Devices that are named where some are late or silent. */
const NAMED = 6;

export function Fleet() {
  const source = store.source.value;
  const labels = store.labels.value;
  if (!source || !source.labels || source.labels.length === 0) return null;
  const chosenSome = where.value.length > 0;
  return (
    <Section
      id="fleet"
      title="Fleet"
      note={labels ? <Counted labels={labels} narrowed={chosenSome} /> : undefined}
      tools={<Choices source={source} labels={labels} />}
    >
      {!labels && <Waiting what="the fleet" like="skeleton-chart" />}
      {labels && (
        <div class="panels">
          {drawnLabels(labels).map((facet) => (
            <Spread key={facet.field} source={source} facet={facet} />
          ))}
          <Averages source={source} />
          <LateAndSilent source={source} labels={labels} />
        </div>
      )}
    </Section>
  );
}

function Counted({ labels, narrowed }: { labels: Labels; narrowed: boolean }) {
  return (
    <span class="num">
      {many(labels.total, "device")}
      {narrowed ? " as chosen" : ""}
    </span>
  );
}

/** One list for each label. What is chosen stays in it also while no device has it. */
function Choices({ source, labels }: { source: Source; labels: Labels | null }) {
  const names = source.labels ?? [];
  const set = (field: string, value: string | null): void => store.go({ where: choose(where.value, field, value, names), page: 0 }, true);
  return (
    <>
      {names.map((field) => {
        const facet = labels?.labels.find((one) => one.field === field);
        const value = chosen(where.value, field, names);
        const values = facet?.values ?? [];
        const gone = value !== null && !values.some((one) => (one.value ?? "") === value);
        return (
          <select key={field} class="choice" aria-label={`Devices by ${label(field, 40)}`} value={value === null ? "any" : `is:${value}`} onChange={(event) => set(field, event.currentTarget.value === "any" ? null : event.currentTarget.value.slice(3))}>
            <option value="any">{`any ${label(field, 24)}`}</option>
            {values.map((one) => (
              <option key={one.value ?? ""} value={`is:${one.value ?? ""}`}>
                {`${label(nameOf(one.value), 32)} (${count(one.devices)})`}
              </option>
            ))}
            {gone && <option value={`is:${value}`}>{`${label(nameOf(value === "" ? null : value), 32)} (0)`}</option>}
          </select>
        );
      })}
      {where.value.length > 0 && (
        <button type="button" class="button" onClick={() => store.go({ where: [], page: 0 }, true)}>
          All devices
        </button>
      )}
    </>
  );
}

/** How the devices are spread over a label's values now, and how often each value came. */
function Spread({ source, facet }: { source: Source; facet: Facet }) {
  const { host, width, visible } = useSeen();
  const { range } = store.place.value;
  const names = source.labels ?? [];
  // Fewer steps on a narrow page; in tens, so that a scroll bar asks nothing anew.
  const points = Math.max(10, Math.min(180, Math.floor(Math.max(0, width - 40) / STEP / 10) * 10));
  const wish = JSON.stringify([source.name, facet.field, range, where.value, points]);
  const asked = useAsked(wish, visible && width > 0, SHARES_MS[range], (signal) => get<Shares>("/shares", { source: source.name, field: facet.field, range, where: where.value, points }, signal));
  const shares = asked.answer?.field === facet.field ? asked.answer : null;
  const values = valuesOf(facet, shares);
  const colours = tones(values);
  const toneOf = (value: string | null) => colours[values.indexOf(value)] ?? "none";
  const total = facet.values.reduce((sum, one) => sum + one.devices, 0) + facet.others;
  const title = titleOf(facet.field);
  const own = chosen(where.value, facet.field, names);
  return (
    <article class="panel" aria-label={label(title)} data-chart="shares">
      <header>
        <h3 title={whole(title, 48)}>{label(title, 48)}</h3>
        <span class="soft">devices now</span>
      </header>
      <div class="spread" role="group" aria-label={`${label(title)}: choose one`}>
        {values.map((value) => {
          const devices = facet.values.find((one) => one.value === value)?.devices ?? 0;
          const pressed = own === (value ?? "");
          return (
            <button key={value ?? ""} type="button" class="spread-value" aria-pressed={pressed} title={whole(nameOf(value), 24)} onClick={() => store.go({ where: choose(where.value, facet.field, pressed ? null : (value ?? ""), names), page: 0 }, true)}>
              <span class={`spread-swatch tone-${toneOf(value)}`} />
              <bdi class="spread-name">{label(nameOf(value), 24)}</bdi>
              <span class="spread-count num">{count(devices)}</span>
              <span class="spread-share num soft">{share(devices, total)}</span>
            </button>
          );
        })}
      </div>
      <div ref={host} class="spread-time">
        <p class="soft spread-note">
          {`readings of the last ${span(SPAN[range])}${shares ? `, ${span(shares.step)} a column` : ""}`}
        </p>
        {asked.error && !shares && <Failure error={asked.error} />}
        {!asked.error && !shares && <Waiting what={`${label(title)} over time`} like="skeleton-shares" />}
        {shares && width > 0 && <SharesChart shares={shares} tones={[...shares.series.map((one) => toneOf(one.value)), "none"]} title={label(title)} width={width} height={HEIGHT} />}
      </div>
    </article>
  );
}

interface Compared {
  field: string;
  rows: { key: string; mean: number }[];
  total: number;
}

/** The mean of a measured field for each device, the greatest first. */
function Averages({ source }: { source: Source }) {
  const { host, visible } = useSeen();
  const { range } = store.place.value;
  const fields = source.fields.filter((field) => field.kind === "number" && field.role === "value");
  const [wanted, want] = useState<string | null>(null);
  const field = fields.find((one) => one.name === wanted) ?? fields[0];
  const name = field?.name ?? "";
  const asked = useAsked(JSON.stringify([source.name, name, range, where.value]), visible && name !== "", MEANS_MS[range], (signal) => compare(source, name, signal));
  if (!field) return null;
  const found = asked.answer?.field === field.name ? asked.answer : null;
  const title = `Average ${titleOf(field.name).toLowerCase()} by device`;
  return (
    <article class="panel" aria-label={label(title)} data-chart="averages">
      <header>
        <h3 title={whole(title, 64)}>{label(title, 64)}</h3>
        {field.unit && <span class="unit">{label(field.unit, 12)}</span>}
        {fields.length > 1 && (
          <select class="panel-choice" aria-label="Field of the averages" value={field.name} onChange={(event) => want(event.currentTarget.value)}>
            {fields.map((one) => (
              <option key={one.name} value={one.name}>
                {label(one.name, 24)}
              </option>
            ))}
          </select>
        )}
      </header>
      <div ref={host}>
        {asked.error && !found && <Failure error={asked.error} />}
        {!asked.error && !found && <Waiting what={label(title)} like="skeleton-averages" />}
        {found && <Ranked found={found} field={field} source={source} range={SPAN[range]} />}
      </div>
    </article>
  );
}

async function compare(source: Source, field: string, signal: AbortSignal): Promise<Compared> {
  const { range } = store.place.peek();
  const page = await get<DevicePage>("/devices", { source: source.name, where: where.peek(), sort: `-${field}`, limit: COMPARED, fields: field.includes(",") ? null : field }, signal);
  const keys = page.devices.map((device) => device.key).filter((key) => key !== "");
  if (keys.length === 0) return { field, rows: [], total: page.total };
  const history = await get<History>("/history", { source: source.name, field, range, key: keys, points: 1 }, signal);
  return { field, rows: ranked(history.series), total: page.total };
}

function Ranked({ found, field, source, range }: { found: Compared; field: Field; source: Source; range: number }) {
  if (found.rows.length === 0) return <Absent>No device has sent this field in the last {span(range)}.</Absent>;
  const most = found.rows[0]?.mean ?? 0;
  const decimals = fieldDecimals(field, most);
  const bars = found.rows.slice(0, BARS).map(({ key, mean }) => ({ name: deviceLabel(key, source.name, source.key, 28), value: mean, text: withUnit(fixed(mean, decimals), field.unit) }));
  const rest = found.rows.length - bars.length;
  const words = [
    `mean of the last ${span(range)}`,
    ...(rest > 0 ? [`${many(rest, "device")} below`] : []),
    ...(found.total > found.rows.length && found.total > COMPARED ? [`of the ${COMPARED} that are highest now`] : []),
  ];
  return (
    <>
      <Bars caption={`Average ${label(field.name)} by device`} bars={bars} />
      <p class="soft spread-note">{words.join(" · ")}</p>
    </>
  );
}

interface Missing {
  silent: Device[];
  late: Device[];
  silentTotal: number;
  lateTotal: number;
}

/**
 * Devices that are not heard, longest first, and those whose data come late, worst first: most of their newest readings do. How many
 * readings came late is another number: a device that is well now may have sent some.
 */
function LateAndSilent({ source, labels }: { source: Source; labels: Labels }) {
  const { host, visible } = useSeen();
  const wish = JSON.stringify([source.name, where.value, labels.quiet > 0, labels.late > 0]);
  const asked = useAsked(wish, visible && labels.quiet + labels.late > 0, EVERY_MS, (signal) => missing(source, signal));
  const found = asked.answer;
  const well = labels.quiet === 0 && labels.late === 0;
  const late = labels.lateRows ?? 0;
  return (
    <article class="panel panel-short" aria-label="Late and missing devices" data-chart="missing">
      <header>
        <h3>Late and missing devices</h3>
        <span class="soft num">{`now ${count(labels.quiet)} silent, ${count(labels.late)} late`}</span>
      </header>
      <div ref={host}>
        {well && <p class="quiet">{labels.total === 0 ? "No device is like this." : "Every device is heard, and none is late now."}</p>}
        {!well && asked.error && !found && <Failure error={asked.error} />}
        {!well && !asked.error && !found && <Waiting what="late and silent devices" like="skeleton-missing" />}
        {!well && found && (
          <>
            {labels.quiet > 0 && <Named devices={found.silent} total={found.silentTotal} state="quiet" source={source} words={(device) => <Silent at={device.lastSeen} />} />}
            {labels.late > 0 && <Named devices={found.late} total={found.lateTotal} state="late" source={source} words={(device) => <>{`data ${span(Math.abs(device.clock?.offset ?? 0))} late`}</>} />}
          </>
        )}
        {late > 0 && <p class="soft spread-note">{`${many(late, "reading")} came late so far: after the watermark's delay`}</p>}
      </div>
    </article>
  );
}

async function missing(source: Source, signal: AbortSignal): Promise<Missing> {
  const ask = (state: string, sort: string) => get<DevicePage>("/devices", { source: source.name, where: where.peek(), state, sort, limit: NAMED }, signal);
  const [silent, late] = await Promise.all([ask("quiet", "lastSeen"), ask("late", "clock")]);
  return { silent: silent.devices.map(deviceOf), late: late.devices.map(deviceOf), silentTotal: silent.total, lateTotal: late.total };
}

/** Its own component, because it changes with the clock. */
function Silent({ at }: { at: number }) {
  const now = store.now.value;
  return <>{`silent since ${since(at, now)} · ${span(now - at)}`}</>;
}

function Named({ devices, total, state, source, words }: { devices: Device[]; total: number; state: "quiet" | "late"; source: Source; words: (device: Device) => ComponentChildren }) {
  return (
    <ul class="missing" aria-label={state === "quiet" ? "Silent devices" : "Late devices"}>
      {devices.map((device) => (
        <li key={device.key}>
          <button type="button" class="text-button" title={whole(device.key)} onClick={() => store.go({ device: device.key, source: device.source })}>
            <bdi>{deviceLabel(device.key, device.source, source.key, 32)}</bdi>
          </button>
          <span class="soft num">{words(device)}</span>
        </li>
      ))}
      {total > devices.length && (
        <li>
          <button type="button" class="text-button" onClick={() => show(state)}>
            {`All ${count(total)} in the table`}
          </button>
        </li>
      )}
    </ul>
  );
}

/** The table below, with these devices alone. */
function show(state: "quiet" | "late"): void {
  store.go({ state, sort: state === "quiet" ? "lastSeen" : "clock", page: 0 }, true);
  const table = document.getElementById("devices");
  table?.scrollIntoView({ block: "start" });
  table?.querySelector<HTMLElement>('[aria-pressed="true"]')?.focus({ preventScroll: true });
}
