// Picks numbers and words out of devices' latest values. Pure.
import type { Device, Value } from "../api/types";

export interface Known {
  device: Device;
  value: number;
}

/** The devices that have a number in `field`, with it. */
export function numbers(devices: Device[], field: string): Known[] {
  return devices.flatMap((device) => {
    const value = device.values[field];
    return typeof value === "number" && Number.isFinite(value) ? [{ device, value }] : [];
  });
}

/** How many devices have each value of `field`, most frequent first. */
export function tally(devices: Device[], field: string): { value: Value; count: number }[] {
  const counts = new Map<Value, number>();
  for (const device of devices) {
    const value = device.values[field];
    if (value === undefined) continue;
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count);
}
