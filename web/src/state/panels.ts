// Which panels the page shows, in which order, and which fields are the table's columns: decided from the schema alone.
//
// A person's choice in the file comes before any guess: pinned panels lead, the rest keeps the file's order. A panel
// that names what is not there is not dropped silently; it is kept with the reason, so that the page can say it.
import type { Field, Panel, Schema, Source } from "../api/types";
import { titleOf } from "../format/text";

export interface Laid {
  panel: Panel;
  source: Source | null;
  field: Field | null;
  /** Why the panel cannot be drawn; null if it can. */
  trouble: string | null;
}

/** More line charts than this by default would be wallpaper. */
const MOST_LINES = 8;

export function layout(schema: Schema): Laid[] {
  const panels = schema.panels.length > 0 ? schema.panels : defaults(schema);
  const first = schema.sources[0]?.name;
  return panels
    .filter((panel) => !(panel.chart === "table" && !panel.sql))
    .map((panel, index) => ({ panel, index }))
    .sort((a, b) => Number(b.panel.pinned ?? false) - Number(a.panel.pinned ?? false) || a.index - b.index)
    .map(({ panel }) => place(panel, schema, panel.source ?? first ?? ""))
    .map((laid) => ({ ...laid, panel: { ...laid.panel, title: titled(laid) } }))
    .map(fillRow);
}

/** Narrow panels stand in pairs: the last one without a partner takes the whole row. */
function fillRow(laid: Laid, index: number, all: Laid[]): Laid {
  const narrow = all.filter(({ panel }) => !panel.wide);
  const alone = narrow.length % 2 === 1 && narrow[narrow.length - 1] === all[index];
  return alone ? { ...laid, panel: { ...laid.panel, wide: true } } : laid;
}

function place(panel: Panel, schema: Schema, sourceName: string): Laid {
  const source = schema.sources.find((one) => one.name === sourceName) ?? null;
  if (panel.sql || panel.chart === "sql") {
    // What a SELECT reads is not the first source only because it says no other.
    return { panel, source: panel.source ? source : null, field: null, trouble: panel.sql ? null : "this panel has no SQL" };
  }
  if (!source) return { panel, source, field: null, trouble: `there is no source named ${sourceName}` };
  if (panel.chart === "map") {
    const both = coordinate(source, "lat") && coordinate(source, "lon");
    return { panel, source, field: null, trouble: both ? null : "the source has no latitude and longitude" };
  }
  const field = source.fields.find((one) => one.name === panel.field) ?? null;
  const trouble = field ? null : `the source has no field named ${panel.field ?? "(none)"}`;
  if (!field || panel.unit === undefined || panel.unit === null) return { panel, source, field, trouble };
  return { panel, source, field: { ...field, unit: panel.unit }, trouble };
}

/** A title that is only a name becomes a few words; one that a person wrote stays. */
function titled({ panel, source, field }: Laid): string {
  if (panel.chart === "map" && panel.title === source?.name) return "Where they are";
  if (panel.title !== field?.name) return panel.title;
  return field.description || titleOf(field.name);
}

export function coordinate(source: Source, role: "lat" | "lon"): Field | undefined {
  return source.fields.find((field) => field.role === role);
}

/** What a pipeline gets that names nothing: lines of what it measures, a map if it knows where, bars of its states. */
export function defaults(schema: Schema): Panel[] {
  return schema.sources.flatMap((source) => {
    const panel = (chart: Panel["chart"], field: Field): Panel => ({
      id: `${source.name}.${field.name}`,
      title: field.description || titleOf(field.name),
      chart,
      source: source.name,
      field: field.name,
      unit: field.unit ?? null,
    });
    const lines = source.fields.filter((field) => field.kind === "number" && field.role === "value").slice(0, MOST_LINES);
    // Labels are shown by themselves, now and over time.
    const states = source.fields.filter((field) => field.role === "status" && !source.labels?.includes(field.name));
    const map: Panel[] =
      coordinate(source, "lat") && coordinate(source, "lon")
        ? [{ id: `${source.name}.map`, title: "Where they are", chart: "map", source: source.name }]
        : [];
    return [...lines.map((field) => panel("line", field)), ...map, ...states.map((field) => panel("bar", field))];
  });
}

/** The fields that are worth a column: measured values first, then states, then the rest; never the key, a time or a place. */
export function columns(source: Source, most: number): Field[] {
  const rank = (field: Field): number => (field.role === "value" ? 0 : field.role === "status" ? 1 : 2);
  const placed = coordinate(source, "lat") !== undefined && coordinate(source, "lon") !== undefined;
  return source.fields
    .filter((field) => field.name !== source.key && field.role !== "key" && field.role !== "time" && field.kind !== "time" && !(placed && (field.role === "lat" || field.role === "lon")))
    .map((field, index) => ({ field, index }))
    .sort((a, b) => rank(a.field) - rank(b.field) || a.index - b.index)
    .slice(0, most)
    .map(({ field }) => field);
}

/** Up to this many devices each get a line of their own; more become a band with the notable ones on top. */
export const OWN_LINE = 6;
/** Up to this many devices each have their way on the map. */
export const TRAILS = 24;

/**
 * Which devices the charts single out. Few devices: all of them. Many: those with open alerts, worst first, then the
 * one a person looks at; `most` in all, in a stable order, so that colours stay with their devices.
 */
export function highlighted(known: string[], total: number, alerting: string[], looked: string | null, most = 3): string[] {
  if (total <= OWN_LINE) {
    const all = looked === null || known.includes(looked) ? known : [...known, looked];
    return [...new Set(all)].sort(natural);
  }
  const chosen = new Set<string>();
  if (looked !== null) chosen.add(looked);
  for (const key of alerting) if (chosen.size < most) chosen.add(key);
  return [...chosen].sort(natural);
}

/** `device_2` before `device_10`: runs of digits compare as numbers, the rest by code unit. */
export function natural(a: string, b: string): number {
  const left = a.match(/\d+|\D+/g) ?? [];
  const right = b.match(/\d+|\D+/g) ?? [];
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const [x = "", y = ""] = [left[i], right[i]];
    const numeric = /^\d/.test(x) && /^\d/.test(y) ? Number(x) - Number(y) : 0;
    if (numeric !== 0) return numeric;
    if (x !== y) return x < y ? -1 : 1;
  }
  return left.length - right.length;
}

/** The first JSON event a person could send: one believable value per field of the source, nested as the schema is. */
export function exampleEvent(source: Source, now: number): Record<string, unknown> {
  const event: Record<string, unknown> = {};
  for (const field of source.fields) {
    const path = field.name.split(".");
    const last = path.pop() ?? field.name;
    let at = event;
    for (const step of path) at = (at[step] ??= {}) as Record<string, unknown>;
    at[last] = exampleValue(field, now);
  }
  return event;
}

function exampleValue(field: Field, now: number): unknown {
  if (field.role === "key") return field.kind === "number" ? 1 : "device_1";
  if (field.kind === "time") return new Date(now).toISOString();
  if (field.role === "time") return Math.floor(now / 1000);
  if (field.role === "lat") return 52.52;
  if (field.role === "lon") return 13.4;
  if (field.kind === "bool") return true;
  if (field.kind === "text") return "ok";
  return field.unit === "%" ? 55.5 : /int|long|short|byte/i.test(field.type) ? 42 : 21.5;
}
