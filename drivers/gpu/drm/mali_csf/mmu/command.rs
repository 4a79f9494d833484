// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Commands to address spaces.
//!
//! # Locking
//!
//! The caller holds `slots`.
//!
//! # Ordering
//!
//! An address space takes one command at a time; different ones work on theirs side by side. What was
//! written to its registers takes effect with the command [`Command::Update`].
//!
//! # Blocking
//!
//! The end of a command is polled for, at first without sleeping, for at most [`TIMEOUT`].

use kernel::{
    io::{
        poll::read_poll_timeout_atomic,
        Io as _, //
    },
    prelude::*,
    time::Delta, //
};

use super::{
    slots::AsSlot,
    Mmu,
    State, //
};
use crate::regs::{
    self,
    mmu::*,
    Hw, //
};

/// Longest time that a command may take: far more than it needs, as there is nothing better to do with a
/// GPU that is late than to wait.
const TIMEOUT: Delta = Delta::from_secs(1);

/// How often the state of a command is looked at without giving the CPU away, a microsecond each: it
/// takes a few, which is less than a task needs to fall asleep and to wake up.
const SPINS: usize = 20;

/// How often after that; long enough that the CPU is given away meanwhile.
const POLL: Delta = Delta::from_micros(20);

impl Mmu {
    /// Waits until the slot takes a command.
    fn wait_ready(&self, hw: &Hw<'_>, slot: AsSlot) -> Result {
        let read = || Ok(hw.read(regs::at::<AS_STATUS>(slot.index())?));
        let done = |status: &AS_STATUS| !status.active();

        match read_poll_timeout_atomic(read, done, Delta::from_micros(1), SPINS) {
            Err(err) if err == ETIMEDOUT => regs::poll(read, done, POLL, TIMEOUT),
            result => result,
        }
        .inspect_err(|_| {
            dev_err!(self.dev, "AS {} is stuck in a command\n", slot.index());
        })?;
        Ok(())
    }

    /// One that does not end keeps the slot from being used until there was a reset.
    fn noted(&self, state: &mut State, slot: AsSlot, done: Result) -> Result {
        if done.is_err() {
            state.hw(slot)?.stuck = true;
            self.gpu.require_reset();
        }
        done
    }

    /// Gives a command, once the one before it is done.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`.
    pub(super) fn give(
        &self,
        state: &mut State,
        hw: &Hw<'_>,
        slot: AsSlot,
        command: Command,
    ) -> Result {
        if state.hw(slot)?.stuck {
            return Err(ETIMEDOUT);
        }
        let ready = self.wait_ready(hw, slot);
        self.noted(state, slot, ready)?;
        hw.write(regs::at(slot.index())?, AS_COMMAND::from(command));
        Ok(())
    }

    /// Waits until the command that was given is done.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`.
    pub(super) fn finish(&self, state: &mut State, hw: &Hw<'_>, slot: AsSlot) -> Result {
        let done = self.wait_ready(hw, slot);
        self.noted(state, slot, done)
    }

    /// Gives a command and waits until it is done.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`.
    pub(super) fn command(
        &self,
        state: &mut State,
        hw: &Hw<'_>,
        slot: AsSlot,
        command: Command,
    ) -> Result {
        self.give(state, hw, slot, command)?;
        self.finish(state, hw, slot)
    }

    /// Tells the slot to translate nothing any more; to be [finished](Self::finish).
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`.
    pub(super) fn unmap(&self, state: &mut State, hw: &Hw<'_>, slot: AsSlot) -> Result {
        let n = slot.index();

        hw.write(regs::at(n)?, AS_TRANSTAB_LO::zeroed());
        hw.write(regs::at(n)?, AS_TRANSTAB_HI::zeroed());
        hw.write(regs::at(n)?, AS_MEMATTR_LO::zeroed());
        hw.write(regs::at(n)?, AS_MEMATTR_HI::zeroed());
        let unmapped = AS_TRANSCFG_LO::zeroed().with_const_mode::<1>();
        hw.write(regs::at(n)?, unmapped);
        hw.write(regs::at(n)?, AS_TRANSCFG_HI::zeroed());
        state.hw(slot)?.enabled = false;
        self.give(state, hw, slot, Command::Update)
    }
}
