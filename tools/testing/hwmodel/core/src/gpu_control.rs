// SPDX-License-Identifier: GPL-2.0 OR MIT

//! GPU_CONTROL: identification, commands, resets, cache maintenance, faults, time.

use crate::bits::half;
use crate::bits::set_half;
use crate::bus::Env;
use crate::counters::Counter;
use crate::host::Line;
use crate::inject::due;
use crate::inject::NEVER;
use crate::irq::Source;
use crate::power::pwr;
use crate::product::Product;
use crate::record::Kind;
use crate::record::Place;

/// GPU_IRQ: a fault of the GPU itself.
const IRQ_FAULT: u32 = 1 << 0;
/// GPU_IRQ: a reset is complete.
const IRQ_RESET_COMPLETED: u32 = 1 << 8;
/// GPU_IRQ: cache maintenance is complete.
const IRQ_CLEAN_CACHES_COMPLETED: u32 = 1 << 17;
/// GPU_IRQ: MCU_STATUS changed.
pub const IRQ_MCU_STATUS_CHANGED: u32 = 1 << 19;

/// How long a reset takes.
const RESET_NS: u64 = 50_000;
/// How long cache maintenance takes.
const FLUSH_NS: u64 = 5_000;

/// Frequency of the system counter that the timestamp shows (RK3588: 24 MHz).
pub(crate) const TIMESTAMP_HZ: u64 = 24_000_000;

/// COHERENCY_ENABLE: none.
const COHERENCY_NONE: u32 = 31;
/// COHERENCY_ENABLE: ACE-Lite.
const COHERENCY_ACE_LITE: u32 = 0;

/// PWR_KEY: opens PWR_OVERRIDE0 and 1 for one write.
const PWR_KEY_UNLOCK: u32 = 0x2968_a819;

/// The fields of L2_CONFIG that exist: size, hash override and hash.
const L2_CONFIG_FIELDS: u32 = 0xffff_00ff | (1 << 24);

/// L2_CONFIG: the hash is that of ASN_HASH.
const L2_CONFIG_ASN_HASH_ENABLE: u32 = 1 << 24;

/// The protocol that is selected without a write: the C driver writes none since architecture 14, and
/// has coherent memory then.
const fn coherency_at_reset(product: &Product) -> u32 {
    if product.has_pwr() && product.coherency_features & 1 != 0 {
        COHERENCY_ACE_LITE
    } else {
        COHERENCY_NONE
    }
}

/// What a write asks of the other blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A reset began: every block goes to its reset state.
    ResetBegins,
    /// The coherency protocol was selected.
    Coherency(bool),
}

/// The block's state.
pub struct GpuControl {
    product: &'static Product,
    coherency: u32,
    l2_config: u32,
    asn_hash: [u32; 3],
    fault_status: u32,
    fault_address: u64,
    timestamp_offset: u64,
    pwr_key: u32,
    pwr_override: [u32; 2],
    counting: bool,
    rate_hz: u64,
    cycles: u64,
    cycles_at: u64,
    latest_flush: u32,
    reset_due: Option<u64>,
    flush_due: Option<u64>,
    /// It is one of the L2.
    flush_cleans: bool,
    reset_ns: u64,
    flush_ns: u64,
    /// Resets that shall hang.
    reset_hangs: u32,
    /// Flushes that shall hang.
    flush_hangs: u32,
    /// GPU_ID.
    id: u32,
    /// Shader cores that work.
    usable_cores: u64,
}

impl GpuControl {
    /// As after power-on.
    pub const fn new(product: &'static Product) -> Self {
        Self {
            product,
            coherency: coherency_at_reset(product),
            l2_config: 0,
            asn_hash: [0; 3],
            fault_status: 0,
            fault_address: 0,
            timestamp_offset: 0,
            pwr_key: 0,
            pwr_override: [0; 2],
            counting: false,
            rate_hz: 0,
            cycles: 0,
            cycles_at: 0,
            latest_flush: 1,
            reset_due: None,
            flush_due: None,
            flush_cleans: false,
            reset_ns: RESET_NS,
            flush_ns: FLUSH_NS,
            reset_hangs: 0,
            flush_hangs: 0,
            id: product.gpu_id,
            usable_cores: product.shader_present,
        }
    }

    /// Becomes another product. For when everything is off.
    pub(crate) fn choose(&mut self, product: &'static Product) {
        self.product = product;
        self.id = product.gpu_id;
        self.usable_cores = product.shader_present;
        self.reset();
    }

    /// Only these shader cores work, whatever SHADER_PRESENT says: fuses of the SoC know it.
    pub(crate) fn fuse(&mut self, usable: u64) {
        self.usable_cores = usable;
    }

    /// Shader cores that work.
    pub fn usable_cores(&self) -> u64 {
        self.usable_cores
    }

    /// The product.
    pub fn product(&self) -> &'static Product {
        self.product
    }

    /// To the state after a reset. The flush id goes on, so that no stream built before the reset
    /// skips a flush that it needs.
    pub(crate) fn reset(&mut self) {
        self.coherency = coherency_at_reset(self.product);
        self.l2_config = 0;
        self.asn_hash = [0; 3];
        self.fault_status = 0;
        self.fault_address = 0;
        self.timestamp_offset = 0;
        self.pwr_key = 0;
        self.pwr_override = [0; 2];
        self.flush_due = None;
        self.cycles = 0;
    }

    /// Power was lost: nothing is in progress any more.
    pub(crate) fn power_lost(&mut self) {
        self.reset();
        self.reset_due = None;
    }

    /// Whether a coherency protocol is selected.
    pub(crate) fn is_coherent(&self) -> bool {
        self.coherency != COHERENCY_NONE
    }

    pub(crate) fn in_reset(&self) -> bool {
        self.reset_due.is_some()
    }

    /// LATEST_FLUSH.
    pub fn latest_flush(&self) -> u32 {
        self.latest_flush
    }

    /// GPU_TIMESTAMP.
    pub fn timestamp(&self, now: u64) -> u64 {
        let seconds = now / 1_000_000_000;
        let rest = now % 1_000_000_000;
        seconds
            .wrapping_mul(TIMESTAMP_HZ)
            .wrapping_add(rest * (TIMESTAMP_HZ / 1_000_000) / 1000)
            .wrapping_add(self.timestamp_offset)
    }

    /// GPU_CYCLE_COUNT.
    pub fn cycle_count(&self, now: u64) -> u64 {
        let elapsed = if self.counting {
            now.saturating_sub(self.cycles_at)
        } else {
            0
        };
        let micros = elapsed / 1000;
        self.cycles
            .wrapping_add(micros.wrapping_mul(self.rate_hz / 1_000_000))
    }

    /// The core clock's rate, 0 while it stands still.
    pub fn core_hz(&self) -> u64 {
        self.rate_hz
    }

    /// Tells the cycle counter that the clock runs at another rate (0: does not run) from now on.
    pub(crate) fn set_rate(&mut self, now: u64, hz: u64) {
        self.cycles = self.cycle_count(now);
        self.cycles_at = now;
        self.counting = hz != 0;
        self.rate_hz = hz;
    }

    pub(crate) fn read(&mut self, env: &mut Env<'_>, off: u32, active: bool) -> u32 {
        let product = self.product;
        let [texture0, texture1, texture2, texture3] = product.texture_features;
        let [override0, override1] = self.pwr_override;
        let [asn_hash0, asn_hash1, asn_hash2] = self.asn_hash;
        match off {
            0x00 => self.id,
            0x04 => product.l2_features,
            0x08 => product.core_features,
            0x0c => product.tiler_features,
            0x10 => product.mem_features,
            0x14 => product.mmu_features,
            0x18 => product.as_present,
            0x1c => product.csf_id,
            0x30 => {
                env.record(Kind::WriteOnly, Place::Register(off), 0, "GPU_COMMAND");
                0
            }
            0x34 => u32::from(active || self.flush_due.is_some()),
            0x3c => self.fault_status,
            0x40 | 0x44 => half(self.fault_address, off),
            0x48 => self.l2_config,
            0x50 => {
                env.record(Kind::WriteOnly, Place::Register(off), 0, "PWR_KEY");
                0
            }
            0x54 => override0,
            0x58 => override1,
            // GPU_FEATURES came with architecture 11 and reads as zero before.
            0x60 | 0x64 => half(product.gpu_features, off),
            0x88 | 0x8c => half(self.timestamp_offset, off),
            0x90 | 0x94 => half(self.cycle_count(env.now), off),
            0x98 | 0x9c => half(self.timestamp(env.now), off),
            0xa0 => product.max_threads,
            0xa4 => product.max_workgroup_size,
            0xa8 => product.max_barrier_size,
            0xac => product.thread_features,
            0xb0 => texture0,
            0xb4 => texture1,
            0xb8 => texture2,
            0xbc => texture3,
            0x280 => product.rev_id,
            0x2c0 if product.has_asn_hash() => asn_hash0,
            0x2c4 if product.has_asn_hash() => asn_hash1,
            0x2c8 if product.has_asn_hash() => asn_hash2,
            0x300 => product.coherency_features,
            0x304 => self.coherency,
            _ => {
                env.record(Kind::Hole, Place::Register(off), 0, "read");
                0
            }
        }
    }

    /// A write. `l2_on` tells whether the L2 is on or about to be.
    pub(crate) fn write(
        &mut self,
        env: &mut Env<'_>,
        off: u32,
        value: u32,
        l2_on: bool,
    ) -> Option<Event> {
        let place = Place::Register(off);
        match off {
            0x30 => return self.command(env, place, value),
            0x48 => {
                if value & !L2_CONFIG_FIELDS != 0 {
                    env.record(Kind::Reserved, place, u64::from(value), "L2_CONFIG");
                }
                if l2_on {
                    env.record(Kind::CoherencyLate, place, u64::from(value), "L2_CONFIG");
                }
                self.l2_config = value;
            }
            0x50 => {
                if value != PWR_KEY_UNLOCK {
                    env.record(Kind::Reserved, place, u64::from(value), "PWR_KEY");
                }
                self.pwr_key = value;
            }
            0x54 | 0x58 => {
                if self.pwr_key != PWR_KEY_UNLOCK {
                    env.record(
                        Kind::ReadOnly,
                        place,
                        u64::from(value),
                        "PWR_KEY is not set",
                    );
                    return None;
                }
                self.pwr_key = 0;
                let [first, second] = &mut self.pwr_override;
                *(if off == 0x54 { first } else { second }) = value;
            }
            0x88 | 0x8c => set_half(&mut self.timestamp_offset, off, value),
            0x2c0 | 0x2c4 | 0x2c8 if self.product.has_asn_hash() => {
                if l2_on {
                    env.record(Kind::CoherencyLate, place, u64::from(value), "ASN_HASH");
                }
                let [first, second, third] = &mut self.asn_hash;
                *(match off {
                    0x2c0 => first,
                    0x2c4 => second,
                    _ => third,
                }) = value;
            }
            0x304 => {
                if l2_on {
                    env.record(Kind::CoherencyLate, place, u64::from(value), "protocol");
                }
                let supported = value == COHERENCY_NONE
                    || self
                        .product
                        .coherency_features
                        .checked_shr(value)
                        .unwrap_or(0)
                        & 1
                        != 0;
                if !supported {
                    env.record(Kind::CoherencyBad, place, u64::from(value), "");
                    return None;
                }
                self.coherency = value;
                return Some(Event::Coherency(value != COHERENCY_NONE));
            }
            0x00..=0x1c | 0x34 | 0x3c..=0x44 | 0x60 | 0x64 | 0x90..=0xbc | 0x280 | 0x300
                if off & 3 == 0 =>
            {
                env.record(Kind::ReadOnly, place, u64::from(value), "");
            }
            _ => env.record(Kind::Hole, place, u64::from(value), "write"),
        }
        None
    }

    /// The L2 is being powered: it takes over its configuration, which has to be there by now.
    pub(crate) fn check_l2_config(&self, env: &mut Env<'_>, place: Place) {
        let Some(hash) = self.product.asn_hash else {
            return;
        };
        if self.l2_config & L2_CONFIG_ASN_HASH_ENABLE == 0 || self.asn_hash != hash {
            env.record(Kind::L2Config, place, u64::from(self.l2_config), "ASN_HASH");
        }
    }

    fn command(&mut self, env: &mut Env<'_>, place: Place, value: u32) -> Option<Event> {
        let payload = value >> 8;
        match value & 0xff {
            0 if payload == 0 => (),
            // Fast, soft and hard reset.
            1 if payload <= 2 && !self.product.has_pwr() => {
                return self.begin_reset(env, place, value);
            }
            // Timestamp and cycle counter on and off: both are free-running here.
            3 if payload <= 1 => (),
            4 => self.flush(env, place, value),
            7 if payload == 0 => {
                self.fault_status = 0;
                self.fault_address = 0;
            }
            _ => env.record(Kind::UnknownCommand, place, u64::from(value), "GPU_COMMAND"),
        }
        None
    }

    /// Begins a reset, by whatever command.
    pub(crate) fn begin_reset(
        &mut self,
        env: &mut Env<'_>,
        place: Place,
        value: u32,
    ) -> Option<Event> {
        if self.reset_due.is_some() {
            let note = "reset in a reset";
            env.record(Kind::CommandBusy, place, u64::from(value), note);
            return None;
        }
        env.count(Counter::SoftReset);
        self.reset_due = Some(due(env.now, self.reset_ns, &mut self.reset_hangs));
        env.host.wake();
        Some(Event::ResetBegins)
    }

    fn flush(&mut self, env: &mut Env<'_>, place: Place, value: u32) {
        let payload = value >> 8;
        // L2 and load/store caches: nothing, clean, or clean and invalidate. The others hold no
        // dirty data: nothing or invalidate.
        let valid = matches!(payload & 0xf, 0 | 1 | 3)
            && matches!((payload >> 4) & 0xf, 0 | 1 | 3)
            && matches!((payload >> 8) & 0xf, 0 | 2)
            && payload >> 12 == 0
            && payload != 0;
        if !valid {
            env.record(
                Kind::UnknownCommand,
                place,
                u64::from(value),
                "FLUSH_CACHES mode",
            );
            return;
        }
        if self.flush_due.is_some() {
            env.record(
                Kind::CommandBusy,
                place,
                u64::from(value),
                "flush in a flush",
            );
            return;
        }
        self.flush_due = Some(due(env.now, self.flush_ns, &mut self.flush_hangs));
        self.flush_cleans = payload & 1 != 0;
        env.host.wake();
    }

    fn flushed(&mut self, env: &mut Env<'_>) {
        env.count(Counter::CacheFlush);
        // Zero is never a valid id: it stands for "flush always".
        self.latest_flush = self.latest_flush.checked_add(1).unwrap_or(1);
        env.host.flushed(self.latest_flush);
    }

    /// FLUSH_CACHE2 of a command stream.
    pub(crate) fn stream_flush(&mut self, env: &mut Env<'_>, flush_id: u32) -> bool {
        if flush_id != 0 && flush_id < self.latest_flush {
            return false;
        }
        self.flushed(env);
        true
    }

    /// A fault of the GPU itself.
    pub(crate) fn fault(&mut self, env: &mut Env<'_>, code: u32, address: u64) {
        self.fault_status = code;
        self.fault_address = address;
        env.count(Counter::Faults);
        env.raise(Line::Gpu, IRQ_FAULT);
    }

    /// Completes what is due. Returns whether the caches were cleaned.
    pub(crate) fn advance(&mut self, env: &mut Env<'_>) -> bool {
        if self.reset_due.is_some_and(|due| env.now >= due) {
            self.reset_due = None;
            if self.product.has_pwr() {
                env.raise(Source::Pwr, pwr::IRQ_RESET_COMPLETED);
            } else {
                env.raise(Line::Gpu, IRQ_RESET_COMPLETED);
            }
        }
        if self.flush_due.is_none_or(|due| env.now < due) {
            return false;
        }
        self.flush_due = None;
        self.flushed(env);
        env.raise(Line::Gpu, IRQ_CLEAN_CACHES_COMPLETED);
        self.flush_cleans
    }

    /// When the next command completes.
    pub(crate) fn deadline(&self) -> Option<u64> {
        [self.reset_due, self.flush_due]
            .into_iter()
            .flatten()
            .filter(|&due| due != NEVER)
            .min()
    }

    pub(crate) fn inject_reset_hangs(&mut self, n: u32) {
        self.reset_hangs = n;
    }

    pub(crate) fn inject_id(&mut self, id: u32) {
        self.id = id;
    }

    pub(crate) fn inject_reset_ns(&mut self, ns: u64) {
        self.reset_ns = ns;
    }

    pub(crate) fn inject_flush_hangs(&mut self, n: u32) {
        self.flush_hangs = n;
    }

    pub(crate) fn inject_flush_ns(&mut self, ns: u64) {
        self.flush_ns = ns;
    }

    /// What hung goes on from now.
    pub(crate) fn clear_injections(&mut self, now: u64) {
        self.id = self.product.gpu_id;
        self.reset_hangs = 0;
        self.reset_ns = RESET_NS;
        self.flush_hangs = 0;
        self.flush_ns = FLUSH_NS;
        for due in [&mut self.reset_due, &mut self.flush_due]
            .into_iter()
            .flatten()
        {
            if *due == NEVER {
                *due = now;
            }
        }
    }
}
