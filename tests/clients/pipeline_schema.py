"""Checks pipeline files against the JSON Schema that editors use, as an editor does: YAML read, then validated.

    pipeline_schema.py SCHEMA FILE...

A line for each: `OK FILE`, or `BAD FILE: where: why`. Of a .md file every block of YAML is checked.
"""

import json
import pathlib
import re
import sys

import jsonschema
import yaml


class Yaml(yaml.SafeLoader):
    """YAML 1.2, as editors and Forebay read it: `on` and `yes` are texts, not truths."""


Yaml.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:bool"] for first, rules in Yaml.yaml_implicit_resolvers.items()
}
Yaml.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def documents(path: pathlib.Path) -> list[str]:
    text = path.read_text()
    return re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S) if path.suffix == ".md" else [text]


def main() -> None:
    schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    for name in sys.argv[2:]:
        found = [error for text in documents(pathlib.Path(name)) for error in validator.iter_errors(yaml.load(text, Yaml))]
        if not documents(pathlib.Path(name)):
            print(f"BAD {name}: there is no YAML in it")
        for error in found:
            print(f"BAD {name}: {'.'.join(str(step) for step in error.absolute_path)}: {error.message[:200]}")
        if not found:
            print(f"OK {name}")


if __name__ == "__main__":
    main()
