// Colours for canvases, read from the style sheet so that there is one palette. Series differ by dash as well as by
// colour: a line can be told from another in grey, too.
const SERIES = 6;

export interface Palette {
  ink: string;
  soft: string;
  faint: string;
  grid: string;
  surface: string;
  water: string;
  series: string[];
  critical: string;
  warning: string;
  info: string;
  ok: string;
}

/** The palette of the theme that shows now. */
export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: read("ink"),
    soft: read("ink-2"),
    faint: read("ink-3"),
    grid: read("line"),
    surface: read("surface"),
    water: read("water"),
    series: Array.from({ length: SERIES }, (_, i) => read(`series-${i + 1}`)),
    critical: read("critical"),
    warning: read("warning"),
    info: read("info"),
    ok: read("ok"),
  };
}

const DASHES: number[][] = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2]];
export const dash = (index: number): number[] => DASHES[index % DASHES.length] ?? [];

export const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

/** `#rrggbb` with an opacity. */
export function alpha(colour: string, opacity: number): string {
  const hex = Math.round(opacity * 255).toString(16).padStart(2, "0");
  return /^#[0-9a-f]{6}$/i.test(colour) ? `${colour}${hex}` : colour;
}
