# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The same in QEMU's guests: on the architecture that the drivers are for, and on an x86-64 that is no User-mode Linux."""

import os
import re
import subprocess
import time

from suites.base import STATUS, TOP, Count, Run, kept, tap
from suites.harm import storm
from suites.kernel import abi, drm, kunit, runner
from suites.programs import OPTIONS, bits, demo, selftest


def guest(kind):
    def suite(run, count):
        other = Run(kind)
        # Each is kept by itself.
        for name, part in (("build", build_all), ("runner", runner), ("kunit", kunit), ("drm", drm), ("abi", abi)):
            seen, took = kept(kind, name, part, other)
            print(f"       {kind}: {name}: {seen.passed} passed, {len(seen.failures)} failed ({took})", flush=True)
            seen.failures = [f"{kind}: {failure}" for failure in seen.failures]
            count.add(seen)
            if name == "build" and seen.failures:
                break
    suite.__doc__ = f"Long: both drivers built for the kernel {kind}, and in a guest of it what needs no hardware."
    return suite


def build_all(run, count):
    """Both drivers, what tests the crates, the hardware and the programs; a warning is an error there."""
    for part in ("modules", "crates", "hwmodel", "firmware", "selftests"):
        done = subprocess.run([str(TOP / "scripts/build"), "--kernel", run.kind, part])
        count.check(not done.returncode, f"{part}: the build failed, or gave warnings")


# What is tested in a guest with hardware: a driver, and where its programs are.
DRIVERS = (("panthor", "selftests"), ("mali_csf", "selftests"), ("rocket", "selftests-npu"), ("rknn", "selftests-npu"))


def arm64_hw(run, count):
    """Long: the demos and the user-space tests of all drivers in an arm64 guest (HW_KINDS, HW_DRIVERS, HW_PROGRAMS)."""
    on_hardware(count, "arm64 arm64-64k")


def arm32_hw(run, count):
    """Long: the same as programs for 32-bit Arm, on the same kernels (the same variables choose)."""
    on_hardware(count, "arm64", "32")


def x86_64_hw(run, count):
    """Long: the same as arm64-hw in an x86-64 guest."""
    on_hardware(count, "x86-64")


def arm64_chaos(run, count):
    """Long: everything at once in an arm64 guest, on both drivers, with fixed seeds and one of its own (HW_KINDS, CHAOS_SEED)."""
    for other, driver, directory in chosen(count, "arm64 arm64-64k", ("mali_csf", "rknn")):
        count.add(kept(other.kind, f"chaos-{driver}", everything, other, driver, directory)[0])


def everything(run, driver, directory, count):
    """The chaos of one driver."""
    storm(run, count, f"{run.kind}-chaos-{driver}", run.out / directory / "chaos", driver, ((1, 2), (2, 4)), 8, 0,
          OPTIONS["chaos"] if driver == "mali_csf" else [])


def on_hardware(count, kinds, suffix=""):
    """The programs, or those of them that the environment names, of directories that end with this."""
    wanted = (os.environ.get("HW_PROGRAMS") or "").split()
    more = [f"selftests{suffix}"] if suffix else []
    for other, driver, directory in chosen(count, kinds, [driver for driver, _ in DRIVERS], *more):
        if wanted:
            seen = Count()
            hardware(other, driver, directory + suffix, wanted, seen)
        else:
            seen, _ = kept(other.kind, driver + bits(suffix), hardware, other, driver, directory + suffix, wanted)
        count.add(seen)


def chosen(count, kinds, drivers, *more):
    """Of these kernels, built with these parts besides, and drivers those that the environment names instead, or all; and where
    their programs are."""
    named = (os.environ.get("HW_DRIVERS") or "").split() or drivers
    known = [driver for driver, _ in DRIVERS]
    count.failures += [f"HW_DRIVERS: no driver '{name}': there are {' '.join(known)}" for name in named if name not in known]
    for kind in (os.environ.get("HW_KINDS") or kinds).split():
        other = Run(kind)
        if not built(other, count, *more):
            continue
        for driver, directory in DRIVERS:
            if driver in drivers and driver in named:
                yield other, driver, directory


def built(run, count, *more):
    """Builds what a guest with hardware needs, and these parts besides."""
    build = [str(TOP / "scripts/build"), "--kernel", run.kind]
    if subprocess.run(build).returncode or more and subprocess.run([*build, *more]).returncode:
        count.failures.append(f"{run.kind}: the build failed")
        return False
    return True


# What the programs that use Mesa find in their environment.
MESA = {"HOME": "/run", "XDG_RUNTIME_DIR": "/run", "VK_DRIVER_FILES": "/usr/share/vulkan/icd.d/panfrost_icd.json",
        "VK_LOADER_LAYERS_DISABLE": "~implicit~"}


def mesa(run, count):
    """Long: Debian's Mesa in an arm64 guest, unchanged, on all drivers: Vulkan on the GPU, Teflon on the NPU."""
    other = Run("arm64")
    system = subprocess.run([str(TOP / "scripts/provision"), "mesa"], stdout=subprocess.PIPE, text=True)
    if system.returncode or not built(other, count, "mesa"):
        count.failures.append("mesa: nothing to run")
        return
    options = ["--mem", "2G", "--system", system.stdout.strip()]
    for driver, directory in DRIVERS:
        for program in ("vulkaninfo", "vulkan", "draw") if directory == "selftests" else ("teflon",):
            seen, took = kept(other.kind, f"mesa-{driver}-{program}", client, other, driver, program, options)
            print(f"       mesa: {program} on {driver}: {seen.passed} passed, {len(seen.failures)} failed ({took})", flush=True)
            count.add(seen)


def client(run, driver, program, options, count):
    """One program that uses Mesa."""
    command = ["vulkaninfo", "--summary"] if program == "vulkaninfo" else [str(run.out / "mesa" / program)]
    status, output = run.guest(f"mesa-{driver}-{program}", ["env", *(f"{k}={v}" for k, v in MESA.items()), *command],
                               driver=driver, options=options)
    if program == "vulkaninfo":
        found = re.search(r"deviceName += Mali-G610 .*\n.*\n\s+driverName += panvk\n\s+driverInfo += Mesa", output)
        count.check(status == 0 and found, f"vulkaninfo on {driver}: status {status}, or it found no Mali-G610")
    elif not tap(output, count, f"{driver}/{program}") or status and not count.failures:
        count.failures.append(f"{driver}/{program}: {STATUS.get(status, f'status {status}')}")


def hardware(run, driver, directory, wanted, count):
    """The demo and the user-space tests of one driver, or those of them that are wanted, and how far it is."""
    programs = [p for p in ["demo", *run.programs(directory)] if not wanted or p in wanted]
    name = driver + bits(directory)
    for nr, program in enumerate(programs):
        seen, begin = Count(), time.monotonic()
        if program == "demo":
            demo(driver, directory)(run, seen)
        else:
            selftest(run, seen, driver, program, directory)
        print(f"       {run.kind}: {name} {nr + 1}/{len(programs)} {program}: {seen.passed} passed, "
              f"{len(seen.failures)} failed ({time.monotonic() - begin:.0f} s)", flush=True)
        seen.failures = [f"{run.kind}: {failure}" for failure in seen.failures]
        count.add(seen)
