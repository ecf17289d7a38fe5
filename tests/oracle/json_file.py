"""The file of JSON cases: where it is, how a payload is made from it, and how it is written (one case per line)."""

import base64
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ROOT / "crates/forebay/tests/data/json_cases.json"
TABLE = ROOT / "docs/json-decoding.md"


def payload(case):
    """The bytes of a case's message; None is a tombstone."""
    generator = case.get("payload_generator")
    if generator is None:
        encoded = case["payload_base64"]
        return None if encoded is None else base64.b64decode(encoded)
    before, after = generator["before"], generator["after"]
    if generator["kind"] == "nest":
        depth = generator["depth"]
        middle = generator["open"] * depth + generator["core"] + generator["close"] * depth
    elif generator["kind"] == "repeat":
        unit, times = generator["unit"], generator["times"]
        units = (unit.replace("#", str(i)) for i in range(times)) if "#" in unit else [unit] * times
        middle = generator["separator"].join(units)
    else:
        raise ValueError(f"unknown payload generator {generator['kind']!r} in {case['id']}")
    return (before + middle + after).encode()


def load():
    return json.loads(CASES.read_text()) if CASES.exists() else []


def save(cases):
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
    CASES.parent.mkdir(parents=True, exist_ok=True)
    CASES.write_text(f"[\n{lines}\n]\n")
