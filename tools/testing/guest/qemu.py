# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The guests of QEMU, with an initramfs that holds nothing but a busybox: for arm64 its machine `virt`, emulated; for x86-64
a PC, which KVM runs where it can.

This machine's files are there over 9P, read-only and under their own names, so that commands and modules are named as in
every other guest. The kernel log comes through the serial port; the command's output and what the runner is told come
through consoles of their own.
"""

import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import typing

import bzimage

KINDS = ("arm64", "arm64-16k", "arm64-64k", "arm64-nopm", "x86-64")
OUTPUT, VERDICT = "/dev/hvc0", "/dev/hvc1"
# Where a tree of Debian's programs is mounted, and where a root is put together before it is one.
SYSTEM, ROOT = "/system", "/newroot"
# What a root has to be given of the initramfs: a busybox that ends the guest, and init's other half.
LATER, BUSYBOX = "/run/init", "/run/busybox"


class Architecture(typing.NamedTuple):
    """What is where for guests of an architecture."""
    tree: str  # QEMU, in the cache
    userland: str  # the busybox, in the cache
    program: str
    image: str  # in the kernel's build directory
    console: str


ARM64 = Architecture("qemu", "arm64-userland", "qemu-system-aarch64", "arch/arm64/boot/Image", "ttyAMA0")
X86_64 = Architecture("qemu-x86-64", "x86-64-userland", "qemu-system-x86_64", "arch/x86/boot/bzImage", "ttyS0")


def architecture(kind):
    """The architecture of a kind of kernel."""
    return X86_64 if kind == "x86-64" else ARM64


def accelerator(kind):
    """What runs the guest's processors, kvm or tcg, and why where that is to be said. GUEST_ACCEL decides for x86-64.

    That there is a /dev/kvm is not enough: it is also there where the processor does not help, and what it does then is not
    for a kernel that knows nothing of it.
    """
    if architecture(kind) is ARM64:
        return "tcg", ""
    if wanted := os.environ.get("GUEST_ACCEL"):
        return wanted, "GUEST_ACCEL says so"
    if platform.machine() != "x86_64":
        return "tcg", f"this machine is {platform.machine()}"
    processors = pathlib.Path("/proc/cpuinfo").read_text()
    if not re.search(r"^flags\b.*\b(vmx|svm)\b", processors, re.M):
        return "tcg", "this machine's processors have neither vmx nor svm"
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as error:
        return "tcg", f"/dev/kvm: {error.strerror}"
    return "kvm", "this machine's processors have vmx or svm, and /dev/kvm can be opened"


def page_size(kind):
    """How long the pages are that a guest of this kind has."""
    return {"arm64-16k": 1 << 14, "arm64-64k": 1 << 16}.get(kind, 1 << 12)


def needed_modules(kernel, modules):
    """The kernel's modules that these need (paths), in the order of loading."""
    paths = {pathlib.PurePath(line).stem.replace("-", "_"): (kernel / line).with_suffix(".ko")
             for line in (kernel / "modules.order").read_text().split()}
    found = []

    def visit(path):
        # Debian leaves its place out of ordinary users' paths.
        modinfo = shutil.which("modinfo") or "/usr/sbin/modinfo"
        depends = subprocess.run([modinfo, "-F", "depends", str(path)], stdout=subprocess.PIPE, text=True, check=True)
        for name in filter(None, depends.stdout.strip().split(",")):
            need = paths[name.replace("-", "_")]
            if need not in found:
                visit(need)
                found.append(need)

    for module in modules:
        # One that is not there fails in the guest, where it is noticed.
        if pathlib.Path(module).exists():
            visit(module)
    return [str(path) for path in found]


def disks(args, scratch):
    """The disks that a guest has (name in the guest, file, more for QEMU), in the order that the guest finds them in."""
    files = {"swap": scratch / "swap" if args.swap else None, "root": args.root, "disk": args.disk}
    more = {"root": ",readonly=on"}
    there = [name for name, file in files.items() if file]
    return {name: (f"/dev/vd{letter}", files[name], more.get(name, "")) for name, letter in zip(there, "abc")}


def first_lines(top, kernel, system):
    """The beginning of init: what has to be done before anything can be found at its usual place."""
    lines = [
        "#!/bin/busybox sh",
        "/bin/busybox --install -s /bin",
        "mkdir -p /dev /proc /sys /run /tmp",
        "mount -t devtmpfs devtmpfs /dev",
        "exec </dev/null >" + OUTPUT + " 2>&1",
        f"stty -F {OUTPUT} -opost; stty -F {VERDICT} -opost",
        "halt() { poweroff -f; sleep 60; }",
        f"tell() {{ echo \"$*\" > {VERDICT}; }}",
        "mount -t proc proc /proc",
        "mount -t sysfs sysfs /sys",
        "mount -t debugfs debugfs /sys/kernel/debug",
        "mount -t tmpfs tmpfs /run; mkdir /run/tmp",
        "ln -s /proc/self/fd /dev/fd; ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr",
        "mkdir /dev/shm /dev/pts; mount -t tmpfs tmpfs /dev/shm; mount -t devpts devpts /dev/pts",
    ]
    trees = [("checkout", top, ""), ("kernel", kernel, "")]
    if system:
        # Nobody changes it meanwhile, so the guest may keep what it has read.
        trees.append(("system", SYSTEM, ",cache=loose"))
    for tag, path, more in trees:
        lines.append(f"mkdir -p {shlex.quote(str(path))}; mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=131072{more} "
                     f"{tag} {shlex.quote(str(path))}")
    if system:
        # Where programs look for their loader, libraries and settings.
        lines.append(f"ln -s {SYSTEM}/usr /usr; ln -s usr/lib /lib; ln -s {SYSTEM}/etc /etc")
    return lines


def in_root(disk, top, kernel, lines):
    """Lines of init that are run where the archive on a disk is the root, in memory: what is there can be changed."""
    moved = ["/dev", "/proc", "/sys", "/run", str(top), str(kernel)]
    return [
        f"mkdir {ROOT}; mount -t tmpfs tmpfs {ROOT}",
        f"tar x -C {ROOT} -f {disk} || {{ tell 'module the root'; halt; }}",
        *(f"mkdir -p {shlex.quote(ROOT + path)}; mount --move {shlex.quote(path)} {shlex.quote(ROOT + path)}" for path in moved),
        f"cp /bin/busybox {ROOT}{BUSYBOX}",
        f"cat >{ROOT}{LATER} <<'INIT'",
        f"halt() {{ {BUSYBOX} poweroff -f; sleep 60; }}",
        f"tell() {{ echo \"$*\" > {VERDICT}; }}",
        *lines,
        "INIT",
        f"exec switch_root {ROOT} /bin/sh {LATER}",
        "",
    ]


def initramfs(scratch, init, userland):
    """An archive with busybox and the script that PID 1 runs."""
    root = scratch / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "busybox").write_bytes((userland / "usr/bin/busybox").read_bytes())
    (root / "bin" / "busybox").chmod(0o755)
    (root / "init").write_text(init)
    (root / "init").chmod(0o755)
    with open(scratch / "initramfs", "wb") as archive:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=root, stdout=archive, check=True,
                       input=b"bin\nbin/busybox\ninit\n")
    return scratch / "initramfs"


def board(args):
    """The machine, with its options, and its processor."""
    if architecture(args.kernel) is X86_64:
        # Pages of five levels make every walk of an emulated one longer.
        return ["q35"], "host" if accelerator(args.kernel)[0] == "kvm" else "max,la57=off"
    # Branch targets and signed pointers are newer than the processor of the boards. The system counter is the one that the
    # GPU's timestamps are read from, with the rate that it has on the boards.
    processor = "max,pauth-impdef=on" if args.kernel == "arm64-16k" else "cortex-a76"
    return ["virt", "gic-version=3"], processor + ",cntfrq=24000000"


def machine(args, cache, more=()):
    """The beginning of a command line: QEMU, the processors and the memory."""
    own = architecture(args.kernel)
    qemu = cache / own.tree
    lib = next(qemu.glob("usr/lib/*/ld-linux-*.so.*")).parent
    loader = next(lib.glob("ld-linux-*.so.*"))
    kind, processor = board(args)
    return [
        str(loader), "--library-path", str(lib), str(qemu / "usr/bin" / own.program),
        "-L", str(qemu / "usr/share/qemu"), "-L", str(qemu / "usr/share/seabios"),
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", accelerator(args.kernel)[0],
        "-machine", ",".join([*kind, *more]), "-cpu", processor, "-smp", str(args.cpus), "-m", args.mem,
    ]


def device_tree(args, cache, scratch):
    """The tree that QEMU makes for this machine, as a file. A PC has none: None."""
    if architecture(args.kernel) is X86_64:
        return None
    into = scratch / "machine.dtb"
    subprocess.run(machine(args, cache, [f"dumpdtb={into}"]), stdout=subprocess.DEVNULL, check=True)
    return into


def command(args, kernel, scratch, top, cache, log, verdict):
    """QEMU's command line; the output is its standard output."""
    own = architecture(args.kernel)
    parameters = [f"console={own.console}", "loglevel=8", "panic=-1"]
    if own is X86_64 and accelerator(args.kernel)[0] == "tcg":
        # An emulated time stamp counter is this machine's. What the kernel measures of it is wrong when there is much else to
        # do here: udelay() would be too short on one processor, and another clock be used in the end.
        parameters += ["tsc=reliable", "setcpuid=constant_tsc"]
    parameters += args.append
    more, hardware, image = [], [], kernel / own.image
    if args.model:
        # The model's process maps the memory, so that there is a file for it.
        more = ["memory-backend=ram"]
        function = {"driver": "vfio-user-pci", "socket": {"type": "unix", "path": str(scratch / "hardware")}}
        hardware = ["-object", f"memory-backend-memfd,id=ram,size={args.mem},share=on",
                    "-device", json.dumps(function)]
        if own is ARM64:
            hardware += ["-dtb", str(scratch / "tree.dtb")]
        else:
            bzimage.with_tree(image, scratch / "tree.dtb", scratch / "kernel")
            image = scratch / "kernel"
    if args.system:
        hardware += ["-virtfs", f"local,path={args.system},mount_tag=system,security_model=none,readonly=on,multidevs=remap"]
    for name, (_, file, options) in disks(args, scratch).items():
        hardware += ["-drive", f"file={file},format=raw,if=none,id={name}{options}", "-device", f"virtio-blk-pci,drive={name}"]
    terminal = "stdio,id=output,signal=off" if args.interactive else "file,id=output,path=/dev/stdout"
    return [
        *machine(args, cache, more), *hardware,
        "-kernel", str(image), "-initrd", str(scratch / "initramfs"),
        "-append", " ".join(parameters),
        "-chardev", f"file,id=log,path=/dev/fd/{log.write}", "-serial", "chardev:log",
        "-device", "virtio-serial-pci",
        "-chardev", terminal, "-device", "virtconsole,chardev=output",
        "-chardev", f"file,id=verdict,path=/dev/fd/{verdict.write}", "-device", "virtconsole,chardev=verdict",
        "-virtfs", f"local,path={top},mount_tag=checkout,security_model=none,readonly=on,multidevs=remap",
        "-virtfs", f"local,path={kernel},mount_tag=kernel,security_model=none,readonly=on,multidevs=remap",
    ]
