// SPDX-License-Identifier: GPL-2.0 OR MIT

use super::*;

const G610: Limits = Limits {
    registers: 96,
    scoreboards: 8,
};

#[test]
fn kernel_job_sequence_decodes_without_reserved_bits() {
    // What the kernel's driver writes around each job; registers 92 to 95.
    let words: [u64; 11] = [
        2 << 56 | 94 << 48 | 5,
        36 << 56 | 94 << 40 | 0x233,
        1 << 56 | 92 << 48 | 0x1234_5678_9000,
        2 << 56 | 94 << 48 | 64,
        3 << 56 | 1 << 16,
        32 << 56 | 92 << 40 | 94 << 32,
        1 << 56 | 92 << 48 | 0x1000,
        1 << 56 | 94 << 48 | 1,
        3 << 56 | 0xff << 16,
        51 << 56 | 92 << 40 | 94 << 32 | 1,
        47 << 56,
    ];
    for word in words {
        assert!(decode(word, G610).is_ok(), "{word:x}");
        assert_eq!(reserved(word), 0, "{word:x}");
    }
    let none = Async { wait: 0, signal: 0 };
    assert_eq!(
        decode(words[9], G610),
        Ok(Instr::Sync {
            op: SyncOp::Add,
            wide: true,
            propagate: true,
            scope: Scope::System,
            data: 94,
            addr64: 92,
            order: none,
        })
    );
    assert_eq!(
        decode(words[1], G610),
        Ok(Instr::FlushCaches {
            l2: 3,
            lsc: 3,
            other: 2,
            id: 94,
            order: none
        })
    );
}

#[test]
fn illegal_operands_are_refused() {
    for word in [
        1 << 56 | 95 << 48,                 // MOVE48 to an odd register
        2 << 56 | 96 << 48,                 // MOVE32 to a register that does not exist
        3 << 56 | 0x100 << 16,              // WAIT for a ninth scoreboard entry
        20 << 56 | 90 << 48 | 0xffff << 16, // LOAD_MULTIPLE past the last register
        22 << 56 | 7 << 28,                 // BRANCH with an unknown condition
        23 << 56 | 8,                       // SET_SB_ENTRY
        36 << 56 | 2,                       // FLUSH_CACHE2 with an unknown mode
        51 << 56 | 1 << 1,                  // SYNC_ADD64 with an unknown scope
        53 << 56 | 2 << 28,                 // SYNC_WAIT64 with "equal"
        49 << 56 | 2 << 32,                 // HEAP_OPERATION
        10 << 56,
        255 << 56,
    ] {
        assert_eq!(decode(word, G610), Err(Invalid), "{word:x}");
    }
}

#[test]
fn reserved_bits_are_found() {
    assert_eq!(reserved(47 << 56 | 1), 1);
    assert_eq!(reserved(32 << 56 | 1 << 20), 1 << 20);
    assert_eq!(reserved(0x00ff_ffff_ffff_ffff), 0);
}
