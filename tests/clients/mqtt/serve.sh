#!/usr/bin/env bash
# Forebay as the server that tls.sh asks for: ADDRESS CERTIFICATE KEY CA. FOREBAY is its program, LOG_ADDRESS the address of its log, a
# certificate for `device-7` may publish to `private/device-7` and `t`.
set -euo pipefail
data=$(mktemp -d "$PWD/data.XXXXXX")
cat >"$data/plant.yaml" <<END
pipeline: plant
gateways:
  plant:
    format: mqtt
    options:
      listen: "$1"
      tlsCert: $PWD/$2
      tlsKey: $PWD/$3
      clientCa: $PWD/$4
      kafka.bootstrap.servers: "$LOG_ADDRESS"
    routes: { "#": { topic: taken } }
    users:
      device-7: { certificate: device-7, publish: ["private/%u", t] }
sources:
  taken: { format: kafka, options: { kafka.bootstrap.servers: "$LOG_ADDRESS", subscribe: taken } }
queries:
  lake: { sql: SELECT topic FROM taken, format: console }
END
exec "$FOREBAY" --data "$data" --http 127.0.0.1:0 run "$data/plant.yaml"
