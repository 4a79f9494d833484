// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The IOMMUs of the NPU.

use super::npu_rig::*;
use super::npu_tensor::*;
use crate::counters::Counter;
use crate::host::Host;
use crate::npu::CoreId;
use crate::record::Kind;

fn layer() -> Layer {
    Layer::generate(60, false, (4, 4, 16), 16, (1, 1, 0))
}

/// A layer on a core, kicked and come to rest.
fn kicked(rig: &mut Rig, id: CoreId, change: impl FnOnce(&mut Rig, &Loaded)) -> Loaded {
    let layer = layer();
    let loaded = rig.load(&layer);
    let list = rig.list(&words(&layer, &loaded));
    change(rig, &loaded);
    rig.kick(id, list, 1);
    rig.settle();
    loaded
}

#[test]
fn the_table_address_can_be_probed_and_a_reset_clears_it() {
    let mut rig = Rig::on();
    for id in CoreId::ALL {
        for &bank in banks(id) {
            rig.w(id, bank + DTE_ADDR, 0xcafe_b000);
            assert_eq!(rig.r(id, bank + DTE_ADDR), 0xcafe_b000);
            rig.w(id, bank + COMMAND, FORCE_RESET);
            assert_eq!(rig.r(id, bank + DTE_ADDR), 0);
        }
    }
    assert_eq!(rig.count(Counter::IommuTable), 0, "a probing value is none");
    rig.assert_clean();
}

#[test]
fn an_iommu_counts_as_one_whatever_the_number_of_its_banks() {
    let mut rig = Rig::ready();
    assert_eq!(rig.count(Counter::IommuEnable), 4);
    assert_eq!(rig.count(Counter::IommuAttach), 3);
    for (nr, &bank) in banks(CoreId::Core0).iter().enumerate() {
        assert_eq!(rig.count(Counter::IommuDetach), 0, "before bank {nr}");
        rig.w(CoreId::Core0, bank + COMMAND, ENABLE_STALL);
        rig.w(CoreId::Core0, bank + COMMAND, DISABLE_PAGING);
    }
    assert_eq!(rig.count(Counter::IommuDisable), 2);
    assert_eq!(rig.count(Counter::IommuDetach), 1);
    rig.assert_clean();
}

#[test]
fn commands_show_in_the_status() {
    let mut rig = Rig::ready();
    let (id, bank) = (CoreId::Core1, 0xa000);
    assert_eq!(rig.r(id, bank + STATUS), 0x19);
    rig.w(id, bank + COMMAND, ENABLE_STALL);
    assert_eq!(rig.r(id, bank + STATUS), 0x1d);
    rig.w(id, bank + COMMAND, DISABLE_PAGING);
    rig.w(id, bank + COMMAND, DISABLE_STALL);
    assert_eq!(rig.r(id, bank + STATUS), 0x18);
    rig.assert_clean();
    rig.w(id, bank + COMMAND, ENABLE_STALL);
    rig.w(id, bank + COMMAND, 7);
    rig.assert_records(&[Kind::IommuCommand, Kind::IommuCommand]);
}

#[test]
fn a_stalled_iommu_keeps_its_core_waiting() {
    let mut rig = Rig::ready();
    for &bank in banks(CoreId::Core0) {
        rig.w(CoreId::Core0, bank + COMMAND, ENABLE_STALL);
    }
    kicked(&mut rig, CoreId::Core0, |_, _| ());
    assert_eq!(rig.r(CoreId::Core0, PC_RAW_STATUS), 0);
    for &bank in banks(CoreId::Core0) {
        rig.w(CoreId::Core0, bank + COMMAND, DISABLE_STALL);
    }
    rig.settle();
    assert_ne!(rig.take(CoreId::Core0) & DPU_0, 0);
    rig.assert_clean();
}

#[test]
fn an_address_without_translation_faults_and_ends_the_task_with_a_dma_error() {
    let unmapped = |rig: &mut Rig, at: &Loaded| rig.map(at.input.iova, 0, 0);
    for id in CoreId::ALL {
        let mut rig = Rig::ready();
        let at = kicked(&mut rig, id, unmapped);
        let &bank = banks(id).last().unwrap();
        assert!(rig.npu.line_is_high(id));
        assert_eq!(rig.r(id, bank + INT_RAW), 1);
        assert_eq!(rig.r(id, bank + FAULT_ADDR), at.input.iova);
        assert_eq!(rig.r(id, bank + STATUS) & 0x22, 0x02, "a fault, by a read");
        rig.w(id, bank + COMMAND, ZAP_CACHE);
        rig.w(id, bank + COMMAND, FAULT_DONE);
        rig.w(id, bank + INT_CLEAR, 1);
        assert!(!rig.npu.line_is_high(id));
        rig.settle();
        assert_eq!(rig.r(id, PC_RAW_STATUS), DMA_READ_ERROR);
        assert_eq!(rig.count(Counter::IommuFault), 1);
        rig.assert_clean();
        rig.kick(id, (0, 2), 1);
        rig.assert_records(&[Kind::NpuBusy]);
    }
}

#[test]
fn a_write_without_permission_faults_in_the_first_bank() {
    let mut rig = Rig::ready();
    let id = CoreId::Core0;
    let at = kicked(&mut rig, id, |rig, at| {
        rig.map(at.output.iova, at.output.pa, 2);
    });
    assert_eq!(
        rig.r(id, 0x9000 + STATUS) & 0x22,
        0x22,
        "a fault, by a write"
    );
    assert_eq!(rig.r(id, 0x9000 + FAULT_ADDR), at.output.iova);
    rig.w(id, 0x9000 + COMMAND, FAULT_DONE);
    rig.w(id, 0x9000 + INT_CLEAR, 1);
    rig.settle();
    assert_eq!(rig.take(id), DMA_WRITE_ERROR);
    rig.assert_clean();
}

#[test]
fn translations_are_kept_until_they_are_dropped() {
    let mut rig = Rig::ready();
    let id = CoreId::Core2;
    let layer = layer();
    let loaded = rig.load(&layer);
    let list = rig.list(&words(&layer, &loaded));
    let run = |rig: &mut Rig| {
        rig.kick(id, list, 1);
        rig.settle();
        rig.take(id);
    };
    run(&mut rig);
    let fills = rig.count(Counter::IommuFill);
    run(&mut rig);
    assert_eq!(
        rig.count(Counter::IommuFill),
        fills,
        "all of them are cached"
    );

    // Moved to another page: used again, the old translation is stale.
    let page = rig.page();
    rig.host.write(page, &layer.packed_bias()).unwrap();
    rig.map(loaded.bias.iova, page, 6);
    run(&mut rig);
    rig.assert_records(&[Kind::StaleTlb]);
    rig.w(id, 0xa000 + ZAP_ONE, loaded.bias.iova);
    run(&mut rig);
    assert_eq!(rig.count(Counter::IommuFill), fills + 1);
    rig.w(id, 0xa000 + COMMAND, ZAP_CACHE);
    run(&mut rig);
    assert_eq!(rig.count(Counter::IommuFill), 2 * fills + 1);
    rig.assert_clean();
}

#[test]
fn a_core_whose_iommu_does_not_translate_gets_nowhere() {
    let mut rig = Rig::on();
    kicked(&mut rig, CoreId::Core0, |_, _| ());
    rig.assert_records(&[Kind::NpuBypass]);
    assert_eq!(rig.take(CoreId::Core0), DMA_READ_ERROR);
}

#[test]
fn banks_that_differ_are_recorded() {
    let mut rig = Rig::ready();
    rig.w(CoreId::Core0, 0xa000 + INT_MASK, 0);
    kicked(&mut rig, CoreId::Core0, |_, _| ());
    rig.assert_records(&[Kind::IommuConfig]);
}

#[test]
fn paging_without_a_table_is_recorded() {
    let mut rig = Rig::on();
    rig.w(CoreId::Core1, 0xa000 + COMMAND, ENABLE_PAGING);
    rig.assert_records(&[Kind::IommuConfig]);
}

#[test]
fn an_iommu_reprogrammed_under_its_running_core_is_recorded() {
    let mut rig = Rig::ready();
    rig.npu.inject(&rig.host, "npu hang 1").unwrap();
    kicked(&mut rig, CoreId::Core1, |_, _| ());
    rig.w(CoreId::Core1, 0xa000 + COMMAND, ENABLE_STALL);
    rig.w(CoreId::Core1, 0xa000 + COMMAND, DISABLE_PAGING);
    rig.assert_records(&[Kind::IommuLive]);
    rig.w(CoreId::Core1, 0xa000 + COMMAND, DISABLE_STALL);
    rig.w(CoreId::Core1, 0xa000 + DTE_ADDR, 0);
    rig.w(CoreId::Core1, 0xa000 + COMMAND, FORCE_RESET);
    rig.assert_records(&[Kind::IommuLive, Kind::IommuLive]);
}

#[test]
fn reserved_bits_and_addresses_outside_of_ram_are_recorded() {
    let mut rig = Rig::ready();
    kicked(&mut rig, CoreId::Core1, |rig, at| {
        rig.map(at.bias.iova, at.bias.pa, 0xe);
    });
    rig.take(CoreId::Core1);
    rig.assert_records(&[Kind::PteReserved]);
    kicked(&mut rig, CoreId::Core1, |rig, at| {
        rig.map(at.input.iova, 0x12_3456_7000, 6);
    });
    rig.assert_records(&[Kind::DmaOutsideRam]);
    assert_eq!(rig.take(CoreId::Core1), DMA_READ_ERROR);

    let dte = rig.entry(0x12_3456_7000, 1);
    rig.w(CoreId::Core2, 0xa000 + DTE_ADDR, dte);
    kicked(&mut rig, CoreId::Core2, |_, _| ());
    rig.assert_records(&[Kind::WalkOutsideRam]);
    assert_eq!(rig.r(CoreId::Core2, 0xa000 + INT_RAW), 2, "a bus error");
}

#[test]
fn an_injected_fault_and_stuck_commands_happen_once() {
    let mut rig = Rig::ready();
    let id = CoreId::Core1;
    rig.npu.inject(&rig.host, "npu iommu stuck 1").unwrap();
    rig.w(id, 0xa000 + COMMAND, ENABLE_STALL);
    assert_eq!(rig.r(id, 0xa000 + STATUS) & 4, 0);
    rig.w(id, 0xa000 + COMMAND, ENABLE_STALL);
    assert_eq!(rig.r(id, 0xa000 + STATUS) & 4, 4);
    rig.w(id, 0xa000 + COMMAND, DISABLE_STALL);

    let at = kicked(&mut rig, id, |rig, at| {
        let line = std::format!("npu fault 1 0x{:x}", at.weights.iova);
        rig.npu.inject(&rig.host, &line).unwrap();
    });
    assert_eq!(rig.r(id, 0xa000 + FAULT_ADDR), at.weights.iova);
    assert_eq!(rig.r(id, 0xa000 + INT_RAW), 1);
    rig.assert_clean();
}
