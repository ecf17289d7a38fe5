#!/usr/bin/env bash
# Runs Python with the clients of the Postgres wire (psycopg, asyncpg, pandas, pyodbc):
#   scripts/services/postgres-python.sh script.py ARGS...
# FOREBAY_POWERBI_CHECKER names Microsoft's checker of Power BI reports, a program for Node.
set -euo pipefail
. "$(dirname "$0")/common.sh"
need postgres-clients "$postgres_clients_version"
export FOREBAY_POWERBI_CHECKER="$postgres_clients_node/node_modules/@microsoft/powerbi-report-authoring-cli/dist/cli.js"
export PATH="$PATH:$node_venv/bin" PYTHONDONTWRITEBYTECODE=1
exec "$postgres_clients_venv/bin/python" "$@"
