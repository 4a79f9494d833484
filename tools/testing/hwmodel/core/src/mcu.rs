// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The processor of the command stream frontend, and the firmware on it.
//!
//! The processor is modelled by what its firmware does: boot from an image in memory, serve the
//! requests of the host through the interface in shared memory, put groups on slots and off them,
//! and execute their streams.
//!
//! # Ordering
//!
//! Nothing happens in a doorbell: it leaves a flag, and [`Mcu::step`] looks at the memory behind
//! it. An output word is written before the interrupt that tells of it, and EXTRACT before the
//! events of what was executed.
//!
//! # Blocking
//!
//! A part of memory may not answer for a while (its address space is locked). Whatever needs it
//! stays pending, everything else goes on; the step after the address space has changed tries
//! again.

pub mod image;
pub mod layout;

mod boot;
mod events;
mod exception;
mod faults;
mod global;
mod group;
mod iface;
mod suspend;

use core::str::SplitAsciiWhitespace;

use crate::bus::Bus;
use crate::bus::Step;
use crate::counters::Counter;
use crate::cs::Block;
use crate::cs::Scope;
use crate::host::Line;
use crate::inject::InjectError;
use crate::record::Kind;
use crate::record::Place;

use boot::Boot;
use boot::Progress;
use faults::Faults;
use global::Global;
use global::Outcome;
use global::JOB_IRQ_GLOBAL;
use group::Ctl;
use group::Group;
use iface::Hitch;
use iface::Interface;
use layout::csg_in;
use layout::glb_out;
use layout::MAX_GROUPS;
use layout::MAX_STREAMS;

/// MCU_CONTROL: off.
const CONTROL_DISABLE: u32 = 0;
/// MCU_CONTROL: on.
const CONTROL_ENABLE: u32 = 1;
/// MCU_CONTROL: on, and again whenever the power comes back.
const CONTROL_AUTO: u32 = 2;

/// Instructions of one stream before another one has its turn.
const BURST: u32 = 32;
/// Instructions of all streams in one step.
const STEP_BUDGET: u32 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Disabled,
    Booting,
    Running,
    Halted,
    Fatal,
}

/// The processor.
pub struct Mcu {
    control: u32,
    phase: Phase,
    boot: Boot,
    iface: Interface,
    version: u32,
    global: Global,
    groups: [Group; MAX_GROUPS],
    /// Doorbell pages that were written.
    pages: u64,
    /// Where the next round of streams begins.
    turn: usize,
    cores: (u64, u64),
    faults: Faults,
}

impl Mcu {
    /// Misbehaviours: syntax and meaning.
    pub const HELP: &'static [(&'static str, &'static str)] = faults::HELP;

    /// Powered off.
    // No Default: it is too large to be passed around.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            control: CONTROL_DISABLE,
            phase: Phase::Disabled,
            boot: Boot::new(),
            iface: Interface::new(),
            version: 0,
            global: Global::new(),
            groups: [const { Group::new() }; MAX_GROUPS],
            pages: 0,
            turn: 0,
            cores: (0, 0),
            faults: Faults::new(),
        }
    }

    /// Back to power-on state. Misbehaviour stays.
    pub fn reset(&mut self) {
        self.control = CONTROL_DISABLE;
        self.phase = Phase::Disabled;
        self.forget();
        self.cores = (0, 0);
    }

    fn forget(&mut self) {
        self.global.reset();
        for group in &mut self.groups {
            group.reset();
        }
        self.pages = 0;
        self.turn = 0;
    }

    fn enter(&mut self, bus: &mut Bus<'_>, phase: Phase) {
        let before = self.status();
        self.phase = phase;
        if self.status() != before {
            bus.mcu_status_changed();
        }
    }

    fn power(&mut self, bus: &mut Bus<'_>, shaders: u64, tilers: u64) {
        if self.faults.cores_kept && shaders | tilers == 0 {
            return;
        }
        if self.cores != (shaders, tilers) {
            self.cores = (shaders, tilers);
            bus.power_cores(shaders, tilers);
        }
    }

    /// A write to MCU_CONTROL.
    pub fn control(&mut self, bus: &mut Bus<'_>, value: u32) {
        match value {
            CONTROL_DISABLE => {
                self.control = value;
                self.forget();
                self.power(bus, 0, 0);
                self.enter(bus, Phase::Disabled);
            }
            CONTROL_ENABLE | CONTROL_AUTO => {
                self.control = value;
                if self.phase == Phase::Running || self.phase == Phase::Booting {
                    return;
                }
                self.forget();
                self.faults.booting();
                self.boot.start();
                self.enter(bus, Phase::Booting);
                bus.env.host.wake();
            }
            _ => {
                let note = "unknown value of MCU_CONTROL";
                bus.env
                    .record(Kind::McuControl, Place::Mcu, u64::from(value), note);
            }
        }
    }

    /// MCU_CONTROL.
    pub fn control_value(&self) -> u32 {
        self.control
    }

    /// MCU_STATUS.
    pub fn status(&self) -> u32 {
        match self.phase {
            Phase::Disabled => 0,
            Phase::Booting | Phase::Running => 1,
            Phase::Halted => 2,
            Phase::Fatal => 3,
        }
    }

    /// A read of MCU_STATUS. Whoever polls it after a request sees the request served: how often
    /// it is polled does not depend on when the processor had its turn.
    pub fn read_status(&mut self, bus: &mut Bus<'_>) -> u32 {
        if self.phase == Phase::Running && self.global.kick {
            self.step(bus);
            bus.env.host.wake();
        }
        self.status()
    }

    /// A doorbell.
    pub fn doorbell(&mut self, bus: &mut Bus<'_>, page: u32, value: u32) {
        if value != 1 {
            let note = "doorbells are rung by writing 1";
            bus.env
                .record(Kind::Reserved, Place::Mcu, u64::from(value), note);
        }
        if self.phase != Phase::Running {
            return;
        }
        if page == 0 {
            self.global.kick = true;
        } else {
            let known = self.groups.iter().any(|group| {
                group.active
                    && group
                        .streams
                        .iter()
                        .any(|s| s.started && u32::from(s.doorbell) == page)
            });
            if !known {
                let note = "no stream has this doorbell";
                bus.env
                    .record(Kind::DoorbellAbsent, Place::Mcu, u64::from(page), note);
            }
            self.pages |= 1u64.wrapping_shl(page);
        }
        bus.env.host.wake();
    }

    /// An address space was updated.
    pub fn address_space_changed(&mut self, bus: &mut Bus<'_>, as_nr: u8, enabled: bool) {
        if !enabled && self.phase == Phase::Running {
            for group in &mut self.groups {
                if group.active && group.as_nr == as_nr {
                    group.address_space_gone();
                }
            }
        }
        bus.env.host.wake();
    }

    /// Parses a misbehaviour.
    pub fn inject(&mut self, words: &mut SplitAsciiWhitespace<'_>) -> Result<(), InjectError> {
        self.faults.parse(words)
    }

    /// Behaves well again.
    pub fn clear_injections(&mut self) {
        self.faults = Faults::new();
    }

    /// Bounded work.
    pub fn step(&mut self, bus: &mut Bus<'_>) -> Step {
        let result = match self.phase {
            Phase::Disabled | Phase::Halted | Phase::Fatal => return Step::Idle,
            Phase::Booting => return self.step_boot(bus),
            Phase::Running => self.step_run(bus),
        };
        match result {
            Ok(step) => step,
            Err(Hitch::Retry) => Step::Idle,
            Err(Hitch::Crash(va)) => {
                let place = Place::Virtual {
                    as_nr: iface::MCU.as_nr,
                    va,
                };
                bus.env
                    .record(Kind::McuAccess, place, 0, "the firmware lost its memory");
                self.die(bus);
                Step::Idle
            }
        }
    }

    fn die(&mut self, bus: &mut Bus<'_>) {
        self.forget();
        self.power(bus, 0, 0);
        self.enter(bus, Phase::Fatal);
    }

    fn step_boot(&mut self, bus: &mut Bus<'_>) -> Step {
        if self.faults.boot_hang {
            return Step::Idle;
        }
        if self.faults.boot_fatal {
            self.die(bus);
            return Step::Idle;
        }
        match self.boot.step(bus, &mut self.iface) {
            Ok(Progress::More) => Step::Again,
            Ok(Progress::Retry) => Step::Idle,
            Ok(Progress::Done) => {
                self.version = self.boot.version;
                for (group, io) in self.groups.iter_mut().zip(&self.iface.group) {
                    if io.control != 0 && group.booted(bus, io.io).is_err() {
                        return Step::Idle;
                    }
                }
                self.enter(bus, Phase::Running);
                bus.env.count(Counter::McuBoot);
                if self.boot.warm {
                    bus.env.count(Counter::McuResume);
                }
                bus.env.raise(Line::Job, JOB_IRQ_GLOBAL);
                Step::Again
            }
            Err(bad) => {
                let place = Place::Virtual {
                    as_nr: iface::MCU.as_nr,
                    va: bad.va,
                };
                bus.env.record(Kind::McuImage, place, bad.value, bad.note);
                self.die(bus);
                Step::Idle
            }
        }
    }

    fn halt(&mut self, bus: &mut Bus<'_>) -> Result<(), Hitch> {
        if let Some(va) = self.boot.state_word {
            iface::write32(bus, va, boot::HALTED)?;
        }
        iface::write32(bus, self.iface.glb.output + glb_out::HALT_STATUS, 0)?;
        self.forget();
        self.power(bus, 0, 0);
        self.enter(bus, Phase::Halted);
        Ok(())
    }

    fn step_run(&mut self, bus: &mut Bus<'_>) -> Result<Step, Hitch> {
        if self.faults.crash {
            self.faults.crash = false;
            self.die(bus);
            return Ok(Step::Idle);
        }
        let now = bus.env.now;
        if self.global.kick || self.global.late.is_some_and(|t| t <= now) {
            let (rung, outcome) =
                self.global
                    .process(bus, self.iface.glb, self.version, &self.faults)?;
            self.global.kick = false;
            for (index, group) in self.groups.iter_mut().enumerate() {
                group.kick |= rung >> index & 1 != 0;
            }
            if outcome == Outcome::Halt {
                self.halt(bus)?;
                return Ok(Step::Idle);
            }
        }
        self.ring_pages();

        let mut retry = false;
        let mut tolerate = |result: Result<(), Hitch>| match result {
            Err(Hitch::Retry) => {
                retry = true;
                Ok(false)
            }
            Err(crash) => Err(crash),
            Ok(()) => Ok(true),
        };
        let groups = self.iface.groups;
        let streams = self.iface.streams;
        for (group, (io, id)) in self
            .groups
            .iter_mut()
            .zip(self.iface.group.iter().zip(0u8..))
            .take(groups)
        {
            let faults = &mut self.faults;
            let mut ctl = Ctl {
                io,
                id,
                version: self.version,
                streams,
                faults,
            };
            let ignored = ctl.faults.slots_ignored.wrapping_shr(id.into()) & 1 != 0;
            if !ignored && (group.kick || group.late_at().is_some_and(|t| t <= now)) {
                let result = group.process(bus, &mut ctl);
                if tolerate(result)? {
                    group.kick = false;
                }
            }
            let result = group.ask_for_heap(bus, &mut ctl);
            tolerate(result)?;
            let result = group.read_inserts(bus, id);
            tolerate(result)?;
        }
        // Before what has just been started executes anything.
        self.inject_exception();
        self.update_power(bus);
        let result = self.run_streams(bus);
        tolerate(result)?;
        let due = self.finish(bus, &mut tolerate)?;
        Ok(self.next_step(bus, due))
    }

    /// Power for what is on the slots.
    fn update_power(&mut self, bus: &mut Bus<'_>) {
        let mut cores = (0, 0);
        for group in self.groups.iter().filter(|g| g.active) {
            cores.0 |= group.shaders & self.global.core_mask;
            cores.1 |= group.tilers;
        }
        self.power(bus, cores.0, cores.1);
    }

    /// Doorbell pages become marks on their streams.
    fn ring_pages(&mut self) {
        let pages = core::mem::take(&mut self.pages);
        if pages == 0 {
            return;
        }
        for group in self.groups.iter_mut().filter(|g| g.active) {
            for (index, stream) in group.streams.iter().enumerate() {
                let page = u32::from(stream.doorbell);
                if stream.started && page != 0 && pages.wrapping_shr(page) & 1 != 0 {
                    group.rung |= 1 << index;
                }
            }
        }
    }

    fn inject_exception(&mut self) {
        let Some(exception) = self.faults.exception.filter(|e| !e.leaving) else {
            return;
        };
        let index = usize::from(exception.stream);
        let started = |group: &Group| group.streams.get(index).is_some_and(|s| s.started);
        let group = (0..)
            .zip(&mut self.groups)
            .find(|(slot, g)| g.active && exception.is_for(*slot, g.as_nr) && started(g));
        if let Some((_, group)) = group {
            self.faults.exception = None;
            group.fail(index, exception.trouble());
        }
    }

    /// One round over all streams that can run, as far as the budget goes.
    fn run_streams(&mut self, bus: &mut Bus<'_>) -> Result<(), Hitch> {
        let mut left = STEP_BUDGET;
        let slots = MAX_GROUPS * MAX_STREAMS;
        let start = self.turn;
        let mut result = Ok(());
        for offset in 0..slots {
            let slot = (start + offset) % slots;
            let (g, s) = (slot / MAX_STREAMS, slot % MAX_STREAMS);
            let (Some(group), Some(io)) = (self.groups.get_mut(g), self.iface.group.get(g)) else {
                continue;
            };
            let now = bus.env.now;
            let ready = group.active
                && group.streams.get(s).is_some_and(|stream| {
                    stream.started
                        && (stream.stalled
                            || stream.wants_to_run(now)
                            || stream.extract_dirty
                            || stream.deadline().is_some_and(|t| t <= now))
                });
            if !ready {
                continue;
            }
            if left == 0 {
                self.turn = slot;
                return result;
            }
            left -= BURST.min(left);
            let id = u8::try_from(g).unwrap_or(0);
            let streams = self.iface.streams;
            let faults = &mut self.faults;
            let mut ctl = Ctl {
                io,
                id,
                version: self.version,
                streams,
                faults,
            };
            let ran = group.run(bus, &mut ctl, s, BURST);
            // An update happened even if the burst could not be finished.
            if let Some(scope) = group.notify.take() {
                group.sync_updated |= scope == Scope::System;
                self.announce(g, scope);
            }
            match ran {
                Ok(()) => (),
                Err(Hitch::Retry) => result = Err(Hitch::Retry),
                Err(crash) => return Err(crash),
            }
        }
        self.turn = (start + 1) % slots;
        result
    }

    /// Streams that wait for synchronization objects look again.
    fn announce(&mut self, origin: usize, scope: Scope) {
        for (index, group) in self.groups.iter_mut().enumerate() {
            if scope == Scope::System || index == origin {
                for stream in &mut group.streams {
                    stream.recheck |= matches!(stream.block, Block::Sync { .. });
                }
            }
        }
    }

    /// Events, idleness and timers. Returns the next deadline.
    fn finish(
        &mut self,
        bus: &mut Bus<'_>,
        tolerate: &mut dyn FnMut(Result<(), Hitch>) -> Result<bool, Hitch>,
    ) -> Result<Option<u64>, Hitch> {
        let timeout = match self.global.progress_cycles {
            0 => 0,
            cycles => global::cycles_to_ns(bus, cycles),
        };
        let mut due = Step::Idle;
        let mut any = false;
        let mut all_idle = true;
        let groups = self.iface.groups;
        let streams = self.iface.streams;
        for (group, (io, id)) in self
            .groups
            .iter_mut()
            .zip(self.iface.group.iter().zip(0u8..))
            .take(groups)
        {
            if !group.active {
                continue;
            }
            let faults = &mut self.faults;
            let mut ctl = Ctl {
                io,
                id,
                version: self.version,
                streams,
                faults,
            };
            let result = group.report(bus, &mut ctl);
            tolerate(result)?;
            if group.sync_updated && group.extracts_are_written() {
                let bit = csg_in::SYNC_UPDATE;
                let result = events::raise_group(bus, io.io, id, bit, ctl.faults);
                if tolerate(result)? {
                    group.sync_updated = false;
                }
            }
            let result = group.update_idle(bus, &mut ctl);
            tolerate(result)?;
            match group.watch_progress(bus, &mut ctl, timeout) {
                Ok(at) => due = due.sooner(Step::at(at)),
                Err(hitch) => {
                    tolerate(Err(hitch))?;
                }
            }
            any = true;
            all_idle &= group.idle;
        }
        match self
            .global
            .idle(bus, self.iface.glb, any && all_idle, &mut self.faults)
        {
            Ok(at) => due = due.sooner(Step::at(at)),
            Err(hitch) => {
                tolerate(Err(hitch))?;
            }
        }
        Ok(match due {
            Step::Until(at) => Some(at),
            _ => None,
        })
    }

    fn next_step(&self, bus: &Bus<'_>, due: Option<u64>) -> Step {
        let mut step = Step::at(due).sooner(Step::at(self.global.late));
        for group in &self.groups {
            step = step.sooner(Step::at(group.late_at()));
            if !group.active {
                continue;
            }
            for stream in group.streams.iter().filter(|s| s.started) {
                if stream.wants_to_run(bus.env.now) {
                    return Step::Again;
                }
                if !stream.stalled {
                    step = step.sooner(Step::at(stream.deadline()));
                }
            }
        }
        match step {
            Step::Until(at) if at <= bus.env.now => Step::Again,
            other => other,
        }
    }
}
