// What a person chose for this browser: theme, shortcuts, the SQL they ran. Kept in local storage where that is
// allowed; without it the page works the same and forgets.
import { signal } from "@preact/signals";

function read(name: string): string | null {
  try {
    return localStorage.getItem(`forebay.${name}`);
  } catch {
    return null;
  }
}

function write(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`forebay.${name}`);
    else localStorage.setItem(`forebay.${name}`, value);
  } catch {
    // Forbidden or full: the choice holds until the page is closed.
  }
}

/** Whether the window has room for two columns. Narrow ones get one, in the order of urgency, also for the keyboard. */
const room = matchMedia("(min-width: 1180px)");
export const wide = signal(room.matches);
room.addEventListener("change", () => (wide.value = room.matches));

export type Theme = "system" | "light" | "dark";

const kept = read("theme");
export const theme = signal<Theme>(kept === "light" || kept === "dark" ? kept : "system");
/** Counts up when the colours on the page change, so that canvases draw again. */
export const paint = signal(0);

const systemDark = matchMedia("(prefers-color-scheme: dark)");
systemDark.addEventListener("change", () => (paint.value += 1));

export function isDark(): boolean {
  return theme.value === "dark" || (theme.value === "system" && systemDark.matches);
}

/** Light and dark take turns; what equals the system's preference is not stored. */
export function switchTheme(): void {
  const next: Theme = isDark() ? "light" : "dark";
  const same = (next === "dark") === systemDark.matches;
  theme.value = same ? "system" : next;
  write("theme", same ? null : next);
  if (same) delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = next;
  paint.value += 1;
}

export const shortcuts = signal(read("shortcuts") !== "off");
export function setShortcuts(on: boolean): void {
  shortcuts.value = on;
  write("shortcuts", on ? null : "off");
}

const REMEMBERED = 20;
function readHistory(): string[] {
  try {
    const list: unknown = JSON.parse(read("sql") ?? "[]");
    return Array.isArray(list) ? list.filter((one): one is string => typeof one === "string").slice(0, REMEMBERED) : [];
  } catch {
    return [];
  }
}
export const sqlHistory = signal<string[]>(readHistory());
export function remember(sql: string): void {
  sqlHistory.value = [sql, ...sqlHistory.value.filter((one) => one !== sql)].slice(0, REMEMBERED);
  write("sql", JSON.stringify(sqlHistory.value));
}
export function forgetSql(): void {
  sqlHistory.value = [];
  write("sql", null);
}
