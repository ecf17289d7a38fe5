// The connection's own words: lost since when, when the next attempt comes, and that nothing is missing once it is back.
import { clip, label, visible } from "../format/text";
import { clock, span } from "../format/time";
import { LevelIcon } from "../parts/icons";
import { hurry } from "../state/session";
import * as store from "../state/store";

export function Banner() {
  const { phase, lostSince, attempt, retryAt, backAt } = store.link.value;
  void store.now.value;
  if (phase === "lost") {
    const wait = retryAt === null ? 0 : Math.max(0, retryAt - Date.now());
    return (
      <div class="banner banner-lost" role="status">
        <LevelIcon level="warning" />
        <p>
          <b>Connection lost</b>
          {lostSince !== null && <> at <span class="num">{clock(lostSince)}</span>, {span(Math.max(0, store.now.value - lostSince))} ago</>}. Trying again
          {wait > 900 ? ` in ${span(Math.round(wait / 1000) * 1000)}` : " now"}, attempt <span class="num">{attempt}</span>. Until then the page shows what was last known.
        </p>
        <button type="button" class="button" onClick={hurry}>
          Try now
        </button>
      </div>
    );
  }
  if (backAt !== null) {
    return (
      <div class="banner banner-back" role="status">
        <LevelIcon level="ok" />
        <p>
          <b>Connected again.</b> History was loaded again, so the charts have no gap.
        </p>
      </div>
    );
  }
  if (store.newer.value !== null) {
    return (
      <div class="banner banner-back" role="status">
        <LevelIcon level="info" />
        <p>
          <b>Forebay is now {label(store.newer.value)}.</b> This page is of an older version; all it shows is still right.
        </p>
        <button type="button" class="button" onClick={() => location.reload()}>
          Load the page again
        </button>
      </div>
    );
  }
  if (store.notice.value !== null) {
    return (
      <div class="banner banner-lost" role="status">
        <LevelIcon level="warning" />
        <p>
          <b>This view could not be shown.</b> {clip(visible(store.notice.value), 300)}
        </p>
        <button type="button" class="button" onClick={() => (store.notice.value = null)}>
          Close
        </button>
      </div>
    );
  }
  return null;
}
