// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Misbehaviour of the firmware on request.

use core::str::SplitAsciiWhitespace;

use super::exception::Exception;
use super::layout::cs_in;
use super::layout::csg_in;
use super::layout::glb_in;
use crate::inject::end;
use crate::inject::number;
use crate::inject::number32;
use crate::inject::number8;
use crate::inject::InjectError;

/// Syntax and meaning.
pub(crate) const HELP: &[(&str, &str)] = &[
    ("mcu boot hang", "the next boots never complete"),
    ("mcu boot fatal", "the next boots end in a fatal state"),
    ("mcu halt hang", "requests to halt are ignored"),
    (
        "mcu cores kept",
        "an MCU that halts or stops leaves its cores on",
    ),
    ("mcu ping ignore", "pings are not acknowledged"),
    ("mcu crash", "the firmware dies now"),
    (
        "mcu ack never glb|csg|cs MASK",
        "these request bits are never acknowledged",
    ),
    (
        "mcu ack delay glb|csg|cs MASK NS",
        "these request bits are acknowledged late",
    ),
    (
        "mcu ack wrong glb|csg|cs MASK",
        "these acknowledgement bits come out inverted",
    ),
    (
        "mcu ack until-boot",
        "from the next boot on, all request bits are acknowledged well",
    ),
    (
        "mcu slot ignore CSG",
        "requests to this group slot are ignored until the next boot",
    ),
    ("mcu job hang COUNT", "the next jobs never complete"),
    (
        "mcu extract late",
        "EXTRACT in memory stays behind as long as a stream has something to do",
    ),
    (
        "mcu fatal CSG CS TYPE",
        "the stream stops with this exception type",
    ),
    (
        "mcu fault CSG CS TYPE",
        "the stream reports a fault with this exception type",
    ),
    (
        "mcu leaving fatal|fault CSG CS TYPE",
        "the stream has this exception when its group is asked to leave the slot, before it is saved",
    ),
    (
        "mcu heap address VA",
        "the next exhausted heap is reported with the context of another one",
    ),
    (
        "mcu heap counts START END FRAGMENT",
        "the next exhausted heap is reported with these counts of render passes",
    ),
    (
        "mcu heap ask CSG CS",
        "the stream's heap is reported as exhausted, whatever it is doing and whether it is there",
    ),
    (
        "mcu progress CSG",
        "the group's progress timer runs out, whatever it is doing",
    ),
    (
        "mcu event drop EVENT COUNT",
        "events sync|idle|progress|fatal|fault|oom|glb-idle are lost",
    ),
    (
        "mcu event repeat sync|idle COUNT",
        "events are raised once more",
    ),
];

/// A level of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Global.
    Glb,
    /// Groups.
    Csg,
    /// Streams.
    Cs,
}

/// How requests are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AckMode {
    Well,
    Never,
    Delay(u64),
    Wrong,
}

#[derive(Clone, Copy)]
struct AckFault {
    mode: AckMode,
    mask: u32,
}

/// An event of the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Where it is raised.
    pub(crate) level: Level,
    /// Its bit.
    pub(crate) bit: u32,
}

const EVENTS: [(&str, Event); 7] = [
    (
        "sync",
        Event {
            level: Level::Csg,
            bit: csg_in::SYNC_UPDATE,
        },
    ),
    (
        "idle",
        Event {
            level: Level::Csg,
            bit: csg_in::IDLE,
        },
    ),
    (
        "progress",
        Event {
            level: Level::Csg,
            bit: csg_in::PROGRESS_TIMER,
        },
    ),
    (
        "fatal",
        Event {
            level: Level::Cs,
            bit: cs_in::FATAL,
        },
    ),
    (
        "fault",
        Event {
            level: Level::Cs,
            bit: cs_in::FAULT,
        },
    ),
    (
        "oom",
        Event {
            level: Level::Cs,
            bit: cs_in::TILER_OOM,
        },
    ),
    (
        "glb-idle",
        Event {
            level: Level::Glb,
            bit: glb_in::IDLE,
        },
    ),
];

/// What is wrong with the firmware.
pub(crate) struct Faults {
    /// Boots never complete.
    pub(crate) boot_hang: bool,
    /// Boots fail.
    pub(crate) boot_fatal: bool,
    /// Halts are ignored.
    pub(crate) halt_hang: bool,
    /// Cores stay on after the end.
    pub(crate) cores_kept: bool,
    /// The firmware dies at its next step.
    pub(crate) crash: bool,
    /// One bit for each group slot whose requests are ignored.
    pub(crate) slots_ignored: u32,
    /// Acknowledgements are well again after the next boot.
    acks_until_boot: bool,
    /// So many next jobs hang.
    pub(crate) job_hang: u32,
    /// EXTRACT is written when a stream has nothing more to do.
    pub(crate) extract_late: bool,
    /// Reported once.
    pub(crate) exception: Option<Exception>,
    /// Instead of the context of the heap that is exhausted next.
    pub(crate) heap_address: Option<u64>,
    /// Instead of what the heap that is exhausted next has counted.
    pub(crate) heap_counts: Option<[u32; 3]>,
    /// Slot and stream whose heap is reported as exhausted once.
    pub(crate) heap_ask: Option<(u8, u8)>,
    /// The progress timer of this slot runs out once.
    pub(crate) progress: Option<u8>,
    acks: [AckFault; 3],
    drop: [u32; EVENTS.len()],
    repeat: [u32; EVENTS.len()],
}

impl Faults {
    /// All well.
    pub(crate) const fn new() -> Self {
        Self {
            boot_hang: false,
            boot_fatal: false,
            halt_hang: false,
            cores_kept: false,
            crash: false,
            slots_ignored: 0,
            acks_until_boot: false,
            job_hang: 0,
            extract_late: false,
            exception: None,
            heap_address: None,
            heap_counts: None,
            heap_ask: None,
            progress: None,
            acks: [AckFault {
                mode: AckMode::Well,
                mask: 0,
            }; 3],
            drop: [0; EVENTS.len()],
            repeat: [0; EVENTS.len()],
        }
    }

    /// The firmware boots: what was to last until then ends.
    pub(crate) fn booting(&mut self) {
        self.slots_ignored = 0;
        if core::mem::take(&mut self.acks_until_boot) {
            for ack in &mut self.acks {
                ack.mode = AckMode::Well;
            }
        }
    }

    fn ack_mut(&mut self, level: Level) -> &mut AckFault {
        let [glb, csg, cs] = &mut self.acks;
        match level {
            Level::Glb => glb,
            Level::Csg => csg,
            Level::Cs => cs,
        }
    }

    /// The acknowledgement word after the bits in `done` were served. `late` keeps the time of
    /// delayed ones.
    pub(crate) fn acknowledge(
        &self,
        level: Level,
        (req, ack): (u32, u32),
        done: u32,
        late: &mut Option<u64>,
        now: u64,
    ) -> u32 {
        let [glb, csg, cs] = self.acks;
        let fault = match level {
            Level::Glb => glb,
            Level::Csg => csg,
            Level::Cs => cs,
        };
        let hit = done & fault.mask & (req ^ ack);
        let well = ack & !done | req & done;
        if hit == 0 {
            return well;
        }
        match fault.mode {
            AckMode::Well => well,
            AckMode::Never => well & !hit | ack & hit,
            AckMode::Wrong => well ^ done & fault.mask,
            AckMode::Delay(ns) => {
                let due = *late.get_or_insert(now.saturating_add(ns));
                if due <= now {
                    *late = None;
                    well
                } else {
                    well & !hit | ack & hit
                }
            }
        }
    }

    fn index(event: Event) -> Option<usize> {
        EVENTS.iter().position(|(_, known)| *known == event)
    }

    fn take(counts: &mut [u32; EVENTS.len()], event: Event) -> bool {
        match Self::index(event).and_then(|i| counts.get_mut(i)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// Whether this event gets lost.
    pub(crate) fn drops(&mut self, event: Event) -> bool {
        Self::take(&mut self.drop, event)
    }

    /// Whether this event is raised a second time.
    pub(crate) fn repeats(&mut self, event: Event) -> bool {
        Self::take(&mut self.repeat, event)
    }

    fn level(word: Option<&str>) -> Result<Level, InjectError> {
        match word.ok_or(InjectError::Missing)? {
            "glb" => Ok(Level::Glb),
            "csg" => Ok(Level::Csg),
            "cs" => Ok(Level::Cs),
            _ => Err(InjectError::Argument),
        }
    }

    /// Parses the words after `mcu`.
    pub(crate) fn parse(
        &mut self,
        words: &mut SplitAsciiWhitespace<'_>,
    ) -> Result<(), InjectError> {
        let first = words.next().ok_or(InjectError::Missing)?;
        let mut second = || words.next().ok_or(InjectError::Missing);
        match first {
            "crash" => self.crash = true,
            "boot" => match second()? {
                "hang" => self.boot_hang = true,
                "fatal" => self.boot_fatal = true,
                _ => return Err(InjectError::Unknown),
            },
            "halt" => match second()? {
                "hang" => self.halt_hang = true,
                _ => return Err(InjectError::Unknown),
            },
            "cores" => match second()? {
                "kept" => self.cores_kept = true,
                _ => return Err(InjectError::Unknown),
            },
            "ping" => match second()? {
                "ignore" => {
                    let ack = self.ack_mut(Level::Glb);
                    *ack = AckFault {
                        mode: AckMode::Never,
                        mask: glb_in::PING,
                    };
                }
                _ => return Err(InjectError::Unknown),
            },
            "ack" => {
                let mode = second()?;
                if mode == "until-boot" {
                    self.acks_until_boot = true;
                    return end(words);
                }
                let level = Self::level(words.next())?;
                let mask = number32(words.next())?;
                let mode = match mode {
                    "never" => AckMode::Never,
                    "wrong" => AckMode::Wrong,
                    "delay" => AckMode::Delay(number(words.next())?),
                    _ => return Err(InjectError::Unknown),
                };
                *self.ack_mut(level) = AckFault { mode, mask };
            }
            "slot" => match second()? {
                "ignore" => self.slots_ignored |= 1u32.wrapping_shl(number32(words.next())?),
                _ => return Err(InjectError::Unknown),
            },
            "extract" => match second()? {
                "late" => self.extract_late = true,
                _ => return Err(InjectError::Unknown),
            },
            "job" => match second()? {
                "hang" => self.job_hang = number32(words.next())?,
                _ => return Err(InjectError::Unknown),
            },
            "progress" => self.progress = Some(number8(words.next())?),
            "heap" => match second()? {
                "address" => self.heap_address = Some(number(words.next())?),
                "counts" => {
                    self.heap_counts = Some([
                        number32(words.next())?,
                        number32(words.next())?,
                        number32(words.next())?,
                    ]);
                }
                "ask" => self.heap_ask = Some((number8(words.next())?, number8(words.next())?)),
                _ => return Err(InjectError::Unknown),
            },
            "leaving" => {
                let kind = second()?;
                self.exception = Some(Exception::parse(kind, words, true)?);
            }
            "fatal" | "fault" => {
                self.exception = Some(Exception::parse(first, words, false)?);
            }
            "event" => {
                let what = second()?;
                let name = words.next().ok_or(InjectError::Missing)?;
                let index = EVENTS.iter().position(|(known, _)| *known == name);
                let index = index.ok_or(InjectError::Argument)?;
                let count = number32(words.next())?;
                let counts = match what {
                    "drop" => &mut self.drop,
                    "repeat" if index < 2 => &mut self.repeat,
                    _ => return Err(InjectError::Unknown),
                };
                if let Some(left) = counts.get_mut(index) {
                    *left = count;
                }
            }
            _ => return Err(InjectError::Unknown),
        }
        match words.next() {
            None => Ok(()),
            Some(_) => Err(InjectError::Trailing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (Faults, Result<(), InjectError>) {
        let mut faults = Faults::new();
        let result = faults.parse(&mut line.split_ascii_whitespace());
        (faults, result)
    }

    #[test]
    fn every_line_of_the_help_parses() {
        for (syntax, _) in HELP {
            let mut line = std::string::String::new();
            for word in syntax.split_ascii_whitespace().skip(1) {
                line.push(' ');
                line.push_str(match word {
                    "glb|csg|cs" => "csg",
                    "EVENT" | "sync|idle" => "sync",
                    "fatal|fault" => "fatal",
                    "MASK" | "NS" | "COUNT" | "CSG" | "CS" | "TYPE" | "VA" | "START" | "END"
                    | "FRAGMENT" => "1",
                    other => other,
                });
            }
            assert_eq!(parsed(&line).1, Ok(()), "{syntax}");
        }
    }

    #[test]
    fn acknowledgements_misbehave_as_asked() {
        let (faults, _) = parsed("ack never csg 0x10");
        let mut late = None;
        assert_eq!(
            faults.acknowledge(Level::Csg, (0x11, 0), 0x17, &mut late, 0),
            1
        );
        assert_eq!(
            faults.acknowledge(Level::Glb, (0x11, 0), 0x17, &mut late, 0),
            0x11
        );
        let (faults, _) = parsed("ack delay glb 0x100 50");
        assert_eq!(
            faults.acknowledge(Level::Glb, (0x100, 0), 0x100, &mut late, 10),
            0
        );
        assert_eq!(late, Some(60));
        assert_eq!(
            faults.acknowledge(Level::Glb, (0x100, 0), 0x100, &mut late, 60),
            0x100
        );
        assert_eq!(late, None);
        let (faults, _) = parsed("ack wrong csg 7");
        assert_eq!(faults.acknowledge(Level::Csg, (1, 0), 7, &mut late, 0), 6);
    }

    #[test]
    fn what_is_to_last_until_the_next_boot_does() {
        let mut late = None;
        for limited in [false, true] {
            let (mut faults, _) = parsed("ack never glb 6");
            if limited {
                assert_eq!(
                    faults.parse(&mut "ack until-boot".split_ascii_whitespace()),
                    Ok(())
                );
            }
            let ack = |faults: &Faults, late: &mut _| {
                faults.acknowledge(Level::Glb, (0x17, 0), 0x17, late, 0)
            };
            assert_eq!(ack(&faults, &mut late), 0x11);
            faults.booting();
            assert_eq!(ack(&faults, &mut late), if limited { 0x17 } else { 0x11 });
        }
    }

    #[test]
    fn events_are_dropped_so_often() {
        let (mut faults, _) = parsed("event drop sync 2");
        let event = Event {
            level: Level::Csg,
            bit: csg_in::SYNC_UPDATE,
        };
        assert!(faults.drops(event));
        assert!(faults.drops(event));
        assert!(!faults.drops(event));
    }
}
