// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The firmware image: a pure parser of the binary that the MCU is loaded from.
//!
//! An image is a header, a table of entries directly behind it, and the data that the entries
//! point to. Only two kinds of entry matter for loading: sections, which become memory of the MCU,
//! and build information, which becomes a line in the log. An entry of another kind is skipped if
//! it says that it is optional or if it is one of those which describe features that the driver
//! does not use.
//!
//! [`Image::parse`] checks everything once. What it hands out afterwards cannot fail.
//!
//! Nothing here touches the device or allocates.

use kernel::{
    fmt,
    prelude::*, //
};

/// First word of every image.
const MAGIC: u32 = 0xc3f1_3a6e;

/// Only major version of the header that is known.
const MAJOR: u8 = 0;

/// Bytes in the header.
const HEADER_SIZE: usize = 20;

/// Granule in which sections are mapped, in bytes.
const PAGE: u32 = 4096;

/// Where the section with the control, input and output blocks has to start in the MCU's space.
pub(crate) const SHARED_START: u32 = 0x0400_0000;

/// Bytes that follow [`SHARED_START`] and belong to memory shared between the host and the MCU.
pub(crate) const SHARED_SIZE: u32 = 0x0400_0000;

/// Entry kinds, bits 7:0 of an entry's first word.
mod kind {
    pub(super) const SECTION: u32 = 0;
    pub(super) const CONFIG: u32 = 1;
    pub(super) const SELF_TEST: u32 = 2;
    pub(super) const TRACE_BUFFER: u32 = 3;
    pub(super) const TIMELINE: u32 = 4;
    pub(super) const BUILD_INFO: u32 = 6;
}

/// Bit of an entry's first word: a loader that does not know the kind may skip the entry.
const ENTRY_OPTIONAL: u32 = 1 << 31;

/// Section flags.
mod flag {
    pub(super) const READ: u32 = 1 << 0;
    pub(super) const WRITE: u32 = 1 << 1;
    pub(super) const EXECUTE: u32 = 1 << 2;
    pub(super) const CACHE: u32 = 3 << 3;
    pub(super) const CACHED: u32 = 1 << 3;
    pub(super) const PROTECTED: u32 = 1 << 5;
    pub(super) const SHARED: u32 = 1 << 30;
    pub(super) const ZERO: u32 = 1 << 31;
    pub(super) const ALL: u32 = READ | WRITE | EXECUTE | CACHE | PROTECTED | SHARED | ZERO;
}

/// What is wrong with an image. Offsets are bytes from the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageError {
    /// The file or an entry ends before `field` does.
    Truncated {
        /// Name of the field.
        field: &'static str,
        /// Where the field would start.
        at: usize,
    },
    /// A field has a value that is not allowed.
    Bad {
        /// Name of the field.
        field: &'static str,
        /// Start of the header or entry that holds it.
        at: usize,
        /// Its value.
        value: u32,
    },
    /// An entry of this kind is neither known nor optional.
    UnknownEntry {
        /// Start of the entry.
        at: usize,
        /// Its kind.
        kind: u32,
    },
    /// Two sections claim the same MCU address.
    Overlap {
        /// Start of the later of the two entries.
        at: usize,
        /// The first address that both claim.
        va: u32,
    },
    /// No section starts at [`SHARED_START`].
    NoSharedSection,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { field, at } => write!(f, "truncated: {field} at {at:#x}"),
            Self::Bad { field, at, value } => write!(f, "bad {field} {value:#x} at {at:#x}"),
            Self::UnknownEntry { at, kind } => {
                write!(
                    f,
                    "entry type {kind} at {at:#x} is neither known nor optional"
                )
            }
            Self::Overlap { at, va } => {
                write!(
                    f,
                    "va.start of section at {at:#x} overlaps another section at {va:#x}"
                )
            }
            Self::NoSharedSection => write!(f, "no shared section at {SHARED_START:#x}"),
        }
    }
}

/// One section: memory of the MCU with its permissions and first contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section<'a> {
    /// First MCU address; page aligned.
    pub(crate) va: u32,
    /// Bytes; page aligned, not 0, and `va + size` does not wrap.
    pub(crate) size: u32,
    /// Initial contents; not longer than `size`.
    pub(crate) data: &'a [u8],
    /// The MCU may write.
    pub(crate) write: bool,
    /// The MCU may execute.
    pub(crate) execute: bool,
    /// Mapped cached. Every other cache mode is mapped uncached.
    pub(crate) cached: bool,
    /// The host keeps a CPU mapping.
    pub(crate) shared: bool,
    /// What follows `data` is to be zeroed.
    pub(crate) zero: bool,
}

/// A checked image.
#[derive(Clone, Copy)]
pub(crate) struct Image<'a> {
    file: &'a [u8],
    /// Header and entry table, as long as the header says.
    table: &'a [u8],
}

/// Reads the little-endian word `field` at `at` of `bytes`.
fn word(bytes: &[u8], at: usize, field: &'static str) -> Result<u32, ImageError> {
    let truncated = ImageError::Truncated { field, at };
    let end = at.checked_add(4).ok_or(truncated)?;
    match bytes.get(at..end) {
        Some(&[a, b, c, d]) => Ok(u32::from_le_bytes([a, b, c, d])),
        _ => Err(truncated),
    }
}

/// Widens a file offset or size. The kernel has no 16-bit targets.
const fn wide(value: u32) -> usize {
    value as usize
}

/// One entry of the table.
#[derive(Clone, Copy)]
enum Entry<'a> {
    Section(Section<'a>),
    BuildInfo(&'a [u8]),
    Ignored,
}

impl<'a> Image<'a> {
    /// Checks `file` completely.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in file order; then what only the whole table can show.
    pub(crate) fn parse(file: &'a [u8]) -> Result<Self, ImageError> {
        let bad = |field, value| ImageError::Bad {
            field,
            at: 0,
            value,
        };

        let magic = word(file, 0, "header.magic")?;
        if magic != MAGIC {
            return Err(bad("header.magic", magic));
        }

        let version = word(file, 4, "header.version")?;
        let [_minor, major, pad_lo, pad_hi] = version.to_le_bytes();
        if major != MAJOR {
            return Err(bad("header.major", u32::from(major)));
        }
        let padding = u32::from(u16::from_le_bytes([pad_lo, pad_hi]));
        if padding != 0 {
            return Err(bad("header.padding1", padding));
        }

        // Any value is as good as another.
        word(file, 8, "header.version_hash")?;
        let padding = word(file, 12, "header.padding2")?;
        if padding != 0 {
            return Err(bad("header.padding2", padding));
        }

        let size = word(file, 16, "header.size")?;
        if wide(size) < HEADER_SIZE || size % 4 != 0 {
            return Err(bad("header.size", size));
        }
        let table = file.get(..wide(size)).ok_or(ImageError::Truncated {
            field: "header.size",
            at: file.len(),
        })?;

        let image = Self { file, table };
        image.check()?;
        Ok(image)
    }

    /// Checks every entry, and the sections against each other.
    fn check(&self) -> Result<(), ImageError> {
        let mut shared = false;
        let mut at = HEADER_SIZE;
        while at < self.table.len() {
            let (entry, next) = self.entry(at)?;
            if let Entry::Section(section) = entry {
                shared |= section.va == SHARED_START;
                self.check_overlap(at, &section)?;
            }
            at = next;
        }
        if shared {
            Ok(())
        } else {
            Err(ImageError::NoSharedSection)
        }
    }

    /// Compares `section`, whose entry is at `end`, with all sections before it.
    fn check_overlap(&self, end: usize, section: &Section<'_>) -> Result<(), ImageError> {
        let mut at = HEADER_SIZE;
        while at < end {
            let (entry, next) = self.entry(at)?;
            if let Entry::Section(other) = entry {
                let va = section.va.max(other.va);
                if va - section.va < section.size && va - other.va < other.size {
                    return Err(ImageError::Overlap { at: end, va });
                }
            }
            at = next;
        }
        Ok(())
    }

    /// Decodes the entry at `at`; gives it and where the next one starts.
    fn entry(&self, at: usize) -> Result<(Entry<'a>, usize), ImageError> {
        let head = word(self.table, at, "entry.header")?;
        let size = (head >> 8) & 0xff;
        if size < 4 || size % 4 != 0 {
            return Err(ImageError::Bad {
                field: "entry.size",
                at,
                value: size,
            });
        }
        let truncated = ImageError::Truncated {
            field: "entry.size",
            at,
        };
        let end = at.checked_add(wide(size)).ok_or(truncated)?;
        let bytes = self.table.get(..end).ok_or(truncated)?;

        let entry = match head & 0xff {
            kind::SECTION => match self.section(bytes, at)? {
                Some(section) => Entry::Section(section),
                None => Entry::Ignored,
            },
            kind::BUILD_INFO => match self.build_info(bytes, at)? {
                Some(data) => Entry::BuildInfo(data),
                None => Entry::Ignored,
            },
            kind::CONFIG | kind::SELF_TEST | kind::TRACE_BUFFER | kind::TIMELINE => Entry::Ignored,
            _ if head & ENTRY_OPTIONAL != 0 => Entry::Ignored,
            kind => return Err(ImageError::UnknownEntry { at, kind }),
        };
        Ok((entry, end))
    }

    /// Decodes a section entry that starts at `at` and ends with `bytes`.
    ///
    /// `None` if there is nothing to load: an empty section, or one for protected mode, which the
    /// driver does not use.
    fn section(&self, bytes: &[u8], at: usize) -> Result<Option<Section<'a>>, ImageError> {
        let bad = |field, value| ImageError::Bad { field, at, value };

        let flags = word(bytes, at + 4, "section.flags")?;
        let va_start = word(bytes, at + 8, "section.va.start")?;
        let va_end = word(bytes, at + 12, "section.va.end")?;
        let data_start = word(bytes, at + 16, "section.data.start")?;
        let data_end = word(bytes, at + 20, "section.data.end")?;

        if flags & !flag::ALL != 0 {
            return Err(bad("section.flags", flags));
        }
        if va_start % PAGE != 0 {
            return Err(bad("section.va.start", va_start));
        }
        if va_end % PAGE != 0 || va_end < va_start {
            return Err(bad("section.va.end", va_end));
        }
        if data_end < data_start {
            return Err(bad("section.data.end", data_end));
        }
        let data =
            self.file
                .get(wide(data_start)..wide(data_end))
                .ok_or(ImageError::Truncated {
                    field: "section.data.end",
                    at,
                })?;
        let size = va_end - va_start;
        if data.len() > wide(size) {
            return Err(bad("section.data.end", data_end));
        }
        if flags & flag::PROTECTED != 0 || size == 0 {
            return Ok(None);
        }
        let shared = flags & flag::SHARED != 0;
        if va_start == SHARED_START && !shared {
            return Err(bad("section.flags", flags));
        }

        Ok(Some(Section {
            va: va_start,
            size,
            data,
            write: flags & flag::WRITE != 0,
            execute: flags & flag::EXECUTE != 0,
            cached: flags & flag::CACHE == flag::CACHED,
            shared,
            zero: flags & flag::ZERO != 0,
        }))
    }

    /// Finds the bytes that a build information entry points to. `None` if they are not there: what
    /// is only shown to humans is no reason to refuse an image.
    fn build_info(&self, bytes: &[u8], at: usize) -> Result<Option<&'a [u8]>, ImageError> {
        let start = wide(word(bytes, at + 4, "build_info.start")?);
        let size = wide(word(bytes, at + 8, "build_info.size")?);
        let end = start.checked_add(size);
        Ok(end.and_then(|end| self.file.get(start..end)))
    }

    /// Entries of a table that has been checked.
    fn entries(&self) -> impl Iterator<Item = Entry<'a>> + '_ {
        let mut at = HEADER_SIZE;
        core::iter::from_fn(move || {
            let (entry, next) = self.entry(at).ok()?;
            at = next;
            Some(entry)
        })
    }

    /// The sections to load, in the order of the file.
    pub(crate) fn sections(&self) -> impl Iterator<Item = Section<'a>> + '_ {
        self.entries().filter_map(|entry| match entry {
            Entry::Section(section) => Some(section),
            _ => None,
        })
    }

    /// The revision that the image was built from, if it says so.
    pub(crate) fn git_sha(&self) -> Option<&'a str> {
        self.entries().find_map(|entry| match entry {
            Entry::BuildInfo(data) => {
                let text = data.strip_prefix(b"git_sha: ")?.strip_suffix(b"\0")?;
                core::str::from_utf8(text).ok()
            }
            _ => None,
        })
    }
}

#[kunit_tests(mali_csf_fw_image)]
mod tests {
    use super::*;

    const TABLE: usize = HEADER_SIZE + 24 + 24 + 8 + 12;
    const CODE: usize = TABLE;
    const SHARED: usize = CODE + 16;
    const SHA: usize = SHARED + 16;
    const TEXT: &[u8] = b"git_sha: 0123\0";
    const LEN: usize = SHA + TEXT.len();

    /// A small image with code, a shared section, an entry to skip and build information.
    fn image() -> Result<KVec<u8>> {
        let off = |at: usize| u32::try_from(at);
        let words = [
            MAGIC,
            3,
            0x0101_0000,
            0,
            off(TABLE)?,
            // Code: read, execute, cached.
            24 << 8 | kind::SECTION,
            flag::READ | flag::EXECUTE | flag::CACHED,
            0x0080_0000,
            0x0080_2000,
            off(CODE)?,
            off(SHARED)?,
            // Shared: read, write, zeroed.
            24 << 8 | kind::SECTION,
            flag::READ | flag::WRITE | flag::SHARED | flag::ZERO,
            SHARED_START,
            SHARED_START + 0x1_0000,
            off(SHARED)?,
            off(SHA)?,
            // Unknown, but optional.
            8 << 8 | 99 | ENTRY_OPTIONAL,
            0,
            12 << 8 | kind::BUILD_INFO,
            off(SHA)?,
            off(TEXT.len())?,
        ];
        let mut bytes = KVec::with_capacity(LEN, GFP_KERNEL)?;
        for word in words {
            bytes.extend_from_slice(&word.to_le_bytes(), GFP_KERNEL)?;
        }
        bytes.extend_from_slice(&[0xc0; 16], GFP_KERNEL)?;
        bytes.extend_from_slice(&[0x5a; 16], GFP_KERNEL)?;
        bytes.extend_from_slice(TEXT, GFP_KERNEL)?;
        Ok(bytes)
    }

    /// Whether what a parsed image hands out keeps its promises.
    fn is_sound(image: &Image<'_>) -> bool {
        image.sections().all(|section| {
            section.va % PAGE == 0
                && section.size % PAGE == 0
                && section.size != 0
                && section.va.checked_add(section.size).is_some()
                && section.data.len() <= wide(section.size)
        })
    }

    /// Whether the error says where to look.
    fn names_a_field(err: ImageError) -> bool {
        match err {
            ImageError::Truncated { field, .. } | ImageError::Bad { field, .. } => {
                field.contains('.')
            }
            ImageError::UnknownEntry { .. }
            | ImageError::Overlap { .. }
            | ImageError::NoSharedSection => true,
        }
    }

    #[test]
    fn a_good_image_has_its_sections_in_order() -> Result {
        let bytes = image()?;
        let image = Image::parse(&bytes).map_err(|_| EINVAL)?;
        let mut sections = image.sections();
        let code = sections.next().ok_or(EINVAL)?;
        assert_eq!(code.va, 0x0080_0000);
        assert_eq!(code.size, 0x2000);
        assert_eq!(code.data, &[0xc0; 16]);
        assert!(code.execute && code.cached && !code.write && !code.shared && !code.zero);
        let shared = sections.next().ok_or(EINVAL)?;
        assert_eq!(shared.va, SHARED_START);
        assert!(shared.write && shared.shared && shared.zero && !shared.cached);
        assert!(sections.next().is_none());
        assert_eq!(image.git_sha(), Some("0123"));
        Ok(())
    }

    #[test]
    fn truncated_anywhere_it_is_refused_with_a_field() -> Result {
        let bytes = image()?;
        for len in 0..SHA {
            let result = Image::parse(&bytes[..len]);
            assert!(matches!(result, Err(err) if names_a_field(err)));
        }
        Ok(())
    }

    #[test]
    fn without_its_build_information_it_is_as_good() -> Result {
        let bytes = image()?;
        for len in SHA..LEN {
            let image = Image::parse(&bytes[..len]).map_err(|_| EINVAL)?;
            assert_eq!(image.git_sha(), None);
        }
        Ok(())
    }

    #[test]
    fn with_any_byte_changed_it_is_sound_or_refused_with_a_field() -> Result {
        let mut bytes = image()?;
        for at in 0..LEN {
            let old = bytes[at];
            for change in [0x01, 0x10, 0x80, 0xff] {
                bytes[at] = old ^ change;
                let fine = match Image::parse(&bytes) {
                    Ok(image) => is_sound(&image),
                    Err(err) => names_a_field(err),
                };
                assert!(fine);
            }
            bytes[at] = old;
        }
        Ok(())
    }

    #[test]
    fn sections_do_not_overlap() -> Result {
        let mut bytes = image()?;
        // The code's last page becomes the first of the shared section.
        let va_start = HEADER_SIZE + 8;
        bytes[va_start..va_start + 4].copy_from_slice(&(SHARED_START - PAGE).to_le_bytes());
        bytes[va_start + 4..va_start + 8].copy_from_slice(&(SHARED_START + PAGE).to_le_bytes());
        assert!(matches!(
            Image::parse(&bytes),
            Err(ImageError::Overlap {
                va: SHARED_START,
                ..
            })
        ));
        Ok(())
    }
}
