#!/usr/bin/env bash
# Runs PostgreSQL on loopback.
#
#   scripts/services/postgres.sh start  [--port N] [--dir DIR] [--set NAME=VALUE ...] [--ssl CERT KEY [--client-ca CERT]]   N is 55432 by default
#   scripts/services/postgres.sh stop   [--port N | --all] [--immediate | --kill]
#   scripts/services/postgres.sh status [--port N | --all]
#
# start waits until the server takes connections, then prints its address on stdout. Data and log are below DIR: a temporary
# folder, removed by stop, unless --dir names one; a named DIR is kept, and starting on it again finds the data of the last
# time. Several servers may run side by side, each on its own port and folder. A new one has the superuser `postgres`, the
# user `forebay` and a database `forebay` that belongs to it; both have the password ${FOREBAY_POSTGRES_PASSWORD:-forebay} and
# log in by SCRAM. fsync is on.
# --set is a setting of this start (as in postgresql.conf), --ssl a certificate and its key (PEM): both are given anew each time.
# With --client-ca the user `forebay` comes in by TLS only, with a certificate of his name that this authority signed (clientcert=verify-full).
# --immediate and --kill are crashes, for trials: no checkpoint is written, and with --kill (SIGKILL) nobody is told; the folder is kept.
# PostgreSQL refuses to be root: there it runs as the user nobody.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/server.sh"
kind=postgres word=server

usage() { sed -n '2,17s/^# \{0,1\}//p' "$0" >&2; exit 2; }

action="${1:-}"
[ $# -gt 0 ] && shift
port=55432 dir= all=no how=fast settings=() certificate= key= client_ca=
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port="${2:?--port needs a number}"; shift 2 ;;
    --dir) dir="${2:?--dir needs a folder}"; shift 2 ;;
    --set) [[ "${2:-}" == *=* ]] || die "--set wants NAME=VALUE, not '${2:-}'"; settings+=(-c "$2"); shift 2 ;;
    --ssl) certificate="${2:?--ssl needs a certificate and a key}" key="${3:?--ssl needs a key after the certificate}"; shift 3 ;;
    --client-ca) client_ca="${2:?--client-ca needs a certificate}"; shift 2 ;;
    --all) all=yes; shift ;;
    --immediate) how=immediate; shift ;;
    --kill) how=kill; shift ;;
    *) usage ;;
  esac
done
check_port 65535

# The process lives, is ours, and is not another that was given the same number since. A zombie has no command line.
alive() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qF "bin/postgres -D $2/data "; }

# As whom the server runs: root hands its folder to nobody, who must be able to enter those above it.
lower=()
become_nobody() {
  [ "$(id -u)" = 0 ] || return 0
  lower=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  chown 65534:65534 "$dir"
  "${lower[@]}" test -x "$postgres_home/bin/postgres" || die "the user nobody cannot reach $postgres_home: run scripts/services/install.sh postgres as root"
  "${lower[@]}" test -w "$dir" || die "the user nobody, as whom PostgreSQL runs for root, cannot reach $dir: choose a --dir that others may enter (chmod o+x the folders above it)"
}

# PostgreSQL writes `ready` into its own file of locks once it takes connections.
ready() { [ "$(sed -n 1p "$dir/data/postmaster.pid" 2>/dev/null)" = "$pid" ] && sed -n 8p "$dir/data/postmaster.pid" | grep -q '^ready'; }

make_data() {
  local password="${FOREBAY_POSTGRES_PASSWORD:-forebay}"
  rm -rf "$dir/data" "$dir/password"
  (umask 077; printf '%s\n' "$password" >"$dir/password")
  [ ${#lower[@]} = 0 ] || chown 65534:65534 "$dir/password"
  "${lower[@]}" "$postgres_home/bin/initdb" -D "$dir/data" -U postgres --pwfile="$dir/password" -A scram-sha-256 --no-locale -E UTF8 --no-sync \
    >"$dir/initdb.log" 2>&1 || { tail -n 5 "$dir/initdb.log" >&2; die "initdb failed (see $dir/initdb.log)"; }
  # Without a client: the server as one process that reads statements, one a line.
  printf '%s\n' "CREATE ROLE forebay LOGIN PASSWORD '${password//\'/\'\'}'" "CREATE DATABASE forebay OWNER forebay" \
    | "${lower[@]}" "$postgres_home/bin/postgres" --single -D "$dir/data" postgres >>"$dir/initdb.log" 2>&1 \
    || { tail -n 5 "$dir/initdb.log" >&2; die "the database could not be made (see $dir/initdb.log)"; }
  rm -f "$dir/password"
  touch "$dir/data/.made" # what a start that was broken off left has none, and is made anew
}

start() {
  need postgres "$postgres_version"
  postgres_home="$(readlink -f "$postgres_home")" # as nobody sees it
  local wanted_dir="$dir" pid temporary
  if read_record "$port" && alive "$pid" "$dir"; then
    say "already running (process $pid, $dir)"
    announce
    return
  fi
  in_use "$port" && die "port $port is in use by another process"
  dir="$wanted_dir"
  make_folder
  become_nobody
  [ -e "$dir/data/.made" ] || make_data
  if [ -n "$certificate" ]; then
    install -m 600 "$certificate" "$dir/data/server.crt"
    install -m 600 "$key" "$dir/data/server.key"
    [ ${#lower[@]} = 0 ] || chown 65534:65534 "$dir/data/server.crt" "$dir/data/server.key"
    settings+=(-c ssl=on)
  fi
  if [ -n "$client_ca" ]; then
    install -m 600 "$client_ca" "$dir/data/client-ca.crt"
    printf '%s\n' "hostssl all forebay 127.0.0.1/32 scram-sha-256 clientcert=verify-full" "host all postgres 127.0.0.1/32 scram-sha-256" >"$dir/data/pg_hba.tls.conf"
    [ ${#lower[@]} = 0 ] || chown 65534:65534 "$dir/data/client-ca.crt" "$dir/data/pg_hba.tls.conf"
    settings+=(-c "ssl_ca_file=client-ca.crt" -c "hba_file=$dir/data/pg_hba.tls.conf")
  fi
  # A session of its own: a Ctrl-C meant for the calling script does not reach the server.
  setsid "${lower[@]}" "$postgres_home/bin/postgres" -D "$dir/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    "${settings[@]}" </dev/null >>"$dir/server.log" 2>&1 9>&- &
  pid=$!
  disown
  write_record
  wait_until 0.05 ready
  announce
}

announce() {
  say "log: $dir/server.log   process: $pid"
  printf '127.0.0.1:%s\n' "$port"
}

children_of() { { cat /proc/[0-9]*/stat 2>/dev/null || true; } | sed -n "s/^\([0-9]*\) (.*) [A-Za-z] $1 .*/\1/p"; } # some end while they are looked at

end() {
  [ "$how" = fast ] || crash=yes
  case "$how" in
    fast) kill -INT "$1" ;;
    immediate) kill -QUIT "$1" ;;
    kill)
      # Stopped first, so that it starts nobody between the two looks; who is left would write on by himself for a while.
      kill -STOP "$1"
      others="$(children_of "$1")"
      kill -KILL "$1" $others 2>/dev/null || true
      ;;
  esac
}

act "$action" "$all"
