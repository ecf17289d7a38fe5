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
  /** Records of which all rows came too late; null if none did. */
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
    late: held && held.late > 0 ? many(held.late, "record") : null,
    ahead: held && held.ahead > 0 ? many(held.ahead, "row") : null,
  };
}

/** The least share of late rows that is worth a word while a query's panel is closed. */
const LATE_SHARE = 0.01;

/** `27 % of records late`: which share of what a query read came too late; null if next to none did, or it is not known. */
export function lateShare({ remembers, read }: Pick<QueryView, "remembers" | "read">): string | null {
  const share = remembers && read ? remembers.late / read : 0;
  return share < LATE_SHARE ? null : `${count(Math.round(100 * share))} % of records late`;
}

/** The table of a query's late rows, as SQL wants it. */
export const lateTable = (name: string): string => `late.${ident(name)}`;

/** The SELECT that shows them. */
export const lateSql = (name: string): string => `SELECT * FROM ${lateTable(name)}`;

/** Whether a table is one of late rows. */
export const isLate = (table: string): boolean => table.startsWith("late.");

/** The queries that have late rows now: the server's list of tables is of its start. */
export const lateTables = (queries: Pick<QueryView, "name" | "remembers">[]): string[] => queries.filter((query) => (query.remembers?.late ?? 0) > 0).map((query) => query.name);
