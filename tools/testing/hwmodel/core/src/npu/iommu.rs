// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The IOMMU of a core: one or two banks of registers, each with its own translation cache.
//!
//! A bank translates for some of the core's units. All banks have to be set up alike; where there
//! are two, the first serves command lists, results and operands, the second what the convolution
//! reads.

use super::CoreId;
use super::NpuEnv;
use crate::counters::Counter;
use crate::record::Kind;
use crate::record::Place;

mod tables;
mod tlb;

pub use self::tables::Version;
use self::tlb::Tlb;

/// STATUS.
pub mod status {
    /// Addresses are translated.
    pub const PAGING: u32 = 1 << 0;
    /// A fault waits for PAGE_FAULT_DONE.
    pub const FAULT: u32 = 1 << 1;
    /// Accesses wait.
    pub const STALL: u32 = 1 << 2;
    /// There is no access under way.
    pub const IDLE: u32 = 1 << 3;
    /// Nothing waits to be repeated.
    pub const REPLAY_EMPTY: u32 = 1 << 4;
    /// The access that faulted was a write.
    pub const FAULT_WRITE: u32 = 1 << 5;
}

/// Bits of the interrupt registers.
pub mod irq {
    /// An address did not translate.
    pub const PAGE_FAULT: u32 = 1;
    /// A table could not be read.
    pub const BUS_ERROR: u32 = 2;
}

/// AUTO_GATING after a reset.
const GATING: u32 = 0x8000_0003;

/// Who accesses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Master {
    /// The program controller, the DPU and its read DMA.
    Control,
    /// The convolution's features and weights.
    Feature,
}

/// Why an access was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It waits: the bank is stalled or has a fault pending. To be tried again.
    Wait,
    /// It, or the one before that had to wait, ended with a bus error.
    Error {
        /// Whether it was a write.
        write: bool,
    },
}

struct Fault {
    write: bool,
}

struct Bank {
    dte: u32,
    paging: bool,
    stalled: bool,
    fault: Option<Fault>,
    /// PAGE_FAULT_DONE ended the access that faulted, and its core is about to learn so.
    terminated: Option<Fault>,
    fault_address: u32,
    rawstat: u32,
    mask: u32,
    gating: u32,
    tlb: Tlb,
    /// Commands still to be ignored.
    stuck: u32,
}

impl Bank {
    const fn new() -> Self {
        Self {
            dte: 0,
            paging: false,
            stalled: false,
            fault: None,
            terminated: None,
            fault_address: 0,
            rawstat: 0,
            mask: 0,
            gating: GATING,
            tlb: Tlb::new(),
            stuck: 0,
        }
    }

    fn reset(&mut self) {
        let stuck = self.stuck;
        *self = Self::new();
        self.stuck = stuck;
    }

    fn status(&self, live: bool) -> u32 {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        bit(self.paging, status::PAGING)
            | bit(self.fault.is_some(), status::FAULT)
            | bit(self.stalled, status::STALL)
            | bit(!live || self.stalled, status::IDLE)
            | status::REPLAY_EMPTY
            | bit(
                self.fault.as_ref().is_some_and(|f| f.write),
                status::FAULT_WRITE,
            )
    }

    fn fail(&mut self, env: &mut NpuEnv<'_>, iova: u32, write: bool, event: u32) -> Refused {
        self.fault = Some(Fault { write });
        self.fault_address = iova;
        self.rawstat |= event;
        env.count(Counter::IommuFault);
        Refused::Wait
    }
}

/// The IOMMU.
pub struct Iommu {
    core: CoreId,
    version: Version,
    banks: [Bank; 2],
    count: usize,
    /// The page whose next access faults.
    injected: Option<u32>,
}

impl Iommu {
    pub(super) const fn new(core: CoreId, version: Version, count: usize) -> Self {
        Self {
            core,
            version,
            banks: [Bank::new(), Bank::new()],
            count,
            injected: None,
        }
    }

    pub(super) fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    fn used(&self) -> impl Iterator<Item = &Bank> {
        self.banks.iter().take(self.count)
    }

    pub(super) fn reset(&mut self) {
        for bank in &mut self.banks {
            bank.reset();
        }
    }

    /// Pending interrupts that are not masked, of all banks.
    pub(super) fn pending(&self) -> u32 {
        self.used().fold(0, |all, b| all | (b.rawstat & b.mask))
    }

    /// Whether any bank keeps accesses waiting.
    pub(super) fn is_waiting(&self) -> bool {
        self.used().any(|b| b.stalled || b.fault.is_some())
    }

    /// Whether any bank translates.
    fn is_translating(&self) -> bool {
        self.used().any(|b| b.paging)
    }

    /// A task starts: what must be true of the banks then.
    pub(super) fn check(&self, env: &mut NpuEnv<'_>) {
        let mut banks = self.used();
        let Some(first) = banks.next() else {
            return;
        };
        let place = Place::Iova {
            core: self.core,
            iova: 0,
        };
        if banks.any(|b| (b.dte, b.paging, b.mask) != (first.dte, first.paging, first.mask)) {
            let note = "banks differ";
            env.record(Kind::IommuConfig, place, u64::from(first.dte), note);
        }
    }

    pub(super) fn read(
        &self,
        env: &mut NpuEnv<'_>,
        bank: usize,
        reg: (u32, u32),
        live: bool,
    ) -> u32 {
        let (reg, off) = reg;
        let place = Place::NpuRegister {
            core: self.core,
            off,
        };
        let Some(bank) = self.banks.get(bank) else {
            return 0;
        };
        match reg {
            0x00 => bank.dte,
            0x04 => bank.status(live),
            0x0c => bank.fault_address,
            0x14 => bank.rawstat,
            0x1c => bank.mask,
            0x20 => bank.rawstat & bank.mask,
            0x24 => bank.gating,
            0x08 | 0x10 | 0x18 => {
                env.record(Kind::WriteOnly, place, 0, "");
                0
            }
            _ => {
                env.record(Kind::Hole, place, 0, "read");
                0
            }
        }
    }

    /// A register write. `live` tells whether the core runs a task.
    pub(super) fn write(
        &mut self,
        env: &mut NpuEnv<'_>,
        bank: usize,
        (reg, off): (u32, u32),
        value: u32,
        live: bool,
    ) {
        let place = Place::NpuRegister {
            core: self.core,
            off,
        };
        let version = self.version;
        let was = self.is_translating();
        let Some(bank) = self.banks.get_mut(bank) else {
            return;
        };
        match reg {
            0x00 => {
                if live && !bank.stalled {
                    env.record(Kind::IommuLive, place, u64::from(value), "DTE_ADDR");
                }
                if tables::is_valid(value) {
                    env.count(Counter::IommuTable);
                }
                bank.dte = value;
            }
            0x08 => Self::command(env, bank, version, place, value, live),
            0x10 => {
                env.count(Counter::IommuZap);
                bank.tlb.drop_page(value);
            }
            0x18 => bank.rawstat &= !value,
            0x1c => bank.mask = value,
            0x24 => bank.gating = value,
            0x04 | 0x0c | 0x14 | 0x20 => {
                env.record(Kind::ReadOnly, place, u64::from(value), "");
            }
            _ => env.record(Kind::Hole, place, u64::from(value), "write"),
        }
        match (was, self.is_translating()) {
            (false, true) => env.count(Counter::IommuAttach),
            (true, false) => env.count(Counter::IommuDetach),
            _ => (),
        }
    }

    fn command(
        env: &mut NpuEnv<'_>,
        bank: &mut Bank,
        version: Version,
        place: Place,
        command: u32,
        live: bool,
    ) {
        if bank.stuck > 0 {
            bank.stuck -= 1;
            return;
        }
        match command {
            // ENABLE_PAGING
            0 => {
                if !tables::is_valid(bank.dte) || version.reserved(bank.dte) {
                    let note = "paging without a table";
                    env.record(Kind::IommuConfig, place, u64::from(bank.dte), note);
                }
                if !bank.paging {
                    env.count(Counter::IommuEnable);
                }
                bank.paging = true;
            }
            // DISABLE_PAGING
            1 => {
                if live {
                    env.record(Kind::IommuLive, place, 1, "DISABLE_PAGING");
                }
                if bank.paging {
                    env.count(Counter::IommuDisable);
                }
                bank.paging = false;
            }
            // ENABLE_STALL
            2 => {
                if bank.paging && bank.fault.is_none() {
                    bank.stalled = true;
                } else {
                    let note = "stall without paging or with a fault pending";
                    env.record(Kind::IommuCommand, place, 2, note);
                }
            }
            // DISABLE_STALL
            3 => bank.stalled = false,
            // ZAP_CACHE
            4 => {
                env.count(Counter::IommuZap);
                bank.tlb.clear();
            }
            // PAGE_FAULT_DONE
            5 => {
                let fault = bank.fault.take();
                bank.terminated = fault.filter(|_| live);
            }
            // FORCE_RESET
            6 => {
                if live {
                    env.record(Kind::IommuLive, place, 6, "FORCE_RESET");
                }
                bank.reset();
            }
            _ => env.record(Kind::IommuCommand, place, u64::from(command), "unknown"),
        }
    }

    /// Translates the address of an access that lies in one page.
    pub(super) fn translate(
        &mut self,
        env: &mut NpuEnv<'_>,
        master: Master,
        iova: u32,
        write: bool,
    ) -> Result<u64, Refused> {
        let core = self.core;
        let version = self.version;
        let bank = match (master, &mut self.banks) {
            (Master::Feature, [_, second]) if self.count == 2 => second,
            (_, [first, _]) => first,
        };
        if let Some(Fault { write }) = bank.terminated.take() {
            return Err(Refused::Error { write });
        }
        if bank.stalled || bank.fault.is_some() {
            return Err(Refused::Wait);
        }
        let place = Place::Iova { core, iova };
        if !bank.paging {
            env.record(Kind::NpuBypass, place, u64::from(write), "");
            return Err(Refused::Error { write });
        }
        if self.injected == Some(iova & !0xfff) {
            self.injected = None;
            return Err(bank.fail(env, iova, write, irq::PAGE_FAULT));
        }
        let entry = match bank.tlb.find(iova) {
            Some(entry) => {
                match entry.source_now(env) {
                    Some(now) if now == entry.raw => (),
                    now => {
                        let now = u64::from(now.unwrap_or(0));
                        let note = "a translation was used after its table entry changed";
                        env.record(Kind::StaleTlb, place, now, note);
                    }
                }
                entry
            }
            None => {
                env.count(Counter::IommuFill);
                match tables::walk(env, version, bank.dte, place, iova) {
                    Ok(Some(entry)) => {
                        bank.tlb.keep(entry);
                        entry
                    }
                    Ok(None) => return Err(bank.fail(env, iova, write, irq::PAGE_FAULT)),
                    Err(_) => return Err(bank.fail(env, iova, write, irq::BUS_ERROR)),
                }
            }
        };
        if !entry.permits(write) {
            return Err(bank.fail(env, iova, write, irq::PAGE_FAULT));
        }
        Ok(entry.output(iova))
    }

    pub(super) fn inject_fault(&mut self, iova: u32) {
        self.injected = Some(iova & !0xfff);
    }

    pub(super) fn inject_stuck(&mut self, count: u32) {
        for bank in &mut self.banks {
            bank.stuck = count;
        }
    }

    pub(super) fn clear_injections(&mut self) {
        self.injected = None;
        for bank in &mut self.banks {
            bank.stuck = 0;
        }
    }
}
