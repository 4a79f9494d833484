// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The PCI function, as vfio-user sees it.
//!
//! **Locking**: everything here belongs to the thread that serves the client; the model is behind
//! [`Machine::with`].
//!
//! **Ordering**: one message after the other, each of them complete before the next one is looked
//! at: register accesses of the guest reach the model in their order.
//!
//! **Blocking**: an access waits for the model's mutex, and the guest's CPU for the access.

use std::fs::File;
use std::io;

use hwmodel::Block;
use vfio_bindings::bindings::vfio::*;
use vfio_user::DmaMapFlags;
use vfio_user::DmaUnmapFlags;
use vfio_user::IrqInfo;
use vfio_user::ServerBackend;
use vfio_user::ServerRegion;

use crate::config;
use crate::config::Config;
use crate::control::Control;
use crate::machine::Machine;
use crate::machine::State;
use crate::machine::LINES;

/// The window of an NPU core.
const NPU_WINDOW: u32 = 0x1_0000;

/// The function.
pub struct Device {
    machine: Machine,
    config: Config,
    control: Control,
}

/// What reads find where nothing is.
const NOTHING: u8 = 0xff;

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// The block of registers behind an offset into a BAR, and the offset into that block.
fn block(bar: u32, offset: u32) -> Option<(Block, u32)> {
    match bar {
        config::BAR_GPU => Some((Block::Gpu, offset)),
        config::BAR_NPU => Some((Block::nth(1 + offset / NPU_WINDOW)?, offset % NPU_WINDOW)),
        _ => None,
    }
}

/// The offset as a register's, if the access is inside of the BAR.
fn inside(bar: u32, offset: u64, len: usize) -> io::Result<u32> {
    let outside = || invalid("the access is outside of the region");
    let end = u64::try_from(len)
        .ok()
        .and_then(|len| offset.checked_add(len))
        .ok_or_else(outside)?;
    let size = usize::try_from(bar)
        .ok()
        .and_then(|bar| config::BAR_SIZES.get(bar).copied())
        .unwrap_or(0);
    if end > u64::from(size) {
        return Err(outside());
    }
    u32::try_from(offset).map_err(|_| outside())
}

impl Device {
    /// The function of this machine.
    pub fn new(machine: Machine) -> Self {
        Self {
            machine,
            config: Config::new(),
            control: Control::new(),
        }
    }

    /// Its regions, as the client learns of them.
    pub fn regions() -> Vec<ServerRegion> {
        let size = |index: u32| match index {
            VFIO_PCI_CONFIG_REGION_INDEX => u64::try_from(config::SIZE).unwrap_or(0),
            _ => usize::try_from(index)
                .ok()
                .and_then(|bar| config::BAR_SIZES.get(bar))
                .map_or(0, |&size| u64::from(size)),
        };
        (0..VFIO_PCI_NUM_REGIONS)
            .map(|index| ServerRegion {
                region_info: vfio_region_info {
                    argsz: u32::try_from(size_of::<vfio_region_info>()).unwrap_or(0),
                    index,
                    size: size(index),
                    flags: match size(index) {
                        0 => 0,
                        _ => VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
                    },
                    ..Default::default()
                },
                sparse_areas: Vec::new(),
                mmap_fd: None,
            })
            .collect()
    }

    /// Its interrupts.
    pub fn irqs() -> Vec<IrqInfo> {
        let msix = u32::try_from(LINES).unwrap_or(0);
        (0..VFIO_PCI_NUM_IRQS)
            .map(|index| match index {
                VFIO_PCI_MSIX_IRQ_INDEX => IrqInfo {
                    index,
                    flags: VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
                    count: msix,
                },
                _ => IrqInfo {
                    index,
                    flags: 0,
                    count: 0,
                },
            })
            .collect()
    }

    /// An access to registers of the model.
    fn access(
        &self,
        bar: u32,
        offset: u32,
        len: usize,
        word: impl FnOnce(&mut State, Block, u32),
        write: bool,
    ) -> Option<()> {
        let (block, offset) = block(bar, offset)?;
        self.machine.with(|state| {
            if len == 4 && offset % 4 == 0 {
                word(state, block, offset);
                return Some(());
            }
            let bytes = u32::try_from(len).unwrap_or(u32::MAX);
            let State { chip, soc, .. } = state;
            chip.access_other(soc, block, offset, bytes, write);
            None
        })
    }
}

impl ServerBackend for Device {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            return usize::try_from(offset)
                .ok()
                .and_then(|at| self.config.read(at, data))
                .ok_or_else(|| invalid("the access is outside of the configuration space"));
        }
        let at = inside(region, offset, data.len())?;
        let done = match region {
            config::BAR_CONTROL => {
                let control = &mut self.control;
                self.machine.with(|state| control.read(state, at, data))
            }
            _ => {
                let mut value = 0;
                let word = |state: &mut State, block, offset| {
                    let State { chip, soc, .. } = state;
                    value = chip.read32(soc, block, offset);
                };
                self.access(region, at, data.len(), word, false)
                    .map(|()| data.copy_from_slice(&value.to_le_bytes()))
            }
        };
        if done.is_none() {
            data.fill(NOTHING);
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            return usize::try_from(offset)
                .ok()
                .and_then(|at| self.config.write(at, data))
                .ok_or_else(|| invalid("the access is outside of the configuration space"));
        }
        let at = inside(region, offset, data.len())?;
        // What goes where nothing is gets lost, as on a bus.
        let _ = match region {
            config::BAR_CONTROL => {
                let control = &mut self.control;
                self.machine.with(|state| control.write(state, at, data))
            }
            _ => {
                let word = |state: &mut State, block, offset| {
                    let State { chip, soc, .. } = state;
                    if let Ok(bytes) = data.try_into() {
                        chip.write32(soc, block, offset, u32::from_le_bytes(bytes));
                    }
                };
                self.access(region, at, data.len(), word, true)
            }
        };
        Ok(())
    }

    fn dma_map(
        &mut self,
        _flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        self.machine
            .with(|state| state.memory().map(address, size, fd.map(|fd| (fd, offset))))
            // The answer carries no reason.
            .inspect_err(|error| eprintln!("hwmodel: 0x{address:x} can't be mapped: {error}"))
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        self.machine.with(|state| {
            if flags.contains(DmaUnmapFlags::UNMAP_ALL) {
                state.memory().unmap_all();
                Ok(())
            } else {
                state.memory().unmap(address, size)
            }
        })
    }

    fn reset(&mut self) -> io::Result<()> {
        self.config = Config::new();
        self.control = Control::new();
        self.machine.with(State::reset);
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        if flags & VFIO_IRQ_SET_ACTION_TRIGGER == 0 || index != VFIO_PCI_MSIX_IRQ_INDEX {
            // There is nothing to mask but in the client, and there are no other interrupts.
            return Ok(());
        }
        let first = usize::try_from(start).unwrap_or(LINES);
        let count = usize::try_from(count).unwrap_or(LINES);
        let end = first.saturating_add(count);
        if end > LINES {
            return Err(invalid("there are not so many messages"));
        }
        let lines = match (flags & VFIO_IRQ_SET_DATA_TYPE_MASK, count) {
            (VFIO_IRQ_SET_DATA_NONE, 0) => 0..LINES,
            (VFIO_IRQ_SET_DATA_EVENTFD, _) if fds.is_empty() || fds.len() == count => first..end,
            _ => return Err(invalid("messages are sent by the model only")),
        };
        self.machine.with(|state| {
            let mut fds = fds.into_iter();
            for line in lines {
                state.set_message(line, fds.next());
            }
        });
        Ok(())
    }
}
