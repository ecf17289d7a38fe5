// A gauge as a straight scale: where the value stands between its bounds, which part of the scale is dangerous. Up to
// six devices have a scale each; of more, the highest six are shown and counted.
import type { Device, Field, Panel, Source } from "../api/types";
import { markWords, reading } from "../format/number";
import { deviceLabel, whole } from "../format/text";
import { Absent, Quiet, Waiting } from "../parts/notes";
import { useRoster } from "../state/roster";
import { numbers } from "./values";
import { bounded, ticks } from "./place";
import { useSeen } from "./seen";

const MOST = 6;

export function Gauge({ source, field, panel }: { source: Source; field: Field; panel: Panel }) {
  const { host, visible } = useSeen();
  const roster = useRoster(source.name, visible);
  const known = numbers(roster?.devices ?? [], field.name).sort((a, b) => b.value - a.value);
  const all = known.map((one) => bounded(one.value));
  const low = panel.min ?? Math.min(0, ...all);
  const high = panel.max ?? nice(Math.max(1, ...all, panel.critical ?? 0, panel.warn ?? 0) * 1.1);
  const marks = ticks(low, high, 4);
  const words = markWords(marks);
  return (
    <div ref={host} class="gauges">
      {!roster && <Waiting what="devices" />}
      {roster && known.length === 0 && <Absent>No device has sent this field yet.</Absent>}
      {known.slice(0, MOST).map(({ device, value }) => (
        <Scale key={device.key} device={device} value={value} field={field} low={low} high={high} warn={panel.warn ?? null} critical={panel.critical ?? null} source={source} />
      ))}
      {known.length > 0 && (
        <div class="gauge-axis" aria-hidden="true">
          {marks.map((mark, index) => (
            <span key={mark} style={{ left: `${((mark - low) / (high - low)) * 100}%` }}>
              {words[index]}
            </span>
          ))}
        </div>
      )}
      {known.length > MOST && <Quiet>The highest {MOST} of {known.length}.</Quiet>}
    </div>
  );
}

interface ScaleProps {
  device: Device;
  value: number;
  field: Field;
  low: number;
  high: number;
  warn: number | null;
  critical: number | null;
  source: Source;
}

function Scale({ device, value, field, low, high, warn, critical, source }: ScaleProps) {
  const at = (v: number): number => Math.min(100, Math.max(0, ((v - low) / (high - low)) * 100));
  const level = critical !== null && value >= critical ? "critical" : warn !== null && value >= warn ? "warning" : "ok";
  return (
    <div class="gauge">
      <bdi class="gauge-name" title={whole(device.key, 24)}>
        {deviceLabel(device.key, source.name, source.key, 24)}
      </bdi>
      <span class="gauge-value num">
        {reading(value, field)}
        {level !== "ok" && <span class={`tag tag-${level}`}>{level}</span>}
      </span>
      <div class="gauge-scale" role="meter" aria-valuenow={value} aria-valuemin={low} aria-valuemax={high} aria-label={deviceLabel(device.key, source.name, source.key, 24)}>
        <span class={`gauge-fill gauge-${level}`} style={{ width: `${at(value)}%` }} />
        {warn !== null && <span class="gauge-mark gauge-warn" style={{ left: `${at(warn)}%` }} />}
        {critical !== null && <span class="gauge-mark gauge-crit" style={{ left: `${at(critical)}%` }} />}
      </div>
    </div>
  );
}

/** The next round number. */
function nice(value: number): number {
  const marks = ticks(0, value, 4);
  const step = (marks[1] ?? value) - (marks[0] ?? 0);
  return step > 0 ? Math.ceil(value / step - 1e-9) * step : value;
}
