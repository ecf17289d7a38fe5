// Small designed answers for the times when there is nothing, not yet, or an error: never a blank place.
import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/http";
import { LevelIcon } from "./icons";

export function Quiet({ children }: { children: ComponentChildren }) {
  return <p class="quiet">{children}</p>;
}

/** A picture for which there is nothing to draw yet: one small line, and no frame around nothing. */
export function Absent({ children }: { children: ComponentChildren }) {
  return (
    <p class="absent">
      <LevelIcon level="unknown" />
      <span>{children}</span>
    </p>
  );
}

/** The place of what is on its way, with its name for those who do not see it. */
export function Waiting({ what, like = "" }: { what: string; like?: string }) {
  return <div class={`skeleton ${like}`} role="progressbar" aria-label={`Loading ${what}`} />;
}

export function Failure({ error, retry }: { error: ApiError; retry?: () => void }) {
  return (
    <div class="failure" role="alert">
      <LevelIcon level="critical" />
      <div>
        <p>
          <b>{error.message}</b> {error.code && <code class="code">{error.code}</code>}
        </p>
        {error.hint && <p class="soft">{error.hint}</p>}
        {retry && (
          <button type="button" class="button" onClick={retry}>
            Try again
          </button>
        )}
      </div>
    </div>
  );
}

export function Section({ id, title, note, tools, children }: { id: string; title: string; note?: ComponentChildren; tools?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="section" aria-labelledby={`${id}-title`} id={id}>
      <header class="section-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {note !== undefined && <span class="section-note">{note}</span>}
        {tools && <div class="section-tools">{tools}</div>}
      </header>
      {children}
    </section>
  );
}
