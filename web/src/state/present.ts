// The message of an alert is of its opening, and the first line of the page is of now: where the message tells a reading,
// the present one takes its place. Pure.
import type { Alert } from "../api/types";

/** The message with each number that it tells of the opening as it is now; `now` gives a field's present words, null if unknown. */
export function present(alert: Pick<Alert, "message" | "key" | "value">, now: (field: string) => string | null): string {
  let message = alert.message;
  for (const [field, then] of Object.entries(alert.value)) {
    // A device whose name is the number: nobody can tell which of both is meant.
    if (typeof then !== "number" || String(then) === alert.key) continue;
    const current = now(field);
    if (current !== null) message = message.replace(told(then), () => current);
  }
  return message;
}

/** The number standing alone, whole ones also as `72.0`. */
const told = (value: number): RegExp => new RegExp(`(?<![\\w.-])${String(value).replace(/[.+]/g, "\\$&")}(?:\\.0+)?(?!\\w|\\.\\d)`, "g");
