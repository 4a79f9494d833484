// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The registers of a core's units, in two groups: while one task runs on the first, the next can
//! be written to the second (ping-pong).

/// Selects the group that is written and the one that runs, the same for each unit.
pub(crate) mod s_pointer {
    /// The group that is written changes with each task.
    pub(crate) const POINTER_PP_EN: u32 = 1 << 1;
    /// The group that runs changes with each task.
    pub(crate) const EXECUTER_PP_EN: u32 = 1 << 2;
    /// The group that is written starts at the first.
    pub(crate) const POINTER_PP_CLEAR: u32 = 1 << 4;
    /// The group that runs starts at the first.
    pub(crate) const EXECUTER_PP_CLEAR: u32 = 1 << 5;
    /// Read-only: the group that runs.
    pub(crate) const EXECUTER: u32 = 1 << 16;
}

/// Offsets in a core's window.
pub(crate) mod reg {
    pub(crate) const CNA_S_STATUS: u32 = 0x1000;
    pub(crate) const CNA_S_POINTER: u32 = 0x1004;
    pub(crate) const CNA_OPERATION_ENABLE: u32 = 0x1008;
    pub(crate) const CNA_CONV_CON1: u32 = 0x100c;
    pub(crate) const CNA_CONV_CON2: u32 = 0x1010;
    pub(crate) const CNA_CONV_CON3: u32 = 0x1014;
    pub(crate) const CNA_DATA_SIZE0: u32 = 0x1020;
    pub(crate) const CNA_DATA_SIZE1: u32 = 0x1024;
    pub(crate) const CNA_DATA_SIZE2: u32 = 0x1028;
    pub(crate) const CNA_DATA_SIZE3: u32 = 0x102c;
    pub(crate) const CNA_WEIGHT_SIZE0: u32 = 0x1030;
    pub(crate) const CNA_WEIGHT_SIZE1: u32 = 0x1034;
    pub(crate) const CNA_WEIGHT_SIZE2: u32 = 0x1038;
    pub(crate) const CNA_CBUF_CON0: u32 = 0x1040;
    pub(crate) const CNA_CVT_CON0: u32 = 0x104c;
    pub(crate) const CNA_FC_CON0: u32 = 0x1060;
    pub(crate) const CNA_PAD_CON0: u32 = 0x1068;
    pub(crate) const CNA_FEATURE_DATA_ADDR: u32 = 0x1070;
    pub(crate) const CNA_DMA_CON1: u32 = 0x107c;
    pub(crate) const CNA_DMA_CON2: u32 = 0x1080;
    pub(crate) const CNA_DCOMP_CTRL: u32 = 0x1100;
    pub(crate) const CNA_DCOMP_REGNUM: u32 = 0x1104;
    pub(crate) const CNA_DCOMP_ADDR0: u32 = 0x1110;
    pub(crate) const CNA_CVT_CON5: u32 = 0x1180;
    pub(crate) const CNA_PAD_CON1: u32 = 0x1184;
    pub(crate) const CORE_S_POINTER: u32 = 0x3004;
    pub(crate) const CORE_S_STATUS: u32 = 0x3000;
    pub(crate) const CORE_OPERATION_ENABLE: u32 = 0x3008;
    pub(crate) const CORE_MISC_CFG: u32 = 0x3010;
    pub(crate) const CORE_DATAOUT_SIZE_0: u32 = 0x3014;
    pub(crate) const CORE_DATAOUT_SIZE_1: u32 = 0x3018;
    pub(crate) const CORE_CLIP_TRUNCATE: u32 = 0x301c;
    pub(crate) const DPU_S_POINTER: u32 = 0x4004;
    pub(crate) const DPU_FEATURE_MODE_CFG: u32 = 0x400c;
    pub(crate) const DPU_DATA_FORMAT: u32 = 0x4010;
    pub(crate) const DPU_DST_BASE_ADDR: u32 = 0x4020;
    pub(crate) const DPU_DST_SURF_STRIDE: u32 = 0x4024;
    pub(crate) const DPU_DATA_CUBE_WIDTH: u32 = 0x4030;
    pub(crate) const DPU_DATA_CUBE_HEIGHT: u32 = 0x4034;
    pub(crate) const DPU_DATA_CUBE_NOTCH_ADDR: u32 = 0x4038;
    pub(crate) const DPU_DATA_CUBE_CHANNEL: u32 = 0x403c;
    pub(crate) const DPU_BS_CFG: u32 = 0x4040;
    pub(crate) const DPU_BS_OW_OP: u32 = 0x4054;
    pub(crate) const DPU_WDMA_SIZE_0: u32 = 0x4058;
    pub(crate) const DPU_WDMA_SIZE_1: u32 = 0x405c;
    pub(crate) const DPU_BN_CFG: u32 = 0x4060;
    pub(crate) const DPU_EW_CFG: u32 = 0x4070;
    pub(crate) const DPU_EW_CVT_OFFSET_VALUE: u32 = 0x4074;
    pub(crate) const DPU_EW_CVT_SCALE_VALUE: u32 = 0x4078;
    pub(crate) const DPU_OUT_CVT_OFFSET: u32 = 0x4080;
    pub(crate) const DPU_OUT_CVT_SCALE: u32 = 0x4084;
    pub(crate) const DPU_OUT_CVT_SHIFT: u32 = 0x4088;
    pub(crate) const DPU_LUT_CFG: u32 = 0x4108;
    pub(crate) const RDMA_S_POINTER: u32 = 0x5004;
    pub(crate) const RDMA_DATA_CUBE_WIDTH: u32 = 0x500c;
    pub(crate) const RDMA_DATA_CUBE_HEIGHT: u32 = 0x5010;
    pub(crate) const RDMA_DATA_CUBE_CHANNEL: u32 = 0x5014;
    pub(crate) const RDMA_SRC_BASE_ADDR: u32 = 0x5018;
    pub(crate) const RDMA_BRDMA_CFG: u32 = 0x501c;
    pub(crate) const RDMA_BS_BASE_ADDR: u32 = 0x5020;
    pub(crate) const RDMA_ERDMA_CFG: u32 = 0x5034;
    pub(crate) const RDMA_EW_BASE_ADDR: u32 = 0x5038;
    pub(crate) const RDMA_EW_SURF_STRIDE: u32 = 0x5040;
    pub(crate) const RDMA_FEATURE_MODE_CFG: u32 = 0x5044;
    pub(crate) const RDMA_SURF_NOTCH: u32 = 0x504c;
    pub(crate) const RDMA_EW_SURF_NOTCH: u32 = 0x506c;
}

/// The four units whose S_POINTER has to say the same.
pub(crate) const POINTERS: [u32; 4] = [
    reg::CNA_S_POINTER,
    reg::CORE_S_POINTER,
    reg::DPU_S_POINTER,
    reg::RDMA_S_POINTER,
];

/// First and last offset of each run of registers, in ascending order.
const RUNS: [(u32, u32); 24] = [
    (0x1000, 0x1014),
    (0x1020, 0x1038),
    (0x1040, 0x1044),
    (0x104c, 0x1068),
    (0x1070, 0x1088),
    (0x1090, 0x1090),
    (0x1100, 0x1104),
    (0x1110, 0x1110),
    (0x1140, 0x1184),
    (0x3000, 0x301c),
    (0x3030, 0x3030),
    (0x4000, 0x4014),
    (0x4020, 0x4024),
    (0x4030, 0x405c),
    (0x4060, 0x406c),
    (0x4070, 0x4088),
    (0x4090, 0x40ac),
    (0x40c0, 0x40c4),
    (0x4100, 0x412c),
    (0x5000, 0x5020),
    (0x5028, 0x502c),
    (0x5034, 0x5038),
    (0x5040, 0x504c),
    (0x5064, 0x506c),
];

/// Registers of one group.
const WORDS: usize = 215;

/// Where in a group a register is kept.
fn slot(off: u32) -> Option<usize> {
    let known = RUNS
        .iter()
        .any(|&(first, last)| (first..=last).contains(&off));
    if off % 4 != 0 || !known {
        return None;
    }
    let before = match off & !0xfff {
        0x1000 => 0,
        0x3000 => 98,
        0x4000 => 111,
        _ => 187,
    };
    usize::try_from((off & 0xfff) / 4).ok().map(|n| before + n)
}

/// Both groups.
pub(crate) struct Registers {
    groups: [[u32; WORDS]; 2],
    /// S_POINTER of each unit, which belongs to no group.
    pointers: [u32; 4],
    /// The group that the next task uses, and that is written until then.
    second: bool,
}

impl Registers {
    pub(crate) const fn new() -> Self {
        Self {
            groups: [[0; WORDS]; 2],
            pointers: [0; 4],
            second: false,
        }
    }

    /// All zero, as after a reset.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }

    /// Whether the present group is the second one.
    pub(crate) fn is_second(&self) -> bool {
        self.second
    }

    /// Reads a register of the present group.
    pub(crate) fn read(&self, off: u32) -> Option<u32> {
        if let Some(unit) = POINTERS.iter().position(|&p| p == off) {
            let group = if self.second {
                s_pointer::EXECUTER | 1
            } else {
                0
            };
            return self.pointers.get(unit).map(|p| p | group);
        }
        let [first, second] = &self.groups;
        let group = if self.second { second } else { first };
        group.get(slot(off)?).copied()
    }

    /// What a task's register says; 0 for one that does not exist.
    pub(crate) fn get(&self, off: u32) -> u32 {
        self.read(off).unwrap_or(0)
    }

    /// Writes a register of the present group. Returns false if there is none at this offset.
    pub(crate) fn write(&mut self, off: u32, value: u32) -> bool {
        if let Some(unit) = POINTERS.iter().position(|&p| p == off) {
            let clear = s_pointer::POINTER_PP_CLEAR | s_pointer::EXECUTER_PP_CLEAR;
            if value & clear == clear {
                self.second = false;
            }
            if let Some(pointer) = self.pointers.get_mut(unit) {
                *pointer = value & !(clear | s_pointer::EXECUTER | 1);
            }
            return true;
        }
        let Some(slot) = slot(off) else {
            return false;
        };
        let [first, second] = &mut self.groups;
        let group = if self.second { second } else { first };
        match group.get_mut(slot) {
            Some(word) => {
                *word = value;
                true
            }
            None => false,
        }
    }

    fn ping_pong(&self) -> [bool; 4] {
        let both = s_pointer::POINTER_PP_EN | s_pointer::EXECUTER_PP_EN;
        self.pointers.map(|p| p & both == both)
    }

    /// Whether the units agree about whether groups alternate.
    pub(crate) fn units_agree(&self) -> bool {
        let [first, rest @ ..] = self.ping_pong();
        rest.iter().all(|&p| p == first)
    }

    /// A task is complete: on to the other group, if groups alternate.
    pub(crate) fn advance(&mut self) {
        if self.ping_pong().into_iter().all(|on| on) {
            self.second = !self.second;
        }
    }
}
