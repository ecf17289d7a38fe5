"""Are the files under `deploy/` what their readers take? Run by tests/clients/deployment.sh.

    deployment.py compose SCHEMA FILE       a compose file, by the JSON Schema of the compose specification
    deployment.py kubernetes FILE           the documents that kustomize makes, by the JSON Schemas of Kubernetes, strictly
    deployment.py grafana FOLDER            what is provisioned: YAML and JSON that fit together

Prints a line for each thing that was looked at; ends with 1 at the first that is wrong, and if there was nothing to look at.
"""

import json
import pathlib
import sys

import yaml


def compose(schema: str, file: str) -> int:
    import jsonschema

    schema = json.loads(pathlib.Path(schema).read_text())
    document = yaml.safe_load(pathlib.Path(file).read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    wrong = [f"{'.'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(document)]
    if wrong:
        sys.exit("\n".join(wrong))
    for name, service in document["services"].items():
        for other in service.get("depends_on", {}):
            assert other in document["services"], f"{name} depends on {other}, which is no service"
        for mount in service.get("volumes", []):
            source = mount["source"] if isinstance(mount, dict) else mount.split(":")[0]
            kind = mount["type"] if isinstance(mount, dict) else "volume"
            if kind == "volume":
                assert source in document["volumes"], f"{name}: no volume {source}"
            else:
                assert (pathlib.Path(file).parent / source).exists(), f"{name}: {source} is not there"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} is open to others than this machine"
        assert "build" in service or ":" in service["image"] or service["image"] == "forebay", f"{name}: no version"
        print(f"service {name}")
    return len(document["services"])


def kubernetes(file: str) -> int:
    import kubernetes_validate

    documents = [one for one in yaml.safe_load_all(pathlib.Path(file).read_text()) if one]
    for document in documents:
        version = kubernetes_validate.validate(document, "1.33", strict=True)
        print(f"{document['kind']} {document['metadata']['name']} ({version})")
    return len(documents)


def grafana(folder: str) -> int:
    root = pathlib.Path(folder)
    sources = yaml.safe_load((root / "provisioning/datasources/forebay.yaml").read_text())["datasources"]
    uids = {source["uid"] for source in sources}
    seen = 0
    for file in (root / "dashboards").glob("*.json"):
        dashboard = json.loads(file.read_text())
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                assert target["datasource"]["uid"] in uids, f"{file.name}: {panel['title']} asks nobody"
                seen += 1
        print(f"dashboard {dashboard['title']}")
    return seen


if __name__ == "__main__":
    looked_at = {"compose": compose, "kubernetes": kubernetes, "grafana": grafana}[sys.argv[1]](*sys.argv[2:])
    if not looked_at:
        sys.exit("nothing was looked at")
