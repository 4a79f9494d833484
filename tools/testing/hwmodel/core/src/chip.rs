// SPDX-License-Identifier: GPL-2.0 OR MIT

//! GPU and NPU together, with everything that goes in and out of them by its number: what a glue
//! hands to whoever is outside, and takes from there.
//!
//! Numbers that mean nothing are ignored: they come from whoever is outside.

use core::fmt;
use core::fmt::Write;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use crate::bus::Step;
use crate::counters::Counter;
use crate::gpu::Gpu;
use crate::host::Host;
use crate::host::Wire;
use crate::inject::InjectError;
use crate::npu;
use crate::npu::iommu::Version;
use crate::npu::CoreId;
use crate::npu::Npu;
use crate::npu::NpuClock;
use crate::npu::NpuDomain;
use crate::product::Product;
use crate::record::Kind;
use crate::soc::Clock;

/// What is modelled.
pub struct Chip {
    /// The GPU.
    pub gpu: Gpu,
    /// The NPU's cores.
    pub npu: Npu,
}

/// A block of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// The GPU.
    Gpu,
    /// An NPU core, its IOMMU included.
    Npu(CoreId),
}

impl Block {
    /// The block of a number: 0 is the GPU, the cores follow.
    pub fn nth(nr: u32) -> Option<Block> {
        match nr.checked_sub(1) {
            None => Some(Block::Gpu),
            Some(core) => nth(&CoreId::ALL, core).map(Block::Npu),
        }
    }
}

/// The output of a number, in the order of [`Wire::index`].
fn wire(nr: u32) -> Option<Wire> {
    nth(&Wire::ALL, nr)
}

/// The element of a table that a number means.
fn nth<T: Copy>(all: &[T], nr: u32) -> Option<T> {
    all.get(usize::try_from(nr).ok()?).copied()
}

impl Chip {
    /// As after power-on: all clocks, supplies and domains are off.
    pub const fn new(product: &'static Product, version: Version) -> Self {
        Self {
            gpu: Gpu::new(product),
            npu: Npu::new(version),
        }
    }

    /// Makes the GPU another one, by its name, while everything is off. Returns whether there is one.
    pub fn choose(&mut self, name: &str) -> bool {
        let product = Product::find(name);
        if let Some(product) = product {
            self.gpu.choose(product);
        }
        product.is_some()
    }

    /// Reads a register.
    pub fn read32(&mut self, host: &dyn Host, block: Block, off: u32) -> u32 {
        match block {
            Block::Gpu => self.gpu.read32(host, off),
            Block::Npu(core) => self.npu.read32(host, core, off),
        }
    }

    /// Writes a register.
    pub fn write32(&mut self, host: &dyn Host, block: Block, off: u32, value: u32) {
        match block {
            Block::Gpu => self.gpu.write32(host, off, value),
            Block::Npu(core) => self.npu.write32(host, core, off, value),
        }
    }

    /// Notes an access that is not one of 32 aligned bits.
    pub fn access_other(
        &mut self,
        host: &dyn Host,
        block: Block,
        off: u32,
        bytes: u32,
        write: bool,
    ) {
        match block {
            Block::Gpu => self.gpu.access_other(host, off, bytes, write),
            Block::Npu(core) => self.npu.access_other(host, core, off, bytes, write),
        }
    }

    /// Switches a clock: those of the GPU come first, in the order of [`Clock::ALL`], then those of
    /// [`NpuClock::ALL`].
    pub fn set_clock(&mut self, host: &dyn Host, nr: u32, on: bool) {
        let Ok(nr) = usize::try_from(nr) else {
            return;
        };
        match nr.checked_sub(Clock::ALL.len()) {
            None => {
                if let Some(&clock) = Clock::ALL.get(nr) {
                    self.gpu.set_clock(host, clock, on);
                }
            }
            Some(nr) => {
                if let Some(&clock) = NpuClock::ALL.get(nr) {
                    self.npu.set_clock(host, clock, on);
                }
            }
        }
    }

    /// Switches a power domain: 0 is the GPU's, those of [`NpuDomain::ALL`] follow.
    pub fn set_domain(&mut self, host: &dyn Host, nr: u32, on: bool) {
        match nr.checked_sub(1) {
            None => self.gpu.set_power_domain(host, on),
            Some(nr) => {
                if let Some(domain) = nth(&NpuDomain::ALL, nr) {
                    self.npu.set_domain(host, domain, on);
                }
            }
        }
    }

    /// Drives a reset line: two for each core of the NPU, the second one is that of its registers.
    pub fn set_reset(&mut self, host: &dyn Host, nr: u32, asserted: bool) {
        if let Some(core) = nth(&CoreId::ALL, nr / 2) {
            self.npu.set_reset(host, core, nr % 2 == 1, asserted);
        }
    }

    /// Lets time pass and does a bounded piece of work.
    pub fn step(&mut self, host: &dyn Host) -> Step {
        self.gpu.step(host).sooner(self.npu.step(host))
    }

    /// An interrupt is about to be delivered.
    pub fn delivered(&mut self, host: &dyn Host, nr: u32) {
        match wire(nr) {
            Some(Wire::Gpu(line)) => self.gpu.delivered(host, line),
            Some(Wire::Npu(core)) => self.npu.delivered(host, core),
            None => (),
        }
    }

    /// The last handler of a line went while it was asserted.
    pub fn abandoned(&mut self, host: &dyn Host, nr: u32) {
        match wire(nr) {
            Some(Wire::Gpu(line)) => self.gpu.abandoned(host, line),
            Some(Wire::Npu(core)) => self.npu.abandoned(host, core),
            None => (),
        }
    }

    /// `name value`, a line for each counter.
    pub fn show_counters(&self, out: &mut dyn Write) -> fmt::Result {
        for &counter in Counter::ALL {
            // No event is counted by both.
            let value = self.gpu.counters().get(counter) + self.npu.counters().get(counter);
            writeln!(out, "{} {value}", counter.name())?;
        }
        Ok(())
    }

    /// `N records`, then a line for each one that is kept.
    pub fn show_records(&self, out: &mut dyn Write) -> fmt::Result {
        let (gpu, npu) = (self.gpu.records(), self.npu.records());
        writeln!(out, "{} records", gpu.unannounced() + npu.unannounced())?;
        for (record, announced) in gpu.entries().chain(npu.entries()) {
            let mark = if announced { "expected " } else { "" };
            writeln!(out, "{mark}{record}")?;
        }
        Ok(())
    }

    /// Starts the counters at zero.
    pub fn clear_counters(&mut self) {
        self.gpu.clear_counters();
        self.npu.clear_counters();
    }

    /// Forgets the records.
    pub fn clear_records(&mut self) {
        self.gpu.clear_records();
        self.npu.clear_records();
    }

    /// Asks one of the blocks to misbehave, or all to behave well again.
    pub fn inject(&mut self, host: &dyn Host, line: &str) -> Result<(), InjectError> {
        match line.split_ascii_whitespace().next() {
            Some("npu") => self.npu.inject(host, line),
            first => {
                self.gpu.inject(host, line)?;
                if first == Some("clear") {
                    self.npu.clear_injections();
                }
                Ok(())
            }
        }
    }
}

/// What [`Chip::inject`] and [`Expected::announce`] understand, a line each.
pub fn show_help(out: &mut dyn Write) -> fmt::Result {
    for (syntax, meaning) in Gpu::inject_help().chain(npu::HELP.iter().copied()) {
        writeln!(out, "{syntax}: {meaning}")?;
    }
    writeln!(
        out,
        "expect KIND COUNT: the next COUNT records of that kind are no failure"
    )
}

/// Records that a test announced and that are still to come, by kind.
pub struct Expected {
    left: [AtomicU64; Kind::ALL.len()],
}

impl Expected {
    /// None.
    pub const fn new() -> Self {
        Self {
            left: [const { AtomicU64::new(0) }; Kind::ALL.len()],
        }
    }

    fn left(&self, kind: Kind) -> Option<&AtomicU64> {
        let index = Kind::ALL.iter().position(|&k| k == kind)?;
        self.left.get(index)
    }

    /// Takes one, if one was announced.
    pub fn take(&self, kind: Kind) -> bool {
        self.left(kind).is_some_and(|left| {
            left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1))
                .is_ok()
        })
    }

    /// Takes in the rest of `expect KIND COUNT`, if it is well formed.
    pub fn announce(&self, rest: &str) -> Option<()> {
        let (kind, count) = rest.trim().split_once(' ')?;
        let count = count.trim().parse().ok()?;
        self.left(Kind::from_name(kind)?)?.store(count, Relaxed);
        Some(())
    }
}

impl Default for Expected {
    fn default() -> Self {
        Self::new()
    }
}
