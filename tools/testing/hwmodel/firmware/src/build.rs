// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Puts header, entries and data together.

/// First word of an image.
pub const MAGIC: u32 = 0xc3f1_3a6e;

/// Size of the header.
pub const HEADER_SIZE: usize = 20;

/// Entry types.
pub mod kind {
    /// A section.
    pub const SECTION: u8 = 0;
    /// A configuration option.
    pub const CONFIG: u8 = 1;
    /// A self test.
    pub const SELF_TEST: u8 = 2;
    /// A trace buffer.
    pub const TRACE_BUFFER: u8 = 3;
    /// Timeline metadata.
    pub const TIMELINE: u8 = 4;
    /// Build information.
    pub const BUILD_INFO: u8 = 6;
}

/// Entry: a loader that does not know the type may skip it.
pub const OPTIONAL: u32 = 1 << 31;

/// Section flags.
pub mod flag {
    pub use crate::selfcheck::FLAG_EX as EX;
    pub use crate::selfcheck::FLAG_RD as RD;
    pub use crate::selfcheck::FLAG_SHARED as SHARED;
    pub use crate::selfcheck::FLAG_WR as WR;
    pub use crate::selfcheck::FLAG_ZERO as ZERO;
    /// Cached.
    pub const CACHED: u32 = 1 << 3;
    /// Cached and coherent.
    pub const CACHED_COHERENT: u32 = 3 << 3;
    /// For protected mode.
    pub const PROTECTED: u32 = 1 << 5;
    /// All that exist.
    pub const ALL: u32 = RD | WR | EX | 3 << 3 | PROTECTED | SHARED | ZERO;
}

/// Data of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// None.
    None,
    /// Its own.
    Own(Vec<u8>),
    /// That of an earlier entry.
    SameAs(usize),
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A section.
    Section {
        /// Its flags.
        flags: u32,
        /// Its address.
        va: u32,
        /// Its size.
        size: u32,
        /// Its initial data.
        data: Data,
        /// Its name; mostly empty.
        name: &'static str,
    },
    /// Build information.
    BuildInfo(Vec<u8>),
    /// Anything else.
    Other {
        /// Type.
        kind: u8,
        /// Whether it may be skipped.
        optional: bool,
        /// What follows the first word.
        words: Vec<u32>,
        /// A name behind the words; may be empty.
        name: &'static str,
    },
}

impl Entry {
    fn name(&self) -> &'static str {
        match self {
            Entry::Section { name, .. } | Entry::Other { name, .. } => name,
            Entry::BuildInfo(_) => "",
        }
    }

    fn words(&self) -> usize {
        match self {
            Entry::Section { .. } => 5,
            Entry::BuildInfo(_) => 2,
            Entry::Other { words, .. } => words.len(),
        }
    }

    /// Size in the table.
    pub fn size(&self) -> usize {
        let name = self.name().len();
        let name = if name == 0 { 0 } else { (name + 4) / 4 * 4 };
        4 + self.words() * 4 + name
    }
}

/// An image to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Version hash of the header.
    pub version_hash: u32,
    /// Entries in file order.
    pub entries: Vec<Entry>,
}

/// A finished image, and where its parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The file.
    pub bytes: Vec<u8>,
    /// Offset of each entry.
    pub entries: Vec<usize>,
    /// Offsets of the data of each section, `None` for what has none.
    pub data: Vec<Option<(usize, usize)>>,
    /// Size of header and entries.
    pub table_size: usize,
}

/// A size or offset as the format stores it.
fn word(value: usize) -> u32 {
    u32::try_from(value).expect("images are small")
}

impl Image {
    /// Lays everything out.
    pub fn build(&self) -> Built {
        let table_size = HEADER_SIZE + self.entries.iter().map(Entry::size).sum::<usize>();
        let mut tail = Vec::new();
        let mut data: Vec<Option<(usize, usize)>> = vec![None; self.entries.len()];
        // Build information first: then a truncated file loses section data before it.
        let order = |build_info: bool| {
            self.entries
                .iter()
                .enumerate()
                .filter(move |(_, entry)| matches!(entry, Entry::BuildInfo(_)) == build_info)
        };
        for (index, entry) in order(true).chain(order(false)) {
            let own = match entry {
                Entry::BuildInfo(text) => text,
                Entry::Section {
                    data: Data::Own(bytes),
                    ..
                } => bytes,
                Entry::Section {
                    data: Data::SameAs(other),
                    ..
                } => {
                    data[index] = data[*other];
                    continue;
                }
                _ => continue,
            };
            while (table_size + tail.len()) % 4 != 0 {
                tail.push(0);
            }
            let start = table_size + tail.len();
            tail.extend_from_slice(own);
            data[index] = Some((start, start + own.len()));
        }

        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend([3, 0, 0, 0]);
        bytes.extend(self.version_hash.to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(word(table_size).to_le_bytes());
        let mut entries = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            entries.push(bytes.len());
            let end = bytes.len() + entry.size();
            let (kind, optional) = match entry {
                Entry::Section { .. } => (kind::SECTION, false),
                Entry::BuildInfo(_) => (kind::BUILD_INFO, true),
                Entry::Other { kind, optional, .. } => (*kind, *optional),
            };
            let size = u8::try_from(entry.size()).expect("entries are short");
            let head = u32::from(kind) | u32::from(size) << 8 | if optional { OPTIONAL } else { 0 };
            bytes.extend(head.to_le_bytes());
            let (start, stop) = data[index].unwrap_or((0, 0));
            let words = match entry {
                Entry::Section {
                    flags, va, size, ..
                } => {
                    vec![*flags, *va, *va + *size, word(start), word(stop)]
                }
                Entry::BuildInfo(text) => vec![word(start), word(text.len())],
                Entry::Other { words, .. } => words.clone(),
            };
            for value in words {
                bytes.extend(value.to_le_bytes());
            }
            bytes.extend(entry.name().bytes());
            bytes.resize(end, 0);
        }
        bytes.extend(tail);
        Built {
            bytes,
            entries,
            data,
            table_size,
        }
    }
}
