// Names from data, made safe to look at. They are never HTML (the page sets text only); what is left is to keep a name
// from lying: control and direction characters become visible, an empty name says so, an endless one is cut.

/** Longest name that the page shows in a line; the whole (up to `LONGEST_TITLE`) is in the title. */
const LONGEST_NAME = 48;
const LONGEST_TITLE = 512;

/**
 * Characters that show nothing or turn the text around: C0, C1, direction marks and overrides, zero width, BOM. The two
 * joiners (U+200C, U+200D) are letters' business in many scripts and in emoji: beside ASCII they are a trick.
 */
const INVISIBLE = /(?<=^|[\u0000-\u007f])[\u200c\u200d]|[\u200c\u200d](?=$|[\u0000-\u007f])|[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
const NAMED: Record<string, string> = { "\n": "↵", "\t": "⇥" };

/** `text` with every invisible character made visible. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (c) => NAMED[c] ?? `‹U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}›`);
}

/** At most `longest` characters, cut in the middle of nothing: whole code points, an ellipsis instead of the rest. */
export function clip(text: string, longest: number): string {
  if (text.length <= longest) return text;
  const points = Array.from(text.slice(0, longest * 2));
  return points.length <= longest && text.length <= longest * 2 ? text : `${points.slice(0, longest - 1).join("")}…`;
}

/** A name for a line of text. */
export function label(name: string, longest = LONGEST_NAME): string {
  if (name === "") return "(empty name)";
  const shown = clip(visible(clip(name, longest * 2)), longest);
  return shown.trim() === "" ? "(blank name)" : shown;
}

/** A name for a title or a detail line; undefined if `label` already shows all of it. */
export function whole(name: string, longest = LONGEST_NAME): string | undefined {
  return name.length > longest ? clip(visible(clip(name, LONGEST_TITLE)), LONGEST_TITLE) : undefined;
}

/**
 * A device's name. The only device of a source without a key bears the source's name, and so does one of a source of which is not
 * known yet whether it has any (`undefined`); records without a value of the key say so.
 */
export function deviceLabel(key: string, source: string, keyField: string | null | undefined, longest?: number): string {
  if (key !== "") return label(key, longest);
  return keyField ? `(no ${label(keyField, 24)})` : label(source, longest);
}

/**
 * `oil_temperature` → `Oil temperature`: a title where nobody gave one. Only the plainest names become words. All others
 * stay as they are, because `a.b` and `a_b`, `pH` and `ph` are not the same.
 */
export function titleOf(field: string): string {
  const plain = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(field);
  return label(plain ? field.charAt(0).toUpperCase() + field.slice(1).replaceAll("_", " ") : field);
}

/** A name as Spark's SQL wants it. */
export const ident = (name: string): string => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `\`${name.replaceAll("`", "``")}\``);
