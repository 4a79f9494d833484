// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What an address space's fault registers say. Pure, tested as such.

use kernel::{
    fmt,
    prelude::*, //
};

/// How the faulting access wanted to use memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read-modify-write.
    Atomic,
    /// Instruction fetch.
    Execute,
    /// Read.
    Read,
    /// Write.
    Write,
}

impl Access {
    /// For log messages.
    fn name(self) -> &'static str {
        match self {
            Self::Atomic => "atomic access",
            Self::Execute => "execution",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A decoded fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// FAULTSTATUS as read.
    pub(crate) raw: u32,
    /// FAULTADDRESS as read: the address that was accessed.
    pub(crate) address: u64,
}

impl Fault {
    /// Kind of the access.
    pub(crate) fn access(&self) -> Access {
        match (self.raw >> 8) & 3 {
            0 => Access::Atomic,
            1 => Access::Execute,
            2 => Access::Read,
            _ => Access::Write,
        }
    }

    /// Which part of the GPU made it.
    pub(crate) fn source(&self) -> u32 {
        self.raw >> 16
    }

    /// Exception code.
    pub(crate) fn code(&self) -> u32 {
        self.raw & 0xff
    }

    /// Name of the exception code.
    pub(crate) fn name(&self) -> &'static str {
        match self.code() {
            0xc0..=0xc3 => "translation fault",
            0xc4 => "bad block descriptor",
            0xc8..=0xcb => "permission fault",
            0xd8..=0xdb => "access flag fault",
            0xe0..=0xe3 => "input address size fault",
            0xe4..=0xe7 => "output address size fault",
            0xe8..=0xeb => "memory attribute fault",
            _ => "unknown fault",
        }
    }

    /// Level of the page table where it happened, for the codes that carry one.
    pub(crate) fn level(&self) -> Option<u32> {
        match self.code() {
            0xc4 => None,
            code @ (0xc0..=0xcb | 0xd8..=0xdb | 0xe4..=0xeb) => Some(code & 3),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {:#x}", self.name(), self.code())?;
        if let Some(level) = self.level() {
            write!(f, ", level {level}")?;
        }
        write!(
            f,
            ") on {} at {:#x}, source {:#x}",
            self.access().name(),
            self.address,
            self.source()
        )
    }
}

#[kunit_tests(mali_csf_mmu_fault)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_hardware_puts_them() {
        let fault = Fault {
            raw: 0x1234_03c2,
            address: 0x5000,
        };
        assert_eq!(fault.access(), Access::Write);
        assert_eq!(fault.source(), 0x1234);
        assert_eq!(fault.name(), "translation fault");
        assert_eq!(fault.level(), Some(2));
    }

    #[test]
    fn codes_without_a_level_have_none() {
        for raw in [0xc4, 0xe0, 0x00, 0xff] {
            assert_eq!(Fault { raw, address: 0 }.level(), None);
        }
    }
}
