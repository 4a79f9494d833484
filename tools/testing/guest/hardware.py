# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The hardware model of QEMU's guests: a process that serves one PCI function to QEMU, and the device tree that
describes what hangs on it.
"""

import os
import pathlib
import re
import select
import subprocess
import time

# The process says so when QEMU can connect.
READY = "waits for a client"
# Its status when there was a record that nobody had announced.
RECORDS = 3


class Missing(Exception):
    """Something that has to be there is not; the text says what, and what makes it."""


def server(top):
    return top / "out/host/release/hwmodel-vfio-user"


def node(text, name):
    """The node of the root with this name, as text."""
    found = re.search(rf"^\t{re.escape(name)} \{{$.*?^\t\}};$", text, re.M | re.S)
    if not found:
        raise Missing(f"the device tree has no node /{name}")
    return found[0]


# The tree of a machine that has none.
EMPTY = "/dts-v1/;\n\n/ {\n\t#address-cells = <2>;\n\t#size-cells = <2>;\n};\n"


def merge(machine, soc, into):
    """Writes the machine's tree, if it has one, with the modelled system on chip in it. Their phandles have nothing in common:
    QEMU counts from 0x8000, dtc from 1."""
    def source(path):
        done = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", str(path)], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise Missing(f"dtc cannot read {path}")
        return done.stdout

    before, added = source(machine) if machine else EMPTY, source(soc)
    used = [int(number, 0) for number in re.findall(r"\bphandle = <(0x[0-9a-f]+)>;", added)]
    taken = [int(number, 0) for number in re.findall(r"\bphandle = <(0x[0-9a-f]+)>;", before)]
    if set(used) & set(taken):
        raise Missing(f"{machine} and {soc} have phandles in common")
    compatible = re.search(r"^\tcompatible = .*;$", added, re.M)[0]
    text = "\n".join([before, "/ {", compatible, node(added, "soc"), node(added, "opp-table"), "};", ""])
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", str(into)], input=text, text=True, check=True)


class Hardware:
    """The process. Its messages are lines of `channel`, which whoever has it reads."""

    def __init__(self, top, scratch, channel):
        program = server(top)
        if not program.exists():
            raise Missing(f"the hardware model's process is not there: {program} (scripts/build makes it;"
                          " --no-model boots without hardware)")
        self.socket = scratch / "hardware"
        self.channel = channel
        self.process = subprocess.Popen([str(program), str(self.socket)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=channel.write, start_new_session=True)
        os.close(channel.write)
        self.wait_for(lambda: any(READY in line for line in channel.lines), 20)
        if not any(READY in line for line in channel.lines):
            self.end()
            said = "; ".join(channel.lines) or "it said nothing"
            raise Missing(f"the hardware model's process did not start: {said}")

    def wait_for(self, done, seconds):
        """Reads until something is the case, until the process has closed its end, or for so long."""
        end = time.monotonic() + seconds
        while not done() and (left := end - time.monotonic()) > 0:
            if select.select([self.channel.read], [], [], left)[0] and self.channel.take() is None:
                return

    def end(self, seconds=0.0):
        """It ends with its client. Returns its status, or None if it had to be killed."""
        self.wait_for(lambda: False, seconds)
        try:
            return self.process.wait(max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


def findings(status, lines):
    """What of the process's end a healthy run does not have. Records are lines of their own."""
    found = [line for line in lines if "panicked at" in line]
    if status == RECORDS:
        found.append("the hardware model's process has seen records")
    elif status is None:
        found.append("the hardware model's process did not end with its client")
    elif status:
        found.append(f"the hardware model's process ended with status {status}")
    return found
