// What is said of a cycle, pure.
import type { Cycle } from "../api/types";
import { count } from "../format/number";
import { moment, span } from "../format/time";

/** What a cycle does, in a line; `now` counts down. */
export function doing(cycle: Pick<Cycle, "stage" | "number" | "since" | "every" | "repeat">, now: number): string {
  const which = cycle.number === null ? "" : `cycle ${count(cycle.number)}${cycle.repeat === null ? "" : ` of ${count(cycle.repeat)}`}`;
  if (cycle.stage === "waiting") return "has not begun";
  if (cycle.stage === "done") return `done: ${which}`;
  if (cycle.stage !== "collecting" || cycle.since === null) return `${which} is over: ${{ merging: "its files become one", archiving: "the archive gets its name", cleaning: "its files are removed" }[cycle.stage as "merging"] ?? cycle.stage}`;
  const left = cycle.since + cycle.every - now;
  return `${which} collects since ${moment(cycle.since, now, true)}, ${left > 0 ? `archived in ${span(left)}` : "archived after this epoch"}`;
}
