// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Properties of the model, each as a test whose name is the property. Everything goes through the
//! registers, as a driver would do it, but for memory accesses, which only the processor makes.

mod cs_streams;
mod documentation;
mod flush_and_reset;
mod interrupts;
mod machine;
mod mcu_boot;
mod mcu_groups;
mod mcu_heaps;
mod mcu_records;
mod mmu_commands;
mod mmu_dirty;
mod mmu_faults;
mod mmu_tlb;
mod npu_core;
mod npu_iommu;
mod npu_layers;
mod npu_rig;
mod npu_tensor;
mod power_and_clocks;
mod pwr;
mod registers;
mod rig;
