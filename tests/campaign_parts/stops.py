"""Processes that are stopped: kill -9 and signals."""
import contextlib
import os
import re
import signal
import subprocess
import time

from compare import stage
from harness import SAID_OF_PANICS, check, counted, subcampaign, with_faults
from toys import TABLES

# ── kill -9 ──


@subcampaign
def kill(c):
    n = c.options.kills or (5 if c.short else 100)
    goals = dict.fromkeys(c.tables(), n)
    if "iwslt" in goals:
        # Both tables of `iwslt` together are killed as often as the others.
        goals["iwslt-average"] = 0 if c.short else n // 4
        goals["iwslt"] -= goals["iwslt-average"]
    c.each([(f"kill {table}", kills(c, table, goal)) for table, goal in goals.items() if goal > 0])


def kills(c, table, goal):
    def work():
        random, killed, pace = c.random("kill", table), 0, 1.0
        changes = changes_of(c, table)
        while killed < goal:
            folder, complete, done = c.folder(table), False, 0
            while not complete and killed < goal:
                outcome = kill_one(c, table, folder, random, changes, pace)
                if outcome.code == -signal.SIGKILL:
                    killed, done = killed + 1, done + 1
                    c.tally.add(f"kills of {TABLES[table][0]}")
                    c.tally.add(f"kills while {stage(folder)}")
                else:
                    check(outcome.code == 0, f"after {done} kills, --resume fails: {outcome}")
                    complete = True
            # The load of the machine differs from that when the base was made.
            pace *= 0.7 if done < 3 else 1.2 if done > 12 else 1.0
            c.go_on(table, folder, f"{done} kills")
            c.clean(folder)
    return work


def kill_one(c, table, folder, random, changes, pace):
    """Goes on with a run, and kills it unless it ends before."""
    arguments = c.arguments(table, folder, "--quiet", "--resume")
    if random.random() < 0.5:
        # When it changes the disk for the k-th time.
        env, _ = with_faults(c, folder, random.randrange(max(changes // 4, 1)), "kill -9")
        return c.run(arguments, env=env)
    # At any time. One that is killed while it reads what is there does not get on.
    _, _, seconds, again = c.base(table)
    start = min(again.seconds, seconds)
    wait = start + pace * random.uniform(0, 0.4 * (seconds - start))
    if random.random() < 0.2:
        wait = random.uniform(0, start)
    process, started = c.start(arguments), time.monotonic()
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        process.kill()
    return c.end(process, started)


def changes_of(c, table):
    """How often a whole run changes the disk."""
    folder = c.folder(table)
    env, counts = with_faults(c, folder)
    outcome = c.run(c.arguments(table, folder, "--quiet"), env=env)
    check(outcome.code == 0, f"a counted run fails: {outcome}")
    c.check_same(table, folder)
    c.clean(folder)
    return counted(counts)[0]


# ── signals ──

SIGNALS = {"SIGINT": [signal.SIGINT], "SIGTERM": [signal.SIGTERM], "SIGHUP": [signal.SIGHUP],
           "SIGINT twice": [signal.SIGINT, signal.SIGINT], "SIGHUP under nohup": [signal.SIGHUP]}


@subcampaign
def signals(c):
    random = c.random("signals")
    jobs = []
    for table in c.tables():
        names = random.sample(sorted(SIGNALS), 2) if c.short else [name for name in SIGNALS for _ in range(8)]
        for i, name in enumerate(names):
            jobs.append((f"signals {table} {name}", interrupt(c, table, name, c.random("signals", table, i))))
    c.each(jobs)


def interrupt(c, table, name, random):
    def work():
        folder, seconds = c.folder(table), c.base(table)[2]
        before = ["nohup"] if "nohup" in name else []
        process = c.start([*before, *c.arguments(table, folder)])
        wait = random.uniform(0.02, seconds)
        # A terminal sends to the group, `kill` to the process.
        to_group = random.random() < 0.5
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)
        sent = time.monotonic()
        for number in SIGNALS[name]:
            if process.poll() is None:
                (os.killpg if to_group else os.kill)(process.pid, number)
                time.sleep(random.uniform(0, 0.02))
        outcome = c.end(process, sent)
        number = SIGNALS[name][0]
        check(not before or outcome.code in (0, -number), f"nohup has no effect: {outcome}")
        err = outcome.err.decode(errors="replace")
        check(not SAID_OF_PANICS.search(err), f"a signal is no panic: {outcome}")
        said = re.search(r"interrupted|stopping after", err)
        if outcome.code == 128 + number:
            c.tally.add(f"{name}: exit status {128 + number}")
            check(said, f"it must say that it was interrupted: {outcome}")
            check("twice" in name or err.count("error:") == 1, f"one error: {outcome}")
            check("twice" in name or "--resume" in err, f"how to go on: {outcome}")
        elif outcome.code == -number:
            # Before the run begins the system's own handling is right.
            c.tally.add(f"{name}: ended by it")
            check(not said, f"asked to stop, and then killed by the signal: {outcome}")
        else:
            check(outcome.code == 0, f"exit status {128 + number}, or complete: {outcome}")
            c.tally.add(f"{name}: complete before it")
        slow = c.base(table)[2] + 5
        check(outcome.seconds < slow, f"it took {outcome.seconds:.1f} s to end: {outcome}")
        c.go_on(table, folder, name)
        c.clean(folder)
    return work
