"""Processes, their ends, folders and counts: what every sub-campaign is made of."""
import collections
import contextlib
import errno
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from compare import differences, is_half_written, manifest
from toys import BERT, TABLES, write_bert

HERE = pathlib.Path(__file__).resolve().parent

class Outcome:
    """How a process ended."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def __str__(self):
        return f"exit status {self.code}, stdout {self.out[-300:]!r}, stderr {self.err[-1500:]!r}"


class Lost(Exception):
    """Something was lost, or silent, or said badly."""


def check(condition, message):
    if not condition:
        raise Lost(message)


SAID_OF_PANICS = re.compile(r"panic|the computation failed|RUST_BACKTRACE|\.rs:\d+")


def check_error(outcome, *words, one_of=()):
    """That a process ended with one clear error that has all the words, and one of the others."""
    err = outcome.err.decode(errors="replace")
    check(outcome.code == 1, f"an error has exit status 1: {outcome}")
    check(err.count("error:") == 1, f"one error is said once: {outcome}")
    check(not SAID_OF_PANICS.search(err), f"a panic is no error of ours: {outcome}")
    for word in words:
        check(word.lower() in err.lower(), f"the error must say `{word}`: {outcome}")
    check(not one_of or any(word in err for word in one_of), f"the error must say one of {one_of}: {outcome}")


class Tally:
    """Counts of a sub-campaign."""

    def __init__(self):
        self.counts, self.lost, self.lock = collections.Counter(), [], threading.Lock()
        self.seconds = 0.0

    def add(self, what, n=1):
        with self.lock:
            self.counts[what] += n


class Campaign:
    def __init__(self, options):
        self.options, self.short = options, options.short
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="campaign-", dir=options.work))
        os.chmod(self.work, 0o755)
        self.bert = self.work / "bert"
        write_bert(self.bert)
        self.bases, self.locks = {}, collections.defaultdict(threading.Lock)
        self.tally, self.n_folders, self.lock = None, 0, threading.Lock()
        self.children = set()

    def random(self, *of):
        """Random numbers of their own for each part, so that one alone is as in the whole."""
        return random.Random("/".join([str(self.options.seed), *map(str, of)]))

    def folder(self, name):
        with self.lock:
            self.n_folders += 1
            return os.fsencode(str(self.work / f"{name}-{self.n_folders}"))

    def program(self, name):
        return str(self.options.bin / name)

    def arguments(self, table, folder, *more):
        program, sets = TABLES[table]
        edits = [word for edit in sets for word in ("--set", edit)]
        weights = ["--weights", self.bert] if BERT[0] in sets else []
        device = [] if more[:1] in (("report",), ("prepare",)) else ["--device", "flex"]
        weights = [] if more[:1] == ("report",) else weights
        # Whoever names the recipe may go on with a run that was killed before it was one.
        recipe = ["--recipe", f"small/{program}"] if "--resume" in more else []
        return [self.program(program), *more, *recipe, *device, "--out", folder, *weights, *edits]

    def environment(self, **more):
        return {**os.environ, "RAYON_NUM_THREADS": "1", "LC_ALL": "C.UTF-8", "RUST_BACKTRACE": "0", **more}

    def start(self, arguments, env=None, stdin=subprocess.DEVNULL, **more):
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True, **more}
        return subprocess.Popen(arguments, env=env or self.environment(), stdin=stdin, **more)

    def end(self, process, started):
        """Waits for a process, for as long as a toy run can take on a busy machine."""
        try:
            out, err = process.communicate(timeout=self.options.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise Lost(f"no end within {self.options.timeout} s: {process.args} {err!r}") from None
        return Outcome(process.returncode, out or b"", err or b"", time.monotonic() - started)

    def run(self, arguments, **more):
        started = time.monotonic()
        return self.end(self.start(arguments, **more), started)

    def base(self, table):
        """The folder of an undisturbed run of a table, and how long it took."""
        with self.locks[table]:
            if table not in self.bases:
                folder = os.fsencode(str(self.work / f"base-{table}"))
                outcome = self.run(self.arguments(table, folder, "--quiet"))
                check(outcome.code == 0, f"an undisturbed run fails: {outcome}")
                seconds = outcome.seconds
                outcome = self.run(self.arguments(table, folder, "--quiet", "--resume"))
                check(outcome.code == 0, f"an undisturbed run cannot be resumed: {outcome}")
                self.bases[table] = (folder, manifest(folder), seconds, outcome)
            return self.bases[table]

    def copy_of_base(self, table):
        folder = self.folder(table)
        shutil.copytree(self.base(table)[0], folder)
        return folder

    def check_same(self, table, folder, half_written=True):
        wanted, found = self.base(table)[1], manifest(folder)
        if not half_written:
            found = {path: data for path, data in found.items() if not is_half_written(path)}
        said = differences(wanted, found)
        check(not said, f"{os.fsdecode(folder)}: {len(said)} of {len(wanted)} files: {', '.join(said[:8])}")

    def go_on(self, table, folder, what, **more):
        """Resumes a disturbed run; it must end as the undisturbed one."""
        outcome = self.run(self.arguments(table, folder, "--quiet", "--resume"), **more)
        check(outcome.code == 0, f"after {what}, --resume fails: {outcome}")
        self.check_same(table, folder)
        self.tally.add("resumed, the same bits")

    def tables(self):
        return [name for name, (program, _) in TABLES.items() if program in self.options.programs]

    def each(self, jobs):
        """Does jobs (what, function) with as many at a time as was asked; what is lost is said and counted."""
        tally = self.tally

        def one(job):
            what, work = job
            try:
                work()
            except (Lost, OSError) as error:
                with tally.lock:
                    tally.lost.append(f"{what}: {error}")
                print(f"LOST {what}: {error}", flush=True)

        with ThreadPoolExecutor(self.options.jobs) as pool:
            list(pool.map(one, jobs))

    def clean(self, folder):
        if not self.options.keep:
            shutil.rmtree(folder, ignore_errors=True)


SUBCAMPAIGNS = {}


def subcampaign(function):
    SUBCAMPAIGNS[function.__name__.removesuffix("_")] = function
    return function


# ── a failing disk and a wrong clock ──

FAULTS = {"ENOSPC": {"CAMPAIGN_ERRNO": str(errno.ENOSPC)},
          "EIO": {"CAMPAIGN_ERRNO": str(errno.EIO)},
          "EIO once": {"CAMPAIGN_ERRNO": str(errno.EIO), "CAMPAIGN_ONCE": "1"},
          "kill -9": {"CAMPAIGN_KILL": "1"}}
KINDS = ["opened", "written", "synced", "truncated", "renamed", "folders made", "removed"]


def shim(c):
    """The preloaded library, built once."""
    with c.locks["shim"]:
        path = c.work / "shim.so"
        if not path.exists():
            built = subprocess.run(["cc", "-O1", "-Wall", "-shared", "-fPIC", "-o", path, HERE / "shim.c"],
                                   capture_output=True, text=True, check=False)
            check(built.returncode == 0, f"the shim cannot be built: {built.stderr}")
        return str(path)


def with_faults(c, folder, after=None, fault=None, **more):
    """The environment of a process whose disk fails, and the file of its counts."""
    counts = str(c.work / f"counts-{threading.get_ident()}")
    with contextlib.suppress(FileNotFoundError):
        os.remove(counts)
    env = {"LD_PRELOAD": shim(c), "CAMPAIGN_FOLDER": os.fsdecode(folder), "CAMPAIGN_COUNTS": counts, **more}
    if after is not None:
        env |= {"CAMPAIGN_AFTER": str(after), **FAULTS[fault]}
    return c.environment(**env), counts


def counted(counts):
    """Calls, failed ones, and calls by kind."""
    with open(counts, "rb") as file:
        n, failed, *of = struct.unpack(f"{2 + len(KINDS)}q", file.read())
    return n, failed, dict(zip(KINDS, of))
