#!/usr/bin/env python3
"""mutants.py BUILD [NAME...] - does the simulation find what it is there for?

Each mutant is the real code with one mistake in it. It is compiled with the flags of the build folder, linked in front
of the libraries, and must be found within SEEDS seeds: a difference, a failed check, or no end. A mutant whose text is not
in the source exactly once is a failure of this test: the code has moved on, and the mutant must follow.

Prints TAP, and behind each case the time and what was seen.
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

SEEDS = 1000
PATIENCE = 900  # seconds; who takes longer hangs

# name, file, what is there, what is there instead
MUTANTS = [
    ("lost-merge-base", "src/volume/commit.c",
     "\tif (part.to < ARENA_PAGE)\n", "\tif (0)\n"),
    ("overtaken-versions-told-too-early", "src/volume/pageio.c",
     "\t\tif (last)\n\t\t\tbreak;\n", "\t\t(void)last;\n"),
    ("not-shown-in-the-order-of-commits", "src/volume/pageio.c",
     "n_owed += list_empty(&r->vers) ? 1 : 2;", "n_owed += 1;"),
    ("reader-does-not-pin", "src/volume/read.c",
     "\t\tif (n)\n\t\t\tarena_ref(v->arena, page, n);", "\t\t(void)n;"),
    ("data-out-of-any-number", "src/place/window.c",
     "\tif (unlikely(h->datasn != w->next_datasn)) /* RFC 7143 11.7.5 */\n\t\t*whyp = CTR_REFUSED_DATASN;\n"
     "\telse if (unlikely(h->offset != next))", "\tif (unlikely(h->offset != next))"),
    ("late-data-of-an-aborted-task-not-drained", "src/target/task_abort.c",
     "\t\t\t\tdpt_drain(&c->dpt, e);", "\t\t\t\tdpt_close(&c->dpt, e);"),
    ("window-of-a-burst-that-has-ended-planned", "src/proto/plan.c",
     "\tif (!f->in_burst)\n\t\treturn NULL;\n", "\tif (!f->in_burst)\n\t\treturn w;\n"),
    ("reset-answered-before-io-has-settled", "src/target/reset.c",
     "task_abort_by_other(t, is_told(s, t, r), waiter);", "task_abort_by_other(t, is_told(s, t, r), NULL);"),
    ("abort-answered-before-io-has-settled", "src/target/rx_tmf.c",
     "\ttask_abort(t, &e->waiter);\n\tending_told(e);", "\ttask_abort(t, NULL);\n\tending_told(e);"),
    ("flush-trusted-beside-a-failed-one", "src/backend/backend.c",
     "\tif (r->n_failed == backend_failed_flushes(r->b))\n", "\tif (1)\n"),
    ("zeros-acknowledged-without-a-flush", "src/volume/sweep.c",
     "\tif (!end && w->v->backend)\n\t\tsync_flush(w, sweep_flushed);", "\tif (0)\n\t\tsync_flush(w, sweep_flushed);"),
    ("zeros-behind-a-newer-write", "src/volume/pageio.c",
     "\t\tif (r->busy == PAGE_IDLE)\n\t\t\tmark_fly(r, ver, launch);",
     "\t\tif (r->busy == PAGE_IDLE)\n\t\t\tmark_fly(r, oldest_ver(r), launch);"),
    ("holes-of-a-copy-acknowledged-without-a-flush", "src/volume/copy.c",
     "\tif (!end && w->copy->loose)\n", "\tif (0)\n"),
    ("shared-page-of-nobody", "src/volume/copypages.c",
     "\t\t\t\tarena_ref(w->v->arena, page, 1);\n", ""),
    ("copy-forward-over-its-own-source", "src/volume/copy.c",
     "overlaps(op, from, from_off) && from_off < op->off;", "false;"),
    ("clone-acknowledged-without-a-flush", "src/volume/clone.c",
     "\tw->copy->loose = true;\n", ""),
    ("clone-over-what-is-in-memory-only", "src/volume/clone.c",
     " || entry_is_unclean(e))", ")"),
    # write-back
    ("flush-skipped-for-a-page-that-is-dirty-anew", "src/volume/writer.c",
     "written(w) || w->unsynced", "written(w)"),
    ("flush-counted-for-later-writes", "src/volume/back.c",
     "\tif (!(e & ENTRY_MARK) == !w->mark)\n\t\treturn e; /* it ended later */\n", ""),
    ("failed-flush-forgotten", "src/volume/back.c",
     "\tif (w->sync_error)\n\t\treturn dirty_again(v, at, e);\n", ""),
    ("record-retired-before-the-next-is-published", "src/volume/dirty.c",
     "\tpublish_all(work);\n",
     "\tfor (uint32_t i = 0; i < work->n; i++) {\n"
     "\t\tentry_t e = entry_shown(map_get(&v->map, work->first + i));\n\n"
     "\t\tif (entry_is_unclean(e))\n\t\t\tledger_retire(v->writer->ledger, entry_page(e));\n\t}\n"
     "\tpublish_all(work);\n"),
    ("half-a-command-adopted", "src/volume/dirty.c",
     "work->n > 1 ? ledger_begin(l, seq) : NULL", "work->n > 100000 ? ledger_begin(l, seq) : NULL"),
    ("older-record-wins", "src/volume/dirty.c",
     "older = r->seq < l->records", "older = r->seq > l->records"),
    ("fua-without-a-flush", "src/volume/commit.c",
     "r == COMMIT_DIRTY && w->op->durable", "r == COMMIT_DIRTY && 0"),
    ("overwritten-record-stays", "src/volume/dirty.c",
     "\t\tledger_retire(v->writer->ledger, entry_page(e));\n\t\tn_written", "\t\tn_written"),
]


def spell(text):
    return text.replace("\n", "\\n").replace("\t", "\\t")


class Build:
    """The build folder: how a source is compiled, and how berth-sim is linked."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        with open(os.path.join(self.folder, "compile_commands.json"), encoding="utf-8") as f:
            self.commands = {os.path.realpath(os.path.join(c["directory"], c["file"])): c for c in json.load(f)}
        done = subprocess.run(["ninja", "-C", self.folder, "-t", "commands", "berth-sim"],
                              stdout=subprocess.PIPE, text=True, check=True)
        self.link = shlex.split(done.stdout.strip().splitlines()[-1])

    def compile(self, source, text, out):
        command = self.commands[os.path.realpath(source)]
        words = shlex.split(command["command"])
        path = os.path.join(os.path.dirname(out), os.path.basename(source))
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        words[words.index("-o") + 1] = out
        words[words.index("-c") + 1] = path
        words[words.index("-o"):words.index("-o")] = ["-iquote", os.path.dirname(os.path.realpath(source))]
        for option in ("-MQ", "-MF"):
            if option in words:
                words[words.index(option) + 1] = out + ".d"
        words = [w for w in words if w != "-Werror"]
        return subprocess.run(words, cwd=command["directory"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)

    def program(self, out, extra):
        words = list(self.link)
        words[words.index("-o") + 1] = out
        at = next(i for i, w in enumerate(words) if w.endswith(".a"))
        words.insert(at, extra)
        return subprocess.run(words, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)


def play(program):
    """What the run showed of the mistake, or None."""
    try:
        done = subprocess.run([program, "--seeds", str(SEEDS), "--steps", "5000"], timeout=PATIENCE,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False)
    except subprocess.TimeoutExpired:
        return "no end"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if not ": repeat with: " in line]
    return lines[0] if lines else f"exit code {done.returncode}"


def mutate(build, source_root, mutant, folder):
    """(found, what was seen)"""
    name, path, old, new = mutant
    source = os.path.join(source_root, path)
    with open(source, encoding="utf-8") as f:
        text = f.read()
    if text.count(old) != 1:
        return False, f"{path} has this {text.count(old)} times: {spell(old)}"
    out = os.path.join(folder, name + ".o")
    program = os.path.join(folder, name)
    for done in (lambda: build.compile(source, text.replace(old, new), out),
                 lambda: build.program(program, out)):
        made = done()
        if made.returncode:
            return False, "cannot be built: " + made.stdout.strip().splitlines()[-1]
    seen = play(program)
    os.unlink(program)
    return seen is not None, seen or f"not found in {SEEDS} seeds"


def main(args):
    if not args:
        print(__doc__, file=sys.stderr)
        return 2
    build = Build(args[0])
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    chosen = [m for m in MUTANTS if len(args) == 1 or m[0] in args[1:]]
    bad = 0
    print(f"1..{len(chosen)}")
    with tempfile.TemporaryDirectory() as folder:
        for number, mutant in enumerate(chosen, 1):
            start = time.monotonic()
            found, seen = mutate(build, root, mutant, folder)
            bad += not found
            print(f"{'ok' if found else 'not ok'} {number} - {mutant[0]}")
            print(f"# {time.monotonic() - start:.1f} s: {re.sub(r'[^ -~]', '?', seen)}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
