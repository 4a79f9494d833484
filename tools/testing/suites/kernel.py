# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What is tested inside of the kernel or of the guest itself: KUnit, the DRM layer without hardware, the runner."""

import os
import pathlib
import random
import re
import shlex
import subprocess
import tempfile
import time

from suites.base import GUEST, STATUS, TOP, known_record, tap


def runner(run, count):
    """That the guest runner notices what it has to notice: a verdict that cannot be bad proves nothing."""
    def expect(name, script, status, driver="none", timeout=20, options=()):
        got, _ = run.guest(f"runner-{name}", ["sh", "-c", script], driver=driver, timeout=timeout, options=options)
        count.check(got == status, f"runner: {name}: status {got}, expected {status}")

    expect("a clean guest passes on the command's own status 0", "true", 0)
    expect("a clean guest passes on the command's own status 7", "exit 7", 7)
    for what in ("WARNING: CPU: 0 PID: 1 at x.c:1", "BUG: sleeping function called", "BUG: KASAN: use-after-free in x",
                 "WARNING: possible circular locking dependency detected", "hwmodel: RECORD hole"):
        expect(f"the log line '{what.split(':')[0]}...{what[-12:]}' is a failure", f"echo '{what}' > /dev/kmsg", 120)
    report = ["=" * 29, "WARNING: suspicious RCU usage", "lib/maple_tree.c:720 suspicious rcu_dereference_check() usage!",
              " [<6066>] ? {}+0x7c/0xd0", "=" * 29]
    for where, status in (("flush_tlb_mm", 0), ("mali_csf", 120)):
        expect(f"an RCU report from {where} gives {status}", " && ".join(
            f"echo {shlex.quote(line.format(where))} > /dev/kmsg" for line in report), status)
    expect("a record that the model really made is a failure", "echo provoke > /sys/kernel/debug/hwmodel/inject", 120)
    expect("a record that was declared is none",
           "d=/sys/kernel/debug/hwmodel/inject; echo expect provoked 1 > $d; echo provoke > $d", 0)
    for record, status in (("provoked", 0), ("hole", 120)):
        expect(f"a record that is made when '{record}' is known gives {status}", "echo provoke > /sys/kernel/debug/hwmodel/inject",
               status, options=known_record(record))
    # One of them is what the kernel goes by: the other has no meaning with, or without, an initramfs.
    expect("a panic ends the run", "true", 121, options=["--append=init=/bin/false", "--append=rdinit=/bin/false"])
    expect("a hang ends the run", "sleep 600", 122, timeout=4)
    expect("a module that does not load ends the run", "true", 123, options=["--insmod", "/nonexistent.ko"])
    expect("the host's files cannot be written", f"! touch {shlex.quote(str(TOP))}/README.md 2>/dev/null", 0)
    status, left = ended(run)
    count.check(status == 143 and not left, f"runner: a signal ends all that a guest is made of: status {status}, left: {left}")


def ended(run):
    """The status of a guest's runner that is told to end, and what is there still a moment later."""
    with tempfile.TemporaryDirectory(prefix="runner-", dir="/tmp") as scratch:
        command = [GUEST, "run", "--kernel", run.kind, "--driver", "none", "--", "sh", "-c", "echo up; sleep 600"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env={**os.environ, "TMPDIR": scratch}) as process:
            for line in process.stdout:
                if line == "up\n":
                    process.terminate()
            status = process.wait()
        end = time.monotonic() + 5
        while (left := made_of(scratch)) and time.monotonic() < end:
            time.sleep(0.1)
        return status, left + os.listdir(scratch)


def made_of(scratch):
    """The processes whose command lines name a directory."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(scratch.encode() in word for word in words):
            found.append(words[0].decode(errors="replace"))
    return found


def ktap(run, count, name):
    """Counts the KUnit results in the kernel log of a guest, from the first program on (the kernel has tests too)."""
    seen, started = 0, False
    for line in run.kernel_log(name).splitlines():
        started = started or "as init process" in line
        if started and (match := re.match(r"^\[[^]]*\]\s{4,}(not ok|ok) \d+ (.*)$", line)):
            seen += 1
            count.check(match[1] == "ok", f"{name}: {match[2]}")
    return seen


def kunit(run, count):
    """The KUnit suites of both drivers and of the crates under rust/, which run when a module is loaded."""
    crates = ["--no-model", "--insmod", str(run.out / "rust_kunit/rust_kunit.ko")]
    # One suite drops a fence without signalling it, which leaves a message that no other run may have.
    others = [*crates, "--append", "kunit.filter_glob=[!d]*"]
    # Without power management there is no IOMMU for an NPU on arm64, and a probe that waits for it in vain is no matter here.
    npu = ["--no-model"] if run.kind == "arm64-nopm" else []
    for name, driver, options in (("kunit-driver", "mali_csf", []), ("kunit-npu", "rknn", npu),
                                  ("kunit-crates", "none", others)):
        status, _ = run.guest(name, ["true"], driver=driver, options=options)
        seen = ktap(run, count, name)
        for line in re.findall(r"soc_pgtable_cost: (2 MiB .*)", run.kernel_log(name)):
            print(f"       {line}", flush=True)
        if status:
            count.failures.append(f"{name}: {STATUS.get(status, f'status {status}')}")
        if seen < 10:
            count.failures.append(f"{name}: only {seen} tests gave a result")
    status, _ = run.guest("kunit-dropped", ["true"], driver="none",
                          options=[*crates, "--append", "kunit.filter_glob=dropped*"])
    ktap(run, count, "kunit-dropped")
    count.check(status == 120, "kunit-dropped: the runner notices a fence that its owner has forgotten")


def job_stress(run, count):
    """Long: 100000 jobs on 16 queues and four processors, once with a seed of its own (STRESS_SEED=N chooses it)."""
    fresh = int(os.environ.get("STRESS_SEED") or random.randrange(2, 1 << 30))
    for seed in (1, fresh):
        name = f"job-stress-{'fixed' if seed == 1 else 'fresh'}"
        print(f"       job-stress: seed {seed}" + (f" (STRESS_SEED={seed} repeats it)" if seed != 1 else ""), flush=True)
        module = f"{run.out / 'rust_kunit/rust_kunit.ko'},stress_jobs={run.jobs},stress_seed={seed}"
        status, _ = run.guest(name, ["true"], driver="none", timeout=1800, options=[
            "--no-model", "--cpus", "4", "--insmod", module, "--append", "kunit.filter_glob=job_stress",
            "--append", "kunit.timeout=3000", *(["--leaks"] if run.kind == "debug" else [])])
        seen = ktap(run, count, name)
        for line in re.findall(r"job_stress: (\d+ jobs .*)", run.kernel_log(name)):
            print(f"       {line}", flush=True)
        if status:
            count.failures.append(f"{name}: {STATUS.get(status, f'status {status}')} (seed {seed})")
        if seen < 2:
            count.failures.append(f"{name}: only {seen} tests gave a result (seed {seed})")


def drm(run, count):
    """The DRM layer from user space, on a driver that has no hardware."""
    module = str(run.out / "drm_selftest/drm_selftest.ko")
    command = ["env", f"DRM_TEST_MODULE={module}", str(run.out / "selftests/drm_selftest")]
    status, output = run.guest("drm", command, driver="none", options=["--no-model", "--insmod", module])
    seen = tap(output, count, "drm")
    if status and not count.failures or not seen:
        count.failures.append(f"drm: {STATUS.get(status, f'status {status}')}, {seen} results")


def abi(run, count):
    """The comparison of the ABIs with the kernel's headers, in a guest."""
    status, output = run.guest("abi", [str(run.out / "selftests/abi")], driver="none", options=["--no-model"])
    if not tap(output, count, "abi") or status:
        count.failures.append(f"abi: {STATUS.get(status, f'status {status}')}")
