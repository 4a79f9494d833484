# SPDX-License-Identifier: GPL-2.0 OR MIT
"""A kernel for x86-64 that brings a device tree, by its boot protocol (Documentation/arch/x86/boot.rst).

QEMU 11.1 has `-dtb` for that as well, but tells the kernel an address that is too high by the length of the real-mode part.
"""

import struct

# Of the header: how many sectors come before what is loaded, a list of what the boot loader has to say, and from where on and
# how far the kernel needs memory to unpack itself.
SETUP_SECTORS, SETUP_DATA, PREFERRED_ADDRESS, INIT_SIZE = 0x1f1, 0x250, 0x258, 0x260
# Where QEMU loads it.
LOADED_AT = 0x100000
DTB = 2


def with_tree(image, tree, into):
    """Writes the kernel `image` with the device tree behind it, out of the way of what the kernel does until it looks there."""
    data = bytearray(image.read_bytes())
    setup = 512 * (data[SETUP_SECTORS] + 1)
    first, = struct.unpack_from("<Q", data, PREFERRED_ADDRESS)
    size, = struct.unpack_from("<I", data, INIT_SIZE)
    address = first + size
    struct.pack_into("<Q", data, SETUP_DATA, address)
    blob = tree.read_bytes()
    with open(into, "wb") as file:
        file.write(data)
        file.seek(setup + address - LOADED_AT)
        # No other one follows.
        file.write(struct.pack("<QII", 0, DTB, len(blob)) + blob)
