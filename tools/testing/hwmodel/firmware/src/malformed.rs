// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Families of malformed images, each with what is wrong and what should come of it.

use std::fs;
use std::io;
use std::path::Path;

use crate::build::flag;
use crate::build::Built;
use crate::build::OPTIONAL;
use crate::check::check;
use crate::check::loads_like;
use crate::content::image;
use crate::content::Layout;
use crate::content::Options;

/// What should come of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The loader refuses it and names the field.
    Refused(&'static str),
    /// The loader cannot know, but the processor refuses to boot.
    BootFails,
    /// It is odd, but nothing is wrong with it.
    Loads,
}

impl Verdict {
    /// The manifest's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Refused(_) => "refused",
            Verdict::BootFails => "boot-fails",
            Verdict::Loads => "loads",
        }
    }

    /// Words that the kernel log should contain.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Refused(field) => field,
            Verdict::BootFails => "mcu-image",
            Verdict::Loads => "-",
        }
    }
}

/// One malformed image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What was done to it.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// What should come of it.
    pub verdict: Verdict,
}

/// Distance of truncated lengths in the data of sections.
const STRIDE: usize = 256;

/// The image that all are derived from.
pub fn base() -> Built {
    image(Options {
        layout: Layout::Minimal,
        ..Options::default()
    })
    .build()
}

fn word_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("inside"))
}

struct Family {
    base: Built,
    cases: Vec<Case>,
}

impl Family {
    /// Adds an image that differs from the base in one word.
    fn word(&mut self, name: String, at: usize, value: u32) {
        let mut bytes = self.base.bytes.clone();
        if word_at(&bytes, at) == value {
            return;
        }
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        self.add(name, bytes);
    }

    fn add(&mut self, name: String, bytes: Vec<u8>) {
        let verdict = match check(&bytes) {
            Err(field) => Verdict::Refused(field),
            Ok(()) if loads_like(&bytes, &self.base.bytes) => Verdict::Loads,
            Ok(()) => Verdict::BootFails,
        };
        self.cases.push(Case {
            name,
            bytes,
            verdict,
        });
    }
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut family = Family {
        base: base(),
        cases: Vec::new(),
    };
    truncations(&mut family);
    header(&mut family);
    entries(&mut family);
    contents(&mut family);
    family.cases
}

/// Every length of the table, some of the data. No empty file: no driver would see one.
fn truncations(family: &mut Family) {
    let full = family.base.bytes.len();
    let table = family.base.table_size;
    for len in (1..table)
        .chain((table..full).step_by(STRIDE))
        .chain([full - 1])
    {
        let bytes = family.base.bytes[..len].to_vec();
        family.add(format!("truncated-{len}"), bytes);
    }
}

fn header(family: &mut Family) {
    let size = word_at(&family.base.bytes, 16);
    let fields = [
        ("magic", 0),
        ("version", 4),
        ("version-hash", 8),
        ("padding2", 12),
        ("size", 16),
    ];
    for (name, at) in fields {
        let old = word_at(&family.base.bytes, at);
        family.word(format!("header-{name}-inverted"), at, !old);
        family.word(format!("header-{name}-zero"), at, 0);
        family.word(format!("header-{name}-ones"), at, u32::MAX);
        for byte in 0..4 {
            family.word(
                format!("header-{name}-bit-{}", byte * 8),
                at,
                old ^ 1 << (byte * 8),
            );
        }
    }
    for cut in [size - 4, size - 8, size + 4, 24, 20, 16, 4] {
        family.word(format!("header-size-{cut}"), 16, cut);
    }
}

const SECTION_FIELDS: [(&str, usize); 5] = [
    ("flags", 4),
    ("va-start", 8),
    ("va-end", 12),
    ("data-start", 16),
    ("data-end", 20),
];

fn entries(family: &mut Family) {
    for (index, at) in family.base.entries.clone().into_iter().enumerate() {
        let head = word_at(&family.base.bytes, at);
        let size = head >> 8 & 0xff;
        let is_section = head & 0xff == 0;
        let name = |what: &str| format!("entry-{index}-{what}");
        let with_size = |size: u32| head & !0xff00 | size << 8;
        for bad in [0, 1, 2, 3, 4, 8, 12, 16, 20, size - 1, size + 1, 0xfc, 0xff] {
            // A size that makes the rest of the table look like other entries proves nothing.
            let bytes = {
                let mut bytes = family.base.bytes.clone();
                bytes[at..at + 4].copy_from_slice(&with_size(bad).to_le_bytes());
                bytes
            };
            if check(&bytes).is_err() {
                family.add(name(&format!("size-{bad}")), bytes);
            }
        }
        family.word(name("type-unknown"), at, head & !0xff & !OPTIONAL | 0x7f);
        family.word(
            name("type-unknown-optional"),
            at,
            head & !0xff | 0x7f | OPTIONAL,
        );
        family.word(name("header-inverted"), at, !head);
        if is_section {
            section(family, index, at);
        } else {
            // Nothing depends on build information: a loader may ignore what it cannot read.
            for (field, offset) in [("start", 4), ("size", 8)] {
                let old = word_at(&family.base.bytes, at + offset);
                family.word(name(&format!("{field}-inverted")), at + offset, !old);
                family.word(name(&format!("{field}-zero")), at + offset, 0);
            }
        }
    }
}

fn section(family: &mut Family, index: usize, at: usize) {
    let bytes = &family.base.bytes;
    let [flags, va, va_end, data, data_end] = SECTION_FIELDS.map(|(_, o)| word_at(bytes, at + o));
    for (field, offset) in SECTION_FIELDS {
        let old = word_at(&family.base.bytes, at + offset);
        let name = |what: &str| format!("section-{index}-{field}-{what}");
        family.word(name("inverted"), at + offset, !old);
        family.word(name("ones"), at + offset, u32::MAX);
        family.word(name("bit-0"), at + offset, old ^ 1);
    }
    let name = |what: &str| format!("section-{index}-{what}");
    for bit in (6..30).step_by(5) {
        family.word(name(&format!("flags-bit-{bit}")), at + 4, flags | 1 << bit);
    }
    for (what, bit) in [("wr", flag::WR), ("ex", flag::EX)] {
        family.word(name(&format!("flags-{what}")), at + 4, flags ^ bit);
    }
    family.word(name("va-reversed"), at + 8, va_end + 0x1000);
    family.word(name("va-empty"), at + 12, va);
    family.word(name("va-elsewhere"), at + 8, 0x0700_0000);
    family.word(name("va-half-page"), at + 12, va_end + 0x800);
    family.word(
        name("va-too-small"),
        at + 8,
        va_end - (va_end - va).min(0x1000),
    );
    family.word(name("data-reversed"), at + 16, data_end + 4);
    family.word(name("data-past-file"), at + 20, 0x00ff_fffc);
    family.word(name("data-late"), at + 16, data + 4);
    let longer = data + (va_end - va) + 4;
    family.word(name("data-longer-than-section"), at + 20, longer);
    // A section on top of another one.
    let other = family.base.entries[(index + 1) % 2];
    let mut bytes = family.base.bytes.clone();
    let start = word_at(&bytes, other + 8);
    bytes[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
    bytes[at + 12..at + 16].copy_from_slice(&(start + (va_end - va)).to_le_bytes());
    if bytes != family.base.bytes {
        family.add(name("overlaps"), bytes);
    }
}

/// One wrong byte in each section, and wrong words in vectors and interface.
fn contents(family: &mut Family) {
    for (index, range) in family.base.data.clone().into_iter().enumerate() {
        let head = word_at(&family.base.bytes, family.base.entries[index]);
        let Some((start, end)) = range.filter(|_| head & 0xff == 0) else {
            continue;
        };
        for (what, at) in [
            ("first", start),
            ("middle", (start + end) / 2),
            ("last", end - 1),
        ] {
            let mut bytes = family.base.bytes.clone();
            bytes[at] ^= 0x10;
            family.add(format!("content-{index}-{what}"), bytes);
        }
    }
}

/// Writes all of them: `NNNN.bin`, and `manifest` with a line for each: name, file, words that the
/// kernel log should contain, verdict, separated by tabs.
pub fn write(dir: &Path) -> io::Result<usize> {
    fs::create_dir_all(dir)?;
    let cases = cases();
    let mut manifest = String::new();
    for (index, case) in cases.iter().enumerate() {
        let file = format!("{index:04}.bin");
        fs::write(dir.join(&file), &case.bytes)?;
        let (words, verdict) = (case.verdict.words(), case.verdict.name());
        manifest.push_str(&format!("{}\t{file}\t{words}\t{verdict}\n", case.name));
    }
    fs::write(dir.join("manifest"), manifest)?;
    Ok(cases.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::HEADER_SIZE;
    use std::collections::HashSet;

    #[test]
    fn the_family_is_small_and_names_are_unique() {
        let cases = cases();
        let names: HashSet<_> = cases.iter().map(|c| c.name.clone()).collect();
        assert_eq!(names.len(), cases.len());
        assert!(cases.len() <= 600, "{}", cases.len());
        assert!(cases.iter().all(|c| c.bytes.len() < 64 << 10));
    }

    #[test]
    fn no_case_is_the_base() {
        let base = base();
        assert_eq!(check(&base.bytes), Ok(()));
        assert!(cases().iter().all(|c| c.bytes != base.bytes));
    }

    #[test]
    fn every_table_length_is_refused() {
        let base = base();
        for len in HEADER_SIZE..base.table_size {
            let name = format!("truncated-{len}");
            let case = cases().into_iter().find(|c| c.name == name).unwrap();
            assert_eq!(case.verdict, Verdict::Refused("header.size"));
        }
    }

    #[test]
    fn every_field_has_a_case_that_is_refused_for_it() {
        let cases = cases();
        for field in [
            "header.magic",
            "header.major",
            "header.padding1",
            "header.padding2",
            "header.size",
            "entry.size",
            "entry type",
            "section.flags",
            "section.va.start",
            "section.va.end",
            "section.data.start",
            "section.data.end",
            "va.start",
            "shared section",
        ] {
            assert!(
                cases.iter().any(|c| c.verdict == Verdict::Refused(field)),
                "{field}"
            );
        }
        assert!(cases.iter().any(|c| c.verdict == Verdict::BootFails));
        assert!(cases.iter().any(|c| c.verdict == Verdict::Loads));
    }
}
