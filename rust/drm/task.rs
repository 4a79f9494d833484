// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The calling task: what an ioctl wants to know about it.

/// Whether the task may raise priorities (`CAP_SYS_NICE`).
pub fn capable_sys_nice() -> bool {
    // SAFETY: Asks about the current task, which exists.
    unsafe { shims::shim_capable_sys_nice() }
}

/// The size of the task's address space, in bytes.
pub fn address_space_size() -> u64 {
    // CAST: An `unsigned long` has at most 64 bits.
    // SAFETY: Asks about the current task, which exists.
    unsafe { shims::shim_task_size() as u64 }
}

/// Whether the task's program is one of 32 bits: `unsigned long` has 4 bytes there, and offsets that it maps at
/// are numbers of pages in 32 bits. For system calls of that task only.
pub fn is_32_bit() -> bool {
    // SAFETY: Asks about the current task, which exists.
    unsafe { shims::shim_task_is_32_bit() }
}

/// Lets others run if it is their turn. For loops that may be long, where sleeping is possible.
pub fn cond_resched() {
    // SAFETY: The function has no requirements; a wrong context is only complained about.
    unsafe { shims::shim_cond_resched() };
}
