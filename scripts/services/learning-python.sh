#!/usr/bin/env bash
# Runs Python with Spark (see spark-python.sh) and with scikit-learn, which trained models are held against:
#   scripts/services/learning-python.sh script.py ARGS...
set -euo pipefail
. "$(dirname "$0")/common.sh"
need learning "$learning_version-$scikit_learn_version"
packages=("$learning_venv"/lib/python3*/site-packages)
export PYTHONPATH="${packages[0]}${PYTHONPATH:+:$PYTHONPATH}"
exec "$services_dir/spark-python.sh" "$@"
