// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a careful loader refuses, and which field it names.
//!
//! This is the reference that the families of malformed files are made with: it says for each of
//! them what is wrong, independently of any driver.

use std::collections::BTreeMap;

use crate::build::flag;
use crate::build::kind;
use crate::build::HEADER_SIZE;
use crate::build::MAGIC;
use crate::build::OPTIONAL;

/// Where the shared section has to be.
const SHARED: u32 = 0x0400_0000;

/// Granule of sections.
const PAGE: u32 = 4096;

fn word(bytes: &[u8], at: usize, field: &'static str) -> Result<u32, &'static str> {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => Ok(u32::from_le_bytes([a, b, c, d])),
        _ => Err(field),
    }
}

fn require(ok: bool, field: &'static str) -> Result<(), &'static str> {
    if ok {
        Ok(())
    } else {
        Err(field)
    }
}

/// Checks an image. The error is the name of the first bad field.
pub fn check(file: &[u8]) -> Result<(), &'static str> {
    let at = |value: u32| usize::try_from(value).expect("64-bit host");
    require(word(file, 0, "header.magic")? == MAGIC, "header.magic")?;
    let [_, major, pad, pad2] = word(file, 4, "header.version")?.to_le_bytes();
    require(major == 0, "header.major")?;
    require(pad == 0 && pad2 == 0, "header.padding1")?;
    word(file, 8, "header.version_hash")?;
    require(word(file, 12, "header.padding2")? == 0, "header.padding2")?;
    let size = at(word(file, 16, "header.size")?);
    require(size >= HEADER_SIZE && size % 4 == 0, "header.size")?;
    let table = file.get(..size).ok_or("header.size")?;

    let mut sections: Vec<(u32, u32)> = Vec::new();
    let mut offset = HEADER_SIZE;
    while offset < size {
        let head = word(table, offset, "entry.header")?;
        let entry_size = at(head >> 8 & 0xff);
        require(entry_size >= 4 && entry_size % 4 == 0, "entry.size")?;
        let entry = table.get(offset..offset + entry_size).ok_or("entry.size")?;
        match head.to_le_bytes()[0] {
            kind::SECTION => {
                if let Some(range) = section(file, entry)? {
                    let overlaps = sections.iter().any(|&(s, e)| range.0 < e && s < range.1);
                    require(!overlaps, "va.start")?;
                    sections.push(range);
                }
            }
            kind::BUILD_INFO => {
                word(entry, 4, "build_info.start")?;
                word(entry, 8, "build_info.size")?;
            }
            kind::CONFIG | kind::SELF_TEST | kind::TRACE_BUFFER | kind::TIMELINE => (),
            _ => require(head & OPTIONAL != 0, "entry type")?,
        }
        offset += entry_size;
    }
    require(sections.iter().any(|s| s.0 == SHARED), "shared section")
}

/// What a loader makes of one page.
struct Page {
    /// May be written or executed.
    rights: u32,
    content: Vec<u8>,
    /// So much of it means something: what follows initial data is arbitrary, unless the section
    /// asks for zeros.
    used: usize,
}

/// Loads a well-formed image into fresh memory.
fn load(file: &[u8]) -> BTreeMap<u32, Page> {
    let at = |value: u32| usize::try_from(value).expect("64-bit host");
    let field = |at: usize| word(file, at, "").expect("well formed");
    let mut pages = BTreeMap::new();
    let mut offset = HEADER_SIZE;
    while offset < at(field(16)) {
        let head = field(offset);
        if head.to_le_bytes()[0] == kind::SECTION {
            let [flags, va, end, data, data_end] = [4, 8, 12, 16, 20].map(|o| field(offset + o));
            if flags & flag::PROTECTED == 0 {
                let mut bytes = file[at(data)..at(data_end)].to_vec();
                let used = if flags & flag::ZERO != 0 {
                    at(end - va)
                } else {
                    bytes.len()
                };
                bytes.resize(at(end - va), 0);
                for (index, content) in bytes.chunks(at(PAGE)).enumerate() {
                    let start = index * at(PAGE);
                    let page = Page {
                        rights: flags & (flag::WR | flag::EX),
                        content: content.to_vec(),
                        used: used.saturating_sub(start).min(content.len()),
                    };
                    let offset = u32::try_from(start).expect("32-bit addresses");
                    pages.insert(va + offset, page);
                }
            }
        }
        offset += at(head >> 8 & 0xff);
    }
    pages
}

/// Whether a well-formed image leaves the same in memory as `base` does: all that the processor
/// can see of it.
pub fn loads_like(file: &[u8], base: &[u8]) -> bool {
    let pages = load(file);
    load(base).iter().all(|(va, wanted)| {
        pages.get(va).is_some_and(|page| {
            page.rights == wanted.rights
                && page.content[..wanted.used] == wanted.content[..wanted.used]
        })
    })
}

/// Checks a section, and returns its range if it is to be loaded.
fn section(file: &[u8], entry: &[u8]) -> Result<Option<(u32, u32)>, &'static str> {
    let flags = word(entry, 4, "section.flags")?;
    let va = word(entry, 8, "section.va.start")?;
    let va_end = word(entry, 12, "section.va.end")?;
    let data = word(entry, 16, "section.data.start")?;
    let data_end = word(entry, 20, "section.data.end")?;
    require(flags & !flag::ALL == 0, "section.flags")?;
    require(va % PAGE == 0, "section.va.start")?;
    require(va_end % PAGE == 0 && va_end >= va, "section.va.end")?;
    require(data_end >= data, "section.data.end")?;
    let end = usize::try_from(data_end).expect("64-bit host");
    require(end <= file.len(), "section.data.end")?;
    require(data_end - data <= va_end - va, "section.data.end")?;
    if flags & flag::PROTECTED != 0 || va == va_end {
        return Ok(None);
    }
    require(va != SHARED || flags & flag::SHARED != 0, "section.flags")?;
    Ok(Some((va, va_end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::image;
    use crate::content::Layout;
    use crate::content::Options;

    #[test]
    fn every_layout_is_well_formed() {
        for layout in [Layout::Compact, Layout::Old, Layout::New, Layout::Minimal] {
            for arch_major in [10, 12] {
                let options = Options {
                    layout,
                    arch_major,
                    ..Options::default()
                };
                let built = image(options).build();
                assert_eq!(check(&built.bytes), Ok(()), "{options:?}");
                assert_eq!(built.table_size % 4, 0);
            }
        }
    }

    #[test]
    fn all_entry_kinds_of_real_files_occur() {
        let built = image(Options::default()).build();
        let kinds: Vec<u8> = built.entries.iter().map(|&at| built.bytes[at]).collect();
        for kind in 0..=9 {
            assert!(kinds.contains(&kind), "type {kind}");
        }
    }

    #[test]
    fn shapes_have_the_sizes_of_the_real_files() {
        let total = |layout| {
            let built = image(Options {
                layout,
                ..Options::default()
            })
            .build();
            let mut sum = 0;
            for &at in &built.entries {
                let word = |n: usize| {
                    let at = at + n * 4;
                    u32::from_le_bytes(built.bytes[at..at + 4].try_into().unwrap())
                };
                if word(0) & 0xff == 0 && word(1) & flag::PROTECTED == 0 {
                    sum += word(3) - word(2);
                }
            }
            sum
        };
        assert_eq!(total(Layout::New), 896 << 10);
        assert!(total(Layout::Old) <= 704 << 10);
    }
}
