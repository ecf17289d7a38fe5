// Whose clock is off, in words: the event times of devices against the timestamps of their records. Pure.
import type { Clocks, DeviceClock, Tick } from "../api/types";
import { count, many } from "../format/number";
import { label } from "../format/text";
import { span } from "../format/time";

const off = (offset: number): string => `${span(Math.abs(offset))} ${offset > 0 ? "ahead" : "behind"}`;

/** `2.0 h ahead`; null of a clock that is right, or that nobody knows. */
export function clockOff(clock: DeviceClock | null | undefined): string | null {
  return !clock || clock.state === "right" ? null : off(clock.offset);
}

/** `3 devices ahead, 1 behind; worst press-17, 2.0 h ahead`, each source by its name if there are several; null while all are right. */
export function clocksOff(followers: Pick<Tick["followers"][number], "source" | "clocks">[]): string | null {
  const told = followers.flatMap(({ source, clocks }) => {
    const words = clocks ? said(clocks) : null;
    return words === null ? [] : [followers.length > 1 ? `${label(source)}: ${words}` : words];
  });
  return told.length === 0 ? null : told.join(" · ");
}

/** The sources that a query reads; all where it is not known which. */
export function ofQuery<Follower extends { source: string; reads?: string | null }>(followers: Follower[], sources: string[] | null | undefined): Follower[] {
  return sources ? followers.filter(({ source, reads }) => sources.includes(reads ?? source)) : followers;
}

function said({ ahead, behind, worst: [worst] }: Clocks): string | null {
  if (!worst) return null;
  const counted = ahead === 0 ? `${many(behind, "device")} behind` : `${many(ahead, "device")} ahead${behind > 0 ? `, ${count(behind)} behind` : ""}`;
  return `${counted}; worst ${label(worst.key, 40)}, ${off(worst.offset)}`;
}
