// When alerts were open, as bars on one line of time: from the first that is known until now. Words for whoever hears it.
import type { Alert } from "../api/types";
import { many } from "../format/number";
import { moment, span } from "../format/time";
import { covered } from "../state/kinds";

const WIDTH = 1_000;
const HEIGHT = 36;
/** A short one is still seen. */
const LEAST = 4;

export function Spans({ alerts, chosen, now }: { alerts: Alert[]; chosen: Alert["id"]; now: number }) {
  if (alerts.length === 0) return null;
  const from = Math.min(...alerts.map((one) => one.openedAt));
  const until = Math.max(now, ...alerts.map((one) => one.clearedAt ?? one.openedAt));
  const x = (at: number): number => ((at - from) / Math.max(1, until - from)) * WIDTH;
  const bars = alerts.map((one) => {
    const [start, end] = [x(one.openedAt), x(Math.max(one.openedAt, one.clearedAt ?? until))];
    const width = Math.max(LEAST, end - start);
    return { one, left: Math.min(start, WIDTH - width), width };
  });
  const time = covered(alerts.map((one) => [one.openedAt, Math.max(one.openedAt, one.clearedAt ?? now)]));
  const words = `${many(alerts.length, "alert")} since ${moment(from, now, true)}, open for ${span(time)} of ${span(until - from)}`;
  return (
    <figure class="spans">
      <svg role="img" aria-label={words} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width="100%" height={HEIGHT} preserveAspectRatio="none">
        <rect class="spans-track" x={0} y={8} width={WIDTH} height={HEIGHT - 16} />
        {bars.map(({ one, left, width }) => (
          <rect key={one.id} class={`spans-${one.worst ?? one.severity} ${one.id === chosen ? "spans-chosen" : ""}`} x={left} y={one.id === chosen ? 2 : 8} width={width} height={one.id === chosen ? HEIGHT - 4 : HEIGHT - 16} />
        ))}
      </svg>
      <figcaption class="soft num">
        <span>{moment(from, now, true)}</span>
        <span>{`${many(alerts.length, "alert")}, open for ${span(time)}`}</span>
        <span>now</span>
      </figcaption>
    </figure>
  );
}
