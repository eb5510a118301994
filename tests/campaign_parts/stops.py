"""Processes that are stopped: kill -9 and signals."""
import contextlib
import functools
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
    tables = [t for t in c.tables() if not (c.short and t == "iwslt-average")]
    # Both tables of `iwslt` together are killed as often as the others.
    share = {"iwslt": n - n // 4, "iwslt-average": n // 4} if not c.short else {}

    def kills(table):
        def work():
            random, killed = c.random("kill", table), 0
            _, _, seconds, again = c.base(table)
            start = min(again.seconds, seconds)
            goal, pace = share.get(table, n), 1.0
            while killed < goal:
                folder, complete, done = c.folder(table), False, 0
                while not complete and killed < goal:
                    arguments = c.arguments(table, folder, "--quiet", "--resume")
                    if random.random() < 0.5:
                        # When it changes the disk for the k-th time.
                        env, counts = with_faults(c, folder, random.randrange(max(changes // 4, 1)), "kill -9")
                        outcome = c.run(arguments, env=env)
                    else:
                        # At any time; one that is killed while it reads what is there does not get on.
                        process, started = c.start(arguments), time.monotonic()
                        try:
                            process.wait(random.uniform(0, start) if random.random() < 0.2
                                         else start + pace * random.uniform(0, 0.4 * (seconds - start)))
                        except subprocess.TimeoutExpired:
                            process.kill()
                        outcome = c.end(process, started)
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

        # How often a whole run changes the disk.
        folder = c.folder(table)
        env, counts = with_faults(c, folder)
        outcome = c.run(c.arguments(table, folder, "--quiet"), env=env)
        check(outcome.code == 0, f"a counted run fails: {outcome}")
        changes = counted(counts)[0]
        work()
        c.clean(folder)

    c.each([(f"kill {table}", functools.partial(kills, table)) for table in tables])


# ── signals ──

SIGNALS = {"SIGINT": [signal.SIGINT], "SIGTERM": [signal.SIGTERM], "SIGHUP": [signal.SIGHUP],
           "SIGINT twice": [signal.SIGINT, signal.SIGINT]}


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
        process = c.start(c.arguments(table, folder))
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
