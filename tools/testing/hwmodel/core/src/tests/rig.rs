// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A machine whose MCU has booted: what a driver's firmware half and its scheduler do, as far as
//! tests need it. Everything goes through registers, page tables and interface memory.

use std::vec;
use std::vec::Vec;

use mkfw::build::flag;
use mkfw::build::Built;
use mkfw::content;
use mkfw::content::Layout;
use mkfw::content::Options;

use super::machine::Machine;
use super::machine::EXECUTE_NEVER;
use super::machine::PAGE_RW;
use super::machine::READ_ONLY;
use crate::host::Host;
use crate::mcu::layout::cs_in;
use crate::mcu::layout::csg_in;
use crate::mcu::layout::csg_out;
use crate::mcu::layout::glb_in;
use crate::mcu::layout::glb_out;
use crate::mcu::layout::SHARED_VA;

pub const MCU_CONTROL: u32 = 0x700;
pub const MCU_STATUS: u32 = 0x704;
pub const JOB_RAWSTAT: u32 = 0x1000;
pub const JOB_CLEAR: u32 = 0x1004;
pub const JOB_MASK: u32 = 0x1008;

pub const DISABLED: u32 = 0;
pub const ENABLED: u32 = 1;
pub const HALTED: u32 = 2;
pub const FATAL: u32 = 3;

/// Interrupt of the global interface.
pub const GLOBAL: u32 = 1 << 31;

/// Suspend buffers, one for each of up to eight groups, in the MCU's address space.
const SUSPEND_VA: u64 = 0x0420_0000;
const SUSPEND_SIZE: u64 = 0x4000;
/// Input and output page of each ring in the MCU's address space.
const RING_PAGES_VA: u64 = 0x0430_0000;
/// Rings, in the groups' address space.
const RING_VA: u64 = 0x1000_0000;
pub const RING_SIZE: u64 = 0x1000;
/// A page for streams and one for data, in the groups' address space.
pub const CODE_VA: u64 = 0x2000_0000;
pub const CODE_SIZE: u64 = 0x4000;
pub const DATA_VA: u64 = 0x3000_0000;

/// Registers that the ring sequence of [`Rig::job`] uses.
const ADDRESS: u64 = 92;
const LENGTH: u64 = 94;

/// Instructions, by their encoding.
pub mod asm {
    pub const NOP: u64 = 0;
    pub const ERROR_BARRIER: u64 = 47 << 56;

    pub fn mov48(dst: u64, imm: u64) -> u64 {
        1 << 56 | dst << 48 | imm
    }
    pub fn mov32(dst: u64, imm: u64) -> u64 {
        2 << 56 | dst << 48 | imm
    }
    pub fn wait(mask: u64) -> u64 {
        3 << 56 | mask << 16
    }
    pub fn run_compute() -> u64 {
        4 << 56
    }
    pub fn add32(dst: u64, src: u64, imm: i32) -> u64 {
        16 << 56 | dst << 48 | src << 40 | u64::from(imm.cast_unsigned())
    }
    pub fn add64(dst: u64, src: u64, imm: i32) -> u64 {
        17 << 56 | dst << 48 | src << 40 | u64::from(imm.cast_unsigned())
    }
    pub fn umin32(dst: u64, a: u64, b: u64) -> u64 {
        18 << 56 | dst << 48 | a << 40 | b << 32
    }
    pub fn load(base: u64, mask: u64, addr: u64, offset: u64) -> u64 {
        20 << 56 | base << 48 | addr << 40 | mask << 16 | offset
    }
    pub fn store(base: u64, mask: u64, addr: u64, offset: u64) -> u64 {
        21 << 56 | base << 48 | addr << 40 | mask << 16 | offset
    }
    /// `condition`: 0 `<=`, 1 `>`, 2 `==`, 3 `!=`, 4 `<`, 5 `>=`, 6 always.
    pub fn branch(condition: u64, reg: u64, offset: i16) -> u64 {
        22 << 56 | reg << 40 | condition << 28 | u64::from(offset.cast_unsigned())
    }
    pub fn set_sb(endpoint: u64, other: u64) -> u64 {
        23 << 56 | other << 4 | endpoint
    }
    pub fn progress_wait(queue: u64, reg: u64) -> u64 {
        24 << 56 | reg << 40 | queue
    }
    pub fn call(addr: u64, len: u64) -> u64 {
        32 << 56 | addr << 40 | len << 32
    }
    pub fn jump(addr: u64, len: u64) -> u64 {
        33 << 56 | addr << 40 | len << 32
    }
    pub fn req_resource(mask: u64) -> u64 {
        34 << 56 | mask
    }
    /// `scope`: 0 system, 2 group.
    pub fn sync_add32(addr: u64, data: u64, scope: u64) -> u64 {
        37 << 56 | addr << 40 | data << 32 | scope << 1 | 1
    }
    pub fn sync_set32(addr: u64, data: u64, scope: u64) -> u64 {
        38 << 56 | addr << 40 | data << 32 | scope << 1 | 1
    }
    pub fn sync_add64(addr: u64, data: u64, scope: u64) -> u64 {
        51 << 56 | addr << 40 | data << 32 | scope << 1 | 1
    }
    pub fn sync_set64(addr: u64, data: u64, scope: u64) -> u64 {
        52 << 56 | addr << 40 | data << 32 | scope << 1 | 1
    }
    /// Defers an asynchronous instruction.
    pub fn defer(instr: u64, wait: u64, signal: u64) -> u64 {
        instr | wait << 16 | signal << 48
    }
    pub fn sync_wait32(greater: bool, addr: u64, data: u64) -> u64 {
        39 << 56 | addr << 40 | data << 32 | u64::from(greater) << 28
    }
    pub fn sync_wait64(greater: bool, addr: u64, data: u64) -> u64 {
        53 << 56 | addr << 40 | data << 32 | u64::from(greater) << 28
    }
    /// `state`: 0 timestamp, 1 cycles, 3 error.
    pub fn store_state(state: u64, addr: u64, offset: u64) -> u64 {
        40 << 56 | addr << 40 | state << 32 | offset
    }
    pub fn set_handler(addr: u64, len: u64) -> u64 {
        25 << 56 | addr << 40 | len << 32 | 2
    }
    pub fn heap_set(addr: u64) -> u64 {
        48 << 56 | addr << 40
    }
    /// `op`: 0 tiling started, 1 tiling completed, 3 fragment completed.
    pub fn heap_operation(op: u64) -> u64 {
        49 << 56 | op << 32
    }
    pub fn run_idvs() -> u64 {
        6 << 56
    }
}

/// A queue to start a group with.
#[derive(Clone, Copy)]
pub struct Queue {
    pub ring_size: u32,
    pub doorbell: u32,
    pub idle: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            ring_size: u32::try_from(RING_SIZE).unwrap(),
            doorbell: 1,
            idle: cs_in::IDLE_EMPTY | cs_in::IDLE_SYNC_WAIT,
        }
    }
}

pub struct Rig {
    pub m: Machine,
    pub mcu_root: u64,
    /// Physical address of the shared section.
    shared: u64,
    /// Physical address of the groups' data page.
    data: u64,
    code: u64,
    rings: u64,
    ring_pages: u64,
}

/// A minimal image.
pub fn image() -> Built {
    let options = Options {
        layout: Layout::Minimal,
        ..Options::default()
    };
    content::image(options).build()
}

fn poke(m: &Machine, pa: u64, bytes: &[u8]) {
    m.host.write(pa, bytes).unwrap();
}

fn peek32(m: &Machine, pa: u64) -> u32 {
    let mut bytes = [0; 4];
    m.host.read(pa, &mut bytes).unwrap();
    u32::from_le_bytes(bytes)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()))
}

impl Rig {
    /// Pages of RAM that follow each other.
    fn pages(m: &mut Machine, count: u64) -> u64 {
        let first = m.page();
        for _ in 1..count {
            m.page();
        }
        first
    }

    fn map_all(m: &mut Machine, root: u64, va: u64, size: u64, flags: u64) -> u64 {
        let pa = Self::pages(m, size.div_ceil(0x1000));
        for offset in (0..size).step_by(0x1000) {
            m.map(root, va + offset, pa + offset, flags);
        }
        pa
    }

    /// Loads an image as a driver does, without booting it.
    pub fn loaded(bytes: &[u8]) -> Self {
        let mut m = Machine::ready();
        let mcu_root = m.page();
        let root = m.page();
        let mut rig = Self {
            shared: 0,
            data: 0,
            code: 0,
            rings: 0,
            ring_pages: 0,
            m,
            mcu_root,
        };
        rig.load(bytes);
        let data = PAGE_RW | EXECUTE_NEVER;
        let m = &mut rig.m;
        Self::map_all(m, mcu_root, SUSPEND_VA, SUSPEND_SIZE * 8, data);
        rig.ring_pages = Self::map_all(m, mcu_root, RING_PAGES_VA, 64 * 0x2000, data);
        rig.rings = Self::map_all(m, root, RING_VA, RING_SIZE * 64, data);
        rig.code = Self::map_all(m, root, CODE_VA, CODE_SIZE, data);
        rig.data = Self::map_all(m, root, DATA_VA, 0x2000, data);
        m.enable(0, mcu_root);
        m.enable(1, root);
        m.w(JOB_MASK, !0);
        rig
    }

    fn load(&mut self, bytes: &[u8]) {
        let size = usize::try_from(word(bytes, 16)).unwrap();
        let mut at = 20;
        while at < size {
            let head = word(bytes, at);
            let flags = u32::try_from(word(bytes, at + 4)).unwrap();
            if head & 0xff == 0 && flags & flag::PROTECTED == 0 {
                let [va, end, start, stop] = [8, 12, 16, 20].map(|o| word(bytes, at + o));
                let mut entry = PAGE_RW;
                if flags & flag::WR == 0 {
                    entry |= READ_ONLY;
                }
                if flags & flag::EX == 0 {
                    entry |= EXECUTE_NEVER;
                }
                if end > va {
                    let pa = Self::map_all(&mut self.m, self.mcu_root, va, end - va, entry);
                    let start = usize::try_from(start).unwrap();
                    let stop = usize::try_from(stop).unwrap();
                    poke(&self.m, pa, &bytes[start..stop]);
                    if va == SHARED_VA {
                        self.shared = pa;
                    }
                }
            }
            at += usize::try_from(head >> 8 & 0xff).unwrap();
        }
    }

    /// A booted machine.
    pub fn booted() -> Self {
        let mut rig = Self::loaded(&image().bytes);
        rig.boot();
        assert_eq!(rig.m.r(MCU_STATUS), ENABLED);
        assert_eq!(rig.m.r(JOB_RAWSTAT), GLOBAL);
        rig.m.w(JOB_CLEAR, !0);
        rig.init();
        rig
    }

    pub fn boot(&mut self) {
        self.m.w(MCU_CONTROL, 2);
        self.m.pass(10_000_000);
    }

    /// What a driver configures first.
    pub fn init(&mut self) {
        self.put(GLB_IN + glb_in::CORE_EN_MASK, 0x5_0005);
        self.put(GLB_IN + glb_in::PROGRESS_TIMER, 1000);
        self.put(GLB_IN + glb_in::IDLE_TIMER, 0);
        self.put(GLB_IN + glb_in::ACK_IRQ_MASK, 0xffff_ffff);
        let toggles = glb_in::CFG_ALLOC_EN | glb_in::CFG_PROGRESS_TIMER;
        self.put(GLB_IN + glb_in::REQ, u64::from(toggles));
        self.ring_global();
        assert_eq!(self.get(GLB_OUT + glb_out::ACK) & toggles, toggles);
        self.m.w(JOB_CLEAR, !0);
    }

    /// A word of the shared section.
    pub fn get(&self, offset: u64) -> u32 {
        peek32(&self.m, self.shared + offset)
    }

    pub fn put(&mut self, offset: u64, value: u64) {
        let value = crate::bits::low(value);
        poke(&self.m, self.shared + offset, &value.to_le_bytes());
    }

    pub fn put64(&mut self, offset: u64, value: u64) {
        poke(&self.m, self.shared + offset, &value.to_le_bytes());
    }

    pub fn data(&self, offset: u64) -> u32 {
        peek32(&self.m, self.data + offset)
    }

    pub fn data64(&self, offset: u64) -> u64 {
        self.m.peek64(self.data + offset)
    }

    pub fn set_data(&mut self, offset: u64, value: u64) {
        self.m.poke64(self.data + offset, value);
    }

    pub fn ring_global(&mut self) {
        self.m.w(0x8_0000, 1);
        self.m.pass(1_000);
    }

    /// Rings groups' doorbells through the global interface.
    pub fn ring_groups(&mut self, mask: u32) {
        let heard = self.get(GLB_OUT + glb_out::DOORBELL_ACK);
        self.put(GLB_IN + glb_in::DOORBELL_REQ, u64::from(heard ^ mask));
        self.ring_global();
    }

    pub fn ring_page(&mut self, page: u32) {
        self.m.w(0x8_0000 + page * 0x1_0000, 1);
        self.m.pass(1_000);
    }

    pub fn set_req(&mut self, at: u64, mask: u32, value: u32) {
        let old = self.get(at);
        self.put(at, u64::from(old & !mask | value & mask));
    }

    /// Programs a group and its queues for START or RESUME.
    pub fn program(&mut self, group: u64, queues: &[Queue]) {
        for (index, queue) in (0u64..).zip(queues) {
            let at = cs_in_at(group, index);
            let number = group * 8 + index;
            let pages = RING_PAGES_VA + number * 0x2000;
            self.put(at + cs_in::CONFIG, u64::from(queue.doorbell << 8 | 1));
            self.put(at + cs_in::ACK_IRQ_MASK, 0xffff_ffff);
            self.put64(at + cs_in::RINGBUF_BASE, RING_VA + number * RING_SIZE);
            self.put(at + cs_in::RINGBUF_SIZE, u64::from(queue.ring_size));
            self.put64(at + cs_in::RINGBUF_INPUT, pages);
            self.put64(at + cs_in::RINGBUF_OUTPUT, pages + 0x1000);
            let mask = cs_in::STATE_MASK | queue.idle;
            self.set_req(at + cs_in::REQ, mask, cs_in::START | queue.idle);
            let extract = self.extract(group, index);
            self.m.poke64(self.ring_page_pa(group, index) + 8, extract);
        }
        let at = csg_in_at(group);
        self.put64(at + csg_in::ALLOW_COMPUTE, 0x5_0005);
        self.put64(at + csg_in::ALLOW_FRAGMENT, 0x5_0005);
        self.put(at + csg_in::ALLOW_OTHER, 1);
        self.put(at + csg_in::ENDPOINT_REQ, 0xf001_0404);
        self.put64(at + csg_in::SUSPEND_BUF, SUSPEND_VA + group * SUSPEND_SIZE);
        self.put(at + csg_in::CONFIG, 1);
        self.put(at + csg_in::ACK_IRQ_MASK, 0xffff_ffff);
        let all = (1 << queues.len()) - 1;
        self.ring_streams(group, all);
        let ack = self.get(csg_out_at(group) + csg_out::ACK);
        self.set_req(at + csg_in::REQ, csg_in::ENDPOINT_CONFIG, !ack);
    }

    /// Rings streams' doorbells through their group's interface; it takes a kick of the group.
    pub fn ring_streams(&mut self, group: u64, mask: u32) {
        let heard = self.get(csg_out_at(group) + csg_out::DOORBELL_ACK);
        self.put(
            csg_in_at(group) + csg_in::DOORBELL_REQ,
            u64::from(heard ^ mask),
        );
    }

    /// Asks for a group state. Returns whether it was acknowledged.
    pub fn request(&mut self, group: u64, state: u32) -> bool {
        self.set_req(csg_in_at(group) + csg_in::REQ, csg_in::STATE_MASK, state);
        self.ring_groups(1 << group);
        self.get(csg_out_at(group) + csg_out::ACK) & csg_in::STATE_MASK == state
    }

    /// Starts a group with so many ordinary queues.
    pub fn start(&mut self, group: u64, queues: usize) {
        let queue = Queue {
            doorbell: u32::try_from(group).unwrap() + 1,
            ..Queue::default()
        };
        self.program(group, &vec![queue; queues]);
        assert!(self.request(group, csg_in::START));
    }

    /// Asks for up-to-date status fields.
    pub fn update_status(&mut self, group: u64) {
        let ack = self.get(csg_out_at(group) + csg_out::ACK);
        self.set_req(csg_in_at(group) + csg_in::REQ, csg_in::STATUS_UPDATE, !ack);
        self.ring_groups(1 << group);
    }

    fn ring_page_pa(&self, group: u64, queue: u64) -> u64 {
        self.ring_pages + (group * 8 + queue) * 0x2000
    }

    pub fn insert(&self, group: u64, queue: u64) -> u64 {
        self.m.peek64(self.ring_page_pa(group, queue))
    }

    pub fn set_insert(&mut self, group: u64, queue: u64, insert: u64) {
        self.m.poke64(self.ring_page_pa(group, queue), insert);
    }

    pub fn extract(&self, group: u64, queue: u64) -> u64 {
        self.m.peek64(self.ring_page_pa(group, queue) + 0x1000)
    }

    /// Forgets what an earlier group left in a ring.
    pub fn empty_ring(&mut self, group: u64, queue: u64) {
        let insert = self.insert(group, queue);
        let output = self.ring_page_pa(group, queue) + 0x1000;
        self.m.poke64(output, insert);
    }

    /// Writes instructions into a ring, padded to a line.
    pub fn write_ring(&mut self, group: u64, queue: u64, instrs: &[u64]) {
        let ring = self.rings + (group * 8 + queue) * RING_SIZE;
        let mut insert = self.insert(group, queue);
        let padded = instrs.len().next_multiple_of(8);
        for index in 0..padded {
            let instr = instrs.get(index).copied().unwrap_or(asm::NOP);
            self.m.poke64(ring + insert % RING_SIZE, instr);
            insert += 8;
        }
        self.set_insert(group, queue, insert);
    }

    /// Executes instructions from a ring.
    pub fn run(&mut self, group: u64, queue: u64, instrs: &[u64]) {
        self.write_ring(group, queue, instrs);
        self.ring_page(u32::try_from(group).unwrap() + 1);
        self.m.pass(1_000);
    }

    /// Writes a stream at `offset` of the code pages.
    pub fn write_code(&mut self, offset: u64, instrs: &[u64]) {
        for (at, instr) in (offset..).step_by(8).zip(instrs) {
            self.m.poke64(self.code + at, *instr);
        }
    }

    /// Ring instructions that call the stream of `instrs` at `offset`, as a driver does, and count
    /// the 64-bit object at `sync` of the data page up afterwards.
    pub fn job(&mut self, offset: u64, instrs: &[u64], sync: u64) -> Vec<u64> {
        self.write_code(offset, instrs);
        let bytes = u64::try_from(instrs.len() * 8).unwrap();
        vec![
            asm::mov32(LENGTH, 0),
            36 << 56 | LENGTH << 40 | 0x233,
            asm::mov48(ADDRESS, CODE_VA + offset),
            asm::mov32(LENGTH, bytes),
            asm::wait(1),
            asm::call(ADDRESS, LENGTH),
            asm::mov48(ADDRESS, DATA_VA + sync),
            asm::mov48(LENGTH, 1),
            asm::wait(0xff),
            asm::sync_add64(ADDRESS, LENGTH, 0),
            asm::ERROR_BARRIER,
        ]
    }

    /// Words of a stream's output block.
    pub fn cs(&self, group: u64, queue: u64, at: u64) -> u32 {
        self.get(cs_out_at(group, queue) + at)
    }

    /// Events that are pending for a stream.
    pub fn cs_events(&self, group: u64, queue: u64) -> u32 {
        let req = self.get(cs_in_at(group, queue) + cs_in::REQ);
        (req ^ self.cs(group, queue, 0)) & (cs_in::FATAL | cs_in::FAULT | cs_in::TILER_OOM)
    }

    /// Events that are pending for a group.
    pub fn csg_events(&self, group: u64) -> u32 {
        let req = self.get(csg_in_at(group) + csg_in::REQ);
        let ack = self.get(csg_out_at(group) + csg_out::ACK);
        (req ^ ack) & (csg_in::SYNC_UPDATE | csg_in::IDLE | csg_in::PROGRESS_TIMER)
    }

    /// Acknowledges events of a group.
    pub fn ack_group(&mut self, group: u64, events: u32) {
        let ack = self.get(csg_out_at(group) + csg_out::ACK);
        self.set_req(csg_in_at(group) + csg_in::REQ, events, ack);
    }

    /// Acknowledges events of a stream, and kicks it.
    pub fn ack_stream(&mut self, group: u64, queue: u64, events: u32) {
        let ack = self.cs(group, queue, 0);
        self.set_req(cs_in_at(group, queue) + cs_in::REQ, events, ack);
        self.ring_streams(group, 1 << queue);
        self.ring_groups(1 << group);
    }
}

/// Offsets of the blocks in the shared section of a test image.
pub const GLB_IN: u64 = 0x2000;
pub const GLB_OUT: u64 = 0x6000;

pub fn csg_in_at(group: u64) -> u64 {
    0x3000 + group * 0x80
}

pub fn csg_out_at(group: u64) -> u64 {
    0x7000 + group * 0x40
}

pub fn cs_in_at(group: u64, queue: u64) -> u64 {
    0x4000 + (group * 8 + queue) * 0x80
}

pub fn cs_out_at(group: u64, queue: u64) -> u64 {
    0x8000 + (group * 8 + queue) * 0x100
}
