"""Prints the rows of a Delta table in a bucket as lines of JSON, read by delta-rs; the bucket is reached by AWS_* of the environment."""
import json
import os
import sys

from deltalake import DeltaTable

options = {name: value for name, value in os.environ.items() if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"}
table = DeltaTable(sys.argv[1], storage_options=options)
for row in table.to_pyarrow_table().to_pylist():
    print(json.dumps(row, default=str))
sys.stdout.flush()
# The library's threads may abort an orderly end.
os._exit(0)
