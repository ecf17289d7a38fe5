// What `/quality` answers: how many records were as their sources expect, over time, by rule and by device.

/** What becomes of a row that fails. */
export type OnFail = "quarantine" | "flag" | "drop" | "fail";

export interface Judged {
  /** Rows that were held to the expectations. */
  rows: number;
  /** Of them those that failed one or more. */
  failed: number;
  /** Records that gave no row to judge. */
  unreadable: number;
}

/** How many failed each rule; those that none failed are left out. */
export type ByRule = Record<string, number>;

export interface JudgedStep extends Judged {
  /** When it begins. */
  at: number;
  rules: ByRule;
}

export interface JudgedRule {
  name: string;
  /** Null of one that is in the file no more. */
  onFail: OnFail | null;
  failed: number;
  nanosPerRow: number | null;
}

export interface JudgedDevice {
  key: string;
  failed: number;
  rules: ByRule;
}

/** What one query judged of one source. */
export interface SourceQuality extends Judged {
  query: string;
  source: string;
  /** Those of the file in its order, then those that were in it. */
  rules: JudgedRule[];
  /** The worst. */
  devices: JudgedDevice[];
  /** Failures of devices that are not told by name. */
  others: number;
  /** Since the query began. */
  total: Judged;
  points: JudgedStep[];
}

export interface Quality {
  from: number;
  to: number;
  /** How long each step is, milliseconds. */
  step: number;
  sources: SourceQuality[];
}
