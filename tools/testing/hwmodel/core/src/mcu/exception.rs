// SPDX-License-Identifier: GPL-2.0 OR MIT

//! An exception of a stream that was asked for.

use core::str::SplitAsciiWhitespace;

use crate::cs::Trouble;
use crate::inject::number8;
use crate::inject::InjectError;

/// Which group an exception is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// That in this slot.
    Slot(u8),
    /// That in this address space, whatever slot it is in.
    Space(u8),
}

impl Which {
    fn parse(word: Option<&str>) -> Result<Self, InjectError> {
        match word.and_then(|word| word.strip_prefix("as")) {
            Some(space) => number8(Some(space)).map(Which::Space),
            None => number8(word).map(Which::Slot),
        }
    }
}

/// A stream exception that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    group: Which,
    /// Stream in the group.
    pub(crate) stream: u8,
    kind: u8,
    fatal: bool,
    /// Not now, but when its group leaves the slot.
    pub(crate) leaving: bool,
}

impl Exception {
    /// Parses the words after `fatal` or `fault`, which is the first one.
    pub(crate) fn parse(
        first: &str,
        words: &mut SplitAsciiWhitespace<'_>,
        leaving: bool,
    ) -> Result<Self, InjectError> {
        let fatal = match first {
            "fatal" => true,
            "fault" => false,
            _ => return Err(InjectError::Unknown),
        };
        Ok(Self {
            group: Which::parse(words.next())?,
            stream: number8(words.next())?,
            kind: number8(words.next())?,
            fatal,
            leaving,
        })
    }

    /// Whether it is for the group in this slot, which has this address space.
    pub(crate) fn is_for(&self, slot: u8, as_nr: u8) -> bool {
        match self.group {
            Which::Slot(number) => number == slot,
            Which::Space(number) => number == as_nr,
        }
    }

    /// For the stream.
    pub(crate) fn trouble(&self) -> Trouble {
        let (kind, info) = (self.kind, 0);
        if self.fatal {
            Trouble::Fatal { kind, info }
        } else {
            Trouble::Fault { kind, info }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_a_slot_or_for_an_address_space() {
        let parse =
            |line: &str| Exception::parse("fault", &mut line.split_ascii_whitespace(), false);
        let whose = |line| parse(line).map(|e| (e.is_for(1, 2), e.is_for(2, 1)));
        assert_eq!(whose("1 0 0x40"), Ok((true, false)));
        assert_eq!(whose("as1 0 0x40"), Ok((false, true)));
        assert_eq!(whose("as 0 0x40"), Err(InjectError::Argument));
    }
}
