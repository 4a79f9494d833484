// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The guest's memory, as far as it was given to the device: regions that the client described by
//! file, offset and address, mapped into this process.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;

use hwmodel::host::BusError;
use vm_memory::Bytes;
use vm_memory::FileOffset;
use vm_memory::MmapRegion;
use vm_memory::VolatileMemory;

/// A range of addresses of the bus.
struct Region {
    first: u64,
    size: u64,
    /// Nothing if the client gave no file: such memory can't be reached.
    map: Option<MmapRegion>,
}

/// All that is mapped.
#[derive(Default)]
pub struct Memory {
    regions: Vec<Region>,
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

impl Memory {
    /// Maps a range. Ranges do not overlap.
    pub fn map(&mut self, first: u64, size: u64, file: Option<(File, u64)>) -> io::Result<()> {
        let end = first
            .checked_add(size)
            .ok_or_else(|| invalid("the range ends beyond the address space"))?;
        if size == 0 {
            return Err(invalid("the range is empty"));
        }
        if self
            .regions
            .iter()
            .any(|r| first < r.first + r.size && r.first < end)
        {
            return Err(invalid("the range overlaps another one"));
        }
        let map = match file {
            None => None,
            Some((file, offset)) => {
                // An access behind the end of a file ends a process.
                if offset
                    .checked_add(size)
                    .is_none_or(|end| end > file.metadata().map_or(0, |m| m.len()))
                {
                    return Err(invalid("the file ends before the range does"));
                }
                let size = usize::try_from(size).map_err(|_| invalid("the range is too large"))?;
                Some(
                    MmapRegion::from_file(FileOffset::new(file, offset), size)
                        .map_err(io::Error::other)?,
                )
            }
        };
        self.regions.push(Region { first, size, map });
        Ok(())
    }

    /// Takes away everything that lies inside of the range. Part of a region can't be taken away.
    pub fn unmap(&mut self, first: u64, size: u64) -> io::Result<()> {
        let end = first.saturating_add(size);
        let inside = |r: &Region| first <= r.first && r.first + r.size <= end;
        if self
            .regions
            .iter()
            .any(|r| first < r.first + r.size && r.first < end && !inside(r))
        {
            return Err(invalid("the range covers a region in part"));
        }
        self.regions.retain(|r| !inside(r));
        Ok(())
    }

    /// Takes away everything.
    pub fn unmap_all(&mut self) {
        self.regions.clear();
    }

    /// The mapping behind `len` bytes at `pa`, and the offset in it. Accesses don't cross regions.
    fn find(&self, pa: u64, len: usize) -> Result<(&MmapRegion, usize), BusError> {
        let len = u64::try_from(len).map_err(|_| BusError)?;
        let end = pa.checked_add(len).ok_or(BusError)?;
        let region = self
            .regions
            .iter()
            .find(|r| r.first <= pa && end <= r.first + r.size)
            .ok_or(BusError)?;
        let offset = usize::try_from(pa - region.first).map_err(|_| BusError)?;
        Ok((region.map.as_ref().ok_or(BusError)?, offset))
    }

    /// Reads memory. Aligned words and double words are read as such: what the guest writes at the
    /// same time is seen whole.
    pub fn read(&self, pa: u64, buf: &mut [u8]) -> Result<(), BusError> {
        let (map, offset) = self.find(pa, buf.len())?;
        let memory = map.as_volatile_slice();
        match buf.len() {
            4 if pa % 4 == 0 => memory
                .load::<u32>(offset, Ordering::Acquire)
                .map(|word| buf.copy_from_slice(&word.to_ne_bytes())),
            8 if pa % 8 == 0 => memory
                .load::<u64>(offset, Ordering::Acquire)
                .map(|word| buf.copy_from_slice(&word.to_ne_bytes())),
            _ => memory.read_slice(buf, offset),
        }
        .map_err(|_| BusError)
    }

    /// Writes memory. Aligned words and double words are written as such: the guest polls them.
    pub fn write(&self, pa: u64, buf: &[u8]) -> Result<(), BusError> {
        let (map, offset) = self.find(pa, buf.len())?;
        let memory = map.as_volatile_slice();
        if let (Ok(word), 0) = (buf.try_into(), pa % 4) {
            memory.store(u32::from_ne_bytes(word), offset, Ordering::Release)
        } else if let (Ok(word), 0) = (buf.try_into(), pa % 8) {
            memory.store(u64::from_ne_bytes(word), offset, Ordering::Release)
        } else {
            memory.write_slice(buf, offset)
        }
        .map_err(|_| BusError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::FileExt;

    fn file(name: &str, size: u64) -> File {
        let path = std::env::temp_dir().join(format!("hwmodel-{}-{name}", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(path).unwrap();
        file.set_len(size).unwrap();
        file
    }

    #[test]
    fn what_is_written_is_in_the_file() {
        let file = file("written", 0x3000);
        let mut memory = Memory::default();
        let other = file.try_clone().unwrap();
        memory.map(0x8000, 0x2000, Some((other, 0x1000))).unwrap();
        for (pa, bytes) in [
            (0x8000, &[1u8, 2, 3, 4][..]),
            (0x8008, &[1, 2, 3, 4, 5, 6, 7, 8]),
            (0x8013, &[1, 2, 3, 4]),
            (0x9ffb, &[1, 2, 3, 4, 5]),
        ] {
            memory.write(pa, bytes).unwrap();
            let mut seen = vec![0; bytes.len()];
            file.read_exact_at(&mut seen, pa - 0x7000).unwrap();
            assert_eq!(seen, bytes);
            seen.fill(0);
            memory.read(pa, &mut seen).unwrap();
            assert_eq!(seen, bytes);
        }
    }

    #[test]
    fn nothing_is_behind_the_end() {
        let mut memory = Memory::default();
        let file = file("end", 0x1000);
        memory.map(0x8000, 0x1000, Some((file, 0))).unwrap();
        let mut buf = [0; 4];
        for pa in [0x7fff, 0x8ffd, 0x9000, u64::MAX] {
            assert_eq!(memory.read(pa, &mut buf), Err(BusError));
            assert_eq!(memory.write(pa, &buf), Err(BusError));
        }
    }

    #[test]
    fn memory_without_a_file_cannot_be_reached() {
        let mut memory = Memory::default();
        memory.map(0x8000, 0x1000, None).unwrap();
        assert_eq!(memory.read(0x8000, &mut [0; 4]), Err(BusError));
    }

    #[test]
    fn a_file_that_is_too_short_is_refused() {
        let mut memory = Memory::default();
        let file = file("short", 0x1000);
        assert!(memory.map(0x8000, 0x2000, Some((file, 0))).is_err());
    }

    #[test]
    fn ranges_neither_overlap_nor_are_cut() {
        let mut memory = Memory::default();
        memory.map(0x8000, 0x2000, None).unwrap();
        assert!(memory.map(0x9000, 0x1000, None).is_err());
        assert!(memory.map(0x7000, 0, None).is_err());
        assert!(memory.map(u64::MAX, 2, None).is_err());
        assert!(memory.unmap(0x8000, 0x1000).is_err());
        memory.unmap(0x7000, 0x4000).unwrap();
        memory.map(0x9000, 0x1000, None).unwrap();
        memory.unmap_all();
        memory.map(0x9000, 0x1000, None).unwrap();
    }
}
