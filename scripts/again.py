#!/usr/bin/env python3
"""Reads what a run of all tests printed, and says which of its failures deserve a second look.

A test that waits for a process gives up after a time, and on a machine whose cores are taken by something else the time
may have been too short: such a test is run once more, by itself, and both outcomes are told. Whatever else a test found,
above all a row that is lost, doubled or altered, is final, however seldom it comes.

    scripts/again.py LOG    prints the names of tests to run again, a line each; exits with 1 if any failure is final
"""

import re
import sys

# The words of a test that waited in vain (`eventually`, `wait_for` in crates/forebay/tests/it/support).
IN_VAIN = re.compile(r"^(not in time: |no line with `)", re.MULTILINE)


def failures(text):
    """The failing tests of a run, each with all that it printed.

    >>> run = '''running 2 tests
    ... test a::slow ... FAILED
    ...
    ... failures:
    ...
    ... ---- a::slow stdout ----
    ...
    ... thread 'a::slow' (7) panicked at x.rs:1:1:
    ... not in time: health
    ...
    ... ---- b::wrong stdout ----
    ... assertion `left == right` failed: not in time: of no account here
    ...
    ... failures:
    ...     a::slow
    ...     b::wrong
    ...
    ... test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out
    ... '''
    >>> {name: bool(IN_VAIN.search(said)) for name, said in failures(run).items()}
    {'a::slow': True, 'b::wrong': False}
    """
    found = {}
    for part in re.findall(r"^failures:\n\n(----.*?)^failures:\n(.*?)^test result:", text, re.MULTILINE | re.DOTALL):
        told = re.split(r"^---- (\S+) stdout ----\n", part[0], flags=re.MULTILINE)
        said = dict(zip(told[1::2], told[2::2]))
        for name in re.findall(r"^    (\S+)$", part[1], re.MULTILINE):
            found[name] = said.get(name, "")
    return found


def verdict(text):
    """The tests to run again; `None` if a failure is final or is not known.

    >>> verdict("error: could not compile `forebay`") is None
    True
    >>> verdict("test result: FAILED. 0 passed; 1 failed;") is None
    True
    """
    found = failures(text)
    counted = sum(int(count) for count in re.findall(r"^test result: FAILED\..*? (\d+) failed;", text, re.MULTILINE))
    if not found or counted != len(found):
        return None
    final = [name for name, said in found.items() if not IN_VAIN.search(said)]
    for name in final:
        print(f"final: {name}", file=sys.stderr)
    return None if final else sorted(found)


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        names = verdict(log.read())
    if names is None:
        sys.exit(1)
    print("\n".join(names))


if __name__ == "__main__":
    main()
