// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Access to the interface memory, as the firmware does it: through address space 0.

use super::layout::cs_control;
use super::layout::csg_control;
use super::layout::glb_control;
use super::layout::GROUP_CONTROL;
use super::layout::MAX_GROUPS;
use super::layout::MAX_STREAMS;
use super::layout::SHARED_VA;
use super::layout::STREAM_CONTROL;
use crate::bus::Bus;
use crate::mmu::Access;
use crate::mmu::MmuError;
use crate::mmu::Requester;

/// The processor on the memory bus.
pub(crate) const MCU: Requester = Requester {
    as_nr: 0,
    source: 0,
};

/// Why the firmware cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hitch {
    /// The address space does not answer now: try again.
    Retry,
    /// An access of the firmware failed for good at this address.
    Crash(u64),
}

fn hitch(va: u64) -> impl Fn(MmuError) -> Hitch {
    move |error| match error {
        MmuError::Stalled => Hitch::Retry,
        MmuError::Fault(_) | MmuError::Aborted => Hitch::Crash(va),
    }
}

/// Reads a word.
pub(crate) fn read32(bus: &mut Bus<'_>, va: u64) -> Result<u32, Hitch> {
    bus.read32(MCU, va).map_err(hitch(va))
}

/// Reads a double word.
pub(crate) fn read64(bus: &mut Bus<'_>, va: u64) -> Result<u64, Hitch> {
    bus.read64(MCU, va).map_err(hitch(va))
}

/// Writes a word.
pub(crate) fn write32(bus: &mut Bus<'_>, va: u64, value: u32) -> Result<(), Hitch> {
    bus.write32(MCU, va, value).map_err(hitch(va))
}

/// Writes a double word.
pub(crate) fn write64(bus: &mut Bus<'_>, va: u64, value: u64) -> Result<(), Hitch> {
    bus.write64(MCU, va, value).map_err(hitch(va))
}

/// Reads bytes.
pub(crate) fn read(bus: &mut Bus<'_>, va: u64, buf: &mut [u8]) -> Result<(), Hitch> {
    bus.read(MCU, va, Access::Read, buf).map_err(hitch(va))
}

/// Input and output block of one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// Written by the host.
    pub(crate) input: u64,
    /// Written by the firmware.
    pub(crate) output: u64,
}

/// A group's blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupBlocks {
    /// The control block.
    pub(crate) control: u64,
    /// Input and output.
    pub(crate) io: Blocks,
    /// Those of its streams.
    pub(crate) streams: [Blocks; MAX_STREAMS],
}

impl GroupBlocks {
    const NONE: GroupBlocks = GroupBlocks {
        control: 0,
        io: Blocks {
            input: 0,
            output: 0,
        },
        streams: [Blocks {
            input: 0,
            output: 0,
        }; MAX_STREAMS],
    };
}

/// What is wrong with the interface in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// This word of the interface is not valid.
    Word(u64, &'static str),
    /// See [`Hitch`].
    Hitch(Hitch),
}

impl From<Hitch> for Wrong {
    fn from(hitch: Hitch) -> Self {
        Wrong::Hitch(hitch)
    }
}

/// Where everything is.
pub(crate) struct Interface {
    /// The global blocks.
    pub(crate) glb: Blocks,
    /// Groups.
    pub(crate) groups: usize,
    /// Streams of each group.
    pub(crate) streams: usize,
    /// The groups' blocks.
    pub(crate) group: [GroupBlocks; MAX_GROUPS],
}

/// Size of input and output blocks that must be mapped.
const BLOCK: u64 = 0x40;

impl Interface {
    /// Nothing known.
    pub(crate) const fn new() -> Self {
        Self {
            glb: Blocks {
                input: 0,
                output: 0,
            },
            groups: 0,
            streams: 0,
            group: [GroupBlocks::NONE; MAX_GROUPS],
        }
    }

    /// Finds the blocks from the control blocks in the shared section.
    pub(crate) fn locate(&mut self, bus: &mut Bus<'_>) -> Result<(), Wrong> {
        let number = |at: u64, max: usize, value: u32, what| match usize::try_from(value) {
            Ok(n) if n > 0 && n <= max => Ok(n),
            _ => Err(Wrong::Word(at, what)),
        };
        self.glb = Self::blocks(
            bus,
            SHARED_VA + glb_control::INPUT_VA,
            SHARED_VA + glb_control::OUTPUT_VA,
        )?;
        let at = SHARED_VA + glb_control::GROUP_NUM;
        let groups = read32(bus, at)?;
        self.groups = number(at, MAX_GROUPS, groups, "number of groups")?;
        let at = SHARED_VA + glb_control::GROUP_STRIDE;
        let group_stride = u64::from(read32(bus, at)?);
        let mut streams = 0;
        let mut control = SHARED_VA + GROUP_CONTROL;
        for group in self.group.iter_mut().take(self.groups) {
            group.control = control;
            group.io = Self::blocks(
                bus,
                control + csg_control::INPUT_VA,
                control + csg_control::OUTPUT_VA,
            )?;
            let at = control + csg_control::STREAM_NUM;
            let value = read32(bus, at)?;
            let n = number(at, MAX_STREAMS, value, "number of streams")?;
            if streams != 0 && n != streams {
                return Err(Wrong::Word(at, "number of streams differs between groups"));
            }
            streams = n;
            let at = control + csg_control::STREAM_STRIDE;
            let stream_stride = u64::from(read32(bus, at)?);
            if stream_stride < cs_control::SIZE || stream_stride % 4 != 0 {
                return Err(Wrong::Word(at, "stream stride"));
            }
            let needed = STREAM_CONTROL + stream_stride * u64::try_from(n).unwrap_or(0);
            if group_stride < needed || group_stride % 4 != 0 {
                return Err(Wrong::Word(
                    SHARED_VA + glb_control::GROUP_STRIDE,
                    "group stride",
                ));
            }
            let mut cs = control + STREAM_CONTROL;
            for io in group.streams.iter_mut().take(n) {
                *io = Self::blocks(bus, cs + cs_control::INPUT_VA, cs + cs_control::OUTPUT_VA)?;
                cs += stream_stride;
            }
            control += group_stride;
        }
        self.streams = streams;
        Ok(())
    }

    /// A pair of block addresses: both in mapped, writable memory of the shared section.
    fn blocks(bus: &mut Bus<'_>, input_at: u64, output_at: u64) -> Result<Blocks, Wrong> {
        let mut found = Blocks::default();
        for (at, to, what) in [
            (input_at, &mut found.input, "input address"),
            (output_at, &mut found.output, "output address"),
        ] {
            let va = u64::from(read32(bus, at)?);
            let last = va.saturating_add(BLOCK - 1);
            if va < SHARED_VA
                || va % 4 != 0
                || !bus.probe(MCU, va, Access::Write)
                || !bus.probe(MCU, last, Access::Write)
            {
                return Err(Wrong::Word(at, what));
            }
            *to = va;
        }
        Ok(found)
    }
}
