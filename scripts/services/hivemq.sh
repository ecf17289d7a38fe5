#!/usr/bin/env bash
# Runs HiveMQ CE, an MQTT broker, on loopback.
#
#   scripts/services/hivemq.sh start  [--port N] [--dir DIR]   N is 1894 by default
#   scripts/services/hivemq.sh stop   [--port N | --all] [--kill]
#   scripts/services/hivemq.sh status [--port N | --all]
#
# start waits until the broker takes connections, then prints its address on stdout. Sessions and messages are kept below DIR: a temporary
# folder, removed by stop, unless --dir names one; a named DIR is kept, and starting on it again finds the sessions of the last time. Several
# brokers may run side by side, each on its own port and folder. --kill sends SIGKILL.
#
# Needs what `scripts/services/install.sh hivemq` installs, and a JDK: the program around the broker is compiled as it is started.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/server.sh"
kind=hivemq word=broker

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }

action="${1:-}"
[ $# -gt 0 ] && shift
port=1894 dir= all=no signal=TERM
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port="${2:?--port needs a number}"; shift 2 ;;
    --dir) dir="${2:?--dir needs a folder}"; shift 2 ;;
    --all) all=yes; shift ;;
    --kill) signal=KILL; shift ;;
    *) usage ;;
  esac
done
check_port 65535

# The process lives, is ours, and is not another that was given the same number since. A zombie has no command line.
alive() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qF "HiveMq.java $2 "; }

start() {
  need hivemq "$hivemq_version"
  local wanted_dir="$dir" pid temporary java
  if read_record "$port" && alive "$pid" "$dir"; then
    say "already running (process $pid, $dir)"
    announce
    return
  fi
  in_use "$port" && die "port $port is in use by another process"
  java="$(find_java)"
  "$java" --list-modules | grep -q '^jdk.compiler' || die "$java is no JDK: it cannot compile"
  dir="$wanted_dir"
  make_folder
  # A session of its own: a Ctrl-C meant for the calling script does not reach the broker. It opens what JDK 17 keeps closed.
  setsid "$java" -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 --add-opens java.base/java.lang=ALL-UNNAMED \
    --add-opens java.base/java.nio=ALL-UNNAMED --add-opens java.base/sun.nio.ch=ALL-UNNAMED -cp "$hivemq_libs/*" \
    "$services_dir/../../tests/clients/mqtt/HiveMq.java" "$dir" "$port" </dev/null >"$dir/broker.log" 2>&1 9>&- &
  pid=$!
  disown
  write_record
  wait_until 0.1 grep -qx ready "$dir/broker.log"
  announce
}

announce() {
  say "log: $dir/broker.log   process: $pid"
  printf '127.0.0.1:%s\n' "$port"
}

end() {
  [ "$signal" = KILL ] && crash=yes
  kill "-$signal" "$1"
}

act "$action" "$all"
