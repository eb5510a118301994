"""Disks that fail, are full, or may not be written to."""
import contextlib
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import time

from compare import differences, is_half_written, manifest
from harness import FAULTS, check, check_error, counted, subcampaign, with_faults
from toys import TABLES

# ── a failing disk ──

MASK = ["mask", "fixed(l=16,c=2)", "--type", "decoder-self", "--layers", "2", "--heads", "2", "--len", "32"]


def commands(c):
    """What else writes files: name → (table, arguments in a copy of its folder, standard input)."""
    translated = b"\xc3\x96ffnet den Dialog.\nSchlie\xc3\x9fen.\n"
    run = {
        "analyze": ("lm", lambda f: [c.program("sparta"), "analyze", f, "--device", "flex", "--quiet"], None),
        "report": ("lm", lambda f: [c.program("sparta"), "report", f, "--out", f, "--csv", "--json", "--latex"], None),
        "attend": ("glue", lambda f: [c.program("sparta"), "attend", f, "--device", "flex", "--quiet", "--text", "Who?",
                                      "--target", "A poet.", "--out", f + b"/page.html"], None),
        "mask": ("lm", lambda f: [c.program("sparta"), *MASK, "--out", f + b"/fixed.safetensors"], None),
        "translate": ("iwslt", lambda f: [c.program("iwslt"), "translate", "--model", f, "--device", "flex", "--quiet",
                                          "--attention", f + b"/attention.jsonl"], translated),
    }
    return {name: of for name, of in run.items() if TABLES[of[0]][0] in c.options.programs}


def sample(random, n, size):
    """Numbers below n: the first and last, and others at random where they are too many."""
    if n <= size:
        return list(range(n))
    return sorted({0, n - 1, *random.sample(range(n), size)})[:size] if size > 1 else [random.randrange(n)]


@subcampaign
def faults(c):
    random = c.random("faults")
    tables = c.tables()
    size = c.options.faults or (1 if c.short else 40)
    jobs = []
    for table in tables:
        names = [sorted(FAULTS)[random.randrange(len(FAULTS))]] if c.short else list(FAULTS)
        for name in names:
            jobs.append((table, name))
    whole = {}

    def count(table):
        def work():
            folder = c.folder(table)
            env, counts = with_faults(c, folder)
            outcome = c.run(c.arguments(table, folder, "--quiet"), env=env)
            check(outcome.code == 0, f"a counted run fails: {outcome}")
            c.check_same(table, folder)
            whole[table], _, of = counted(counts)
            c.tally.add(f"changes of the disk in a run of {table}", whole[table])
            for kind, n in of.items():
                c.tally.add(f"changes of the disk: {kind}", n)
            c.clean(folder)
        return work

    c.each([(f"faults {table}", count(table)) for table in tables])
    work = []
    for table, name in jobs:
        numbers = c.random("faults", table, name)
        ks = sample(numbers, whole.get(table, 0), size) if not c.short else [numbers.randrange(max(whole.get(table, 1), 1))]
        work += [(f"faults {table} {name} after {k}", fail(c, table, name, k)) for k in ks]
    names = commands(c)
    for command in [random.choice(sorted(names))] if c.short and names else names:
        work.append((f"faults {command}", fail_command(c, command, names[command], size)))
    c.each(work)


def check_fault(c, outcome, name, folder):
    """That a failing disk ended a program with its word; whether it did."""
    if name == "kill -9":
        check(outcome.code == -signal.SIGKILL, f"kill -9 was not: {outcome}")
        return True
    if name.startswith("EIO") and outcome.code == 0:
        # What could not be removed alone is no error if nothing else is different, which the comparison shows.
        return False
    said = "No space left" if name == "ENOSPC" else "Input/output error"
    where = os.path.basename(os.fsdecode(folder))
    check_error(outcome, said, where, one_of=["--resume", "--out", "again", "free space", "Free space"])
    return True


def fail(c, table, name, k):
    def work():
        folder = c.folder(table)
        env, counts = with_faults(c, folder, k, name)
        outcome = c.run(c.arguments(table, folder, "--quiet"), env=env)
        if counted(counts)[1] == 0:
            # A run is not as long each time: its own measurements may be missing.
            check(outcome.code == 0, f"it fails without a fault: {outcome}")
            c.tally.add("faults that came too late")
        else:
            ended = check_fault(c, outcome, name, folder)
            c.tally.add(f"faults, {name}")
            c.tally.add(f"faults of {TABLES[table][0]}")
            if not ended:
                c.tally.add("faults that the run outlived")
                c.check_same(table, folder, half_written=False)
        c.go_on(table, folder, f"{name} after {k} changes")
        c.clean(folder)
    return work


def fail_command(c, command, of, size):
    table, arguments, stdin = of

    def work():
        def once(folder, **more):
            if stdin is None:
                return c.run(arguments(folder), **more)
            with tempfile.TemporaryFile() as file:
                file.write(stdin)
                file.seek(0)
                return c.run(arguments(folder), stdin=file, **more)

        def found(folder):
            # Pages and reports name their folder.
            name = os.path.basename(folder)
            return {path: data.replace(name, b"RUN") for path, data in manifest(folder).items()}

        whole = c.copy_of_base(table)
        env, counts = with_faults(c, whole)
        outcome = once(whole, env=env)
        check(outcome.code == 0, f"undisturbed, it fails: {outcome}")
        n, wanted, before = counted(counts)[0], found(whole), c.base(table)[1]
        check(n > 0 and len(wanted) > len(before), f"{command} writes nothing: {outcome}")
        c.tally.add(f"changes of the disk in `{command}`", n)
        for name in FAULTS:
            for k in sample(c.random("faults", command, name), n, max(size // 4, 1)):
                folder = c.copy_of_base(table)
                env, counts = with_faults(c, folder, k, name)
                outcome = once(folder, env=env)
                if counted(counts)[1] == 0:
                    c.tally.add("faults that came too late")
                else:
                    ended = check_fault(c, outcome, name, folder)
                    c.tally.add(f"faults, {name}")
                    c.tally.add(f"faults of `{command}`")
                    if not ended:
                        said = differences(wanted, found(folder))
                        said = [word for word in said if not is_half_written(word)]
                        check(not said, f"{name} after {k}: exit status 0, and {said[:5]}: {outcome}")
                outcome = once(folder)
                check(outcome.code == 0, f"after {name} at {k}, the same command fails: {outcome}")
                said = differences(wanted, found(folder))
                # These commands do not own the folder, and leave what others may be writing.
                said = [word for word in said if not is_half_written(word)]
                check(not said, f"after {name} at {k}: {said[:5]}")
                c.tally.add("done again, the same bits")
                c.clean(folder)
        c.clean(whole)
    return work


# ── file systems that are full ──


def mounted(kind, folder, *options):
    os.makedirs(folder, exist_ok=True)
    done = subprocess.run(["mount", "-t", kind, "-o", ",".join(options), "campaign", folder], capture_output=True,
                          check=False)
    return done.returncode == 0


def unmount(folder):
    subprocess.run(["umount", "-l", folder], capture_output=True, check=False)


def remount(folder, *options):
    done = subprocess.run(["mount", "-o", ",".join(["remount", *options]), folder], capture_output=True, check=False)
    check(done.returncode == 0, f"{folder!r} cannot be mounted again: {done.stderr!r}")


def can_mount(c):
    folder = c.folder("mount")
    if os.geteuid() == 0 and mounted("tmpfs", folder, "size=64k"):
        unmount(folder)
        return True
    c.tally.add("left out: only root can mount")
    return False


@subcampaign
def tmpfs(c):
    if not can_mount(c):
        return
    jobs = []
    for table in c.tables():
        random = c.random("tmpfs", table)
        for i in range(1 if c.short else 16):
            jobs.append((f"tmpfs {table} {i}", fill(c, table, random.random())))
    c.each(jobs)


def fill(c, table, share):
    def work():
        base, outside = c.base(table)[0], c.folder("tmpfs")
        needed = sum(path.stat().st_size for path in pathlib.Path(os.fsdecode(base)).rglob("*"))
        size = int((4 << 10) + share * 1.1 * needed)
        check(mounted("tmpfs", outside, f"size={size}"), "no tmpfs")
        try:
            folder = outside + b"/run"
            outcome = c.run(c.arguments(table, folder, "--quiet"))
            if outcome.code == 0:
                c.tally.add("large enough")
                c.check_same(table, folder)
            else:
                check_error(outcome, "No space left", "run", one_of=["--resume", "--out"])
                c.tally.add(f"full file systems, {TABLES[table][0]}")
            remount(outside, "size=4g")
            c.go_on(table, folder, f"a file system of {size} bytes")
        finally:
            unmount(outside)
    return work


# ── a limit on the size of files ──


@subcampaign
def limit(c):
    jobs = []
    for table in c.tables():
        random = c.random("limit", table)
        for i in range(1 if c.short else 8):
            jobs.append((f"limit {table} {i}", stop_growing(c, table, random.random())))
    c.each(jobs)


def stop_growing(c, table, share):
    """A run whose files may not grow beyond a size between 1 KB and that of its largest one (RLIMIT_FSIZE)."""
    def work():
        files = pathlib.Path(os.fsdecode(c.base(table)[0])).rglob("*")
        size = int(1024 * (max(path.stat().st_size for path in files) / 1024 * 1.1) ** share)
        folder = c.folder(table)

        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        outcome = c.run(c.arguments(table, folder, "--quiet"), preexec_fn=limited)
        if outcome.code == 0:
            c.tally.add("large enough")
            c.check_same(table, folder)
        else:
            check_error(outcome, "File too large", os.path.basename(folder).decode(), one_of=["--resume", "--out"])
            c.tally.add(f"limited files, {TABLES[table][0]}")
        c.go_on(table, folder, f"a limit of {size} bytes a file")
        c.clean(folder)
    return work


# ── folders that cannot be written to ──


@subcampaign
def readonly(c):
    random = c.random("readonly")
    tables = random.sample(c.tables(), 1) if c.short else c.tables()
    jobs = []
    if can_mount(c):
        jobs += [(f"readonly {table} by mount", by_mount(c, table)) for table in tables]
    jobs += [(f"readonly {table} by mode", by_mode(c, table)) for table in tables]
    c.each(jobs)


def by_mount(c, table):
    def work():
        outside = c.folder("readonly")
        check(mounted("tmpfs", outside, "size=4g"), "no tmpfs")
        try:
            folder = outside + b"/run"
            remount(outside, "ro")
            check_error(c.run(c.arguments(table, folder, "--quiet")), "Read-only", "run", one_of=["--out"])
            c.tally.add("read-only, new run")
            # In the middle of a run: what has been opened is still written to, and the next file is not.
            remount(outside, "rw")
            process = c.start(c.arguments(table, folder, "--quiet"))
            started = time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(c.base(table)[2] * 0.5)
            process.kill()
            c.end(process, started)
            remount(outside, "ro")
            outcome = c.run(c.arguments(table, folder, "--quiet", "--resume"))
            check_error(outcome, "Read-only", "run", one_of=["--resume", "--out"])
            c.tally.add("read-only, resumed run")
            remount(outside, "rw")
            c.go_on(table, folder, "a read-only mount")
            remount(outside, "ro")
            outcome = c.run(c.arguments(table, folder, "report"))
            check_error(outcome, "Read-only", "run", one_of=["--out", "writ"])
            c.tally.add("read-only, table")
        finally:
            unmount(outside)
    return work


def by_mode(c, table):
    def work():
        nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        folder = c.copy_of_base(table)
        if nobody:
            for path in [folder, *pathlib.Path(os.fsdecode(folder)).rglob("*")]:
                os.chown(path, 65534, 65534)
        os.chmod(folder, 0o555)
        for what, target, resume in [("resumed run", folder, ["--resume"]), ("new run", folder + b"/inner", [])]:
            outcome = c.run(c.arguments(table, target, "--quiet", *resume), **nobody)
            check_error(outcome, "Permission denied", os.path.basename(folder).decode(), one_of=["--out"])
            c.tally.add(f"without the right to write, {what}")
        os.chmod(folder, 0o755)
        c.go_on(table, folder, "a folder without the right to write", **nobody)
        # The seed's folder alone, in the middle of a run.
        shutil.rmtree(folder + b"/records")
        os.mkdir(folder + b"/records", 0o555)
        if nobody:
            os.chown(folder + b"/records", 65534, 65534)
        outcome = c.run(c.arguments(table, folder, "--quiet", "--resume"), **nobody)
        check_error(outcome, "Permission denied", "records", one_of=["--resume", "--out"])
        c.tally.add("without the right to write, records")
        os.chmod(folder + b"/records", 0o755)
        outcome = c.run(c.arguments(table, folder, "--quiet", "--resume"), **nobody)
        check(outcome.code == 0, f"with the right to write it fails: {outcome}")
        c.check_same(table, folder)
        os.chmod(folder, 0o000)
        if nobody:
            outcome = c.run(c.arguments(table, folder, "--quiet", "--resume"), **nobody)
            check_error(outcome, "Permission denied", os.path.basename(folder).decode())
            c.tally.add("without the right to read")
        os.chmod(folder, 0o755)
        c.clean(folder)
    return work
