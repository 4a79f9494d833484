# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What all suites are made of: what one found, and where and how it runs."""

import os
import pathlib
import re
import shlex
import subprocess
import time

import results

TOP = pathlib.Path(__file__).resolve().parents[3]
RESULTS = results.Results(TOP)
GUEST = str(TOP / "scripts" / "guest")
RESULT = re.compile(r"^(not ok|ok)\b\s*\d*\s*-?\s*(.*)$")
STATUS = {120: "the kernel log has findings", 121: "the guest died", 122: "the guest did not finish in time",
          123: "the guest could not be started"}


class Count:
    """What one suite found."""

    def __init__(self):
        self.passed = self.skipped = 0
        self.failures = []

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures

    def check(self, good, name):
        if good:
            self.passed += 1
        else:
            self.failures.append(name)


class Run:
    """One invocation: which kernel, where things are, and how a guest is started."""

    def __init__(self, kind):
        self.kind = kind
        self.out = TOP / "out" / self.kind
        self.logs = self.out / "log"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.jobs = int(os.environ.get("STRESS_JOBS") or 100000)

    def guest(self, name, command, driver="mali_csf", timeout=120, options=(), progress=None):
        """Runs a command in a guest of its own; returns its status and its output. Prints what `progress` finds in it."""
        slow = 1 if self.kind == "smp" else 6
        line = [GUEST, "run", "--kernel", self.kind, "--driver", driver, "--timeout", str(timeout * slow), "--log",
                str(self.logs / f"{name}.kernel"), *options, "--", *command]
        output = []
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
            for text in process.stdout:
                output.append(text)
                if progress and (found := re.search(progress, text)):
                    print(f"       {name}: {found[1]}", flush=True)
        output = "".join(output)
        (self.logs / f"{name}.output").write_text(shlex.join(line) + "\n" + output)
        return process.returncode, output

    def kernel_log(self, name):
        path = self.logs / f"{name}.kernel"
        return path.read_text(errors="replace") if path.exists() else ""

    def programs(self, directory="selftests"):
        """The selftests, by what the build has made. Others are suites of their own."""
        skip = {"demo", "abi", "drm_selftest", "crowd", "sleep", "pwr"}
        if "npu" not in directory:
            skip.add("chaos")
        directory = self.out / directory
        return sorted(p.name for p in directory.iterdir()
                      if p.is_file() and os.access(p, os.X_OK) and p.name not in skip and "." not in p.name)


def known_record(record):
    """What has a guest's runner expect this record of the model. Each other one is a line of its own in the log."""
    return ["--known", rf"RECORD {record} |^the model has \d+ record|process has seen records"]


def kept(configuration, name, part, *arguments):
    """What part(*arguments, count) finds, kept as what NAME said in a configuration, and what to print of the time that it took.
    If a run is continued (--resume), what passed in it stands. Without a configuration, the part keeps its own parts."""
    count, begin = Count(), time.monotonic()
    if configuration and (found := RESULTS.stands(configuration, name)):
        count.passed, count.skipped = found["passed"], found["skipped"]
        return count, f"{found['seconds']} s, in the run that is continued"
    part(*arguments, count)
    seconds = time.monotonic() - begin
    if configuration:
        RESULTS.record(configuration, name, count, seconds)
    return count, f"{seconds:.0f} s"


def tap(output, count, label):
    """Counts the result lines of a program, and compares with the plan where there is one."""
    plan, seen = None, 0
    for line in output.splitlines():
        if match := re.match(r"^1\.\.(\d+)", line):
            plan = int(match[1])
        if match := RESULT.match(line):
            seen += 1
            if re.search(r"#\s*SKIP\b", line, re.I):
                count.skipped += 1
            else:
                # A known defect of the control driver is an expected failure there.
                count.check(match[1] == "ok" or re.search(r"#\s*XFAIL\b", line, re.I), f"{label}: {match[2]}")
    if plan is not None and seen < plan:
        count.failures.append(f"{label}: only {seen} of {plan} tests gave a result")
    return seen


BUILD = ["modules", "crates", "hwmodel", "firmware", "selftests", "bench"]
