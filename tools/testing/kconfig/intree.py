# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Builds the drivers as a part of a kernel tree, as Documentation/in-tree.rst says.

The tree is one of links to the kernel's source, with a copy of this checkout in it. Its configuration is that of a kernel
that was built outside of it, and the two drivers, so that this kernel can load them. Nothing is compiled but what every
module needs, and the drivers.

    intree.py SOURCE CONFIG SYMVERS WORK MAKEARGUMENT...

The output is that of a selftest.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import trees

MODULES = {"DRM_MALI_CSF": "mali_csf", "DRM_ACCEL_RKNN": "rknn"}
DIRECTORY = f"{trees.PARENT}/{trees.NAME}"
# How many lines `make prepare` writes, for telling how far it is.
LINES = 147

tests = 0


def say(passed, what):
    global tests
    tests += 1
    print(("ok" if passed else "not ok") + f" {tests} - {what}", flush=True)


def copy(project, target):
    """Copies the checkout without what was built in it. Files keep their times, so that only changes are compiled."""
    target.unlink()
    shutil.copytree(project, target, symlinks=True, ignore=shutil.ignore_patterns("out", ".git", "target", "__pycache__"))


class Make:
    """make in the tree, with what it says kept in a file."""

    def __init__(self, tree, out, arguments):
        self.line = ["make", "-C", str(tree), f"O={out}", *arguments]
        self.out = out

    def __call__(self, name, *goals, lines=0):
        log = self.out / f"{name}.log"
        done = threading.Event()

        def watch():
            while not done.wait(15):
                percent = min(99, len(re.findall(r"^  [A-Z]", log.read_text(), re.M)) * 100 // lines)
                print(f"# {name}: {percent} %", flush=True)

        watcher = threading.Thread(target=watch if lines else done.wait)
        with open(log, "w") as file:
            watcher.start()
            jobs = os.environ.get("JOBS") or str(os.cpu_count())
            status = subprocess.run([*self.line, f"-j{jobs}", *goals], stdout=file, stderr=subprocess.STDOUT).returncode
            done.set()
            watcher.join()
        return status, log.read_text()


def symbols(path):
    return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", path.read_text(), re.M))


def main():
    source, config, symvers, work = (pathlib.Path(path).resolve() for path in sys.argv[1:5])
    project = pathlib.Path(__file__).resolve().parents[3]
    tree, out = work / "tree", work / "out"
    trees.put_in(source, project, tree)
    copy(project, tree / DIRECTORY)
    out.mkdir(exist_ok=True)
    make = Make(tree, out, sys.argv[5:])

    before = symbols(config)
    wanted = config.read_text() + "".join(f"CONFIG_{symbol}=m\n" for symbol in MODULES)
    (out / "wanted").write_text(wanted)
    (out / ".config").write_text(wanted)
    status, text = make("olddefconfig", "olddefconfig")
    after = symbols(out / ".config")
    say(status == 0 and not re.search(r"warning|error", text), "Kconfig has no complaint")
    for symbol in MODULES:
        say(after.get(symbol) == "m", f"{symbol} is {after.get(symbol)}, and has to be m")
    # Else the kernel that the modules are loaded into would be another one.
    changed = {symbol for symbol in before.keys() | after.keys()
               if before.get(symbol) != after.get(symbol) and not symbol.endswith("_TEXT")} - set(trees.OURS)
    say(not changed, f"nothing else changes {sorted(changed)}" if changed else "nothing else changes")

    status, text = make("prepare", "prepare", lines=LINES)
    if status:
        say(False, f"make prepare: status {status}: {text.strip().splitlines()[-1]}")
        return
    goals = [f"{DIRECTORY}/{module}.ko" for module in MODULES.values()]
    for goal in goals:
        (out / goal).unlink(missing_ok=True)
    # Without the kernel's own objects nothing is known of its symbols: what is missing is looked at below.
    status, text = make("modules", "KBUILD_MODPOST_WARN=1", *goals)
    say(status == 0, "the modules are built" if status == 0 else f"the modules: {text.strip().splitlines()[-1]}")
    missing = re.compile(r"vmlinux\.o is missing|unresolved symbol|KBUILD_MODPOST_WARN|modpost: .* undefined!")
    warnings = [line for line in text.splitlines()
                if re.search(r"warning|error", line, re.I) and not missing.search(line)]
    say(not warnings, "without a warning" if not warnings else f"a warning: {warnings[0]}")

    exported = {line.split("\t")[1] for line in symvers.read_text().splitlines()}
    for module in MODULES.values():
        path = out / DIRECTORY / f"{module}.ko"
        if not path.exists():
            say(False, f"{module}.ko is not there")
            continue
        info = subprocess.run(["modinfo", str(path)], stdout=subprocess.PIPE, text=True).stdout
        say(re.search(r"^intree:\s+Y$", info, re.M) and re.search(r"^alias:\s+of:", info, re.M),
            f"{module}.ko is one of the tree, and has its aliases")
        undefined = subprocess.run(["nm", "-u", str(path)], stdout=subprocess.PIPE, text=True).stdout.split()[1::2]
        missing = sorted(set(undefined) - exported)
        say(not missing, f"{module}.ko needs nothing that the kernel does not export" + f" {missing[:5]}" * bool(missing))
    print(f"1..{tests}")


if __name__ == "__main__":
    main()
