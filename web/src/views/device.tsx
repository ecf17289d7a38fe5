// One device: every field with its latest value, a chart per number, its alerts. A drawer beside the page, so that the
// plant stays in sight; the whole window on a phone. Escape closes it, the back button too.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "../api/http";
import { alertOf, deviceOf } from "../api/normal";
import type { Alert, AlertPage, Device, Field, Source, Value } from "../api/types";
import { LineChart } from "../charts/line";
import { many, plain, rate, reading } from "../format/number";
import { deviceLabel, label, titleOf, whole } from "../format/text";
import { ago, epochMillis, moment } from "../format/time";
import { CloseIcon, LevelIcon } from "../parts/icons";
import { Failure } from "../parts/notes";
import { clockOff } from "../state/clocks";
import * as store from "../state/store";
import { Item } from "./alerts";
import { RangeSwitch } from "./charts";

const REFRESH_MS = 1_000;
const MOST_CHARTS = 8;
/** Alerts of a device that are shown, of each state. */
const SHOWN = 6;
/** Alerts among which those of the device are looked for where the server cannot look for them. */
const NEWEST = 500;
const CHART_HEIGHT = 150;

export function DeviceDrawer() {
  const { device: key, source: sourceName } = store.place.value;
  const source = store.schema.value?.sources.find((one) => one.name === sourceName) ?? store.source.value;
  if (key === null || !source) return null;
  return <Drawer key={`${source.name}/${key}`} source={source} name={key} />;
}

function Drawer({ source, name }: { source: Source; name: string }) {
  const dialog = useRef<HTMLDialogElement | null>(null);
  const heading = useRef<HTMLHeadingElement | null>(null);
  const { device, error } = useDevice(source.name, name);
  // Before anything is painted, so that what a person does next is not undone by the focus going back.
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    heading.current?.focus();
    return () => before?.focus?.();
  }, []);
  const close = (): void => store.go({ device: null });
  const title = deviceLabel(name, source.name, source.key);
  const level = device && device.alerts > 0 ? (device.severity ?? "warning") : device?.state === "live" ? "ok" : "unknown";
  const now = store.now.value;
  return (
    <dialog ref={dialog} class="drawer" aria-labelledby="device-title" onClose={close} onClick={(event) => { if (event.target === dialog.current) dialog.current?.close(); }}>
      <div class="drawer-body">
        <header class="drawer-head">
          <LevelIcon level={level} size={24} />
          <div>
            <h2 id="device-title" ref={heading} tabIndex={-1} title={whole(name)}>
              <bdi>{title}</bdi>
            </h2>
            {device && (
              <p class="soft">
                {device.state === "live" ? "live" : `quiet since ${moment(device.lastSeen, now)}`} · seen {ago(device.lastSeen, now)} · {rate(device.rate)} msg/s · {many(device.count, "event")} in all{clockOff(device.clock) && ` · clock ${clockOff(device.clock)}`}
              </p>
            )}
          </div>
          <RangeSwitch />
          <button type="button" class="icon-button" onClick={() => dialog.current?.close()} aria-label="Close">
            <CloseIcon />
          </button>
        </header>
        {error && <Failure error={error} />}
        {device && <Alerts source={source.name} name={name} state="open" />}
        {device && <Fields source={source} device={device} />}
        <div class="drawer-charts">
          {charted(source).map((field) => (
            <article class="panel" key={field.name} aria-label={titleOf(field.name)}>
              <header>
                <h3>{titleOf(field.name)}</h3>
                {field.unit && <span class="unit">{label(field.unit, 12)}</span>}
              </header>
              <LineChart source={source} field={field} keys={source.key === null ? [] : [name]} all={source.key === null} range={store.place.value.range} named={false} limits={limitsOf(source, field)} height={CHART_HEIGHT} />
            </article>
          ))}
        </div>
        {device && <Alerts source={source.name} name={name} state="cleared" />}
      </div>
    </dialog>
  );
}

function charted(source: Source): Field[] {
  return source.fields.filter((field) => field.kind === "number" && field.role === "value").slice(0, MOST_CHARTS);
}

function limitsOf(source: Source, field: Field) {
  return store.panels.value.find((laid) => laid.source?.name === source.name && laid.field?.name === field.name)?.panel ?? {};
}

function useDevice(source: string, key: string): { device: Device | null; error: ApiError | null } {
  const [device, setDevice] = useState<Device | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    const running = new AbortController();
    const ask = (): void => {
      get<Device>("/device", { source, key }, running.signal).then(
        (answer) => {
          setDevice(deviceOf(answer));
          setError(null);
        },
        (cause: unknown) => {
          if (!running.signal.aborted) setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause)));
        },
      );
    };
    ask();
    const timer = setInterval(ask, REFRESH_MS);
    return () => {
      running.abort();
      clearInterval(timer);
    };
  }, [source, key]);
  return { device, error };
}

function Fields({ source, device }: { source: Source; device: Device }) {
  return (
    <dl class={`fields ${device.state === "quiet" ? "stale" : ""}`}>
      {source.fields.filter((field) => field.name !== source.key || whole(device.key) !== undefined).map((field) => (
        <div key={field.name} title={field.description ?? undefined}>
          <dt title={whole(field.name, 32)}>{label(field.name, 32)}</dt>
          <dd class={field.kind === "number" ? "num" : ""}>
            <bdi>{told(device.values[field.name] ?? (field.name === source.key ? device.key : null), field)}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function told(value: Value, field: Field): string {
  if (typeof value === "number" && (field.role === "time" || field.kind === "time")) return moment(epochMillis(value), store.now.peek(), true);
  if (typeof value === "number") return reading(value, field);
  if (typeof value === "string") return label(value, 96);
  return plain(value, field);
}

/** The alerts of one device; of a server that cannot look for them (it refuses the question), the newest of all. */
function alertsOf(source: string, key: string, state: Alert["state"], signal: AbortSignal): Promise<AlertPage> {
  return get<AlertPage>("/alerts", { source, key, state, limit: key === "" ? NEWEST : SHOWN }, signal).catch((cause: unknown) => {
    if (cause instanceof ApiError && cause.status === 400) return get<AlertPage>("/alerts", { state, limit: NEWEST }, signal);
    throw cause;
  });
}

function Alerts({ source, name, state }: { source: string; name: string; state: Alert["state"] }) {
  const [older, setOlder] = useState<Alert[]>([]);
  useEffect(() => {
    const running = new AbortController();
    alertsOf(source, name, state, running.signal).then((page) => setOlder(page.alerts.map(alertOf)), () => undefined);
    return () => running.abort();
  }, [source, name, state]);
  const { open, cleared } = store.alerts.value;
  const known = new Map<Alert["id"], Alert>();
  for (const alert of [...open, ...cleared, ...older]) {
    if (store.sourceOf(alert) === source && (alert.key ?? "") === name && store.isDevice(alert) && !known.has(alert.id)) known.set(alert.id, alert);
  }
  const list = [...known.values()].filter((alert) => alert.state === state).sort((a, b) => b.openedAt - a.openedAt).slice(0, SHOWN);
  if (list.length === 0) return null;
  return (
    <section>
      <h3>{state === "open" ? "Open alerts" : "Cleared alerts"}</h3>
      <ul class={`alerts ${state === "cleared" ? "alerts-cleared" : ""}`}>
        {list.map((alert) => (
          <Item key={alert.id} alert={alert} device={false} />
        ))}
      </ul>
    </section>
  );
}
