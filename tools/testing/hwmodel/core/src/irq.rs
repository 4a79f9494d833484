// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Interrupt outputs, and the GPU's three interrupt blocks in front of them: RAWSTAT, CLEAR, MASK
//! and STATUS.

use crate::counters::Counter;
use crate::counters::Counters;
use crate::host::Host;
use crate::host::Line;
use crate::host::Wire;
use crate::record::Kind;
use crate::record::Place;

/// A line that stays high for longer than this is taken for stuck: no handler runs that long with
/// its interrupt unmasked in the block.
pub const STUCK_NS: u64 = 2_000_000_000;

/// So many deliveries without any access to the block in between are a storm.
pub const STORM_DELIVERIES: u32 = 1000;

/// So many reads of pending events without any write to the block are a handler that forgot to
/// clear them. Events that are masked are nobody's to clear.
pub const FORGOTTEN_READS: u32 = 10_000;

/// A level output: when it changed, and whether anybody serves it.
pub struct Output {
    wire: Wire,
    counter: Counter,
    high: bool,
    high_since: u64,
    reported: bool,
    deliveries: u32,
    /// Rising edges still to be swallowed.
    drop: u32,
    /// The present assertion is swallowed.
    swallowed: bool,
}

impl Output {
    /// Low. `counter` counts its rising edges.
    pub(crate) const fn new(wire: Wire, counter: Counter) -> Self {
        Self {
            wire,
            counter,
            high: false,
            high_since: 0,
            reported: false,
            deliveries: 0,
            drop: 0,
            swallowed: false,
        }
    }

    /// The level.
    pub fn is_high(&self) -> bool {
        self.high
    }

    /// Follows what is behind it.
    pub(crate) fn drive(
        &mut self,
        host: &dyn Host,
        now: u64,
        counters: &mut Counters,
        active: bool,
    ) {
        if !active {
            self.swallowed = false;
        }
        let high = active && !self.swallowed;
        if high == self.high {
            return;
        }
        if high && self.drop > 0 {
            self.drop -= 1;
            self.swallowed = true;
            return;
        }
        self.high = high;
        self.reported = false;
        self.deliveries = 0;
        if high {
            self.high_since = now;
            counters.count(self.counter);
        }
        host.set_line(self.wire, high);
    }

    /// There is a new event: it asserts the line even if an earlier one was lost on the way.
    pub(crate) fn renew(&mut self) {
        self.swallowed = false;
    }

    /// The handler looked at the registers behind it.
    pub(crate) fn attended(&mut self) {
        self.deliveries = 0;
    }

    /// Swallows the next `n` rising edges.
    pub(crate) fn inject_drop(&mut self, n: u32) {
        self.drop = n;
    }

    /// The interrupt controller delivered the line once more. Returns the number of deliveries in
    /// a row if that is a storm, once per assertion.
    pub(crate) fn delivered(&mut self) -> Option<u32> {
        self.deliveries = self.deliveries.saturating_add(1);
        if self.high && self.deliveries >= STORM_DELIVERIES && !self.reported {
            self.reported = true;
            return Some(self.deliveries);
        }
        None
    }

    /// Whether it has just been found stuck: true once per assertion.
    pub(crate) fn is_stuck(&mut self, now: u64) -> bool {
        let stuck = self.high && !self.reported && now.saturating_sub(self.high_since) >= STUCK_NS;
        self.reported |= stuck;
        stuck
    }

    /// When it would be taken for stuck.
    pub(crate) fn deadline(&self) -> Option<u64> {
        (self.high && !self.reported).then(|| self.high_since.saturating_add(STUCK_NS))
    }
}

/// One interrupt block.
pub struct IrqBlock {
    line: Line,
    output: Output,
    rawstat: u32,
    mask: u32,
    /// Reads of pending events since the last write.
    reads: u32,
    /// Events still to be raised again after they were cleared.
    repeat: u32,
}

impl IrqBlock {
    const fn new(line: Line, counter: Counter) -> Self {
        Self {
            line,
            output: Output::new(Wire::Gpu(line), counter),
            rawstat: 0,
            mask: 0,
            reads: 0,
            repeat: 0,
        }
    }

    /// Pending events, masked or not.
    pub fn rawstat(&self) -> u32 {
        self.rawstat
    }

    /// Events that may assert the line.
    pub fn mask(&self) -> u32 {
        self.mask
    }

    /// Pending events that are not masked.
    pub fn status(&self) -> u32 {
        self.rawstat & self.mask
    }

    /// The line's level.
    pub fn is_high(&self) -> bool {
        self.output.is_high()
    }

    fn update(&mut self, host: &dyn Host, now: u64, counters: &mut Counters) {
        let active = self.status() != 0;
        self.output.drive(host, now, counters, active);
    }
}

/// The three blocks.
pub struct Irqs {
    blocks: [IrqBlock; 3],
}

impl Irqs {
    /// Nothing pending, everything masked.
    pub(crate) const fn new() -> Self {
        Self {
            blocks: [
                IrqBlock::new(Line::Job, Counter::IrqJob),
                IrqBlock::new(Line::Mmu, Counter::IrqMmu),
                IrqBlock::new(Line::Gpu, Counter::IrqGpu),
            ],
        }
    }

    /// The block behind a line.
    pub fn block(&self, line: Line) -> &IrqBlock {
        let [job, mmu, gpu] = &self.blocks;
        match line {
            Line::Job => job,
            Line::Mmu => mmu,
            Line::Gpu => gpu,
        }
    }

    fn block_mut(&mut self, line: Line) -> &mut IrqBlock {
        let [job, mmu, gpu] = &mut self.blocks;
        match line {
            Line::Job => job,
            Line::Mmu => mmu,
            Line::Gpu => gpu,
        }
    }

    /// Raises events.
    pub(crate) fn raise(
        &mut self,
        host: &dyn Host,
        now: u64,
        counters: &mut Counters,
        line: Line,
        bits: u32,
    ) {
        let block = self.block_mut(line);
        block.rawstat |= bits;
        block.output.renew();
        block.update(host, now, counters);
    }

    /// A write to CLEAR.
    pub(crate) fn clear(
        &mut self,
        host: &dyn Host,
        now: u64,
        counters: &mut Counters,
        line: Line,
        bits: u32,
    ) {
        let block = self.block_mut(line);
        let served = block.status() & bits;
        block.rawstat &= !bits;
        block.output.attended();
        block.reads = 0;
        block.update(host, now, counters);
        if served != 0 && block.repeat > 0 {
            block.repeat -= 1;
            block.rawstat |= served;
            block.update(host, now, counters);
        }
    }

    /// A write to MASK.
    pub(crate) fn set_mask(
        &mut self,
        host: &dyn Host,
        now: u64,
        counters: &mut Counters,
        line: Line,
        mask: u32,
    ) {
        let block = self.block_mut(line);
        block.mask = mask;
        block.output.attended();
        block.reads = 0;
        block.update(host, now, counters);
    }

    /// A read of any register of the block: the handler looks at it. Returns the pending events
    /// when they have been looked at much too often.
    pub(crate) fn looked_at(&mut self, line: Line) -> Option<u32> {
        let block = self.block_mut(line);
        block.output.attended();
        if block.status() == 0 {
            block.reads = 0;
            return None;
        }
        block.reads = block.reads.saturating_add(1);
        (block.reads == FORGOTTEN_READS).then_some(block.status())
    }

    /// Forgets pending events and masks, as a reset or a loss of power does.
    pub(crate) fn reset(
        &mut self,
        host: &dyn Host,
        now: u64,
        counters: &mut Counters,
        line: Line,
        keep_mask: bool,
    ) {
        let block = self.block_mut(line);
        block.rawstat = 0;
        if !keep_mask {
            block.mask = 0;
        }
        block.update(host, now, counters);
    }

    /// Swallows the next `n` rising edges of a line.
    pub(crate) fn inject_drop(&mut self, line: Line, n: u32) {
        self.block_mut(line).output.inject_drop(n);
    }

    /// Raises the next `n` served events again.
    pub(crate) fn inject_repeat(&mut self, line: Line, n: u32) {
        self.block_mut(line).repeat = n;
    }

    /// The interrupt controller delivered the line once more. Returns the number of deliveries in
    /// a row if that is a storm, once per assertion.
    pub(crate) fn delivered(&mut self, line: Line) -> Option<u32> {
        self.block_mut(line).output.delivered()
    }

    /// The first line found stuck, if any: reported once per assertion.
    pub(crate) fn stuck(&mut self, now: u64) -> Option<(Kind, Place, u64)> {
        for block in &mut self.blocks {
            if block.output.is_stuck(now) {
                let place = Place::Line(Wire::Gpu(block.line));
                return Some((Kind::LineStuck, place, u64::from(block.status())));
            }
        }
        None
    }

    /// When the next line would be taken for stuck.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.blocks.iter().filter_map(|b| b.output.deadline()).min()
    }
}
