// Starts the page: draws its outline at once, then asks the server.
import "./state/prefs";
import { render } from "preact";
import { App } from "./app";
import { start } from "./state/session";
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/head.css";
import "./styles/panels.css";
import "./styles/fleet.css";
import "./styles/lists.css";
import "./styles/alerts.css";
import "./styles/quality.css";
import "./styles/tables.css";
import "./styles/windows.css";
import "./styles/first.css";
import "./styles/sql.css";
import "./styles/touch.css";

const root = document.getElementById("app");
if (root) {
  // A task of its own, so that reading the script and drawing the page are not one long one.
  setTimeout(() => {
    root.textContent = "";
    render(<App />, root);
    void start();
  }, 0);
}
