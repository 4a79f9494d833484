// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Interrupt outputs, and the GPU's interrupt blocks in front of them: RAWSTAT, CLEAR, MASK and
//! STATUS.

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

/// An interrupt block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// JOB_INT.
    Job,
    /// MMU_INT.
    Mmu,
    /// GPU_INT.
    Gpu,
    /// PWR_INT, since architecture 14; on the line of GPU_INT.
    Pwr,
}

impl Source {
    /// All blocks.
    pub const ALL: [Source; 4] = [Source::Job, Source::Mmu, Source::Gpu, Source::Pwr];

    /// The line that it asserts.
    pub const fn line(self) -> Line {
        match self {
            Source::Job => Line::Job,
            Source::Mmu => Line::Mmu,
            Source::Gpu | Source::Pwr => Line::Gpu,
        }
    }
}

impl From<Line> for Source {
    fn from(line: Line) -> Self {
        match line {
            Line::Job => Source::Job,
            Line::Mmu => Source::Mmu,
            Line::Gpu => Source::Gpu,
        }
    }
}

/// One interrupt block.
pub struct IrqBlock {
    rawstat: u32,
    mask: u32,
    /// Reads of pending events since the last write.
    reads: u32,
    /// Events still to be raised again after they were cleared.
    repeat: u32,
}

impl IrqBlock {
    const fn new() -> Self {
        Self {
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
}

/// The blocks and their outputs.
pub struct Irqs {
    job: IrqBlock,
    mmu: IrqBlock,
    gpu: IrqBlock,
    pwr: IrqBlock,
    outputs: [Output; 3],
    /// Writes to CLEAR are on their way until the next access, as posted writes are.
    posted: bool,
    /// The one that is.
    held: Option<(Source, u32)>,
}

impl Irqs {
    /// Nothing pending, everything masked.
    pub(crate) const fn new() -> Self {
        Self {
            job: IrqBlock::new(),
            mmu: IrqBlock::new(),
            gpu: IrqBlock::new(),
            pwr: IrqBlock::new(),
            outputs: [
                Output::new(Wire::Gpu(Line::Job), Counter::IrqJob),
                Output::new(Wire::Gpu(Line::Mmu), Counter::IrqMmu),
                Output::new(Wire::Gpu(Line::Gpu), Counter::IrqGpu),
            ],
            posted: false,
            held: None,
        }
    }

    /// A block.
    pub fn block(&self, source: Source) -> &IrqBlock {
        match source {
            Source::Job => &self.job,
            Source::Mmu => &self.mmu,
            Source::Gpu => &self.gpu,
            Source::Pwr => &self.pwr,
        }
    }

    fn block_mut(&mut self, source: Source) -> &mut IrqBlock {
        match source {
            Source::Job => &mut self.job,
            Source::Mmu => &mut self.mmu,
            Source::Gpu => &mut self.gpu,
            Source::Pwr => &mut self.pwr,
        }
    }

    fn output_mut(&mut self, line: Line) -> &mut Output {
        let [job, mmu, gpu] = &mut self.outputs;
        match line {
            Line::Job => job,
            Line::Mmu => mmu,
            Line::Gpu => gpu,
        }
    }

    /// Events that assert a line, of all blocks behind it.
    pub fn status(&self, line: Line) -> u32 {
        Source::ALL
            .into_iter()
            .filter(|source| source.line() == line)
            .fold(0, |status, source| status | self.block(source).status())
    }

    /// The line's level.
    pub fn is_high(&self, line: Line) -> bool {
        let [job, mmu, gpu] = &self.outputs;
        match line {
            Line::Job => job,
            Line::Mmu => mmu,
            Line::Gpu => gpu,
        }
        .is_high()
    }

    fn update(&mut self, host: &dyn Host, now: u64, counters: &mut Counters, line: Line) {
        let active = self.status(line) != 0;
        self.output_mut(line).drive(host, now, counters, active);
    }

    /// Raises events.
    pub(crate) fn raise(
        &mut self,
        host: &dyn Host,
        now: u64,
        counters: &mut Counters,
        source: Source,
        bits: u32,
    ) {
        self.block_mut(source).rawstat |= bits;
        self.output_mut(source.line()).renew();
        self.update(host, now, counters, source.line());
    }

    /// A write to CLEAR, which arrives now or before the next access.
    pub(crate) fn clear(
        &mut self,
        host: &dyn Host,
        now: u64,
        counters: &mut Counters,
        source: Source,
        bits: u32,
    ) {
        self.held = Some((source, bits));
        if !self.posted {
            self.arrive(host, now, counters);
        }
    }

    /// There is another access: what was written before is here now.
    pub(crate) fn arrive(&mut self, host: &dyn Host, now: u64, counters: &mut Counters) {
        let Some((source, bits)) = self.held.take() else {
            return;
        };
        let block = self.block_mut(source);
        let served = block.status() & bits;
        block.rawstat &= !bits;
        block.reads = 0;
        let again = served != 0 && block.repeat > 0;
        self.output_mut(source.line()).attended();
        self.update(host, now, counters, source.line());
        if again {
            let block = self.block_mut(source);
            block.repeat -= 1;
            block.rawstat |= served;
            self.update(host, now, counters, source.line());
        }
    }

    /// A write to MASK.
    pub(crate) fn set_mask(
        &mut self,
        host: &dyn Host,
        now: u64,
        counters: &mut Counters,
        source: Source,
        mask: u32,
    ) {
        let block = self.block_mut(source);
        block.mask = mask;
        block.reads = 0;
        self.output_mut(source.line()).attended();
        self.update(host, now, counters, source.line());
    }

    /// A read of any register of the block: the handler looks at it. Returns the pending events
    /// when they have been looked at much too often.
    pub(crate) fn looked_at(&mut self, source: Source) -> Option<u32> {
        self.output_mut(source.line()).attended();
        let block = self.block_mut(source);
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
        source: Source,
        keep_mask: bool,
    ) {
        self.held = None;
        let block = self.block_mut(source);
        block.rawstat = 0;
        if !keep_mask {
            block.mask = 0;
        }
        self.update(host, now, counters, source.line());
    }

    /// Swallows the next `n` rising edges of a line.
    pub(crate) fn inject_drop(&mut self, line: Line, n: u32) {
        self.output_mut(line).inject_drop(n);
    }

    /// Lets writes to CLEAR take their time, or not any more.
    pub(crate) fn inject_posted(&mut self, posted: bool) {
        self.posted = posted;
    }

    /// Raises the next `n` served events again.
    pub(crate) fn inject_repeat(&mut self, source: Source, n: u32) {
        self.block_mut(source).repeat = n;
    }

    /// The interrupt controller delivered the line once more. Returns the number of deliveries in
    /// a row if that is a storm, once per assertion.
    pub(crate) fn delivered(&mut self, line: Line) -> Option<u32> {
        self.output_mut(line).delivered()
    }

    /// The first line found stuck, if any: reported once per assertion.
    pub(crate) fn stuck(&mut self, now: u64) -> Option<(Kind, Place, u64)> {
        let line = Line::ALL
            .into_iter()
            .find(|&line| self.output_mut(line).is_stuck(now))?;
        let place = Place::Line(Wire::Gpu(line));
        Some((Kind::LineStuck, place, u64::from(self.status(line))))
    }

    /// When the next line would be taken for stuck.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.outputs.iter().filter_map(Output::deadline).min()
    }
}
