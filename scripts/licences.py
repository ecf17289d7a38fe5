"""Checks that every crate in the lock file comes from crates.io under a licence that Apache-2.0 work may use."""

import json
import re
import subprocess
import sys

ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "bzip2-1.0.6", "CC0-1.0",
    "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "OpenSSL", "Unicode-3.0", "Unlicense", "Zlib",
}
SOURCE = "registry+https://github.com/rust-lang/crates.io-index"


def allowed(expression: str) -> bool:
    """An SPDX expression, AND binding tighter than OR; parentheses only around OR groups."""
    expression = expression.replace("/", " OR ")
    while "(" in expression:
        inner = re.search(r"\(([^()]*)\)", expression)
        if inner is None:
            return False
        verdict = "MIT" if allowed(inner.group(1)) else "refused"
        expression = expression[: inner.start()] + verdict + expression[inner.end():]
    return any(all(part.strip() in ALLOWED for part in choice.split(" AND ")) for choice in expression.split(" OR "))


def main() -> int:
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["packages"]
    problems = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if package["source"] not in (None, SOURCE):
            problems.append(f"{name}: comes from {package['source']}")
        if not allowed(package["license"] or "none"):
            problems.append(f"{name}: licence {package['license']}")
    print(f"{len(packages)} crates looked at, {len(problems)} refused")
    for problem in problems:
        print(f"  {problem}")
    if len(packages) < 100:
        print("too few crates: the check did not see the lock file")
        return 1
    return 1 if problems else 0


sys.exit(main())
