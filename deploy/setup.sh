#!/bin/sh
# Makes once what the containers of compose.yaml trust each other by, each part in the folder of the container that needs it:
#
#   forebay     ca.pem server.pem server.key auth.yaml pgpassword      who may ask, and what the PostgreSQL takes
#   postgres    server.pem server.key password
#   prometheus  ca.pem token
#   grafana     ca.pem pgpassword token admin                          `admin` is the password of Grafana's user admin
#   you         ca.pem token grafana                                   what a person needs: docs/deployment.md
#
#   setup.sh [FOLDER]      FOLDER is /secrets; a second run changes nothing
#
# Who owns what is said by FOREBAY_UID (65532), POSTGRES_UID (999), PROMETHEUS_UID (65534) and GRAFANA_UID (472), the users of the images.
set -eu
umask 077
secrets=${1:-/secrets}
days=3650
if [ -e "$secrets/you/.done" ]; then
  echo "the secrets are there already" >&2
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days $days -subj "/CN=forebay compose" \
  -addext basicConstraints=critical,CA:TRUE -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null

# certificate NAME...: of the first name's server, for all of them.
certificate() {
  first=$1
  names=
  for name; do names="$names,DNS:$name"; done
  printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n' "${names#,}" >"$work/ext"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$first" -keyout "$work/$first.key" -out "$work/csr" 2>/dev/null
  openssl x509 -req -in "$work/csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days $days -extfile "$work/ext" \
    -out "$work/$first.pem" 2>/dev/null
}
certificate forebay localhost
certificate postgres localhost

password() { openssl rand -hex 24 | tr -d '\n'; }
password >"$work/pgpassword"
password >"$work/admin"
token() { forebay token new --name "$1" --role "$2" --auth "$work/auth.yaml" 2>/dev/null | tr -d '\n' >"$work/$1.token"; }
token you operator
token prometheus viewer
token grafana viewer

# give FOLDER OWNER FILE[=NAME]...
give() {
  folder=$secrets/$1
  owner=$2
  shift 2
  mkdir -p "$folder"
  for file; do cp "$work/${file%%=*}" "$folder/${file##*=}"; done
  chmod 700 "$folder"
  if [ "$(id -u)" = 0 ]; then chown -R "$owner:$owner" "$folder"; fi
}
give forebay "${FOREBAY_UID:-65532}" ca.pem forebay.pem=server.pem forebay.key=server.key auth.yaml pgpassword
give postgres "${POSTGRES_UID:-999}" postgres.pem=server.pem postgres.key=server.key pgpassword=password
give prometheus "${PROMETHEUS_UID:-65534}" ca.pem prometheus.token=token
give grafana "${GRAFANA_UID:-472}" ca.pem pgpassword grafana.token=token admin
give you 0 ca.pem you.token=token admin=grafana
touch "$secrets/you/.done"
echo "the secrets are made" >&2
