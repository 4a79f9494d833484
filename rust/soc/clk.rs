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
    prelude::*,
    sync::Arc, //
};

use crate::probe;

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
pub struct Clocks<const N: usize> {
    clocks: KVec<Entry>,
}

/// Clocks that run. Dropped, they stop, unless others have enabled them as well.
pub struct Running<const N: usize>(Arc<Clocks<N>>);

impl<const N: usize> Clocks<N> {
    /// Gets the clocks by name.
    ///
    /// # Errors
    ///
    /// What the clock framework says, notably `EPROBE_DEFER`; `ENOENT` for a mandatory clock that
    /// the device tree does not have. The clock is named in the log.
    pub fn get(dev: &Device<Bound>, specs: [ClkSpec; N]) -> Result<Self> {
        let mut clocks = KVec::with_capacity(N, GFP_KERNEL)?;
        for spec in specs {
            let missing = |err| {
                let why = fmt!(
                    "no clock \"{}\": check clocks and clock-names in the device tree, and the driver \
                     of the clock controller",
                    spec.name
                );
                probe::failed(dev, err, why)
            };
            let entry = if spec.optional {
                Entry::Optional(OptionalClk::get(dev, Some(spec.name)).map_err(missing)?)
            } else {
                Entry::Mandatory(Clk::get(dev, Some(spec.name)).map_err(missing)?)
            };
            clocks.push(entry, GFP_KERNEL)?;
        }
        Ok(Self { clocks })
    }

    /// Prepares and enables all of them, or none.
    ///
    /// # Errors
    ///
    /// What the clock framework says.
    pub fn enable(self: &Arc<Self>) -> Result<Running<N>> {
        for (index, entry) in self.clocks.iter().enumerate() {
            if let Err(err) = entry.clk().prepare_enable() {
                self.disable_first(index);
                return Err(err);
            }
        }
        Ok(Running(self.clone()))
    }

    /// Disables the first `count` of them, the last one first.
    fn disable_first(&self, count: usize) {
        for entry in self.clocks.iter().take(count).rev() {
            entry.clk().disable_unprepare();
        }
    }

    /// The rate of the clock at `index`; 0 Hz if it is absent.
    pub fn rate(&self, index: usize) -> Hertz {
        self.clocks
            .get(index)
            .map_or(Hertz(0), |entry| entry.clk().rate())
    }
}

impl<const N: usize> Drop for Running<N> {
    fn drop(&mut self) {
        self.0.disable_first(N);
    }
}
