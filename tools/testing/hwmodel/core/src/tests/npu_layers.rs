// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What an NPU core calculates.

use super::npu_rig::*;
use super::npu_tensor::*;
use crate::counters::Counter;
use crate::npu::iommu::Version;
use crate::npu::CoreId;
use crate::record::Kind;

fn assert_close(got: &[u8], expected: &[u8]) {
    assert_eq!(got.len(), expected.len());
    for (n, (&a, &b)) in got.iter().zip(expected).enumerate() {
        assert!(a.abs_diff(b) <= 1, "value {n}: {a} instead of {b}");
    }
    let first = expected[0];
    assert!(
        expected.iter().any(|&v| v != first),
        "a constant reference proves nothing"
    );
}

/// Seed, whether depthwise, size of the input, output channels; kernel, stride and padding.
type Shape = (
    u32,
    bool,
    (usize, usize, usize),
    usize,
    (usize, usize, usize),
);

const LAYERS: &[Shape] = &[
    (1, false, (8, 8, 16), 16, (1, 1, 0)),
    (2, false, (8, 8, 32), 32, (3, 1, 1)),
    (3, false, (9, 7, 3), 24, (3, 2, 1)),
    (4, false, (5, 5, 48), 40, (3, 1, 0)),
    (5, false, (4, 4, 80), 70, (1, 1, 0)),
    (6, false, (7, 9, 16), 5, (5, 1, 2)),
    (7, true, (8, 8, 32), 32, (3, 1, 1)),
    (8, true, (9, 9, 64), 64, (3, 2, 1)),
    (9, true, (6, 6, 96), 96, (3, 1, 1)),
    (10, true, (5, 5, 16), 16, (5, 1, 2)),
];

#[test]
fn every_layer_is_within_one_of_its_definition() {
    for &(seed, depthwise, input, out, kernel) in LAYERS {
        let mut rig = Rig::ready();
        let layer = Layer::generate(seed, depthwise, input, out, kernel);
        let got = rig.run(CoreId::Core0, &layer);
        assert_close(&got, &layer.reference());
        rig.assert_clean();
    }
}

#[test]
fn a_tensor_may_be_added() {
    for &(seed, depthwise, input, out, kernel) in LAYERS {
        let mut rig = Rig::ready();
        let layer = Layer::generate(seed, depthwise, input, out, kernel);
        let adding = layer.clone().adding(seed + 100);
        let got = rig.run(CoreId::Core1, &adding);
        assert_close(&got, &adding.reference());
        assert_ne!(adding.reference(), layer.reference());
        rig.assert_clean();
    }
}

/// What the registers say of it has to fit together.
#[test]
fn an_operand_that_nobody_takes_is_a_mistake() {
    let layer = Layer::generate(40, false, (4, 4, 16), 16, (1, 1, 0));
    let adding = layer.clone().adding(41);
    for (wrong, kind) in [
        ((0x2001, 0x5034, 0x4000_0004), Kind::NpuConfig),
        ((0x2001, 0x504c, 16), Kind::NpuConfig),
        ((0x2001, 0x5040, 16), Kind::NpuConfig),
        ((0x1001, 0x4070, 0x9042_02c4), Kind::NpuUnsupported),
    ] {
        let mut rig = Rig::ready();
        let layer = if wrong.1 == 0x5034 { &layer } else { &adding };
        let at = rig.load(layer);
        let mut list = body(layer, &at);
        list.push(word(wrong.0, wrong.1, wrong.2));
        list.extend(tail(None));
        let list = rig.list(&list);
        rig.kick(CoreId::Core0, list, 1);
        rig.settle();
        rig.assert_records(&[kind]);
    }
}

#[test]
fn each_core_calculates_the_same() {
    let layer = Layer::generate(20, false, (8, 8, 32), 32, (3, 1, 1));
    for id in CoreId::ALL {
        let mut rig = Rig::ready();
        assert_close(&rig.run(id, &layer), &layer.reference());
        rig.assert_clean();
    }
}

#[test]
fn truncation_divides_sums_and_biases() {
    let mut layer = Layer::generate(21, false, (6, 6, 16), 16, (3, 1, 1));
    layer.truncate = 2;
    let mut rig = Rig::ready();
    assert_close(&rig.run(CoreId::Core1, &layer), &layer.reference());
    rig.assert_clean();
}

#[test]
fn results_saturate() {
    let mut layer = Layer::generate(22, false, (4, 4, 16), 16, (1, 1, 0));
    layer.shift = 18;
    let mut rig = Rig::ready();
    let got = rig.run(CoreId::Core0, &layer);
    assert_close(&got, &layer.reference());
    assert!(got.contains(&0) && got.contains(&255));
    rig.assert_clean();
}

#[test]
fn the_output_of_a_layer_is_the_input_of_the_next() {
    let mut rig = Rig::ready();
    let first = Layer::generate(23, false, (8, 8, 16), 32, (3, 1, 1));
    let mut second = Layer::generate(24, true, (8, 8, 32), 32, (3, 1, 1));
    second.zero_in = first.zero_out;
    let a = rig.load(&first);
    let mut b = rig.load(&second);
    b.input = a.output;
    for (layer, at) in [(&first, &a), (&second, &b)] {
        let list = rig.list(&words(layer, at));
        rig.kick(CoreId::Core2, list, 1);
        rig.settle();
        rig.take(CoreId::Core2);
    }
    second.input = first.unpack(&rig.peek(a.output, first.output_size()));
    let got = second.unpack(&rig.peek(b.output, second.output_size()));
    assert_close(&got, &second.reference());
    rig.assert_clean();
}

#[test]
fn a_chain_runs_in_one_kick_and_raises_one_interrupt() {
    let mut rig = Rig::ready();
    let layers: std::vec::Vec<_> = (0..5)
        .map(|n| Layer::generate(30 + n, false, (4, 4, 16), 16, (1, 1, 0)))
        .collect();
    let loaded: std::vec::Vec<_> = layers.iter().map(|l| rig.load(l)).collect();
    let mut next = None;
    for (layer, at) in layers.iter().zip(&loaded).rev() {
        let mut list = body(layer, at);
        list.extend(tail(next));
        next = Some(rig.list(&list));
    }
    rig.kick(CoreId::Core0, next.unwrap(), 5);
    rig.settle();
    for (layer, at) in layers.iter().zip(&loaded) {
        let got = layer.unpack(&rig.peek(at.output, layer.output_size()));
        assert_close(&got, &layer.reference());
    }
    assert_eq!(rig.count(Counter::NpuKick), 1);
    assert_eq!(rig.count(Counter::Npu0Task), 5);
    assert_eq!(rig.count(Counter::IrqNpu), 1);
    assert_eq!(rig.r(CoreId::Core0, 0x3c), 0xf005, "tasks completed");
    rig.assert_clean();
}

#[test]
fn between_two_lists_of_a_chain_the_first_ones_events_are_pending_and_assert_nothing() {
    let mut rig = Rig::ready();
    let id = CoreId::Core0;
    let layer = Layer::generate(40, false, (4, 4, 16), 16, (1, 1, 0));
    let loaded = rig.load(&layer);
    let last = rig.list(&words(&layer, &loaded));
    let mut first = body(&layer, &loaded);
    first.extend(tail(Some(last)));
    let first = rig.list(&first);
    // Beyond what the rig waits for.
    rig.npu.inject(&rig.host, "npu pause 2000000000").unwrap();
    rig.kick(id, first, 2);
    rig.settle();
    assert_eq!(rig.count(Counter::Npu0Task), 1);
    assert_eq!(rig.r(id, PC_RAW_STATUS) & (DPU_0 | DPU_1), DPU_0);
    assert_eq!(rig.r(id, PC_STATUS), 0);
    assert!(!rig.npu.line_is_high(id));
    rig.host.pass(2_000_000_000);
    rig.settle();
    assert_eq!(rig.count(Counter::Npu0Task), 2);
    assert_eq!(rig.r(id, PC_STATUS), DPU_1);
    assert_eq!(rig.take(id) & (DPU_0 | DPU_1), DPU_1);
    rig.assert_clean();
}

#[test]
fn groups_of_registers_alternate_and_tell_which_one_ran() {
    let mut rig = Rig::ready();
    let layer = Layer::generate(40, false, (4, 4, 16), 16, (1, 1, 0));
    let loaded = rig.load(&layer);
    let list = rig.list(&words(&layer, &loaded));
    for event in [DPU_0, DPU_1, DPU_0] {
        rig.kick(CoreId::Core1, list, 1);
        rig.settle();
        assert_eq!(rig.take(CoreId::Core1) & (DPU_0 | DPU_1), event);
    }
    rig.assert_clean();
}

#[test]
fn three_cores_run_at_once() {
    let mut rig = Rig::ready();
    let layer = Layer::generate(41, false, (8, 8, 16), 16, (3, 1, 1));
    let loaded = CoreId::ALL.map(|_| rig.load(&layer));
    for (id, at) in CoreId::ALL.into_iter().zip(&loaded) {
        let list = rig.list(&words(&layer, at));
        rig.kick(id, list, 1);
    }
    rig.settle();
    for (id, at) in CoreId::ALL.into_iter().zip(&loaded) {
        assert_ne!(rig.take(id) & DPU_0, 0);
        let got = layer.unpack(&rig.peek(at.output, layer.output_size()));
        assert_close(&got, &layer.reference());
    }
    rig.assert_clean();
}

/// Runs a changed list, which must be refused with this record, and end no task.
fn refused(kind: Kind, change: impl Fn(&mut std::vec::Vec<u64>)) {
    let mut rig = Rig::ready();
    let layer = Layer::generate(50, false, (4, 4, 16), 16, (1, 1, 0));
    let loaded = rig.load(&layer);
    let mut list = words(&layer, &loaded);
    change(&mut list);
    let list = rig.list(&list);
    rig.kick(CoreId::Core0, list, 1);
    rig.settle();
    rig.assert_records(&[kind]);
    assert_eq!(rig.take(CoreId::Core0), 0);
    assert_eq!(rig.count(Counter::Npu0Task), 0);
    rig.npu.set_reset(&rig.host, CoreId::Core0, false, true);
    rig.npu.set_reset(&rig.host, CoreId::Core0, false, false);
    rig.attach(CoreId::Core0);
    rig.run(CoreId::Core0, &layer);
    rig.assert_clean();
}

/// Replaces the value of a register in a list.
fn set(list: &mut [u64], reg: u64, value: u32) {
    for w in list.iter_mut().filter(|w| **w & 0xffff == reg) {
        *w = word(*w >> 48, reg, value);
    }
}

#[test]
fn lists_that_contradict_themselves_are_recorded() {
    refused(Kind::NpuConfig, |list| set(list, 0x3014, 0));
    refused(Kind::NpuConfig, |list| set(list, 0x1034, 15));
    refused(Kind::NpuConfig, |list| set(list, 0x1040, 0xc1));
    refused(Kind::NpuConfig, |list| set(list, 0x4004, 0));
    refused(Kind::NpuConfig, |list| set(list, 0x1014, 0));
}

#[test]
fn what_is_not_modelled_is_recorded() {
    // One input channel, element-wise addition, a lookup table, pooling.
    refused(Kind::NpuUnsupported, |list| set(list, 0x100c, 0x6000_8000));
    refused(Kind::NpuUnsupported, |list| set(list, 0x4070, 0x1000_0000));
    refused(Kind::NpuUnsupported, |list| set(list, 0x4108, 1));
    refused(Kind::NpuUnsupported, |list| {
        list[0] = word(0x4001, 0x6008, 1)
    });
}

#[test]
fn malformed_lists_are_recorded() {
    refused(Kind::NpuList, |list| list[3] = word(0x0301, 0x100c, 0));
    refused(Kind::NpuList, |list| list[3] = word(0x0201, 0x1018, 0));
    refused(Kind::NpuList, |list| list[3] = word(0x0201, 0x4010, 0));
    refused(Kind::NpuList, |list| *list.last_mut().unwrap() = 0);
    refused(Kind::NpuDeadPage, |list| list[3] = word(0x0201, 0x2000, 0));
}

#[test]
fn a_start_without_a_barrier_and_reused_weights_that_nobody_loaded_are_recorded() {
    let mut rig = Rig::ready();
    let layer = Layer::generate(51, false, (4, 4, 16), 16, (1, 1, 0));
    let loaded = rig.load(&layer);
    let mut list = words(&layer, &loaded);
    let barrier = list.len() - 2;
    list[barrier] = 0;
    let list = rig.list(&list);
    rig.kick(CoreId::Core0, list, 1);
    rig.settle();
    rig.take(CoreId::Core0);
    rig.assert_records(&[Kind::NpuList]);

    let mut list = words(&layer, &loaded);
    set(&mut list, 0x1040, 0x20b1);
    let list = rig.list(&list);
    rig.kick(CoreId::Core0, list, 1);
    rig.settle();
    rig.take(CoreId::Core0);
    rig.assert_clean();
    rig.kick(CoreId::Core1, list, 1);
    rig.settle();
    rig.assert_records(&[Kind::NpuConfig]);
}

#[test]
fn both_formats_of_tables_work() {
    let mut rig = Rig::off(Version::V1);
    rig.power(true);
    rig.attach_all();
    let layer = Layer::generate(52, false, (4, 4, 16), 16, (1, 1, 0));
    assert_close(&rig.run(CoreId::Core0, &layer), &layer.reference());
    rig.assert_clean();
    assert_eq!(Version::V2.address(0x1234_5ab1), 0xba_1234_5000);
    assert_eq!(Version::V1.address(0x1234_5ab1), 0x1234_5000);
}
