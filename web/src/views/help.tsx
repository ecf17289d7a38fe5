// Shortcuts: one place that lists them and one that obeys them, from the same table. They are silent while somebody
// types, and can be switched off for those whose tools type by themselves.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Range } from "../api/types";
import { CloseIcon } from "../parts/icons";
import { setShortcuts, shortcuts, switchTheme } from "../state/prefs";
import * as store from "../state/store";

export const helpOpen = signal(false);

interface Shortcut {
  key: string;
  does: string;
  act: () => void;
}

const toRange = (range: Range): void => store.go({ range }, true);

export const SHORTCUTS: Shortcut[] = [
  { key: "?", does: "this list", act: () => (helpOpen.value = true) },
  { key: "/", does: "find a device, or an alert", act: find },
  { key: "1", does: "last 15 minutes", act: () => toRange("15m") },
  { key: "2", does: "last 6 hours", act: () => toRange("6h") },
  { key: "3", does: "last 24 hours", act: () => toRange("24h") },
  { key: "j", does: "next device of the table, next alert", act: () => step(1) },
  { key: "k", does: "device or alert before", act: () => step(-1) },
  { key: "p", does: "the plant", act: () => store.go({ view: "plant", device: null }) },
  { key: "a", does: "all alerts", act: () => store.go({ view: "alerts", device: null }) },
  { key: "q", does: "quality: what was not as expected", act: () => store.go({ view: "quality", device: null }) },
  { key: "s", does: "the SQL console", act: () => store.go({ view: "sql", device: null }) },
  { key: "t", does: "light or dark", act: switchTheme },
];

const inAlerts = (): boolean => store.place.peek().view === "alerts";

function find(): void {
  const id = inAlerts() ? "alert-search" : "device-search";
  const here = document.getElementById(id);
  if (here) return here.focus();
  store.go({ view: "plant" });
  requestAnimationFrame(() => setTimeout(() => document.getElementById(id)?.focus(), 0));
}

/** Moves the focus along the devices of the table, or along the alerts. */
function step(by: number): void {
  const all = [...document.querySelectorAll<HTMLElement>(inAlerts() ? ".feed .alert-history" : ".devices tbody .text-button")];
  const at = all.indexOf(document.activeElement as HTMLElement);
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
  next?.focus();
}

export function listenForShortcuts(): () => void {
  const onKey = (event: KeyboardEvent): void => {
    const target = event.target as HTMLElement | null;
    if (!shortcuts.peek() || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (target?.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    const found = SHORTCUTS.find((one) => one.key === event.key);
    if (!found) return;
    event.preventDefault();
    found.act();
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}

export function Help() {
  const dialog = useRef<HTMLDialogElement | null>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
  }, [open]);
  if (!open) return null;
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={() => (helpOpen.value = false)}>
      <header class="drawer-head">
        <h2 id="help-title">Shortcuts</h2>
        <button type="button" class="icon-button" onClick={() => dialog.current?.close()} aria-label="Close">
          <CloseIcon />
        </button>
      </header>
      <dl class="keys">
        {SHORTCUTS.map((one) => (
          <div key={one.key}>
            <dt>
              <kbd>{one.key}</kbd>
            </dt>
            <dd>{one.does}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>Esc</kbd>
          </dt>
          <dd>close what is open</dd>
        </div>
        <div>
          <dt>
            <kbd>Ctrl</kbd> <kbd>Enter</kbd>
          </dt>
          <dd>run the SQL</dd>
        </div>
      </dl>
      <label class="check">
        <input type="checkbox" checked={shortcuts.value} onChange={(event) => setShortcuts(event.currentTarget.checked)} /> Single-key shortcuts are on
      </label>
      <p class="soft">
        The page's data is at <a href="/api/v1">/api/v1</a> for programs, at <a href="/metrics">/metrics</a> for Prometheus.
        {store.hello.value && <> Forebay {store.hello.value.version}.</>}
      </p>
    </dialog>
  );
}
