"""What else is around a process: another one, the clock, standard output, the place it runs in."""
import contextlib
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import tempfile
import time

from disk import MASK
from harness import check, check_error, shim, subcampaign
from toys import TABLES

# ── two processes ──


@subcampaign
def two(c):
    random = c.random("two")
    tables = random.sample(c.tables(), 1) if c.short else c.tables()
    c.each([(f"two {table}", both(c, table)) for table in tables])


def both(c, table):
    def work():
        folder = c.folder(table)
        first, started = c.start(c.arguments(table, folder, "--quiet")), time.monotonic()
        lock = folder + b"/.lock"
        while first.poll() is None and not (os.path.exists(lock) and os.path.getsize(lock) > 0):
            time.sleep(0.001)
        # It stands still, so that the others surely meet it.
        os.kill(first.pid, signal.SIGSTOP)
        try:
            for more in (["--resume"], [], ["train", "--resume"], ["eval", "--resume"], ["prepare"]):
                outcome = c.run(c.arguments(table, folder, *more, "--quiet"))
                check_error(outcome, f"pid {first.pid} ", socket.gethostname(), one_of=["--out"])
                c.tally.add("second processes refused")
        finally:
            os.kill(first.pid, signal.SIGCONT)
        outcome = c.end(first, started)
        check(outcome.code == 0, f"the first process fails: {outcome}")
        c.check_same(table, folder)
        c.tally.add("first processes undisturbed")
        c.go_on(table, folder, "a second process")
        c.clean(folder)
    return work


# ── the clock ──


@subcampaign
def clock(c):
    random = c.random("clock")
    tables = random.sample(c.tables(), 1) if c.short else c.tables()
    c.each([(f"clock {table} {how}", wrong_clock(c, table, how)) for table in tables for how in ("back", "none")])


def wrong_clock(c, table, how):
    def work():
        folder, seconds = c.folder(table), c.base(table)[2]
        env = c.environment(LD_PRELOAD=shim(c), CAMPAIGN_CLOCK=how)
        process, started = c.start(c.arguments(table, folder)), time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(c.random("clock", table, how).uniform(0.3, 0.8) * seconds)
        process.kill()
        c.end(process, started)
        # Files from another time than the process that goes on.
        for path in pathlib.Path(os.fsdecode(folder)).rglob("*"):
            when = {"back": time.time() + 10 * 86400, "none": 0}[how]
            os.utime(path, (when, when))
        outcome = c.run(c.arguments(table, folder, "--resume"), env=env)
        check(outcome.code == 0, f"under a wrong clock it fails: {outcome}")
        c.check_same(table, folder)
        for path in pathlib.Path(os.fsdecode(folder)).rglob("*.run.json"):
            record = json.loads(path.read_bytes())
            check(record["started"] >= 0 and record["finished"] >= 0, f"{path} has no times: {record}")
        whole = c.folder(table)
        outcome = c.run(c.arguments(table, whole), env=env)
        check(outcome.code == 0, f"under a wrong clock it fails: {outcome}")
        c.check_same(table, whole)
        c.tally.add(f"runs with a clock that {'goes backwards' if how == 'back' else 'stands before 1970'}", 2)
        c.go_on(table, whole, "a wrong clock")
        c.clean(folder)
        c.clean(whole)
    return work


# ── standard output and error ──


def printers(c):
    """What prints results: name → (arguments, standard input)."""
    tables = {table: c.base(table)[0] for table in c.tables()}
    found = {}
    for table, folder in tables.items():
        program = TABLES[table][0]
        found |= {
            f"{table}": (c.arguments(table, folder, "--quiet", "--resume"), None),
            f"{table} report": (c.arguments(table, folder, "report"), None),
            f"{table} --dry-run": (c.arguments(table, folder, "--dry-run"), None),
            f"{program} --help": ([c.program(program), "--help"], None),
            f"{program} --version": ([c.program(program), "--version"], None),
        }
    sparta = c.program("sparta")
    some = next(iter(tables.values()))
    found |= {
        "sparta doctor": ([sparta, "doctor"], None),
        "sparta doctor --json": ([sparta, "doctor", "--json"], None),
        "sparta report": ([sparta, "report", some, "--out", str(c.work / "report")], None),
        "sparta compare": ([sparta, "compare", some], None),
        "sparta analyze": ([sparta, "analyze", c.copy_of_base(next(iter(tables))), "--device", "flex"], None),
        "sparta mask": ([sparta, *MASK, "--out", str(c.work / "fixed.safetensors")], None),
    }
    if "iwslt" in tables:
        line = "Öffnet den Dialog.\n" * 3
        found |= {
            "iwslt translate": ([c.program("iwslt"), "translate", "--model", tables["iwslt"], "--device", "flex"], line),
            "sparta attend": ([sparta, "attend", tables["iwslt"], "--device", "flex", "--text", "Dialog", "--out",
                               str(c.work / "page.html")], None),
        }
    if "glue" in tables:
        found["glue predict"] = ([c.program("glue"), "predict", "--model", tables["glue"], "--device", "flex"],
                                 "Who?\tA poet.\n" * 3)
    if "squad" in tables:
        edits = [word for edit in TABLES["squad"][1] for word in ("--set", edit)]
        found["squad measure"] = ([c.program("squad"), "measure", "--device", "flex", "--weights", c.bert, *edits], None)
        asked = '{"data":[{"paragraphs":[{"context":"A poet.","qas":[{"id":1,"question":"Who?"}]}]}]}'
        found["squad answer"] = ([c.program("squad"), "answer", "--model", tables["squad"], "--device", "flex"], asked)
    return found


@subcampaign
def output(c):
    found = printers(c)
    names = c.random("output").sample(sorted(found), 6) if c.short else sorted(found)
    c.each([(f"output {name}", streams(c, name, *found[name])) for name in names])


def streams(c, name, arguments, text):
    def work():
        def run(*before, **more):
            with tempfile.TemporaryFile() as file:
                file.write((text or "").encode())
                file.seek(0)
                return c.run([*before, *arguments], stdin=file, **more)

        # What a command prints, where nothing is in its way.
        right = run()
        check(right.code == 0 and right.out, f"undisturbed, it fails: {right}")
        with open("/dev/full", "wb") as full:
            outcome = run(stdout=full)
            check_error(outcome, "standard output", "No space left")
            c.tally.add("full standard outputs")
            outcome = run(stderr=full)
            check(outcome.code == 0, f"standard error is full: {outcome}")
            c.tally.add("full standard errors")

        def closed():
            read, write = os.pipe()
            os.close(read)
            return os.fdopen(write, "wb")

        with closed() as pipe:
            outcome = run(stdout=pipe)
            said = outcome.err.decode(errors="replace")
            check(outcome.code == 0 and "error:" not in said, f"a closed pipe is no error: {outcome}")
            c.tally.add("closed pipes as standard output")
        with closed() as pipe:
            outcome = run(stderr=pipe)
            check(outcome.code == 0 and outcome.out, f"standard error is a closed pipe: {outcome}")
            c.tally.add("closed pipes as standard error")
        for number, what in ((1, "output"), (2, "error")):
            # The shell closes what Python cannot.
            outcome = run("sh", "-c", f'exec "$@" {number}>&-', "sh")
            check(outcome.code == 0, f"standard {what} is closed: {outcome}")
            c.tally.add(f"standard {what} closed")
    return work


# ── surroundings ──


def places_of(c, table):
    """Name → (folder, arguments before it, what `run` gets)."""
    env = c.environment()
    without = {key: value for key, value in env.items() if key not in ("HOME", "XDG_CACHE_HOME")}
    needed = {key: env[key] for key in ("LD_LIBRARY_PATH",) if key in env}
    here = os.fsencode(str(c.work))

    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))

    def deep():
        folder = c.folder(table)
        os.makedirs(folder)
        return folder

    inside = deep()
    linked = c.folder(table)
    os.makedirs(linked + b"-target")
    os.symlink(linked + b"-target", linked)
    relative = os.path.basename(c.folder(table))
    return {
        "locale C": (c.folder(table), [], {"env": {**env, "LC_ALL": "C", "LANG": "C"}}),
        "no locale": (c.folder(table), [], {"env": {k: v for k, v in env.items() if k not in ("LC_ALL", "LANG")}}),
        "no HOME": (c.folder(table), [], {"env": without}),
        "no environment": (c.folder(table), [], {"env": needed or {"A": "b"}}),
        "a TMPDIR that is not there": (c.folder(table), [], {"env": {**env, "TMPDIR": "/nonexistent"}}),
        "stdin closed": (c.folder(table), ["sh", "-c", 'exec "$@" <&-', "sh"], {}),
        "stdout closed": (c.folder(table), ["sh", "-c", 'exec "$@" >&-', "sh"], {}),
        "stderr closed": (c.folder(table), ["sh", "-c", 'exec "$@" 2>&-', "sh"], {}),
        "all three closed": (c.folder(table), ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"], {}),
        "a path with spaces": (c.folder(table) + b" of a long, 'quoted' name/a run", [], {}),
        "a path that is no UTF-8": (c.folder(table) + b"-\xff\xfe/r\xe4n", [], {}),
        "a path with a line feed": (c.folder(table) + b"-a\nb", [], {}),
        "a relative path": (here + b"/" + relative, [], {"cwd": here, "as": relative}),
        "a path with dots": (here + b"/" + relative + b"-d", [], {"cwd": inside, "as": b"../" + relative + b"-d/./"}),
        "the folder itself": (inside, [], {"cwd": inside, "as": b"."}),
        "a link": (linked, [], {}),
        "umask 077": (c.folder(table), [], {"umask": 0o077}),
        "32 open files": (c.folder(table), [], {"preexec_fn": few_files}),
    }


@subcampaign
def places(c):
    random, jobs = c.random("places"), []
    tables = c.tables()
    all_of = {table: places_of(c, table) for table in tables}
    for i, name in enumerate(all_of[tables[0]]):
        # The short form has each for one table, in turn.
        for table in ([tables[i % len(tables)]] if c.short else tables):
            if c.short and i % 3 != c.options.seed % 3:
                continue
            jobs.append((f"places {table} {name}", place(c, table, name, *all_of[table][name], random.random())))
    c.each(jobs)


def place(c, table, name, folder, before, more, share):
    def work():
        given = dict(more)
        out = given.pop("as", folder)

        def arguments(*words):
            return [*before, *c.arguments(table, out, *words)]

        seconds = c.base(table)[2]
        process, started = c.start(arguments(), **given), time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait((0.3 + 0.7 * share) * seconds)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        outcome = c.end(process, started)
        check(outcome.code in (0, 128 + signal.SIGTERM, -signal.SIGTERM), f"it fails: {outcome}")
        outcome = c.run(arguments("--quiet", "--resume"), **given)
        check(outcome.code == 0, f"--resume fails: {outcome}")
        c.check_same(table, folder)
        outcome = c.run(arguments("report"), **given)
        check(outcome.code == 0, f"report fails: {outcome}")
        c.check_same(table, folder)
        c.tally.add(name)
    return work
