// The drawing library comes after the first paint, in a task of its own: words and numbers do not wait for it.
import { useEffect, useState } from "preact/hooks";

/** What `load` gives, once it is there; null until then. `load` is called once per component. */
export function useLater<T>(load: () => Promise<T>): T | null {
  const [loaded, setLoaded] = useState<{ it: T } | null>(null);
  useEffect(() => {
    let here = true;
    load().then(
      (it) => here && setLoaded({ it }),
      (error: unknown) => console.error(error),
    );
    return () => {
      here = false;
    };
  }, []);
  return loaded?.it ?? null;
}
