# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What a user does before there is a driver that works: packages, kernel trees, and what a driver says."""

import os
import re
import shlex
import subprocess

from suites.base import BUILD, STATUS, TOP, Run, kept, tap


def messages(run, count):
    """What a driver says for each cause that it can fail for (rule C4): the lines of Documentation/troubleshooting.rst."""
    out = run.out / "messages"
    for name in ("firmware-missing", "firmware-damaged/arm/mali/arch10.8"):
        (out / name).mkdir(parents=True, exist_ok=True)
    (out / "firmware-damaged/arm/mali/arch10.8/mali_csffw.bin").write_bytes(bytes(8192))
    for source in sorted((TOP / "tools/testing/messages").glob("*.dts")):
        subprocess.run(["dtc", "-@", "-q", "-i", str(TOP / "tools/testing/hwmodel/uml"), "-o",
                        str(out / f"{source.stem}.dtb"), str(source)], check=True)
    text = (TOP / "Documentation/troubleshooting.rst").read_text()
    cases = re.findall(r"^\.\. case: (\S+) (.*)\n\n``(.*)``$", text, re.M)
    # What the kernel says in addition, and what the drivers say of a device that works.
    others = re.compile(r"probe with driver|deferred probe timeout|OPP table|OPPs$|firmware: failed to load|id 0x\w+ major|features: |present: |firmware git|"
                        r"firmware interface v|core \d, version|resetting the GPU")
    for driver, words, expected in cases:
        case = dict(word.split("=", 1) if "=" in word else (word, "") for word in shlex.split(words))
        name = f"messages-{driver}-{re.sub('[^a-z0-9]+', '-', words)}"
        device = {"mali_csf": "20000000.gpu", "rknn": "adac0000.npu"}[driver]
        options = ["--no-load", "--append", "kunit.enable=0"]
        if "tree" in case:
            options += ["--tree", f"messages/{case['tree']}"]
        if "firmware" in case:
            options += ["--firmware", str(out / f"firmware-{case['firmware']}")]
        if "append" in case:
            options += ["--append", case["append"]]
        inject = f"echo {case['inject']} > /sys/kernel/debug/hwmodel/inject && " if "inject" in case else ""
        status, output = run.guest(name, ["sh", "-c", f"{inject}insmod $DRM_TEST_MODULE && sleep {case.get('wait', 0)} && "
                                          "cat /sys/kernel/debug/devices_deferred"], driver=driver, options=options)
        # Of what has no driver yet, the module speaks.
        speaker = f"{driver}: " if case.get("where") == "module" else f"{driver} {device}: "
        lines = [line for line in run.kernel_log(name).splitlines() if speaker in line]
        said = [line for line in lines if "kernel" in case or not others.search(line.split(": ", 1)[1])]
        if case.get("where") == "deferred":
            said += [line.rstrip() for line in output.splitlines() if line.startswith(device)]
        right = [line for line in said if line.endswith(expected)]
        alone = len(right) == 1 and ("kernel" in case or len(said) == 1)
        count.check(status == 0 and alone, f"{name}: status {status}, expected '{expected}' once, found {said}")
    count.check(len(cases) >= 20, f"messages: {len(cases)} cases in the documentation")


def packaging(run, count):
    """The package and what is in it, what kernel-check says of broken kernels, and the hand-over between drivers."""
    script = f'eval "$({TOP}/scripts/provision env {run.kind})" && exec "$@"'

    def shell(name, *command):
        done = subprocess.run(["bash", "-c", script, "packaging", *map(str, command)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        (run.logs / f"packaging-{name}.output").write_text(done.stdout)
        return done.returncode, done.stdout

    status, output = shell("package", TOP / "tools/testing/packaging/package", run.out / "package", run.kind)
    if not tap(output, count, "package") or status:
        count.failures.append(f"package: status {status}: see {run.logs}/packaging-package.output")
    status, output = shell("kernel-check", TOP / "tools/testing/packaging/kernels", run.out / "kernels")
    if not tap(output, count, "kernel-check") or status:
        count.failures.append(f"kernel-check: status {status}: see {run.logs}/packaging-kernel-check.output")
    status, output = run.guest("packaging-handover", [str(TOP / "tools/testing/packaging/handover")], driver="rknn",
                               timeout=400, options=["--no-load", "--append", "kunit.enable=0"])
    if not tap(output, count, "handover") or status:
        count.failures.append(f"handover: {STATUS.get(status, f'status {status}')}")


def debian(run, count):
    """Long: what dkms and lintian make of the package."""
    done = subprocess.run([str(TOP / "tools/testing/packaging/debian"), str(run.out / "debian"), run.kind],
                          stdout=subprocess.PIPE, text=True)
    (run.logs / "debian.output").write_text(done.stdout)
    if not tap(done.stdout, count, "debian") or done.returncode and not count.failures:
        count.failures.append(f"debian: status {done.returncode}: see {run.logs}/debian.output")


def follow(run, name, command, shown, **how):
    """Runs a command whose output is kept as NAME.output; prints its lines that begin with a word. Its status and its output."""
    output = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **how) as process:
        for line in process.stdout:
            output += line
            if line.startswith(shown):
                print(f"       {name}: {line[2:]}", end="", flush=True)
    (run.logs / f"{name}.output").write_text(output)
    return process.returncode, output


def arm64_debian(run, count):
    """Long: the modules' package in a clean Debian for arm64, from dpkg -i to dpkg -r, with udev (HW_KINDS)."""
    for kind in (os.environ.get("HW_KINDS") or "arm64 arm64-16k arm64-64k").split():
        seen, took = kept(kind, "debian", installed, Run(kind))
        print(f"       {kind}: {seen.passed} passed, {len(seen.failures)} failed ({took})", flush=True)
        count.add(seen)


def installed(run, count):
    """The package for one kernel."""
    label = f"{run.kind}-debian"
    made = subprocess.run([str(TOP / "scripts/build"), "--kernel", run.kind, "hwmodel", "firmware", "selftests"])
    if made.returncode:
        count.failures.append(f"{label}: the build failed")
        return
    work = run.out / "debian"
    status, output = follow(run, f"{label}-packages", [str(TOP / "tools/testing/packaging/arm64"), str(work), run.kind], "# making")
    if not tap(output, count, label) or status:
        count.failures.append(f"{label}: status {status}: see {run.logs}/{label}-packages.output")
    if count.failures:
        return
    root = subprocess.run([str(TOP / "scripts/provision"), "debian"], stdout=subprocess.PIPE, text=True, check=True)
    status, output = run.guest(label, [str(TOP / "tools/testing/packaging/board"), str(work)], driver="none", timeout=300,
                               options=["--mem", "2G", "--root", f"{root.stdout.strip()}/root.tar", "--append", "kunit.enable=0"],
                               progress=r"^ok \d+ ((?:udev|dpkg|both demos|back).*)")
    if not tap(output, count, label) or status and (status in STATUS or not count.failures):
        count.failures.append(f"{label}: {STATUS.get(status, f'status {status}')}")


def in_tree(run, count):
    """Long: the drivers built as a part of a kernel tree, and the demos on these modules."""
    script = (f'eval "$({TOP}/scripts/provision env {run.kind})" && exec python3 {TOP}/tools/testing/kconfig/intree.py '
              '"$KSRC" "$KBUILD_DIR/.config" "$KBUILD_DIR/Module.symvers" "$1" ARCH="$KERNEL_ARCH" "${KERNEL_FLAGS[@]}"')
    run = Run("smp")
    subprocess.run([str(TOP / "scripts/build"), "--kernel", run.kind, *BUILD], check=True)
    work = TOP / "out/in-tree"
    work.mkdir(parents=True, exist_ok=True)
    status, output = follow(run, "in-tree", ["bash", "-c", script, "in-tree", str(work)], "# ", stderr=subprocess.STDOUT)
    if not tap(output, count, "in-tree") or status:
        count.failures.append(f"in-tree: status {status}: see {run.logs}/in-tree.output")
        return
    for module, directory in (("mali_csf", "selftests"), ("rknn", "selftests-npu")):
        path = work / "out/drivers/gpu/drm/mali-rknn" / f"{module}.ko"
        status, output = run.guest(f"in-tree-{module}", [str(run.out / directory / "demo")], driver="none",
                                   options=["--insmod", str(path)])
        count.check(status == 0 and re.search(r"^demo: \d+ checks passed, 0 failed$", output, re.M),
                    f"in-tree: the demo on {module}.ko: {STATUS.get(status, f'status {status}')}")
