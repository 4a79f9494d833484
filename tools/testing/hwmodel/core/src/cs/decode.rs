// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Command stream instructions, architecture 10: 64 bits each, the opcode in the top byte.
//!
//! Encodings are facts from Mesa's public description (`v10.xml`).

mod reserved;

pub(crate) use reserved::reserved;

/// A condition of BRANCH and SYNC_WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `>=`
    GreaterOrEqual,
    /// Always true.
    Always,
}

/// The register's value in two's complement.
fn signed(value: u32) -> i32 {
    i32::from_le_bytes(value.to_le_bytes())
}

impl Condition {
    fn decode(field: u64) -> Option<Condition> {
        Some(match field {
            0 => Condition::LessOrEqual,
            1 => Condition::Greater,
            2 => Condition::Equal,
            3 => Condition::NotEqual,
            4 => Condition::Less,
            5 => Condition::GreaterOrEqual,
            6 => Condition::Always,
            _ => return None,
        })
    }

    /// Compares a register with zero, as BRANCH does.
    pub(crate) fn holds(self, value: u32) -> bool {
        let value = signed(value);
        match self {
            Condition::LessOrEqual => value <= 0,
            Condition::Greater => value > 0,
            Condition::Equal => value == 0,
            Condition::NotEqual => value != 0,
            Condition::Less => value < 0,
            Condition::GreaterOrEqual => value >= 0,
            Condition::Always => true,
        }
    }
}

/// Which endpoints run a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Compute shaders.
    Compute,
    /// Vertex shading and tiling.
    Tiling,
    /// Fragment shading.
    Fragment,
}

/// When an asynchronous instruction starts and what it signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Async {
    /// Scoreboard entries that must be zero before it starts.
    pub(crate) wait: u16,
    /// Scoreboard entry that counts it until it is complete.
    pub(crate) signal: u8,
}

impl Async {
    /// Whether it would wait for ever.
    pub(crate) fn waits_for_itself(self) -> bool {
        1u16.checked_shl(u32::from(self.signal))
            .is_some_and(|own| self.wait & own != 0)
    }
}

/// A synchronization update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncOp {
    /// SYNC_ADD
    Add,
    /// SYNC_SET
    Set,
}

/// Who is told about a synchronization update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All groups and the host.
    System,
    /// The streams of the same group.
    Group,
}

/// What STORE_STATE stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The system timestamp.
    Timestamp,
    /// The cycle counter.
    Cycles,
    /// How often the cycle counter was interrupted.
    Disjoint,
    /// The error state of the stream.
    Error,
}

/// What HEAP_OPERATION counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeapOp {
    /// A render pass started its vertex and tiler work.
    TilingStarted,
    /// ... and completed it.
    TilingCompleted,
    /// ... and completed its fragment work.
    FragmentCompleted,
}

/// An instruction. Register operands are numbers below 96; those named `*64` are the even first
/// half of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instr {
    Nop,
    Move48 {
        dst64: u8,
        imm: u64,
    },
    Move32 {
        dst: u8,
        imm: u32,
    },
    Wait {
        mask: u16,
        progress: bool,
    },
    Run {
        endpoint: Endpoint,
        progress: bool,
        indirect: bool,
    },
    FinishTiling {
        progress: bool,
    },
    FinishFragment {
        count: bool,
        first64: u8,
        last64: u8,
        order: Async,
    },
    AddImm32 {
        dst: u8,
        src: u8,
        imm: i32,
    },
    AddImm64 {
        dst64: u8,
        src64: u8,
        imm: i32,
    },
    Umin32 {
        dst: u8,
        src0: u8,
        src1: u8,
    },
    LoadMultiple {
        base: u8,
        addr64: u8,
        mask: u16,
        offset: i16,
    },
    StoreMultiple {
        base: u8,
        addr64: u8,
        mask: u16,
        offset: i16,
    },
    Branch {
        offset: i16,
        condition: Condition,
        value: u8,
    },
    SetScoreboard {
        endpoint: u8,
        other: u8,
    },
    ProgressWait {
        queue: u8,
        value64: u8,
    },
    ProgressStore {
        src64: u8,
    },
    ProgressLoad {
        dst64: u8,
    },
    SetExceptionHandler {
        kind: u8,
        addr64: u8,
        len: u8,
    },
    Call {
        addr64: u8,
        len: u8,
    },
    Jump {
        addr64: u8,
        len: u8,
    },
    ReqResource {
        mask: u8,
    },
    FlushCaches {
        l2: u8,
        lsc: u8,
        other: u8,
        id: u8,
        order: Async,
    },
    Sync {
        op: SyncOp,
        wide: bool,
        propagate: bool,
        scope: Scope,
        data: u8,
        addr64: u8,
        order: Async,
    },
    SyncWait {
        wide: bool,
        reject: bool,
        greater: bool,
        data: u8,
        addr64: u8,
    },
    StoreState {
        state: State,
        addr64: u8,
        offset: i16,
        order: Async,
    },
    ErrorBarrier,
    HeapSet {
        addr64: u8,
    },
    HeapOperation {
        op: HeapOp,
        order: Async,
    },
    TracePoint {
        base: u8,
        count: u8,
        order: Async,
    },
}

impl Instr {
    /// Of an asynchronous instruction, its order among others.
    pub(crate) fn order(&self) -> Option<Async> {
        match *self {
            Instr::FinishFragment { order, .. }
            | Instr::FlushCaches { order, .. }
            | Instr::Sync { order, .. }
            | Instr::StoreState { order, .. }
            | Instr::HeapOperation { order, .. }
            | Instr::TracePoint { order, .. } => Some(order),
            _ => None,
        }
    }
}

/// How many registers and scoreboard entries a stream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Registers of 32 bits.
    pub(crate) registers: u8,
    /// Scoreboard entries.
    pub(crate) scoreboards: u8,
}

/// The instruction is unknown or an operand is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// What TILER_OOM is called in SET_EXCEPTION_HANDLER.
pub(crate) const HANDLER_TILER_OOM: u8 = 2;

/// Takes an instruction apart.
struct Fields {
    raw: u64,
    limits: Limits,
}

impl Fields {
    fn get(&self, start: u32, size: u32) -> u64 {
        self.raw >> start & (u64::MAX >> (64 - size))
    }

    fn byte(&self, start: u32) -> u8 {
        self.raw
            .to_le_bytes()
            .get((start / 8) as usize)
            .copied()
            .unwrap_or(0)
    }

    /// A field of at most eight bits.
    fn small(&self, start: u32, bits: u32) -> u8 {
        let [low, ..] = self.get(start, bits).to_le_bytes();
        low
    }

    fn bit(&self, start: u32) -> bool {
        self.get(start, 1) != 0
    }

    fn low16(&self, start: u32) -> u16 {
        (self.get(start, 16) & 0xffff) as u16
    }

    fn imm32(&self) -> u32 {
        (self.raw & 0xffff_ffff) as u32
    }

    fn offset(&self) -> i16 {
        i16::from_le_bytes(self.low16(0).to_le_bytes())
    }

    fn reg(&self, start: u32) -> Result<u8, Invalid> {
        let reg = self.byte(start);
        if reg < self.limits.registers {
            Ok(reg)
        } else {
            Err(Invalid)
        }
    }

    fn reg64(&self, start: u32) -> Result<u8, Invalid> {
        let reg = self.reg(start)?;
        if reg % 2 == 0 {
            Ok(reg)
        } else {
            Err(Invalid)
        }
    }

    fn sized(&self, start: u32, wide: bool) -> Result<u8, Invalid> {
        if wide {
            self.reg64(start)
        } else {
            self.reg(start)
        }
    }

    fn slot(&self, start: u32) -> Result<u8, Invalid> {
        let slot = self.small(start, 4);
        if slot < self.limits.scoreboards {
            Ok(slot)
        } else {
            Err(Invalid)
        }
    }

    fn slots(&self) -> Result<u16, Invalid> {
        let mask = self.low16(16);
        if u32::from(mask) >> self.limits.scoreboards == 0 {
            Ok(mask)
        } else {
            Err(Invalid)
        }
    }

    fn order(&self) -> Result<Async, Invalid> {
        Ok(Async {
            wait: self.slots()?,
            signal: self.slot(48)?,
        })
    }

    /// Base register and mask of LOAD_MULTIPLE and STORE_MULTIPLE.
    fn tuple(&self) -> Result<(u8, u16), Invalid> {
        let base = self.reg(48)?;
        let mask = self.low16(16);
        let used = 16 - mask.leading_zeros();
        if u32::from(base) + used <= u32::from(self.limits.registers) {
            Ok((base, mask))
        } else {
            Err(Invalid)
        }
    }

    fn scope(&self) -> Result<Scope, Invalid> {
        match self.get(1, 2) {
            0 => Ok(Scope::System),
            2 => Ok(Scope::Group),
            _ => Err(Invalid),
        }
    }
}

/// Decodes one instruction.
pub(crate) fn decode(raw: u64, limits: Limits) -> Result<Instr, Invalid> {
    let f = Fields { raw, limits };
    let progress = f.bit(32);
    Ok(match f.byte(56) {
        0 => Instr::Nop,
        1 => Instr::Move48 {
            dst64: f.reg64(48)?,
            imm: f.get(0, 48),
        },
        2 => Instr::Move32 {
            dst: f.reg(48)?,
            imm: f.imm32(),
        },
        3 => Instr::Wait {
            mask: f.slots()?,
            progress,
        },
        4 => Instr::Run {
            endpoint: Endpoint::Compute,
            progress,
            indirect: false,
        },
        5 | 6 => Instr::Run {
            endpoint: Endpoint::Tiling,
            progress,
            indirect: false,
        },
        7 | 8 => Instr::Run {
            endpoint: Endpoint::Fragment,
            progress,
            indirect: false,
        },
        9 => Instr::FinishTiling { progress },
        11 => Instr::FinishFragment {
            count: f.bit(0),
            first64: f.reg64(40)?,
            last64: f.reg64(32)?,
            order: f.order()?,
        },
        16 => Instr::AddImm32 {
            dst: f.reg(48)?,
            src: f.reg(40)?,
            imm: signed(f.imm32()),
        },
        17 => Instr::AddImm64 {
            dst64: f.reg64(48)?,
            src64: f.reg64(40)?,
            imm: signed(f.imm32()),
        },
        18 => Instr::Umin32 {
            dst: f.reg(48)?,
            src0: f.reg(40)?,
            src1: f.reg(32)?,
        },
        20 => {
            let (base, mask) = f.tuple()?;
            Instr::LoadMultiple {
                base,
                addr64: f.reg64(40)?,
                mask,
                offset: f.offset(),
            }
        }
        21 => {
            let (base, mask) = f.tuple()?;
            Instr::StoreMultiple {
                base,
                addr64: f.reg64(40)?,
                mask,
                offset: f.offset(),
            }
        }
        22 => Instr::Branch {
            offset: f.offset(),
            condition: Condition::decode(f.get(28, 3)).ok_or(Invalid)?,
            value: f.reg(40)?,
        },
        23 => Instr::SetScoreboard {
            endpoint: f.slot(0)?,
            other: f.slot(4)?,
        },
        24 => Instr::ProgressWait {
            queue: f.small(0, 5),
            value64: f.reg64(40)?,
        },
        25 => Instr::SetExceptionHandler {
            kind: match f.byte(0) {
                HANDLER_TILER_OOM => HANDLER_TILER_OOM,
                _ => return Err(Invalid),
            },
            addr64: f.reg64(40)?,
            len: f.reg(32)?,
        },
        32 => Instr::Call {
            addr64: f.reg64(40)?,
            len: f.reg(32)?,
        },
        33 => Instr::Jump {
            addr64: f.reg64(40)?,
            len: f.reg(32)?,
        },
        34 => Instr::ReqResource {
            mask: f.small(0, 4),
        },
        36 => Instr::FlushCaches {
            l2: flush_mode(f.get(0, 4))?,
            lsc: flush_mode(f.get(4, 4))?,
            other: match f.get(8, 4) {
                0 => 0,
                2 => 2,
                _ => return Err(Invalid),
            },
            id: f.reg(40)?,
            order: f.order()?,
        },
        code @ (37 | 38 | 51 | 52) => {
            let wide = code >= 51;
            Instr::Sync {
                op: if code == 37 || code == 51 {
                    SyncOp::Add
                } else {
                    SyncOp::Set
                },
                wide,
                propagate: f.bit(0),
                scope: f.scope()?,
                data: f.sized(32, wide)?,
                addr64: f.reg64(40)?,
                order: f.order()?,
            }
        }
        code @ (39 | 53) => {
            let wide = code == 53;
            Instr::SyncWait {
                wide,
                reject: f.bit(0),
                greater: match f.get(28, 4) {
                    0 => false,
                    1 => true,
                    _ => return Err(Invalid),
                },
                data: f.sized(32, wide)?,
                addr64: f.reg64(40)?,
            }
        }
        40 => Instr::StoreState {
            state: match f.byte(32) {
                0 => State::Timestamp,
                1 => State::Cycles,
                2 => State::Disjoint,
                3 => State::Error,
                _ => return Err(Invalid),
            },
            addr64: f.reg64(40)?,
            offset: f.offset(),
            order: f.order()?,
        },
        42 => Instr::ProgressStore {
            src64: f.reg64(40)?,
        },
        43 => Instr::ProgressLoad {
            dst64: f.reg64(48)?,
        },
        44 => Instr::Run {
            endpoint: Endpoint::Compute,
            progress,
            indirect: true,
        },
        47 => Instr::ErrorBarrier,
        48 => Instr::HeapSet {
            addr64: f.reg64(40)?,
        },
        49 => Instr::HeapOperation {
            op: match f.get(32, 2) {
                0 => HeapOp::TilingStarted,
                1 => HeapOp::TilingCompleted,
                3 => HeapOp::FragmentCompleted,
                _ => return Err(Invalid),
            },
            order: f.order()?,
        },
        50 => {
            let base = f.reg(32)?;
            let count = f.byte(40);
            if u32::from(base) + u32::from(count) > u32::from(limits.registers) {
                return Err(Invalid);
            }
            Instr::TracePoint {
                base,
                count,
                order: f.order()?,
            }
        }
        _ => return Err(Invalid),
    })
}

fn flush_mode(field: u64) -> Result<u8, Invalid> {
    match field {
        0 => Ok(0),
        1 => Ok(1),
        3 => Ok(3),
        _ => Err(Invalid),
    }
}

#[cfg(test)]
mod tests;
