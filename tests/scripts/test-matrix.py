#!/usr/bin/env python3
"""test-matrix - what scripts/matrix makes of a program's end, in each spelling that programs have for it."""
import importlib.machinery
import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
PATH = os.path.join(HERE, "..", "..", "scripts", "matrix")


def load():
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("matrix", PATH)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("matrix", loader))
    loader.exec_module(module)
    return module


# What a program does: exit code, meson's word for it, standard output; then cases passed, failed, skipped.
TABLE = [
    ("a program without TAP",             0, "OK",      "all is well",                             (1, 0, 0)),
    ("... that fails",                    1, "FAIL",    "oh no",                                   (0, 1, 0)),
    ("... that cannot run here",         77, "SKIP",    "no such device",                          (0, 0, 1)),
    ("... and says nothing",             77, "SKIP",    "",                                        (0, 0, 1)),
    ("... that hangs",                  -15, "TIMEOUT", "",                                        (0, 1, 0)),
    ("... that crashes",                -11, "FAIL",    "",                                        (0, 1, 0)),
    ("TAP",                               0, "OK",      "1..2\nok 1 - a\nok 2 - b",                (2, 0, 0)),
    ("the plan behind",                   0, "OK",      "ok 1 - a\nok 2 - b\n1..2",                (2, 0, 0)),
    ("several plans",                     0, "OK",      "1..1\nok 1 - a\n1..1\nok 1 - b",          (2, 0, 0)),
    ("a bad case",                        1, "FAIL",    "1..2\nok 1 - a\nnot ok 2 - b",            (1, 1, 0)),
    ("a skipped case",                    0, "OK",      "1..2\nok 1 - a\nok 2 - b # SKIP no root", (1, 0, 1)),
    ("... as cmocka 1.1.5 spells it",     0, "OK",      "1..2\nok 1 - a\nnot ok 2 # SKIP b",       (1, 0, 1)),
    ("... in small letters",              0, "OK",      "1..1\nok 1 - a # skipped: no root",       (0, 0, 1)),
    ("all skipped, exit code 0",          0, "SKIP",    "1..0 # SKIP x is not installed",          (0, 0, 1)),
    ("all skipped, exit code 77",        77, "ERROR",   "1..0 # SKIP x is not installed",          (0, 0, 1)),
    ("... in small letters",             77, "ERROR",   "1..0 # skip x",                           (0, 0, 1)),
    ("... with 'Skipped:'",               0, "SKIP",    "1..0 # Skipped: x",                       (0, 0, 1)),
    ("... without a reason",             77, "ERROR",   "1..0",                                    (0, 0, 1)),
    ("the rest skipped",                 77, "ERROR",   "1..3\nok 1 - a\n# x went away",           (1, 0, 2)),
    ("the rest not run",                  0, "ERROR",   "1..3\nok 1 - a",                          (1, 2, 0)),
    ("a crash behind the last case",    -11, "FAIL",    "1..1\nok 1 - a",                          (1, 1, 0)),
    ("a crash behind a skip",             1, "FAIL",    "1..0 # SKIP x",                           (0, 1, 0)),
    ("a sanitizer's exit code",          98, "ERROR",   "1..1\nok 1 - a",                          (1, 1, 0)),
    ("bail out",                          0, "ERROR",   "1..1\nok 1 - a\nBail out! x",             (1, 1, 0)),
    ("TAP that hangs",                  -15, "TIMEOUT", "1..2\nok 1 - a",                          (1, 1, 0)),
]


def main():
    matrix = load()
    bad = 0
    print(f"1..{len(TABLE)}")
    for number, (title, code, result, said, wanted) in enumerate(TABLE, 1):
        count = matrix.count_test("it", {"name": "it", "returncode": code, "result": result, "duration": 1, "stdout": said})
        got = (count.passed, count.failed, count.skipped)
        told = [name for name, _ in count.reports]
        good = got == wanted and told == ["it"] * (wanted[1] > 0) + ["it: skipped"] * ("it: skipped" in told) \
            and (wanted[2] == 0 or "it: skipped" in told)
        bad += not good
        print(f"{'' if good else 'not '}ok {number} - {title}")
        if not good:
            print(f"# passed, failed, skipped: {got}, should be {wanted}; reports: {count.reports}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
