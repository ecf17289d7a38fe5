#!/usr/bin/env bash
# Measures Forebay beside Spark, Flink, Apache Kafka, PostgreSQL's COPY and Mosquitto on this machine, and its live page, and
# writes docs/benchmarks.md.
#
#   make bench                     (builds first)
#   scripts/bench/run.sh           (takes ${CARGO_TARGET_DIR:-target}/release/forebay as it is)
#
#   FOREBAY_BENCH_ONLY           `line` (Delta, logs, the page), `windows`, `postgres`, `gateways` or `alerts`: one part, which is
#                                renewed on the page, and the others stay (all parts)
#   FOREBAY_BENCH_EVENTS         events of the plant's topic (20000000); the topics of keys and hours follow from it
#   FOREBAY_BENCH_NESTED         events of the nested topic (a quarter of them)
#   FOREBAY_BENCH_ROUNDS         runs of each engine on each topic (3)
#   FOREBAY_BENCH_SPARK_ROUNDS   of Spark and Flink alone (the same)
#   FOREBAY_BENCH_LOG_RECORDS    records written to and read from each log (2000000)
#   FOREBAY_BENCH_ROWS           rows that are written to PostgreSQL, about (5000000)
#   FOREBAY_BENCH_ENGINE         another forebay than the one just built
#   FOREBAY_BENCH_DIR            working folder (a temporary one, removed at the end)
#   FOREBAY_BENCH_PORT           first of six free ports (29092)
#   FOREBAY_BENCH_OUT            where the page goes (docs/benchmarks.md)
#
# With the defaults it takes an hour and a quarter on two cores and 8 GB of disk. Ctrl-C stops all that it started.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/services/common.sh

only="${FOREBAY_BENCH_ONLY:-}" components=(kafka clients kcat spark)
[[ "$only" = @(|line) ]] && components+=(chromium)
[[ "$only" = @(|windows) ]] && components+=(flink)
[[ "$only" = @(|alerts) ]] && components+=(learning)
[[ "$only" = @(|postgres) ]] && components+=(postgres psql pgjdbc)
[[ "$only" = @(|gateways) ]] && components+=(mosquitto mqtt-clients)
scripts/services/install.sh "${components[@]}"
target="${CARGO_TARGET_DIR:-target}"
engine="${FOREBAY_BENCH_ENGINE:-$target/release/forebay}"
[ -x "$engine" ] || die "there is no $engine: run make build first"
reader="${FOREBAY_BENCH_READER:-$target/release/examples/read_topic}"
if [ -z "${FOREBAY_BENCH_READER:-}" ] && [[ "$only" = @(|line) ]]; then
  say "building the program that only reads (a minute at most after make build)"
  cargo build --release --locked -p forebay -p forebay-connectors --example read_topic
fi

mqtt_load="${FOREBAY_BENCH_MQTT_LOAD:-$target/release/examples/mqtt_load}"
if [ -z "${FOREBAY_BENCH_MQTT_LOAD:-}" ] && [[ "$only" = @(|gateways) ]]; then
  say "building the MQTT client that is the load"
  cargo build --release --locked -p forebay -p forebay-gateway --example mqtt_load
fi

detector_speed="${FOREBAY_BENCH_DETECTOR_SPEED:-$target/release/examples/detector_speed}"
if [ -z "${FOREBAY_BENCH_DETECTOR_SPEED:-}" ] && [[ "$only" = @(|alerts) ]]; then
  say "building the program that runs each detector alone"
  cargo build --release --locked -p forebay -p forebay-rules --example detector_speed
fi

out=docs/benchmarks.md
own_dir=no
if [ -z "${FOREBAY_BENCH_DIR:-}" ]; then
  FOREBAY_BENCH_DIR="$(mktemp -d "${TMPDIR:-/tmp}/forebay-bench.XXXXXX")" own_dir=yes
fi
mkdir -p "$FOREBAY_BENCH_DIR"
port="${FOREBAY_BENCH_PORT:-29092}"
finish() {
  trap - EXIT
  trap '' INT TERM # a second Ctrl-C must not leave a broker behind
  [ -z "${bench:-}" ] || { kill -TERM "$bench" 2>/dev/null && wait "$bench" 2>/dev/null; } || true
  scripts/services/kafka.sh stop --port "$port" >&2 || true
  scripts/services/postgres.sh stop --port "$((port + 5))" >&2 || true
  [ $own_dir = no ] || rm -rf "$FOREBAY_BENCH_DIR"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

scripts/services/kafka.sh start --port "$port" --dir "$FOREBAY_BENCH_DIR/kafka" >/dev/null
if [[ "$only" = @(|postgres) ]]; then
  # The server is nobody where this is root, and must come into the folder. Its memory and log are those of a server of this
  # size, so that it does not write all pages anew in mid-run.
  chmod o+x "$FOREBAY_BENCH_DIR"
  scripts/services/postgres.sh start --port "$((port + 5))" --dir "$FOREBAY_BENCH_DIR/postgres" \
    --set shared_buffers=512MB --set max_wal_size=8GB --set checkpoint_timeout=30min >/dev/null
fi
# In the background, so that the traps run at once; a signal for us is passed on by `finish`.
python3 scripts/bench/bench.py --engine "$engine" --reader "$reader" --mqtt-load "$mqtt_load" --detector-speed "$detector_speed" --dir "$FOREBAY_BENCH_DIR" --port "$port" \
  --events "${FOREBAY_BENCH_EVENTS:-20000000}" --nested "${FOREBAY_BENCH_NESTED:-0}" \
  --rounds "${FOREBAY_BENCH_ROUNDS:-3}" --spark-rounds "${FOREBAY_BENCH_SPARK_ROUNDS:-0}" \
  --log-records "${FOREBAY_BENCH_LOG_RECORDS:-2000000}" --rows "${FOREBAY_BENCH_ROWS:-5000000}" --only "$only" --out "${FOREBAY_BENCH_OUT-$out}" "$@" &
bench=$!
wait "$bench"
bench=
