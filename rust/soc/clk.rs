// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The clocks of a device, as one thing.

use kernel::{
    clk::{
        Clk,
        Hertz,
        OptionalClk, //
    },
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};

/// A clock to ask for.
#[derive(Clone, Copy)]
pub struct ClkSpec {
    /// Its name in `clock-names`.
    pub name: &'static CStr,
    /// Whether the device works without it.
    pub optional: bool,
}

enum Entry {
    Mandatory(Clk),
    Optional(OptionalClk),
}

impl Entry {
    fn clk(&self) -> &Clk {
        match self {
            Self::Mandatory(clk) => clk,
            // An absent clock is a null pointer, which every operation accepts.
            Self::Optional(clk) => clk,
        }
    }
}

/// `N` clocks that are enabled in order and disabled in reverse order.
///
/// Dropping it disables them if they are enabled.
pub struct Clocks<const N: usize> {
    clocks: KVec<Entry>,
    enabled: bool,
}

impl<const N: usize> Clocks<N> {
    /// Gets the clocks by name.
    ///
    /// # Errors
    ///
    /// What the clock framework says, notably `EPROBE_DEFER`; `ENOENT` for a mandatory clock that
    /// the device tree does not have.
    pub fn get(dev: &Device<Bound>, specs: [ClkSpec; N]) -> Result<Self> {
        let mut clocks = KVec::with_capacity(N, GFP_KERNEL)?;
        for spec in specs {
            let entry = if spec.optional {
                Entry::Optional(OptionalClk::get(dev, Some(spec.name))?)
            } else {
                Entry::Mandatory(Clk::get(dev, Some(spec.name))?)
            };
            clocks.push(entry, GFP_KERNEL)?;
        }
        Ok(Self {
            clocks,
            enabled: false,
        })
    }

    /// Prepares and enables all of them, or none. Does nothing if they are enabled.
    pub fn enable(&mut self) -> Result {
        if self.enabled {
            return Ok(());
        }
        for (index, entry) in self.clocks.iter().enumerate() {
            if let Err(err) = entry.clk().prepare_enable() {
                for entry in self.clocks.iter().take(index).rev() {
                    entry.clk().disable_unprepare();
                }
                return Err(err);
            }
        }
        self.enabled = true;
        Ok(())
    }

    /// Disables and unprepares all of them. Does nothing if they are disabled.
    pub fn disable(&mut self) {
        if core::mem::take(&mut self.enabled) {
            for entry in self.clocks.iter().rev() {
                entry.clk().disable_unprepare();
            }
        }
    }

    /// Whether they are enabled.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The rate of the clock at `index`; 0 Hz if it is absent.
    pub fn rate(&self, index: usize) -> Hertz {
        self.clocks
            .get(index)
            .map_or(Hertz(0), |entry| entry.clk().rate())
    }
}

impl<const N: usize> Drop for Clocks<N> {
    fn drop(&mut self) {
        self.disable();
    }
}
