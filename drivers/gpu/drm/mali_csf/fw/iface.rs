// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The interface table that the firmware fills in when it boots: how many group slots and streams
//! there are, and where their blocks are.
//!
//! Everything is read once and checked; later accesses use what was found, whatever the firmware
//! may write there afterwards.

use kernel::{
    device,
    prelude::*,
    sync::Arc, //
};

use super::{
    layout::{
        self,
        cs,
        csg,
        glb, //
    },
    words::{
        Block,
        Pair,
        Shared, //
    },
};

/// Fewest group slots that a firmware can have, and the most that the driver uses.
const GROUPS: core::ops::RangeInclusive<u32> = 3..=31;

/// Fewest and most streams of a group slot.
const STREAMS: core::ops::RangeInclusive<u32> = 8..=32;

/// Registers of a stream, counted from the last, that a suspend does not preserve.
const UNPRESERVED_REGS: u32 = 4;

/// What the firmware offers, for those who use it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Csif {
    /// Group slots.
    pub(crate) csg_slots: u32,
    /// Streams of each group slot.
    pub(crate) cs_slots: u32,
    /// 32-bit registers of each stream.
    pub(crate) work_regs: u32,
    /// Scoreboard entries of each stream.
    pub(crate) scoreboards: u32,
    /// Registers that the driver uses itself.
    pub(crate) unpreserved_regs: u32,
    /// Bytes that a suspended group needs.
    pub(crate) suspend_size: u32,
    /// Bytes that a group suspended in protected mode needs.
    pub(crate) protm_suspend_size: u32,
    /// Version of the interface: major, minor, patch.
    pub(crate) version: u32,
}

/// One group slot.
pub(super) struct Group {
    pub(super) pair: Pair,
    pub(super) streams: KVec<Pair>,
}

/// All of the interface.
pub(super) struct Interface {
    pub(super) shared: Arc<Shared>,
    pub(super) global: Pair,
    pub(super) groups: KVec<Group>,
    pub(super) csif: Csif,
}

/// What has to be the same for all group slots.
#[derive(PartialEq, Eq, Clone, Copy)]
struct GroupFeatures {
    features: u32,
    suspend_size: u32,
    protm_suspend_size: u32,
    streams: u32,
}

struct Parser<'a> {
    dev: &'a device::Device,
    shared: &'a Shared,
}

impl Parser<'_> {
    /// Names the field that is wrong.
    fn bad(&self, field: &str, value: u32) -> Error {
        dev_err!(
            self.dev,
            "firmware interface: bad {field} {value:#x}: install another version of linux-firmware\n"
        );
        EINVAL
    }

    /// The control block at byte `offset`.
    fn control(&self, offset: u64, size: usize, field: &str, stride: u32) -> Result<Block> {
        usize::try_from(offset)
            .map_err(Error::from)
            .and_then(|offset| self.shared.block(offset, size))
            .map_err(|_| self.bad(field, stride))
    }

    /// Input and output block whose addresses are at `va` of `control`.
    fn pair(
        &self,
        control: Block,
        va: (usize, usize),
        size: (usize, usize),
        fields: (&str, &str),
    ) -> Result<Pair> {
        let input_va = self.shared.read(control, va.0);
        let output_va = self.shared.read(control, va.1);
        Ok(Pair {
            input: self
                .shared
                .block_at_va(input_va, size.0)
                .map_err(|_| self.bad(fields.0, input_va))?,
            output: self
                .shared
                .block_at_va(output_va, size.1)
                .map_err(|_| self.bad(fields.1, output_va))?,
        })
    }

    /// One stream, and its features.
    fn stream(&self, offset: u64, stride: u32) -> Result<(Pair, u32)> {
        let control = self.control(offset, cs::control::SIZE, "csg.stream_stride", stride)?;
        let pair = self.pair(
            control,
            (cs::control::INPUT_VA, cs::control::OUTPUT_VA),
            (cs::input::SIZE, cs::output::SIZE),
            ("cs.input_va", "cs.output_va"),
        )?;
        Ok((pair, self.shared.read(control, cs::control::FEATURES)))
    }

    /// One group slot, what is the same for all of them, and the features of its streams.
    fn group(&self, offset: u64, stride: u32) -> Result<(Group, GroupFeatures, u32)> {
        let control = self.control(offset, csg::control::SIZE, "glb.group_stride", stride)?;
        let read = |at| self.shared.read(control, at);
        let pair = self.pair(
            control,
            (csg::control::INPUT_VA, csg::control::OUTPUT_VA),
            (csg::input::SIZE, csg::output::SIZE),
            ("csg.input_va", "csg.output_va"),
        )?;

        let features = GroupFeatures {
            features: read(csg::control::FEATURES),
            suspend_size: read(csg::control::SUSPEND_SIZE),
            protm_suspend_size: read(csg::control::PROTM_SUSPEND_SIZE),
            streams: read(csg::control::STREAM_NUM),
        };
        if !STREAMS.contains(&features.streams) {
            return Err(self.bad("csg.stream_num", features.streams));
        }

        let stride = read(csg::control::STREAM_STRIDE);
        let base = offset + u64::try_from(cs::CONTROL)?;
        let (first, cs_features) = self.stream(base, stride)?;
        let mut streams = KVec::with_capacity(usize::try_from(features.streams)?, GFP_KERNEL)?;
        streams.push(first, GFP_KERNEL)?;
        for n in 1..features.streams {
            let (stream, other) = self.stream(base + u64::from(n) * u64::from(stride), stride)?;
            if other != cs_features {
                return Err(self.bad("cs.features", other));
            }
            streams.push(stream, GFP_KERNEL)?;
        }
        Ok((Group { pair, streams }, features, cs_features))
    }
}

impl Interface {
    /// Reads the table of firmware that has booted.
    ///
    /// # Errors
    ///
    /// `EINVAL` if something in it makes no sense, with a message that names the field; `ENOMEM`.
    pub(super) fn parse(dev: &device::Device, shared: Arc<Shared>) -> Result<Self> {
        let parser = Parser {
            dev,
            shared: &shared,
        };
        let control = parser.control(0, glb::control::SIZE, "shared section size", 0)?;
        let read = |at| shared.read(control, at);

        let version = read(glb::control::VERSION);
        if version == 0 {
            return Err(parser.bad("glb.version", version));
        }
        let global = parser.pair(
            control,
            (glb::control::INPUT_VA, glb::control::OUTPUT_VA),
            (glb::input::SIZE, glb::output::SIZE),
            ("glb.input_va", "glb.output_va"),
        )?;
        let group_num = read(glb::control::GROUP_NUM);
        if !GROUPS.contains(&group_num) {
            return Err(parser.bad("glb.group_num", group_num));
        }

        let stride = read(glb::control::GROUP_STRIDE);
        let base = u64::try_from(csg::CONTROL)?;
        let (first, features, cs_features) = parser.group(base, stride)?;
        let mut groups = KVec::with_capacity(usize::try_from(group_num)?, GFP_KERNEL)?;
        groups.push(first, GFP_KERNEL)?;
        for n in 1..group_num {
            let offset = base + u64::from(n) * u64::from(stride);
            let (group, other, other_cs) = parser.group(offset, stride)?;
            if other != features {
                return Err(parser.bad("csg.features or sizes of slot", n));
            }
            if other_cs != cs_features {
                return Err(parser.bad("cs.features", other_cs));
            }
            groups.push(group, GFP_KERNEL)?;
        }

        let instrumentation = if version >= layout::version(1, 1) {
            read(glb::control::INSTR_FEATURES)
        } else {
            0
        };
        dev_info!(
            dev,
            "firmware interface v{}.{}.{}, features {:#x}, instrumentation {:#x}\n",
            version >> 24,
            version >> 16 & 0xff,
            version & 0xffff,
            read(glb::control::FEATURES),
            instrumentation
        );

        Ok(Self {
            global,
            groups,
            csif: Csif {
                csg_slots: group_num,
                cs_slots: features.streams,
                work_regs: (cs_features & 0xff) + 1,
                scoreboards: cs_features >> 8 & 0xff,
                unpreserved_regs: UNPRESERVED_REGS,
                suspend_size: features.suspend_size,
                protm_suspend_size: features.protm_suspend_size,
                version,
            },
            shared,
        })
    }

    /// Whether the interface is at least version `major.minor`.
    pub(super) fn since(&self, major: u32, minor: u32) -> bool {
        self.csif.version >= layout::version(major, minor)
    }
}
