"""Plays schemathesis against a running Forebay: every operation of its OpenAPI document, with what its schema allows and forbids.

    openapi_fuzz.py --url http://127.0.0.1:8080 [--seed N] [--examples N]

Half of the names in the requests are real ones, so that the requests come further than to a 404. Everything follows from the
seed. Prints schemathesis' own report and at its end one line for each operation, `OPERATION GET /path 2xx=5 4xx=9`; fails with it.

Schemathesis runs as a program of its own; this file is also the module of its hooks, told apart by `FOREBAY_FUZZ`.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
]
# It has no end.
ENDLESS = "/api/v1/live"
SOCKETS = "/api/v1/ingest/{gateway}/{topic}"
# Two names that must fit each other: they are taken from what is there more often than elsewhere.
ARCHIVES = "/api/v1/cycles/{query}/archives/{name}"
FITTING = {"path.query": "cycles", "path.name": "archives"}
# Beyond that a request is refused before it is one, as HTTP has it: nobody has described how.
LONGEST_QUERY = 24_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--examples", default="30")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, config, document = (pathlib.Path(folder) / name for name in ("counts.json", "schemathesis.toml", "openapi.json"))
        # From a file: where it is loaded from schemathesis does not ask again.
        urllib.request.urlretrieve(given.url + "/api/v1/openapi.json", document)
        config.write_text(configuration(real_names(given.url)))
        command = [
            *[str(pathlib.Path(sys.executable).with_name("schemathesis")), "--no-color", "--config-file", str(config)],
            *["run", str(document), "--url", given.url, "--exclude-path", ENDLESS],
            *["--seed", given.seed, "--max-examples", given.examples, "--generation-database", "none"],
            *["--suppress-health-check", "all", "--request-timeout", "25"],
            # They tell what the requests did not come to; the lines at the end tell that too.
            *["--warnings", "off"],
        ]
        ended = subprocess.run(command, cwd=folder, env=os.environ | {"SCHEMATHESIS_HOOKS": __file__, "FOREBAY_FUZZ": str(counts)})
        print(f"seed {given.seed}")
        for operation, statuses in sorted(json.loads(counts.read_text()).items()):
            print("OPERATION", operation, *(f"{status}={count}" for status, count in sorted(statuses.items())))
        sys.exit(ended.returncode)


def hook() -> None:
    import atexit

    import schemathesis

    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)

    def filter_query(ctx, query):
        return len(urllib.parse.urlencode(query or {}, doseq=True)) < LONGEST_QUERY

    def after_call(ctx, case, response):
        counts[case.operation.label][f"{response.status_code // 100}xx"] += 1

    for found in (filter_query, after_call):
        schemathesis.hook(found)
    atexit.register(lambda: pathlib.Path(os.environ["FOREBAY_FUZZ"]).write_text(json.dumps(counts)))


def configuration(names: dict[str, list[str]]) -> str:
    """The dictionaries from which half of the values come, each as far as the schema lets it."""
    text = ""
    for place, values in names.items():
        # A text of JSON is one of TOML, unless it writes characters beyond 16 bits in halves.
        listed = ", ".join(json.dumps(value, ensure_ascii=False) for value in values)
        text += f'[dictionaries."{place}"]\nvalues = [{listed}]\n' if values else ""
    text += "[checks]\nenabled = false\n" + "".join(f"{check}.enabled = true\n" for check in CHECKS)
    # A GET there opens a WebSocket, for which OpenAPI has no words.
    text += f'[[operations]]\ninclude-path = "{SOCKETS}"\n[operations.checks]\nallow_header_conformance.enabled = false\n'
    text += f'[[operations]]\ninclude-path = "{ARCHIVES}"\n[operations.parameters]\n'
    text += "".join(f'"{place}" = {{ dictionary = "{names}", probability = 0.8 }}\n' for place, names in FITTING.items())
    text += "[parameters]\n"
    for place, values in names.items():
        # A name without a dot is no place of its own.
        text += f'"{place}" = {{ dictionary = "{place}", probability = 0.5 }}\n' if values and "." in place else ""
    return text


def real_names(url: str) -> dict[str, list[str]]:
    """What stands in the place of what was made up, by that place."""

    def get(path: str):
        with urllib.request.urlopen(url + path) as answer:
            return json.load(answer)

    schema = get("/api/v1/schema")
    fields = [field for source in schema["sources"] for field in source["fields"]]
    sorts = [f"{sign}{field['name']}" for field in fields for sign in ("", "-")]
    devices, quarantine, alerts = (get(f"/api/v1/{what}?limit=1") for what in ("devices", "quarantine", "alerts"))
    cycles = get("/api/v1/cycles")
    queries = [query["name"] for query in get("/api/v1/queries")]
    codes = [record["code"] for record in quarantine["records"]]
    statements = [f"SELECT * FROM {table} LIMIT 3" for table in schema["tables"]]
    return {
        "path.name": [*queries, schema["pipeline"]],
        "cycles": [cycle["query"] for cycle in cycles],
        "archives": [archive["name"] for cycle in cycles for archive in cycle["archives"]],
        "query.source": [source["name"] for source in schema["sources"]],
        "query.field": [field["name"] for field in fields if field["kind"] == "number"]
        + [label for source in schema["sources"] for label in source["labels"]],
        "query.sort": ["key", "-key", "lastSeen", "-lastSeen", *sorts],
        "query.key": [device["key"] for device in get("/api/v1/devices")["devices"]],
        "query.rule": [rule["name"] for rule in schema["alerts"]],
        "query.query": queries,
        "query.code": codes,
        "query.cursor": [page["next"] for page in (devices, quarantine, alerts) if page["next"]],
        "query.q": statements,
        "path.id": [silence["id"] for silence in get("/api/v1/silences")["silences"]],
        "path.gateway": [gateway["name"] for gateway in get("/api/v1/gateways")],
        "body.sql": statements,
        # `query` and `code` of a body may be texts in one of its forms and not in the other, which dictionaries mistake.
        "body.records[*]": [record["id"] for record in get("/api/v1/quarantine")["records"]],
    }


if __name__ == "__main__":
    main()
elif os.environ.get("FOREBAY_FUZZ"):
    hook()
