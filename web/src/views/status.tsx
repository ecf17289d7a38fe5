// The first five seconds: is all well, if not where, since when. The line stands over the water line; the bar above it
// stays when the page is scrolled and then carries the line in short.
import { useEffect, useRef, useState } from "preact/hooks";
import { WaterLine } from "../charts/waterline";
import { count, rate } from "../format/number";
import { label } from "../format/text";
import { clock, span, zone } from "../format/time";
import { Glyph, LevelIcon, MoonIcon, SunIcon } from "../parts/icons";
import { switchTheme, theme } from "../state/prefs";
import { spoken } from "../state/status";
import * as store from "../state/store";
import { helpOpen } from "./help";
import { Who } from "./who";

export function TopBar({ compact }: { compact: boolean }) {
  const { view } = store.place.value;
  const status = store.headline.value;
  const schema = store.schema.value;
  const link = store.link.value;
  // Nothing is known of it yet: that is no name, and not an empty one either.
  const title = schema?.title || schema?.pipeline || store.hello.value?.pipeline || "";
  const dark = theme.value === "dark";
  const words = { live: "Live", opening: "Connecting", lost: "Reconnecting" };
  return (
    <div class={`topbar ${compact ? "topbar-compact" : ""}`} data-level={status.level}>
      <a class="brand" href="#/" aria-label="Forebay, to the plant">
        <Glyph />
        <span>Forebay</span>
      </a>
      <span class="pipeline">
        <bdi>{title && label(title)}</bdi>
      </span>
      {compact && (
        <a class="topbar-status" href="#/" onClick={() => scrollTo({ top: 0 })} aria-hidden="true" tabIndex={-1}>
          <LevelIcon level={status.level} />
          <span>{status.headline}</span>
        </a>
      )}
      <nav aria-label="Views">
        <a href="#/" aria-current={view === "plant" ? "page" : undefined}>
          Plant
        </a>
        <a href="#/alerts" aria-current={view === "alerts" ? "page" : undefined}>
          Alerts
        </a>
        <a href="#/quality" aria-current={view === "quality" ? "page" : undefined}>
          Quality
        </a>
        <a href="#/sql" aria-current={view === "sql" ? "page" : undefined}>
          SQL
        </a>
      </nav>
      <span class={`link link-${link.phase}`} title={`All times in ${zone(store.now.value)}`}>
        <span class="link-dot" aria-hidden="true" />
        {words[link.phase]}
        <span class="clock num">{clock(store.now.value)}</span>
      </span>
      <Who />
      <button type="button" class="icon-button" onClick={switchTheme} aria-label={dark ? "Light colours" : "Dark colours"} title={dark ? "Light colours (t)" : "Dark colours (t)"}>
        {dark ? <SunIcon /> : <MoonIcon />}
      </button>
      <button type="button" class="icon-button" onClick={() => (helpOpen.value = true)} aria-label="Shortcuts and help" title="Shortcuts and help (?)">
        ?
      </button>
    </div>
  );
}

export function Hero() {
  const status = store.headline.value;
  const { device } = status;
  const heading = (
    <>
      {status.headline}
    </>
  );
  return (
    <div class="hero" data-level={status.level}>
      <div class="hero-line">
        <LevelIcon level={status.level} size={40} />
        <div class="hero-words">
          <h1>
            {device ? (
              <a href="#/" onClick={(event) => { event.preventDefault(); store.go({ device: device.key, source: device.source }); }}>
                {heading}
              </a>
            ) : (
              heading
            )}
          </h1>
          {status.parts.length > 0 && (
            <p class="hero-parts">
              {status.parts.map((part) => (
                <span key={part}>{part}</span>
              ))}
            </p>
          )}
          {(status.hint || status.code) && (
            <p class="hero-hint">
              {status.code && <code class="code">{status.code}</code>} {status.hint}
            </p>
          )}
        </div>
        <Figures />
      </div>
      <WaterLine />
    </div>
  );
}

/** The numbers that the words leave out. */
function Figures() {
  const tick = store.tick.value;
  const { p50 = null, p99 = null } = tick?.latency ?? {};
  const stale = store.link.value.phase === "lost";
  return (
    <dl class={`figures ${stale ? "stale" : ""}`}>
      <div>
        <dt>events/s</dt>
        <dd class="num">{tick && tick.followers.length > 0 ? rate(tick.rate) : "–"}</dd>
      </div>
      <div title={p99 === null ? undefined : `half of all events are stored within ${span(p50)}, 99 of 100 within ${span(p99)}`}>
        <dt>event to stored</dt>
        <dd class="num">
          {span(p50)}
          <small>{p99 === null ? "not known yet" : `99 % within ${span(p99)}`}</small>
        </dd>
      </div>
      <div>
        <dt>set aside</dt>
        <dd class="num">
          {count(tick?.quarantine?.open)}
          <small>
            {tick?.quarantine?.open ? (
              <button type="button" class="text-button" onClick={() => document.getElementById("quarantine")?.scrollIntoView()}>
                in quarantine
              </button>
            ) : (
              "in quarantine"
            )}
          </small>
        </dd>
      </div>
    </dl>
  );
}

/** Tells changes of the status line to screen readers, once each, and keeps the tab's title in step. */
export function Announcer() {
  const status = store.headline.value;
  const [said, setSaid] = useState("");
  const before = useRef("");
  const title = store.schema.value?.title || store.schema.value?.pipeline || "";
  useEffect(() => {
    // That a time is told without its seconds from now on is no news.
    const news = (status.news ?? status.headline).replace(/(\d\d:\d\d):\d\d/g, "$1");
    if (news === before.current) return;
    before.current = news;
    setSaid(spoken(status));
  }, [status.headline]);
  useEffect(() => {
    const sign = { critical: "▲ ", warning: "◆ ", info: "", ok: "", unknown: "… " }[status.level];
    document.title = `${sign}${title ? `${label(title, 40)} · ` : ""}Forebay`;
  }, [status.level, title]);
  return (
    <div class="sr" role="status" aria-live="polite" data-testid="announcer">
      {said}
    </div>
  );
}

/** True once the status line has left the window; `there` is false while it is not on the page at all. */
export function useScrolledPast(ref: { current: HTMLElement | null }, there: boolean): boolean {
  const [past, setPast] = useState(false);
  useEffect(() => {
    if (!ref.current) return;
    const views = new IntersectionObserver(([entry]) => setPast(!(entry?.isIntersecting ?? true)), { rootMargin: "-64px 0px 0px 0px" });
    views.observe(ref.current);
    return () => {
      views.disconnect();
      setPast(false);
    };
  }, [there]);
  return past && there;
}
