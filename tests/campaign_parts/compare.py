"""What of a run folder must be the same, byte by byte; see `campaign --help` for what is left out."""
import contextlib
import json
import os
import pathlib
import re

LEFT_OUT = {".lock", "run.log", "status.json", "timing.jsonl"}
TIMES = {"command", "started", "finished", "seconds", "tokens_per_second", "peak_gigabytes"}
OF_TIME = {"seconds", "gigabytes"}


def content(path, costs):
    """The bytes of a file without what is a time; none for a file of such numbers alone."""
    name, data = path.name, path.read_bytes()
    if name in ("trained.json", "test.json") or name.endswith(".run.json"):
        fields = json.loads(data)
        for key in TIMES:
            fields.pop(key, None)
        if fields.get("metric") in OF_TIME:
            fields.pop("value")
        return json.dumps(fields, sort_keys=True).encode()
    if name in ("TABLE.md", "SAMPLES.md"):
        data = re.sub(rb"(?m)^.*(: trained at|^Decoding with) .* tokens/s .*$", b"(tokens/s)", data)
    if costs and name in ("TABLE.md", "TABLE.csv"):
        # Cells of measured time and memory are the last two of a row of numbers, or lines of their own.
        data = re.sub(rb"(?m)^(\|.*\| (?:ours|change) +\|.*\|.*)\|.*\|.*\|$", rb"\1", data)
        data = re.sub(rb"(?m)^([^,]*,[^,]*,[^,]*,ap,(?:seconds|gigabytes)),[^,]*,", rb"\1,,", data)
    if costs and name == "TABLE.svg":
        return b"a picture with times"
    return data


def manifest(folder):
    """Every file below a folder, by its path."""
    folder = pathlib.Path(os.fsdecode(folder))
    costs = any("seconds" in p.name for p in (folder / "records").glob("*.run.json"))
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in LEFT_OUT:
            found[str(path.relative_to(folder))] = content(path, costs)
        elif is_half_written(path.name):
            found[str(path.relative_to(folder))] = b"half-written"
    return found


def differences(wanted, found):
    """What is different, in a few words; none if nothing."""
    said = [f"{name} is missing" for name in wanted if name not in found]
    said += [f"{name} is too much" for name in found if name not in wanted]
    said += [f"{name} differs" for name in wanted if name in found and wanted[name] != found[name]]
    return said


def is_half_written(path):
    """Whether a path is in a folder that a file was being written to; the next `--resume` removes it."""
    return ".atomicwrite" in path


def stage(folder):
    """Where a run was when it stopped, by the youngest of its files."""
    newest, at = "nothing yet", 0.0
    folder = pathlib.Path(os.fsdecode(folder))
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            changed = path.lstat().st_mtime
            if path.is_file() and path.name not in LEFT_OUT and changed > at:
                newest, at = str(path.relative_to(folder)), changed
    if newest.startswith(".atomicwrite"):
        return "writing the recipe, the status or the table"
    for word, name in [("recipe", "preparing"), ("data", "preparing"), ("records", "scoring"), ("TABLE", "reporting"),
                       ("SAMPLES", "reporting")]:
        if newest.startswith(word):
            return name
    for word, name in [("pattern", "observing"), ("observed", "observing"), ("masks", "pruning"), ("rows", "training again"),
                       ("seed-", "training")]:
        if word in newest:
            return name
    return newest
