# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What Kconfig makes of the drivers in a kernel tree that they were put into.

The tree is one of links to the kernel's source, but for the two files that get a line each. Only Kconfig runs: nothing is
compiled but the program that reads the files.

    trees.py SOURCE WORK [FIRST COUNT]

With FIRST and COUNT, random configurations with so many seeds. The output is that of a selftest.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

NAME = "mali-rknn"
PARENT = "drivers/gpu/drm"
SYMBOLS = ("DRM_MALI_CSF", "DRM_ACCEL_RKNN")
OURS = (*SYMBOLS, "DRM_MALI_RKNN_CRATES")

ARCHITECTURES = ("arm64", "arm", "x86_64", "riscv")

# Symbols that users can see and that are selected all the same, with what they depend on mirrored.
SELECTED = {"IOMMU_IO_PGTABLE_LPAE", "RUST_FW_LOADER_ABSTRACTIONS"}

# What a configuration needs for the drivers to be offered.
ENOUGH = """
CONFIG_MODULES=y
CONFIG_RUST=y
CONFIG_DRM=y
CONFIG_DRM_ACCEL=y
CONFIG_IOMMU_SUPPORT=y
CONFIG_DRM_MALI_CSF=m
CONFIG_DRM_ACCEL_RKNN=m
"""
# What would switch Rust off.
RUST = "CONFIG_RUST=y\nCONFIG_MODVERSIONS=n\nCONFIG_DEBUG_INFO_BTF=n\nCONFIG_RANDSTRUCT_NONE=y\nCONFIG_KASAN=n\n"
ROCKCHIP = "CONFIG_ARCH_ROCKCHIP=y\nCONFIG_ROCKCHIP_IOMMU=y\n"


def put_in(source, project, tree):
    """Makes `tree` the kernel `source` with `project` in it, by links."""
    shutil.rmtree(tree, ignore_errors=True)
    path = pathlib.PurePosixPath(PARENT)
    for level in (*reversed(path.parents), path):
        (tree / level).mkdir(parents=True, exist_ok=True)
        inside = {part for part in path.relative_to(level).parts[:1]}
        for entry in (source / level).iterdir():
            if entry.name not in inside:
                (tree / level / entry.name).symlink_to(entry)
    for name, line in (("Kconfig", f'source "{PARENT}/{NAME}/Kconfig"\n'), ("Makefile", f"obj-y += {NAME}/\n")):
        target = tree / PARENT / name
        text = (source / PARENT / name).read_text()
        target.unlink()
        target.write_text(text + line)
    (tree / PARENT / NAME).symlink_to(project)


class Tree:
    """A kernel tree with the drivers in it."""

    def __init__(self, source, project, work):
        self.tree, self.work = work / "tree", work
        put_in(source, project, self.tree)

    def configure(self, arch, goal, fragment="", seed=None):
        """Runs `make GOAL` for an architecture. Returns the resulting symbols, and what was said."""
        out = self.work / "out"
        out.mkdir(exist_ok=True)
        config = out / "fragment"
        config.write_text(fragment)
        (out / ".config").unlink(missing_ok=True)
        environment = {**os.environ, "KCONFIG_ALLCONFIG": str(config)}
        if seed is not None:
            environment["KCONFIG_SEED"] = str(seed)
        done = subprocess.run(["make", "-s", "-C", str(self.tree), f"O={out}", f"ARCH={arch}", goal], env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            return {}, f"make {goal} has failed:\n{done.stdout}"
        symbols = dict(re.findall(r"^CONFIG_(\w+)=(.*)$", (out / ".config").read_text(), re.M))
        return symbols, done.stdout


def selects(project):
    """The symbols that the drivers select."""
    return set(re.findall(r"^\s+select (\w+)", (project / "Kconfig").read_text(), re.M))


def visible(source, symbol):
    """Whether users can set a symbol themselves."""
    pattern = re.compile(rf"^(?:menu)?config {symbol}\n((?:[ \t]+.*\n|\n)+)", re.M)
    for path in source.glob("**/Kconfig*"):
        for body in pattern.findall(path.read_text()):
            if re.search(r'^\s+(bool|tristate|prompt) "', body, re.M):
                return True
    return False


def complaints(text):
    """What Kconfig has said about symbols of ours."""
    lines = text.splitlines()
    return [line for at, line in enumerate(lines)
            if re.search(r"recursive dependency|unmet direct dependencies|warning:|error:|has failed", line)
            and any(symbol in "\n".join(lines[at:at + 30]) for symbol in OURS) or "has failed" in line]


def check_goal(tree, arch, goal, seed, say):
    """Looks at one configuration."""
    symbols, text = tree.configure(arch, goal, RUST, seed)
    name = f"{arch} {goal}" + ("" if seed is None else f" {seed}")
    bad = complaints(text)
    say(not bad, f"{name}: no complaint" + (f": {bad[0]}" if bad else ""))
    # Where there is Rust at all.
    offered = goal != "randconfig" and symbols.get("RUST") == "y"
    for symbol in SYMBOLS:
        if offered or symbol in symbols:
            say(symbols.get(symbol) == "m", f"{name}: {symbol} is {symbols.get(symbol)}, and has to be m")
        say(symbol not in symbols or "GENERIC_ATOMIC64" not in symbols, f"{name}: {symbol} only with real atomics")


def check_random(source, project, work, seeds, say):
    """Calls `say(passed, what)` for random configurations of each architecture."""
    tree = Tree(source, project, work)

    for seed in seeds:
        for arch in ARCHITECTURES:
            check_goal(tree, arch, "randconfig", seed, say)


def check(source, project, work, say):
    """Calls `say(passed, what)` for each thing looked at."""
    tree = Tree(source, project, work)

    # rule D1, rule D3, rule D4
    for arch in ARCHITECTURES:
        for goal in ("allyesconfig", "allmodconfig"):
            check_goal(tree, arch, goal, None, say)

    # rule C1, rule C5: nothing but what the drivers need, without power management, with and without Rockchip's platform.
    off = "CONFIG_PM=n\nCONFIG_SUSPEND=n\nCONFIG_HIBERNATION=n\n"
    symbols, _ = tree.configure("arm64", "allnoconfig", ENOUGH + off)
    say("PM" not in symbols and symbols.get("DRM_MALI_CSF") == "m", "arm64 without PM: the GPU's driver is offered")
    say("DRM_ACCEL_RKNN" not in symbols, "arm64 without Rockchip: the NPU's driver is not offered")
    symbols, _ = tree.configure("arm64", "allnoconfig", ENOUGH + ROCKCHIP)
    say(all(symbols.get(symbol) == "m" for symbol in SYMBOLS), "arm64 with Rockchip: both are offered")
    # rule D5, rule D6: these are what users choose.
    wanted = {"PM", "PM_DEVFREQ", "DEVFREQ_GOV_SIMPLE_ONDEMAND", "OF", "IOMMU_SUPPORT", "DRM", "RUST"}
    say(not selects(project) & wanted, "nothing that users choose is selected")
    # rule D2
    for symbol in sorted(selects(project) - SELECTED - set(OURS)):
        say(not visible(source, symbol), f"{symbol} is selected, and users cannot see it")
    # rule D3
    symbols, _ = tree.configure("arm", "allnoconfig", ENOUGH + "CONFIG_MMU=y\nCONFIG_ARCH_MULTI_V5=y\nCONFIG_ARCH_MULTI_V7=n\n"
                                "CONFIG_COMPILE_TEST=y\nCONFIG_AEABI=y\n")
    say(not any(symbol in symbols for symbol in SYMBOLS), "32-bit Arm before version 6K: none is offered")
    # rule D8
    text = (project / "Kconfig").read_text()
    say("panfrost" in text and "G78" in text and "G610" in text, "the help says which GPUs are whose")


def main():
    source, work = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
    project = pathlib.Path(__file__).resolve().parents[3]

    def say(passed, what):
        print(("ok" if passed else "not ok") + f" - {what}", flush=True)

    if len(sys.argv) == 5:
        first, count = map(int, sys.argv[3:])
        check_random(source, project, work, range(first, first + count), say)
    else:
        check(source, project, work, say)


if __name__ == "__main__":
    main()
