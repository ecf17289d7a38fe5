// The ledger as two bars of one length, pure: what was read above, what became of it below. Both bars are drawn on one
// scale, so a ledger that does not balance is a bar that visibly falls short, and the missing piece has its own number.
import type { Ledger } from "../api/types";

export type Fate = "emitted" | "aggregated" | "unmatched" | "filtered" | "deduplicated" | "dropped" | "quarantined" | "late" | "inFlight";

const SINK = "to the sink";

/** The fates in the order in which they are drawn, each with what it means. */
export const FATES: { fate: Fate; word: string; means: string }[] = [
  { fate: "emitted", word: "emitted", means: SINK },
  { fate: "aggregated", word: "aggregated", means: "into an aggregate" },
  { fate: "filtered", word: "filtered", means: "by a condition" },
  { fate: "unmatched", word: "unmatched", means: "no partner, no element" },
  { fate: "deduplicated", word: "deduplicated", means: "seen before" },
  { fate: "dropped", word: "dropped", means: "malformed" },
  { fate: "late", word: "late", means: "after the watermark" },
  { fate: "quarantined", word: "quarantined", means: "unreadable" },
  { fate: "inFlight", word: "in flight", means: "being worked on" },
];

/** The rule of an alert's query writes nothing: what reached it was looked at. */
export const meaning = (means: string, query: string): string => (means === SINK && query.startsWith("alerts/") ? "looked at by the rule" : means);

/**
 * Whose ledger is shown if nobody chose: the first query of the file, or the first that does not balance. Never a sum: what
 * two queries read would count twice.
 */
export function firstOf(queries: Record<string, Ledger>, inFile: string[]): string | null {
  const names = [...inFile.filter((name) => name in queries), ...Object.keys(queries).sort()];
  return names.find((name) => queries[name]?.balances === false) ?? names[0] ?? null;
}

export interface Piece {
  fate: Fate | "missing";
  count: number;
  x: number;
  width: number;
}

export interface Balance {
  read: { width: number; count: number };
  /** Left to right without gaps; together as wide as they count. */
  pieces: Piece[];
  accounted: number;
  /** read − accounted: above zero records are missing, below zero there are too many. */
  difference: number;
  balances: boolean;
}

/** Width below which a part that exists could not be seen. */
const LEAST = 4;

export function balance(ledger: Ledger, width: number): Balance {
  const parts = FATES.map(({ fate }) => ({ fate: fate as Piece["fate"], count: ledger[fate] ?? 0 })).filter((part) => part.count > 0);
  const accounted = parts.reduce((sum, part) => sum + part.count, 0);
  const difference = ledger.read - accounted;
  const longest = Math.max(ledger.read, accounted);
  if (longest === 0) return { read: { width: 0, count: 0 }, pieces: [], accounted, difference, balances: ledger.balances };
  if (difference > 0) parts.push({ fate: "missing", count: difference });
  const widths = shares(parts.map((part) => part.count), width * (Math.max(ledger.read, accounted) / longest));
  let x = 0;
  const pieces = parts.map((part, index) => {
    const piece = { ...part, x, width: widths[index] ?? 0 };
    x += piece.width;
    return piece;
  });
  return {
    read: { width: difference < 0 ? Math.min(width - LEAST, (width * ledger.read) / longest) : width, count: ledger.read },
    pieces,
    accounted,
    difference,
    balances: ledger.balances && difference === 0,
  };
}

/** Widths in proportion to the counts, each at least `LEAST`, together exactly `width`. */
export function shares(counts: number[], width: number): number[] {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total === 0) return counts.map(() => 0);
  const thin = counts.map((n) => (n / total) * width < LEAST);
  const kept = thin.filter(Boolean).length * LEAST;
  const rest = counts.reduce((sum, n, index) => (thin[index] ? sum : sum + n), 0);
  return counts.map((n, index) => (thin[index] ? LEAST : (n / rest) * (width - kept)));
}
