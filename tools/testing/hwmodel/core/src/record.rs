// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Strictness records: what software did that real hardware would not forgive, and where.

use core::fmt;

use crate::npu::CoreId;

macro_rules! kinds {
    ($($variant:ident = $name:literal, $text:literal;)+) => {
        /// The rule that was broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $text] $variant,)+
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)+];

            /// The stable kebab-case name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Kind::$variant => $name,)+
                }
            }

            /// The rule in one sentence.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Kind::$variant => $text,)+
                }
            }

            /// Finds a kind by its name.
            pub fn from_name(name: &str) -> Option<Kind> {
                Kind::ALL.iter().copied().find(|k| k.name() == name)
            }
        }
    };
}

kinds! {
    // Bus.
    ClockOff = "clock-off", "A register was accessed while a clock of the block was off.";
    PowerOff = "power-off", "A register was accessed while the power domain was off.";
    SupplyOff = "supply-off", "A register was accessed while the supply was off.";
    Hole = "hole", "An address without a register was accessed.";
    ReadOnly = "read-only", "A read-only register was written.";
    WriteOnly = "write-only", "A write-only register was read.";
    Width = "width", "A register was accessed with another width than 32 bits.";
    InReset = "in-reset", "A register was accessed while a reset was in progress.";
    Reserved = "reserved", "Reserved bits of a register were written.";
    // Surroundings.
    Undervolt = "undervolt", "The core clock runs faster than the supply's voltage permits.";
    GatedBusy = "gated-busy", "Clock, supply or power domain was taken from the running MCU or NPU core.";
    // GPU control.
    UnknownCommand = "unknown-command", "An unknown command was written.";
    CommandBusy = "command-busy", "A command was issued before the previous one was complete.";
    AbsentCore = "absent-core", "A power transition was asked for a core that is not present.";
    PowerOrder = "power-order", "A block was powered against the order of dependencies.";
    PowerBusy = "power-busy", "A power request hit a core that is still in transition.";
    PwrNotAllowed = "pwr-not-allowed", "A command of the PWR block was written that is not allowed in its state.";
    PwrDelegation = "pwr-delegation", "A power domain was switched by the CPU while it is the MCU's, or by the MCU while it is not.";
    CoherencyLate = "coherency-late", "Coherency or L2 configuration was changed while L2 was on.";
    CoherencyBad = "coherency-bad", "An unsupported coherency protocol was selected.";
    L2Config = "l2-config", "L2 was powered on without the configuration that the SoC needs.";
    LineStuck = "line-stuck", "An interrupt line was left asserted.";
    IrqStorm = "irq-storm", "An interrupt was delivered or looked at again and again without being served.";
    // Address spaces.
    AsAbsent = "as-absent", "An address space that is not present was programmed.";
    AsBusy = "as-busy", "An address space was programmed or commanded while active.";
    AsCommand = "as-command", "An unknown address space command was written.";
    AsLockRegion = "as-lock-region", "The region of a LOCK is malformed.";
    AsUnlocked = "as-unlocked", "An enabled address space was unlocked without a locked region.";
    AsConfig = "as-config", "TRANSCFG, TRANSTAB or MEMATTR is not valid.";
    AsLive = "as-live", "The tables of an enabled address space were swapped while in use.";
    PteReserved = "pte-reserved", "A table entry has reserved or unsupported bits set.";
    PteAttributes = "pte-attributes", "A table entry's memory attributes contradict the set-up.";
    StaleTlb = "stale-tlb", "A cached translation was kept or used after its table entry changed.";
    CacheDirty = "cache-dirty", "Memory was taken away before the caches had written back what the GPU wrote there.";
    WalkOutsideRam = "walk-outside-ram", "A table lies outside of the device's memory.";
    DmaOutsideRam = "dma-outside-ram", "A translated address is outside of the device's memory.";
    DmaUnpowered = "dma-unpowered", "Memory was accessed while the L2 was not ready.";
    // MCU, groups and streams.
    McuControl = "mcu-control", "MCU_CONTROL was written with an invalid value or state.";
    McuImage = "mcu-image", "The MCU found a bad firmware image.";
    McuAccess = "mcu-access", "The MCU took a fault in its own address space.";
    DoorbellAbsent = "doorbell-absent", "The doorbell of an absent or idle group was rung.";
    InterfaceProtocol = "interface-protocol", "A request broke the request/acknowledge protocol.";
    GroupConfig = "group-config", "A group was started with an invalid configuration.";
    QueueConfig = "queue-config", "A queue was started with an invalid configuration.";
    RingBounds = "ring-bounds", "Insert and extract offsets of a ring are inconsistent.";
    SuspendBuffer = "suspend-buffer", "A suspend buffer is missing, too small or damaged.";
    StreamEncoding = "stream-encoding", "An instruction has reserved bits set.";
    StreamWait = "stream-wait", "An instruction waits for the scoreboard entry that it signals.";
    // NPU cores and their IOMMUs.
    NpuDeadPage = "npu-dead-page", "The page of registers was accessed that hangs the NPU's bus.";
    NpuBusy = "npu-busy", "A task was started while one was running.";
    NpuEnable = "npu-enable", "A core was started again before its last start was taken back.";
    NpuTakenBack = "npu-taken-back", "The start of a core was taken back while its task was running.";
    NpuRate = "npu-rate", "The rate of the NPU's clock was changed while its power domain was off.";
    NpuDomainRate = "npu-domain-rate", "The domain that carries all NPU cores was switched while their clock was faster than after boot.";
    NpuList = "npu-list", "A register list is malformed.";
    NpuConfig = "npu-config", "The units of a task are programmed in contradiction to each other.";
    NpuUnsupported = "npu-unsupported", "A task uses what the model does not know.";
    NpuBypass = "npu-bypass", "A core accessed memory while its IOMMU did not translate.";
    IommuCommand = "iommu-command", "An IOMMU got a command that it does not know or that has no effect in its state.";
    IommuConfig = "iommu-config", "An IOMMU translates without a table, or its banks are set up differently.";
    IommuLive = "iommu-live", "An IOMMU was reprogrammed under its running core.";
    Provoked = "provoked", "A record was asked for, to see whether it is noticed.";
}

/// Where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A register, as offset into the block.
    Register(u32),
    /// A virtual address of an address space.
    Virtual {
        /// The address space.
        as_nr: u8,
        /// The virtual address.
        va: u64,
    },
    /// A physical address.
    Physical(u64),
    /// A clock, the supply or the power domain.
    Input(&'static str),
    /// An interrupt line.
    Line(crate::host::Wire),
    /// A group slot.
    Group(u8),
    /// A queue of a group slot.
    Queue {
        /// The group slot.
        group: u8,
        /// The queue in it.
        queue: u8,
    },
    /// The MCU and its global interface.
    Mcu,
    /// A register of an NPU core or of its IOMMU, as offset into the core's window.
    NpuRegister {
        /// The core.
        core: CoreId,
        /// The offset.
        off: u32,
    },
    /// A device address of an NPU core.
    Iova {
        /// The core.
        core: CoreId,
        /// The address.
        iova: u32,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Place::Register(off) => write!(f, "reg 0x{off:x}"),
            Place::Virtual { as_nr, va } => write!(f, "as {as_nr} va 0x{va:x}"),
            Place::Physical(pa) => write!(f, "pa 0x{pa:x}"),
            Place::Input(name) => write!(f, "input {name}"),
            Place::Line(wire) => write!(f, "line {}", wire.name()),
            Place::Group(group) => write!(f, "csg {group}"),
            Place::Queue { group, queue } => write!(f, "csg {group} cs {queue}"),
            Place::Mcu => f.write_str("mcu"),
            Place::NpuRegister { core, off } => write!(f, "{} reg 0x{off:x}", core.name()),
            Place::Iova { core, iova } => write!(f, "{} iova 0x{iova:x}", core.name()),
        }
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The rule that was broken.
    pub kind: Kind,
    /// Where.
    pub place: Place,
    /// The value that was involved: written value, table entry, number of repetitions...
    pub value: u64,
    /// Refines the place where one kind has several causes.
    pub note: &'static str,
    /// When, in the host's time.
    pub time_ns: u64,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} value 0x{:x}",
            self.kind.name(),
            self.place,
            self.value
        )?;
        if !self.note.is_empty() {
            write!(f, " ({})", self.note)?;
        }
        Ok(())
    }
}

/// Records kept for reading later. When it is full, further records are counted but not kept: the
/// first ones are what explains the rest.
const KEPT: usize = 256;

/// The records so far.
pub struct Records {
    /// Each with whether it was announced.
    kept: [Option<(Record, bool)>; KEPT],
    total: u64,
    unannounced: u64,
}

impl Records {
    /// Empty.
    pub(crate) const fn new() -> Self {
        Self {
            kept: [None; KEPT],
            total: 0,
            unannounced: 0,
        }
    }

    /// Keeps one.
    pub fn push(&mut self, record: Record, announced: bool) {
        let at = usize::try_from(self.total).unwrap_or(KEPT);
        if let Some(slot) = self.kept.get_mut(at) {
            *slot = Some((record, announced));
        }
        self.total = self.total.saturating_add(1);
        self.unannounced = self.unannounced.saturating_add(u64::from(!announced));
    }

    /// How many were recorded, those not kept included.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of these nobody had announced.
    pub fn unannounced(&self) -> u64 {
        self.unannounced
    }

    /// Those kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Record> + '_ {
        self.entries().map(|(record, _)| record)
    }

    /// Those kept, oldest first, each with whether it was announced.
    pub fn entries(&self) -> impl Iterator<Item = (&Record, bool)> + '_ {
        self.kept
            .iter()
            .flatten()
            .map(|(r, announced)| (r, *announced))
    }

    /// How many of those kept are of this kind.
    pub fn count_of(&self, kind: Kind) -> usize {
        self.iter().filter(|r| r.kind == kind).count()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}
