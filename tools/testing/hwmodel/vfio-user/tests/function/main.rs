// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The function from outside, through its socket. Each test has a server of its own.

mod guest;

use std::io::Read;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use guest::wait;
use guest::Guest;
use guest::Server;
use guest::RAM;
use guest::RAM_SIZE;
use guest::RECORDS;
use hwmodel_vfio_user::config;
use hwmodel_vfio_user::control;
use vfio_bindings::bindings::vfio::*;

const GPU_ID: u32 = 0x00;
const GPU_CLEAR: u32 = 0x24;
const GPU_MASK: u32 = 0x28;
const GPU_COMMAND: u32 = 0x30;
const PWR_COMMAND: u32 = 0x828;
const PWR_CMDARG: u32 = 0x830;
const L2_UP: u32 = 0x10;
const L2_READY: u32 = 0x160;
const L2_PWRON: u32 = 0x1a0;
const RESET_COMPLETED: u32 = 1 << 8;
const SOFT_RESET: u32 = 0x101;
const AS1: u32 = 0x2440;
const UPDATE: u32 = 1;

const G610: u32 = 0xa867_0005;
/// What is read where no register is, and while there is no power.
const POISON: u32 = 0xdead_beef;

/// The GPU's own line.
const GPU_LINE: usize = 2;

fn line(nr: usize) -> u32 {
    1 << nr
}

#[test]
fn the_function_has_its_bars_and_messages() {
    let mut guest = Guest::off();
    assert_eq!(guest.read(VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x6d63_1234);
    for (nr, size) in (0..).zip(config::BAR_SIZES) {
        assert_eq!(guest.client().region(nr).unwrap().size, u64::from(size));
        let bar = 0x10 + 4 * nr;
        guest.write(VFIO_PCI_CONFIG_REGION_INDEX, bar, u32::MAX);
        let sized = guest.read(VFIO_PCI_CONFIG_REGION_INDEX, bar);
        assert_eq!(sized, size.wrapping_neg(), "BAR {nr}");
    }
    let msix = guest
        .client()
        .get_irq_info(VFIO_PCI_MSIX_IRQ_INDEX)
        .unwrap();
    assert_eq!(msix.count, 6);
    assert_eq!(
        guest.read(VFIO_PCI_CONFIG_REGION_INDEX, 0x40) >> 16,
        msix.count - 1
    );
    guest.end_clean();
}

#[test]
fn registers_answer_when_power_and_clocks_are_on() {
    let mut guest = Guest::on();
    assert_eq!(guest.r(GPU_ID), G610);
    assert_eq!(guest.counter("mmio_read"), 1);
    guest.end_clean();
}

#[test]
fn an_access_without_power_is_recorded() {
    let mut guest = Guest::off();
    assert_eq!(guest.r(GPU_ID), POISON);
    let records = guest.text(control::RECORDS);
    assert!(records.starts_with("1 records\npower-off "), "{records}");
    let (status, said) = guest.end();
    assert_eq!(status, RECORDS);
    assert!(said.contains("hwmodel: RECORD power-off"), "{said}");
}

#[test]
fn a_record_that_was_announced_is_no_failure() {
    let mut guest = Guest::on();
    assert!(guest.inject("expect hole 1"));
    guest.r(0xff0);
    let records = guest.text(control::RECORDS);
    assert!(
        records.starts_with("0 records\nexpected hole reg 0xff0"),
        "{records}"
    );
    guest.end_clean();
}

#[test]
fn another_width_than_32_bits_is_recorded() {
    let mut guest = Guest::on();
    assert!(guest.inject("expect width 1"));
    let mut data = [0; 8];
    guest
        .client()
        .region_read(config::BAR_GPU, 0, &mut data)
        .unwrap();
    assert_eq!(data, [0xff; 8]);
    assert!(guest.text(control::RECORDS).contains("expected width"));
    guest.end_clean();
}

#[test]
fn a_reset_raises_an_interrupt_until_it_is_served() {
    let mut guest = Guest::on();
    guest.w(GPU_MASK, RESET_COMPLETED);
    guest.w(GPU_COMMAND, SOFT_RESET);
    wait("the interrupt line", || {
        guest.read(config::BAR_CONTROL, control::LINES_ASSERTED) == line(GPU_LINE)
    });
    assert_eq!(guest.messages(GPU_LINE), 0, "a masked line sends nothing");

    guest.set(control::LINES_UNMASK, line(GPU_LINE));
    guest.wait_for_message(GPU_LINE);
    // Any access is an occasion to send what is to be sent.
    assert_eq!(guest.r(GPU_ID), G610);
    assert_eq!(guest.messages(GPU_LINE), 0, "a message masks its line");
    guest.set(control::LINES_UNMASK, line(GPU_LINE));
    assert_eq!(guest.messages(GPU_LINE), 1, "the line is still asserted");

    guest.w(GPU_CLEAR, RESET_COMPLETED);
    guest.set(control::LINES_UNMASK, line(GPU_LINE));
    assert_eq!(guest.messages(GPU_LINE), 0, "the interrupt was served");
    assert_eq!(guest.counter("irq_gpu"), 1);
    guest.end_clean();
}

#[test]
fn an_interrupt_that_nobody_serves_is_recorded() {
    let mut guest = Guest::on();
    assert!(guest.inject("expect line-stuck 1"));
    guest.w(GPU_MASK, RESET_COMPLETED);
    guest.set(control::LINES_UNMASK, line(GPU_LINE));
    guest.w(GPU_COMMAND, SOFT_RESET);
    guest.wait_for_message(GPU_LINE);
    guest.set(control::LINES_ABANDON, line(GPU_LINE));
    assert!(guest.text(control::RECORDS).contains("line-stuck line gpu"));
    guest.end_clean();
}

#[test]
fn a_message_that_has_no_destination_waits_for_one() {
    let mut guest = Guest::on();
    let all = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
    let client = guest.client();
    client
        .set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, all, 0, 0, &[])
        .unwrap();
    guest.w(GPU_MASK, RESET_COMPLETED);
    guest.set(control::LINES_UNMASK, line(GPU_LINE));
    guest.w(GPU_COMMAND, SOFT_RESET);
    wait("the interrupt line", || {
        guest.read(config::BAR_CONTROL, control::LINES_ASSERTED) == line(GPU_LINE)
    });
    guest.connect_messages();
    guest.wait_for_message(GPU_LINE);
    guest.w(GPU_CLEAR, RESET_COMPLETED);
    guest.end_clean();
}

/// Tables for the first page of an address space, and the entry for it.
fn tables(guest: &Guest) -> (u64, u64) {
    const PAGE_RW: u64 = 3 | 1 << 2 | 1 << 6 | 3 << 8 | 1 << 10;
    for level in 0..3 {
        guest.poke64(RAM + level * 0x1000, (RAM + (level + 1) * 0x1000) | 3);
    }
    let leaf = (RAM + 0x8000) | PAGE_RW;
    guest.poke64(RAM + 3 * 0x1000, leaf);
    (RAM, leaf)
}

#[test]
fn an_address_space_translates_through_the_guests_memory() {
    let mut guest = Guest::on();
    guest.w(L2_PWRON, 1);
    wait("power of the L2", || guest.r(L2_READY) == 1);
    let (root, leaf) = tables(&guest);
    guest.w64(AS1, u32::try_from(root).unwrap(), 0);
    guest.w64(AS1 + 0x08, 0x4c4c_8f4c, 0xcc4c_4c4c);
    guest.w64(AS1 + 0x30, 6 | 7 << 6 | 2 << 24 | 1 << 30, 0);
    guest.w(AS1 + 0x18, UPDATE);
    wait("an address space command", || guest.r(AS1 + 0x28) == 0);
    assert_eq!(guest.counter("as_update"), 1);

    guest.set(control::SPACE, 1);
    guest.set(control::PAGE, 0);
    guest.set(control::PAGE + 4, 0);
    let leaves = guest.ask(control::LEAVES);
    assert_eq!(leaves.len(), 64 * 8);
    assert_eq!(leaves[..8], leaf.to_le_bytes());
    assert!(leaves[8..].iter().all(|&byte| byte == 0));

    // An answer goes to the guest's memory as well, and says so if there is none.
    let answer = RAM + RAM_SIZE - 0x1000;
    guest.set(control::COUNT, 3);
    guest.set(control::ADDRESS, u32::try_from(answer).unwrap());
    assert_eq!(guest.ask(control::LEAVES).len(), 3 * 8);
    let mut seen = [0; 8];
    guest.memory.read_exact_at(&mut seen, answer - RAM).unwrap();
    assert_eq!(seen, leaf.to_le_bytes());
    guest.set(control::ADDRESS + 4, 1);
    assert!(!guest.command(control::LEAVES));
    guest.set(control::ADDRESS, 0);
    guest.set(control::ADDRESS + 4, 0);

    // What is taken from the device can't be read any more.
    guest.client().dma_unmap(RAM, RAM_SIZE).unwrap();
    assert_eq!(guest.ask(control::LEAVES)[..8], [0; 8]);
    guest.end_clean();
}

#[test]
fn a_malformed_command_is_recorded() {
    let mut guest = Guest::on();
    assert!(guest.inject("expect as-command 1"));
    guest.w(AS1 + 0x18, 0x77);
    wait("the record", || {
        guest.text(control::RECORDS).contains("expected as-command")
    });
    guest.end_clean();
}

#[test]
fn cores_of_the_npu_answer_in_their_windows() {
    let mut guest = Guest::off();
    guest.set(control::SUPPLY_NPU, 1);
    for domain in 1..4 {
        guest.set(control::DOMAINS + 4 * domain, 1);
    }
    for clock in 3..11 {
        guest.set(control::CLOCKS + 4 * clock, 1);
    }
    for core in 0..3 {
        assert_ne!(guest.read(config::BAR_NPU, core * 0x1_0000), POISON);
    }
    assert_eq!(guest.counter("npu_mmio_read"), 3);
    // Nothing is behind the last one.
    assert_eq!(guest.read(config::BAR_NPU, 0x3_0000), u32::MAX);
    guest.end_clean();
}

#[test]
fn misbehaviour_comes_on_request() {
    let mut guest = Guest::on();
    assert!(guest.text(control::HELP).contains("soft-reset hang"));
    assert!(!guest.inject("be nice"));
    assert!(guest.inject("soft-reset hang"));
    guest.w(GPU_MASK, RESET_COMPLETED);
    guest.set(control::LINES_UNMASK, line(GPU_LINE));
    guest.w(GPU_COMMAND, SOFT_RESET);
    assert!(guest.inject("clear"));
    guest.wait_for_message(GPU_LINE);
    guest.w(GPU_CLEAR, RESET_COMPLETED);
    guest.end_clean();
}

#[test]
fn the_gpu_is_the_one_that_was_chosen() {
    let mut guest = Guest::off();
    assert!(!guest.line(control::CHOOSE, "g0"));
    assert!(guest.line(control::CHOOSE, "g1"));
    guest.switch_on();
    assert_ne!(guest.r(GPU_ID), G610);
    // Its power is switched by commands, which are logged.
    assert_eq!(guest.text(control::PWR), "");
    guest.w64(PWR_CMDARG, 1, 0);
    guest.w(PWR_COMMAND, L2_UP);
    let log = guest.text(control::PWR);
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(guest.command(control::CLEAR_PWR));
    assert_eq!(guest.text(control::PWR), "");
    guest.end_clean();
}

#[test]
fn a_reset_of_the_function_takes_power_away() {
    let mut guest = Guest::on();
    assert_eq!(guest.r(GPU_ID), G610);
    guest.client().reset().unwrap();
    assert!(guest.inject("expect power-off 1"));
    assert_eq!(guest.r(GPU_ID), POISON);
    guest.switch_on();
    assert_eq!(guest.r(GPU_ID), G610);
    guest.end_clean();
}

/// The message of a read, as it comes over the socket.
fn read_message(region: u32, offset: u64, count: u32) -> Vec<u8> {
    let mut message = vec![1, 0, 9, 0, 32, 0, 0, 0];
    message.extend([0; 8]);
    message.extend(offset.to_le_bytes());
    message.extend(region.to_le_bytes());
    message.extend(count.to_le_bytes());
    message
}

#[test]
fn an_access_outside_of_a_region_is_refused() {
    let server = Server::start();
    let mut stream = UnixStream::connect(&server.socket).unwrap();
    for (region, offset) in [
        (config::BAR_GPU, 0x20_0000),
        (config::BAR_GPU, u64::MAX - 1),
        (config::BAR_CONTROL, 0x3_fffe),
        (3, 0),
        (VFIO_PCI_CONFIG_REGION_INDEX, 0xfe),
        (1000, 0),
    ] {
        stream.write_all(&read_message(region, offset, 4)).unwrap();
        let mut header = [0; 16];
        stream.read_exact(&mut header).unwrap();
        assert_eq!(header[8], 0x21, "an answer, with an error");
    }
    // The server is still there.
    stream
        .write_all(&read_message(VFIO_PCI_CONFIG_REGION_INDEX, 0, 4))
        .unwrap();
    let mut answer = [0; 36];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[8], 1);
    drop(stream);
    assert_eq!(server.end().0, 0);
}
