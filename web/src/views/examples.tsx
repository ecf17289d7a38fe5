// Statements to begin with, made from the pipeline's own schema: what is offered works.
import { ident } from "../format/text";
import { Section } from "../parts/notes";
import * as store from "../state/store";

/** Statements that work on this pipeline, made from its schema. */
export function examples(): { words: string; sql: string }[] {
  const source = store.source.peek();
  // A table answers sooner than a topic that is read from its beginning.
  const names = store.schema.peek()?.sources.map((one) => one.name) ?? [];
  const tables = store.schema.peek()?.tables ?? [];
  const table = tables.find((name) => !names.includes(name)) ?? tables[0];
  if (!source || !table) return [];
  // A dot may be part of a name or lead into a struct: nobody can tell from the name, so neither is an example.
  const numbers = source.fields.filter((field) => field.kind === "number" && field.role === "value" && !field.name.includes(".")).slice(0, 2);
  const [first, second] = numbers;
  const list = [{ words: "A hundred rows", sql: `SELECT * FROM ${ident(table)} LIMIT 100` }];
  if (source.key && !source.key.includes(".") && first) {
    const more = second ? `,\n       max(${ident(second.name)}) AS max_${second.name.replace(/\W/g, "_")}` : "";
    list.unshift({ words: "By device", sql: `SELECT ${ident(source.key)},\n       avg(${ident(first.name)}) AS avg_${first.name.replace(/\W/g, "_")}${more}\nFROM ${ident(table)}\nGROUP BY ${ident(source.key)}\nORDER BY 1` });
  }
  return list;
}

export function Examples({ choose }: { choose: (sql: string) => void }) {
  const list = examples();
  if (list.length === 0) return null;
  return (
    <Section id="examples" title="To begin with">
      <div class="examples">
        {list.map((one) => (
          <button type="button" key={one.words} class="example" onClick={() => choose(one.sql)}>
            <span>{one.words}</span>
            <code>{one.sql}</code>
          </button>
        ))}
      </div>
    </Section>
  );
}
