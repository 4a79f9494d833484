// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Which address space slot a VM gets.
//!
//! There are fewer slots than VMs. Slot 0 belongs to the MCU. A VM that has had a slot keeps it
//! after its last user is gone, and gives it up when another VM needs one and no slot is free: the
//! slot that has been idle longest. A pure structure, tested as such; it touches no register.

use kernel::prelude::*;

/// Slots that the register block has room for.
pub(crate) const MAX_SLOTS: usize = 16;

/// Number of an address space slot; smaller than [`MAX_SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsSlot(u8);

impl AsSlot {
    /// The slot of the MCU.
    pub(crate) const MCU: Self = Self(0);

    /// Slot number `n`.
    pub(crate) fn new(n: usize) -> Option<Self> {
        if n < MAX_SLOTS {
            Some(Self(u8::try_from(n).ok()?))
        } else {
            None
        }
    }

    /// All that there may be.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..MAX_SLOTS).filter_map(Self::new)
    }

    /// Its number.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its bit in AS_PRESENT and in the fault bits of the MMU interrupt.
    pub(crate) fn bit(self) -> u32 {
        1 << self.0
    }
}

/// What a slot is used for.
enum Slot<T> {
    /// Nobody's.
    Free,
    /// Used `users` times; not 0.
    Active { owner: T, users: u32 },
    /// Kept by `owner` since `stamp`.
    Idle { owner: T, stamp: u64 },
}

/// Answer of [`Slots::pick`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// Nobody has this slot.
    Free(AsSlot),
    /// This slot is idle and has to be taken from its owner.
    Idle(AsSlot),
}

/// Who has which slot. `T` stands for a VM.
pub(crate) struct Slots<T> {
    slots: [Slot<T>; MAX_SLOTS],
    present: u32,
    clock: u64,
}

impl<T> Slots<T> {
    /// All slots of `present` (AS_PRESENT) are free; the others don't exist.
    pub(crate) fn new(present: u32) -> Self {
        Self {
            slots: [const { Slot::Free }; MAX_SLOTS],
            present,
            clock: 0,
        }
    }

    fn get(&mut self, slot: AsSlot) -> Option<&mut Slot<T>> {
        self.slots.get_mut(slot.index())
    }

    /// Slots that VMs other than the MCU's can have.
    pub(crate) fn user_slots(&self) -> u32 {
        let usable = (1u32 << MAX_SLOTS) - 1;
        (self.present & usable & !AsSlot::MCU.bit()).count_ones()
    }

    /// A slot for a VM that has none.
    ///
    /// # Errors
    ///
    /// `EBUSY` if all slots are active.
    pub(crate) fn pick(&self, for_mcu: bool) -> Result<Pick> {
        let mut oldest: Option<(u64, AsSlot)> = None;
        for (n, state) in self.slots.iter().enumerate() {
            let Some(slot) = AsSlot::new(n) else { continue };
            if self.present & slot.bit() == 0 || for_mcu != (slot == AsSlot::MCU) {
                continue;
            }
            match state {
                Slot::Free => return Ok(Pick::Free(slot)),
                Slot::Idle { stamp, .. } => {
                    if oldest.is_none_or(|(other, _)| *stamp < other) {
                        oldest = Some((*stamp, slot));
                    }
                }
                Slot::Active { .. } => {}
            }
        }
        oldest.map(|(_, slot)| Pick::Idle(slot)).ok_or(EBUSY)
    }

    /// Gives a free slot to `owner`, for its first user.
    pub(crate) fn assign(&mut self, slot: AsSlot, owner: T) {
        if let Some(state) = self.get(slot) {
            *state = Slot::Active { owner, users: 1 };
        }
    }

    /// One more user of a slot that has an owner.
    pub(crate) fn add_user(&mut self, slot: AsSlot) {
        let Some(state) = self.get(slot) else { return };
        let next = match core::mem::replace(state, Slot::Free) {
            Slot::Active { owner, users } => Slot::Active {
                owner,
                users: users.saturating_add(1),
            },
            Slot::Idle { owner, .. } => Slot::Active { owner, users: 1 },
            Slot::Free => Slot::Free,
        };
        *state = next;
    }

    /// One user less. The owner keeps the slot.
    pub(crate) fn drop_user(&mut self, slot: AsSlot) {
        self.clock += 1;
        let stamp = self.clock;
        let Some(state) = self.get(slot) else { return };
        let next = match core::mem::replace(state, Slot::Free) {
            Slot::Active { owner, users: 1 } => Slot::Idle { owner, stamp },
            Slot::Active { owner, users } => Slot::Active {
                owner,
                users: users - 1,
            },
            other => other,
        };
        *state = next;
    }

    /// Takes a slot away, whoever uses it.
    pub(crate) fn release(&mut self, slot: AsSlot) -> Option<T> {
        let state = self.get(slot)?;
        match core::mem::replace(state, Slot::Free) {
            Slot::Active { owner, .. } | Slot::Idle { owner, .. } => Some(owner),
            Slot::Free => None,
        }
    }

    /// Whether somebody uses `slot`.
    pub(crate) fn is_used(&self, slot: AsSlot) -> bool {
        matches!(self.slots.get(slot.index()), Some(Slot::Active { .. }))
    }

    /// Who has `slot`.
    pub(crate) fn owner(&self, slot: AsSlot) -> Option<&T> {
        match self.slots.get(slot.index())? {
            Slot::Active { owner, .. } | Slot::Idle { owner, .. } => Some(owner),
            Slot::Free => None,
        }
    }
}

#[kunit_tests(mali_csf_mmu_slots)]
mod tests {
    use super::*;

    fn slot(n: usize) -> AsSlot {
        AsSlot::new(n).unwrap()
    }

    #[test]
    fn slot_0_is_for_the_mcu_only() {
        let mut slots = Slots::<u32>::new(0b11);
        assert_eq!(slots.pick(true), Ok(Pick::Free(slot(0))));
        assert_eq!(slots.pick(false), Ok(Pick::Free(slot(1))));
        slots.assign(slot(1), 7);
        assert_eq!(slots.pick(false), Err(EBUSY));
        assert_eq!(slots.user_slots(), 1);
    }

    #[test]
    fn missing_slots_are_never_picked() {
        let slots = Slots::<u32>::new(0b1001);
        assert_eq!(slots.pick(false), Ok(Pick::Free(slot(3))));
    }

    #[test]
    fn the_longest_idle_slot_goes_first() {
        let mut slots = Slots::<u32>::new(0b1111);
        for n in 1..4 {
            slots.assign(slot(n), 0);
        }
        assert_eq!(slots.pick(false), Err(EBUSY));
        slots.drop_user(slot(2));
        slots.drop_user(slot(1));
        assert_eq!(slots.pick(false), Ok(Pick::Idle(slot(2))));
        slots.add_user(slot(2));
        assert_eq!(slots.pick(false), Ok(Pick::Idle(slot(1))));
    }

    #[test]
    fn a_slot_is_idle_after_its_last_user() {
        let mut slots = Slots::<u32>::new(0b11);
        slots.assign(slot(1), 5);
        slots.add_user(slot(1));
        slots.drop_user(slot(1));
        assert_eq!(slots.pick(false), Err(EBUSY));
        assert!(slots.is_used(slot(1)));
        slots.drop_user(slot(1));
        assert!(!slots.is_used(slot(1)));
        assert_eq!(slots.pick(false), Ok(Pick::Idle(slot(1))));
        assert_eq!(slots.owner(slot(1)), Some(&5));
        assert_eq!(slots.release(slot(1)), Some(5));
        assert_eq!(slots.pick(false), Ok(Pick::Free(slot(1))));
    }
}
