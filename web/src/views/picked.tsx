// The device that is singled out on the map: its state, its readings, its open alerts; and the way to all of it.
import type { Device, Source } from "../api/types";
import { many, reading } from "../format/number";
import { deviceLabel, label, whole } from "../format/text";
import { ago, moment, since } from "../format/time";
import { CloseIcon, LevelIcon } from "../parts/icons";
import { byUrgency } from "../state/status";
import * as store from "../state/store";
import { wordsOf } from "./alerts";

/** Readings that are told. */
const READINGS = 4;
/** Open alerts that are told. */
const ALERTS = 3;

export function Picked({ device, source }: { device: Device; source: Source }) {
  const now = store.now.value;
  const name = deviceLabel(device.key, source.name, source.key);
  const open = byUrgency(store.alerts.value.open.filter((alert) => (alert.key ?? "") === device.key && store.sourceOf(alert) === source.name && store.isDevice(alert)));
  const level = open[0]?.severity ?? (device.state === "live" ? "ok" : "unknown");
  const fields = source.fields.filter((field) => field.kind === "number" && field.role === "value" && typeof device.values[field.name] === "number").slice(0, READINGS);
  return (
    <div class="picked" data-testid="picked">
      <header>
        <LevelIcon level={level} size={20} />
        <p>
          <b title={whole(device.key)}>
            <bdi>{name}</bdi>
          </b>{" "}
          <span class="soft">{device.state === "live" ? `live, seen ${ago(device.lastSeen, now)}` : `quiet since ${moment(device.lastSeen, now)}`}</span>
        </p>
        <button type="button" class="text-button" onClick={() => store.go({ device: device.key, source: source.name })}>
          Details
        </button>
        <button type="button" class="icon-button" onClick={() => store.go({ picked: null }, true)} aria-label="Single out nobody">
          <CloseIcon />
        </button>
      </header>
      {fields.length > 0 && (
        <dl class="picked-values">
          {fields.map((field) => (
            <div key={field.name}>
              <dt>{label(field.name, 24)}</dt>
              <dd class="num">{reading(device.values[field.name] as number, field)}</dd>
            </div>
          ))}
        </dl>
      )}
      {open.length === 0 && <p class="soft">No open alert.</p>}
      {open.length > 0 && (
        <ul class="picked-alerts" aria-label={`Open alerts of ${name}`}>
          {open.slice(0, ALERTS).map((alert) => (
            <li key={alert.id}>
              <LevelIcon level={alert.severity} />
              <button type="button" class="text-button" onClick={() => store.go({ alert: String(alert.id) })}>
                {wordsOf(alert)}
              </button>
              <span class="soft num">
                since {since(alert.openedAt, now)}
                {alert.acknowledged && <>, <bdi>{label(alert.acknowledged.by, 24)}</bdi> takes care of it</>}
              </span>
            </li>
          ))}
        </ul>
      )}
      {open.length > ALERTS && <p class="soft">{many(open.length - ALERTS, "more open alert")}</p>}
    </div>
  );
}
