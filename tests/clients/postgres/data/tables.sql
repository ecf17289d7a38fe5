-- The tables that the clients in this folder read, as a real PostgreSQL has them: the oracle that each client is proved on.
-- pipeline.yaml makes the same of the same lines. Names and types that a client relies on stand here and there, nowhere else.
CREATE SCHEMA late;
CREATE SCHEMA forebay;

CREATE TABLE iot_device_events (
  "eventId" text, "customerId" text, "eventOffset" bigint, "eventPublisher" text, "eventTime" timestamptz,
  "deviceId" text, measure text, status text, temperature double precision, pressure double precision, humidity double precision
);
CREATE TABLE device_status (
  window_start timestamptz, window_end timestamptz, "customerId" text, status text, events bigint
);
CREATE TABLE device_temperature (
  window_start timestamptz, window_end timestamptz, "deviceId" text, avg_temperature double precision, events bigint
);
CREATE TABLE every_type (
  id integer, small smallint, big bigint, single real, number double precision, exact numeric(20, 6), flag boolean, words text,
  bytes bytea, day date, local_time timestamp, instant timestamptz, tags text[], counts bigint[]
);

-- What Forebay shows of itself: only the columns that dashboards read.
CREATE TABLE late.device_temperature ("deviceId" text, temperature double precision, "eventTime" timestamptz);
INSERT INTO late.device_temperature VALUES ('D001', 21.5, '2026-01-05 11:02:00Z');
CREATE TABLE forebay.alerts (
  id text, rule text, source text, key text, state text, severity text, opened_at timestamptz, cleared_at timestamptz, message text
);
INSERT INTO forebay.alerts VALUES
  ('overheat/D002/1', 'overheat', 'device_stream', 'D002', 'open', 'critical', '2026-01-05 11:15:00Z', NULL, 'D002 is too hot'),
  ('overheat/D001/1', 'overheat', 'device_stream', 'D001', 'cleared', 'warning', '2026-01-05 11:14:00Z', '2026-01-05 11:16:00Z', 'D001 was too hot');
CREATE TABLE forebay.ledger (
  query text, read bigint, emitted bigint, aggregated bigint, unmatched bigint, filtered bigint, deduplicated bigint, dropped bigint,
  quarantined bigint, late bigint, in_flight bigint
);
INSERT INTO forebay.ledger VALUES ('iot_device_events', 20, 19, 0, 0, 0, 0, 0, 1, 0, 0), ('device_temperature', 21, 0, 20, 0, 0, 0, 0, 0, 1, 0);
CREATE TABLE forebay.quarantine (
  topic text, partition int, record_offset bigint, set_aside_at timestamptz, code text, path text, why text
);
INSERT INTO forebay.quarantine VALUES ('iot_device_events', 0, 19, '2026-01-05 11:20:00Z', 'json.type', '$.eventOffset', 'expected BIGINT, found a string');
