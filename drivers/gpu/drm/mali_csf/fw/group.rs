// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A group slot of the firmware, in verbs.
//!
//! Nothing here rings a doorbell: that is done once for several slots, by
//! [`Firmware::ring_csgs`](super::Firmware::ring_csgs).

use core::ops::BitOr;

use super::{
    iface::{
        Csif,
        Group, //
    },
    layout::{
        csg::{
            self,
            input,
            output,
            req, //
        },
        ACK,
        DOORBELL_ACK,
        DOORBELL_REQ,
        REQ, //
    },
    stream::Cs,
    Firmware,
};
use crate::{
    mmu::AsSlot,
    vm::GpuVa, //
};

/// A doorbell page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doorbell(u8);

impl Doorbell {
    /// The page of the global interface.
    pub(crate) const GLOBAL: Self = Self(0);

    /// Its number.
    pub(crate) fn index(self) -> u8 {
        self.0
    }
}

/// Number of a group slot that the firmware has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CsgSlot(u8);

impl CsgSlot {
    /// Slot `n`, if the firmware has it.
    pub(crate) fn new(n: u32, csif: &Csif) -> Option<Self> {
        (n < csif.csg_slots).then_some(Self(u8::try_from(n).ok()?))
    }

    /// Its number.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its bit in the job interrupt and in the global doorbell request.
    pub(crate) fn bit(self) -> u32 {
        1 << self.0
    }

    /// The doorbell page that all streams of the slot use.
    pub(crate) fn doorbell(self) -> Doorbell {
        // There are at most 31 slots.
        Doorbell(self.0 + 1)
    }
}

/// What the state field of a slot can be asked to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CsgState {
    /// The group is dropped.
    Terminate = 0,
    /// The group runs from its beginning.
    Start = 1,
    /// The group is saved to its suspend buffer.
    Suspend = 2,
    /// The group runs from where it was suspended.
    Resume = 3,
}

impl CsgState {
    fn bits(self) -> u32 {
        match self {
            Self::Terminate => 0,
            Self::Start => 1,
            Self::Suspend => 2,
            Self::Resume => 3,
        }
    }
}

/// Requests to a group slot that are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CsgReq(u32);

impl CsgReq {
    /// The state field.
    pub(crate) const STATE: Self = Self(req::STATE);
    /// The endpoint request has changed.
    pub(crate) const ENDPOINT_CONFIG: Self = Self(req::ENDPOINT_CONFIG);
    /// The status words are to be brought up to date.
    pub(crate) const STATUS_UPDATE: Self = Self(req::STATUS_UPDATE);
}

impl BitOr for CsgReq {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Cores that a group may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoreMasks {
    /// Shader cores for compute work.
    pub(crate) compute: u64,
    /// Shader cores for fragment work.
    pub(crate) fragment: u64,
    /// Tilers.
    pub(crate) other: u32,
}

/// How many cores a group may use at a time, and how urgent it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoints {
    /// Shader cores for compute work.
    pub(crate) max_compute: u8,
    /// Shader cores for fragment work.
    pub(crate) max_fragment: u8,
    /// Tilers; at most 15.
    pub(crate) max_tiler: u8,
    /// 0 to 15, the most urgent is 15.
    pub(crate) priority: u8,
}

impl Endpoints {
    fn bits(self) -> u32 {
        u32::from(self.max_compute)
            | u32::from(self.max_fragment) << 8
            | (u32::from(self.max_tiler) & 0xf) << 16
            | (u32::from(self.priority) & 0xf) << csg::EP_PRIORITY_SHIFT
    }
}

/// Events of a group slot that were waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsgEvents {
    /// A sync object with system scope has changed.
    pub(crate) sync_update: bool,
    /// The group has nothing to do.
    pub(crate) idle: bool,
    /// The group makes no progress.
    pub(crate) progress_timeout: bool,
    /// Streams with events of their own.
    pub(crate) cs: u32,
}

/// A group slot.
#[derive(Clone, Copy)]
pub(crate) struct Csg<'a> {
    fw: &'a Firmware,
    slot: CsgSlot,
    group: &'a Group,
}

impl<'a> Csg<'a> {
    pub(super) fn new(fw: &'a Firmware, slot: CsgSlot, group: &'a Group) -> Self {
        Self { fw, slot, group }
    }

    /// Which slot it is.
    pub(crate) fn slot(&self) -> CsgSlot {
        self.slot
    }

    /// Stream `n`.
    pub(crate) fn cs(&self, n: u32) -> Option<Cs<'a>> {
        let index = usize::try_from(n).ok()?;
        Some(Cs::new(self.fw, self.group.streams.get(index)?))
    }

    /// Writes the endpoint request, wherever this version has it.
    fn set_endpoint_req(&self, value: u32, mask: u32) {
        let (shared, input) = (self.fw.shared(), self.group.pair.input);
        if self.fw.iface().since(4, 0) {
            // The upper half holds nothing that the driver uses.
            shared.write(input, input::ENDPOINT_REQ2 + 4, 0);
            shared.update(input, input::ENDPOINT_REQ2, value, mask);
        } else {
            shared.update(input, input::ENDPOINT_REQ, value, mask);
        }
    }

    /// Describes the group that is about to be started or resumed here.
    pub(crate) fn program(
        &self,
        cores: &CoreMasks,
        endpoints: &Endpoints,
        space: AsSlot,
        suspend: Option<GpuVa>,
        protm_suspend: Option<GpuVa>,
    ) {
        let (shared, input) = (self.fw.shared(), self.group.pair.input);
        let va = |va: Option<GpuVa>| va.map_or(0, GpuVa::get);

        shared.write64(input, input::ALLOW_COMPUTE, cores.compute);
        shared.write64(input, input::ALLOW_FRAGMENT, cores.fragment);
        shared.write(input, input::ALLOW_OTHER, cores.other);
        self.set_endpoint_req(endpoints.bits(), u32::MAX);
        // The index is smaller than the number of slots, which is 16.
        let config = u32::try_from(space.index()).unwrap_or(0);
        shared.write(input, input::CONFIG, config);
        shared.write64(input, input::SUSPEND_BUF, va(suspend));
        shared.write64(input, input::PROTM_SUSPEND_BUF, va(protm_suspend));
        shared.write(input, input::ACK_IRQ_MASK, u32::MAX);
    }

    /// Changes the priority; takes effect with [`CsgReq::ENDPOINT_CONFIG`].
    pub(crate) fn set_priority(&self, priority: u8) {
        let shift = csg::EP_PRIORITY_SHIFT;
        self.set_endpoint_req(u32::from(priority) << shift, 0xf << shift);
    }

    /// Asks for a state.
    pub(crate) fn request_state(&self, state: CsgState) {
        let input = self.group.pair.input;
        self.fw
            .shared()
            .update(input, REQ, state.bits(), req::STATE);
    }

    /// Makes the other requests in `bits`.
    pub(crate) fn request(&self, bits: CsgReq) {
        let bits = bits.0 & !req::STATE;
        self.fw.shared().toggle(&self.group.pair, REQ, ACK, bits);
    }

    /// The state that the firmware says the slot is in: the number of a [`CsgState`].
    pub(crate) fn acked_state(&self) -> u32 {
        self.fw.shared().read(self.group.pair.output, ACK) & req::STATE
    }

    fn pending_bits(&self, bits: CsgReq) -> u32 {
        self.fw.shared().pending(&self.group.pair, REQ, ACK, bits.0)
    }

    /// Whether one of `bits` is not acknowledged yet.
    pub(crate) fn pending(&self, bits: CsgReq) -> bool {
        self.pending_bits(bits) != 0
    }

    /// Waits until all of `bits` are acknowledged, at most `timeout_ms`. Sleeps.
    ///
    /// # Errors
    ///
    /// Those that were acknowledged; [`CsgReq::STATE`] only as a whole.
    pub(crate) fn wait_acks(&self, bits: CsgReq, timeout_ms: u32) -> Result<(), CsgReq> {
        if self.fw.wait(timeout_ms, || !self.pending(bits)) {
            return Ok(());
        }
        let mut pending = self.pending_bits(bits);
        if pending & req::STATE != 0 {
            pending |= req::STATE;
        }
        Err(CsgReq(bits.0 & !pending))
    }

    /// Tells the streams in `streams` that there is something new for them.
    pub(crate) fn ring_cs(&self, streams: u32) {
        self.fw
            .shared()
            .toggle(&self.group.pair, DOORBELL_REQ, DOORBELL_ACK, streams);
    }

    /// Takes and acknowledges the events that are waiting.
    pub(crate) fn take_events(&self) -> CsgEvents {
        let (shared, pair) = (self.fw.shared(), &self.group.pair);

        // The mask of streams is acknowledged before the streams' own events are looked at, so that
        // an event in between sets its bit again.
        let cs_req = shared.read(pair.output, output::CS_IRQ_REQ);
        let cs = cs_req ^ shared.read(pair.input, input::CS_IRQ_ACK);
        shared.write(pair.input, input::CS_IRQ_ACK, cs_req);
        let events = shared.take(pair, REQ, ACK, req::EVENTS);

        CsgEvents {
            sync_update: events & req::SYNC_UPDATE != 0,
            idle: events & req::IDLE != 0,
            progress_timeout: events & req::PROGRESS_TIMER != 0,
            cs,
        }
    }
}
