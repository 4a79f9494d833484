// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Address spaces: which VM is in which slot, and the commands that keep the GPU's view of a page
//! table in step with its contents.
//!
//! # Locking
//!
//! `slots` is a mutex over the owner of each slot, over what the hardware in that slot does
//! ([`SlotHw`]), and over all writes to address space registers. A VM's own lock is taken before it;
//! the lock of cache flushes inside. [`Space::slot`] is written under `slots` only and may be read
//! without it, where a stale answer does no harm.
//!
//! # Ordering
//!
//! A change of a page table is bracketed by [`Mmu::lock_region`], which holds back the GPU's accesses
//! to the region and forgets its translations, and [`Mmu::unlock_region`], which first flushes what
//! the GPU has cached through the old translations. A slot is given to another VM only after a flush.
//! Table pages and memory are freed after the unlock. A fault stays known until all who used the slot then
//! are gone: before that nobody else may use it, so that it is never forgotten, nor somebody else's.
//!
//! # Blocking
//!
//! Commands are polled for, in bounded time; a flush that takes long waits for the GPU's interrupt thread,
//! which takes none of the locks here. The MMU's own interrupt thread takes `slots`, so that nothing here
//! waits for it with `slots` held.

use kernel::{
    device,
    io::Io as _,
    new_mutex, new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            AtomicFlag,
            Release, //
        },
        Arc,
        Mutex,
        SetOnce,
        SpinLock, //
    },
};
use soc::wq::Workqueue;

use crate::{
    gpu,
    irq::{
        Events,
        Line, //
    },
    regs::{
        self,
        irq::Block as IntBlock,
        mmu::*,
        Regs, //
    },
    sched::Scheduler,
};

mod command;
pub(crate) mod fault;
pub(crate) mod region;
pub(crate) mod slots;

use fault::Fault;
use region::LockRegion;
pub(crate) use slots::AsSlot;
use slots::{
    Pick,
    Slots,
    MAX_SLOTS, //
};

/// Value of [`Space::slot`] without a slot.
const NO_SLOT: i32 = -1;

/// What goes into an address space's registers.
#[derive(Clone, Copy)]
pub(crate) struct Translation {
    /// TRANSTAB: root of the page table.
    pub(crate) transtab: u64,
    /// MEMATTR.
    pub(crate) memattr: u64,
    /// Bits of an address.
    pub(crate) va_bits: u32,
}

/// The address space of one VM, in a slot or not.
pub(crate) struct Space {
    for_mcu: bool,
    /// Once there is a page table.
    translation: SetOnce<Translation>,
    slot: Atomic<i32>,
    fault: AtomicFlag,
    fault_address: Atomic<u64>,
}

impl Space {
    /// An address space without a slot. `for_mcu`: it goes into slot 0 and nowhere else.
    pub(crate) fn new(for_mcu: bool) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                for_mcu,
                translation: SetOnce::new(),
                slot: Atomic::new(NO_SLOT),
                fault: AtomicFlag::new(false),
                fault_address: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }

    /// It has a page table from now on. Only the first call has an effect.
    pub(crate) fn set_translation(&self, translation: Translation) {
        self.translation.populate(translation);
    }

    /// Whether it has a page table.
    pub(crate) fn has_translation(&self) -> bool {
        self.translation.as_ref().is_some()
    }

    /// The slot it is in.
    pub(crate) fn slot(&self) -> Option<AsSlot> {
        AsSlot::new(usize::try_from(self.slot.load(Acquire)).ok()?)
    }

    /// Whether the GPU has faulted on it since it was enabled last.
    pub(crate) fn has_fault(&self) -> bool {
        self.fault.load(Acquire)
    }

    /// Where it has faulted, if it has.
    pub(crate) fn fault_address(&self) -> Option<u64> {
        self.has_fault()
            .then(|| self.fault_address.load(kernel::sync::atomic::Relaxed))
    }

    fn set_slot(&self, slot: Option<AsSlot>) {
        let value = slot.and_then(|slot| i32::try_from(slot.index()).ok());
        self.slot.store(value.unwrap_or(NO_SLOT), Release);
    }
}

/// What the hardware of a slot does.
#[derive(Clone, Copy, Default)]
struct SlotHw {
    /// It translates with the owner's page table.
    enabled: bool,
    /// A region is locked.
    locked: bool,
    /// It has faulted, and the interrupt is masked until it is enabled again.
    faulty: bool,
    /// A command did not end: the slot is not touched again.
    stuck: bool,
}

struct State {
    slots: Slots<Arc<Space>>,
    hw: [SlotHw; MAX_SLOTS],
}

impl State {
    fn hw(&mut self, slot: AsSlot) -> Result<&mut SlotHw> {
        self.hw.get_mut(slot.index()).ok_or(EINVAL)
    }
}

/// The MMU.
#[pin_data]
pub(crate) struct Mmu {
    dev: ARef<device::Device>,
    regs: Arc<Regs>,
    gpu: Arc<gpu::Block>,
    va_bits: u32,
    pa_bits: u32,
    /// Through which faults are reported.
    line: Arc<Line>,
    #[pin]
    slots: Mutex<State>,
    #[pin]
    sched: SpinLock<Option<Arc<Scheduler>>>,
    /// For what VMs leave to be done later.
    later: Workqueue,
}

impl Mmu {
    /// The MMU of the GPU that `info` describes. Nothing is enabled yet.
    pub(crate) fn new(
        dev: ARef<device::Device>,
        regs: Arc<Regs>,
        gpu: Arc<gpu::Block>,
        line: Arc<Line>,
        info: gpu::Info,
    ) -> impl PinInit<Self, Error> {
        let as_present = info.as_present;
        try_pin_init!(Self {
            dev,
            regs,
            gpu,
            va_bits: info.va_bits(),
            pa_bits: info.pa_bits(),
            line,
            slots <- new_mutex!(
                State {
                    slots: Slots::new(as_present),
                    hw: [SlotHw::default(); MAX_SLOTS],
                },
                "Mmu::slots"
            ),
            sched <- new_spinlock!(None, "Mmu::sched"),
            later: Workqueue::unbound(c"mali_csf-vm")?,
        })
    }

    /// Where VMs leave what is to be done later. Its items may not hold the MMU.
    pub(crate) fn later(&self) -> &Workqueue {
        &self.later
    }

    /// Whom to tell about faults; `None` before the scheduler goes away.
    pub(crate) fn set_scheduler(&self, sched: Option<Arc<Scheduler>>) {
        let old = core::mem::replace(&mut *self.sched.lock(), sched);
        drop(old);
    }

    /// The device, for log messages and DMA.
    pub(crate) fn dev(&self) -> &device::Device {
        &self.dev
    }

    /// Whether the GPU's accesses and page-table walks snoop the CPU's caches.
    pub(crate) fn coherent(&self) -> bool {
        self.gpu.coherent()
    }

    /// Bits of a GPU address.
    pub(crate) fn va_bits(&self) -> u32 {
        self.va_bits
    }

    /// Bits of a physical address.
    pub(crate) fn pa_bits(&self) -> u32 {
        self.pa_bits
    }

    /// Slots that VMs can share.
    pub(crate) fn user_slots(&self) -> u32 {
        self.slots.lock().slots.user_slots()
    }

    /// Lets the slot translate with the page table of `space`.
    fn enable(&self, state: &mut State, slot: AsSlot, space: &Space) -> Result {
        if state.hw(slot)?.stuck {
            return Err(ETIMEDOUT);
        }
        let Translation {
            transtab,
            memattr,
            va_bits,
        } = space.translation.copy().ok_or(EINVAL)?;
        let hw = regs::enter(&self.regs)?;
        let n = slot.index();

        // What happened in this slot before is not this VM's fault.
        space.fault.store(false, Release);
        if core::mem::take(&mut state.hw(slot)?.faulty) {
            IntBlock::Mmu.clear(&hw, slot.bit());
        }
        self.line.enable(slot.bit());

        let (lo, hi) = regs::halves(transtab);
        hw.write(regs::at(n)?, AS_TRANSTAB_LO::from_raw(lo));
        hw.write(regs::at(n)?, AS_TRANSTAB_HI::from_raw(hi));
        let (lo, hi) = regs::halves(memattr);
        hw.write(regs::at(n)?, AS_MEMATTR_LO::from_raw(lo));
        hw.write(regs::at(n)?, AS_MEMATTR_HI::from_raw(hi));

        let mut config = AS_TRANSCFG_LO::zeroed()
            .with_const_mode::<6>()
            .with_const_walk_memattr::<2>()
            .with_walk_read_alloc(true)
            .try_with_ina_bits(55u32.checked_sub(va_bits).ok_or(EINVAL)?)?;
        if self.gpu.coherent() {
            config = config.with_const_walk_share::<2>();
        }
        hw.write(regs::at(n)?, config);
        hw.write(regs::at(n)?, AS_TRANSCFG_HI::zeroed());

        self.command(state, &hw, slot, Command::Update)?;
        state.hw(slot)?.enabled = true;
        Ok(())
    }

    /// Flushes what the GPU has cached through the slot, and ends its use. With `reuse` the slot is
    /// enabled for somebody else at once, so that it need not be switched off first.
    fn disable(&self, state: &mut State, slot: AsSlot, reuse: bool) -> Result {
        let hw = regs::enter(&self.regs)?;

        self.line.disable(slot.bit());
        if state.hw(slot)?.stuck {
            // A reset was asked for when this happened.
            state.hw(slot)?.enabled = false;
            return Ok(());
        }
        self.gpu.flush_caches()?;
        if core::mem::take(&mut state.hw(slot)?.locked) {
            self.command(state, &hw, slot, Command::Unlock)?;
        }
        if reuse {
            return Ok(());
        }

        self.unmap(state, &hw, slot)?;
        self.finish(state, &hw, slot)
    }

    /// Takes the slot from its owner, in software.
    fn forget(&self, state: &mut State, slot: AsSlot) {
        if let Some(owner) = state.slots.release(slot) {
            owner.set_slot(None);
        }
        if let Ok(hw) = state.hw(slot) {
            // A fault stays a fault until the interrupt is cleared, and a stuck command until a reset.
            *hw = SlotHw {
                faulty: hw.faulty,
                stuck: hw.stuck,
                ..SlotHw::default()
            };
        }
    }

    /// Gives `space` a slot, or one more user of the slot it has. The caller holds the lock of its
    /// VM, so that its page table does not change meanwhile.
    ///
    /// # Errors
    ///
    /// `EBUSY` if all slots are in use; `EAGAIN` if it has faulted and has users who may be to blame;
    /// `EINVAL` if it has no page table; `ETIMEDOUT`, `ENODEV`.
    pub(crate) fn activate(self: &Arc<Self>, space: &Arc<Space>) -> Result<Active> {
        let mut state = self.slots.lock();
        let state = &mut *state;

        let slot = match space.slot() {
            Some(slot) => {
                // A fault that the interrupt thread has not seen yet is not the newcomer's.
                if state.hw(slot)?.enabled && self.fault_pending(slot)? {
                    self.take_fault(state, slot)?;
                }
                if space.has_fault() && state.slots.is_used(slot) {
                    return Err(EAGAIN);
                }
                if !state.hw(slot)?.enabled {
                    self.enable(state, slot, space)?;
                }
                state.slots.add_user(slot);
                slot
            }
            None => {
                let slot = match state.slots.pick(space.for_mcu)? {
                    Pick::Free(slot) => slot,
                    Pick::Idle(slot) => {
                        self.disable(state, slot, true)?;
                        self.forget(state, slot);
                        slot
                    }
                };
                self.enable(state, slot, space)?;
                state.slots.assign(slot, space.clone());
                space.set_slot(Some(slot));
                slot
            }
        };

        Ok(Active {
            mmu: self.clone(),
            space: space.clone(),
            slot,
        })
    }

    /// Whether `space` has a slot, and users.
    pub(crate) fn is_used(&self, space: &Space) -> bool {
        let state = self.slots.lock();
        space.slot().is_some_and(|slot| state.slots.is_used(slot))
    }

    /// Takes the slot from `space`, if it has one.
    pub(crate) fn release(&self, space: &Space) {
        let mut state = self.slots.lock();
        let Some(slot) = space.slot() else { return };
        // After unbind there is nothing left to be switched off.
        if let Err(err) = self.disable(&mut state, slot, false) {
            if err != ENODEV {
                self.report(c"address space cannot be switched off");
            }
        }
        self.forget(&mut state, slot);
    }

    /// Stops translation for `space`; it keeps its slot until its users are gone.
    pub(crate) fn stop(&self, space: &Space) {
        let mut state = self.slots.lock();
        let Some(slot) = space.slot() else { return };
        if let Err(err) = self.disable(&mut state, slot, false) {
            if err != ENODEV {
                self.report(c"address space cannot be switched off");
            }
        }
    }

    /// Holds back the GPU's accesses to `[start, end)` of `space`, which is not empty. Does nothing
    /// if the GPU can't access it anyway. The caller holds the lock of the VM.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`.
    pub(crate) fn lock_region(&self, space: &Space, start: u64, end: u64) -> Result {
        let mut state = self.slots.lock();
        let Some(slot) = space.slot() else {
            return Ok(());
        };
        match *state.hw(slot)? {
            SlotHw { stuck: true, .. } => return Err(ETIMEDOUT),
            SlotHw { enabled: false, .. } => return Ok(()),
            _ => {}
        }
        let Some(hw) = self.regs.enter() else {
            return Ok(());
        };

        let (lo, hi) = regs::halves(LockRegion::covering(start, end).encoded());
        hw.write(regs::at(slot.index())?, AS_LOCKADDR_LO::from_raw(lo));
        hw.write(regs::at(slot.index())?, AS_LOCKADDR_HI::from_raw(hi));
        self.command(&mut state, &hw, slot, Command::Lock)
            .inspect_err(|_| self.report(c"address space cannot be locked"))?;
        state.hw(slot)?.locked = true;
        Ok(())
    }

    /// Flushes the GPU's caches and lets its accesses go on, if they were held back.
    pub(crate) fn unlock_region(&self, space: &Space) {
        let mut state = self.slots.lock();
        let Some(slot) = space.slot() else { return };
        match state.hw(slot) {
            Ok(hw) if hw.locked => hw.locked = false,
            _ => return,
        }
        let Some(hw) = self.regs.enter() else { return };
        let done = self
            .gpu
            .flush_caches()
            .and_then(|()| self.command(&mut state, &hw, slot, Command::Unlock));
        if done.is_err() {
            self.report(c"address space cannot be unlocked");
        }
    }

    /// The hardware comes from a reset, or from a time without power: whatever was stuck or faulty is
    /// not any more. Nobody has a slot yet.
    pub(crate) fn revived(&self) {
        self.slots.lock().hw = [SlotHw::default(); MAX_SLOTS];
    }

    /// Takes all slots from their owners, before the hardware goes away.
    pub(crate) fn shutdown(&self) {
        let mut state = self.slots.lock();
        // Nothing can be done about an error here: it has asked for a reset, with which the GPU is settled
        // then. Whoever has left something in the caches learns that from the GPU block.
        let _ = self.disable_all(&mut state);
        for slot in AsSlot::all() {
            if state.slots.owner(slot).is_some() {
                self.forget(&mut state, slot);
            }
        }
    }

    /// Ends the use of all slots: with one flush, and with commands that are under way side by side.
    fn disable_all(&self, state: &mut State) -> Result {
        let hw = regs::enter(&self.regs)?;
        let enabled = |state: &mut State, slot| {
            state.slots.owner(slot).is_some()
                && state.hw(slot).is_ok_and(|hw| hw.enabled && !hw.stuck)
        };
        let mut slots = 0;

        for slot in AsSlot::all() {
            if enabled(state, slot) {
                self.line.disable(slot.bit());
                slots |= slot.bit();
            }
        }
        if slots == 0 {
            return Ok(());
        }
        self.gpu.flush_caches()?;
        for slot in AsSlot::all().filter(|slot| slots & slot.bit() != 0) {
            if core::mem::take(&mut state.hw(slot)?.locked) {
                self.command(state, &hw, slot, Command::Unlock)?;
            }
            self.unmap(state, &hw, slot)?;
        }
        for slot in AsSlot::all().filter(|slot| slots & slot.bit() != 0) {
            self.finish(state, &hw, slot)?;
        }
        Ok(())
    }

    /// The hardware does not do what it must.
    fn report(&self, why: &'static CStr) {
        dev_err!(self.dev, "{why}\n");
        self.gpu.require_reset();
    }

    /// Whether the slot has reported a fault that nobody has taken.
    fn fault_pending(&self, slot: AsSlot) -> Result<bool> {
        let hw = regs::enter(&self.regs)?;
        Ok(IntBlock::Mmu.rawstat(&hw) & slot.bit() != 0)
    }

    /// Reads, logs and clears the fault of one slot, and stops translation there.
    fn take_fault(&self, state: &mut State, slot: AsSlot) -> Result {
        let fault = {
            let hw = regs::enter(&self.regs)?;
            let n = slot.index();
            let raw = hw.read(regs::at::<AS_FAULTSTATUS>(n)?).into_raw();
            let lo = hw.read(regs::at::<AS_FAULTADDRESS_LO>(n)?).into_raw();
            let hi = hw.read(regs::at::<AS_FAULTADDRESS_HI>(n)?).into_raw();
            IntBlock::Mmu.clear(&hw, slot.bit());
            Fault {
                raw,
                address: regs::join(lo, hi),
            }
        };
        dev_err!(self.dev, "AS {}: {fault}\n", slot.index());

        if let Some(space) = state.slots.owner(slot) {
            space
                .fault_address
                .store(fault.address, kernel::sync::atomic::Relaxed);
            space.fault.store(true, Release);
        }
        state.hw(slot)?.faulty = true;
        self.disable(state, slot, false)
    }
}

impl Events for Mmu {
    fn handle(&self, events: u32) -> Option<u32> {
        let mut stuck = false;
        for slot in AsSlot::all() {
            if events & slot.bit() == 0 {
                continue;
            }
            let mut state = self.slots.lock();
            // It may have been taken when the slot was activated.
            stuck |= match self.fault_pending(slot) {
                Ok(true) => self.take_fault(&mut state, slot).is_err(),
                Ok(false) => false,
                Err(_) => return None,
            };
        }
        if stuck {
            self.report(c"faulty address space cannot be switched off");
        }
        let sched = self.sched.lock().clone();
        if let Some(sched) = sched {
            sched.mmu_fault();
        }
        None
    }
}

/// One user of an address space that is in a slot. Dropped, the space keeps the slot until another
/// one needs it.
pub(crate) struct Active {
    mmu: Arc<Mmu>,
    space: Arc<Space>,
    slot: AsSlot,
}

impl Active {
    /// The slot.
    pub(crate) fn slot(&self) -> AsSlot {
        self.slot
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let mut state = self.mmu.slots.lock();
        // The slot may have been taken away, and given to somebody else, when the hardware went.
        if self.space.slot() == Some(self.slot) {
            state.slots.drop_user(self.slot);
        }
    }
}
