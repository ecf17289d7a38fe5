#!/usr/bin/env bash
# Runs Mosquitto, an MQTT broker, on loopback.
#
#   scripts/services/mosquitto.sh start  [--port N] [--dir DIR] [--set 'LINE' ...]   N is 1893 by default
#   scripts/services/mosquitto.sh stop   [--port N | --all] [--kill]
#   scripts/services/mosquitto.sh status [--port N | --all]
#
# start waits until the broker takes connections, then prints its address on stdout. Sessions and messages are kept below DIR over an orderly
# end: a temporary folder, removed by stop, unless --dir names one; a named DIR is kept, and starting on it again finds the sessions of the
# last time. Several brokers may run side by side, each on its own port and folder. --set is a line of its configuration.
# --kill sends SIGKILL: what Mosquitto had not saved is lost with it (it saves now and then, and at an orderly end); the folder is kept.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/server.sh"
kind=mosquitto word=broker

usage() { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }

action="${1:-}"
[ $# -gt 0 ] && shift
port=1893 dir= all=no signal=TERM lines=()
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port="${2:?--port needs a number}"; shift 2 ;;
    --dir) dir="${2:?--dir needs a folder}"; shift 2 ;;
    --set) lines+=("${2:?--set needs a line}"); shift 2 ;;
    --all) all=yes; shift ;;
    --kill) signal=KILL; shift ;;
    *) usage ;;
  esac
done
check_port 65535

# The process lives, is ours, and is not another that was given the same number since. A zombie has no command line.
alive() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qF "mosquitto -c $2/mosquitto.conf "; }

start() {
  command -v mosquitto >/dev/null || die "mosquitto is missing: run scripts/services/install.sh mosquitto"
  local wanted_dir="$dir" pid temporary
  if read_record "$port" && alive "$pid" "$dir"; then
    say "already running (process $pid, $dir)"
    announce
    return
  fi
  in_use "$port" && die "port $port is in use by another process"
  dir="$wanted_dir"
  make_folder
  # As root it would become the user mosquitto, who need not be let into the folder.
  {
    printf '%s\n' "listener $port 127.0.0.1" "allow_anonymous true" "user $(id -un)" "persistence true" "persistence_location $dir/" \
      "autosave_interval 1" "max_queued_messages 0" "max_queued_bytes 0" "log_dest stderr"
    [ ${#lines[@]} = 0 ] || printf '%s\n' "${lines[@]}"
  } >"$dir/mosquitto.conf"
  # A session of its own: a Ctrl-C meant for the calling script does not reach the broker.
  setsid mosquitto -c "$dir/mosquitto.conf" -v </dev/null >>"$dir/broker.log" 2>&1 9>&- &
  pid=$!
  disown
  write_record
  wait_until 0.05 in_use "$port"
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
