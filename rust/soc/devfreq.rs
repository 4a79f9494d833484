// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A device whose rate follows its load: the kernel's devfreq, with the governor `simple_ondemand` and,
//! where the kernel has them, a cooling device.
//!
//! A driver counts work with [`Load`], which it always has. A [`Devfreq`] it has where there is
//! something to choose from: several operating points, and a kernel with `CONFIG_PM_DEVFREQ` and the
//! governor. None of that is needed to work.
//!
//! # Locking
//!
//! A load's spinlock is taken in process context, inside of whatever lock a caller holds; nothing is
//! taken inside of it. devfreq calls [`Scalable`] with a mutex of its own held, and so may user space,
//! through sysfs, at any time between [`Devfreq::new`] and the end of the drop, also while the device is
//! suspended.
//!
//! # Ordering
//!
//! Time counts from [`Load::count`] to the drop of what that returns, and not while the device is off:
//! neither as time with work nor as time without. What has happened until then is still reported
//! afterwards; whoever asks without anything having happened since gets the last answer again, so that a
//! change of limits while the device is off does not look like a load.
//!
//! # Blocking
//!
//! Beginning and ending work never sleeps. Everything of a [`Devfreq`] may, and [`Devfreq::suspend`] and the
//! drop wait for [`Scalable`]: not with a lock held that this takes.

use core::ptr::NonNull;

use kernel::{
    clk::Hertz,
    device::{
        Bound,
        Device, //
    },
    error::{
        from_err_ptr,
        to_result, //
    },
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
    new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        SpinLock, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};

use crate::raw_device;

/// Of a time, how much the device had work for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Time with work.
    pub busy: Delta,
    /// All of the time.
    pub total: Delta,
}

impl Share {
    const NONE: Self = Self {
        busy: Delta::ZERO,
        total: Delta::ZERO,
    };

    fn add(&mut self, elapsed: Delta, busy: bool) {
        self.total += elapsed;
        if busy {
            self.busy += elapsed;
        }
    }
}

struct Counts {
    /// How many have work.
    working: u32,
    /// How many of what it consists of are on.
    counting: u32,
    /// When the counts were last brought up to date.
    since: Instant<Monotonic>,
    /// Since the last report.
    window: Share,
    /// The last report.
    reported: Share,
    /// Since the beginning.
    sum: Share,
}

impl Counts {
    fn settle(&mut self) {
        let now = Instant::now();
        let elapsed = now - self.since;
        self.since = now;
        if self.counting != 0 {
            self.window.add(elapsed, self.working != 0);
            self.sum.add(elapsed, self.working != 0);
        }
    }

    /// What has happened since the last report; the last one again if that is nothing.
    fn report(&mut self) -> Share {
        self.settle();
        if !self.window.total.is_zero() {
            self.reported = self.window;
            self.window = Share::NONE;
        }
        self.reported
    }
}

/// Whether a device has work, and for how long.
#[pin_data]
pub struct Load {
    #[pin]
    counts: SpinLock<Counts>,
}

/// Some work for the device, which ends when this is dropped. Dropping never sleeps.
pub struct Work(Arc<Load>);

impl Drop for Work {
    fn drop(&mut self) {
        let mut counts = self.0.counts.lock();
        counts.settle();
        counts.working -= 1;
    }
}

/// A device that is on, until this and all others like it are dropped.
pub struct Counting(Arc<Load>);

impl Drop for Counting {
    fn drop(&mut self) {
        let mut counts = self.0.counts.lock();
        counts.settle();
        counts.counting -= 1;
    }
}

impl Load {
    /// Of a device that is off and has no work.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                counts <- new_spinlock!(
                    Counts {
                        working: 0,
                        counting: 0,
                        since: Instant::now(),
                        window: Share::NONE,
                        reported: Share::NONE,
                        sum: Share::NONE,
                    },
                    "soc::devfreq::Load"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Somebody has work for the device. Never sleeps.
    pub fn begin(self: &Arc<Self>) -> Work {
        let mut counts = self.counts.lock();
        counts.settle();
        counts.working += 1;
        drop(counts);
        Work(self.clone())
    }

    /// The device is on, or one more of several that run at the same rate.
    pub fn count(self: &Arc<Self>) -> Counting {
        let mut counts = self.counts.lock();
        counts.settle();
        counts.counting += 1;
        drop(counts);
        Counting(self.clone())
    }

    /// All time that the device was on.
    pub fn sum(&self) -> Share {
        let mut counts = self.counts.lock();
        counts.settle();
        counts.sum
    }
}

/// A device that runs at different rates.
pub trait Scalable: Send + Sync + 'static {
    /// Runs it at `rate`, that of an operating point, with the voltage that belongs to it.
    ///
    /// # Errors
    ///
    /// It runs at a rate that it can run at, then; which one, [`Self::rate`] says.
    fn set_rate(&self, rate: Hertz) -> Result;

    /// Its rate now.
    fn rate(&self) -> Hertz;
}

/// When the governor acts.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// How often it looks, in milliseconds.
    pub polling_ms: u32,
    /// Above this load, in percent, the highest rate is chosen.
    pub up: u32,
    /// So far below `up`, in percent, the rate begins to fall.
    pub down_difference: u32,
}

/// What devfreq's callbacks need.
struct Parts<T> {
    device: Arc<T>,
    load: Arc<Load>,
}

/// A device whose rate devfreq chooses, until this is dropped.
///
/// # Invariants
///
/// `raw` was added with a pointer to `*_parts`, and is removed by nobody else.
pub struct Devfreq<T: Scalable> {
    raw: NonNull<shims::c::shim_devfreq>,
    _parts: KBox<Parts<T>>,
    _dev: ARef<Device>,
}

// SAFETY: What the pointer is good for can be done by any task, and `Parts` can be used by several.
unsafe impl<T: Scalable> Send for Devfreq<T> {}
// SAFETY: devfreq has locks of its own.
unsafe impl<T: Scalable> Sync for Devfreq<T> {}

impl<T: Scalable> Devfreq<T> {
    /// Has the rate of `dev`, which is that of `device`, follow `load`, beginning at once. The operating point
    /// that is set is the one for `rate`.
    ///
    /// The operating points of `dev` must stay as they are until this is dropped.
    ///
    /// # Errors
    ///
    /// `ENOSYS` without `CONFIG_PM_DEVFREQ`, `ENODEV` if there is but one operating point, `ENOMEM`;
    /// others if there is no such governor.
    pub fn new(
        dev: &Device<Bound>,
        device: Arc<T>,
        rate: Hertz,
        load: Arc<Load>,
        thresholds: Thresholds,
    ) -> Result<Self> {
        let parts = KBox::new(Parts { device, load }, GFP_KERNEL)?;

        // SAFETY: The device is bound. The functions take a pointer to a `Parts<T>`, which stays where it is
        // until it is dropped, after the removal.
        let raw = from_err_ptr(unsafe {
            shims::c::shim_devfreq_add(
                raw_device(dev),
                rate.as_hz(),
                thresholds.polling_ms,
                thresholds.up,
                thresholds.down_difference,
                Some(set_rate::<T>),
                Some(rate_of::<T>),
                Some(load_of::<T>),
                core::ptr::from_ref::<Parts<T>>(&parts).cast_mut().cast(),
            )
        })?;

        // INVARIANT: It was added just now.
        Ok(Self {
            raw: NonNull::new(raw).ok_or(ENODEV)?,
            _parts: parts,
            _dev: (&**dev).into(),
        })
    }

    /// The device is about to be switched off: the governor stops, and the rate becomes the one that the
    /// device tree has for this, if it has one. Nests.
    ///
    /// # Errors
    ///
    /// If that rate cannot be set. The governor has stopped all the same.
    pub fn suspend(&self) -> Result {
        // SAFETY: By the type's invariant it is not removed.
        to_result(unsafe { shims::c::shim_devfreq_suspend(self.raw.as_ptr()) })
    }

    /// Undoes one [`Self::suspend`].
    ///
    /// # Errors
    ///
    /// If the rate cannot be set. The governor does not run then until the next time.
    pub fn resume(&self) -> Result {
        // SAFETY: By the type's invariant it is not removed.
        to_result(unsafe { shims::c::shim_devfreq_resume(self.raw.as_ptr()) })
    }
}

impl<T: Scalable> Drop for Devfreq<T> {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant it was added, and this is its end. When the function returns the
        // callbacks are not called any more.
        unsafe { shims::c::shim_devfreq_remove(self.raw.as_ptr()) };
    }
}

/// # Safety
///
/// `data` must point to a `Parts<T>`.
unsafe extern "C" fn set_rate<T: Scalable>(data: *mut c_void, hz: c_ulong) -> c_int {
    // SAFETY: By the requirement of this function.
    let parts = unsafe { &*data.cast::<Parts<T>>() };
    match parts.device.set_rate(Hertz(hz)) {
        Ok(()) => 0,
        Err(err) => err.to_errno(),
    }
}

/// # Safety
///
/// `data` must point to a `Parts<T>`.
unsafe extern "C" fn rate_of<T: Scalable>(data: *mut c_void) -> c_ulong {
    // SAFETY: By the requirement of this function.
    let parts = unsafe { &*data.cast::<Parts<T>>() };
    parts.device.rate().as_hz()
}

/// # Safety
///
/// `data` must point to a `Parts<T>`, the others must be good for writing.
unsafe extern "C" fn load_of<T: Scalable>(
    data: *mut c_void,
    busy: *mut c_ulong,
    total: *mut c_ulong,
) {
    // SAFETY: By the requirement of this function.
    let parts = unsafe { &*data.cast::<Parts<T>>() };
    let share = parts.load.counts.lock().report();
    // The governor takes no time at all for a full load: a device that was never on has none.
    let micros = |time: Delta| c_ulong::try_from(time.as_micros_ceil()).unwrap_or(c_ulong::MAX);
    // SAFETY: By the requirement of this function.
    unsafe {
        *busy = micros(share.busy);
        *total = micros(share.total).max(1);
    }
}

#[kernel::macros::kunit_tests(rust_soc_devfreq)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        Counts {
            working: 0,
            counting: 0,
            since: Instant::now(),
            window: Share::NONE,
            reported: Share::NONE,
            sum: Share::NONE,
        }
    }

    fn pass(counts: &mut Counts) {
        let begin = Instant::<Monotonic>::now();
        while begin.elapsed().is_zero() {}
        counts.settle();
    }

    #[test]
    fn time_counts_while_the_device_is_on_only() {
        let mut counts = counts();
        counts.working = 1;
        pass(&mut counts);
        assert_eq!(counts.sum, Share::NONE);
        counts.counting = 1;
        pass(&mut counts);
        assert!(!counts.sum.total.is_zero());
        assert_eq!(counts.sum.busy, counts.sum.total);
        let before = counts.sum;
        counts.counting = 0;
        pass(&mut counts);
        assert_eq!(counts.sum, before);
    }

    #[test]
    fn time_without_work_is_not_busy() {
        let mut counts = counts();
        counts.counting = 1;
        pass(&mut counts);
        assert!(counts.sum.busy.is_zero());
        assert!(!counts.sum.total.is_zero());
    }

    #[test]
    fn a_report_is_repeated_while_nothing_happens() {
        let mut counts = counts();
        counts.counting = 1;
        counts.working = 1;
        pass(&mut counts);
        counts.counting = 0;
        let first = counts.report();
        assert!(!first.total.is_zero());
        assert_eq!(first.busy, first.total);
        pass(&mut counts);
        assert_eq!(counts.report(), first);
    }
}
