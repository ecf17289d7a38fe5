// What a list of alerts comes to: how many of each kind, whose are most, what is muted. Each line narrows the list to what it counts.
import { useState } from "preact/hooks";
import type { Alert } from "../api/types";
import { count, many } from "../format/number";
import { deviceLabel, label, whole } from "../format/text";
import { span } from "../format/time";
import { LevelIcon } from "../parts/icons";
import { Quiet, Section } from "../parts/notes";
import { mutes, worst, type Kind, type Troubled } from "../state/kinds";
import * as store from "../state/store";

/** Keys that are named. */
const WORST = 10;

/** `all` is of what the view shows, whatever kind is chosen. */
export function Kinds({ all }: { all: Kind[] }) {
  const { rule, severity, view } = store.place.value;
  return (
    <Section id="kinds" title="By kind">
      {all.length === 0 && <Quiet>No alert of any kind.</Quiet>}
      {all.length > 0 && (
        <table class="kinds card" aria-label="Alerts by kind">
          <thead>
            <tr>
              <th scope="col">rule</th>
              <th scope="col" class="num">
                open
              </th>
              <th scope="col" class="num">
                cleared
              </th>
            </tr>
          </thead>
          <tbody>
            {all.map((kind) => {
              const pressed = view === "alerts" && rule === kind.rule && severity === kind.severity;
              return (
                <tr key={`${kind.severity}/${kind.rule}`} class={pressed ? "kind-chosen" : ""} data-testid="kind">
                  <th scope="row">
                    <LevelIcon level={kind.severity} />
                    <button type="button" class="text-button" aria-pressed={pressed} title={whole(kind.rule, 32)} onClick={() => store.go({ view: "alerts", rule: pressed ? "" : kind.rule, severity: pressed ? "" : kind.severity }, view === "alerts")}>
                      <bdi>{label(kind.rule, 32)}</bdi>
                    </button>
                    <span class={`word-${kind.severity}`}>{kind.severity}</span>
                  </th>
                  <td class="num kind-open">{count(kind.open)}</td>
                  <td class="num soft">{count(kind.cleared)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
    </Section>
  );
}

const ORDERS = [
  { by: "count", word: "by number" },
  { by: "ms", word: "by time" },
] as const;

export function Worst({ alerts }: { alerts: Alert[] }) {
  const [by, setBy] = useState<"count" | "ms">("count");
  const all = worst(alerts, by, store.now.value, store.sourceOf);
  const most = Math.max(1, all[0]?.[by] ?? 0);
  const tools = (
    <div class="switch" role="group" aria-label="Worst by">
      {ORDERS.map((one) => (
        <button type="button" key={one.by} aria-pressed={by === one.by} onClick={() => setBy(one.by)}>
          {one.word}
        </button>
      ))}
    </div>
  );
  return (
    <Section id="worst" title="Who is worst" tools={all.length > 1 ? tools : undefined}>
      {all.length === 0 && <Quiet>Nobody has had an alert.</Quiet>}
      {all.length > 0 && (
        <ol class="worst card">
          {all.slice(0, WORST).map((one) => (
            <Trouble key={JSON.stringify([one.source, one.key])} one={one} share={one[by] / most} by={by} />
          ))}
        </ol>
      )}
      {all.length > WORST && <Quiet>{many(all.length - WORST, "other")} had alerts, too.</Quiet>}
    </Section>
  );
}

function Trouble({ one, share, by }: { one: Troubled; share: number; by: "count" | "ms" }) {
  const { find, view } = store.place.value;
  const { key } = one;
  const name = key === null ? "NULL" : deviceLabel(key, one.source, store.keyFieldOf(one.source), 24);
  const pressed = view === "alerts" && key !== null && key !== "" && find === key;
  return (
    <li data-testid="worst">
      <LevelIcon level={one.severity ?? "ok"} />
      {key === null || key === "" ? (
        <bdi>{name}</bdi>
      ) : (
        <button type="button" class="text-button" aria-pressed={pressed} title={whole(key, 24)} onClick={() => store.go({ view: "alerts", find: pressed ? "" : key }, view === "alerts")}>
          <bdi>{name}</bdi>
        </button>
      )}
      <span class="bar-track">
        <span class={`bar bar-${one.severity ?? "ok"}`} style={{ width: `${share * 100}%` }} />
      </span>
      <span class="num worst-number">
        {by === "count" ? many(one.count, "alert") : span(one.ms)}
        <small class="soft">{by === "count" ? span(one.ms) : many(one.count, "alert")}</small>
      </span>
    </li>
  );
}

/** What is open and nobody is told of. */
export function Muted({ alerts }: { alerts: Alert[] }) {
  const all = mutes(alerts);
  if (all.length === 0) return null;
  return (
    <Section id="muted" title="Muted" note="open, and nobody is told">
      <ul class="muted card">
        {all.map(({ by, alerts: those }) => (
          <li key={by}>
            <b>{label(by, 60)}</b> covers {many(those.length, "open alert")}
            <ul>
              {those.slice(0, WORST).map((alert) => (
                <li key={alert.id}>
                  <LevelIcon level={alert.severity} />
                  <button type="button" class="text-button" onClick={() => store.go({ alert: String(alert.id) })}>
                    <bdi>{label(alert.rule, 32)}</bdi> · <bdi>{alert.key === null ? "NULL" : label(alert.key, 32)}</bdi>
                  </button>
                </li>
              ))}
            </ul>
            {those.length > WORST && <p class="soft">and {count(those.length - WORST)} more</p>}
          </li>
        ))}
      </ul>
      <Quiet>What is still open when nothing mutes it any more, and nobody has acknowledged, is told then.</Quiet>
    </Section>
  );
}
