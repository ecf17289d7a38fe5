// What a query with state tells of itself, in words: how far event time has come, what it holds, what came too late or
// from too far ahead. Pure.
import type { QueryView } from "../api/types";
import { bytes, count, many } from "../format/number";
import { ident } from "../format/text";
import { moment, span, toMillis } from "../format/time";

export interface Remembered {
  /** The watermark, and how far it is behind the clock. */
  watermark: string | null;
  /** Windows, sessions or keys that are open, and when the first of them ends. */
  keys: string | null;
  /** Their size beside its limit. */
  size: string | null;
  /** Rows that came too late; null if none did. */
  late: string | null;
  /** Rows whose time was too far ahead to be believed. */
  ahead: string | null;
}

export function remembered(query: Pick<QueryView, "watermark" | "stateBytes" | "remembers">, now: number): Remembered {
  const { remembers: held, stateBytes } = query;
  const at = toMillis(query.watermark);
  const limit = held?.limit ? ` of ${bytes(held.limit)}` : "";
  return {
    watermark: at === null ? null : `${moment(at, now, true)}, ${at > now ? `${span(at - now)} ahead` : `${span(now - at)} behind`}`,
    keys: held ? [count(held.keys), ...(held.oldest ? [`the first until ${moment(held.oldest, now, true)}`] : [])].join(", ") : null,
    size: held ? `${bytes(stateBytes ?? 0)}${limit}` : stateBytes ? bytes(stateBytes) : null,
    late: held && held.late > 0 ? many(held.late, "row") : null,
    ahead: held && held.ahead > 0 ? many(held.ahead, "row") : null,
  };
}

/** The SELECT that shows a query's late rows. */
export const lateSql = (name: string): string => `SELECT * FROM late.${ident(name)}`;
