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
. "$(dirname "$0")/server.sh"
kind=kafka word=broker

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
check_port 65534 # the controller has the next one

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
    in_use "$busy" && die "port $busy is in use by another process (the broker needs $port and $((port + 1)))"
  done
  dir="$wanted_dir"
  make_folder
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
  write_record
  printf '%s\n' "$pid" >"$dir/kafka.pid"
  wait_until 0.1 answers "$port"
  announce
}

announce() {
  say "log: $dir/broker.log   process: $pid"
  say "export FOREBAY_KAFKA_BOOTSTRAP=127.0.0.1:$port"
  say "export FOREBAY_KAFKA_PID=$pid"
  printf '127.0.0.1:%s\n' "$port"
}

end() {
  kill "-$signal" "$1"
  [ "$signal" = TERM ] || crash=yes
}

act "$action" "$all"
