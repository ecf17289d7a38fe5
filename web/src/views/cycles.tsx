// Queries that collect for a time and archive: what each does now, and its archives, newest first, to download. A pipeline that has
// none shows nothing of this.
import { useState } from "preact/hooks";
import { get, ROOT } from "../api/http";
import type { Archive, Cycle } from "../api/types";
import { bytes, count, many } from "../format/number";
import { label, whole } from "../format/text";
import { moment, span } from "../format/time";
import { Section } from "../parts/notes";
import { useAsked } from "../state/asked";
import { doing } from "../state/cycles";
import * as store from "../state/store";

const EVERY_MS = 2_000;
/** Where none was there: a file that is taken anew may have some. */
const SELDOM_MS = 60_000;
/** Rows of a table; the newest are what people come for. */
const SHOWN = 20;

export function Cycles() {
  const [known, setKnown] = useState(false);
  const { answer } = useAsked<Cycle[]>("cycles", true, known ? EVERY_MS : SELDOM_MS, async (signal) => {
    const found = await get<Cycle[]>("/cycles", { limit: SHOWN }, signal);
    setKnown(found.length > 0);
    return found;
  });
  const all = answer ?? [];
  if (all.length === 0) return null;
  return (
    <Section id="cycles" title="Archives" note={many(all.reduce((sum, cycle) => sum + cycle.count, 0), "file")}>
      {all.map((cycle) => (
        <CycleCard key={cycle.query} cycle={cycle} />
      ))}
    </Section>
  );
}

function CycleCard({ cycle }: { cycle: Cycle }) {
  const now = store.now.value;
  const share = cycle.stage === "collecting" && cycle.since !== null ? Math.min(1, Math.max(0, (now - cycle.since) / Math.max(1, cycle.every))) : cycle.stage === "waiting" ? 0 : 1;
  return (
    <article class="panel cycle" aria-label={`cycle of ${label(cycle.query)}`} data-stage={cycle.stage}>
      <header>
        <h3 title={whole(cycle.query)}>
          <bdi>{label(cycle.query)}</bdi>
        </h3>
        <span class="soft">every {span(cycle.every)}</span>
      </header>
      <p class="num">{doing(cycle, now)}</p>
      <svg class="cycle-bar" width="100%" height="6" aria-hidden="true">
        <rect class="cycle-track" width="100%" height="6" rx="3" />
        <rect class="cycle-done" width={`${share * 100}%`} height="6" rx="3" />
      </svg>
      {cycle.archives.length === 0 ? (
        <p class="quiet">No archive yet. The first comes when a cycle with rows is over.</p>
      ) : (
        <div class="table-scroll" role="region" aria-label={`archives of ${label(cycle.query)}`} tabIndex={0}>
          <table class="table">
            <caption class="sr">The newest archives of {label(cycle.query)}</caption>
            <thead>
              <tr>
                <th scope="col">file</th>
                <th scope="col" class="num">rows</th>
                <th scope="col" class="num">size</th>
                <th scope="col" class="num">cycle ended</th>
              </tr>
            </thead>
            <tbody>
              {cycle.archives.map((archive) => (
                <ArchiveRow key={archive.name} query={cycle.query} archive={archive} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {cycle.count > cycle.archives.length && (
        <p class="soft num">
          the newest {cycle.archives.length} of {many(cycle.count, "archive")}: {many(cycle.rows, "row")}, {bytes(cycle.bytes)} in all
        </p>
      )}
    </article>
  );
}

function ArchiveRow({ query, archive, now }: { query: string; archive: Archive; now: number }) {
  const file = archive.name.split("/").pop() || archive.name;
  return (
    <tr>
      <td>
        <a class="text-button" href={`${ROOT}/cycles/${encodeURIComponent(query)}/archives/${encodeURIComponent(archive.name)}`} download={file} title={whole(archive.name)}>
          <bdi>{label(file, 64)}</bdi>
        </a>
      </td>
      <td class="num">{count(archive.rows)}</td>
      <td class="num">{bytes(archive.bytes)}</td>
      <td class="num">{moment(archive.at, now, true)}</td>
    </tr>
  );
}
