// Asks before anything changes: what will happen, in a sentence, and a button that names the act; where words of one's own belong to
// it, a place for them.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/http";
import { Failure } from "../parts/notes";

/** The server keeps 1,000 bytes of what somebody says; letters may take several. */
export const LONGEST_WORDS = 300;

export interface Question {
  title: string;
  words: string;
  act: string;
  danger: boolean;
  /** What one may say to it: the name of the field. */
  say?: string;
  /** What one chooses before: the first is chosen unless somebody says otherwise. */
  choices?: Choice[];
  run: (said: string, chosen: string[]) => Promise<void>;
}

export interface Choice {
  name: string;
  /** Each with its words. */
  options: [string, string][];
}

export function Confirm({ question, done }: { question: Question; done: () => void }) {
  const dialog = useRef<HTMLDialogElement | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState("");
  const [chosen, setChosen] = useState((question.choices ?? []).map(({ options }) => options[0]?.[0] ?? ""));
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  const run = async (): Promise<void> => {
    setBusy(true);
    try {
      await question.run(said.trim(), chosen);
      dialog.current?.close();
    } catch (cause) {
      setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause)));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} class="confirm" aria-labelledby="confirm-title" onClose={done}>
      <h2 id="confirm-title">{question.title}</h2>
      <p>{question.words}</p>
      {question.choices?.map((choice, index) => (
        <label class="confirm-say" key={choice.name}>
          {choice.name}
          <select value={chosen[index]} onChange={(event) => setChosen(chosen.with(index, event.currentTarget.value))}>
            {choice.options.map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </label>
      ))}
      {question.say && (
        <label class="confirm-say">
          {question.say}
          <textarea class="input" rows={2} maxLength={LONGEST_WORDS} value={said} onInput={(event) => setSaid(event.currentTarget.value)} />
        </label>
      )}
      {error && <Failure error={error} />}
      <div class="confirm-buttons">
        <button type="button" class="button" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" class={`button ${question.danger ? "button-danger" : "button-main"}`} disabled={busy} onClick={() => void run()}>
          {question.act}
        </button>
      </div>
    </dialog>
  );
}
