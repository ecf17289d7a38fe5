// How the latest values of a field spread over the devices: a histogram, with the thresholds that the panel names.
import type { Field, Panel, Source } from "../api/types";
import { count, fieldDecimals, fixed, many, markWords, withUnit } from "../format/number";
import { Absent, Quiet, Waiting } from "../parts/notes";
import { useRoster } from "../state/roster";
import { bins, ticks } from "./place";
import { useSeen } from "./seen";
import { numbers } from "./values";

const BINS = 18;
const HEIGHT = 200;
/** Half the width of a word at the axis, about. */
const half = (word = ""): number => 3.6 * word.length;

export function Distribution({ source, field, panel }: { source: Source; field: Field; panel: Panel }) {
  const { host, width, visible } = useSeen();
  const roster = useRoster(source.name, visible);
  const values = numbers(roster?.devices ?? [], field.name).map((one) => one.value);
  const list = bins(values, BINS);
  const first = list[0];
  const last = list[list.length - 1];
  if (!roster || !first || !last) return <div ref={host} class="distribution">{roster ? <Absent>No device has sent this field yet.</Absent> : <Waiting what="devices" />}</div>;
  const low = first.from;
  const high = last.to > low ? last.to : low + 1;
  const top = list.reduce((most, bin) => Math.max(most, bin.count), 1);
  const x = (value: number): number => ((value - low) / (high - low)) * width;
  const marks = ticks(low, high, Math.max(2, width / 90));
  const words = markWords(marks);
  const decimals = fieldDecimals(field, high);
  const most = list.reduce((a, b) => (b.count > a.count ? b : a), first);
  const say = `${many(values.length, "device")}; most, ${count(most.count)}, lie from ${fixed(most.from, decimals)} to ${withUnit(fixed(most.to, decimals), field.unit)}`;
  return (
    <div ref={host} class="distribution">
      <svg width={width} height={HEIGHT + 24} role="img" aria-label={say}>
        {list.map((bin) => {
          const level = panel.critical != null && bin.from >= panel.critical ? "critical" : panel.warn != null && bin.from >= panel.warn ? "warning" : "ok";
          const tall = bin.count === 0 ? 0 : Math.max(3, (bin.count / top) * (HEIGHT - 16));
          return <rect key={bin.from} class={`bin bin-${level}`} x={x(bin.from) + 1} y={HEIGHT - tall} width={Math.max(1, x(bin.to) - x(bin.from) - 2)} height={tall} rx="2" />;
        })}
        {[panel.warn, panel.critical].map((limit, index) =>
          limit != null && limit >= low && limit <= high ? <line key={index} class={index === 0 ? "limit-warning" : "limit-critical"} x1={x(limit)} x2={x(limit)} y1="0" y2={HEIGHT} /> : null,
        )}
        <line class="axis" x1="0" x2={width} y1={HEIGHT + 0.5} y2={HEIGHT + 0.5} />
        {marks.map((mark, index) => (
          <text key={mark} class="axis-text" x={Math.min(width - half(words[index]), Math.max(half(words[index]), x(mark)))} y={HEIGHT + 18} text-anchor="middle">
            {words[index]}
          </text>
        ))}
      </svg>
      <Quiet>{say}.</Quiet>
    </div>
  );
}
