// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Clocks by name that are switched together.

use kernel::{
    clk::Clk,
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};

/// Clocks that a device cannot do without. Each [`Bulk::enable`] needs its [`Bulk::disable`].
pub struct Bulk(KVec<Clk>);

impl Bulk {
    /// Gets the clocks by their names in `clock-names`.
    ///
    /// # Errors
    ///
    /// What the clock framework says: `EPROBE_DEFER`, `ENOENT` for one that is not in the device tree.
    pub fn get(dev: &Device<Bound>, names: &[&CStr]) -> Result<Self> {
        let mut clocks = KVec::with_capacity(names.len(), GFP_KERNEL)?;
        for name in names {
            clocks.push(Clk::get(dev, Some(*name))?, GFP_KERNEL)?;
        }
        Ok(Self(clocks))
    }

    /// Prepares and enables all of them, in order, or none. May sleep.
    pub fn enable(&self) -> Result {
        for (index, clk) in self.0.iter().enumerate() {
            if let Err(err) = clk.prepare_enable() {
                self.disable_first(index);
                return Err(err);
            }
        }
        Ok(())
    }

    /// Undoes one [`Bulk::enable`], in reverse order. May sleep.
    pub fn disable(&self) {
        self.disable_first(self.0.len());
    }

    fn disable_first(&self, count: usize) {
        for clk in self.0.iter().take(count).rev() {
            clk.disable_unprepare();
        }
    }
}
