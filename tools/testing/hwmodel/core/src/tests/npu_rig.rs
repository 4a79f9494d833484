// SPDX-License-Identifier: GPL-2.0 OR MIT

//! An NPU whose IOMMUs translate: what a driver and its user space do, through registers, tables and
//! register lists.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use super::machine::Fake;
use super::machine::RAM;
use super::npu_tensor::words;
use super::npu_tensor::Layer;
use crate::bus::Step;
use crate::counters::Counter;
use crate::host::Host;
use crate::npu::iommu::Version;
use crate::npu::CoreId;
use crate::npu::Npu;
use crate::npu::NpuClock;
use crate::npu::NpuDomain;
use crate::record::Kind;

pub const PC_OPERATION_ENABLE: u32 = 0x08;
pub const PC_BASE_ADDRESS: u32 = 0x10;
pub const PC_REGISTER_AMOUNTS: u32 = 0x14;
pub const PC_INTERRUPT_MASK: u32 = 0x20;
pub const PC_INTERRUPT_CLEAR: u32 = 0x24;
pub const PC_STATUS: u32 = 0x28;
pub const PC_RAW_STATUS: u32 = 0x2c;
pub const PC_TASK_CON: u32 = 0x30;
pub const CNA_S_POINTER: u32 = 0x1004;
pub const CORE_S_POINTER: u32 = 0x3004;
pub const DPU_0: u32 = 0x100;
pub const DPU_1: u32 = 0x200;
pub const DMA_READ_ERROR: u32 = 0x1000;
pub const DMA_WRITE_ERROR: u32 = 0x2000;

/// Registers of an IOMMU bank.
pub const DTE_ADDR: u32 = 0x00;
pub const STATUS: u32 = 0x04;
pub const COMMAND: u32 = 0x08;
pub const FAULT_ADDR: u32 = 0x0c;
pub const ZAP_ONE: u32 = 0x10;
pub const INT_RAW: u32 = 0x14;
pub const INT_CLEAR: u32 = 0x18;
pub const INT_MASK: u32 = 0x1c;

pub const ENABLE_PAGING: u32 = 0;
pub const DISABLE_PAGING: u32 = 1;
pub const ENABLE_STALL: u32 = 2;
pub const DISABLE_STALL: u32 = 3;
pub const ZAP_CACHE: u32 = 4;
pub const FAULT_DONE: u32 = 5;
pub const FORCE_RESET: u32 = 6;

/// Both kinds of ping-pong, as the kernel's driver and user space set it.
pub const PING_PONG: u32 = 0xe;

/// The banks of a core's IOMMU.
pub fn banks(id: CoreId) -> &'static [u32] {
    match id {
        CoreId::Core0 => &[0x9000, 0xa000],
        _ => &[0xa000],
    }
}

pub struct Rig {
    pub host: Fake,
    pub npu: Box<Npu>,
    pub version: Version,
    /// The directory's physical address.
    pub directory: u64,
    next_page: u64,
    next_iova: u32,
}

/// Memory that both sides know.
#[derive(Clone, Copy)]
pub struct Buffer {
    pub iova: u32,
    pub pa: u64,
}

impl Rig {
    /// Everything off.
    pub fn off(version: Version) -> Self {
        let mut rig = Self {
            host: Fake::new(),
            npu: Box::new(Npu::new(version)),
            version,
            directory: 0,
            next_page: RAM,
            next_iova: 0x10_0000,
        };
        rig.directory = rig.page();
        rig
    }

    /// Powered and clocked.
    pub fn on() -> Self {
        let mut rig = Self::off(Version::V2);
        rig.power(true);
        rig
    }

    /// With all IOMMUs translating through the same tables.
    pub fn ready() -> Self {
        let mut rig = Self::on();
        rig.attach_all();
        rig
    }

    pub fn power(&mut self, on: bool) {
        let host = &self.host;
        self.npu.set_supply(host, on);
        for domain in NpuDomain::ALL {
            self.npu.set_domain(host, domain, on);
        }
        for clock in NpuClock::ALL {
            self.npu.set_clock(host, clock, on);
        }
    }

    pub fn attach_all(&mut self) {
        for id in CoreId::ALL {
            self.attach(id);
        }
    }

    pub fn attach(&mut self, id: CoreId) {
        for &bank in banks(id) {
            let dte = self.entry(self.directory, 1);
            self.w(id, bank + DTE_ADDR, dte);
            self.w(id, bank + COMMAND, ZAP_CACHE);
            self.w(id, bank + INT_MASK, 3);
            self.w(id, bank + COMMAND, ENABLE_PAGING);
        }
    }

    pub fn r(&mut self, id: CoreId, off: u32) -> u32 {
        self.npu.read32(&self.host, id, off)
    }

    pub fn w(&mut self, id: CoreId, off: u32, value: u32) {
        self.npu.write32(&self.host, id, off, value);
    }

    /// A page of RAM.
    pub fn page(&mut self) -> u64 {
        let page = self.next_page;
        self.next_page += 0x1000;
        page
    }

    /// A table entry for a physical address.
    pub fn entry(&self, pa: u64, flags: u32) -> u32 {
        let low = u32::try_from(pa & 0xffff_f000).unwrap();
        let high = match self.version {
            Version::V1 => 0,
            Version::V2 => (pa >> 24 & 0xf00 | pa >> 32 & 0xf0) & 0xff0,
        };
        low | u32::try_from(high).unwrap() | flags
    }

    fn load32(&self, pa: u64) -> u32 {
        let mut bytes = [0; 4];
        self.host.read(pa, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    fn store32(&self, pa: u64, value: u32) {
        self.host.write(pa, &value.to_le_bytes()).unwrap();
    }

    /// Where the page entry of an address is.
    pub fn pte(&mut self, iova: u32) -> u64 {
        let at = self.directory + u64::from(iova >> 22) * 4;
        if self.load32(at) == 0 {
            let table = self.page();
            self.store32(at, self.entry(table, 1));
        }
        let table = u64::from(self.load32(at) & 0xffff_f000);
        table + u64::from(iova >> 12 & 0x3ff) * 4
    }

    pub fn map(&mut self, iova: u32, pa: u64, flags: u32) {
        let at = self.pte(iova);
        let entry = if flags == 0 {
            0
        } else {
            self.entry(pa, flags | 1)
        };
        self.store32(at, entry);
    }

    /// A buffer that the NPU can read and write.
    pub fn buffer(&mut self, size: usize) -> Buffer {
        let pages = u32::try_from(size.div_ceil(0x1000)).unwrap();
        let iova = self.next_iova;
        // Tables first: the buffer's pages follow each other.
        for n in 0..pages {
            self.pte(iova + n * 0x1000);
        }
        let pa = self.next_page;
        for n in 0..pages {
            let page = self.page();
            self.map(iova + n * 0x1000, page, 6);
        }
        // A gap, so that what runs over the end is noticed.
        self.next_iova += (pages + 1) * 0x1000;
        Buffer { iova, pa }
    }

    pub fn poke(&self, buffer: Buffer, bytes: &[u8]) {
        self.host.write(buffer.pa, bytes).unwrap();
    }

    pub fn peek(&self, buffer: Buffer, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.host.read(buffer.pa, &mut bytes).unwrap();
        bytes
    }

    /// A list in memory, as the address and the length that the PC wants.
    pub fn list(&mut self, words: &[u64]) -> (u32, u32) {
        let buffer = self.buffer(words.len() * 8 + 8);
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.poke(buffer, &bytes);
        (buffer.iova, u32::try_from(words.len()).unwrap())
    }

    /// What the kernel's driver writes to start a task, or a chain of them.
    pub fn kick(&mut self, id: CoreId, list: (u32, u32), tasks: u32) {
        self.w(id, PC_BASE_ADDRESS, 1);
        let pointer = PING_PONG | u32::try_from(id.index()).unwrap() << 28;
        self.w(id, CNA_S_POINTER, pointer);
        self.w(id, CORE_S_POINTER, pointer);
        self.w(id, PC_BASE_ADDRESS, list.0);
        self.w(id, PC_REGISTER_AMOUNTS, list.1.div_ceil(2) - 1);
        self.w(id, PC_INTERRUPT_MASK, DPU_0 | DPU_1);
        self.w(id, PC_INTERRUPT_CLEAR, DPU_0 | DPU_1);
        self.w(id, PC_TASK_CON, 1 << 14 | 1 << 13 | 1 << 12 | tasks);
        self.w(id, 0x34, 0);
        self.w(id, PC_OPERATION_ENABLE, 1);
    }

    /// Lets everything happen that can, at most so many steps of the model.
    pub fn settle(&mut self) {
        for _ in 0..1_000_000 {
            match self.npu.step(&self.host) {
                Step::Again => (),
                Step::Until(at) if at < self.host.now_ns() + 1_000_000_000 => {
                    self.host.pass(at.saturating_sub(self.host.now_ns()));
                }
                Step::Until(_) | Step::Idle => return,
            }
        }
        panic!("the NPU does not come to rest");
    }

    /// The events of a core, which are cleared.
    pub fn take(&mut self, id: CoreId) -> u32 {
        let raw = self.r(id, PC_RAW_STATUS);
        self.w(id, PC_OPERATION_ENABLE, 0);
        self.w(id, PC_INTERRUPT_CLEAR, 0x1_ffff);
        raw
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.npu.counters().get(counter)
    }

    pub fn assert_clean(&self) {
        let seen: Vec<_> = self.npu.records().iter().collect();
        assert!(seen.is_empty(), "{seen:?}");
    }

    /// Exactly these kinds were recorded; they are forgotten.
    pub fn assert_records(&mut self, kinds: &[Kind]) {
        let seen: Vec<_> = self.npu.records().iter().map(|r| r.kind).collect();
        assert_eq!(
            seen,
            kinds,
            "{:?}",
            self.npu.records().iter().collect::<Vec<_>>()
        );
        self.npu.clear_records();
    }
}

/// A layer in the NPU's memory.
#[derive(Clone, Copy)]
pub struct Loaded {
    pub input: Buffer,
    pub weights: Buffer,
    pub bias: Buffer,
    pub addend: Buffer,
    pub output: Buffer,
}

impl Rig {
    pub fn load(&mut self, layer: &Layer) -> Loaded {
        let loaded = Loaded {
            input: self.buffer(layer.packed_input().len()),
            weights: self.buffer(layer.packed_weights().len()),
            bias: self.buffer(layer.packed_bias().len()),
            addend: self.buffer(layer.output_size()),
            output: self.buffer(layer.output_size()),
        };
        self.poke(loaded.addend, &layer.packed_addend());
        self.poke(loaded.input, &layer.packed_input());
        self.poke(loaded.weights, &layer.packed_weights());
        self.poke(loaded.bias, &layer.packed_bias());
        loaded
    }

    /// Runs a layer on a core, and returns its output in plain order.
    pub fn run(&mut self, id: CoreId, layer: &Layer) -> Vec<u8> {
        let loaded = self.load(layer);
        let list = self.list(&words(layer, &loaded));
        self.kick(id, list, 1);
        self.settle();
        self.assert_clean();
        let fault = banks(id).iter().map(|b| self.r(id, b + FAULT_ADDR)).max();
        let events = self.take(id);
        assert_ne!(events & (DPU_0 | DPU_1), 0, "fault at {fault:x?}");
        layer.unpack(&self.peek(loaded.output, layer.output_size()))
    }
}
