// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Tiler heaps: what a stream does when there is none left, and what the host is told of it.

use std::vec::Vec;

use super::rig::asm::*;
use super::rig::cs_in_at;
use super::rig::Rig;
use super::rig::CODE_VA;
use super::rig::DATA_VA;
use crate::mcu::layout::cs_in;
use crate::mcu::layout::cs_out;
use crate::mcu::layout::csg_in;
use crate::mcu::layout::exception;

fn started(queues: usize) -> Rig {
    let mut rig = Rig::booted();
    rig.start(0, queues);
    rig
}

/// A tiler context at the data page's second half whose heap has one small chunk left.
fn heap(rig: &mut Rig) -> Vec<u64> {
    let page = DATA_VA + 0x1000;
    let (context, tiler, descriptor, chunk) = (page, page + 0x100, page + 0x200, page + 0x400);
    rig.set_data(0x1100 + 24, descriptor);
    rig.set_data(0x1200, 0x400 << 32);
    rig.set_data(0x1208, chunk);
    rig.set_data(0x1210, chunk + 64);
    rig.set_data(0x1218, chunk + 128);
    std::vec![
        mov48(40, tiler),
        mov48(60, context),
        heap_set(60),
        mov32(33, 10),
        mov32(34, 1),
        heap_operation(0),
        run_idvs(),
        wait(0xff),
        heap_operation(1),
    ]
}

#[test]
fn an_exhausted_heap_asks_for_a_chunk_and_goes_on_with_it() {
    let mut rig = started(1);
    let code = heap(&mut rig);
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    assert_eq!(rig.cs_events(0, 0), cs_in::TILER_OOM);
    assert_eq!(
        u64::from(rig.cs(0, 0, cs_out::HEAP_ADDRESS)),
        DATA_VA + 0x1000
    );
    assert_eq!(rig.cs(0, 0, cs_out::HEAP_VT_START), 1);
    assert_eq!(rig.cs(0, 0, cs_out::HEAP_VT_END), 0);
    assert_eq!(rig.data64(0xf00), 0);
    // One page, as address and size.
    let chunk = CODE_VA + 0x2000;
    rig.put64(cs_in_at(0, 0) + cs_in::HEAP_START, chunk | 1);
    rig.ack_stream(0, 0, cs_in::TILER_OOM);
    rig.m.pass(1_000_000);
    assert_eq!(rig.data64(0xf00), 1);
    // Ten vertices of 32 bytes, 64 of which fitted into the old chunk.
    assert_eq!(rig.data64(0x1208), chunk);
    assert_eq!(rig.data64(0x1210), chunk + 64 + 256);
    assert_eq!(rig.data64(0x1400), chunk | 1, "linked");
    rig.m.assert_clean();
}

#[test]
fn no_chunk_means_the_exception_handler_or_the_end() {
    let mut rig = started(1);
    let code = heap(&mut rig);
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    rig.put64(cs_in_at(0, 0) + cs_in::HEAP_START, 0);
    rig.ack_stream(0, 0, cs_in::TILER_OOM);
    assert_eq!(rig.cs_events(0, 0), cs_in::FATAL);
    assert_eq!(rig.cs(0, 0, cs_out::FATAL), u32::from(exception::OOM));

    let mut rig = started(1);
    let mut code = heap(&mut rig);
    // The handler makes room: it resets the bottom of the chunk.
    let chunk = DATA_VA + 0x1400;
    rig.write_code(
        0x800,
        &[
            mov48(70, DATA_VA + 0x1200),
            mov48(72, chunk + 4096),
            store(72, 3, 70, 24),
        ],
    );
    let set = [
        mov48(80, CODE_VA + 0x800),
        mov32(82, 24),
        set_handler(80, 82),
    ];
    code.splice(0..0, set);
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    rig.put64(cs_in_at(0, 0) + cs_in::HEAP_START, 0);
    rig.ack_stream(0, 0, cs_in::TILER_OOM);
    rig.m.pass(1_000_000);
    assert_eq!(rig.cs_events(0, 0), 0);
    assert_eq!(rig.data64(0xf00), 1);
    rig.m.assert_clean();
}

#[test]
fn what_is_said_of_an_exhausted_heap_is_wrong_on_request() {
    let mut rig = started(1);
    let code = heap(&mut rig);
    let ring = rig.job(0, &code, 0xf00);
    rig.m.inject("mcu heap address 0x12340000");
    rig.m.inject("mcu heap counts 7 8 9");
    rig.run(0, 0, &ring);
    assert_eq!(rig.cs_events(0, 0), cs_in::TILER_OOM);
    assert_eq!(rig.cs(0, 0, cs_out::HEAP_ADDRESS), 0x1234_0000);
    assert_eq!(rig.cs(0, 0, cs_out::HEAP_VT_START), 7);
    assert_eq!(rig.cs(0, 0, cs_out::HEAP_VT_END), 8);
    assert_eq!(rig.cs(0, 0, cs_out::HEAP_FRAG_END), 9);
    // The stream itself goes on with what it is given.
    rig.put64(cs_in_at(0, 0) + cs_in::HEAP_START, (CODE_VA + 0x2000) | 1);
    rig.ack_stream(0, 0, cs_in::TILER_OOM);
    rig.m.pass(1_000_000);
    assert_eq!(rig.data64(0xf00), 1);
    rig.m.assert_clean();
}

#[test]
fn a_heap_is_asked_for_on_request_by_who_needs_none_and_by_who_is_not_there() {
    let mut rig = started(1);
    rig.m.inject("mcu heap ask 0 0");
    rig.ring_page(1);
    assert_eq!(rig.cs_events(0, 0), cs_in::TILER_OOM);
    assert_eq!(rig.cs(0, 0, cs_out::HEAP_ADDRESS), 0);
    rig.ack_stream(0, 0, cs_in::TILER_OOM);
    let ring = rig.job(0, &[NOP], 0xf00);
    rig.run(0, 0, &ring);
    assert_eq!(rig.data64(0xf00), 1, "it goes on");

    assert!(rig.request(0, csg_in::TERMINATE));
    rig.m.inject("mcu heap ask 0 0");
    rig.ring_groups(2);
    assert_eq!(rig.cs_events(0, 0), cs_in::TILER_OOM);
    rig.m.assert_clean();
}
