#!/usr/bin/env bash
# psql: the backslash commands people type, scripts, formats, refusals, Ctrl-C.
#
#   tests/clients/postgres/psql.sh HOST:PORT
#
# Prints one OK line per scenario on stdout; the first failure says what differed and ends it with exit code 1.
set -euo pipefail

[ $# = 1 ] && [ "${1%:*}" != "$1" ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
export PGHOST="${1%:*}" PGPORT="${1##*:}" PGUSER="${PGUSER:-forebay}" PGDATABASE="${PGDATABASE:-forebay}" PGCONNECT_TIMEOUT=20 PSQL_PAGER='' LC_ALL=C.UTF-8
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

ok() { printf 'OK %s\n' "$*"; }
fail() { printf 'FAILED %s\n' "$*" >&2; [ ! -s "$scratch/said" ] || head -n 20 "$scratch/said" >&2; exit 1; }
ask() { timeout 60 psql -X -v ON_ERROR_STOP=1 "$@"; }
# value SQL: the one value of the one row.
value() { ask -At -c "$1"; }
# command LINE PART...: a backslash command ends well, says nothing on stderr, and shows each of these.
command() {
  local line="$1"
  shift
  ask -c "$line" >"$scratch/said" 2>"$scratch/errors" || { cat "$scratch/errors" >&2; fail "$line"; }
  ! grep -q 'ERROR\|WARNING' "$scratch/errors" || { cat "$scratch/errors" >&2; fail "$line complains"; }
  local part
  for part; do grep -qF -- "$part" "$scratch/said" || fail "$line does not show '$part'"; done
}
# refused SQLSTATES SQL: it fails with one of these.
refused() {
  if ask -v VERBOSITY=sqlstate -c "$2" >"$scratch/said" 2>&1; then fail "not refused: $2"; fi
  grep -qE "ERROR: +($1)" "$scratch/said" || fail "$2 is refused for another reason than $1"
}

[ "$(value 'SELECT 1')" = 1 ] || fail "SELECT 1"
case "$(value 'SHOW server_version')" in 1[2-9]* | [2-9][0-9]*) ;; *) fail "a server version below 12" ;; esac
[ "$(value 'SHOW standard_conforming_strings')" = on ] || fail "standard_conforming_strings"
value 'SELECT version()' | grep -q PostgreSQL || fail "version()"
ok "connects, and the server says what it is"

command '\dt' iot_device_events device_status device_temperature every_type
command '\d'  iot_device_events
command '\dt+' iot_device_events
command '\d iot_device_events' eventId customerId eventOffset bigint eventTime timestamp deviceId temperature 'double precision'
command '\d+ every_type' smallint integer real 'numeric(20,6)' boolean bytea date 'timestamp without time zone' 'timestamp with time zone' 'text[]' 'bigint[]'
command '\l' "$PGDATABASE"
command '\du'
command '\df'
command '\dn' public
command '\dv'
command '\di'
command '\dT'
command '\dx'
command '\conninfo' "$PGUSER"
command '\encoding' UTF8
command '\dt dev*' device_status device_temperature
ok "the backslash commands, each without a complaint"

[ "$(value "SELECT \"deviceId\" FROM iot_device_events WHERE \"eventOffset\" = 10001")" = D001 ] || fail "a quoted name"
[ "$(value "SELECT words FROM every_type WHERE id = 5")" = "'; DROP TABLE iot_device_events; --" ] || fail "a text with a quote"
[ "$(value "SELECT words FROM every_type WHERE id = 3")" = "$(printf "it's \"quoted\", back\\\\slash, tab\t, new\nline, 'NULL', {a,b} and 日本語 🌡️ é")" ] || fail "a text with everything"
[ "$(value "SELECT big, exact, flag, bytes, day, local_time, instant AT TIME ZONE 'UTC', tags, counts FROM every_type WHERE id = 1")" \
  = '9007199254740993|12.345000|t|\x0001ff|2026-01-05|2026-01-05 11:13:53.643364|2026-01-05 11:13:53.643364|{a,b}|{1,2,3}' ] || fail "values of each type"
[ "$(value 'SELECT tags FROM every_type WHERE id = 3')" = '{"with \"quotes\"","comma, brace }","NULL","",NULL,🌡️}' ] || fail "an array of everything"
[ "$(value 'SELECT single, number FROM every_type WHERE id = 2')" = '3.25e+38|1.7976931348623157e+308' ] || fail "large floats"
[ "$(value 'SELECT number, exact FROM every_type WHERE id = 3')" = '-5e-324|-0.000001' ] || fail "small floats"
[ "$(value 'SELECT big IS NULL, words IS NULL, tags IS NULL FROM every_type WHERE id = 4')" = 't|t|t' ] || fail "NULL"
ok "values as text, as PostgreSQL writes them"

ask --csv -c 'SELECT id, words FROM every_type WHERE id IN (2, 5) ORDER BY id' >"$scratch/said"
printf "id,words\n2,\n5,'; DROP TABLE iot_device_events; --\n" | cmp -s - "$scratch/said" || fail "--csv"
ask -x -c 'SELECT id FROM every_type WHERE id = 1' >"$scratch/said"; grep -q 'RECORD 1' "$scratch/said" || fail "-x"
printf 'SELECT 1 AS a;\n\\echo between\nSELECT 2 AS b \\gset\n\\echo :b\n' >"$scratch/script.sql"
[ "$(ask -At -f "$scratch/script.sql" | tr '\n' ' ')" = '1 between 2 ' ] || fail "a script with \\gset"
[ "$(printf 'BEGIN;\nSELECT count(*) FROM device_status;\nCOMMIT;\n' | ask -qAt)" = 16 ] || fail "a transaction that only reads"
[ "$(ask -qAt -v FETCH_COUNT=7 -c 'SELECT count(*) FROM (SELECT * FROM iot_device_events) t')" = 19 ] || fail "FETCH_COUNT"
ok "scripts, variables, formats"

refused '25006|0A000|42501' 'CREATE TABLE made_by_psql (id int)'
refused '25006|0A000|42501' "INSERT INTO device_status (status) VALUES ('ERROR')"
refused '25006|0A000|42501' 'DELETE FROM device_status'
refused '25006|0A000|42501' '\copy device_status FROM /dev/null'
refused '25006|0A000|42501' "COPY device_status FROM '/etc/passwd'"
refused '25006|0A000|42501' "COPY device_status TO '/tmp/made_by_psql'"
refused 42P01 'SELECT * FROM no_such_table'
refused 42703 'SELECT no_such_column FROM device_status'
refused 42601 'SELEC 1'
if ask -c 'SELECT no_such_column FROM device_status' >"$scratch/said" 2>&1; then fail "a fault"; fi
grep -q '^LINE 1: SELECT no_such_column' "$scratch/said" && grep -q '^ *^' "$scratch/said" || fail "a fault is not shown with its place"
ok "refusals and faults, with SQLSTATE and place"

# Ctrl-C, as the terminal sends it: SIGINT to psql, which asks the server to cancel.
tables="$(for n in 0 1 2 3 4 5 6 7 8 9; do printf 'iot_device_events e%s, ' "$n"; done)"
begin=$SECONDS
psql -X -v VERBOSITY=sqlstate -c "SELECT count(*) FROM ${tables%, } WHERE e0.pressure + e9.pressure > e5.pressure" >"$scratch/said" 2>&1 &
client=$!
sleep 1.5
kill -INT "$client"
if wait "$client"; then fail "Ctrl-C: the statement ended by itself"; fi
[ $((SECONDS - begin)) -lt 20 ] || fail "Ctrl-C: the statement ended late"
grep -q 57014 "$scratch/said" || fail "Ctrl-C: psql was not told"
ok "Ctrl-C ends the statement"
