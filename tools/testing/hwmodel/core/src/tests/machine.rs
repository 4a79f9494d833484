// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A machine for tests: RAM, a clock that stands still until it is told to go on, and page tables.

use std::boxed::Box;
use std::cell::Cell;
use std::cell::RefCell;
use std::vec;
use std::vec::Vec;

use crate::bus::Step;
use crate::counters::Counter;
use crate::host::BusError;
use crate::host::Host;
use crate::host::Line;
use crate::host::Wire;
use crate::mmu::Access;
use crate::mmu::MmuError;
use crate::mmu::Requester;
use crate::product::Product;
use crate::product::G610_RK3588;
use crate::record::Kind;
use crate::record::Record;
use crate::Clock;
use crate::Gpu;

pub const RAM: u64 = 0x8000_0000;
pub const RAM_SIZE: u64 = 8 << 20;

/// Offsets that tests use.
pub const GPU_RAWSTAT: u32 = 0x20;
pub const GPU_CLEAR: u32 = 0x24;
pub const GPU_MASK: u32 = 0x28;
pub const GPU_STATUS: u32 = 0x2c;
pub const GPU_COMMAND: u32 = 0x30;
pub const L2_READY: u32 = 0x160;
pub const L2_PWRON: u32 = 0x1a0;
pub const L2_PWROFF: u32 = 0x1e0;
pub const L2_PWRTRANS: u32 = 0x220;
pub const SHADER_PWRON: u32 = 0x180;
pub const COHERENCY_ENABLE: u32 = 0x304;
pub const MMU_RAWSTAT: u32 = 0x2000;
pub const MMU_CLEAR: u32 = 0x2004;
pub const MMU_MASK: u32 = 0x2008;

pub const RESET_COMPLETED: u32 = 1 << 8;
pub const CLEAN_CACHES_COMPLETED: u32 = 1 << 17;
pub const SOFT_RESET: u32 = 0x101;
/// Clean and invalidate L2 and load/store caches, invalidate the others.
pub const FLUSH_ALL: u32 = 0x23304;

pub const UPDATE: u32 = 1;
pub const LOCK: u32 = 2;
pub const UNLOCK: u32 = 3;
pub const FLUSH_PT: u32 = 4;
pub const FLUSH_MEM: u32 = 5;

/// Offset of register `reg` of a slot.
pub fn slot(as_nr: u32, reg: u32) -> u32 {
    0x2400 + as_nr * 0x40 + reg
}

pub const TRANSTAB: u32 = 0x00;
pub const MEMATTR: u32 = 0x08;
pub const LOCKADDR: u32 = 0x10;
pub const COMMAND: u32 = 0x18;
pub const FAULTSTATUS: u32 = 0x1c;
pub const FAULTADDRESS: u32 = 0x20;
pub const STATUS: u32 = 0x28;
pub const TRANSCFG: u32 = 0x30;

/// ADRMODE AARCH64_4K, 48 bits in, write-back walks.
pub const TRANSCFG_4K: u64 = 6 | (7 << 6) | (2 << 24) | (1 << 30);
/// Index 0 not cacheable, index 1 write-back, index 7 faults; the rest not cacheable.
pub const ATTRIBUTES: u64 = 0xcc4c_4c4c_4c4c_8f4c;

/// A leaf entry: valid page, attribute index 1, user, inner shareable, accessed.
pub const PAGE_RW: u64 = 3 | (1 << 2) | (1 << 6) | (3 << 8) | (1 << 10);
/// The same for a block.
pub const BLOCK_RW: u64 = PAGE_RW & !2;
pub const READ_ONLY: u64 = 1 << 7;
pub const EXECUTE_NEVER: u64 = 3 << 53;

pub struct Fake {
    ram: RefCell<Vec<u8>>,
    now: Cell<u64>,
    pub lines: [Cell<bool>; 6],
    pub edges: [Cell<u32>; 6],
    pub woken: Cell<u32>,
    /// The flush id that a process sees in its page.
    pub published: Cell<u32>,
    pub seen: RefCell<Vec<Record>>,
}

impl Host for Fake {
    fn read(&self, pa: u64, buf: &mut [u8]) -> Result<(), BusError> {
        let at = usize::try_from(pa.checked_sub(RAM).ok_or(BusError)?).map_err(|_| BusError)?;
        let ram = self.ram.borrow();
        buf.copy_from_slice(ram.get(at..at + buf.len()).ok_or(BusError)?);
        Ok(())
    }

    fn write(&self, pa: u64, buf: &[u8]) -> Result<(), BusError> {
        let at = usize::try_from(pa.checked_sub(RAM).ok_or(BusError)?).map_err(|_| BusError)?;
        let mut ram = self.ram.borrow_mut();
        ram.get_mut(at..at + buf.len())
            .ok_or(BusError)?
            .copy_from_slice(buf);
        Ok(())
    }

    fn now_ns(&self) -> u64 {
        self.now.get()
    }

    fn set_line(&self, wire: Wire, high: bool) {
        let i = wire.index();
        assert_ne!(
            self.lines[i].get(),
            high,
            "a line is told only when it changes"
        );
        self.lines[i].set(high);
        if high {
            self.edges[i].set(self.edges[i].get() + 1);
        }
    }

    fn wake(&self) {
        self.woken.set(self.woken.get() + 1);
    }

    fn flushed(&self, id: u32) {
        self.published.set(id);
    }

    fn record(&self, record: &Record) -> bool {
        self.seen.borrow_mut().push(*record);
        false
    }
}

impl Fake {
    /// Empty RAM, all lines low.
    pub fn new() -> Self {
        Self {
            ram: RefCell::new(vec![0; usize::try_from(RAM_SIZE).unwrap()]),
            now: Cell::new(1_000_000),
            lines: [const { Cell::new(false) }; 6],
            edges: [const { Cell::new(0) }; 6],
            woken: Cell::new(0),
            published: Cell::new(0),
            seen: RefCell::new(Vec::new()),
        }
    }

    /// Lets time pass.
    pub fn pass(&self, ns: u64) {
        self.now.set(self.now.get() + ns);
    }
}

pub struct Machine {
    pub host: Fake,
    pub gpu: Box<Gpu>,
    next_page: u64,
}

impl Machine {
    /// Clocks, supply and domain off.
    pub fn off() -> Self {
        Self {
            host: Fake::new(),
            gpu: Box::new(Gpu::new(&G610_RK3588)),
            next_page: RAM,
        }
    }

    /// The same, but another product.
    pub fn of(product: &'static Product) -> Self {
        let mut m = Self::off();
        m.gpu.choose(product);
        m
    }

    /// Gives it clocks and power.
    pub fn power(&mut self) {
        self.gpu.set_regulator(&self.host, true);
        self.gpu.set_power_domain(&self.host, true);
        for clock in Clock::ALL {
            self.gpu.set_clock(&self.host, clock, true);
        }
    }

    /// Clocked and powered.
    pub fn on() -> Self {
        let mut m = Self::off();
        m.power();
        m
    }

    /// With the L2 on as well, and nothing pending.
    pub fn ready() -> Self {
        let mut m = Self::on();
        m.w(L2_PWRON, 1);
        m.pass(100_000);
        assert_eq!(m.r(L2_READY), 1);
        m.w(GPU_CLEAR, !0);
        m
    }

    /// With slot 1 translating through fresh tables, whose address is returned.
    pub fn translating() -> (Self, u64) {
        let mut m = Self::ready();
        let root = m.page();
        m.enable(1, root);
        (m, root)
    }

    pub fn r(&mut self, off: u32) -> u32 {
        self.gpu.read32(&self.host, off)
    }

    pub fn r64(&mut self, off: u32) -> u64 {
        u64::from(self.r(off)) | (u64::from(self.r(off + 4)) << 32)
    }

    pub fn w(&mut self, off: u32, value: u32) {
        self.gpu.write32(&self.host, off, value);
    }

    pub fn w64(&mut self, off: u32, value: u64) {
        self.w(off, crate::bits::low(value));
        self.w(off + 4, crate::bits::high(value));
    }

    /// Lets time pass, with the steps that the model asks for on the way.
    pub fn pass(&mut self, ns: u64) {
        let end = self.host.now.get() + ns;
        loop {
            let next = match self.gpu.step(&self.host) {
                Step::Again => self.host.now.get(),
                Step::Until(at) if at <= end => at,
                Step::Until(_) | Step::Idle => break,
            };
            self.host.now.set(next.max(self.host.now.get()));
        }
        self.host.now.set(end);
        self.gpu.step(&self.host);
    }

    /// Lets time pass without any step.
    pub fn jump(&mut self, ns: u64) {
        self.host.now.set(self.host.now.get() + ns);
    }

    pub fn inject(&mut self, line: &str) {
        self.gpu.inject(&self.host, line).unwrap();
    }

    /// A command to a slot, and its end.
    pub fn command(&mut self, as_nr: u32, command: u32) {
        self.w(slot(as_nr, COMMAND), command);
        self.pass(10_000);
        assert_eq!(
            self.r(slot(as_nr, STATUS)),
            1,
            "a command shows at least once"
        );
        assert_eq!(self.r(slot(as_nr, STATUS)), 0);
    }

    /// Locks the region of `1 << shift` bytes at `base`.
    pub fn lock(&mut self, as_nr: u32, base: u64, shift: u64) {
        self.w64(slot(as_nr, LOCKADDR), base | (shift - 1));
        self.command(as_nr, LOCK);
    }

    pub fn configure(&mut self, as_nr: u32, transtab: u64, transcfg: u64, memattr: u64) {
        self.w64(slot(as_nr, TRANSTAB), transtab);
        self.w64(slot(as_nr, MEMATTR), memattr);
        self.w64(slot(as_nr, TRANSCFG), transcfg);
        self.command(as_nr, UPDATE);
    }

    pub fn enable(&mut self, as_nr: u32, root: u64) {
        self.configure(as_nr, root, TRANSCFG_4K, ATTRIBUTES);
    }

    pub fn disable(&mut self, as_nr: u32) {
        self.configure(as_nr, 0, 1, 0);
    }

    /// A page of RAM that nobody uses yet.
    pub fn page(&mut self) -> u64 {
        self.next_page += 0x1000;
        self.next_page
    }

    pub fn peek64(&self, pa: u64) -> u64 {
        let mut bytes = [0; 8];
        self.host.read(pa, &mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    pub fn poke64(&self, pa: u64, value: u64) {
        self.host.write(pa, &value.to_le_bytes()).unwrap();
    }

    /// Address of the entry for `va` at `level`, with tables made on the way.
    pub fn entry(&mut self, root: u64, va: u64, level: u32) -> u64 {
        let mut table = root;
        for above in 0..level {
            let at = table + ((va >> (39 - 9 * above)) & 0x1ff) * 8;
            if self.peek64(at) == 0 {
                let page = self.page();
                self.poke64(at, page | 3);
            }
            table = self.peek64(at) & 0xffff_ffff_f000;
        }
        table + ((va >> (39 - 9 * level)) & 0x1ff) * 8
    }

    /// Maps a page.
    pub fn map(&mut self, root: u64, va: u64, pa: u64, flags: u64) {
        let at = self.entry(root, va, 3);
        self.poke64(at, pa | flags);
    }

    /// What the processor reads.
    pub fn read(&mut self, as_nr: u8, va: u64, access: Access) -> Result<u64, MmuError> {
        let (_, mut bus) = self.gpu.parts(&self.host);
        let mut bytes = [0; 8];
        bus.read(
            Requester {
                as_nr,
                source: 0x1234,
            },
            va,
            access,
            &mut bytes,
        )?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub fn load(&mut self, as_nr: u8, va: u64) -> Result<u64, MmuError> {
        self.read(as_nr, va, Access::Read)
    }

    /// What the processor writes.
    pub fn store(&mut self, as_nr: u8, va: u64, value: u64) -> Result<(), MmuError> {
        let (_, mut bus) = self.gpu.parts(&self.host);
        bus.write64(
            Requester {
                as_nr,
                source: 0x1234,
            },
            va,
            value,
        )
    }

    pub fn kinds(&self) -> Vec<Kind> {
        self.host.seen.borrow().iter().map(|r| r.kind).collect()
    }

    /// No misuse so far.
    pub fn assert_clean(&self) {
        let seen = self.host.seen.borrow();
        assert!(seen.is_empty(), "{:?}", seen);
    }

    /// Exactly these records, which are forgotten.
    pub fn assert_records(&mut self, kinds: &[Kind]) {
        assert_eq!(self.kinds(), kinds, "{:?}", self.host.seen.borrow());
        assert_eq!(
            self.gpu.records().total(),
            u64::try_from(kinds.len()).unwrap()
        );
        self.host.seen.borrow_mut().clear();
        self.gpu.clear_records();
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.gpu.counters().get(counter)
    }

    pub fn is_high(&self, line: Line) -> bool {
        assert_eq!(
            self.host.lines[line.index()].get(),
            self.gpu.line_is_high(line)
        );
        self.gpu.line_is_high(line)
    }

    pub fn edges(&self, line: Line) -> u32 {
        self.host.edges[line.index()].get()
    }
}
