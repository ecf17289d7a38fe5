// The alerts that a view of many needs: what the server remembers, newest first, asked for in pages while the view is there, again every
// half a minute, and kept up with the stream in between. Never more than `MOST` of each state; beyond that the view says so.
import { effect } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { ApiError, get } from "../api/http";
import { alertOf } from "../api/normal";
import type { Alert, AlertPage } from "../api/types";
import { merged } from "./kinds";
import * as store from "./store";

const MOST = 2_000;
const PAGE = 1_000;
const EVERY_MS = 30_000;

export interface AlertList {
  /** Null until they are there. */
  alerts: Alert[] | null;
  /** There are more than these. */
  isCut: boolean;
  error: ApiError | null;
  retry: () => void;
}

async function pages(state: Alert["state"], rule: string, signal: AbortSignal): Promise<{ alerts: Alert[]; isCut: boolean }> {
  const alerts: Alert[] = [];
  let cursor: string | null = null;
  do {
    const page: AlertPage = await get<AlertPage>("/alerts", { state, rule, limit: PAGE, cursor }, signal);
    alerts.push(...page.alerts.map(alertOf));
    cursor = page.next;
  } while (cursor !== null && alerts.length < MOST);
  return { alerts, isCut: cursor !== null };
}

/** The alerts of a rule; of all rules without one. Nothing is asked while not `wanted`. */
export function useAlertList(rule: string, wanted = true): AlertList {
  const [known, setKnown] = useState<{ rule: string; alerts: Alert[]; isCut: boolean } | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (!wanted) return;
    const running = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      try {
        const [open, cleared] = await Promise.all([pages("open", rule, running.signal), pages("cleared", rule, running.signal)]);
        if (running.signal.aborted) return;
        setKnown({ rule, alerts: merged([...open.alerts, ...cleared.alerts], live(rule)), isCut: open.isCut || cleared.isCut });
        setError(null);
      } catch (cause) {
        if (running.signal.aborted) return;
        setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause)));
      }
      timer = setTimeout(() => void ask(), EVERY_MS);
    };
    void ask();
    // Each transition is taken as it comes: the stream's own list keeps only the newest that cleared.
    const follow = effect(() => {
      const news = live(rule);
      setKnown((before) => before && { ...before, alerts: merged(before.alerts, news) });
    });
    return () => {
      running.abort();
      clearTimeout(timer);
      follow();
    };
  }, [rule, wanted, attempt]);
  const own = wanted && known?.rule === rule ? known : null;
  return { alerts: own?.alerts ?? null, isCut: own?.isCut ?? false, error, retry: () => setAttempt(attempt + 1) };
}

/** What the stream tells. */
function live(rule: string): Alert[] {
  const { open, cleared } = store.alerts.value;
  return [...open, ...cleared].filter((alert) => rule === "" || alert.rule === rule);
}
