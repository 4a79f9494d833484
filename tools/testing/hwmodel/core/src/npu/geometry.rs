// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A task, from what the registers of its units say. They describe the same cube of data several
//! times over: where they contradict each other, hardware would not do what was meant.

use super::registers::reg;
use super::registers::Registers;
use crate::record::Kind;

/// Banks of the convolution buffer.
const CBUF_BANKS: u32 = 12;

/// BS_CFG: the bias is added, and nothing else is done.
const BS_BIAS: u32 = 2 << 16 | 1 << 8 | 1 << 6 | 1 << 4;
/// BN_CFG: nothing is done.
const BN_BYPASS: u32 = 1;
/// EW_CFG: nothing is done.
const EW_BYPASS: u32 = 1;
/// CVT_CON0: features are taken as they are.
const CVT_BYPASS: u32 = 1;
/// CONV_CON1 and FEATURE_MODE_CFG: each channel for itself.
const DEPTHWISE: u32 = 3;
/// FEATURE_MODE_CFG: where the results go.
const TO_MEMORY: u32 = 2;
/// EW_CFG: an operand of 8 bits from memory is converted, offset first, and added.
const EW_ADD: u32 = 1 << 31 | 1 << 28 | 1 << 22 | 2 << 16 | 1 << 9 | 1 << 7 | 1 << 6;
/// ERDMA_CFG: there is no second operand.
const ERDMA_DISABLE: u32 = 1;
/// ERDMA_CFG: it has 8 bits for each channel.
const ERDMA_BYTES: u32 = 1 << 30 | 1 << 2;
/// RDMA_FEATURE_MODE_CFG: there is no main operand either.
const MRDMA_DISABLE: u32 = 1 << 4;
/// RDMA_FEATURE_MODE_CFG: both read the one tensor that is added, every other surface each.
const COMB_BOTH: u32 = 5;

/// Why a task cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: Kind,
    pub(crate) off: u32,
    pub(crate) note: &'static str,
}

/// A tensor that is added to the sums of a convolution, before those are scaled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addend {
    /// Where the surfaces with even numbers begin, and those with odd ones.
    pub(crate) surfaces: [u32; 2],
    /// From one of either kind to the next.
    pub(crate) step: u32,
    /// What is added to each operand, before it is scaled.
    pub(crate) offset: i32,
    pub(crate) scale: i64,
    pub(crate) shift: u32,
}

impl Addend {
    /// The operand, if there is one.
    fn new(r: &Registers) -> Result<Option<Self>, Refusal> {
        let erdma = r.get(reg::RDMA_ERDMA_CFG);
        let mode = r.get(reg::RDMA_FEATURE_MODE_CFG);
        if r.get(reg::DPU_EW_CFG) & EW_BYPASS != 0 {
            if erdma & ERDMA_DISABLE == 0 || mode & MRDMA_DISABLE == 0 {
                return Err(config(reg::RDMA_ERDMA_CFG, "an operand that nobody takes"));
            }
            return Ok(None);
        }
        if r.get(reg::DPU_EW_CFG) != EW_ADD {
            return Err(unsupported(reg::DPU_EW_CFG, "other than adding a tensor"));
        }
        if erdma != ERDMA_BYTES {
            return Err(unsupported(reg::RDMA_ERDMA_CFG, "other operand than bytes"));
        }
        if mode & MRDMA_DISABLE != 0 || bits(mode, 10, 8) != COMB_BOTH {
            return Err(unsupported(reg::RDMA_FEATURE_MODE_CFG, "one reader"));
        }
        let convert = r.get(reg::DPU_EW_CVT_SCALE_VALUE);
        if bits(convert, 31, 22) != 0 {
            return Err(unsupported(reg::DPU_EW_CVT_SCALE_VALUE, "truncation"));
        }
        let stride = r.get(reg::RDMA_EW_SURF_STRIDE) & !0xf;
        let notch = r.get(reg::RDMA_EW_SURF_NOTCH) & !0xf;
        let surfaces = [reg::RDMA_SRC_BASE_ADDR, reg::RDMA_EW_BASE_ADDR].map(|off| r.get(off));
        if r.get(reg::RDMA_SURF_NOTCH) & !0xf != notch {
            return Err(config(reg::RDMA_SURF_NOTCH, "the readers' steps differ"));
        }
        if stride < 16 * bits(r.get(reg::CNA_DATA_SIZE3), 21, 0) {
            return Err(config(reg::RDMA_EW_SURF_STRIDE, "less than a surface"));
        }
        Ok(Some(Self {
            surfaces,
            step: stride.wrapping_add(notch),
            offset: i32::from_le_bytes(r.get(reg::DPU_EW_CVT_OFFSET_VALUE).to_le_bytes()),
            scale: i64::from(bits(convert, 15, 0)),
            shift: bits(convert, 21, 16),
        }))
    }

    /// Where the 16 channels of a surface begin.
    pub(crate) fn surface(&self, number: u32) -> u32 {
        let [even, odd] = self.surfaces;
        let first = if number % 2 == 0 { even } else { odd };
        first.wrapping_add((number / 2).wrapping_mul(self.step))
    }
}

/// A convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) depthwise: bool,
    /// Size of the input, channels a multiple of 16.
    pub(crate) in_w: u32,
    pub(crate) in_h: u32,
    pub(crate) in_c: u32,
    /// Size of the output; `out_real` of its channels mean something.
    pub(crate) out_w: u32,
    pub(crate) out_h: u32,
    pub(crate) out_real: u32,
    pub(crate) kernel_w: u32,
    pub(crate) kernel_h: u32,
    pub(crate) kernels: u32,
    pub(crate) stride_x: u32,
    pub(crate) stride_y: u32,
    pub(crate) pad_left: u32,
    pub(crate) pad_top: u32,
    pub(crate) pad: i8,
    pub(crate) feature: u32,
    pub(crate) line: u32,
    pub(crate) surface: u32,
    pub(crate) weights: u32,
    pub(crate) weights_reused: bool,
    /// What is added to each weight.
    pub(crate) weight_offset: i16,
    pub(crate) bias: u32,
    pub(crate) add: Option<Addend>,
    pub(crate) truncate: u32,
    pub(crate) scale: i64,
    pub(crate) shift: u32,
    pub(crate) offset: i32,
    pub(crate) output: u32,
    pub(crate) out_surface: u32,
}

fn bits(value: u32, high: u32, low: u32) -> u32 {
    value >> low & ((1 << (high - low + 1)) - 1)
}

fn unsupported(off: u32, note: &'static str) -> Refusal {
    Refusal {
        kind: Kind::NpuUnsupported,
        off,
        note,
    }
}

fn config(off: u32, note: &'static str) -> Refusal {
    Refusal {
        kind: Kind::NpuConfig,
        off,
        note,
    }
}

/// What the model does not calculate.
fn check_supported(r: &Registers) -> Result<(), Refusal> {
    let zero = [
        (reg::CNA_FC_CON0, "data skipping"),
        (reg::CNA_DCOMP_CTRL, "compressed weights"),
        (reg::CNA_DCOMP_REGNUM, "compressed weights"),
        (reg::CNA_CVT_CON5, "conversion per channel"),
        (reg::DPU_DATA_FORMAT, "other precision than int8"),
        (reg::DPU_DATA_CUBE_NOTCH_ADDR, "notch"),
        (reg::DPU_LUT_CFG, "lookup table"),
    ];
    for (off, note) in zero {
        if r.get(off) != 0 {
            return Err(unsupported(off, note));
        }
    }
    let con1 = r.get(reg::CNA_CONV_CON1);
    if con1 & !0xf != 0 || !matches!(con1 & 0xf, 0 | DEPTHWISE) {
        return Err(unsupported(reg::CNA_CONV_CON1, "input format or mode"));
    }
    if r.get(reg::CNA_CONV_CON3) & !0x3f != 0 {
        return Err(unsupported(reg::CNA_CONV_CON3, "dilation, deconvolution"));
    }
    if bits(r.get(reg::CNA_CONV_CON2), 23, 16) != 0 {
        return Err(unsupported(reg::CNA_CONV_CON2, "kernel groups"));
    }
    if r.get(reg::CNA_CVT_CON0) & CVT_BYPASS == 0 {
        return Err(unsupported(reg::CNA_CVT_CON0, "input conversion"));
    }
    if bits(r.get(reg::CORE_MISC_CFG), 10, 8) != 0 {
        return Err(unsupported(reg::CORE_MISC_CFG, "other precision than int8"));
    }
    let mode = r.get(reg::DPU_FEATURE_MODE_CFG);
    if bits(mode, 2, 1) != TO_MEMORY || mode & !0x1fe != 0 {
        return Err(unsupported(reg::DPU_FEATURE_MODE_CFG, "output mode"));
    }
    if r.get(reg::DPU_BS_CFG) != BS_BIAS || bits(r.get(reg::RDMA_BRDMA_CFG), 4, 1) != 1 {
        return Err(unsupported(reg::DPU_BS_CFG, "other than adding a bias"));
    }
    if r.get(reg::DPU_BN_CFG) & BN_BYPASS == 0 {
        return Err(unsupported(reg::DPU_BN_CFG, "batch normalisation"));
    }
    if r.get(reg::DPU_OUT_CVT_SCALE) >> 16 != 0 || r.get(reg::DPU_OUT_CVT_SHIFT) >> 12 != 0 {
        return Err(unsupported(reg::DPU_OUT_CVT_SCALE, "float output"));
    }
    Ok(())
}

impl Geometry {
    /// Reads the registers of the group that is about to run.
    pub(crate) fn new(r: &Registers) -> Result<Self, Refusal> {
        check_supported(r)?;
        if !r.units_agree() {
            let note = "S_POINTER differs between units";
            return Err(config(reg::CNA_S_POINTER, note));
        }
        let depthwise = r.get(reg::CNA_CONV_CON1) & 0xf == DEPTHWISE;
        let modes = [
            bits(r.get(reg::DPU_FEATURE_MODE_CFG), 4, 3) == DEPTHWISE,
            bits(r.get(reg::CORE_MISC_CFG), 1, 1) == 1,
            bits(r.get(reg::RDMA_FEATURE_MODE_CFG), 2, 1) == DEPTHWISE,
        ];
        if modes.iter().any(|&m| m != depthwise) {
            return Err(config(reg::CNA_CONV_CON1, "units disagree about the mode"));
        }

        let size0 = r.get(reg::CNA_DATA_SIZE0);
        let size1 = r.get(reg::CNA_DATA_SIZE1);
        let weight2 = r.get(reg::CNA_WEIGHT_SIZE2);
        let con3 = r.get(reg::CNA_CONV_CON3);
        let pad0 = r.get(reg::CNA_PAD_CON0);
        let line = r.get(reg::CNA_DMA_CON1) & 0x0fff_ffff;
        let surface = line.wrapping_add(r.get(reg::CNA_DMA_CON2)) & 0x0fff_ffff;
        let cube = r.get(reg::DPU_DATA_CUBE_CHANNEL);
        let [ow0, ow1, ..] = r.get(reg::DPU_BS_OW_OP).to_le_bytes();
        let [pad, ..] = r.get(reg::CNA_PAD_CON1).to_le_bytes();
        let geometry = Self {
            depthwise,
            in_w: bits(size0, 26, 16),
            in_h: bits(size0, 10, 0),
            in_c: bits(size1, 15, 0),
            out_w: bits(r.get(reg::CNA_DATA_SIZE2), 10, 0),
            out_h: bits(r.get(reg::DPU_DATA_CUBE_HEIGHT), 12, 0) + 1,
            out_real: bits(cube, 28, 16) + 1,
            kernel_w: bits(weight2, 28, 24),
            kernel_h: bits(weight2, 20, 16),
            kernels: bits(weight2, 13, 0),
            stride_x: bits(con3, 2, 0),
            stride_y: bits(con3, 5, 3),
            pad_left: bits(pad0, 7, 4),
            pad_top: bits(pad0, 3, 0),
            pad: i8::from_le_bytes([pad]),
            feature: r.get(reg::CNA_FEATURE_DATA_ADDR),
            line: line.wrapping_mul(4),
            surface: surface.wrapping_mul(16) & 0x0fff_ffff,
            weights: r.get(reg::CNA_DCOMP_ADDR0),
            weights_reused: bits(r.get(reg::CNA_CBUF_CON0), 13, 13) == 1,
            weight_offset: i16::from_le_bytes([ow0, ow1]),
            bias: r.get(reg::RDMA_BS_BASE_ADDR),
            add: Addend::new(r)?,
            truncate: bits(r.get(reg::CORE_CLIP_TRUNCATE), 4, 0),
            scale: i64::from(bits(r.get(reg::DPU_OUT_CVT_SCALE), 15, 0)),
            shift: bits(r.get(reg::DPU_OUT_CVT_SHIFT), 11, 0),
            offset: i32::from_le_bytes(r.get(reg::DPU_OUT_CVT_OFFSET).to_le_bytes()),
            output: r.get(reg::DPU_DST_BASE_ADDR),
            out_surface: r.get(reg::DPU_DST_SURF_STRIDE) & !0xf,
        };
        geometry.check_cubes(r)?;
        geometry.check_weights(r)?;
        Ok(geometry)
    }

    /// The units describe the same cubes.
    fn check_cubes(&self, r: &Registers) -> Result<(), Refusal> {
        if self.in_w == 0 || self.in_h == 0 || self.in_c == 0 || self.in_c % 16 != 0 {
            return Err(config(reg::CNA_DATA_SIZE0, "input size"));
        }
        if bits(r.get(reg::CNA_DATA_SIZE1), 29, 16) >= self.in_c {
            return Err(config(reg::CNA_DATA_SIZE1, "more channels than there are"));
        }
        if self.stride_x == 0 || self.stride_y == 0 || self.out_w == 0 {
            return Err(config(reg::CNA_CONV_CON3, "stride or output width is 0"));
        }
        let widths = [
            (reg::CORE_DATAOUT_SIZE_0, 15, 0),
            (reg::DPU_DATA_CUBE_WIDTH, 12, 0),
            (reg::DPU_WDMA_SIZE_1, 12, 0),
            (reg::RDMA_DATA_CUBE_WIDTH, 12, 0),
        ];
        let heights = [
            (reg::CORE_DATAOUT_SIZE_0, 31, 16),
            (reg::DPU_WDMA_SIZE_1, 28, 16),
            (reg::RDMA_DATA_CUBE_HEIGHT, 12, 0),
        ];
        let channels = [
            (reg::CORE_DATAOUT_SIZE_1, 15, 0),
            (reg::DPU_WDMA_SIZE_0, 12, 0),
            (reg::RDMA_DATA_CUBE_CHANNEL, 12, 0),
        ];
        let out_c = bits(r.get(reg::DPU_DATA_CUBE_CHANNEL), 12, 0) + 1;
        for (size, all, note) in [
            (self.out_w, &widths[..], "output width"),
            (self.out_h, &heights[..], "output height"),
            (out_c, &channels[..], "output channels"),
        ] {
            for &(off, high, low) in all {
                if bits(r.get(off), high, low) + 1 != size {
                    return Err(config(off, note));
                }
            }
        }
        if bits(r.get(reg::CNA_DATA_SIZE3), 21, 0) != self.out_w * self.out_h {
            return Err(config(reg::CNA_DATA_SIZE3, "output atoms"));
        }
        let unit = if self.depthwise { 64 } else { 32 };
        if out_c % unit != 0 || self.out_real > out_c {
            return Err(config(reg::DPU_DATA_CUBE_CHANNEL, "output channels"));
        }
        if (self.out_w - 1) * self.stride_x >= self.in_w + self.pad_left
            || (self.out_h - 1) * self.stride_y >= self.in_h + self.pad_top
        {
            return Err(config(reg::CNA_DATA_SIZE0, "output beyond the input"));
        }
        Ok(())
    }

    /// The weights are as large as the cubes make them, and fit.
    fn check_weights(&self, r: &Registers) -> Result<(), Refusal> {
        let area = self.kernel_w * self.kernel_h;
        let each = area * self.in_c;
        let kernels = if self.depthwise {
            1
        } else {
            self.out_real.next_multiple_of(2)
        };
        if area == 0 || self.kernels != kernels {
            return Err(config(reg::CNA_WEIGHT_SIZE2, "kernel size or number"));
        }
        if self.depthwise && self.out_real > self.in_c {
            return Err(config(
                reg::DPU_DATA_CUBE_CHANNEL,
                "more channels than in the input",
            ));
        }
        if r.get(reg::CNA_WEIGHT_SIZE1) != each {
            return Err(config(reg::CNA_WEIGHT_SIZE1, "bytes of a kernel"));
        }
        if u64::from(r.get(reg::CNA_WEIGHT_SIZE0)) != u64::from(each) * u64::from(kernels) {
            return Err(config(reg::CNA_WEIGHT_SIZE0, "bytes of weights"));
        }
        let con0 = r.get(reg::CNA_CBUF_CON0);
        let (data, weight) = (bits(con0, 3, 0), bits(con0, 7, 4));
        if data == 0 || weight == 0 || data + weight > CBUF_BANKS {
            return Err(config(reg::CNA_CBUF_CON0, "buffer banks"));
        }
        Ok(())
    }
}
