// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Misbehaviour on request, as lines of text.

use core::fmt;
use core::str::SplitAsciiWhitespace;

use crate::host::Line;
use crate::mmu::walk::TRANSLATION_FAULT;

/// Why a line was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectError {
    /// No misbehaviour has this name.
    Unknown,
    /// An argument is missing.
    Missing,
    /// An argument is not valid.
    Argument,
    /// There are more words than the misbehaviour takes.
    Trailing,
}

impl fmt::Display for InjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InjectError::Unknown => "unknown misbehaviour",
            InjectError::Missing => "missing argument",
            InjectError::Argument => "invalid argument",
            InjectError::Trailing => "too many arguments",
        })
    }
}

/// Misbehaviours of the blocks around the processor: syntax and meaning. COUNT is 1 if it is not
/// given; what never completes does so until a reset, a loss of power, or `clear`.
pub const HELP: &[(&str, &str)] = &[
    ("clear", "behave well again"),
    ("provoke", "a record without any cause"),
    ("soft-reset hang [COUNT]", "the next resets never complete"),
    ("soft-reset delay NS", "resets take that long"),
    (
        "flush hang [COUNT]",
        "the next cache maintenance commands never complete",
    ),
    ("flush delay NS", "cache maintenance takes that long"),
    (
        "l2 hang [COUNT]",
        "the next L2 power transitions never complete",
    ),
    ("l2 fail [COUNT]", "the next L2 power requests are ignored"),
    (
        "pwr hang [COUNT]",
        "the next changes of a domain's owner never complete",
    ),
    (
        "pwr refuse N",
        "the Nth command of the PWR block from now on is refused",
    ),
    (
        "as hang N [COUNT]",
        "the next commands of address space N never complete",
    ),
    ("as delay NS", "address space commands take that long"),
    (
        "irq drop LINE [COUNT]",
        "the next rising edges of the line are lost",
    ),
    (
        "irq posted",
        "writes that clear events arrive with the access after them",
    ),
    (
        "irq repeat LINE [COUNT]",
        "the next served events are raised once more",
    ),
    (
        "fault va AS VA [TYPE]",
        "the next access to this page of the address space faults, with this exception type (0xc3)",
    ),
    (
        "fault gpu CODE ADDRESS",
        "the GPU reports a fault of its own",
    ),
    ("gpu id VALUE", "GPU_ID reads as this"),
];

/// A misbehaviour of the blocks around the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Behave well again.
    Clear,
    /// Record something without any cause.
    Provoke,
    /// So many resets never complete.
    ResetHang(u32),
    /// Resets take so many nanoseconds.
    ResetDelay(u64),
    /// So many cache maintenance commands never complete.
    FlushHang(u32),
    /// Cache maintenance takes so many nanoseconds.
    FlushDelay(u64),
    /// So many L2 transitions never complete.
    L2Hang(u32),
    /// So many L2 power requests are ignored.
    L2Fail(u32),
    /// So many changes of a domain's owner never complete.
    PwrHang(u32),
    /// This command of the PWR block is refused, counted from the next one.
    PwrRefuse(u32),
    /// So many commands of an address space never complete.
    AsHang(u8, u32),
    /// Address space commands take so many nanoseconds.
    AsDelay(u64),
    /// Rising edges are lost.
    IrqDrop(Line, u32),
    /// Served events come again.
    IrqRepeat(Line, u32),
    /// Writes to CLEAR take their time.
    IrqPosted,
    /// The next access to a page faults.
    FaultVa {
        /// The address space.
        as_nr: u8,
        /// Any address in the page.
        va: u64,
        /// EXCEPTION_TYPE of AS_FAULTSTATUS.
        code: u8,
    },
    /// A GPU fault.
    FaultGpu {
        /// GPU_FAULTSTATUS.
        code: u32,
        /// GPU_FAULTADDRESS.
        address: u64,
    },
    /// Another GPU_ID.
    GpuId(u32),
}

/// The deadline of what hangs.
pub const NEVER: u64 = u64::MAX;

/// When something completes that takes `ns` and may be one of `hangs` that are still to hang.
pub fn due(now: u64, ns: u64, hangs: &mut u32) -> u64 {
    if *hangs > 0 {
        *hangs -= 1;
        return NEVER;
    }
    now.saturating_add(ns)
}

/// A decimal number, or a hexadecimal one after `0x`.
pub fn number(word: Option<&str>) -> Result<u64, InjectError> {
    let word = word.ok_or(InjectError::Missing)?;
    let parsed = match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => word.parse(),
    };
    parsed.map_err(|_| InjectError::Argument)
}

/// A number that fits into 32 bits.
pub fn number32(word: Option<&str>) -> Result<u32, InjectError> {
    u32::try_from(number(word)?).map_err(|_| InjectError::Argument)
}

/// A number that fits into 8 bits.
pub fn number8(word: Option<&str>) -> Result<u8, InjectError> {
    u8::try_from(number(word)?).map_err(|_| InjectError::Argument)
}

/// Nothing may follow.
pub fn end(words: &mut SplitAsciiWhitespace<'_>) -> Result<(), InjectError> {
    match words.next() {
        None => Ok(()),
        Some(_) => Err(InjectError::Trailing),
    }
}

/// An optional number of times, at least once.
pub fn count(words: &mut SplitAsciiWhitespace<'_>) -> Result<u32, InjectError> {
    match words.next() {
        None => Ok(1),
        word => match number32(word)? {
            0 => Err(InjectError::Argument),
            n => Ok(n),
        },
    }
}

fn line(word: Option<&str>) -> Result<Line, InjectError> {
    let word = word.ok_or(InjectError::Missing)?;
    Line::ALL
        .into_iter()
        .find(|l| l.name() == word)
        .ok_or(InjectError::Argument)
}

impl Misbehaviour {
    /// Parses the words after those that the processor claims.
    pub fn parse(words: &mut SplitAsciiWhitespace<'_>) -> Result<Misbehaviour, InjectError> {
        let first = words.next().ok_or(InjectError::Missing)?;
        match first {
            "clear" => return Self::end(words, Misbehaviour::Clear),
            "provoke" => return Self::end(words, Misbehaviour::Provoke),
            _ => (),
        }
        let second = words.next().ok_or(InjectError::Missing)?;
        let parsed = match (first, second) {
            ("soft-reset", "hang") => Misbehaviour::ResetHang(count(words)?),
            ("soft-reset", "delay") => Misbehaviour::ResetDelay(number(words.next())?),
            ("flush", "hang") => Misbehaviour::FlushHang(count(words)?),
            ("flush", "delay") => Misbehaviour::FlushDelay(number(words.next())?),
            ("l2", "hang") => Misbehaviour::L2Hang(count(words)?),
            ("l2", "fail") => Misbehaviour::L2Fail(count(words)?),
            ("pwr", "hang") => Misbehaviour::PwrHang(count(words)?),
            ("pwr", "refuse") => Misbehaviour::PwrRefuse(number32(words.next())?),
            ("as", "hang") => Misbehaviour::AsHang(number8(words.next())?, count(words)?),
            ("as", "delay") => Misbehaviour::AsDelay(number(words.next())?),
            ("irq", "drop") => Misbehaviour::IrqDrop(line(words.next())?, count(words)?),
            ("irq", "posted") => Misbehaviour::IrqPosted,
            ("irq", "repeat") => Misbehaviour::IrqRepeat(line(words.next())?, count(words)?),
            ("fault", "va") => Misbehaviour::FaultVa {
                as_nr: number8(words.next())?,
                va: number(words.next())?,
                code: match words.next() {
                    None => TRANSLATION_FAULT + 3,
                    word => number8(word)?,
                },
            },
            ("fault", "gpu") => Misbehaviour::FaultGpu {
                code: number32(words.next())?,
                address: number(words.next())?,
            },
            ("gpu", "id") => Misbehaviour::GpuId(number32(words.next())?),
            _ => return Err(InjectError::Unknown),
        };
        Self::end(words, parsed)
    }

    fn end(
        words: &mut SplitAsciiWhitespace<'_>,
        parsed: Misbehaviour,
    ) -> Result<Misbehaviour, InjectError> {
        end(words).map(|()| parsed)
    }
}
