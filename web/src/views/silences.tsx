// Silences: those that hold or will, with who made them, why and until when; how one is made from an alert, and ended.
import { useState } from "preact/hooks";
import { get } from "../api/http";
import type { Alert, FileSilence, Silence, SilencePage } from "../api/types";
import { clip, label, visible } from "../format/text";
import { full, moment, span } from "../format/time";
import { Failure, Section } from "../parts/notes";
import { useAsked } from "../state/asked";
import { about, changes, end, LENGTHS, make, present, wish } from "../state/silences";
import * as store from "../state/store";
import { Confirm, type Question } from "./confirm";

const EVERY_MS = 5_000;

export function Silences() {
  const asked = useAsked(String(changes.value), true, EVERY_MS, (signal) => get<SilencePage>("/silences", {}, signal));
  const now = store.now.value;
  const made = present(asked.answer?.silences ?? [], now);
  const ofFile = (asked.answer?.ofFile ?? []).filter(({ active }) => active);
  if (asked.error) {
    return (
      <Section id="silences" title="Silences">
        <Failure error={asked.error} />
      </Section>
    );
  }
  if (made.length + ofFile.length === 0) return null;
  return (
    <Section id="silences" title="Silences" note="alerts open, and nobody is told">
      <ul class="silences card">
        {made.map((silence) => (
          <Made key={silence.id} silence={silence} now={now} />
        ))}
        {ofFile.map((silence) => (
          <OfFile key={silence.name} silence={silence} now={now} />
        ))}
      </ul>
    </Section>
  );
}

function Made({ silence, now }: { silence: Silence; now: number }) {
  const [question, setQuestion] = useState<Question | null>(null);
  const { id, made, from, until, state } = silence;
  const what = about(silence).map((word) => label(word, 32)).join(" · ");
  const ending: Question = {
    title: "End this silence?",
    words: `${what}. What is still open, and nobody has acknowledged, is told now.`,
    act: "End it",
    danger: false,
    run: () => end(id),
  };
  return (
    <li data-testid="silence">
      <div>
        <p>
          <b>
            <bdi>{what}</bdi>
          </b>{" "}
          <small class="soft num">#{label(id, 12)}</small>
        </p>
        <p class="soft num" title={`until ${full(until)}`}>
          {state === "pending" && from > now ? `from ${moment(from, now)} until ${moment(until, now)}` : `until ${moment(until, now)}, ${span(until - now)} left`}
        </p>
        <p class="soft">
          <bdi>{label(made.by, 40)}</bdi>, {moment(made.at, now)}
          {made.comment && <>: {clip(visible(made.comment), 140)}</>}
        </p>
      </div>
      {store.mayOperate.value && (
        <button type="button" class="button" aria-label={`End the silence of ${what}`} onClick={() => setQuestion(ending)}>
          End
        </button>
      )}
      {question && <Confirm question={question} done={() => setQuestion(null)} />}
    </li>
  );
}

function OfFile({ silence, now }: { silence: FileSilence; now: number }) {
  return (
    <li data-testid="silence-of-file">
      <div>
        <p>
          <b>
            <bdi>{about(silence).map((word) => label(word, 32)).join(" · ")}</bdi>
          </b>
        </p>
        <p class="soft">
          {silence.until !== null && `until ${moment(silence.until, now)} · `}
          <bdi>{label(silence.name, 40)}</bdi> of the pipeline's file
        </p>
      </div>
    </li>
  );
}

/** Asks for how long, of what and why. `name` is the key's. */
export function silencing(alert: Alert, name: string): Question {
  const rule = label(alert.rule, 24);
  return {
    title: "Silence it?",
    words: "What opens or becomes worse while it lasts is kept and shown here, and nobody is told. What is still open at its end, and nobody has acknowledged, is told then.",
    act: "Silence",
    danger: false,
    choices: [
      { name: "Of what", options: [["both", `${rule} of ${name}`], ["key", `every rule of ${name}`], ["rule", `${rule} of everybody`]] },
      { name: "For how long", options: LENGTHS },
    ],
    say: "Why (may be empty)",
    run: (said, [scope = "both", length = "1 hour"]) => make(wish(alert, scope, length, said)),
  };
}
