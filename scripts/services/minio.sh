#!/usr/bin/env bash
# Runs MinIO, a server that speaks S3's protocol, on loopback.
#
#   scripts/services/minio.sh start  [--port N] [--dir DIR] [--bucket NAME ...] [--tls CERT KEY]   N is 9500 by default
#   scripts/services/minio.sh stop   [--port N | --all] [--kill]
#   scripts/services/minio.sh status [--port N | --all]
#
# start waits until the server is ready, then prints its address on stdout; user and password are `forebay` and what MINIO_ROOT_PASSWORD says
# (`forebay-secret` if it says nothing). Objects are below DIR: a temporary folder, removed by stop, unless --dir names one; a named DIR is kept,
# and starting on it again finds the buckets of the last time. --bucket makes a bucket if it is not there. With --tls it speaks TLS alone, by
# these PEM files. Several servers may run side by side, each on its own port and folder. --kill sends SIGKILL: a crash; the folder is kept.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/server.sh"
kind=minio word=server

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }

action="${1:-}"
[ $# -gt 0 ] && shift
port=9500 dir= all=no signal=TERM buckets=() certificate= key=
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port="${2:?--port needs a number}"; shift 2 ;;
    --dir) dir="${2:?--dir needs a folder}"; shift 2 ;;
    --bucket) buckets+=("${2:?--bucket needs a name}"); shift 2 ;;
    --tls) certificate="${2:?--tls needs a certificate}" key="${3:?--tls needs a certificate and its key}"; shift 3 ;;
    --all) all=yes; shift ;;
    --kill) signal=KILL; shift ;;
    *) usage ;;
  esac
done
check_port 65535

# The process lives, is ours, and is not another that was given the same number since. A zombie has no command line.
alive() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qF "minio server $2/data "; }

# Ready to serve, not only listening.
ready() {
  local scheme=http
  [ -z "$certificate" ] || scheme=https
  curl -skf -o /dev/null --max-time 2 "$scheme://127.0.0.1:$port/minio/health/ready"
}

start() {
  need minio "$minio_version"
  local wanted_dir="$dir" pid temporary bucket
  if read_record "$port" && alive "$pid" "$dir"; then
    say "already running (process $pid, $dir)"
    announce
    return
  fi
  in_use "$port" && die "port $port is in use by another process"
  dir="$wanted_dir"
  make_folder
  # A folder at the top is a bucket.
  mkdir -p "$dir/data" "$dir/certs"
  for bucket in "${buckets[@]}"; do mkdir -p "$dir/data/$bucket"; done
  if [ -n "$certificate" ]; then
    cp "$certificate" "$dir/certs/public.crt"
    cp "$key" "$dir/certs/private.key"
  fi
  # A session of its own: a Ctrl-C meant for the calling script does not reach the server.
  MINIO_ROOT_USER=forebay MINIO_ROOT_PASSWORD="${MINIO_ROOT_PASSWORD:-forebay-secret}" MINIO_BROWSER=off MINIO_UPDATE=off \
    setsid "$minio_bin/minio" server "$dir/data" --address "127.0.0.1:$port" --certs-dir "$dir/certs" --quiet \
    </dev/null >>"$dir/server.log" 2>&1 9>&- &
  pid=$!
  disown
  write_record
  wait_until 0.1 ready
  announce
}

announce() {
  say "log: $dir/server.log   process: $pid"
  printf '127.0.0.1:%s\n' "$port"
}

end() {
  [ "$signal" = KILL ] && crash=yes
  kill "-$signal" "$1"
}

act "$action" "$all"
