// What the page promises in a browser, one promise each.
import { ALERTS } from "./checks/alerts.mjs";
import { CHARTS } from "./checks/charts.mjs";
import { CYCLES } from "./checks/cycles.mjs";
import { FIRST } from "./checks/first.mjs";
import { FLEET } from "./checks/fleet.mjs";
import { LINK } from "./checks/link.mjs";
import { LOADING } from "./checks/loading.mjs";
import { MAP } from "./checks/map.mjs";
import { NAMES } from "./checks/names.mjs";
import { PEOPLE } from "./checks/people.mjs";
import { QUALITY } from "./checks/quality.mjs";
import { REACH } from "./checks/reach.mjs";
import { SQL } from "./checks/sql.mjs";
import { STATUS } from "./checks/status.mjs";

export const CHECKS = [...FIRST, ...LOADING, ...STATUS, ...CHARTS, ...CYCLES, ...FLEET, ...ALERTS, ...QUALITY, ...MAP, ...LINK, ...PEOPLE, ...SQL, ...NAMES, ...REACH];
