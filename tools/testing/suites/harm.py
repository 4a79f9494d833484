# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Everything at once, and drivers with a defect."""

import os
import random
import re
import subprocess

from suites.base import STATUS, TOP, tap
from suites.programs import OPTIONS


def storm(run, count, label, program, driver, seeds, rounds, seconds=0, options=()):
    """A program that does everything at once, with fixed seeds and one of its own (CHAOS_SEED=N chooses it).

    Each goes on for a number of rounds (or CHAOS_ROUNDS), the last for seconds per test (or CHAOS_SECONDS), if they are given.
    """
    fresh = int(os.environ.get("CHAOS_SEED") or random.randrange(100, 1 << 30))
    rounds = os.environ.get("CHAOS_ROUNDS") or str(rounds)
    seconds = int(os.environ.get("CHAOS_SECONDS") or seconds)
    for seed, cpus in (*seeds, (fresh, 2)):
        name = f"{label}-{seed if seed != fresh else 'fresh'}"
        length = f"CHAOS_ROUNDS={rounds}" if seed != fresh or not seconds else f"CHAOS_SECONDS={seconds}"
        print(f"       {label}: seed {seed}" + (f" (CHAOS_SEED={seed} {length} repeats it)" if seed == fresh else ""), flush=True)
        command = ["env", f"CHAOS_SEED={seed}", length, str(program)]
        # Half an hour: four processors of a guest's share what one of this machine's has left.
        status, output = run.guest(name, command, driver=driver, timeout=1800 + seconds, options=[
            "--cpus", str(cpus), *options, *(["--leaks"] if run.kind == "debug" else [])])
        seen = tap(output, count, name)
        for line in re.findall(r"# .*: (\d+ right, .*)", output):
            print(f"       {line}", flush=True)
        if not seen or status and (status in STATUS or not count.failures):
            count.failures.append(f"{name}: {STATUS.get(status, f'status {status}')}, {seen} results (seed {seed})")


def chaos_npu(run, count):
    """Long: everything at once on the NPU, with fixed seeds and one of its own (CHAOS_SEED=N chooses it)."""
    storm(run, count, "chaos-npu", run.out / "selftests-npu/chaos", "rknn", ((2, 2), (3, 4), (4, 2)),
          100 if run.kind == "smp" else 30, 0 if run.kind == "smp" else 600)


def chaos(run, count):
    """Long: everything at once on the GPU, with fixed seeds and one of its own (CHAOS_SEED=N chooses it)."""
    storm(run, count, "chaos", run.out / "selftests/chaos", "mali_csf", ((1, 2), (2, 4), (3, 2)),
          100 if run.kind == "smp" else 20, 0 if run.kind == "smp" else 600, OPTIONS["chaos"])


def chaos_short(run, count):
    """Everything at once on the GPU, for half a minute, with a seed of its own (CHAOS_SEED=N chooses it)."""
    storm(run, count, "chaos-short", run.out / "selftests/chaos", "mali_csf", (), 8, 0, OPTIONS["chaos"])


def planted(run, count):
    """Long: drivers with one defect each, of which a test or the model has to take notice."""
    if subprocess.run([str(TOP / "scripts/build"), "--kernel", run.kind, "planted"]).returncode:
        count.failures.append("planted: a defect does not fit the driver any more, or does not compile")
        return
    for patch in sorted((TOP / "tools/testing/planted").glob("*.patch")):
        header = dict(re.findall(r"^(Driver|Program|Tree|Sees): (.*)$", patch.read_text(), re.M))
        name = f"planted-{patch.stem}"
        directory = "selftests-npu" if header.get("Driver") == "rknn" else "selftests"
        # A test waits for what does not come, and may do so several times.
        status, output = run.guest(name, [str(run.out / directory / header["Program"])], driver="none", timeout=400, options=[
            "--insmod", str(run.out / "planted" / f"{patch.stem}.ko"), "--insmod", str(run.out / "exporter/exporter.ko"),
            "--tree", header.get("Tree", "soc"), *OPTIONS.get(header["Program"], [])])
        seen = re.search(header["Sees"], output + run.kernel_log(name), re.M)
        count.check(status != 0 and seen, f"planted: nobody notices {patch.stem}")
