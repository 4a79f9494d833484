// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is in the images: sections in the places that real firmware uses, an interface in the
//! shared section, and the self-check table.

use crate::build::flag;
use crate::build::kind;
use crate::build::Data;
use crate::build::Entry;
use crate::build::Image;
use crate::interface;
use crate::selfcheck;
use crate::selfcheck::Crc;

/// Which real file the image is shaped after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All kinds of entries and sections, but small ones: boots fast.
    Compact,
    /// Sections in units of 4 KiB and five configuration entries, as released in 2025.
    Old,
    /// Sections in units of 64 KiB, as released in 2026.
    New,
    /// As few and as short entries as possible, for families of malformed files.
    Minimal,
}

/// What an image is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its shape.
    pub layout: Layout,
    /// Major architecture version: newer firmware has a section more.
    pub arch_major: u32,
    /// Interface version: major, minor, patch.
    pub version: (u32, u32, u32),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            layout: Layout::Compact,
            arch_major: 10,
            version: (1, 1, 0),
        }
    }
}

const CODE: u32 = 0x0080_0000;
const RESET: u32 = CODE + 0x100;
const DATA: u32 = 0x0200_0000;
const SHARED_VA: u32 = 0x0400_0000;
const SHARED_SIZE: u32 = 0x1_0000;
const GROUPS: u32 = 8;
const STREAMS: u32 = 8;

/// Sizes of one shape: section size and size of its initial data.
struct Sizes {
    vectors: (u32, u32),
    tables: (u32, u32),
    code: (u32, u32),
    data: (u32, u32),
    protected: u32,
    extra: (u32, u32),
}

fn sizes(layout: Layout) -> Sizes {
    match layout {
        Layout::Compact => Sizes {
            vectors: (0x1000, 0x7c),
            tables: (0x2000, 0x1324),
            code: (0x8000, 0x4404),
            data: (0x8000, 0x37e0),
            protected: 0x4000,
            extra: (0x1000, 0x40),
        },
        Layout::Old => Sizes {
            vectors: (0x1000, 0x7c),
            tables: (0x2000, 0x1324),
            code: (0x1_5000, 0x1_4404),
            data: (0x4_0000, 0x2_b7e0),
            protected: 0x4_0000,
            extra: (0x1000, 0x40),
        },
        Layout::New => Sizes {
            vectors: (0x1_0000, 0x7c),
            tables: (0x1_0000, 0x1324),
            code: (0x2_0000, 0x1_4404),
            data: (0x4_0000, 0x2_b7e0),
            protected: 0x4_0000,
            extra: (0x1_0000, 0x40),
        },
        Layout::Minimal => Sizes {
            vectors: (0x1000, 0x40),
            tables: (0x1000, 0x40),
            code: (0x1000, 0x200),
            data: (0x1000, 0x100),
            protected: 0x1000,
            extra: (0x1000, 0x40),
        },
    }
}

/// Reproducible bytes that no loader can mistake for another section's.
fn filler(seed: u32, len: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        })
        .collect()
}

fn put(bytes: &mut [u8], at: u32, value: u32) {
    let at = usize::try_from(at).expect("offset fits");
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Initial stack pointer, reset handler, a handler for each other exception, and in reserved vectors
/// the mark that there is a self-check table.
fn vectors(sizes: &Sizes) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(sizes.vectors.1).expect("small")];
    put(&mut bytes, 0, DATA + sizes.data.0);
    for at in (4..sizes.vectors.1).step_by(4) {
        put(&mut bytes, at, RESET + 1);
    }
    for (at, word) in (selfcheck::VECTOR_MARK..).step_by(4).zip(selfcheck::MAGIC) {
        put(&mut bytes, at, word);
    }
    bytes
}

/// The interface as an image carries it: addresses and numbers; what the firmware computes at
/// boot is zero.
fn shared() -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(selfcheck::CONTROL_SIZE).expect("small")];
    let offset = |at: u64| u32::try_from(at).expect("small");
    let group_stride = offset(selfcheck::GROUP_STRIDE);
    let stream_stride = offset(selfcheck::STREAM_STRIDE);
    {
        use interface::glb_control as glb;
        put(&mut bytes, offset(glb::INPUT_VA), SHARED_VA + 0x2000);
        put(&mut bytes, offset(glb::OUTPUT_VA), SHARED_VA + 0x6000);
        put(&mut bytes, offset(glb::GROUP_NUM), GROUPS);
        put(&mut bytes, offset(glb::GROUP_STRIDE), group_stride);
        put(&mut bytes, offset(glb::INSTR_FEATURES), 0x71);
    }
    for group in 0..GROUPS {
        use interface::csg_control as csg;
        let at = offset(interface::GROUP_CONTROL) + group * group_stride;
        put(
            &mut bytes,
            at + offset(csg::INPUT_VA),
            SHARED_VA + 0x3000 + group * 0x80,
        );
        put(
            &mut bytes,
            at + offset(csg::OUTPUT_VA),
            SHARED_VA + 0x7000 + group * 0x40,
        );
        put(&mut bytes, at + offset(csg::STREAM_NUM), STREAMS);
        put(&mut bytes, at + offset(csg::STREAM_STRIDE), stream_stride);
        for stream in 0..STREAMS {
            use interface::cs_control as cs;
            let at = at + offset(interface::STREAM_CONTROL) + stream * stream_stride;
            let number = group * STREAMS + stream;
            put(
                &mut bytes,
                at + offset(cs::INPUT_VA),
                SHARED_VA + 0x4000 + number * 0x80,
            );
            put(
                &mut bytes,
                at + offset(cs::OUTPUT_VA),
                SHARED_VA + 0x8000 + number * 0x100,
            );
        }
    }
    bytes
}

fn section(flags: u32, va: u32, size: u32, data: Data) -> Entry {
    Entry::Section {
        flags,
        va,
        size,
        data,
        name: "",
    }
}

fn other(kind: u8, optional: bool, words: &[u32], name: &'static str) -> Entry {
    Entry::Other {
        kind,
        optional,
        words: words.to_vec(),
        name,
    }
}

/// Entries that describe features of the firmware, as real files have them.
fn metadata(layout: Layout) -> Vec<Entry> {
    let mut entries = Vec::new();
    let options: &[(&str, u32)] = match layout {
        Layout::Minimal => &[],
        Layout::Old => &[
            ("Log verbosity", 3),
            ("WA_CFG0", u32::MAX),
            ("Host controls SC rails", 1),
            ("Idle hysteresis", 0xffff),
            ("Power hysteresis", 0xffff),
        ],
        Layout::Compact | Layout::New => &[("Log verbosity", 3), ("WA_CFG0", u32::MAX)],
    };
    for (index, (name, max)) in (0u32..).zip(options) {
        entries.push(other(
            kind::CONFIG,
            true,
            &[DATA + index * 4, 0, *max],
            name,
        ));
    }
    let buffers: &[&str] = match layout {
        Layout::Minimal => &[],
        _ => &[
            "fwutf",
            "firmware trace",
            "fwlog",
            "benchmark",
            "timeline",
            "debug monitor in",
            "debug monitor out",
            "gpu_metrics",
        ],
    };
    for (index, name) in (0u32..).zip(buffers) {
        let at = DATA + 0x40 + index * 0x20;
        let words = [1, at, at + 4, at + 8, at + 12, at + 16, 4];
        entries.push(other(kind::TRACE_BUFFER, true, &words, name));
    }
    if layout != Layout::Minimal {
        entries.push(other(7, true, &[DATA, 0x100], ""));
        entries.push(other(kind::SELF_TEST, true, &[RESET], "selftest"));
    }
    entries.push(Entry::BuildInfo(
        b"git_sha: 0123456789abcdef0123456789abcdef01234567\0".to_vec(),
    ));
    if layout != Layout::Minimal {
        entries.push(other(5, true, &[], ""));
        entries.push(other(9, true, &[DATA, 0x80], ""));
        entries.push(other(kind::TIMELINE, false, &[DATA, 0x40], ""));
        entries.push(other(8, true, &[RESET, 1], "call list"));
    }
    entries
}

/// The image that the options describe.
pub fn image(options: Options) -> Image {
    use flag::*;
    let sizes = sizes(options.layout);
    let vectors = vectors(&sizes);
    let minimal = options.layout == Layout::Minimal;

    let mut entries = Vec::new();
    if !minimal {
        // The vectors once more, and read-only tables: what real files have.
        let copy = Data::Own(vectors.clone());
        entries.push(section(RD | CACHED, 0x0040_0000, sizes.vectors.0, copy));
        let tables = Data::Own(filler(1, sizes.tables.1));
        entries.push(section(RD | CACHED, 0x0041_0000, sizes.tables.0, tables));
    }
    entries.push(section(RD | CACHED, 0, sizes.vectors.0, Data::Own(vectors)));
    let code = entries.len();
    let code_bytes = Data::Own(filler(2, sizes.code.1));
    entries.push(section(RD | EX | CACHED, CODE, sizes.code.0, code_bytes));
    let data = entries.len();
    let data_bytes = Data::Own(filler(3, sizes.data.1));
    entries.push(section(
        RD | WR | CACHED | ZERO,
        DATA,
        sizes.data.0,
        data_bytes,
    ));
    if !minimal {
        let same = Data::SameAs(data);
        entries.push(section(RD | CACHED | ZERO, 0x0100_0000, sizes.data.0, same));
        let protected = RD | WR | PROTECTED;
        entries.push(section(protected, 0x0300_0000, sizes.protected, Data::None));
    }
    entries.push(section(
        RD | WR | CACHED_COHERENT | SHARED | ZERO,
        SHARED_VA,
        SHARED_SIZE,
        Data::Own(shared()),
    ));
    if options.arch_major >= 12 {
        let extra = Data::Own(filler(4, sizes.extra.1));
        entries.push(section(RD | CACHED, 0x00c0_0000, sizes.extra.0, extra));
    }
    if options.layout == Layout::Compact {
        // A loader has to cope with names and with sections of no size.
        entries.push(Entry::Section {
            flags: RD | CACHED,
            va: 0x00d0_0000,
            size: 0x1000,
            data: Data::Own(filler(5, 0x20)),
            name: "named",
        });
        entries.push(section(RD, 0x00e0_0000, 0, Data::None));
    }
    entries.extend(metadata(options.layout));

    let (major, minor, patch) = options.version;
    let version = interface::version(major, minor, patch);
    let mut image = Image {
        version_hash: version,
        entries,
    };
    fill_table(&mut image, code, version);
    image
}

/// Bytes of a section's initial data.
fn data_of(image: &Image, index: usize) -> &[u8] {
    match &image.entries[index] {
        Entry::Section {
            data: Data::Own(bytes),
            ..
        } => bytes,
        Entry::Section {
            data: Data::SameAs(other),
            ..
        } => data_of(image, *other),
        _ => &[],
    }
}

/// Writes the self-check table into the code section. Call it again after a change that the
/// processor is to find in order.
pub fn fill_table(image: &mut Image, code: usize, version: u32) {
    let listed: Vec<usize> = (0..image.entries.len())
        .filter(|&index| {
            matches!(image.entries[index], Entry::Section { flags, size, .. }
                if flags & flag::PROTECTED == 0 && size != 0)
        })
        .collect();
    let count = u32::try_from(listed.len()).expect("few sections");
    assert!(count <= selfcheck::MAX_ENTRIES);
    let start = usize::try_from(RESET - CODE + selfcheck::OFFSET).expect("small");
    let size = usize::try_from(selfcheck::table_size(count)).expect("small");
    if let Entry::Section {
        data: Data::Own(bytes),
        ..
    } = &mut image.entries[code]
    {
        // Endless loops, should anything ever execute this.
        bytes[start - 8..start].copy_from_slice(&[0xfe, 0xe7, 0xfe, 0xe7, 0xfe, 0xe7, 0xfe, 0xe7]);
    }

    let mut words = vec![selfcheck::MAGIC[0], selfcheck::MAGIC[1]];
    words.extend([selfcheck::FORMAT, version, count, 0]);
    for &index in &listed {
        let Entry::Section {
            flags,
            va,
            size: section_size,
            ..
        } = image.entries[index]
        else {
            continue;
        };
        let bytes = data_of(image, index);
        let mut crc = Crc::new();
        if index == code {
            crc.add(&bytes[..start]);
            crc.add(&bytes[start + size..]);
        } else {
            crc.add(bytes);
        }
        let len = u32::try_from(bytes.len()).expect("small");
        words.extend([va, section_size, flags, len, crc.value()]);
    }
    let mut table: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut crc = Crc::new();
    crc.add(&table);
    table.extend(crc.value().to_le_bytes());

    if let Entry::Section {
        data: Data::Own(bytes),
        ..
    } = &mut image.entries[code]
    {
        bytes[start..start + size].copy_from_slice(&table);
    }
}
