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

use super::control::Control;
use crate::regs::{
    self,
    gpu::*,
    Hw, //
};

/// Oldest architecture with a command stream frontend.
const ARCH_FIRST: u32 = 10;

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
    pub(crate) control: Control,
}

/// The MMU with no more address bits than a page table can have. User space is told the same.
fn translatable(features: MMU_FEATURES, most: u32) -> Result<MMU_FEATURES> {
    features.try_with_va_bits(features.va_bits().get().min(most))
}

/// The shader cores of the first core group, of which there is one for each L2 cache: those below the
/// second one. `None` if there is no first L2 cache.
fn first_group(l2_present: u64) -> Option<u64> {
    match l2_present {
        1 => Some(u64::MAX),
        _ if l2_present & 1 == 0 => None,
        _ => Some(!l2_present.wrapping_sub(1) & l2_present.wrapping_sub(2)),
    }
}

impl Info {
    /// Reads the registers of a GPU that answers. `coherent` says what its bus offers, `working` which
    /// shader cores work, if that is known from elsewhere.
    ///
    /// # Errors
    ///
    /// `ENXIO` if there is no GPU, `EOPNOTSUPP` if its architecture is unknown, `ENOTSUPP` if its bus
    /// is coherent in a way that the GPU does not support.
    pub(crate) fn read(
        dev: &device::Device,
        hw: &Hw<'_>,
        coherent: bool,
        working: Option<u64>,
    ) -> Result<Self> {
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
        let gpu_features = if arch >= ARCH_GPU_FEATURES {
            let lo = hw.read(GPU_FEATURES_LO).into_raw();
            regs::join(lo, hw.read(GPU_FEATURES_HI).into_raw())
        } else {
            0
        };
        let (features, _) = regs::halves(gpu_features);
        let found = Control::find(arch, GPU_FEATURES_LO::from_raw(features), hw);
        let Some((control, present)) = found else {
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
        };
        if first_group(present.l2).is_none() {
            dev_err!(
                dev,
                "the GPU has no first L2 cache, L2_PRESENT reads {:#x}: check clocks and \
                 power-domains in the device tree\n",
                present.l2
            );
            return Err(ENXIO);
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
            shader_present: working.unwrap_or(present.shader),
            l2_present: present.l2,
            tiler_present: present.tiler,
            core_features: hw.read(CORE_FEATURES).into_raw(),
            gpu_features,
            control,
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

    /// Name under which the GPU is sold, if it is known.
    pub(crate) fn model(&self) -> Option<&'static str> {
        let (features, _) = regs::halves(self.gpu_features);
        let rays = GPU_FEATURES_LO::from_raw(features).ray_intersection();
        name(self.id(), self.shader_present.count_ones(), rays)
    }

    /// Says in the log what was found.
    pub(crate) fn log(&self, dev: &device::Device) {
        let id = self.id();
        if self.model().is_none() {
            dev_warn!(
                dev,
                "GPU id {:#x}: not a product that is known, driven as others of architecture {}\n",
                self.gpu_id,
                id.arch_major().get()
            );
        }
        dev_info!(
            dev,
            "{} id {:#x} major {:#x} minor {:#x} status {:#x}\n",
            self.model().unwrap_or("unknown Mali"),
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
        if let Some(group) = first_group(self.l2_present).filter(|group| *group != u64::MAX) {
            dev_info!(
                dev,
                "only the first core group is used: {} cores of {}\n",
                (self.shader_present & group).count_ones(),
                self.shader_present.count_ones()
            );
        }
    }
}

/// The name of a product with so many `cores`, with `rays` or without; `None` if it is not known.
fn name(id: GPU_ID, cores: u32, rays: bool) -> Option<&'static str> {
    let name = match (id.arch_major().get(), id.prod_major().get()) {
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
        (14, 0) => "Mali-G1-Ultra",
        (14, 1) => "Mali-G1-Premium",
        (14, 3) => "Mali-G1-Pro",
        _ => return None,
    };
    Some(name)
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

    /// A GPU_ID with these fields.
    fn id(arch: u32, product: u32) -> GPU_ID {
        GPU_ID::from_raw(arch << 28 | 8 << 24 | product << 16)
    }

    #[test]
    fn every_product_has_its_name() {
        let table: [(u32, u32, u32, bool, &str); 23] = [
            (10, 2, 10, false, "Mali-G710"),
            (10, 3, 6, false, "Mali-G510"),
            (10, 4, 2, false, "Mali-G310"),
            (10, 7, 4, false, "Mali-G610"),
            (11, 2, 10, true, "Mali-G715-Immortalis"),
            (11, 2, 10, false, "Mali-G715"),
            (11, 2, 9, true, "Mali-G715"),
            (11, 2, 7, false, "Mali-G715"),
            (11, 2, 6, true, "Mali-G615"),
            (11, 3, 6, false, "Mali-G615"),
            (12, 0, 10, true, "Mali-G720-Immortalis"),
            (12, 0, 10, false, "Mali-G720"),
            (12, 0, 6, true, "Mali-G720"),
            (12, 0, 5, true, "Mali-G620"),
            (12, 1, 5, false, "Mali-G620"),
            (13, 0, 10, true, "Mali-G925-Immortalis"),
            (13, 0, 10, false, "Mali-G725"),
            (13, 0, 6, true, "Mali-G725"),
            (13, 0, 5, true, "Mali-G625"),
            (13, 1, 5, false, "Mali-G625"),
            (14, 0, 10, true, "Mali-G1-Ultra"),
            (14, 1, 6, true, "Mali-G1-Premium"),
            (14, 3, 5, true, "Mali-G1-Pro"),
        ];
        for (arch, product, cores, rays, expected) in table {
            assert_eq!(name(id(arch, product), cores, rays), Some(expected));
        }
    }

    #[test]
    fn no_other_id_has_a_name() {
        let known = [
            (10, [2, 3, 4, 7].as_slice()),
            (11, &[2, 3]),
            (12, &[0, 1]),
            (13, &[0, 1]),
            (14, &[0, 1, 3]),
        ];
        for arch in 0..16 {
            for product in 0..16 {
                let is_known = known
                    .iter()
                    .any(|(a, products)| *a == arch && products.contains(&product));
                assert_eq!(name(id(arch, product), 16, true).is_some(), is_known);
            }
        }
    }

    /// By rule I1: the bits below the second one that is set in L2_PRESENT; all, where there is one.
    #[test]
    fn the_first_core_group_ends_where_the_second_begins() {
        assert_eq!(first_group(0x11), Some(0xf));
        assert_eq!(first_group(0x101), Some(0xff));
        assert_eq!(first_group(0x3), Some(0x1));
        assert_eq!(first_group(0xf), Some(0x1));
        assert_eq!(first_group(1 << 63 | 1), Some(u64::MAX >> 1));
        assert_eq!(first_group(0x1), Some(u64::MAX));
    }

    /// By rule I1: a GPU that answers has a first L2 cache.
    #[test]
    fn a_gpu_without_a_first_l2_cache_is_none() {
        for l2_present in [0, 2, 0x100, 1 << 63, u64::MAX - 1] {
            assert_eq!(first_group(l2_present), None);
        }
    }
}
