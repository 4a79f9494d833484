// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Layers: from their definition to what the NPU wants, and back. The reference of a layer is
//! calculated from its definition, on tensors in plain order.

use std::vec;
use std::vec::Vec;

use super::npu_rig::Loaded;
use super::npu_rig::PING_PONG;

/// A sequence of numbers that looks random.
pub struct Numbers(pub u32);

impl Numbers {
    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    pub fn byte(&mut self) -> u8 {
        (self.next() & 0xff).try_into().unwrap()
    }
}

/// A quantised layer, in the terms of its definition.
#[derive(Clone)]
pub struct Layer {
    pub depthwise: bool,
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub out_channels: usize,
    pub kernel: usize,
    pub stride: usize,
    pub pad: usize,
    pub truncate: u32,
    pub zero_in: u8,
    pub zero_weights: u8,
    pub zero_out: u8,
    /// The output's scale: `scale / 2^shift`.
    pub scale: u32,
    pub shift: u32,
    /// `[y][x][channel]`
    pub input: Vec<u8>,
    /// `[out channel][ky][kx][channel]`, of depthwise layers `[ky][kx][channel]`.
    pub weights: Vec<u8>,
    pub bias: Vec<i32>,
    pub add: Option<Added>,
}

/// A tensor that is added to a layer's sums.
#[derive(Clone)]
pub struct Added {
    pub zero: u8,
    /// Its scale, by that of the sums: `scale / 2^shift`.
    pub scale: u32,
    pub shift: u32,
    /// `[y][x][channel]`, as the output.
    pub values: Vec<u8>,
}

impl Layer {
    /// A layer with generated numbers.
    pub fn generate(
        seed: u32,
        depthwise: bool,
        (width, height, channels): (usize, usize, usize),
        out_channels: usize,
        (kernel, stride, pad): (usize, usize, usize),
    ) -> Self {
        let mut numbers = Numbers(seed);
        let per = if depthwise { 1 } else { out_channels };
        let weights = (0..per * kernel * kernel * channels)
            .map(|_| numbers.byte())
            .collect();
        Self {
            depthwise,
            width,
            height,
            channels,
            out_channels,
            kernel,
            stride,
            pad,
            truncate: 0,
            zero_in: 120,
            zero_weights: 131,
            zero_out: 100,
            scale: 20_000,
            shift: 24,
            input: (0..width * height * channels)
                .map(|_| numbers.byte())
                .collect(),
            weights,
            bias: (0..out_channels)
                .map(|_| i32::try_from(numbers.next() & 0xfff).unwrap() - 2048)
                .collect(),
            add: None,
        }
    }

    /// The same, with a generated tensor that is added.
    pub fn adding(mut self, seed: u32) -> Self {
        let mut numbers = Numbers(seed);
        let count = self.out_width() * self.out_height() * self.out_channels;
        self.add = Some(Added {
            zero: 90,
            scale: 24_000,
            shift: 6,
            values: (0..count).map(|_| numbers.byte()).collect(),
        });
        self
    }

    /// What is added to the sum of an output, in floating point.
    fn added(&self, oy: usize, ox: usize, oc: usize) -> f64 {
        let Some(add) = &self.add else {
            return 0.0;
        };
        let at = (oy * self.out_width() + ox) * self.out_channels + oc;
        (f64::from(add.values[at]) - f64::from(add.zero)) * f64::from(add.scale)
            / f64::from(1 << add.shift)
    }

    /// The tensor that is added as the NPU wants it.
    pub fn packed_addend(&self) -> Vec<u8> {
        let (w, h, add) = (self.out_width(), self.out_height(), self.add.as_ref());
        let mut packed = vec![0; self.output_size()];
        for (at, value) in add
            .into_iter()
            .flat_map(|add| add.values.iter().enumerate())
        {
            let (pixel, c) = (at / self.out_channels, at % self.out_channels);
            packed[(c / 16 * w * h + pixel) * 16 + c % 16] = value.wrapping_sub(128);
        }
        packed
    }

    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.pad - self.kernel) / self.stride + 1
    }

    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.pad - self.kernel) / self.stride + 1
    }

    fn weight(&self, oc: usize, ky: usize, kx: usize, ic: usize) -> u8 {
        let oc = if self.depthwise { 0 } else { oc };
        self.weights[((oc * self.kernel + ky) * self.kernel + kx) * self.channels + ic]
    }

    fn pixel(&self, y: usize, x: usize, ic: usize) -> u8 {
        self.input[(y * self.width + x) * self.channels + ic]
    }

    /// The output, from the definition of the layer, in floating point.
    pub fn reference(&self) -> Vec<u8> {
        let mut output = Vec::new();
        for oy in 0..self.out_height() {
            for ox in 0..self.out_width() {
                for oc in 0..self.out_channels {
                    let mut sum = i64::from(self.bias[oc]);
                    for ky in 0..self.kernel {
                        for kx in 0..self.kernel {
                            let y = (oy * self.stride + ky).checked_sub(self.pad);
                            let x = (ox * self.stride + kx).checked_sub(self.pad);
                            let (Some(y), Some(x)) = (y, x) else { continue };
                            if y >= self.height || x >= self.width {
                                continue;
                            }
                            let inputs = if self.depthwise {
                                oc..oc + 1
                            } else {
                                0..self.channels
                            };
                            for ic in inputs {
                                let a = i64::from(self.pixel(y, x, ic)) - i64::from(self.zero_in);
                                let b = i64::from(self.weight(oc, ky, kx, ic))
                                    - i64::from(self.zero_weights);
                                sum += a * b;
                            }
                        }
                    }
                    let scale = f64::from(self.scale) / f64::from(1 << self.shift);
                    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                    let sum = sum as f64 + self.added(oy, ox, oc);
                    let value = (sum * scale).round() + f64::from(self.zero_out);
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                    output.push(value.clamp(0.0, 255.0) as u8);
                }
            }
        }
        output
    }

    fn channels_16(&self) -> usize {
        self.channels.next_multiple_of(16)
    }

    /// The input as the NPU wants it: groups of 16 channels, less 128.
    pub fn packed_input(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        for group in 0..self.channels_16() / 16 {
            for y in 0..self.height {
                for x in 0..self.width {
                    for c in group * 16..group * 16 + 16 {
                        let value = if c < self.channels {
                            self.pixel(y, x, c)
                        } else {
                            self.zero_in
                        };
                        packed.push(value.wrapping_sub(128));
                    }
                }
            }
        }
        packed
    }

    /// The weights as the NPU wants them.
    pub fn packed_weights(&self) -> Vec<u8> {
        let all = self.channels_16();
        let group = if self.depthwise { 64 } else { 32 };
        let kernels = if self.depthwise {
            1
        } else {
            self.out_channels.next_multiple_of(2)
        };
        let mut packed = Vec::new();
        for first_out in (0..kernels).step_by(32) {
            for first in (0..all).step_by(group) {
                for ky in 0..self.kernel {
                    for kx in 0..self.kernel {
                        for oc in first_out..kernels.min(first_out + 32) {
                            for ic in first..all.min(first + group) {
                                let known = ic < self.channels
                                    && (self.depthwise || oc < self.out_channels);
                                let value = if known {
                                    self.weight(oc, ky, kx, ic)
                                } else {
                                    self.zero_weights
                                };
                                packed.push(value.wrapping_sub(128));
                            }
                        }
                    }
                }
            }
        }
        packed
    }

    /// The biases, with what the input's zero point adds to each sum taken out.
    pub fn packed_bias(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        for oc in 0..self.out_channels {
            let mut correction = 0;
            for ky in 0..self.kernel {
                for kx in 0..self.kernel {
                    let inputs = if self.depthwise {
                        oc..oc + 1
                    } else {
                        0..self.channels
                    };
                    for ic in inputs {
                        correction += (i32::from(self.weight(oc, ky, kx, ic))
                            - i32::from(self.zero_weights))
                            * (i32::from(self.zero_in) - 128);
                    }
                }
            }
            let bias = (self.bias[oc] - correction) / (1 << self.truncate);
            packed.extend_from_slice(&bias.to_le_bytes());
        }
        packed
    }

    /// Takes the output out of the NPU's order.
    pub fn unpack(&self, raw: &[u8]) -> Vec<u8> {
        let (w, h) = (self.out_width(), self.out_height());
        let mut output = Vec::new();
        for y in 0..h {
            for x in 0..w {
                for c in 0..self.out_channels {
                    let at = ((c / 16 * h + y) * w + x) * 16 + c % 16;
                    output.push(raw[at].wrapping_add(128));
                }
            }
        }
        output
    }

    pub fn output_size(&self) -> usize {
        self.out_width() * self.out_height() * self.out_channels.next_multiple_of(16)
    }
}

/// One word of a list.
pub fn word(target: u64, reg: u64, value: u32) -> u64 {
    target << 48 | u64::from(value) << 16 | reg
}

/// The last words of a list: the address and length of the next, and the start.
pub fn tail(next: Option<(u32, u32)>) -> Vec<u64> {
    let (base, amounts) = next.map_or((0, 0), |(iova, words)| (iova, words.div_ceil(2) - 1));
    vec![
        word(0x0101, 0x10, base),
        word(0x0101, 0x14, amounts),
        0x0041 << 48,
        word(0x0081, 0x08, 0x1d),
    ]
}

/// The list of a layer.
pub fn words(layer: &Layer, at: &Loaded) -> Vec<u64> {
    let mut words = body(layer, at);
    words.extend(tail(None));
    words
}

/// The registers of a layer.
pub fn body(layer: &Layer, at: &Loaded) -> Vec<u64> {
    let u = |n: usize| u32::try_from(n).unwrap();
    let (w, h) = (u(layer.width), u(layer.height));
    let (ow, oh) = (u(layer.out_width()), u(layer.out_height()));
    let channels = u(layer.channels_16());
    let real = u(layer.out_channels);
    let unit = if layer.depthwise { 64 } else { 32 };
    let out = real.next_multiple_of(unit);
    let area = u(layer.kernel * layer.kernel);
    let kernels = if layer.depthwise {
        1
    } else {
        real.next_multiple_of(2)
    };
    let (stride, pad) = (u(layer.stride), u(layer.pad));
    let mode = if layer.depthwise { 3 } else { 0 };
    let line = w * 4;
    let surface = (w * h).wrapping_sub(line);
    let i32_word = |v: i32| u32::from_le_bytes(v.to_le_bytes());
    let zero = |z: u8| i32_word(i32::from(z) - 128);
    let cna: &[(u64, u32)] = &[
        (0x1040, 0xb1),
        (0x1104, 0),
        (0x1100, 0),
        (0x100c, mode),
        (0x1010, (50 + stride + 1) << 4),
        (0x1014, stride << 3 | stride),
        (0x1020, w << 16 | h),
        (0x1024, (u(layer.channels) - 1) << 16 | channels),
        (0x1028, ow),
        (0x102c, ow * oh),
        (0x1030, area * channels * kernels),
        (0x1034, area * channels),
        (
            0x1038,
            u(layer.kernel) << 24 | u(layer.kernel) << 16 | kernels,
        ),
        (0x1044, 0),
        (0x104c, 0xb),
        (0x1060, 0),
        (0x1068, pad << 4 | pad),
        (0x1070, at.input.iova),
        (0x107c, line),
        (0x1080, surface & 0x0fff_ffff),
        (0x1110, at.weights.iova),
        (0x1180, 0),
        (0x1184, zero(layer.zero_in)),
    ];
    let core: &[(u64, u32)] = &[
        (0x3010, 1 | if layer.depthwise { 2 } else { 0 }),
        (0x3014, (oh - 1) << 16 | (ow - 1)),
        (0x3018, out - 1),
        (0x301c, layer.truncate),
        (0x3030, 0),
    ];
    let dpu: &[(u64, u32)] = &[
        (0x4004, PING_PONG),
        (0x400c, 0x1e0 | 2 << 1 | mode << 3),
        (0x4010, 0),
        (0x4020, at.output.iova),
        (0x4024, ow * oh * 16),
        (0x4030, ow - 1),
        (0x4034, oh - 1),
        (0x4038, 0),
        (0x403c, (real - 1) << 16 | (out - 1)),
        (0x4040, 0x2_0150),
        (0x4054, (128 - u32::from(layer.zero_weights)) & 0xffff),
        (0x4058, out - 1),
        (0x405c, (oh - 1) << 16 | (ow - 1)),
        (0x4060, 0x53),
        (
            0x4070,
            if layer.add.is_some() {
                0x9042_02c0
            } else {
                0x383
            },
        ),
        (0x4080, zero(layer.zero_out)),
        (0x4084, layer.scale),
        (0x4088, layer.shift - layer.truncate),
        (0x4108, 0),
    ];
    let rdma: &[(u64, u32)] = &[
        (0x5004, PING_PONG),
        (0x500c, ow - 1),
        (0x5010, oh - 1),
        (0x5014, out - 1),
        (0x501c, 2),
        (0x5020, at.bias.iova),
        (0x5034, if layer.add.is_some() { 0x4000_0004 } else { 1 }),
        (
            0x5044,
            15 << 11 | mode << 1 | if layer.add.is_some() { 5 << 8 } else { 1 << 4 },
        ),
    ];
    let surface = ow * oh * 16;
    let ew: &[(u64, u32)] = &match &layer.add {
        Some(add) => [
            (0x4074, i32_word(128 - i32::from(add.zero))),
            (0x4078, add.shift << 16 | add.scale),
        ],
        None => [(0x4074, 0), (0x4078, 0)],
    };
    let erdma: &[(u64, u32)] = &[
        (0x5018, at.addend.iova),
        (0x5038, at.addend.iova + surface),
        (0x5040, surface),
        (0x504c, surface),
        (0x506c, surface),
    ];
    let mut words = Vec::new();
    for (target, all) in [
        (0x201, cna),
        (0x801, core),
        (0x1001, dpu),
        (0x1001, ew),
        (0x2001, rdma),
        (0x2001, erdma),
    ] {
        words.extend(all.iter().map(|&(reg, value)| word(target, reg, value)));
    }
    words
}
