#!/usr/bin/env bash
# Holds the files under deploy/ against the schemas of who reads them (deployment.py says what is looked at).
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/services/common.sh
need deployment "$deployment_version"
python="$deployment_venv/bin/python"
"$python" tests/clients/deployment.py compose "$deployment_schemas/compose-spec.json" deploy/compose.yaml
"$python" tests/clients/deployment.py kubernetes <(
  # What kustomize makes of it is made here: the documents as they stand, and the pipeline's file as a ConfigMap.
  for file in deploy/kubernetes/*.yaml; do
    printf -- '---\n'
    cat "$file"
  done
)
# The same as it is applied, where there is somebody who makes it.
if command -v kubectl >/dev/null; then
  "$python" tests/clients/deployment.py kubernetes <(kubectl kustomize deploy)
fi
"$python" tests/clients/deployment.py grafana deploy/grafana
bash -n deploy/setup.sh
