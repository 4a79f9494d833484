// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The machine that the model's core lives in.
//!
//! **Locking**: one mutex around all of it, the model included. The core calls back into [`Soc`]
//! with that mutex held; what such a call changes lies in cells, and takes no lock.
//!
//! **Ordering**: whoever has changed anything looks for interrupts to send before the mutex is
//! released ([`Machine::with`]), and wakes the processor if there is work. An interrupt is sent as
//! a message for a line that is asserted and unmasked, and masks the line: the guest unmasks it
//! when it has served the interrupt, and gets another message if the line is still asserted, as
//! from a level-triggered controller. A line whose message nobody wants yet waits.
//!
//! **Blocking**: an access waits for the mutex only, which the processor holds for a bounded piece
//! of work. The processor waits until it is woken or until the time that the core asked for, and
//! for a moment from time to time when there is always more to do.

use std::cell::Cell;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use hwmodel::host::BusError;
use hwmodel::npu::iommu::Version;
use hwmodel::product::G610_RK3588;
use hwmodel::Chip;
use hwmodel::Expected;
use hwmodel::Host;
use hwmodel::Record;
use hwmodel::Step;
use hwmodel::Wire;

use crate::memory::Memory;

/// Interrupt lines, and so messages.
pub const LINES: usize = Wire::ALL.len();

/// After so many pieces of work without a pause the processor lets others in for [`PAUSE`].
const BURST: u32 = 64;
const PAUSE: Duration = Duration::from_micros(20);

/// What the core asks of the machine.
pub struct Soc {
    memory: Memory,
    start: Instant,
    /// A bit for each line.
    asserted: Cell<u32>,
    wake: Cell<bool>,
    expected: Expected,
    unexpected: Cell<u64>,
}

impl Host for Soc {
    fn read(&self, pa: u64, buf: &mut [u8]) -> Result<(), BusError> {
        self.memory.read(pa, buf)
    }

    fn write(&self, pa: u64, buf: &[u8]) -> Result<(), BusError> {
        self.memory.write(pa, buf)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn set_line(&self, wire: Wire, high: bool) {
        let bit = 1 << wire.index();
        let others = self.asserted.get() & !bit;
        self.asserted.set(if high { others | bit } else { others });
    }

    fn wake(&self) {
        self.wake.set(true);
    }

    fn flushed(&self, _id: u32) {
        // Each read of the register asks the model.
    }

    fn record(&self, record: &Record) -> bool {
        let announced = self.expected.take(record.kind);
        if announced {
            eprintln!("hwmodel: expected {record}");
        } else {
            eprintln!("hwmodel: RECORD {record}");
            self.unexpected.set(self.unexpected.get() + 1);
        }
        announced
    }
}

/// All that the mutex protects.
pub struct State {
    /// The model.
    pub chip: Chip,
    /// What is around it.
    pub soc: Soc,
    /// Lines that may be sent, a bit for each.
    unmasked: u32,
    /// Where the messages go.
    messages: [Option<File>; LINES],
}

impl State {
    /// Which lines are asserted, a bit for each.
    pub fn asserted(&self) -> u32 {
        self.soc.asserted.get()
    }

    /// Lets these lines be sent, once.
    pub fn unmask(&mut self, lines: u32) {
        self.unmasked |= lines;
    }

    /// Lets these lines be sent no more.
    pub fn mask(&mut self, lines: u32) {
        self.unmasked &= !lines;
    }

    /// The last handler of these lines has gone.
    pub fn abandon(&mut self, lines: u32) {
        self.mask(lines);
        let stuck = self.asserted() & lines;
        for line in (0..u32::BITS).filter(|line| stuck >> line & 1 != 0) {
            self.chip.abandoned(&self.soc, line);
        }
    }

    /// Where the messages of a line go.
    pub fn set_message(&mut self, line: usize, file: Option<File>) {
        if let Some(slot) = self.messages.get_mut(line) {
            *slot = file;
        }
    }

    /// The guest's memory.
    pub fn memory(&mut self) -> &mut Memory {
        &mut self.soc.memory
    }

    /// Carries out a line of misbehaviour, or announces records. Returns whether it was understood.
    pub fn inject(&mut self, line: &str) -> bool {
        match line.trim().strip_prefix("expect ") {
            Some(rest) => self.soc.expected.announce(rest).is_some(),
            None => self.chip.inject(&self.soc, line).is_ok(),
        }
    }

    /// Power-on. What was recorded and counted so far is gone from the model, but records that
    /// nobody had announced still count for [`Machine::unexpected`].
    pub fn reset(&mut self) {
        self.chip = new_chip();
        self.soc.asserted.set(0);
        self.unmasked = 0;
    }

    /// Sends what is to be sent.
    fn send(&mut self) {
        for line in 0..LINES {
            let bit = 1 << line;
            if self.asserted() & self.unmasked & bit == 0 {
                continue;
            }
            let Some(Some(message)) = self.messages.get_mut(line) else {
                continue;
            };
            self.unmasked &= !bit;
            if let Ok(nr) = u32::try_from(line) {
                self.chip.delivered(&self.soc, nr);
            }
            // It fails only if its counter is full: there is a message to be read in any case.
            let _ = message.write_all(&1u64.to_ne_bytes());
        }
    }
}

fn new_chip() -> Chip {
    Chip::new(&G610_RK3588, Version::V2)
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

/// The machine, whose processor runs for as long as the process does.
#[derive(Clone)]
pub struct Machine {
    shared: Arc<Shared>,
}

impl Machine {
    /// Powers it on.
    pub fn new() -> std::io::Result<Self> {
        let machine = Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    chip: new_chip(),
                    soc: Soc {
                        memory: Memory::default(),
                        start: Instant::now(),
                        asserted: Cell::new(0),
                        wake: Cell::new(false),
                        expected: Expected::new(),
                        unexpected: Cell::new(0),
                    },
                    unmasked: 0,
                    messages: [const { None }; LINES],
                }),
                work: Condvar::new(),
            }),
        };
        let processor = machine.clone();
        thread::Builder::new()
            .name("processor".into())
            .spawn(move || processor.run())?;
        Ok(machine)
    }

    /// A panic of the core has been reported by who had it; what comes after is the best there is.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `f`, then sends interrupts and wakes the processor, if there are any.
    pub fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = f(&mut state);
        state.send();
        if state.soc.wake.get() {
            self.shared.work.notify_one();
        }
        result
    }

    /// How many records there were that nobody had announced.
    pub fn unexpected(&self) -> u64 {
        self.lock().soc.unexpected.get()
    }

    /// The model's processor.
    fn run(&self) {
        let mut burst = 0;
        let mut state = self.lock();
        loop {
            // Cleared before looking: what comes after the look wakes again.
            state.soc.wake.set(false);
            let State { chip, soc, .. } = &mut *state;
            let step = chip.step(soc);
            state.send();

            if step == Step::Again {
                burst += 1;
                if burst == BURST {
                    burst = 0;
                    drop(state);
                    thread::sleep(PAUSE);
                    state = self.lock();
                }
                continue;
            }
            burst = 0;
            let idle = |state: &mut State| !state.soc.wake.get();
            let work = &self.shared.work;
            state = match step {
                Step::Until(time) => {
                    let wait = Duration::from_nanos(time.saturating_sub(state.soc.now_ns()));
                    work.wait_timeout_while(state, wait, idle)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                Step::Idle | Step::Again => work
                    .wait_while(state, idle)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}
