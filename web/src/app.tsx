// The page: status line first, then what it speaks of. Which parts show is decided here and nowhere else.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Guard } from "./parts/guard";
import { Absent, Failure, Section, Waiting } from "./parts/notes";
import { wide } from "./state/prefs";
import { load } from "./state/session";
import * as store from "./state/store";
import { useLater } from "./charts/later";
import { AlertDrawer } from "./views/alert";
import { Alerts } from "./views/alerts";
import { Banner } from "./views/banner";
import { Charts } from "./views/charts";
import { Cycles } from "./views/cycles";
import { DeviceDrawer } from "./views/device";
import { Devices } from "./views/devices";
import { Empty } from "./views/empty";
import { Fleet } from "./views/fleet";
import { Help, listenForShortcuts } from "./views/help";
import { LedgerView } from "./views/ledger";
import { Quarantine } from "./views/quarantine";
import { Queries } from "./views/queries";
import { SignIn } from "./views/signin";
import { SqlConsole } from "./views/sql";
import { Announcer, Hero, TopBar, useScrolledPast } from "./views/status";

export function App() {
  const hero = useRef<HTMLDivElement | null>(null);
  const past = useScrolledPast(hero, !store.needsSignIn.value);
  useEffect(listenForShortcuts, []);
  if (store.needsSignIn.value) return <SignIn />;
  const { view } = store.place.value;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>
        Skip to the content
      </a>
      <header class="head" data-level={store.headline.value.level}>
        <TopBar compact={past || view !== "plant"} />
      </header>
      <div ref={hero} class="hero-place" hidden={view !== "plant"}>
        <Guard part="Status">
          <Hero />
        </Guard>
      </div>
      <Announcer />
      <main id="main" tabIndex={-1}>
        <Banner />
        <Guard part={view} key={view}>{view === "sql" ? <SqlView /> : view === "alerts" ? <AllAlerts /> : view === "quality" ? <AllQuality /> : <PlantView />}</Guard>
      </main>
      <Guard part="Device">
        <DeviceDrawer />
      </Guard>
      <Guard part="Alert">
        <AlertDrawer />
      </Guard>
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

/** Its code comes when it is asked for: the first view does not wait for it. */
function AllAlerts() {
  const loaded = useLater(() => import("./views/alertsview"));
  return (
    <>
      <h1 class="sr">Alerts</h1>
      {loaded && store.schema.value && store.booted.value ? <loaded.AlertsView /> : <Loading />}
    </>
  );
}

function AllQuality() {
  const loaded = useLater(() => import("./views/quality"));
  return (
    <>
      <h1 class="sr">Quality</h1>
      {loaded && store.schema.value && store.booted.value ? <loaded.QualityView /> : <Loading />}
    </>
  );
}

function PlantView() {
  const stage = useStages(STAGES);
  if (!store.schema.value || !store.booted.value) return <Loading />;
  const blind = store.schema.value.sources.length === 0;
  if (store.total.value === 0 && !blind) {
    return (
      <div class={`plant ${wide.value ? "plant-wide" : ""}`}>
        <Empty />
        <Queries />
      </div>
    );
  }
  const stale = store.link.value.phase === "lost" ? "stale" : "";
  const failing = store.tick.value?.status === "failing";
  const unbalanced = store.tick.value?.ledger?.balances === false;
  // In the order of urgency: what fails is told before what it causes.
  const part = (name: string, from: number, what: ComponentChildren): ComponentChildren =>
    stage >= from && (
      <Guard key={name} part={name}>
        {what}
      </Guard>
    );
  const alerts = part("Alerts", 0, <Alerts />);
  const charts = part("Measurements", 0, blind ? <Blind /> : <Charts />);
  const cycles = part("Archives", 1, <Cycles />);
  const fleet = !blind && part("Fleet", 0, <Fleet />);
  const devices = !blind && part("Devices", 1, <Devices />);
  const ledger = part("Ledger", 2, <LedgerView />);
  const queries = part("Queries", 3, <Queries />);
  const quarantine = part("Quarantine", 3, <Quarantine />);
  const meaning = unbalanced ? [ledger, queries, alerts] : failing ? [queries, alerts, ledger] : [alerts, ledger, queries];
  if (wide.value) {
    return (
      <div class={`plant plant-wide ${stale}`}>
        <div class="column">{[fleet, charts, cycles, devices, quarantine]}</div>
        <div class="column">{meaning}</div>
      </div>
    );
  }
  const first = unbalanced ? meaning : failing ? [queries, alerts] : [alerts];
  const parts = [...first, fleet, charts, cycles, devices, ...meaning.filter((one) => !first.includes(one)), quarantine];
  return <div class={`plant ${stale}`}>{parts}</div>;
}

/** A run may follow no source for the page. */
function Blind() {
  return (
    <Section id="charts" title="Measurements">
      <div class="panel">
        <Absent>
          This run shows no devices: it was started with <code>--no-live</code>, or all its queries end by themselves. Queries, alerts, ledger and quarantine are told as ever.
        </Absent>
      </div>
    </Section>
  );
}

const STAGES = 3;

/** Counts from 0 to `last`, a frame each, once the page may be drawn: its parts come one after the other, top first. */
function useStages(last: number): number {
  const [stage, setStage] = useState(0);
  const ready = store.booted.value;
  useEffect(() => {
    if (!ready || stage >= last) return;
    const frame = requestAnimationFrame(() => setTimeout(() => setStage(stage + 1), 0));
    return () => cancelAnimationFrame(frame);
  }, [ready, stage, last]);
  return stage;
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
      <div class="section">
        <div class="panels">
          {[1, 2].map((n) => (
            <div key={n} class="panel">
              <Waiting what="measurements" like="skeleton-chart" />
            </div>
          ))}
        </div>
      </div>
      <div class="section">
        <Waiting what="devices" like="skeleton-table" />
      </div>
    </div>
  );
}
