// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Words of a register list: 16 bits of target, 32 bits of value, 16 bits of register.

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing.
    Nop,
    /// A register of a unit.
    Unit {
        /// The offset in the core's window.
        off: u32,
        /// The value.
        value: u32,
    },
    /// A register of the program controller: address or length of the next list.
    Next {
        /// The offset in the core's window.
        off: u32,
        /// The value.
        value: u32,
    },
    /// All registers before it are complete.
    Barrier,
    /// The units given by the mask begin.
    Enable(u32),
    /// The register page that hangs the bus.
    DeadPage(u32),
    /// Units that are not modelled.
    Unsupported(u32),
    /// The target does not exist, or does not own the register.
    Bad,
}

/// Units in the mask of [`Word::Enable`].
pub(crate) mod unit {
    /// The convolution.
    pub(crate) const CNA: u32 = 1 << 0;
    /// The accumulator.
    pub(crate) const CORE: u32 = 1 << 2;
    /// The data processing unit.
    pub(crate) const DPU: u32 = 1 << 3;
    /// Its read DMA.
    pub(crate) const DPU_RDMA: u32 = 1 << 4;
    /// All of these.
    pub(crate) const ALL: u32 = CNA | CORE | DPU | DPU_RDMA;
}

/// Takes a word apart.
pub(crate) fn decode(word: u64) -> Word {
    let [r0, r1, v0, v1, v2, v3, t0, t1] = word.to_le_bytes();
    let off = u32::from(u16::from_le_bytes([r0, r1]));
    let value = u32::from_le_bytes([v0, v1, v2, v3]);
    let target = u16::from_le_bytes([t0, t1]);
    let page = off & 0xf000;
    match (target, page) {
        (0, _) if word == 0 => Word::Nop,
        (0x0041, _) => Word::Barrier,
        (0x0081, 0x0000) if off == 0x08 => Word::Enable(value),
        (0x0101, 0x0000) => Word::Next { off, value },
        (_, 0x2000) => Word::DeadPage(off),
        (0x0201, 0x1000) | (0x0801, 0x3000) | (0x1001, 0x4000) | (0x2001, 0x5000) => {
            Word::Unit { off, value }
        }
        (0x4001, 0x6000) | (0x8001, 0x7000) => Word::Unsupported(off),
        _ => Word::Bad,
    }
}
