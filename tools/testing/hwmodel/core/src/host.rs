// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the model needs from the machine that it lives in.

use crate::npu::CoreId;
use crate::record::Record;

/// A level-triggered interrupt output of the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Command stream interface and MCU events (JOB_INT_*).
    Job,
    /// Address space faults (MMU_INT_*).
    Mmu,
    /// GPU control: reset, power, cache maintenance, GPU faults (GPU_INT_*).
    Gpu,
}

impl Line {
    /// All lines, in the order of [`Line::index`].
    pub const ALL: [Line; 3] = [Line::Job, Line::Mmu, Line::Gpu];

    /// A small number for tables.
    pub const fn index(self) -> usize {
        match self {
            Line::Job => 0,
            Line::Mmu => 1,
            Line::Gpu => 2,
        }
    }

    /// The name that the device tree gives the line.
    pub const fn name(self) -> &'static str {
        match self {
            Line::Job => "job",
            Line::Mmu => "mmu",
            Line::Gpu => "gpu",
        }
    }
}

/// An interrupt output of the model: each goes to an input of the interrupt controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// One of the GPU's.
    Gpu(Line),
    /// That of an NPU core, which it shares with its IOMMU.
    Npu(CoreId),
}

impl Wire {
    /// All of them, in the order of [`Wire::index`].
    pub const ALL: [Wire; 6] = [
        Wire::Gpu(Line::Job),
        Wire::Gpu(Line::Mmu),
        Wire::Gpu(Line::Gpu),
        Wire::Npu(CoreId::Core0),
        Wire::Npu(CoreId::Core1),
        Wire::Npu(CoreId::Core2),
    ];

    /// The input that it goes to.
    pub const fn index(self) -> usize {
        match self {
            Wire::Gpu(line) => line.index(),
            Wire::Npu(core) => Line::ALL.len() + core.index(),
        }
    }

    /// A name for records.
    pub const fn name(self) -> &'static str {
        match self {
            Wire::Gpu(line) => line.name(),
            Wire::Npu(core) => core.name(),
        }
    }
}

/// The physical address is not memory that was ever given to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusError;

/// The machine around the model.
///
/// Every method is called with the lock held that protects the whole model, possibly from hard
/// interrupt context: none may sleep or call back into the model.
pub trait Host {
    /// Reads `buf.len()` bytes of RAM at physical address `pa`.
    fn read(&self, pa: u64, buf: &mut [u8]) -> Result<(), BusError>;

    /// Writes `buf` to RAM at physical address `pa`.
    fn write(&self, pa: u64, buf: &[u8]) -> Result<(), BusError>;

    /// Monotonic time in nanoseconds.
    fn now_ns(&self) -> u64;

    /// A level output changed. Delivery happens after the model's lock was dropped.
    fn set_line(&self, wire: Wire, high: bool);

    /// There is work: `Gpu::step` and `Npu::step` should be called soon.
    fn wake(&self);

    /// The caches were flushed, and LATEST_FLUSH is `id` from here on. Who has the register in a page
    /// of its own that processes read has to change it at once: what a command stream writes after a
    /// flush must not be seen before the flush is.
    fn flushed(&self, id: u32);

    /// A misuse was recorded (the model keeps it in its own ring as well). Returns whether it was
    /// announced: a test is about to break that rule on purpose.
    fn record(&self, record: &Record) -> bool;
}
