// Which expectations of their sources rows failed, in words. Pure.
import type { QueryView } from "../api/types";
import { count } from "../format/number";
import { label } from "../format/text";

/** Most expectations that are told by name. */
const MOST = 8;

/** `speed_range 7, vin_required 2`, the worst first; null while none failed. */
export function unexpected({ unexpected: failed }: Pick<QueryView, "unexpected">): string | null {
  const all = [...(failed ?? [])].sort((a, b) => b.rows - a.rows);
  if (all.length === 0) return null;
  const told = all.slice(0, MOST).map((one) => `${label(one.name)} ${count(one.rows)}`);
  const more = all.length - told.length;
  return [...told, ...(more > 0 ? [`${more} more`] : [])].join(", ");
}
