# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What is tested on this machine, without a guest."""

import concurrent.futures
import json
import os
import random
import re
import shlex
import struct
import subprocess
import tempfile

from suites.base import TOP, tap


def cargo_test(run, count, crate, environment=None):
    """The tests of a crate, on this machine."""
    done = subprocess.run(
        ["cargo", "test", "--quiet", "--release", "--manifest-path",
         str(TOP / "tools/testing" / crate / "Cargo.toml"), "--target-dir", str(TOP / "out/host")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(environment or {})})
    crate = crate.rsplit("/", 1)[-1]
    (run.logs / f"host-{crate}.output").write_text(done.stdout)
    results = re.findall(r"test result: \w+\. (\d+) passed; (\d+) failed", done.stdout)
    count.passed += sum(int(p) for p, _ in results)
    for name in re.findall(r"^(?:test )?(\S+)(?: \.\.\.)? FAILED$|^---- (\S+) stdout", done.stdout, re.M):
        count.failures.append(f"{crate}: {name[0] or name[1]}")
    if done.returncode and not any(f.startswith(f"{crate}:") for f in count.failures):
        count.failures.append(f"{crate}: cargo test failed (see {run.logs}/host-{crate}.output)")
    if not results:
        count.failures.append(f"{crate}: no test ran")


def host(run, count):
    """The model's core, the image generator, the scheduling policy and the ABI comparison, on this machine."""
    seed = os.environ.get("POLICY_SEED") or str(random.randrange(1 << 30))
    print(f"       host: the policy's seed is {seed} (POLICY_SEED={seed} repeats it)", flush=True)
    for crate in ("hwmodel/core", "hwmodel/firmware", "policy"):
        cargo_test(run, count, crate, {"POLICY_SEED": seed})
    abi = run.out / "selftests" / "abi"
    done = subprocess.run([str(abi)], stdout=subprocess.PIPE, text=True)
    tap(done.stdout, count, "abi")
    if done.returncode and not count.failures:
        count.failures.append("abi: failed")


def vfio_user(run, count):
    """The model as a PCI function in a process of its own, with a client that does what QEMU does."""
    cargo_test(run, count, "hwmodel/vfio-user")


def kconfig_trees(run, count, name, *options):
    """Runs the program that looks at Kconfig, with what the kernel's build has in its environment."""
    line = shlex.join(["python3", str(TOP / "tools/testing/kconfig/trees.py")])
    script = f'eval "$({TOP}/scripts/provision env {run.kind})" && exec {line} "$KSRC" "$@"'
    done = subprocess.run(["bash", "-c", script, "kconfig", str(TOP / "out" / name), *map(str, options)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    (run.logs / f"{name}.output").write_text(done.stdout)
    if not tap(done.stdout, count, name) or done.returncode:
        count.failures.append(f"{name}: status {done.returncode}: see {run.logs}/{name}.output")


def kconfig(run, count):
    """What Kconfig makes of the drivers in a kernel tree that they were put into, for four architectures."""
    kconfig_trees(run, count, "kconfig")


def kconfig_random(run, count):
    """Long: the same with 20 random configurations of each (KCONFIG_SEED=N begins with another one)."""
    first = int(os.environ.get("KCONFIG_SEED") or random.randrange(1 << 30))
    print(f"       kconfig-random: the first seed is {first} (KCONFIG_SEED={first} repeats it)", flush=True)
    kconfig_trees(run, count, "kconfig-random", first, 20)


def compile_fail(run, count):
    """Mistakes that the crates' types have to keep from compiling, each next to the same without the mistake."""
    # With the flags, and against the metadata, of the module that was just built.
    saved = (run.out / "drm_selftest/rust/tests/.drm_selftest.o.cmd").read_text().split(" := ", 1)[1].split("\n", 1)[0]
    words = shlex.split(saved)
    # The kernel's Makefile exports this one.
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1"}
    while re.match(r"\w+=", words[0]):
        name, value = words.pop(0).split("=", 1)
        environment[name] = value
    flags = [w for w in words[:-1] if not w.startswith("--emit=")]
    at = flags.index("--out-dir")
    del flags[at:at + 2]

    def compile(source, mistake, out):
        """The errors of the compiler, as pairs of a code and all that is said about it."""
        line = [*flags, "--check-cfg=cfg(mistake)", *(["--cfg=mistake"] if mistake else []), "--cap-lints=allow",
                "--error-format=json", f"--crate-name={source.stem}", "--emit=metadata", f"--out-dir={out}", str(source)]
        done = subprocess.run(line, cwd=run.out / "drm_selftest", env=environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        messages = [json.loads(text) for text in done.stderr.splitlines() if text.startswith("{")]
        errors = [((m["code"] or {}).get("code", "none"), m["rendered"]) for m in messages
                  if m["level"] == "error" and not m["message"].startswith("aborting due to")]
        if done.returncode and not errors:
            errors.append(("none", done.stderr))
        return errors

    def judge(source):
        header = dict(re.findall(r"^//! (error|says): (.*)$", source.read_text(), re.M))
        if set(header) != {"error", "says"}:
            return [f"{source.stem}: does not say which error is expected"]
        with tempfile.TemporaryDirectory() as out:
            right, wrong = compile(source, False, out), compile(source, True, out)
        (run.logs / f"compile-fail-{source.stem}.output").write_text("\n".join(text for _, text in right + wrong))
        problems = []
        if right:
            problems.append(f"{source.stem}: does not compile without the mistake: {right[0][1].splitlines()[0]}")
        if not wrong:
            problems.append(f"{source.stem}: the mistake compiles")
        elif any(code != header["error"] or header["says"] not in text for code, text in wrong):
            said = "; ".join(f"{code}: {text.splitlines()[0]}" for code, text in wrong)
            problems.append(f"{source.stem}: expected {header['error']}, '{header['says']}', but rustc says {said}")
        return problems

    sources = sorted((TOP / "rust/tests/compile_fail").glob("*.rs"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for problems in pool.map(judge, sources):
            count.passed += not problems
            count.failures += problems
    if not sources:
        count.failures.append("compile-fail: there is no test")


def abi32(run, count):
    """Long: every size, offset, value and ioctl number of the ABIs, compiled for 32-bit Arm, is that of 64-bit Arm."""
    subprocess.run([str(TOP / "scripts/provision"), "userland"], check=True)
    tables = []
    for target in ("aarch64-linux-gnu", "arm-linux-gnueabihf"):
        script = (f'eval "$({TOP}/scripts/provision env {run.kind})" && exec make -C {TOP}/tools/testing/selftests/drm '
                  'OUT="$1/selftests" KSRC="$KSRC" SYSROOT="$CACHE/arm64-userland" CLANG=clang-19 '
                  'OBJCOPY=llvm-objcopy-19 TARGET="$2" "$1/selftests/abi-$2.bin"')
        subprocess.run(["bash", "-c", script, "abi32", str(run.out), target], stdout=subprocess.DEVNULL, check=True)
        table = (run.out / "selftests" / f"abi-{target}.bin").read_bytes()
        tables.append({name.rstrip(b"\0").decode(): value for name, value in struct.iter_unpack("<88sQ", table)})
    # Where user space maps the flush id: a 32-bit program cannot ask for the offset of the others.
    differs = {"DRM_PANTHOR_USER_MMIO_OFFSET", "DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET"}
    for name in tables[0]:
        count.check((tables[0][name] == tables[1].get(name)) == (name not in differs), f"abi32: {name}")
    count.check(len(tables[0]) > 250, f"abi32: only {len(tables[0])} facts")


def dt_schema(run, count):
    """Long: device trees, the model's and the boards', against the kernel's bindings and what the guide says of them."""
    script = (f'eval "$({TOP}/scripts/provision env {run.kind})" && tools=$({TOP}/scripts/provision dtschema) && '
              f'exec python3 {TOP}/tools/testing/dt-schema/check.py "$KSRC" "$1" "$tools"')
    done = subprocess.run(["bash", "-c", script, "dt-schema", str(TOP / "out/dt-schema")], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    (run.logs / "dt-schema.output").write_text(done.stdout)
    if not tap(done.stdout, count, "dt-schema") or done.returncode:
        count.failures.append(f"dt-schema: status {done.returncode}: {done.stdout.strip().splitlines()[-1:]}")
