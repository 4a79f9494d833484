# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What in a guest's kernel log is a finding."""

import re

# What a healthy guest never logs.
FINDINGS = re.compile(
    r"WARNING: |\bBUG: |KASAN|UBSAN|\bOops\b|Kernel panic|general protection|Unable to handle|"
    r"possible (circular|recursive) locking|inconsistent lock state|bad unlock balance|suspicious RCU|"
    r"held lock freed|lock held when returning|sleeping function called|scheduling while atomic|"
    r"INFO: task .* blocked|rcu: INFO|rcu_.*stall|list_(add|del) corruption|refcount_t|"
    r"ODEBUG|DEBUG_LOCKS_WARN_ON|hwmodel: RECORD|unreferenced object|Bad page state|dma_fence.*unsignalled"
)


def findings(lines):
    """The findings among the lines, by their indices, and those that are the architecture's own.

    User-mode Linux flushes the translations of a whole process by walking its mappings, without their lock, when two
    processors take pages of it away at the same time. Lockdep says so, whoever they do it for."""
    # What the kernel says of itself before the first program runs is not about anything under test (the debug kernel
    # reports an RCU callback on a processor that is just coming up).
    start = next((i for i, line in enumerate(lines) if "as init process" in line), 0)
    found = [i for i in range(start, len(lines)) if FINDINGS.search(lines[i])]
    own = []
    for index in found:
        # The first look is at this line alone: a model that has reason to complain may do so a million times.
        if "suspicious RCU usage" not in lines[index]:
            continue
        end = next((i for i in range(index + 1, len(lines)) if "======" in lines[i]), len(lines))
        report = lines[index:end]
        if (any("lib/maple_tree.c" in line for line in report)
                and any(re.search(r"\] (\? )?flush_tlb_mm\+", line) for line in report)):
            own.append(index)
    return [index for index in found if index not in own], own
