// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The memory that the MCU runs from: the sections of the image, and what they begin with.
//!
//! The content is kept, so that the firmware can be loaded again when there is no file system to read
//! it from.

use kernel::{
    device,
    firmware,
    prelude::*,
    str::CString,
    sync::Arc, //
};

use super::image::{
    Image,
    SHARED_START, //
};
use crate::{
    gem::{
        KernelBo,
        Pinned,
        Place,
        Vmap, //
    },
    vm::{
        GpuVa,
        MapFlags,
        Vm, //
    },
};

/// A section of the image, in memory.
struct Section {
    /// Mapped and pinned for as long as it exists, so that to load it again takes no memory and no lock.
    bo: KernelBo,
    pinned: Pinned,
    /// What it begins with; the rest is zero.
    data: KVVec<u8>,
}

impl Section {
    /// Puts it into the state in which the MCU boots from it.
    fn load(&self) -> Result {
        let map = self.bo.map()?;
        map.copy_from_slice(0, &self.data)?;
        map.fill(self.data.len(), map.len() - self.data.len(), 0)?;
        // The GPU need not snoop.
        self.pinned.sync_for_device(0, u64::try_from(map.len())?);
        Ok(())
    }
}

/// What the MCU runs from.
pub(super) struct Memory {
    sections: KVec<Section>,
    vm: Arc<Vm>,
}

impl Memory {
    /// Reads the image file and maps its sections in `vm`. Gives a mapping of the shared one as well.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is no image for this architecture, `EINVAL` if it is malformed, `ENOMEM`.
    pub(super) fn load(
        dev: &device::Device,
        vm: Arc<Vm>,
        arch: (u32, u32),
    ) -> Result<(Arc<Self>, Vmap)> {
        let (major, minor) = arch;
        let path = CString::try_from_fmt(fmt!("arm/mali/arch{major}.{minor}/mali_csffw.bin"))?;
        let path: &CStr = &path;
        let file = firmware::Firmware::request_nowarn(path, dev).inspect_err(|err| {
            let err = err.to_errno();
            dev_err!(
                dev,
                "no firmware {path} (error {err}): install linux-firmware, on Debian \
                 firmware-misc-nonfree\n"
            );
        })?;
        let image = Image::parse(file.data()).map_err(|err| {
            dev_err!(
                dev,
                "firmware {path} is damaged or not known ({err}): install linux-firmware's file again\n"
            );
            EINVAL
        })?;
        if let Some(sha) = image.git_sha() {
            dev_info!(dev, "firmware git sha: {sha}\n");
        }

        let mut sections = KVec::new();
        let mut shared = None;
        for section in image.sections() {
            let mut flags = MapFlags::NONE;
            if !section.write {
                flags = flags.or(MapFlags::READONLY);
            }
            if !section.execute {
                flags = flags.or(MapFlags::NOEXEC);
            }
            if !section.cached {
                flags = flags.or(MapFlags::UNCACHED);
            }

            let va = GpuVa::new(u64::from(section.va));
            let bo = KernelBo::new(&vm, usize::try_from(section.size)?, flags, Place::At(va))
                .inspect_err(|err| {
                    dev_err!(dev, "firmware section at {:#x}: {err:?}\n", section.va);
                })?;
            let mut data = KVVec::with_capacity(section.data.len(), GFP_KERNEL)?;
            data.extend_from_slice(section.data, GFP_KERNEL)?;
            if section.va == SHARED_START {
                shared = Some(sections.len());
            }
            let pinned = bo.pin()?;
            sections.push(Section { bo, pinned, data }, GFP_KERNEL)?;
        }
        // The image was refused if it had none.
        let shared = sections.get(shared.ok_or(EINVAL)?).ok_or(EINVAL)?;
        let map = shared.bo.vmap()?;
        let this = Self { sections, vm };
        this.reload()?;
        Ok((Arc::new(this, GFP_KERNEL)?, map))
    }

    /// The MCU's address space.
    pub(super) fn vm(&self) -> &Arc<Vm> {
        &self.vm
    }

    /// Loads all sections again, those included that nobody should have changed. Takes no memory:
    /// fences may wait for it.
    pub(super) fn reload(&self) -> Result {
        self.sections.iter().try_for_each(Section::load)
    }
}
