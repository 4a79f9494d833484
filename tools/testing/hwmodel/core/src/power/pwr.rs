// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The PWR block of architecture 14, instead of the power registers and the reset command of
//! GPU_CONTROL: commands for one domain each, of which the CPU gives those of the cores to the MCU.

use core::fmt;

use super::Block;
use super::Power;
use crate::bits::half;
use crate::bits::set_half;
use crate::bus::Env;
use crate::gpu_control::Event;
use crate::gpu_control::GpuControl;
use crate::inject::due;
use crate::inject::NEVER;
use crate::irq::Source;
use crate::record::Kind;
use crate::record::Place;

/// PWR_IRQ: one transition is complete.
pub(super) const IRQ_POWER_CHANGED_SINGLE: u32 = 1 << 0;
/// PWR_IRQ: all transitions are complete.
pub(super) const IRQ_POWER_CHANGED_ALL: u32 = 1 << 1;
/// PWR_IRQ: a domain has another owner.
const IRQ_DELEGATION_CHANGED: u32 = 1 << 2;
/// PWR_IRQ: a reset is complete.
pub const IRQ_RESET_COMPLETED: u32 = 1 << 3;
/// PWR_IRQ: a domain is the CPU's again.
const IRQ_RETRACT_COMPLETED: u32 = 1 << 4;
/// PWR_IRQ: an INSPECT is complete.
const IRQ_INSPECT_COMPLETED: u32 = 1 << 5;
/// PWR_IRQ: a command was refused.
const IRQ_COMMAND_NOT_ALLOWED: u32 = 1 << 30;
/// PWR_IRQ: a command makes no sense.
const IRQ_COMMAND_INVALID: u32 = 1 << 31;

/// PWR_STATUS: a soft reset and a fast reset are allowed.
const STATUS_ALLOW_RESETS: u64 = 3 << 33;
/// PWR_STATUS: a power command is in progress.
const STATUS_POWER_PENDING: u64 = 1 << 41;
/// PWR_STATUS: a reset is in progress.
const STATUS_RESET_PENDING: u64 = 1 << 42;
/// PWR_STATUS: a RETRACT is in progress.
const STATUS_RETRACT_PENDING: u64 = 1 << 43;
/// PWR_STATUS: from a domain's permission to its delegation.
const STATUS_DELEGATED_SHIFT: u32 = 16;

const COMMAND_POWER_UP: u8 = 0x10;
const COMMAND_POWER_DOWN: u8 = 0x11;
const COMMAND_DELEGATE: u8 = 0x20;
const COMMAND_RETRACT: u8 = 0x21;
const COMMAND_RESET_SOFT: u8 = 0x31;
const COMMAND_RESET_FAST: u8 = 0x32;
const COMMAND_INSPECT: u8 = 0xf0;

/// Subdomain of the shader cores: their ray units.
const SUBDOMAIN_RAY_UNITS: u8 = 1;

/// How long a domain takes to change hands.
const HANDOVER_NS: u64 = 2_000;

/// Commands that are kept for those who want to know in which order they came; further ones are not.
const LOGGED: usize = 64;

/// Offset of PWR_STATUS.
pub(crate) const STATUS: u32 = 0x820;
const COMMAND: u32 = 0x828;
const ARGUMENT: u32 = 0x830;

/// Numbers of the domains, in commands and in PWR_STATUS.
const fn number(block: Block) -> u32 {
    match block {
        Block::L2 => 0,
        Block::Tiler => 1,
        Block::Shader => 8,
    }
}

fn domain(nr: u8) -> Option<Block> {
    [Block::L2, Block::Tiler, Block::Shader]
        .into_iter()
        .find(|&block| number(block) == u32::from(nr))
}

/// Registers of the block from 0x820 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// PWR_STATUS.
    Status,
    /// PWR_COMMAND.
    Command,
    /// PWR_CMDARG.
    Argument,
    /// What exists of a domain.
    Present(Block),
    /// What is on.
    Ready(Block),
    /// What is in transition.
    Trans(Block),
    /// What is on and busy.
    Active(Block),
    /// Of the domains that everything else hangs off, which are on whenever the block answers.
    Fixed(u64),
}

/// Register of an offset; bit 2 selects the half of those that have two.
pub fn decode(off: u32) -> Option<Register> {
    let off = off & !4;
    let block = match off & !0x3f {
        0x900 => Block::L2,
        0x940 => Block::Tiler,
        0xa00 => Block::Shader,
        _ => {
            return match off {
                STATUS => Some(Register::Status),
                COMMAND => Some(Register::Command),
                ARGUMENT => Some(Register::Argument),
                // PRESENT and READY of the base domain.
                0xb80 | 0xb88 => Some(Register::Fixed(1)),
                // Its transitions and activity, and the shader stacks, which are no domain of
                // their own.
                0xb90 | 0xb98 | 0xbc0 | 0xbc8 | 0xbd0 => Some(Register::Fixed(0)),
                _ => None,
            };
        }
    };
    match off & 0x3f {
        0x00 => Some(Register::Present(block)),
        0x08 => Some(Register::Ready(block)),
        0x10 => Some(Register::Trans(block)),
        0x18 => Some(Register::Active(block)),
        _ => None,
    }
}

/// Whose a domain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Cpu,
    Mcu,
    /// On its way to the MCU, at this time.
    ToMcu(u64),
    /// On its way back.
    ToCpu(u64),
}

/// The block's own state.
pub(super) struct Pwr {
    argument: u64,
    tiler: Owner,
    shader: Owner,
    /// A power command of the CPU is in progress.
    commanded: bool,
    /// Changes of ownership that shall hang.
    hangs: u32,
    /// The command that shall be refused, counted from the next one; 0 for none.
    refused: u32,
    /// The commands, oldest first, each with whether it was refused.
    log: [(u32, bool); LOGGED],
    logged: usize,
}

impl Pwr {
    pub(super) const fn new() -> Self {
        Self {
            argument: 0,
            tiler: Owner::Cpu,
            shader: Owner::Cpu,
            commanded: false,
            hangs: 0,
            refused: 0,
            log: [(0, false); LOGGED],
            logged: 0,
        }
    }

    /// To the state after a reset. What shall go wrong stays.
    pub(super) fn reset(&mut self) {
        self.argument = 0;
        self.tiler = Owner::Cpu;
        self.shader = Owner::Cpu;
        self.commanded = false;
    }

    fn owner(&self, block: Block) -> Owner {
        match block {
            Block::L2 => Owner::Cpu,
            Block::Tiler => self.tiler,
            Block::Shader => self.shader,
        }
    }

    fn owner_mut(&mut self, block: Block) -> Option<&mut Owner> {
        match block {
            Block::L2 => None,
            Block::Tiler => Some(&mut self.tiler),
            Block::Shader => Some(&mut self.shader),
        }
    }

    /// Whether the MCU may switch the cores.
    pub(super) fn is_delegated(&self, block: Block) -> bool {
        self.owner(block) == Owner::Mcu
    }

    fn is_changing_hands(&self) -> bool {
        [self.tiler, self.shader]
            .into_iter()
            .any(|owner| matches!(owner, Owner::ToMcu(_) | Owner::ToCpu(_)))
    }

    /// When a domain changes hands next.
    pub(super) fn deadline(&self) -> Option<u64> {
        [self.tiler, self.shader]
            .into_iter()
            .filter_map(|owner| match owner {
                Owner::ToMcu(due) | Owner::ToCpu(due) if due != NEVER => Some(due),
                _ => None,
            })
            .min()
    }

    pub(super) fn inject_hangs(&mut self, n: u32) {
        self.hangs = n;
    }

    pub(super) fn inject_refusal(&mut self, n: u32) {
        self.refused = n;
    }

    /// Notes a command, and whether it shall be refused.
    fn note(&mut self, value: u32) -> bool {
        let refused = self.refused == 1;
        self.refused = self.refused.saturating_sub(1);
        if let Some(entry) = self.log.get_mut(self.logged) {
            *entry = (value, refused);
            self.logged += 1;
        }
        refused
    }

    /// A line for each command: what and for what, after `!` if it was refused on request.
    pub(super) fn show_log(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for (value, refused) in self.log.iter().take(self.logged) {
            let [command, nr, ..] = value.to_le_bytes();
            let mark = if *refused { "!" } else { "" };
            let what = match command {
                COMMAND_POWER_UP => "up",
                COMMAND_POWER_DOWN => "down",
                COMMAND_DELEGATE => "delegate",
                COMMAND_RETRACT => "retract",
                COMMAND_RESET_SOFT | COMMAND_RESET_FAST => "reset",
                COMMAND_INSPECT => "inspect",
                _ => "unknown",
            };
            let domain = match (command, domain(nr)) {
                (COMMAND_RESET_SOFT | COMMAND_RESET_FAST | COMMAND_INSPECT, _) => "",
                (_, Some(Block::L2)) => " l2",
                (_, Some(Block::Tiler)) => " tiler",
                (_, Some(Block::Shader)) => " shader",
                (_, None) => " unknown",
            };
            writeln!(out, "{mark}{what}{domain}")?;
        }
        Ok(())
    }

    pub(super) fn clear_log(&mut self) {
        self.logged = 0;
    }

    /// What hung goes on from now.
    pub(super) fn clear_injections(&mut self, now: u64) {
        self.hangs = 0;
        self.refused = 0;
        for owner in [&mut self.tiler, &mut self.shader] {
            if let Owner::ToMcu(due @ NEVER) | Owner::ToCpu(due @ NEVER) = owner {
                *due = now;
            }
        }
    }
}

impl Power {
    /// PWR_STATUS.
    fn pwr_status(&self, in_reset: bool) -> u64 {
        let mut status = 0;
        for block in [Block::L2, Block::Tiler, Block::Shader] {
            let bit = 1u64 << number(block);
            match self.pwr.owner(block) {
                // Without the L2 nothing can be done with the cores.
                Owner::Cpu if !in_reset && (block == Block::L2 || self.l2_ready()) => status |= bit,
                Owner::Mcu | Owner::ToCpu(_) => status |= bit << STATUS_DELEGATED_SHIFT,
                Owner::Cpu | Owner::ToMcu(_) => (),
            }
            if let Owner::ToCpu(_) = self.pwr.owner(block) {
                status |= STATUS_RETRACT_PENDING;
            }
        }
        if self.pwr.commanded {
            status |= STATUS_POWER_PENDING;
        }
        status
            | if in_reset {
                STATUS_RESET_PENDING
            } else {
                STATUS_ALLOW_RESETS
            }
    }

    /// A read.
    pub(crate) fn pwr_read(
        &self,
        env: &mut Env<'_>,
        off: u32,
        register: Register,
        in_reset: bool,
    ) -> u32 {
        let value = match register {
            Register::Status => self.pwr_status(in_reset),
            Register::Command => {
                env.record(Kind::WriteOnly, Place::Register(off), 0, "PWR_COMMAND");
                0
            }
            Register::Argument => self.pwr.argument,
            Register::Present(block) => self.domain(block).present,
            Register::Ready(block) => self.domain(block).ready & !self.domain(block).falling,
            Register::Trans(block) => self.domain(block).moving(),
            Register::Active(_) => 0,
            Register::Fixed(value) => value,
        };
        half(value, off)
    }

    /// A write. `runs` tells whether the MCU is enabled.
    pub(crate) fn pwr_write(
        &mut self,
        env: &mut Env<'_>,
        gpu: &mut GpuControl,
        (off, value): (u32, u32),
        register: Register,
        runs: bool,
    ) -> Option<Event> {
        let place = Place::Register(off);
        match register {
            Register::Command if off & 4 == 0 => self.pwr_command(env, gpu, value, runs),
            Register::Command => {
                env.record(Kind::Hole, place, u64::from(value), "write");
                None
            }
            Register::Argument => {
                set_half(&mut self.pwr.argument, off, value);
                None
            }
            _ => {
                env.record(Kind::ReadOnly, place, u64::from(value), "");
                None
            }
        }
    }

    fn refuse(env: &mut Env<'_>, kind: Kind, value: u32, note: &'static str) {
        env.record(kind, Place::Register(COMMAND), u64::from(value), note);
        env.raise(Source::Pwr, IRQ_COMMAND_NOT_ALLOWED);
    }

    fn pwr_command(
        &mut self,
        env: &mut Env<'_>,
        gpu: &mut GpuControl,
        value: u32,
        runs: bool,
    ) -> Option<Event> {
        let refused = self.pwr.note(value);
        let [command, nr, subdomain, rest] = value.to_le_bytes();
        let block = domain(nr);
        let rays = gpu.product().has_ray_units();
        let known = match command {
            COMMAND_POWER_UP | COMMAND_POWER_DOWN => {
                block.is_some()
                    && (subdomain == 0
                        || subdomain == SUBDOMAIN_RAY_UNITS && rays && block == Some(Block::Shader))
            }
            COMMAND_DELEGATE | COMMAND_RETRACT => block.is_some() && subdomain == 0,
            COMMAND_RESET_SOFT | COMMAND_RESET_FAST | COMMAND_INSPECT => nr == 0 && subdomain == 0,
            _ => false,
        };
        if !known || rest != 0 {
            let place = Place::Register(COMMAND);
            env.record(Kind::UnknownCommand, place, u64::from(value), "PWR_COMMAND");
            env.raise(Source::Pwr, IRQ_COMMAND_INVALID);
            return None;
        }
        if refused {
            env.raise(Source::Pwr, IRQ_COMMAND_NOT_ALLOWED);
            return None;
        }
        match (command, block) {
            (COMMAND_RESET_SOFT | COMMAND_RESET_FAST, _) => {
                return gpu.begin_reset(env, Place::Register(COMMAND), value);
            }
            (COMMAND_INSPECT, _) => env.raise(Source::Pwr, IRQ_INSPECT_COMPLETED),
            (_, None) => (),
            (COMMAND_DELEGATE | COMMAND_RETRACT, Some(block)) => {
                self.hand_over(env, value, block, command == COMMAND_DELEGATE);
            }
            (_, Some(block)) => {
                let on = command == COMMAND_POWER_UP;
                if !on && rays && block == Block::Shader && subdomain == 0 {
                    let note = "shader cores off without their ray units";
                    Self::refuse(env, Kind::PowerOrder, value, note);
                } else {
                    self.switch(env, value, block, on, runs);
                }
            }
        }
        None
    }

    /// DELEGATE and RETRACT.
    fn hand_over(&mut self, env: &mut Env<'_>, value: u32, block: Block, to_mcu: bool) {
        if self.pwr.is_changing_hands() {
            let note = "a domain is still changing hands";
            return Self::refuse(env, Kind::CommandBusy, value, note);
        }
        let moves = self.domain(block).moving() != 0;
        let l2 = self.l2_ready();
        let right = match self.pwr_owner(block) {
            Some(Owner::Cpu) => to_mcu && l2 && !moves,
            Some(Owner::Mcu) => !to_mcu,
            _ => false,
        };
        if !right {
            let note = "change of hands";
            return Self::refuse(env, Kind::PwrNotAllowed, value, note);
        }
        let due = due(env.now, HANDOVER_NS, &mut self.pwr.hangs);
        if let Some(owner) = self.pwr.owner_mut(block) {
            *owner = if to_mcu {
                Owner::ToMcu(due)
            } else {
                Owner::ToCpu(due)
            };
        }
        env.host.wake();
    }

    /// POWER_UP and POWER_DOWN.
    fn switch(&mut self, env: &mut Env<'_>, value: u32, block: Block, on: bool, runs: bool) {
        let mask = self.pwr.argument;
        if self.pwr.owner(block) != Owner::Cpu {
            let note = "the CPU switches a domain of the MCU";
            return Self::refuse(env, Kind::PwrDelegation, value, note);
        }
        let place = Place::Register(COMMAND);
        if mask & !self.domain(block).present != 0 {
            env.record(Kind::AbsentCore, place, mask, "");
        }
        if self.domain(block).moving() != 0 {
            return Self::refuse(env, Kind::PowerBusy, value, "");
        }
        let cores =
            (self.shader.ready & !self.shader.falling) | (self.tiler.ready & !self.tiler.falling);
        match block {
            Block::L2 if !on && runs => {
                let note = "L2 off under the running MCU";
                return Self::refuse(env, Kind::PowerOrder, value, note);
            }
            Block::L2 if !on && cores != 0 => {
                let note = "L2 off under powered cores";
                return Self::refuse(env, Kind::PowerOrder, value, note);
            }
            Block::Shader | Block::Tiler if on && !self.l2_ready() => {
                return Self::refuse(env, Kind::PowerOrder, value, "cores on without L2");
            }
            _ => (),
        }
        self.request(env, block, mask, on);
        self.pwr.commanded = self.domain(block).moving() != 0;
    }

    /// Whose a domain is that can be given away.
    fn pwr_owner(&self, block: Block) -> Option<Owner> {
        match block {
            Block::L2 => None,
            _ => Some(self.pwr.owner(block)),
        }
    }

    /// Ends what is due.
    pub(super) fn pwr_advance(&mut self, env: &mut Env<'_>) {
        for block in [Block::Tiler, Block::Shader] {
            let Some(owner) = self.pwr.owner_mut(block) else {
                continue;
            };
            match *owner {
                Owner::ToMcu(due) if env.now >= due => {
                    *owner = Owner::Mcu;
                    env.raise(Source::Pwr, IRQ_DELEGATION_CHANGED);
                }
                Owner::ToCpu(due) if env.now >= due => {
                    *owner = Owner::Cpu;
                    let bits = IRQ_DELEGATION_CHANGED | IRQ_RETRACT_COMPLETED;
                    env.raise(Source::Pwr, bits);
                }
                _ => (),
            }
        }
        self.pwr.commanded &= [Block::L2, Block::Tiler, Block::Shader]
            .into_iter()
            .any(|block| self.pwr.owner(block) == Owner::Cpu && self.domain(block).moving() != 0);
    }

    /// What the MCU asks for of a domain, as far as it may.
    pub(super) fn mcu_may(&self, env: &mut Env<'_>, block: Block, cores: u64) -> bool {
        if !self.has_pwr || self.pwr.is_delegated(block) {
            return true;
        }
        if cores != 0 {
            let note = "the MCU switches a domain that is not its own";
            env.record(Kind::PwrDelegation, Place::Mcu, cores, note);
        }
        false
    }
}
