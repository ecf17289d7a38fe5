// What a part of the page asks again and again while it can be seen: the last answer stays until the next one is there.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/http";

export interface Asked<T> {
  answer: T | null;
  error: ApiError | null;
}

/** Asks while `wanted`, at once when `wish` is another, and then every so often. `ask` is given a way to be stopped. */
export function useAsked<T>(wish: string, wanted: boolean, every: number, ask: (signal: AbortSignal) => Promise<T>): Asked<T> {
  const [asked, setAsked] = useState<Asked<T>>({ answer: null, error: null });
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    if (!wanted) return;
    const running = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = async (): Promise<void> => {
      try {
        const answer = await latest.current(running.signal);
        if (running.signal.aborted) return;
        setAsked({ answer, error: null });
      } catch (cause) {
        if (running.signal.aborted) return;
        // What was known stays: the page says by itself that the link is lost.
        setAsked((before) => ({ ...before, error: cause instanceof ApiError ? cause : new ApiError(0, String(cause)) }));
      }
      timer = setTimeout(() => void again(), every);
    };
    void again();
    return () => {
      running.abort();
      clearTimeout(timer);
    };
  }, [wish, wanted, every]);
  return asked;
}
