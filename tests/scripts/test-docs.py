#!/usr/bin/env python3
"""test-docs - what README, ARCHITECTURE, HACKING and PERFORMANCE name is there: files, functions, targets of make.

A file is named in `backquotes` or by a link, by its path from the root, from src/, or by its bare name. Where the first cell
of a table's row names a file and functions (`target/tx.c` `tx_sent()`), the file has them; a function elsewhere is in
some file of src/ or tests/. Prints TAP, a case a document.
"""
import glob
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "HACKING.md", "docs/PERFORMANCE.md"]
WORD = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#:\s]+)\)")
FILE = re.compile(r"^[\w.*/-]+\.(c|h|tbl|md|sh|py|map|[13])$|^(src|tests|scripts|docs|fuzz|bench|examples|include)/[\w./*-]*$")
ELSEWHERE = re.compile(r"^build|(^|/)[A-Z]+(/|$)")  # what a build makes, or DOOR stands for a name
FUNCTION = re.compile(r"^(\w+)\(\)$")
MAKE = re.compile(r"(?:^|[`\s])make ([a-z][a-z-]*)")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def sources():
    return [p for top in ("src", "include", "tests", "bench", "fuzz")
            for p in glob.glob(os.path.join(ROOT, top, "**", "*.[ch]"), recursive=True)]


SOURCES = {path: read(path) for path in sources()}


def find(name):
    """The files that a name may mean."""
    where = [os.path.join(ROOT, top, name) for top in ("", "src", "src/base")]
    where.append(os.path.join(ROOT, name + ".c"))  # a program
    found = [p for w in where for p in glob.glob(w)]
    if not found and "/" not in name:
        found = glob.glob(os.path.join(ROOT, "**", name), recursive=True)
    return [os.path.realpath(p) for p in found]


def defines(path, function):
    return re.search(rf"^[a-z_].*\b{function}\(", SOURCES.get(path) or read(path), re.M)


def targets():
    return set(re.findall(r"^([a-z][a-z-]*):", read(os.path.join(ROOT, "Makefile")), re.M))


def faults_of_line(line):
    words = WORD.findall(line)
    files = [w for w in words + LINK.findall(line) if FILE.match(w) and not ELSEWHERE.search(w)]
    for name in files:
        if not find(name):
            yield f"no file {name}"
    cell = WORD.findall(line.split("|")[1]) if line.startswith("| `") else []
    owners = [p for w in cell if FILE.match(w) for p in find(w)]
    for word in words:
        function = FUNCTION.match(word)
        if not function:
            continue
        if word in cell and owners:
            if not any(defines(p, function.group(1)) for p in owners):
                yield f"no {word} in {' '.join(os.path.relpath(p, ROOT) for p in owners)}"
        elif not any(re.search(rf"\b{function.group(1)}\(", text) for text in SOURCES.values()):
            yield f"no function {word}"
    for target in MAKE.findall(line):
        if (line.startswith("    ") or f"`make {target}" in line) and target not in targets():
            yield f"no target {target} in the Makefile"


def main():
    bad = 0
    print(f"1..{len(DOCUMENTS) + 1}")
    for i, name in enumerate(DOCUMENTS, 1):
        faults = [f"{name}:{n}: {fault}" for n, line in enumerate(read(os.path.join(ROOT, name)).splitlines(), 1)
                  for fault in faults_of_line(line)]
        for fault in faults:
            print("#", fault)
        print("not ok" if faults else "ok", i, "-", name)
        bad += bool(faults)
    # A check that finds nothing at all has lost its way.
    lies = ["see `target/nowhere.c`", "| `target/tx.c` `nobody()` | x |", "`nobody_at_all()`", "[x](docs/no.md)", "    make nothing"]
    found = [lie for lie in lies if list(faults_of_line(lie))]
    print("ok" if found == lies else "not ok", len(DOCUMENTS) + 1, "- what is not there is found")
    return bad or found != lies


sys.exit(1 if main() else 0)
