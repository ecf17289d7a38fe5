// Requests to `/api/v1`: JSON in, JSON out, and every failure as one `ApiError` that says what happened and what helps.
// What changes something carries `X-Forebay: 1`, which no form of a foreign page can send.

/** Where in the SQL that was sent; both from 1, characters. */
export interface Place {
  line: number;
  column: number;
}

/** A failed request. `status` 0 means that no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code: string | null = null,
    readonly hint: string | null = null,
    readonly place: Place | null = null,
  ) {
    super(message);
  }
}

export const ROOT = "/api/v1";

export type Query = Record<string, string | number | string[] | null | undefined>;

/** `path` with its parameters; absent and empty ones are left out, lists repeat their name. */
export function address(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    if (Array.isArray(value)) for (const item of value) params.append(name, item);
    else params.append(name, String(value));
  }
  const text = params.toString();
  return `${ROOT}${path}${text ? `?${text}` : ""}`;
}

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return send<T>(address(path, query), { signal: signal ?? null, headers: { Accept: "application/json" } });
}

export function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return send<T>(address(path), {
    method: "POST",
    signal: signal ?? null,
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-Forebay": "1" },
    body: JSON.stringify(body),
  });
}

/** As `post`, to take something away. */
export function remove(path: string): Promise<null> {
  return send<null>(address(path), { method: "DELETE", headers: { Accept: "application/json", "X-Forebay": "1" } });
}

/** Called with the status of every answer that refuses for lack of a sign-in. */
let onUnauthorized: () => void = () => {};
export function whenUnauthorized(act: () => void): void {
  onUnauthorized = act;
}

async function send<T>(url: string, init: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(url, { ...init, credentials: "same-origin", cache: "no-store" });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError(0, "Forebay does not answer", null, "Is it still running? The page tries again by itself.");
  }
  const text = await answer.text();
  if (answer.ok) return (text ? JSON.parse(text) : null) as T;
  if (answer.status === 401) onUnauthorized();
  throw problem(answer.status, text);
}

/** Reads a `problem+json` body; a body of another kind still gives a sentence. */
export function problem(status: number, text: string): ApiError {
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    const say = (name: string): string | null => (typeof body[name] === "string" ? (body[name] as string) : null);
    return new ApiError(status, say("detail") ?? say("title") ?? `refused with status ${status}`, say("code"), say("hint"), placeOf(body["place"]));
  } catch {
    return new ApiError(status, `refused with status ${status}`);
  }
}

function placeOf(value: unknown): Place | null {
  const { line, column } = (value ?? {}) as Partial<Place>;
  const counts = (n: unknown): n is number => typeof n === "number" && Number.isInteger(n) && n > 0;
  return counts(line) && counts(column) ? { line, column } : null;
}
