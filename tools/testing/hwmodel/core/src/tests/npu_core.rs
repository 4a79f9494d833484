// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Registers, interrupts, power and reset of NPU cores.

use super::npu_rig::*;
use super::npu_tensor::*;
use crate::counters::Counter;
use crate::host::Host;
use crate::irq::STORM_DELIVERIES;
use crate::irq::STUCK_NS;
use crate::npu::iommu::Version;
use crate::npu::CoreId;
use crate::npu::NpuClock;
use crate::npu::NpuDomain;
use crate::record::Kind;

fn kick(rig: &mut Rig, id: CoreId) {
    let layer = Layer::generate(70, false, (4, 4, 16), 16, (1, 1, 0));
    let loaded = rig.load(&layer);
    let list = rig.list(&words(&layer, &loaded));
    rig.kick(id, list, 1);
}

#[test]
fn an_access_without_domain_supply_or_any_clock_is_recorded() {
    let mut rig = Rig::off(Version::V2);
    let id = CoreId::Core1;
    let refused = |rig: &mut Rig, kind| {
        assert_eq!(rig.r(id, 0), 0xdead_beef);
        rig.assert_records(&[kind]);
    };
    refused(&mut rig, Kind::PowerOff);
    rig.npu.set_supply(&rig.host, true);
    rig.npu.set_domain(&rig.host, NpuDomain::Top, true);
    refused(&mut rig, Kind::PowerOff);
    rig.npu.set_domain(&rig.host, NpuDomain::Npu1, true);
    for clock in [
        NpuClock::Aclk(id),
        NpuClock::Hclk(id),
        NpuClock::Npu,
        NpuClock::Pclk,
    ] {
        refused(&mut rig, Kind::ClockOff);
        rig.npu.set_clock(&rig.host, clock, true);
    }
    assert_eq!(rig.r(id, 0), 0x4649_5245);
    rig.npu.set_clock(&rig.host, NpuClock::Npu, false);
    rig.r(id, 0xa000 + STATUS);
    rig.assert_clean();
    rig.npu.set_clock(&rig.host, NpuClock::Hclk(id), false);
    rig.r(id, 0xa000 + STATUS);
    rig.assert_records(&[Kind::ClockOff]);
}

#[test]
fn power_goes_on_from_the_supply_to_the_cores() {
    let mut rig = Rig::off(Version::V2);
    rig.npu.set_domain(&rig.host, NpuDomain::Top, true);
    rig.assert_records(&[Kind::PowerOrder]);
    rig.npu.set_domain(&rig.host, NpuDomain::Top, false);
    rig.npu.set_supply(&rig.host, true);
    rig.npu.set_domain(&rig.host, NpuDomain::Npu2, true);
    rig.assert_records(&[Kind::PowerOrder]);
    rig.npu.set_domain(&rig.host, NpuDomain::Top, true);
    rig.assert_clean();
}

#[test]
fn the_rate_changes_while_there_is_power() {
    let mut rig = Rig::off(Version::V2);
    rig.npu.set_rate(&rig.host, 100_000_000);
    rig.assert_records(&[Kind::NpuRate]);
    rig.power(true);
    rig.npu.set_rate(&rig.host, 1_000_000_000);
    rig.npu.set_domain(&rig.host, NpuDomain::Npu1, false);
    rig.npu.set_clock(&rig.host, NpuClock::Npu, false);
    rig.npu.set_rate(&rig.host, 300_000_000);
    rig.assert_clean();
    rig.power(false);
    rig.npu.clear_records();
    rig.npu.set_rate(&rig.host, 1_000_000_000);
    rig.assert_records(&[Kind::NpuRate]);
}

#[test]
fn the_domain_of_all_cores_is_switched_with_a_slow_clock() {
    let mut rig = Rig::off(Version::V2);
    rig.npu.set_supply(&rig.host, true);
    rig.npu.set_domain(&rig.host, NpuDomain::Top, true);
    rig.npu.set_rate(&rig.host, 300_000_000);
    for domain in [NpuDomain::Npu1, NpuDomain::Npu2] {
        rig.npu.set_domain(&rig.host, domain, true);
        rig.npu.set_domain(&rig.host, domain, false);
    }
    rig.npu.set_domain(&rig.host, NpuDomain::Top, true);
    rig.assert_clean();
    for on in [false, true] {
        rig.npu.set_domain(&rig.host, NpuDomain::Top, on);
        rig.assert_records(&[Kind::NpuDomainRate]);
    }
    rig.npu.set_rate(&rig.host, 200_000_000);
    rig.npu.set_domain(&rig.host, NpuDomain::Top, false);
    rig.assert_clean();
}

#[test]
fn what_a_running_core_needs_may_not_go() {
    let mut rig = Rig::ready();
    rig.npu.inject(&rig.host, "npu hang 2").unwrap();
    kick(&mut rig, CoreId::Core2);
    rig.npu
        .set_clock(&rig.host, NpuClock::Aclk(CoreId::Core1), false);
    rig.npu.set_domain(&rig.host, NpuDomain::Npu1, false);
    rig.assert_clean();
    rig.npu.set_clock(&rig.host, NpuClock::Npu, false);
    rig.assert_records(&[Kind::GatedBusy]);
    rig.npu.set_clock(&rig.host, NpuClock::Npu, true);
    rig.npu.set_domain(&rig.host, NpuDomain::Npu2, false);
    rig.assert_records(&[Kind::GatedBusy]);
}

#[test]
fn a_lost_domain_takes_the_state_of_its_core() {
    let mut rig = Rig::ready();
    for id in CoreId::ALL {
        rig.w(id, PC_INTERRUPT_MASK, 0x300);
    }
    rig.npu.set_domain(&rig.host, NpuDomain::Npu1, false);
    rig.npu.set_domain(&rig.host, NpuDomain::Npu1, true);
    let masks = CoreId::ALL.map(|id| rig.r(id, PC_INTERRUPT_MASK));
    assert_eq!(masks, [0x300, 0, 0x300]);
    assert_eq!(rig.r(CoreId::Core1, 0xa000 + DTE_ADDR), 0);
    rig.npu.set_supply(&rig.host, false);
    rig.npu.set_domain(&rig.host, NpuDomain::Top, false);
    rig.npu.clear_records();
    rig.npu.set_supply(&rig.host, true);
    rig.npu.set_domain(&rig.host, NpuDomain::Top, true);
    assert_eq!(CoreId::ALL.map(|id| rig.r(id, PC_INTERRUPT_MASK)), [0; 3]);
}

#[test]
fn a_reset_ends_a_hung_task_and_takes_the_iommu_with_it() {
    let mut rig = Rig::ready();
    let id = CoreId::Core0;
    rig.npu.inject(&rig.host, "npu hang 0").unwrap();
    kick(&mut rig, id);
    rig.settle();
    assert_eq!(rig.r(id, PC_RAW_STATUS), 0);
    rig.npu.set_reset(&rig.host, id, false, true);
    rig.npu.set_reset(&rig.host, id, true, true);
    rig.r(id, PC_RAW_STATUS);
    rig.assert_records(&[Kind::InReset]);
    rig.npu.set_reset(&rig.host, id, false, false);
    rig.npu.set_reset(&rig.host, id, true, false);
    assert_eq!(rig.r(id, 0x9000 + DTE_ADDR), 0);
    assert_eq!(rig.count(Counter::NpuReset), 1);
    rig.attach(id);
    kick(&mut rig, id);
    rig.settle();
    assert_ne!(rig.take(id) & DPU_0, 0);
    rig.assert_clean();
}

#[test]
fn a_task_that_runs_is_not_disturbed_by_another_kick() {
    let mut rig = Rig::ready();
    rig.npu.inject(&rig.host, "npu delay 1000000").unwrap();
    kick(&mut rig, CoreId::Core0);
    rig.w(CoreId::Core0, PC_OPERATION_ENABLE, 1);
    rig.assert_records(&[Kind::NpuBusy]);
    let begin = rig.host.now_ns();
    rig.settle();
    assert!(rig.host.now_ns() - begin >= 1_000_000);
    assert_ne!(rig.take(CoreId::Core0) & DPU_0, 0);
    rig.assert_clean();
}

#[test]
fn a_start_has_to_be_taken_back_before_the_next_one() {
    let mut rig = Rig::ready();
    let id = CoreId::Core1;
    kick(&mut rig, id);
    rig.settle();
    rig.w(id, PC_INTERRUPT_CLEAR, 0x1_ffff);
    kick(&mut rig, id);
    rig.settle();
    assert_eq!(rig.r(id, PC_RAW_STATUS), 0);
    rig.assert_records(&[Kind::NpuEnable]);
    rig.w(id, PC_OPERATION_ENABLE, 0);
    kick(&mut rig, id);
    rig.settle();
    assert_ne!(rig.take(id) & DPU_1, 0);
    rig.assert_clean();
}

#[test]
fn a_start_that_is_taken_back_while_its_task_runs_is_recorded() {
    let mut rig = Rig::ready();
    let id = CoreId::Core1;
    rig.npu.inject(&rig.host, "npu delay 1000000").unwrap();
    kick(&mut rig, id);
    rig.w(id, PC_OPERATION_ENABLE, 0);
    rig.assert_records(&[Kind::NpuTakenBack]);
    rig.settle();
    assert_ne!(rig.take(id) & DPU_0, 0);
    rig.assert_clean();
}

#[test]
fn masked_events_are_pending_but_do_not_assert_the_line() {
    let mut rig = Rig::ready();
    let id = CoreId::Core1;
    kick(&mut rig, id);
    rig.w(id, PC_INTERRUPT_MASK, 0);
    rig.settle();
    assert!(!rig.npu.line_is_high(id));
    assert_ne!(rig.r(id, PC_RAW_STATUS) & DPU_0, 0);
    rig.w(id, PC_INTERRUPT_MASK, DPU_0);
    assert!(rig.npu.line_is_high(id));
    rig.w(id, PC_INTERRUPT_CLEAR, DPU_0);
    assert!(!rig.npu.line_is_high(id));
    assert_eq!(rig.count(Counter::IrqNpu), 1);
    rig.assert_clean();
}

#[test]
fn a_line_that_nobody_serves_is_recorded() {
    let mut rig = Rig::ready();
    let id = CoreId::Core2;
    kick(&mut rig, id);
    rig.settle();
    for _ in 0..STORM_DELIVERIES {
        rig.npu.delivered(&rig.host, id);
    }
    rig.assert_records(&[Kind::IrqStorm]);
    rig.take(id);
    kick(&mut rig, id);
    rig.settle();
    rig.host.pass(STUCK_NS);
    rig.npu.step(&rig.host);
    rig.assert_records(&[Kind::LineStuck]);
    rig.npu.abandoned(&rig.host, id);
    rig.assert_records(&[Kind::LineStuck]);
}

#[test]
fn a_lost_interrupt_leaves_the_event_pending() {
    let mut rig = Rig::ready();
    let id = CoreId::Core0;
    rig.npu.inject(&rig.host, "npu irq drop 0").unwrap();
    kick(&mut rig, id);
    rig.settle();
    assert!(!rig.npu.line_is_high(id));
    assert_ne!(rig.take(id) & DPU_0, 0);
    kick(&mut rig, id);
    rig.settle();
    assert!(rig.npu.line_is_high(id));
    rig.assert_clean();
}

#[test]
fn an_injected_dma_error_stops_the_core_without_an_interrupt() {
    let mut rig = Rig::ready();
    rig.npu.inject(&rig.host, "npu dma-error 0").unwrap();
    kick(&mut rig, CoreId::Core0);
    rig.settle();
    assert_eq!(rig.take(CoreId::Core0), DMA_READ_ERROR);
    assert_eq!(rig.count(Counter::IrqNpu), 0);
    rig.assert_clean();
}

#[test]
fn a_dma_error_beyond_the_last_list_is_beside_the_results() {
    let mut rig = Rig::ready();
    rig.npu.inject(&rig.host, "npu prefetch 0").unwrap();
    for failed in [DMA_READ_ERROR, 0] {
        kick(&mut rig, CoreId::Core0);
        rig.settle();
        assert!(rig.npu.line_is_high(CoreId::Core0));
        let events = rig.take(CoreId::Core0);
        assert_ne!(events & (DPU_0 | DPU_1), 0);
        assert_eq!(events & DMA_READ_ERROR, failed);
    }
    rig.assert_clean();
}

#[test]
fn a_noisy_reset_raises_the_line_for_as_long_as_it_lasts() {
    let mut rig = Rig::ready();
    let id = CoreId::Core1;
    rig.npu.inject(&rig.host, "npu irq reset 1").unwrap();
    for high in [true, false] {
        rig.npu.set_reset(&rig.host, id, false, true);
        rig.npu.set_reset(&rig.host, id, true, true);
        assert_eq!(rig.npu.line_is_high(id), high);
        rig.npu.set_reset(&rig.host, id, false, false);
        assert_eq!(rig.npu.line_is_high(id), high);
        rig.npu.set_reset(&rig.host, id, true, false);
        assert!(!rig.npu.line_is_high(id));
    }
    rig.assert_clean();
}

#[test]
fn clear_makes_the_npu_behave_again() {
    let mut rig = Rig::ready();
    for line in [
        "npu hang 0 9",
        "npu dma-error 1 9",
        "npu irq drop 2 9",
        "npu delay 5",
    ] {
        rig.npu.inject(&rig.host, line).unwrap();
    }
    rig.npu.clear_injections();
    for id in CoreId::ALL {
        kick(&mut rig, id);
    }
    rig.settle();
    for id in CoreId::ALL {
        assert!(rig.npu.line_is_high(id));
        assert_ne!(rig.take(id) & DPU_0, 0);
    }
    rig.assert_clean();
}

#[test]
fn accesses_that_no_register_answers_are_recorded() {
    let mut rig = Rig::on();
    let id = CoreId::Core1;
    for (off, kind) in [
        (0x2000, Kind::NpuDeadPage),
        (0x2ffc, Kind::NpuDeadPage),
        (0x9000, Kind::Hole),
        (0x100, Kind::Hole),
        (0x1018, Kind::Hole),
        (0x8000, Kind::Hole),
        (0xa040, Kind::Hole),
        (PC_INTERRUPT_CLEAR, Kind::WriteOnly),
        (0xa000 + COMMAND, Kind::WriteOnly),
        (2, Kind::Width),
    ] {
        rig.r(id, off);
        rig.assert_records(&[kind]);
    }
    for (off, kind) in [
        (0x2000, Kind::NpuDeadPage),
        (0x0, Kind::ReadOnly),
        (PC_RAW_STATUS, Kind::ReadOnly),
        (0x1000, Kind::ReadOnly),
        (0xa000 + STATUS, Kind::ReadOnly),
        (0x7000, Kind::Hole),
        (0x1010, Kind::NpuConfig),
        (0x1008, Kind::NpuUnsupported),
    ] {
        rig.w(id, off, 0);
        rig.assert_records(&[kind]);
    }
    rig.npu.access_other(&rig.host, id, 0x8, 8, true);
    rig.assert_records(&[Kind::Width]);
}

#[test]
fn a_kick_of_no_task_or_without_a_list_is_recorded() {
    let mut rig = Rig::ready();
    rig.w(CoreId::Core0, PC_OPERATION_ENABLE, 1);
    rig.assert_records(&[Kind::NpuConfig]);
    rig.w(CoreId::Core1, PC_BASE_ADDRESS, 1);
    rig.w(CoreId::Core1, PC_OPERATION_ENABLE, 1);
    rig.assert_records(&[Kind::NpuUnsupported]);
}

#[test]
fn commands_that_are_no_misbehaviour_are_refused() {
    let mut rig = Rig::on();
    for line in [
        "npu",
        "npu hang",
        "npu hang 3",
        "npu hang 0 0",
        "npu x 0",
        "hang 0",
        "npu hang 0 1 2",
        "npu fault 0",
    ] {
        assert!(rig.npu.inject(&rig.host, line).is_err(), "{line}");
    }
}
