// Before the first event: what to type to send one, with the topic and the fields of this very pipeline.
import { useState } from "preact/hooks";
import type { Source } from "../api/types";
import { label } from "../format/text";
import { exampleEvent } from "../state/panels";
import { serverNow } from "../state/session";
import * as store from "../state/store";

/** `text` as one word of a POSIX shell. */
export const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

export function commands(source: Source, now: number): { words: string; line: string }[] {
  const event = JSON.stringify(exampleEvent(source, now));
  const topic = quoted(source.topic);
  const where = source.bootstrap ?? "localhost:9092";
  const away = where === "localhost:9092" || where === "127.0.0.1:9092" ? "" : ` --bootstrap ${quoted(where)}`;
  return [
    { words: "One event, with what is installed already", line: `echo ${quoted(event)} |\n  forebay produce${away} --topic ${topic}` },
    { words: "With any Kafka client, here kcat", line: `echo ${quoted(event)} |\n  kcat -P -b ${quoted(where)} -t ${topic}` },
  ];
}

export function Empty() {
  const source = store.source.value;
  if (!source) return null;
  return (
    <section class="empty" aria-labelledby="empty-title">
      <h2 id="empty-title">Send the first event</h2>
      <p>
        Everything is running and listens on topic <code>{label(source.topic)}</code>. The moment an event arrives, this page turns into your plant.
      </p>
      {commands(source, serverNow()).map(({ words, line }) => (
        <Command key={words} words={words} line={line} />
      ))}
      <dl class="fields">
        {source.fields.map((field) => (
          <div key={field.name} title={field.description ?? undefined}>
            <dt>{label(field.name, 32)}</dt>
            <dd>
              {field.type.toLowerCase()}
              {field.unit ? `, ${field.unit}` : ""}
              {field.role === "key" ? ", the device" : ""}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

const SAID_MS = 2_000;
function Command({ words, line }: { words: string; line: string }) {
  const [copied, setCopied] = useState(false);
  const copy = (): void => {
    void navigator.clipboard?.writeText(line).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), SAID_MS);
    });
  };
  return (
    <figure class="command">
      <figcaption>{words}</figcaption>
      <pre tabIndex={0}>{line}</pre>
      <button type="button" class="button" onClick={copy} aria-live="polite">
        {copied ? "Copied" : "Copy"}
      </button>
    </figure>
  );
}
