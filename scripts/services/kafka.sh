#!/usr/bin/env bash
# Runs Apache Kafka on loopback: one KRaft process, broker and controller in one.
#
#   scripts/services/kafka.sh start  [--port N] [--dir DIR]   N is 9192 by default; the controller listens on N+1
#   scripts/services/kafka.sh stop   [--port N | --all] [--kill]
#   scripts/services/kafka.sh status [--port N]
#
# start waits until the broker answers, then prints its address on stdout. The log, the configuration and the data are
# below DIR: a temporary folder, removed by stop, unless --dir names one; a named DIR is kept, and starting on it again
# finds the topics of the last time. Several brokers may run side by side, each on its own port and folder.
# --kill sends SIGKILL instead of SIGTERM: a crash, for trials (the folder is kept then).
# KAFKA_HEAP (default 1g) is the heap of the broker; KAFKA_EXTRA may hold more lines for server.properties.
set -euo pipefail
. "$(dirname "$0")/common.sh"

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }

action="${1:-}"
[ $# -gt 0 ] && shift
port=9192 dir= all=no signal=TERM
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port="${2:?--port needs a number}"; shift 2 ;;
    --dir) dir="${2:?--dir needs a folder}"; shift 2 ;;
    --all) all=yes; shift ;;
    --kill) signal=KILL; shift ;;
    *) usage ;;
  esac
done
[[ "$port" =~ ^[0-9]+$ ]] && [ "$port" -ge 1 ] && [ "$port" -le 65534 ] || die "--port wants a number from 1 to 65534, not '$port'"

# What is known of the broker on a port: three lines, process id, folder, and whether the folder is ours to remove.
record_of() { printf '%s/kafka-%s\n' "$run_dir" "$1"; }
read_record() { [ -e "$(record_of "$1")" ] && { read -r pid && read -r dir && read -r temporary; } <"$(record_of "$1")"; }

# The process lives, is ours, and is not another that was given the same number since. A zombie has no command line.
alive() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF "kafka.Kafka $2/server.properties"; }

# One ApiVersions request, as a client would begin; an answer means that requests are served.
answers() {
  local bytes
  bytes="$(timeout 2 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf "\0\0\0\012\0\022\0\0\0\0\0\0\377\377" >&3
    head -c 4 <&3 | wc -c' _ "$1" 2>/dev/null)" && [ "$bytes" = 4 ]
}

write_properties() {
  cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$dir/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
default.replication.factor=1
min.insync.replicas=1
group.initial.rebalance.delay.ms=0
${KAFKA_EXTRA:-}
PROPERTIES
}

start() {
  need kafka "$kafka_version"
  local java
  java="$(find_java)"
  local wanted_dir="$dir" pid temporary
  if read_record "$port" && alive "$pid" "$dir"; then
    say "already running (process $pid, $dir)"
    announce
    return
  fi
  for busy in "$port" "$((port + 1))"; do
    (exec 3<>"/dev/tcp/127.0.0.1/$busy") 2>/dev/null && die "port $busy is in use by another process (the broker needs $port and $((port + 1)))"
  done
  dir="$wanted_dir" temporary=no
  if [ -z "$dir" ]; then
    dir="$(mktemp -d "${TMPDIR:-/tmp}/forebay-kafka-$port.XXXXXX")" temporary=yes
  fi
  mkdir -p "$dir" "$run_dir"
  dir="$(cd "$dir" && pwd)"
  write_properties
  if [ ! -e "$dir/data/meta.properties" ]; then
    local cluster_id
    cluster_id="$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '=')"
    "$java" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$kafka_libs/*" \
      kafka.tools.StorageTool format -t "$cluster_id" -c "$dir/server.properties" >"$dir/format.log" 2>&1 \
      || { tail -n 5 "$dir/format.log" >&2; die "could not format $dir/data"; }
  fi
  # A session of its own: a Ctrl-C meant for the calling script does not reach the broker.
  setsid "$java" "-Xmx${KAFKA_HEAP:-1g}" -XX:+ExitOnOutOfMemoryError \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS" \
    -cp "$kafka_libs/*" kafka.Kafka "$dir/server.properties" </dev/null >>"$dir/broker.log" 2>&1 9>&- &
  pid=$!
  disown
  printf '%s\n%s\n%s\n' "$pid" "$dir" "$temporary" >"$(record_of "$port")"
  printf '%s\n' "$pid" >"$dir/kafka.pid"
  local deadline=$((SECONDS + 60))
  until answers "$port"; do
    kill -0 "$pid" 2>/dev/null || { tail -n 20 "$dir/broker.log" >&2; die "the broker ended while starting (its log: $dir/broker.log)"; }
    [ $SECONDS -lt $deadline ] || die "the broker did not answer within 60 s (its log: $dir/broker.log)"
    sleep 0.1
  done
  announce
}

announce() {
  say "log: $dir/broker.log   process: $pid"
  say "export FOREBAY_KAFKA_BOOTSTRAP=127.0.0.1:$port"
  say "export FOREBAY_KAFKA_PID=$pid"
  printf '127.0.0.1:%s\n' "$port"
}

stop_one() {
  local port="$1" pid dir temporary
  read_record "$port" || { say "no broker was started on port $port"; return 0; }
  if alive "$pid" "$dir"; then
    kill "-$signal" "$pid"
    local deadline=$((SECONDS + 60))
    while alive "$pid" "$dir"; do
      [ $SECONDS -lt $deadline ] || die "process $pid did not end within 60 s of SIG$signal (its log: $dir/broker.log)"
      sleep 0.1
    done
    say "stopped (process $pid, port $port)"
  else
    say "was not running any more (process $pid, port $port)"
  fi
  rm -f "$(record_of "$port")" "$dir/kafka.pid"
  [ "$temporary" = yes ] && [ "$signal" = TERM ] && rm -rf "$dir"
  return 0
}

status_one() {
  local port="$1" pid dir temporary
  if read_record "$port" && alive "$pid" "$dir"; then
    printf '127.0.0.1:%s running process=%s dir=%s\n' "$port" "$pid" "$dir"
  else
    printf '127.0.0.1:%s stopped\n' "$port"
    return 1
  fi
}

started_ports() { ls "$run_dir" 2>/dev/null | sed -n 's/^kafka-\([0-9]*\)$/\1/p'; }

case "$action" in
  start) start ;;
  stop) if [ $all = yes ]; then for p in $(started_ports); do stop_one "$p"; done; else stop_one "$port"; fi ;;
  status) if [ $all = yes ]; then for p in $(started_ports); do status_one "$p" || true; done; else status_one "$port"; fi ;;
  *) usage ;;
esac
