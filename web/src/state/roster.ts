// All devices of a source at once, for the panels that need them all: map, distribution, counts. Loaded in pages while
// such a panel can be seen, again every fifteen seconds, and never more than `MOST`; beyond that the panels say so.
import { signal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../api/http";
import { deviceOf } from "../api/normal";
import type { Device, DevicePage } from "../api/types";

export interface Roster {
  devices: Device[];
  total: number;
}

const MOST = 2_000;
const PAGE = 500;
const EVERY_MS = 15_000;

interface Shared {
  roster: Signal<Roster | null>;
  users: number;
  timer: ReturnType<typeof setInterval> | undefined;
}
const shared = new Map<string, Shared>();

async function load(source: string, into: Signal<Roster | null>): Promise<void> {
  const devices: Device[] = [];
  let cursor: string | null = null;
  let total = 0;
  do {
    const page: DevicePage = await get<DevicePage>("/devices", { source, limit: PAGE, cursor });
    devices.push(...page.devices.map(deviceOf));
    total = page.total;
    cursor = page.next;
    // A frame between two pages: parsing them together could hold the page up.
    await new Promise((resume) => setTimeout(resume, 0));
  } while (cursor !== null && devices.length < MOST);
  into.value = { devices, total };
}

/** The roster of a source while `wanted`; null until it is there. */
export function useRoster(source: string, wanted: boolean): Roster | null {
  let entry = shared.get(source);
  if (!entry) {
    entry = { roster: signal<Roster | null>(null), users: 0, timer: undefined };
    shared.set(source, entry);
  }
  const kept = entry;
  useEffect(() => {
    if (!wanted) return;
    kept.users += 1;
    if (kept.users === 1) {
      const ask = (): void => void load(source, kept.roster).catch(() => undefined);
      ask();
      kept.timer = setInterval(ask, EVERY_MS);
    }
    return () => {
      kept.users -= 1;
      if (kept.users === 0) clearInterval(kept.timer);
    };
  }, [source, wanted]);
  return kept.roster.value;
}
