# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The user-space tests, the demos and the benchmarks, on the drivers and on the control."""

import os
import re
import subprocess
import time

from suites.base import BUILD, STATUS, TOP, Count, Run, known_record, tap

# The drivers that are tested; the others are the control.
OWN = ("mali_csf", "rknn")

# What a program needs of its guest.
OPTIONS = {"chaos": ["--swap", "256"], "pressure": ["--swap", "256"], "swap": ["--swap", "1024"]}
# How much memory there is not enough of; KASAN takes its share.
SHORT = {"smp": "640M", "debug": "900M"}

# What is known of the control: rocket warns of errors of the bus that user space can cause, if the IOMMU that it shares an
# interrupt with is slow to take notice; panthor may ring the firmware while it resets the GPU.
RUNG = known_record("in-reset reg 0x80000")
KNOWN = {("rocket", "faults"): ["--known", r"WARNING: .* at rocket_job_irq_handler\+"],
         ("panthor", "answers"): RUNG, ("panthor", "reset"): RUNG}


def bits(directory):
    """What tells programs of 32 bits from the others in names of logs and results."""
    return "-32" if directory.endswith("32") else ""


def attempt(run, count, driver, program, directory, tree):
    """One program of the user-space tests, once, in a guest of its own."""
    name = f"{driver}-{program}{bits(directory)}" + ("" if tree == "soc" else f"-{tree}")
    label = name.replace("-", "/", 1)
    # The control's leaks are not ours to count.
    leaks = ["--leaks"] if run.kind == "debug" and driver in OWN else []
    more = ["--insmod", str(run.out / "exporter/exporter.ko")] if program == "prime" else OPTIONS.get(program, [])
    if program == "swap":
        more = [*more, "--mem", SHORT.get(run.kind, SHORT["smp"])]
    more = [*more, *KNOWN.get((driver, program), [])]
    status, output = run.guest(name, [str(run.out / directory / program)], driver=driver, timeout=180,
                               options=leaks + more + ["--tree", tree])
    before = len(count.failures)
    seen = tap(output, count, label)
    if seen == 0:
        count.failures.append(f"{label}: no test ran")
    if status and (status in STATUS or len(count.failures) == before):
        count.failures.append(f"{label}: {STATUS.get(status, f'status {status}')}")


def selftest(run, count, driver, program, directory="selftests", tree="soc"):
    """One program of the user-space tests. The control has races of its own: what fails there may try three times, and
    that is said. A test that has passed in one of the tries has passed."""
    always = None
    for chance in (0,) if driver in OWN else (2, 1, 0):
        seen = Count()
        attempt(run, seen, driver, program, directory, tree)
        always = [failure for failure in seen.failures if always is None or failure in always]
        if not always:
            break
        if chance:
            more = f"; and {len(always) - 3} more" if len(always) > 3 else ""
            print(f"       {driver} tries {program} again: {'; '.join(always[:3])}{more}", flush=True)
    seen.passed += len(seen.failures) - len(always)
    seen.failures = always
    count.add(seen)


def selftests(driver, directory="selftests"):
    def suite(run, count):
        for program in run.programs(directory):
            selftest(run, count, driver, program, directory)
    suite.__doc__ = f"The user-space tests on {driver}."
    return suite


# What else a device tree may say about power, and the tests that look at it.
TREES = [
    ("soc-two-domains", "domains"), ("soc-domains", "domains"), ("soc-domains", "power"), ("soc-one-opp", "devfreq"),
    ("soc-suspend-opp", "devfreq"),
]

# The C driver does not probe on these, or asks for no levels.
OWN_TREES = [("soc-required-opps", "devfreq"), ("soc-required-opps-two", "devfreq"), ("soc-required-opps-two", "domains"),
             ("soc-missing-domain", "domains"), ("soc-no-opp", "devfreq"), ("soc-no-opp", "power")]


def trees(driver):
    def suite(run, count):
        for tree, program in TREES + (OWN_TREES if driver == "mali_csf" else []):
            selftest(run, count, driver, program, tree=tree)
    suite.__doc__ = f"The tests of power on {driver}, with other device trees."
    return suite


# Other GPUs than the usual one, and what depends on which GPU it is.
CONFIGURATIONS = [
    ("soc-g310", ("query", "group", "program", "reset", "answers", "power")),
    ("soc-g1", ("query", "group", "program", "reset", "answers", "power", "pwr", "heap", "devfreq")),
    ("soc-mt8196", ("query", "program", "reset", "power")),
    ("soc-fuses", ("query", "group")),
]


def configurations(run, count):
    """Long: a G310, a GPU of architecture 14, an MT8196's, one with a fused-off core; both drivers, or ours in a checking kernel."""
    todo = [(driver, tree, program) for driver in (("panthor", "mali_csf") if run.kind == "smp" else ("mali_csf",))
            for tree, programs in CONFIGURATIONS for program in programs]
    for nr, (driver, tree, program) in enumerate(todo):
        seen, begin = Count(), time.monotonic()
        selftest(run, seen, driver, program, tree=tree)
        print(f"       {tree}: {driver} {nr + 1}/{len(todo)} {program}: {seen.passed} passed, {len(seen.failures)} failed "
              f"({time.monotonic() - begin:.0f} s)", flush=True)
        count.add(seen)


def trees_npu(run, count):
    """The NPU's driver with other device trees than the usual one, and loaded before there is any hardware."""
    for name, program, options in (("no-reset", "trees", ["--tree", "soc-npu-no-reset"]),
                                   ("domains", "trees", ["--tree", "soc-npu-domains"]),
                                   ("opp", "devfreq", ["--tree", "soc-npu-opp"]),
                                   ("old-iommus", "submit", ["--tree", "soc-npu-old-iommus"]),
                                   ("old-iommus-faults", "faults", ["--tree", "soc-npu-old-iommus"]),
                                   ("driver-first", "submit", ["--driver-first"])):
        label = f"trees-npu-{name}"
        status, output = run.guest(label, [str(run.out / "selftests-npu" / program)], driver="rknn", timeout=400,
                                   options=options)
        before = len(count.failures)
        seen = tap(output, count, label)
        if not seen or not count.passed:
            count.failures.append(f"{label}: no test ran")
        if status and (status in STATUS or len(count.failures) == before):
            count.failures.append(f"{label}: {STATUS.get(status, f'status {status}')}")


def maps(run, count):
    """100000 random binds in several VMs, each state compared with what the model's table walker finds."""
    command = ["env", "DRM_TEST_BINDS=34000", str(run.out / "selftests" / "maps")]
    status, output = run.guest("maps-long", command, timeout=1500)
    seen = tap(output, count, "maps-long")
    if not seen or status and not count.failures:
        count.failures.append(f"maps-long: {STATUS.get(status, f'status {status}')}, {seen} results")


def rebind(run, count):
    """Long: the GPU's driver is unbound and bound a thousand times (REBINDS=N: how often)."""
    often = os.environ.get("REBINDS") or "1000"
    command = ["env", f"DRM_TEST_REBINDS={often}", str(run.out / "selftests/stress"), "-t", "binds_and_unbinds_leave_nothing"]
    status, output = run.guest("rebind", command, timeout=1800, options=["--leaks"] if run.kind == "debug" else [],
                               progress=r"(\d+ of \d+ cycles)")
    seen = tap(output, count, "rebind")
    if not seen or status and not count.failures:
        count.failures.append(f"rebind: {STATUS.get(status, f'status {status}')}, {seen} results")


def noncoherent(run, count):
    """What depends on it, on a GPU whose accesses do not snoop the CPU's caches."""
    for program in ("query", "vm", "unmap", "bo", "pressure", "demo"):
        label = f"noncoherent/{program}"
        status, output = run.guest(f"noncoherent-{program}", [str(run.out / "selftests" / program)],
                                   options=["--tree", "soc-noncoherent", *OPTIONS.get(program, [])])
        if program != "demo" and not tap(output, count, label):
            count.failures.append(f"{label}: no test ran")
        count.check(status == 0, f"{label}: {STATUS.get(status, f'status {status}')}")


def noncoherent_npu(run, count):
    """Long: what the NPU's drivers ask for the CPU's caches, with need and without, in a kernel that watches the DMA API."""
    other = Run("tt")
    subprocess.run([str(TOP / "scripts/build"), "--kernel", other.kind, *BUILD, "watched"], check=True)
    settings = subprocess.run([str(TOP / "scripts/provision"), "env", other.kind], check=True, stdout=subprocess.PIPE,
                              text=True).stdout
    kernel = re.search(r"^KBUILD_DIR=(.*)$", settings, re.M)[1]
    for tree in ("soc-npu-noncoherent", "soc"):
        for driver, needed in (("rocket", [f"{kernel}/drivers/gpu/drm/scheduler/gpu-sched.ko"]), ("rknn", [])):
            modules = [*needed, str(other.out / "exporter/dmawatch.ko"), str(other.out / f"watched/{driver}.ko")]
            name = f"cache-{driver}-{tree}"
            status, output = other.guest(name, [str(other.out / "selftests-npu/cache")], driver="none", options=[
                "--tree", tree, *(option for module in modules for option in ("--insmod", module))])
            seen = tap(output, count, name)
            if not seen or status and (status in STATUS or not count.failures):
                count.failures.append(f"{name}: {STATUS.get(status, f'status {status}')}, {seen} results")


def demo(driver, directory="selftests"):
    def suite(run, count):
        status, output = run.guest(f"demo-{driver}{bits(directory)}", [str(run.out / directory / "demo")], driver=driver)
        last = output.strip().splitlines()[-1] if output.strip() else ""
        good = re.fullmatch(r"demo: (\d+) checks passed, 0 failed", last)
        count.check(good and status == 0, f"demo-{driver}: status {status}, last line: {last}")
    suite.__doc__ = f"The demo program on {driver}."
    return suite


def nopm(run, count):
    """Long: the demo and the user-space tests in a kernel without power management."""
    other = Run("nopm")
    subprocess.run([str(TOP / "scripts/build"), "--kernel", other.kind, *BUILD], check=True)
    demo("mali_csf")(other, count)
    selftests("mali_csf")(other, count)


def crowd(run, count):
    """Long: 1000 groups of 20 processes share the GPU for a minute of virtual time, with each of the drivers."""
    other = Run("tt")
    subprocess.run([str(TOP / "scripts/build"), "--kernel", other.kind, *BUILD], check=True)
    for driver in ("panthor", "mali_csf"):
        # The C driver needs 200 s of a processor for it.
        label = f"crowd-{driver}"
        status, output = other.guest(label, [str(other.out / "selftests/crowd")], driver=driver, timeout=600,
                                     options=["--mem", "2G"])
        before = len(count.failures)
        seen = tap(output, count, label)
        for line in re.findall(r"^# ((?:high|medium|low|realtime|all done).*|.* periods in .*)", output, re.M):
            print(f"       {driver}: {line}", flush=True)
        if not seen or status and len(count.failures) == before:
            count.failures.append(f"{label}: {STATUS.get(status, f'status {status}')}, {seen} results")


def sleep(run, count):
    """Long: the system goes to sleep, in a kernel with one CPU and virtual time, with each of the drivers."""
    other = Run("tt")
    subprocess.run([str(TOP / "scripts/build"), "--kernel", other.kind, *BUILD], check=True)
    for driver, directory in (("panthor", "selftests"), ("mali_csf", "selftests"),
                              ("rocket", "selftests-npu"), ("rknn", "selftests-npu")):
        selftest(other, count, driver, "sleep", directory)


def malformed(run, count):
    """Every malformed firmware image is refused with a message that names what is wrong."""
    subprocess.run([str(TOP / "scripts/build"), "--kernel", run.kind, "malformed"], check=True)
    script = str(TOP / "tools/testing/guest/malformed")
    status, output = run.guest("malformed", [script, str(run.out / "malformed")], timeout=600, options=["--no-load"])
    seen = tap(output, count, "malformed")
    if status or not seen:
        count.failures.append(f"malformed: {STATUS.get(status, f'status {status}')}")


def bench(run, count):
    """The benchmark programs give every figure on both drivers, and ours keep the goals that are counts."""
    measure(run, count, "bench", "panthor", "mali_csf")
    measure(run, count, "bench-npu", "rocket", "rknn")


def measure(run, count, which, control, ours):
    """One benchmark program on the control and on our driver."""
    program = str(run.out / "bench" / which)
    listed = [line.split()[:4] for line in subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True,
                                                          check=True).stdout.splitlines()]
    # Only one kernel has the tracepoints that these read.
    left_out = set() if run.kind == "smp" else {"workers", "path", "allocations", "tick"}
    benchmarks = [name for name in dict.fromkeys(entry[0] for entry in listed) if name not in left_out]
    for driver in (control, ours):
        status, output = run.guest(f"bench-{driver}", [program, "--quick", *benchmarks], driver=driver, timeout=300)
        count.check(status == 0, f"bench: {driver}: {STATUS.get(status, f'status {status}')}")
        found = {}
        for line in output.splitlines():
            if line.startswith("figure "):
                name, *fields = line.split()[1:]
                found[name] = dict(field.split("=", 1) for field in fields)
        for name, figure, unit, goal in listed:
            if name in left_out:
                count.skipped += 1
                continue
            count.check(figure in found, f"bench: {driver}: no figure {figure}")
            if driver == ours and unit == "count" and goal != "-" and figure in found:
                value = float(found[figure]["value"])
                count.check(value <= float(goal), f"bench: {figure} is {value:g}, above {goal}")
