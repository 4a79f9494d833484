// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Identity and features of a GPU, read once.

use kernel::{
    device,
    io::{
        register::Array as _,
        Io as _, //
    },
    prelude::*, //
};
use soc::pgtable::ADDRESS_BITS;

use crate::regs::{
    self,
    gpu::*,
    Hw, //
};

/// Oldest architecture with a command stream frontend.
const ARCH_FIRST: u32 = 10;

/// Newest architecture whose power is controlled through GPU_CONTROL. The next one has a block of
/// its own for that.
const ARCH_LAST: u32 = 13;

/// First architecture with GPU_FEATURES.
const ARCH_GPU_FEATURES: u32 = 11;

/// What the registers say about a GPU. Names and units are those of `struct drm_panthor_gpu_info`.
#[derive(Clone, Copy)]
pub(crate) struct Info {
    pub(crate) gpu_id: u32,
    pub(crate) gpu_rev: u32,
    pub(crate) csf_id: u32,
    pub(crate) l2_features: u32,
    pub(crate) tiler_features: u32,
    pub(crate) mem_features: u32,
    pub(crate) mmu_features: u32,
    pub(crate) thread_features: u32,
    pub(crate) max_threads: u32,
    pub(crate) thread_max_workgroup_size: u32,
    pub(crate) thread_max_barrier_size: u32,
    pub(crate) coherency_features: u32,
    pub(crate) texture_features: [u32; 4],
    pub(crate) as_present: u32,
    pub(crate) selected_coherency: u32,
    pub(crate) shader_present: u64,
    pub(crate) l2_present: u64,
    pub(crate) tiler_present: u64,
    pub(crate) core_features: u32,
    pub(crate) gpu_features: u64,
}

/// The MMU with no more address bits than a page table can have. User space is told the same.
fn translatable(features: MMU_FEATURES, most: u32) -> Result<MMU_FEATURES> {
    features.try_with_va_bits(features.va_bits().get().min(most))
}

impl Info {
    /// Reads the registers of a GPU that answers. `coherent` says what its bus offers.
    ///
    /// # Errors
    ///
    /// `ENXIO` if there is no GPU, `EOPNOTSUPP` if its architecture is unknown, `ENOTSUPP` if its bus
    /// is coherent in a way that the GPU does not support.
    pub(crate) fn read(dev: &device::Device, hw: &Hw<'_>, coherent: bool) -> Result<Self> {
        let id = hw.read(GPU_ID);
        if id.into_raw() == 0 {
            dev_err!(
                dev,
                "no GPU answers, its id reads 0: check clocks, power-domains and mali-supply in the \
                 device tree\n"
            );
            return Err(ENXIO);
        }
        let arch = id.arch_major().get();
        if !(ARCH_FIRST..=ARCH_LAST).contains(&arch) {
            let advice = match arch < ARCH_FIRST {
                true => "it has no command streams, panfrost drives those",
                false => "it is newer than this driver, look for a newer one",
            };
            dev_err!(
                dev,
                "GPU id {:#x}: architecture {arch} is not supported: {advice}\n",
                id.into_raw()
            );
            return Err(EOPNOTSUPP);
        }

        let protocols = hw.read(COHERENCY_FEATURES);
        let selected_coherency = match (coherent, protocols.ace_lite()) {
            (false, _) => coherency::NONE,
            (true, true) => coherency::ACE_LITE,
            (true, false) => {
                dev_err!(
                    dev,
                    "the GPU has no ACE-Lite: check dma-coherent in the device tree\n"
                );
                return Err(ENOTSUPP);
            }
        };

        let gpu_features = if arch >= ARCH_GPU_FEATURES {
            let lo = hw.read(GPU_FEATURES_LO).into_raw();
            regs::join(lo, hw.read(GPU_FEATURES_HI).into_raw())
        } else {
            0
        };
        let shader_lo = hw.read(SHADER_PRESENT_LO).into_raw();
        let tiler_lo = hw.read(TILER_PRESENT_LO).into_raw();
        let l2_lo = hw.read(L2_PRESENT_LO).into_raw();

        Ok(Self {
            gpu_id: id.into_raw(),
            gpu_rev: hw.read(REVIDR).into_raw(),
            csf_id: hw.read(CSF_ID).into_raw(),
            l2_features: hw.read(L2_FEATURES).into_raw(),
            tiler_features: hw.read(TILER_FEATURES).into_raw(),
            mem_features: hw.read(MEM_FEATURES).into_raw(),
            mmu_features: translatable(hw.read(MMU_FEATURES), ADDRESS_BITS)?.into_raw(),
            thread_features: hw.read(THREAD_FEATURES).into_raw(),
            max_threads: hw.read(THREAD_MAX_THREADS).into_raw(),
            thread_max_workgroup_size: hw.read(THREAD_MAX_WORKGROUP_SIZE).into_raw(),
            thread_max_barrier_size: hw.read(THREAD_MAX_BARRIER_SIZE).into_raw(),
            coherency_features: protocols.into_raw(),
            texture_features: [
                hw.read(TEXTURE_FEATURES::at(0)).into_raw(),
                hw.read(TEXTURE_FEATURES::at(1)).into_raw(),
                hw.read(TEXTURE_FEATURES::at(2)).into_raw(),
                hw.read(TEXTURE_FEATURES::at(3)).into_raw(),
            ],
            as_present: hw.read(AS_PRESENT).into_raw(),
            selected_coherency,
            shader_present: regs::join(shader_lo, hw.read(SHADER_PRESENT_HI).into_raw()),
            l2_present: regs::join(l2_lo, hw.read(L2_PRESENT_HI).into_raw()),
            tiler_present: regs::join(tiler_lo, hw.read(TILER_PRESENT_HI).into_raw()),
            core_features: hw.read(CORE_FEATURES).into_raw(),
            gpu_features,
        })
    }

    fn id(&self) -> GPU_ID {
        GPU_ID::from_raw(self.gpu_id)
    }

    /// Architecture, major and minor: what firmware has to match.
    pub(crate) fn arch(&self) -> (u32, u32) {
        let id = self.id();
        (id.arch_major().get(), id.arch_minor().get())
    }

    /// Bits of a GPU address.
    pub(crate) fn va_bits(&self) -> u32 {
        MMU_FEATURES::from_raw(self.mmu_features).va_bits().get()
    }

    /// Bits of a physical address.
    pub(crate) fn pa_bits(&self) -> u32 {
        MMU_FEATURES::from_raw(self.mmu_features).pa_bits().get()
    }

    /// Line size of the L2 cache in bytes; 0 if the register makes no sense.
    pub(crate) fn l2_line_size(&self) -> u32 {
        let log2 = L2_FEATURES::from_raw(self.l2_features).line_log2().get();
        1u32.checked_shl(log2).unwrap_or(0)
    }

    /// Name under which the GPU is sold.
    pub(crate) fn model(&self) -> &'static str {
        let id = self.id();
        let cores = self.shader_present.count_ones();
        let (features, _) = regs::halves(self.gpu_features);
        let rays = GPU_FEATURES_LO::from_raw(features).ray_intersection();
        match (id.arch_major().get(), id.prod_major().get()) {
            (10, 2) => "Mali-G710",
            (10, 3) => "Mali-G510",
            (10, 4) => "Mali-G310",
            (10, 7) => "Mali-G610",
            (11, 2) if cores >= 10 && rays => "Mali-G715-Immortalis",
            (11, 2) if cores >= 7 => "Mali-G715",
            (11, 2 | 3) => "Mali-G615",
            (12, 0) if cores >= 10 && rays => "Mali-G720-Immortalis",
            (12, 0) if cores >= 6 => "Mali-G720",
            (12, 0 | 1) => "Mali-G620",
            (13, 0) if cores >= 10 && rays => "Mali-G925-Immortalis",
            (13, 0) if cores >= 6 => "Mali-G725",
            (13, 0 | 1) => "Mali-G625",
            _ => "unknown Mali",
        }
    }

    /// Says in the log what was found.
    pub(crate) fn log(&self, dev: &device::Device) {
        let id = self.id();
        dev_info!(
            dev,
            "{} id {:#x} major {:#x} minor {:#x} status {:#x}\n",
            self.model(),
            self.gpu_id >> 16,
            id.ver_major().get(),
            id.ver_minor().get(),
            id.ver_status().get()
        );
        dev_info!(
            dev,
            "features: L2 {:#x} tiler {:#x} memory {:#x} MMU {:#x} AS {:#x}\n",
            self.l2_features,
            self.tiler_features,
            self.mem_features,
            self.mmu_features,
            self.as_present
        );
        dev_info!(
            dev,
            "present: shader {:#x} L2 {:#x} tiler {:#x}\n",
            self.shader_present,
            self.l2_present,
            self.tiler_present
        );
    }
}

#[kunit_tests(mali_csf_gpu_info)]
mod tests {
    use super::*;
    use soc::pgtable::address_bits;

    /// By rule A5: an address that the page table code cannot take is none of the GPU's.
    #[test]
    fn addresses_are_no_wider_than_the_kernel_can_translate() -> Result {
        let features = MMU_FEATURES::from_raw(0x2830);
        let narrow = translatable(features, address_bits(32))?;
        assert_eq!(narrow.va_bits().get(), 32);
        assert_eq!(narrow.pa_bits().get(), 40);
        assert_eq!(translatable(features, address_bits(64))?.into_raw(), 0x2830);
        let small = MMU_FEATURES::from_raw(0x201f);
        assert_eq!(translatable(small, address_bits(32))?.into_raw(), 0x201f);
        Ok(())
    }
}
