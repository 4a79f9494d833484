// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Which job runs on which core.
//!
//! A job comes here when it waits for nothing but a core. Each file has at most one such job in each of
//! its lanes. A core that gets free takes the next job from the file that has the fewest cores, and of
//! those the one that was served the longest time ago. A job that finds several cores idle takes one
//! that has its address space already.
//!
//! Switching a core on allocates memory, so it cannot wait until a job runs. A submission keeps as many
//! cores on as it can use ([`Ticket`]), from before its commit until its last job has ended; which of
//! the cores that are on runs a job is decided later. If such a core goes, another one is kept on in its
//! place, for as long as there is a submission that it was kept on for: a job may wait for its turn long
//! after that.
//!
//! # Locking
//!
//! One spinlock, held for looking at the tables, and innermost.
//!
//! # Ordering
//!
//! No core that is on is idle while a job waits for one: who makes a core idle looks for a job, and who
//! brings a job looks for a core, under the same lock; who removes a core that was kept on for a job
//! switches another one on, or the first core that comes does. A core that was given a job is busy from then on, whatever happens before
//! the job is on the hardware. When the system has slept, jobs are looked for as well.
//!
//! # Blocking
//!
//! [`Sched::leave`] and [`Sched::pause`] wait until the core is idle, and so for its job. [`Sched::leave`],
//! [`Sched::join`] and [`Sched::tickets`] wait for cores that are switched on. Nothing else waits.

use ::job::{
    MayBlock,
    Signalling, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};
use soc::{
    pm::Active,
    wait::WaitQueue, //
};

use crate::{
    core::Core,
    job::Work,
    module_parameters,
    space::Space, //
};

/// Lanes of a file. More than there are cores would not run more at once.
pub(crate) const LANES: usize = 3;

/// Most cores.
pub(crate) const MAX_CORES: usize = 8;

/// What a core does.
enum Doing {
    /// Nothing.
    Nothing,
    /// It has a job of this file.
    Job(u64),
}

struct Seat {
    core: Arc<Core>,
    doing: Doing,
    /// It is not to get another job, ever.
    leaving: bool,
    /// Nor as long as it is off.
    paused: bool,
    /// The file of its last job, whose address space it still has.
    last: Option<u64>,
    /// How many submissions keep it on.
    tickets: u32,
}

impl Seat {
    fn takes_jobs(&self) -> bool {
        !self.leaving && !self.paused
    }
}

/// A job for an idle core that is on.
pub(crate) struct Start {
    core: Arc<Core>,
    work: Arc<Work>,
    active: Active,
}

impl Start {
    /// Begins with the job.
    pub(crate) fn go(self, sig: &Signalling<'_>) {
        self.core.start(self.work, self.active, sig);
    }
}

/// A core that a submission keeps on.
pub(crate) struct Ticket {
    core: Arc<Core>,
    sched: Arc<Sched>,
    active: Option<Active>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.active = None;
        let unneeded = {
            let mut state = self.sched.state.lock();

            if let Some(seat) = state.seat(&self.core) {
                seat.tickets = seat.tickets.saturating_sub(1);
                None
            } else {
                state.orphans = state.orphans.saturating_sub(1);
                if state.orphans == 0 {
                    state.substitute.take()
                } else {
                    None
                }
            }
        };
        drop(unneeded);
    }
}

/// How many of the `cores` a submission of `jobs` jobs keeps on: the policy, all of it.
fn cores_wanted(jobs: usize, cores: usize) -> usize {
    if module_parameters::all_cores.value() {
        cores
    } else {
        jobs.min(LANES).min(cores)
    }
}

struct Ready {
    work: Arc<Work>,
    since: u64,
}

struct Client {
    id: u64,
    ready: [Option<Ready>; LANES],
    running: u32,
    served: u64,
}

impl Client {
    /// The lane of the job that has waited the longest.
    fn oldest(&self) -> Option<usize> {
        self.ready
            .iter()
            .enumerate()
            .filter_map(|(lane, ready)| ready.as_ref().map(|ready| (ready.since, lane)))
            .min()
            .map(|(_, lane)| lane)
    }
}

/// A core that is kept on in place of those that are gone.
struct Substitute {
    core: Arc<Core>,
    _active: Active,
}

struct State {
    seats: [Option<Seat>; MAX_CORES],
    clients: KVec<Client>,
    /// Tickets for cores that are gone.
    orphans: u32,
    /// What they have instead; nothing only if there is no core, or none can be switched on.
    substitute: Option<Substitute>,
    /// Counts what happens, so that there is an order.
    now: u64,
    next_id: u64,
}

impl State {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn client(&mut self, id: u64) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    /// The job that is next, of whichever file.
    fn take(&mut self) -> Option<Arc<Work>> {
        let now = self.tick();
        let client = self
            .clients
            .iter_mut()
            .filter(|client| client.oldest().is_some())
            .min_by_key(|client| (client.running, client.served))?;
        let lane = client.oldest()?;
        let ready = client.ready.get_mut(lane)?.take()?;

        client.running += 1;
        client.served = now;
        Some(ready.work)
    }

    fn seat(&mut self, core: &Arc<Core>) -> Option<&mut Seat> {
        self.seats
            .iter_mut()
            .flatten()
            .find(|seat| Arc::ptr_eq(&seat.core, core))
    }

    /// The idle core that suits a file best, of those that are on.
    fn idle(&self, client: u64) -> Option<(Arc<Core>, Active)> {
        let mut best: Option<(u32, Arc<Core>, Active)> = None;

        for seat in self.seats.iter().flatten() {
            if !seat.takes_jobs() || !matches!(seat.doing, Doing::Nothing) {
                continue;
            }
            let rank = match seat.last {
                Some(last) if last == client => 0,
                None => 1,
                Some(_) => 2,
            };
            if best.as_ref().is_some_and(|(other, ..)| *other <= rank) {
                continue;
            }
            if let Some(active) = seat.core.handle().get_if_active() {
                best = Some((rank, seat.core.clone(), active));
            }
        }
        best.map(|(_, core, active)| (core, active))
    }

    /// The next job, for a core that is idle.
    fn next(&mut self, core: &Arc<Core>) -> Option<Arc<Work>> {
        let work = self.take()?;

        if let Some(seat) = self.seat(core) {
            seat.doing = Doing::Job(work.client);
            seat.last = Some(work.client);
        }
        Some(work)
    }
}

/// The cores and the files.
#[pin_data]
pub(crate) struct Sched {
    #[pin]
    state: SpinLock<State>,
    /// A core is idle that is about to leave.
    #[pin]
    idle: WaitQueue,
}

impl Sched {
    /// Neither cores nor files.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                state <- new_spinlock!(
                    State {
                        seats: [const { None }; MAX_CORES],
                        clients: KVec::new(),
                        orphans: 0,
                        substitute: None,
                        now: 0,
                        next_id: 0,
                    },
                    "Sched::state"
                ),
                idle <- soc::new_wait_queue!("Sched::idle"),
            }),
            GFP_KERNEL,
        )
    }

    /// Adds a core.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there are too many.
    pub(crate) fn join(&self, core: &Arc<Core>) -> Result {
        {
            let mut state = self.state.lock();
            let seat = state.seats.iter_mut().find(|seat| seat.is_none());

            *seat.ok_or(ENOSPC)? = Some(Seat {
                core: core.clone(),
                doing: Doing::Nothing,
                leaving: false,
                paused: false,
                last: None,
                tickets: 0,
            });
        }
        self.substitute();
        Ok(())
    }

    /// Keeps a core on in place of those that are gone, if a submission needs it and none is.
    fn substitute(&self) {
        let needed = |state: &State| state.orphans != 0 && state.substitute.is_none();
        let mut spare = None;

        while needed(&self.state.lock()) {
            spare = self.find_core(|core| {
                let _active = core.handle().get().ok()?;
                Some(Substitute {
                    core: core.clone(),
                    _active,
                })
            });
            let Some(found) = &spare else {
                break;
            };
            let mut state = self.state.lock();
            let stays = state.seat(&found.core).is_some_and(|seat| !seat.leaving);

            // Else it is just going as well.
            if stays && needed(&state) {
                state.substitute = spare.take();
            }
        }
        drop(spare);
    }

    /// Starts what waits for a core, as far as there are idle ones that are on.
    pub(crate) fn start_all(&self) {
        Signalling::section(|sig| {
            while let Some(start) = self.dispatch() {
                start.go(sig);
            }
        });
    }

    /// A job that waits, and an idle core for it.
    fn dispatch(&self) -> Option<Start> {
        let mut state = self.state.lock();
        let client = state
            .clients
            .iter()
            .find(|client| client.oldest().is_some())?
            .id;
        let (core, active) = state.idle(client)?;
        let work = state.next(&core)?;

        Some(Start { core, work, active })
    }

    /// Keeps as many cores on as a submission of `jobs` jobs can use, those that the file had last and
    /// those that fewer others keep on first. Switches them on where they are not.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is no core; what switching on has failed with, if none could be.
    pub(crate) fn tickets(
        self: &Arc<Self>,
        _ctx: &MayBlock,
        client: u64,
        jobs: usize,
    ) -> Result<KVec<Ticket>> {
        loop {
            let mut tickets = self.choose(client, jobs)?;
            let mut result = Err(ENODEV);

            for ticket in &mut tickets {
                match ticket.core.handle().get() {
                    Ok(active) => {
                        ticket.active = Some(active);
                        result = Ok(());
                    }
                    Err(err) if result.is_err() => result = Err(err),
                    Err(_) => {}
                }
            }
            // One that was just going says nothing of those that stay.
            if result.is_err() && tickets.iter().any(|ticket| self.goes(&ticket.core)) {
                continue;
            }
            return result.map(|()| tickets);
        }
    }

    /// The cores that a submission is to keep on.
    fn choose(self: &Arc<Self>, client: u64, jobs: usize) -> Result<KVec<Ticket>> {
        let mut tickets: KVec<Ticket> = KVec::with_capacity(MAX_CORES, GFP_KERNEL)?;
        let mut state = self.state.lock();
        let cores = state.seats.iter().flatten().count();

        for _ in 0..cores_wanted(jobs, cores) {
            let has = |seat: &Seat| {
                tickets
                    .iter()
                    .any(|ticket| Arc::ptr_eq(&ticket.core, &seat.core))
            };
            let seat = state
                .seats
                .iter_mut()
                .flatten()
                .filter(|seat| !seat.leaving && !has(seat))
                .min_by_key(|seat| (seat.tickets, seat.last != Some(client)));
            let Some(seat) = seat else {
                break;
            };
            seat.tickets += 1;
            let ticket = Ticket {
                core: seat.core.clone(),
                sched: self.clone(),
                active: None,
            };
            // In the order of the device tree: the first one may have what all of them need.
            let before = |other: &&Ticket| other.core.index() < ticket.core.index();
            let at = tickets.iter().filter(before).count();
            // There is room.
            let _ = tickets.insert_within_capacity(at, ticket);
        }
        drop(state);
        Ok(tickets)
    }

    /// The core is about to be removed, or has been.
    fn goes(&self, core: &Arc<Core>) -> bool {
        self.state.lock().seat(core).is_none_or(|seat| seat.leaving)
    }

    /// Gives the core nothing more, waits until it is idle, and removes it. Jobs that wait for a core while
    /// there is no other one are handed to `fail`.
    pub(crate) fn leave(&self, core: &Arc<Core>, mut fail: impl FnMut(Arc<Work>)) {
        let is = |seat: &Seat| Arc::ptr_eq(&seat.core, core);
        let leaving = |state: &mut State| {
            if let Some(seat) = state.seats.iter_mut().flatten().find(|seat| is(seat)) {
                seat.leaving = true;
            }
        };

        leaving(&mut self.state.lock());
        self.wait_idle(core);

        let gone = {
            let mut state = self.state.lock();
            let seat = state
                .seats
                .iter_mut()
                .find(|seat| seat.as_ref().is_some_and(is))
                .and_then(Option::take);

            state.orphans += seat.as_ref().map_or(0, |seat| seat.tickets);
            let substitute = state
                .substitute
                .take_if(|substitute| Arc::ptr_eq(&substitute.core, core));
            (seat, substitute)
        };
        drop(gone);

        while let Some(work) = self.take_if_deserted() {
            fail(work);
        }
        self.substitute();
        self.start_all();
    }

    fn wait_idle(&self, core: &Arc<Core>) {
        self.idle.wait(|| {
            let mut state = self.state.lock();
            let seat = state.seat(core);

            seat.is_none_or(|seat| matches!(seat.doing, Doing::Nothing))
        });
    }

    /// Gives the core nothing more until [`Sched::go_on`], and waits until it is idle: it is about to be
    /// switched off, perhaps because the system goes to sleep, which does not ask whether it is in use.
    pub(crate) fn pause(&self, core: &Arc<Core>) {
        if let Some(seat) = self.state.lock().seat(core) {
            seat.paused = true;
        }
        self.wait_idle(core);
    }

    /// The core is on again.
    pub(crate) fn go_on(&self, core: &Arc<Core>) {
        if let Some(seat) = self.state.lock().seat(core) {
            seat.paused = false;
        }
    }

    /// A job that waits, if there is no core any more.
    fn take_if_deserted(&self) -> Option<Arc<Work>> {
        let mut state = self.state.lock();

        if state.seats.iter().flatten().next().is_some() {
            return None;
        }
        let work = state.take()?;
        if let Some(client) = state.client(work.client) {
            client.running -= 1;
        }
        Some(work)
    }

    /// Calls `f` with the cores, one after the other, until it returns something.
    pub(crate) fn find_core<R>(&self, mut f: impl FnMut(&Arc<Core>) -> Option<R>) -> Option<R> {
        for index in 0..MAX_CORES {
            let core = {
                let state = self.state.lock();
                let seat = state.seats.get(index).and_then(Option::as_ref);

                seat.filter(|seat| !seat.leaving)
                    .map(|seat| seat.core.clone())
            };
            if let Some(found) = core.and_then(|core| f(&core)) {
                return Some(found);
            }
        }
        None
    }

    /// Adds a file. Returns its number.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn open(&self) -> Result<u64> {
        let mut room = KVec::<Client>::new();

        loop {
            let needed = {
                let mut state = self.state.lock();
                let clients = &mut state.clients;

                if clients.len() == clients.capacity() && room.capacity() > clients.len() {
                    for client in clients.drain_all() {
                        let _ = room.push_within_capacity(client);
                    }
                    core::mem::swap(clients, &mut room);
                }
                if clients.len() < clients.capacity() {
                    let id = state.next_id;
                    let served = state.tick();

                    state.next_id += 1;
                    // There is room.
                    let _ = state.clients.push_within_capacity(Client {
                        id,
                        ready: [const { None }; LANES],
                        running: 0,
                        served,
                    });
                    return Ok(id);
                }
                clients.len() + 1
            };
            room = KVec::with_capacity(needed.next_power_of_two().max(8), GFP_KERNEL)?;
        }
    }

    /// Removes a file. Its jobs that wait for a core are handed to `fail`; those that have one go on.
    pub(crate) fn close(&self, client: u64, mut fail: impl FnMut(Arc<Work>)) {
        let client = {
            let mut state = self.state.lock();
            let index = state.clients.iter().position(|other| other.id == client);

            index.and_then(|index| state.clients.remove(index).ok())
        };
        for ready in client.into_iter().flat_map(|client| client.ready).flatten() {
            fail(ready.work);
        }
    }

    /// A job waits for nothing but a core. Returns what is to be started now, and where.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is no core, `ECANCELED` if the file is gone.
    pub(crate) fn enqueue(&self, work: Arc<Work>) -> Result<Option<Start>> {
        let mut state = self.state.lock();

        if !state.seats.iter().flatten().any(|seat| !seat.leaving) {
            return Err(ENODEV);
        }
        let now = state.tick();
        let (id, lane) = (work.client, work.lane);
        let client = state.client(id).ok_or(ECANCELED)?;

        if let Some(seat) = client.ready.get_mut(lane) {
            *seat = Some(Ready { work, since: now });
        }
        // It may be the turn of another job that waits.
        let Some((core, active)) = state.idle(id) else {
            return Ok(None);
        };
        Ok(state.next(&core).map(|work| Start { core, work, active }))
    }

    /// The core has done its job. Returns the next one.
    pub(crate) fn next(&self, core: &Arc<Core>) -> Option<Arc<Work>> {
        let mut state = self.state.lock();
        let seat = state.seat(core)?;
        let did = core::mem::replace(&mut seat.doing, Doing::Nothing);
        let takes_jobs = seat.takes_jobs();

        if let Doing::Job(client) = did {
            if let Some(client) = state.client(client) {
                client.running -= 1;
            }
        }
        if !takes_jobs {
            drop(state);
            self.idle.wake_all();
            return None;
        }
        state.next(core)
    }

    /// Lets go of an address space whose file is gone, wherever it is not in use.
    pub(crate) fn forget(&self, space: &Arc<Space>) {
        self.find_core::<()>(|core| {
            core.forget(space);
            None
        });
    }
}
