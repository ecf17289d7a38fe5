// Asks before anything changes: what will happen, in a sentence, and a button that names the act.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/http";
import { Failure } from "../parts/notes";

export interface Question {
  title: string;
  words: string;
  act: string;
  danger: boolean;
  run: () => Promise<void>;
}

export function Confirm({ question, done }: { question: Question; done: () => void }) {
  const dialog = useRef<HTMLDialogElement | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  const run = async (): Promise<void> => {
    setBusy(true);
    try {
      await question.run();
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
