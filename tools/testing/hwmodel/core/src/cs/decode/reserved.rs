// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Which bits of an instruction have no meaning.

/// Bits that an instruction does not define: software has to leave them zero.
pub(crate) fn reserved(raw: u64) -> u64 {
    const OP: u64 = 0xff << 56;
    const DST: u64 = 0xff << 48;
    const ADDR: u64 = 0xff << 40;
    const DATA: u64 = 0xff << 32;
    const WAIT: u64 = 0xffff << 16;
    const SIGNAL: u64 = 0xf << 48;
    const LOW32: u64 = 0xffff_ffff;
    const LOW16: u64 = 0xffff;
    const PROGRESS: u64 = 1 << 32;
    let defined = match raw >> 56 {
        0 | 1 => return 0,
        2 => DST | LOW32,
        3 => WAIT | PROGRESS,
        4 | 44 => LOW16 | PROGRESS | ADDR,
        5 | 6 | 8 => LOW32 | DATA | ADDR,
        7 => 0xf1 | PROGRESS,
        9 => PROGRESS,
        11 => 1 | WAIT | DATA | ADDR | SIGNAL,
        16 | 17 => DST | ADDR | LOW32,
        18 => DST | ADDR | DATA,
        20 | 21 => DST | ADDR | LOW32,
        22 => ADDR | LOW16 | 7 << 28,
        23 => 0xff,
        24 => ADDR | 0x1f,
        25 => ADDR | DATA | 0xff,
        32 | 33 => ADDR | DATA,
        34 => 0xf,
        36 => SIGNAL | ADDR | WAIT | 0xfff,
        37 | 38 | 51 | 52 => SIGNAL | ADDR | DATA | WAIT | 7,
        39 | 53 => ADDR | DATA | 0xf << 28 | 1,
        40 => SIGNAL | ADDR | 3 << 32 | WAIT | LOW16,
        42 => ADDR,
        43 => DST,
        48 => ADDR,
        49 => SIGNAL | 3 << 32 | WAIT,
        50 => SIGNAL | ADDR | DATA | WAIT,
        _ => 0,
    };
    raw & !(defined | OP)
}
