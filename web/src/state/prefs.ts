// What a person chose for this browser: theme, shortcuts, the SQL they ran. Kept in local storage where that is
// allowed; without it the page works the same and forgets.
//
// The theme is set as this module is read, before the first paint (the script's tag holds rendering back): no page ever
// shows in the other theme first.
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

export type Theme = "light" | "dark";

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const system = (): Theme => (systemDark.matches ? "dark" : "light");
const kept = read("theme");
/** What a person chose against the system's preference; null: they did not. */
let chosen: Theme | null = kept === "light" || kept === "dark" ? kept : null;

/** The theme that shows. Canvases read it, so that they draw again when it changes. */
export const theme = signal<Theme>(chosen ?? system());

/** The style sheet knows the theme by this attribute alone. */
function show(): void {
  const next = chosen ?? system();
  document.documentElement.dataset["theme"] = next;
  theme.value = next;
}
show();
systemDark.addEventListener("change", show);

/** Light and dark take turns; what equals the system's preference is not stored. */
export function switchTheme(): void {
  const next: Theme = theme.value === "dark" ? "light" : "dark";
  chosen = next === system() ? null : next;
  write("theme", chosen);
  show();
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
