// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A convolution, piece by piece.
//!
//! A piece is one kernel position and one group of input channels, for up to 32 output channels and
//! 32 pixels (depthwise: 64 channels and 16 pixels). Either all of its operands can be read and it
//! is added up, or nothing has happened and it can be tried again.

use super::core::Memory;
use super::geometry::Geometry;
use super::iommu::Master;
use super::iommu::Refused;
use crate::counters::Counter;

/// Sums at a time: channels times pixels.
const SUMS: usize = 1024;
/// Bytes of a channel group of one pixel in memory.
const ATOM: u32 = 16;

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    /// First output channel.
    channel: u32,
    /// First output pixel, in lines.
    pixel: u32,
    /// First input channel.
    input: u32,
    kernel_x: u32,
    kernel_y: u32,
}

const START: Position = Position {
    channel: 0,
    pixel: 0,
    input: 0,
    kernel_x: 0,
    kernel_y: 0,
};

/// What a piece did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more.
    More,
    /// That was the last.
    Done,
}

/// The arithmetic units of a core.
pub(crate) struct Convolution {
    at: Position,
    sums: [i32; SUMS],
    features: [i8; SUMS],
    weights: [i16; SUMS],
    /// Multiplications since the task began.
    macs: u64,
}

fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn signed(byte: u8) -> i8 {
    i8::from_le_bytes([byte])
}

/// Rounds half up.
fn truncate(value: i32, bits: u32) -> i32 {
    match bits {
        0 => value,
        _ => value.wrapping_add(1 << (bits - 1)) >> bits,
    }
}

/// Rounds half away from zero.
fn scale(value: i32, scale: i64, shift: u32) -> i64 {
    let product = i64::from(value) * scale;
    match shift {
        0 => product,
        1..=62 => {
            let half = 1_i64 << (shift - 1);
            let magnitude = (product.abs() + half) >> shift;
            if product < 0 {
                -magnitude
            } else {
                magnitude
            }
        }
        _ => 0,
    }
}

/// What is added to the sums of one pixel, converted.
fn fetch_addends(
    m: &mut Memory<'_, '_>,
    g: &Geometry,
    atom: u32,
    pixel: u32,
) -> Result<[i32; 16], Refused> {
    let mut addends = [0; 16];
    let Some(add) = g.add else {
        return Ok(addends);
    };
    let mut raw = [0; 16];
    m.read(
        Master::Control,
        add.surface(atom).wrapping_add(pixel * ATOM),
        &mut raw,
    )?;
    for (addend, &byte) in addends.iter_mut().zip(&raw) {
        let operand = i32::from(signed(byte)).saturating_add(add.offset);
        let value = scale(operand, add.scale, add.shift);
        *addend = i32::try_from(value.clamp(i32::MIN.into(), i32::MAX.into())).unwrap_or(0);
    }
    Ok(addends)
}

impl Geometry {
    /// Output channels and pixels at a time.
    fn tile(&self) -> (u32, u32) {
        if self.depthwise {
            (64, 16)
        } else {
            (32, 32)
        }
    }

    fn pixels(&self) -> u32 {
        self.out_w * self.out_h
    }

    /// Input channels of a piece that begins at `first`: what is left, but at most a group.
    fn inputs(&self, first: u32) -> u32 {
        self.in_c.saturating_sub(first).min(self.tile().0)
    }

    /// Kernels of the group of output channels that begins at `first`.
    fn outputs(&self, first: u32) -> u32 {
        self.kernels.saturating_sub(first).min(32)
    }

    /// Device address and length of a piece's weights.
    fn weights_of(&self, at: &Position) -> (u32, u32) {
        let area = self.kernel_w * self.kernel_h;
        let position = at.kernel_y * self.kernel_w + at.kernel_x;
        if self.depthwise {
            let width = self.inputs(at.channel);
            let offset = at.channel * area + position * width;
            return (self.weights.wrapping_add(offset), width);
        }
        let kernels = self.outputs(at.channel);
        let width = self.inputs(at.input);
        let offset = at.channel.wrapping_mul(self.in_c).wrapping_mul(area)
            + kernels * at.input * area
            + position * kernels * width;
        (self.weights.wrapping_add(offset), kernels * width)
    }

    /// The input pixel of an output pixel at a kernel position; none outside of the input.
    fn source(&self, at: &Position, pixel: u32) -> Option<(u32, u32)> {
        let (x, y) = (pixel % self.out_w, pixel / self.out_w);
        let x = (x * self.stride_x + at.kernel_x).checked_sub(self.pad_left)?;
        let y = (y * self.stride_y + at.kernel_y).checked_sub(self.pad_top)?;
        (x < self.in_w && y < self.in_h).then_some((x, y))
    }
}

impl Convolution {
    pub(crate) const fn new() -> Self {
        Self {
            at: START,
            sums: [0; SUMS],
            features: [0; SUMS],
            weights: [0; SUMS],
            macs: 0,
        }
    }

    /// A task begins.
    pub(crate) fn start(&mut self) {
        self.at = START;
        self.sums = [0; SUMS];
        self.macs = 0;
    }

    /// Multiplications since the task began.
    pub(crate) fn macs(&self) -> u64 {
        self.macs
    }

    fn fetch_weights(&mut self, m: &mut Memory<'_, '_>, g: &Geometry) -> Result<(), Refused> {
        let (iova, len) = g.weights_of(&self.at);
        let mut raw = [0; SUMS];
        let raw = raw
            .get_mut(..index(len))
            .ok_or(Refused::Error { write: false })?;
        m.read(Master::Feature, iova, raw)?;
        for (weight, &byte) in self.weights.iter_mut().zip(raw.iter()) {
            *weight = i16::from(signed(byte)).wrapping_add(g.weight_offset);
        }
        Ok(())
    }

    fn fetch_features(&mut self, m: &mut Memory<'_, '_>, g: &Geometry) -> Result<(), Refused> {
        let at = self.at;
        let first = if g.depthwise { at.channel } else { at.input };
        let width = g.inputs(first);
        let (_, tile) = g.tile();
        let last = g.pixels().min(at.pixel + tile);
        for (pixel, row) in (at.pixel..last).zip(self.features.chunks_mut(index(width))) {
            let Some((x, y)) = g.source(&at, pixel) else {
                row.fill(g.pad);
                continue;
            };
            for (atom, out) in (first / ATOM..).zip(row.chunks_mut(index(ATOM))) {
                let offset = atom
                    .wrapping_mul(g.surface)
                    .wrapping_add(y.wrapping_mul(g.line))
                    .wrapping_add(x * ATOM);
                let mut raw = [0; 16];
                m.read(Master::Feature, g.feature.wrapping_add(offset), &mut raw)?;
                for (feature, &byte) in out.iter_mut().zip(&raw) {
                    *feature = signed(byte);
                }
            }
        }
        Ok(())
    }

    /// Adds a piece up. Returns the number of multiplications.
    fn accumulate(&mut self, g: &Geometry) -> u64 {
        let at = self.at;
        let (channels, tile) = g.tile();
        let width = index(g.inputs(if g.depthwise { at.channel } else { at.input }));
        let pixels = index(g.pixels().min(at.pixel + tile) - at.pixel);
        let rows = self.features.chunks(width).take(pixels);
        let sums = self.sums.chunks_mut(index(channels));
        let mut macs = 0;
        for (row, sums) in rows.zip(sums) {
            if g.depthwise {
                for ((sum, &x), &w) in sums.iter_mut().zip(row).zip(&self.weights) {
                    *sum = sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(w)));
                }
                macs += width;
                continue;
            }
            let kernels = index(g.outputs(at.channel));
            let weights = self.weights.chunks(width).take(kernels);
            for (sum, weights) in sums.iter_mut().zip(weights) {
                for (&x, &w) in row.iter().zip(weights) {
                    *sum = sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(w)));
                }
            }
            macs += width * kernels;
        }
        u64::try_from(macs).unwrap_or(u64::MAX)
    }

    /// Turns the sums of a tile into results and writes them.
    fn finish(&mut self, m: &mut Memory<'_, '_>, g: &Geometry) -> Result<(), Refused> {
        let at = self.at;
        let (channels, tile) = g.tile();
        let real = g.out_real.saturating_sub(at.channel).min(channels);
        let mut raw = [0; 4 * 64];
        let raw = raw.get_mut(..index(4 * real)).unwrap_or_default();
        m.read(Master::Control, g.bias.wrapping_add(4 * at.channel), raw)?;

        let last = g.pixels().min(at.pixel + tile);
        let rows = self.sums.chunks(index(channels));
        for (pixel, sums) in (at.pixel..last).zip(rows) {
            let biases = raw.chunks(4 * index(ATOM));
            let atoms = sums.chunks(index(ATOM)).zip(biases);
            for (atom, (sums, biases)) in (at.channel / ATOM..).zip(atoms) {
                let mut out = [0; 16];
                let addends = fetch_addends(m, g, atom, pixel)?;
                let biases = biases.chunks_exact(4);
                for (((out, &sum), bias), add) in out.iter_mut().zip(sums).zip(biases).zip(addends)
                {
                    let bias = i32::from_le_bytes(bias.try_into().unwrap_or_default());
                    let sum = truncate(sum, g.truncate).wrapping_add(bias);
                    let sum = sum.saturating_add(add);
                    let value = scale(sum, g.scale, g.shift).saturating_add(i64::from(g.offset));
                    let value = value.clamp(i64::from(i8::MIN), i64::from(i8::MAX));
                    [*out, ..] = value.to_le_bytes();
                }
                let offset = atom.wrapping_mul(g.out_surface).wrapping_add(pixel * ATOM);
                m.write(g.output.wrapping_add(offset), &out)?;
            }
        }
        Ok(())
    }

    /// Does one piece.
    pub(crate) fn step(
        &mut self,
        m: &mut Memory<'_, '_>,
        g: &Geometry,
    ) -> Result<Progress, Refused> {
        let (channels, tile) = g.tile();
        let inputs = if g.depthwise { 1 } else { g.in_c };
        // After the last kernel position of the last channel group the tile is finished, in a step
        // of its own, so that an output that has to wait does not add anything up twice.
        if self.at.input < inputs {
            self.fetch_weights(m, g)?;
            self.fetch_features(m, g)?;
            let macs = self.accumulate(g);
            self.macs += macs;
            m.env.counters.add(Counter::NpuMac, macs);

            let at = &mut self.at;
            at.kernel_x += 1;
            if at.kernel_x == g.kernel_w {
                at.kernel_x = 0;
                at.kernel_y += 1;
            }
            if at.kernel_y == g.kernel_h {
                at.kernel_y = 0;
                at.input += channels;
            }
            return Ok(Progress::More);
        }
        self.finish(m, g)?;
        self.sums = [0; SUMS];
        let at = &mut self.at;
        at.input = 0;
        at.pixel += tile;
        if at.pixel >= g.pixels() {
            at.pixel = 0;
            at.channel += channels;
        }
        if at.channel >= g.out_real {
            return Ok(Progress::Done);
        }
        Ok(Progress::More)
    }
}
