// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Power of the GPU's own blocks: shader cores, tiler and L2, each with the register groups
//! PRESENT, READY, PWRON, PWROFF, PWRTRANS and PWRACTIVE; since architecture 14 with the PWR block
//! ([`pwr`]) instead.

pub mod pwr;

use core::fmt;

use crate::bits::half;
use crate::bus::Env;
use crate::counters::Counter;
use crate::inject::due;
use crate::inject::NEVER;
use crate::irq::Source;
use crate::product::Product;
use crate::record::Kind;
use crate::record::Place;
use pwr::Pwr;

/// GPU_IRQ: one transition is complete.
const IRQ_POWER_CHANGED: u32 = 1 << 9;
/// GPU_IRQ: all transitions are complete.
const IRQ_POWER_CHANGED_ALL: u32 = 1 << 10;

/// How long the L2 takes.
const L2_NS: u64 = 20_000;
/// How long a core takes.
const CORE_NS: u64 = 5_000;

/// A kind of block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Shader cores.
    Shader,
    /// Tiler.
    Tiler,
    /// L2 cache slices.
    L2,
}

/// The register groups of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What exists.
    Present,
    /// What is on.
    Ready,
    /// Request to switch on.
    On,
    /// Request to switch off.
    Off,
    /// What is in transition.
    Trans,
    /// What is on and busy.
    Active,
}

/// Block and register group of an offset from 0x100 to 0x27f; the low three bits select the half.
pub fn decode(off: u32) -> Option<(Block, Group)> {
    let block = match off & 0x38 {
        0x00 => Block::Shader,
        0x10 => Block::Tiler,
        0x20 => Block::L2,
        _ => return None,
    };
    let group = match off & !0x3f {
        0x100 => Group::Present,
        0x140 => Group::Ready,
        0x180 => Group::On,
        0x1c0 => Group::Off,
        0x200 => Group::Trans,
        0x240 => Group::Active,
        _ => return None,
    };
    Some((block, group))
}

struct Domain {
    present: u64,
    ready: u64,
    rising: u64,
    falling: u64,
    due: u64,
}

impl Domain {
    const fn new(present: u64) -> Self {
        Self {
            present,
            ready: 0,
            rising: 0,
            falling: 0,
            due: 0,
        }
    }

    fn moving(&self) -> u64 {
        self.rising | self.falling
    }

    fn off(&mut self) {
        self.ready = 0;
        self.rising = 0;
        self.falling = 0;
    }

    /// Ends the transition if it is due. Returns what became ready.
    fn settle(&mut self, now: u64) -> Option<u64> {
        if self.moving() == 0 || now < self.due {
            return None;
        }
        let up = self.rising;
        self.ready = (self.ready | up) & !self.falling;
        self.rising = 0;
        self.falling = 0;
        Some(up)
    }
}

/// Power states of all blocks.
pub struct Power {
    shader: Domain,
    tiler: Domain,
    l2: Domain,
    /// L2 transitions that shall hang.
    l2_hangs: u32,
    /// L2 requests that shall be ignored.
    l2_ignored: u32,
    /// There is the PWR block.
    has_pwr: bool,
    pwr: Pwr,
}

impl Power {
    /// Everything off.
    pub const fn new(product: &'static Product) -> Self {
        Self {
            shader: Domain::new(product.shader_present),
            tiler: Domain::new(product.tiler_present),
            l2: Domain::new(product.l2_present),
            l2_hangs: 0,
            l2_ignored: 0,
            has_pwr: product.has_pwr(),
            pwr: Pwr::new(),
        }
    }

    /// Everything off at once, as a reset does.
    pub(crate) fn reset(&mut self) {
        self.shader.off();
        self.tiler.off();
        self.l2.off();
        self.pwr.reset();
    }

    fn domain(&self, block: Block) -> &Domain {
        match block {
            Block::Shader => &self.shader,
            Block::Tiler => &self.tiler,
            Block::L2 => &self.l2,
        }
    }

    fn domain_mut(&mut self, block: Block) -> &mut Domain {
        match block {
            Block::Shader => &mut self.shader,
            Block::Tiler => &mut self.tiler,
            Block::L2 => &mut self.l2,
        }
    }

    /// Whether memory can be reached.
    pub fn l2_ready(&self) -> bool {
        self.l2.ready != 0
    }

    /// Whether any part of the L2 is on or about to be.
    pub(crate) fn l2_in_use(&self) -> bool {
        self.l2.ready | self.l2.moving() != 0
    }

    /// Whether anything is in transition.
    pub fn is_moving(&self) -> bool {
        self.shader.moving() | self.tiler.moving() | self.l2.moving() != 0
    }

    pub(crate) fn read(&self, env: &mut Env<'_>, off: u32, block: Block, group: Group) -> u32 {
        let domain = self.domain(block);
        let value = match group {
            Group::Present => domain.present,
            Group::Ready => domain.ready & !domain.falling,
            Group::Trans => domain.moving(),
            // What is on counts as busy only while a group runs, and that shows in no register
            // that software waits for.
            Group::Active => 0,
            Group::On | Group::Off => {
                env.record(Kind::WriteOnly, Place::Register(off), 0, "power request");
                0
            }
        };
        half(value, off)
    }

    /// A write to a power register. `processor_runs` tells whether the MCU is enabled.
    pub(crate) fn write(
        &mut self,
        env: &mut Env<'_>,
        off: u32,
        value: u32,
        (block, group): (Block, Group),
        processor_runs: bool,
    ) {
        let place = Place::Register(off);
        let on = match group {
            Group::On => true,
            Group::Off => false,
            _ => {
                env.record(Kind::ReadOnly, place, u64::from(value), "");
                return;
            }
        };
        let mask = if off & 4 == 0 {
            u64::from(value)
        } else {
            u64::from(value) << 32
        };
        if mask & !self.domain(block).present != 0 {
            env.record(Kind::AbsentCore, place, mask, "");
        }
        if mask & self.domain(block).moving() != 0 {
            env.record(Kind::PowerBusy, place, mask, "");
        }
        if mask == 0 {
            return;
        }
        match block {
            Block::L2 if !on => {
                if processor_runs {
                    env.record(
                        Kind::PowerOrder,
                        place,
                        mask,
                        "L2 off under the running MCU",
                    );
                } else if self.shader.ready | self.tiler.ready != 0 {
                    env.record(Kind::PowerOrder, place, mask, "L2 off under powered cores");
                }
            }
            Block::L2 => (),
            _ if on && !self.l2_ready() => {
                env.record(Kind::PowerOrder, place, mask, "cores on without L2");
                return;
            }
            _ => (),
        }
        self.request(env, block, mask, on);
    }

    fn request(&mut self, env: &mut Env<'_>, block: Block, mask: u64, on: bool) {
        let domain = self.domain(block);
        let settled = domain.present & mask & !domain.moving();
        let mask = if on {
            settled & !domain.ready
        } else {
            settled & domain.ready
        };
        if mask == 0 {
            return;
        }
        let due = match block {
            Block::L2 if self.l2_ignored > 0 => {
                self.l2_ignored -= 1;
                return;
            }
            Block::L2 => due(env.now, L2_NS, &mut self.l2_hangs),
            _ => env.now.saturating_add(CORE_NS),
        };
        let domain = self.domain_mut(block);
        domain.due = due;
        if on {
            domain.rising |= mask;
        } else {
            domain.falling |= mask;
        }
        env.host.wake();
    }

    /// The MCU wants exactly these cores on.
    pub(crate) fn processor_request(&mut self, env: &mut Env<'_>, shaders: u64, tilers: u64) {
        for (block, cores) in [(Block::Shader, shaders), (Block::Tiler, tilers)] {
            if self.mcu_may(env, block, cores) {
                self.request(env, block, cores, true);
                self.request(env, block, !cores, false);
            }
        }
    }

    /// Ends transitions that are due.
    pub(crate) fn advance(&mut self, env: &mut Env<'_>) {
        let (source, single, all) = if self.has_pwr {
            (
                Source::Pwr,
                pwr::IRQ_POWER_CHANGED_SINGLE,
                pwr::IRQ_POWER_CHANGED_ALL,
            )
        } else {
            (Source::Gpu, IRQ_POWER_CHANGED, IRQ_POWER_CHANGED_ALL)
        };
        let mut bits = 0;
        if self.shader.settle(env.now).is_some() {
            bits |= single;
        }
        if self.tiler.settle(env.now).is_some() {
            bits |= single;
        }
        if let Some(up) = self.l2.settle(env.now) {
            bits |= single;
            if up != 0 {
                env.count(Counter::L2On);
            } else {
                // What hangs off the L2 loses its power with it.
                self.shader.off();
                self.tiler.off();
            }
        }
        if bits != 0 {
            if !self.is_moving() {
                bits |= all;
            }
            env.raise(source, bits);
        }
        self.pwr_advance(env);
    }

    pub(crate) fn inject_l2_hangs(&mut self, n: u32) {
        self.l2_hangs = n;
    }

    pub(crate) fn inject_l2_ignored(&mut self, n: u32) {
        self.l2_ignored = n;
    }

    pub(crate) fn inject_pwr_hangs(&mut self, n: u32) {
        self.pwr.inject_hangs(n);
    }

    pub(crate) fn inject_pwr_refusal(&mut self, n: u32) {
        self.pwr.inject_refusal(n);
    }

    /// The commands of the PWR block, a line each.
    pub(crate) fn show_pwr_log(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.pwr.show_log(out)
    }

    /// Forgets the commands of the PWR block.
    pub(crate) fn clear_pwr_log(&mut self) {
        self.pwr.clear_log();
    }

    /// A transition that hung goes on from now.
    pub(crate) fn clear_injections(&mut self, now: u64) {
        self.l2_hangs = 0;
        self.l2_ignored = 0;
        if self.l2.due == NEVER {
            self.l2.due = now.saturating_add(L2_NS);
        }
        self.pwr.clear_injections(now);
    }

    /// When the next transition ends.
    pub(crate) fn deadline(&self) -> Option<u64> {
        [&self.shader, &self.tiler, &self.l2]
            .into_iter()
            .filter(|d| d.moving() != 0 && d.due != NEVER)
            .map(|d| d.due)
            .chain(self.pwr.deadline())
            .min()
    }
}
