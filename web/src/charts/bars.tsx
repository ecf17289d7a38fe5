// Horizontal bars: names on the left, lengths on one scale, the number at the end. For counts of states and for what
// SQL gives. A table for whoever hears it.
import { clip, label, whole } from "../format/text";
import { bounded } from "./place";

export interface Bar {
  name: string;
  value: number;
  text: string;
}

/** More than this is a wall, not a chart. */
export const MOST_BARS = 40;

export function Bars({ bars, caption }: { bars: Bar[]; caption: string }) {
  const shown = bars.slice(0, MOST_BARS);
  const sizes = shown.map((bar) => bounded(bar.value));
  const low = Math.min(0, ...sizes);
  const high = Math.max(0, ...sizes);
  const span = high - low || 1;
  return (
    <table class="bars">
      <caption class="sr">{caption}</caption>
      <tbody>
        {shown.map((bar, index) => (
          <tr key={`${index}/${clip(bar.name, 64)}`}>
            <th scope="row" title={whole(bar.name, 28)}>
              <bdi>{label(bar.name, 28)}</bdi>
            </th>
            <td>
              <span class="bar-track">
                <span class="bar" style={{ marginLeft: `${((Math.min(0, sizes[index] ?? 0) - low) / span) * 100}%`, width: `${(Math.abs(sizes[index] ?? 0) / span) * 100}%` }} />
              </span>
            </td>
            <td class="num">{bar.text}</td>
          </tr>
        ))}
      </tbody>
      {bars.length > MOST_BARS && (
        <tfoot>
          <tr>
            <td colSpan={3} class="soft">{bars.length - MOST_BARS} more are in the table.</td>
          </tr>
        </tfoot>
      )}
    </table>
  );
}
