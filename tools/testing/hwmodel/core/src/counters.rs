// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the model counts. The same work gives the same counts in every run, which makes them the
//! benchmark of choice on a noisy machine.

macro_rules! counters {
    ($($(#[$meta:meta])* $variant:ident = $name:literal,)+) => {
        /// One counted event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter {
            $($(#[$meta])* $variant,)+
        }

        impl Counter {
            /// All counters, in the order in which they are printed.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant,)+];

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Counter::$variant => $name,)+
                }
            }
        }
    };
}

counters! {
    /// Register reads by the CPU.
    MmioRead = "mmio_read",
    /// Register writes by the CPU, doorbells included.
    MmioWrite = "mmio_write",
    /// Writes to doorbell page 0.
    DoorbellGlobal = "doorbell_global",
    /// Writes to any other doorbell page.
    DoorbellCsg = "doorbell_csg",
    /// Rising edges of the job line.
    IrqJob = "irq_job",
    /// Rising edges of the MMU line.
    IrqMmu = "irq_mmu",
    /// Rising edges of the GPU line.
    IrqGpu = "irq_gpu",
    /// LOCK commands.
    AsLock = "as_lock",
    /// FLUSH_PT and FLUSH_MEM commands.
    AsFlush = "as_flush",
    /// UPDATE commands.
    AsUpdate = "as_update",
    /// UNLOCK commands.
    AsUnlock = "as_unlock",
    /// Translations that needed a walk.
    TlbFill = "tlb_fill",
    /// Translations served by the TLB.
    TlbHit = "tlb_hit",
    /// TLB invalidations (one per command, whatever the number of entries).
    TlbInvalidate = "tlb_invalidate",
    /// Cache maintenance, by GPU command or by a command stream.
    CacheFlush = "cache_flush",
    /// Soft and hard resets.
    SoftReset = "soft_reset",
    /// L2 slices that became ready.
    L2On = "l2_on",
    /// Successful boots of the MCU.
    McuBoot = "mcu_boot",
    /// Those boots of firmware that goes on with what it left in memory when it was halted.
    McuResume = "mcu_resume",
    /// Groups started on a slot.
    CsgStart = "csg_start",
    /// Groups suspended.
    CsgSuspend = "csg_suspend",
    /// Groups resumed.
    CsgResume = "csg_resume",
    /// Groups terminated.
    CsgTerminate = "csg_terminate",
    /// Command stream instructions executed.
    CsInstr = "cs_instr",
    /// Synchronization updates executed (SYNC_ADD and SYNC_SET).
    CsJobs = "cs_jobs",
    /// Faults reported: address spaces, command streams and the GPU itself.
    Faults = "faults",
    /// Register reads of NPU cores and their IOMMUs by the CPU.
    NpuMmioRead = "npu_mmio_read",
    /// Register writes of NPU cores and their IOMMUs by the CPU.
    NpuMmioWrite = "npu_mmio_write",
    /// Kicks of NPU cores (each runs one task or a chain).
    NpuKick = "npu_kick",
    /// Tasks completed by NPU core 0.
    Npu0Task = "npu0_task",
    /// Tasks completed by NPU core 1.
    Npu1Task = "npu1_task",
    /// Tasks completed by NPU core 2.
    Npu2Task = "npu2_task",
    /// Multiplications and additions done by NPU cores.
    NpuMac = "npu_mac",
    /// Rising edges of the lines of NPU cores, their IOMMUs included.
    IrqNpu = "irq_npu",
    /// Resets of NPU cores by their reset lines.
    NpuReset = "npu_reset",
    /// Tables given to IOMMU banks (writes of DTE_ADDR that are not zero, but for the probing value).
    IommuTable = "iommu_table",
    /// IOMMU banks that began to translate.
    IommuEnable = "iommu_enable",
    /// IOMMU banks that ceased to translate.
    IommuDisable = "iommu_disable",
    /// IOMMUs that began to translate, whatever the number of their banks.
    IommuAttach = "iommu_attach",
    /// IOMMUs of which the last bank was told to cease to translate.
    IommuDetach = "iommu_detach",
    /// Translations dropped on request (one per command or line, whatever the number of entries).
    IommuZap = "iommu_zap",
    /// Translations by IOMMUs that needed a walk.
    IommuFill = "iommu_fill",
    /// Page faults and bus errors reported by IOMMUs.
    IommuFault = "iommu_fault",
}

const LEN: usize = Counter::ALL.len();

/// The counts since start or since [`Counters::clear`].
pub struct Counters {
    counts: [u64; LEN],
}

impl Counters {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Self { counts: [0; LEN] }
    }

    /// Adds one.
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Adds `n`.
    pub fn add(&mut self, counter: Counter, n: u64) {
        if let Some(slot) = self.counts.get_mut(counter as usize) {
            *slot = slot.wrapping_add(n);
        }
    }

    /// The present value.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counts.get(counter as usize).copied().unwrap_or(0)
    }

    /// Name and value of each counter, in stable order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Counter::ALL.iter().map(|&c| (c.name(), self.get(c)))
    }

    /// Starts again at zero.
    pub fn clear(&mut self) {
        self.counts = [0; LEN];
    }
}
