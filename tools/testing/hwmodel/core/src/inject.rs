// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Misbehaviour on request, as lines of text.

use core::fmt;
use core::str::SplitAsciiWhitespace;

use crate::host::Line;

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

/// Misbehaviours of the blocks around the processor: syntax and meaning.
pub const HELP: &[(&str, &str)] = &[
    ("clear", "behave well again"),
    ("provoke", "a record without any cause"),
    ("soft-reset hang", "the next resets never complete"),
    ("soft-reset delay NS", "resets take that long"),
    ("flush hang", "cache maintenance never completes"),
    ("flush delay NS", "cache maintenance takes that long"),
    ("l2 hang", "L2 power transitions never complete"),
    ("l2 fail", "L2 power requests are ignored"),
    ("as hang N", "commands of address space N never complete"),
    ("as delay NS", "address space commands take that long"),
    (
        "irq drop job|mmu|gpu COUNT",
        "rising edges of the line are lost",
    ),
    (
        "irq repeat job|mmu|gpu COUNT",
        "served events are raised once more",
    ),
    (
        "fault va AS VA",
        "the next access to this page of the address space faults",
    ),
    (
        "fault gpu CODE ADDRESS",
        "the GPU reports a fault of its own",
    ),
];

/// A misbehaviour of the blocks around the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Behave well again.
    Clear,
    /// Record something without any cause.
    Provoke,
    /// Resets never complete.
    ResetHang,
    /// Resets take so many nanoseconds.
    ResetDelay(u64),
    /// Cache maintenance never completes.
    FlushHang,
    /// Cache maintenance takes so many nanoseconds.
    FlushDelay(u64),
    /// L2 transitions never complete.
    L2Hang,
    /// L2 power requests are ignored.
    L2Fail,
    /// Commands of an address space never complete.
    AsHang(u8),
    /// Address space commands take so many nanoseconds.
    AsDelay(u64),
    /// Rising edges are lost.
    IrqDrop(Line, u32),
    /// Served events come again.
    IrqRepeat(Line, u32),
    /// The next access to a page faults.
    FaultVa {
        /// The address space.
        as_nr: u8,
        /// Any address in the page.
        va: u64,
    },
    /// A GPU fault.
    FaultGpu {
        /// GPU_FAULTSTATUS.
        code: u32,
        /// GPU_FAULTADDRESS.
        address: u64,
    },
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
            ("soft-reset", "hang") => Misbehaviour::ResetHang,
            ("soft-reset", "delay") => Misbehaviour::ResetDelay(number(words.next())?),
            ("flush", "hang") => Misbehaviour::FlushHang,
            ("flush", "delay") => Misbehaviour::FlushDelay(number(words.next())?),
            ("l2", "hang") => Misbehaviour::L2Hang,
            ("l2", "fail") => Misbehaviour::L2Fail,
            ("as", "hang") => Misbehaviour::AsHang(number8(words.next())?),
            ("as", "delay") => Misbehaviour::AsDelay(number(words.next())?),
            ("irq", "drop") => Misbehaviour::IrqDrop(line(words.next())?, number32(words.next())?),
            ("irq", "repeat") => {
                Misbehaviour::IrqRepeat(line(words.next())?, number32(words.next())?)
            }
            ("fault", "va") => Misbehaviour::FaultVa {
                as_nr: number8(words.next())?,
                va: number(words.next())?,
            },
            ("fault", "gpu") => Misbehaviour::FaultGpu {
                code: number32(words.next())?,
                address: number(words.next())?,
            },
            _ => return Err(InjectError::Unknown),
        };
        Self::end(words, parsed)
    }

    fn end(
        words: &mut SplitAsciiWhitespace<'_>,
        parsed: Misbehaviour,
    ) -> Result<Misbehaviour, InjectError> {
        match words.next() {
            None => Ok(parsed),
            Some(_) => Err(InjectError::Trailing),
        }
    }
}
