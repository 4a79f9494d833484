// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Interrupts with a thread, in a shape that is safe to use.
//!
//! # Locking
//!
//! None of its own. The two halves of a handler may run at the same time, on different CPUs.
//!
//! # Ordering
//!
//! The handler is called from the moment of the request on: what it needs must be ready before. When
//! [`Irq::disable`], [`Irq::synchronize`] or dropping has returned, what the handler wrote is seen.
//!
//! # Blocking
//!
//! Those three wait for both halves: not to be called from either of them, nor with a lock held that
//! they take. [`Line::silence`] waits for the handlers of all devices on the line.

use kernel::{
    bindings,
    device::Bound,
    error::to_result,
    ffi::{
        c_int,
        c_uint,
        c_void, //
    },
    fmt,
    irq::IrqRequest,
    platform,
    prelude::*,
    str::CStrExt,
    sync::Arc, //
};

use crate::probe;

/// What the hard half of a handler found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The interrupt is not from this device.
    None,
    /// All is done.
    Handled,
    /// The thread has work to do.
    Thread,
}

/// A handler in two halves.
pub trait IrqHandler: Send + Sync + 'static {
    /// In hard interrupt context: looks whether the device has raised the line, and masks it.
    fn raw(&self) -> Wake;

    /// In a thread of its own: handles the events, and unmasks.
    fn thread(&self);
}

/// A requested interrupt. Dropping it frees the line.
///
/// # Invariants
///
/// The interrupt `irq` was requested with a pointer to `*handler` as its cookie.
pub struct Irq<T: IrqHandler> {
    irq: c_uint,
    handler: Arc<T>,
}

impl<T: IrqHandler> Irq<T> {
    /// Requests the interrupt `req`.
    fn request(
        req: &IrqRequest<'_>,
        label: &'static CStr,
        shared: bool,
        handler: Arc<T>,
    ) -> Result<Self> {
        let flags = if shared { bindings::IRQF_SHARED } else { 0 };

        // SAFETY: The handlers take a pointer to a `T`, which is what the cookie is. It stays valid
        // until `drop` has freed the line, as `handler` is kept until then; if the value is leaked,
        // so is the reference. The label is static.
        to_result(unsafe {
            bindings::request_threaded_irq(
                req.irq(),
                Some(raw_half::<T>),
                Some(thread_half::<T>),
                usize::try_from(flags)?,
                label.as_char_ptr(),
                Arc::as_ptr(&handler).cast_mut().cast(),
            )
        })?;

        // INVARIANT: The request has succeeded.
        Ok(Self {
            irq: req.irq(),
            handler,
        })
    }

    /// Requests the device's interrupt `index`, which shows up as `label` in `/proc/interrupts`.
    ///
    /// # Errors
    ///
    /// `ENXIO` if there is none, `EBUSY` if the line is taken and not shared by everybody,
    /// `EPROBE_DEFER` if the irqchip is not there yet; others as that one says. It is said which
    /// interrupt cannot be used.
    pub fn request_by_index(
        pdev: &platform::Device<Bound>,
        index: u32,
        label: &'static CStr,
        shared: bool,
        handler: Arc<T>,
    ) -> Result<Self> {
        pdev.optional_irq_by_index(index)
            .and_then(|req| Self::request(&req, label, shared, handler))
            .map_err(|err| unusable(pdev, fmt!("{index}"), err))
    }

    /// As [`Irq::request_by_index`], for the entry `name` of the device's `interrupt-names`.
    pub fn request_by_name(
        pdev: &platform::Device<Bound>,
        name: &CStr,
        label: &'static CStr,
        shared: bool,
        handler: Arc<T>,
    ) -> Result<Self> {
        pdev.optional_irq_by_name(name)
            .and_then(|req| Self::request(&req, label, shared, handler))
            .map_err(|err| unusable(pdev, fmt!("\"{name}\""), err))
    }

    /// The handler.
    pub fn handler(&self) -> &T {
        &self.handler
    }

    /// Disables the line, and waits for both halves. Nests.
    pub fn disable(&self) {
        // SAFETY: By the type's invariant the interrupt is requested.
        unsafe { bindings::disable_irq(self.irq) };
    }

    /// Disables the line, and does not wait. Nests.
    pub fn disable_nosync(&self) {
        // SAFETY: By the type's invariant the interrupt is requested.
        unsafe { bindings::disable_irq_nosync(self.irq) };
    }

    /// Undoes one call that has disabled the line.
    pub fn enable(&self) {
        // SAFETY: By the type's invariant the interrupt is requested.
        unsafe { bindings::enable_irq(self.irq) };
    }

    /// Waits for both halves.
    pub fn synchronize(&self) {
        // SAFETY: By the type's invariant the interrupt is requested.
        unsafe { bindings::synchronize_irq(self.irq) };
    }
}

fn unusable(pdev: &platform::Device<Bound>, which: fmt::Arguments<'_>, err: Error) -> Error {
    let why = fmt!(
        "cannot use the interrupt {which}: check interrupts and interrupt-names in the device \
         tree, and the driver of the interrupt controller"
    );
    probe::failed(pdev.as_ref(), err, why)
}

/// A line, whoever is on it: for what no handler may see, not even that of another device.
///
/// Not to be kept beyond the time for which the driver is bound: the number may be another line's then.
pub struct Line(c_uint);

impl Line {
    /// The line of the device's interrupt `index`.
    ///
    /// # Errors
    ///
    /// `ENXIO` if there is none, `EPROBE_DEFER` if the irqchip is not there yet; others as that one
    /// says. It is said which interrupt cannot be used.
    pub fn by_index(pdev: &platform::Device<Bound>, index: u32) -> Result<Self> {
        pdev.optional_irq_by_index(index)
            .map(|req| Self(req.irq()))
            .map_err(|err| unusable(pdev, fmt!("{index}"), err))
    }

    /// Disables the line until what this returns is dropped, and waits for all handlers and their
    /// threads. Nests.
    pub fn silence(&self) -> Silence<'_> {
        // SAFETY: Does nothing about a number that is no interrupt's.
        unsafe { bindings::disable_irq(self.0) };
        // INVARIANT: It was disabled just now.
        Silence(self)
    }
}

/// A line that is disabled. Dropping it never waits.
///
/// # Invariants
///
/// The line was disabled once for this.
pub struct Silence<'a>(&'a Line);

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant this undoes a call that has disabled the line.
        unsafe { bindings::enable_irq(self.0 .0) };
    }
}

impl<T: IrqHandler> Drop for Irq<T> {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the interrupt was requested with this cookie. When the
        // function returns, neither half runs any more.
        unsafe { bindings::free_irq(self.irq, Arc::as_ptr(&self.handler).cast_mut().cast()) };
    }
}

/// # Safety
///
/// `cookie` must point to a `T`.
unsafe extern "C" fn raw_half<T: IrqHandler>(
    _irq: c_int,
    cookie: *mut c_void,
) -> bindings::irqreturn_t {
    // SAFETY: By the requirement of this function.
    let handler = unsafe { &*cookie.cast::<T>() };

    match handler.raw() {
        Wake::None => bindings::irqreturn::IRQ_NONE,
        Wake::Handled => bindings::irqreturn::IRQ_HANDLED,
        Wake::Thread => bindings::irqreturn::IRQ_WAKE_THREAD,
    }
}

/// # Safety
///
/// `cookie` must point to a `T`.
unsafe extern "C" fn thread_half<T: IrqHandler>(
    _irq: c_int,
    cookie: *mut c_void,
) -> bindings::irqreturn_t {
    // SAFETY: By the requirement of this function.
    let handler = unsafe { &*cookie.cast::<T>() };

    handler.thread();
    bindings::irqreturn::IRQ_HANDLED
}
