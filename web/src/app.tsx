// The page: status line first, then what it speaks of. Which parts show is decided here and nowhere else.
import { useEffect, useRef } from "preact/hooks";
import { Failure } from "./parts/notes";
import { wide } from "./state/prefs";
import { load } from "./state/session";
import * as store from "./state/store";
import { Alerts } from "./views/alerts";
import { Banner } from "./views/banner";
import { Charts } from "./views/charts";
import { DeviceDrawer } from "./views/device";
import { Devices } from "./views/devices";
import { Empty } from "./views/empty";
import { Help, listenForShortcuts } from "./views/help";
import { LedgerView } from "./views/ledger";
import { Quarantine } from "./views/quarantine";
import { Queries } from "./views/queries";
import { SignIn } from "./views/signin";
import { SqlConsole } from "./views/sql";
import { Announcer, Hero, TopBar, useScrolledPast } from "./views/status";

export function App() {
  const hero = useRef<HTMLDivElement | null>(null);
  const past = useScrolledPast(hero);
  useEffect(listenForShortcuts, []);
  if (store.needsSignIn.value) return <SignIn />;
  const { view } = store.place.value;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>
        Skip to the content
      </a>
      <header class="head" data-level={store.headline.value.level}>
        <TopBar compact={past || view === "sql"} />
      </header>
      <div ref={hero} class="hero-place" hidden={view === "sql"}>
        <Hero />
      </div>
      <Announcer />
      <main id="main" tabIndex={-1}>
        <Banner />
        {view === "sql" ? <SqlView /> : <PlantView />}
      </main>
      <DeviceDrawer />
      <Help />
    </>
  );
}

function SqlView() {
  return (
    <>
      <h1 class="sr">SQL console</h1>
      {store.schema.value ? <SqlConsole /> : <Loading />}
    </>
  );
}

function PlantView() {
  if (!store.schema.value) return <Loading />;
  const sent = store.total.value > 0 || (store.tick.value === null && store.knownKeys.value.length > 0);
  const asked = store.tick.value !== null || store.slice.value !== null;
  if (asked && !sent) {
    return (
      <div class={`plant ${wide.value ? "plant-wide" : ""}`}>
        <Empty />
        <Queries />
      </div>
    );
  }
  const stale = store.link.value.phase === "lost" ? "stale" : "";
  const failing = store.tick.value?.status === "failing";
  if (!wide.value) {
    return (
      <div class={`plant ${stale}`}>
        {failing && <Queries key="queries" />}
        <Alerts key="alerts" />
        <Charts key="charts" />
        <Devices key="devices" />
        <LedgerView key="ledger" />
        {!failing && <Queries key="queries" />}
        <Quarantine />
      </div>
    );
  }
  return (
    <div class={`plant plant-wide ${stale}`}>
      <div class="column">
        <Charts />
        <Devices />
        <Quarantine />
      </div>
      <div class="column">
        {failing && <Queries key="queries" />}
        <Alerts key="alerts" />
        <LedgerView key="ledger" />
        {!failing && <Queries key="queries" />}
      </div>
    </div>
  );
}

/** Nothing is known yet: the page's outline, or why it does not come. */
function Loading() {
  const error = store.bootError.value;
  if (error) {
    return (
      <div class="boot">
        <Failure error={error} retry={() => void load()} />
      </div>
    );
  }
  return (
    <div class={`plant ${wide.value ? "plant-wide" : ""}`} aria-busy="true">
      <p class="sr">Loading</p>
      <div class="section">
        <div class="panels">
          {[1, 2].map((n) => (
            <div key={n} class="panel">
              <div class="skeleton skeleton-chart" />
            </div>
          ))}
        </div>
      </div>
      <div class="section">
        <div class="skeleton skeleton-table" />
      </div>
    </div>
  );
}
