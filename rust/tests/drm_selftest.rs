// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A driver without hardware, to test the crate `drm` from user space.
//!
//! The device hangs off a faux device. Its ioctls expose one feature of the crate each, in a way that
//! lets `drm_selftest_user.c` check what happened. One of them unbinds the device while files are open.

#![deny(unsafe_code)]

#[path = "drm_submit.rs"]
mod submit;

use drm::{
    exec,
    gem,
    gpuvm,
    mm,
    mmap,
    resv::Usage,
    syncobj,
    uobj,
    Device,
    DriverFile,
    DriverInfo,
    Entered,
    Features,
    File,
    UnregisteredDevice, //
};
use job::{
    FenceNames,
    FenceSlot,
    MayBlock,
    PendingFence,
    Signalling,
    Timeline, //
};
use kernel::{
    faux,
    new_mutex,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    workqueue, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

/// Offsets from here on are the driver's own pages.
const PAGES_OFFSET: u64 = 1 << 56;
/// A page of the CPU.
const PAGE: usize = kernel::page::PAGE_SIZE;
/// A page of many devices, of which one of the CPU has one or more.
const DEVICE_PAGE: u64 = 4096;
const SPACE: core::ops::Range<u64> = 0x1000_0000..0x2000_0000;

static BOUND: Atomic<u32> = Atomic::new(0);
static OBJECTS: Atomic<u32> = Atomic::new(0);
static FILES: Atomic<u32> = Atomic::new(0);
static FAULTS: Atomic<u32> = Atomic::new(0);

/// Counts the values of a kind that are alive.
struct Alive(&'static Atomic<u32>);

impl Alive {
    fn new(counter: &'static Atomic<u32>) -> Self {
        counter.add(1, Relaxed);
        Self(counter)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.add(u32::MAX, Relaxed);
    }
}

struct Test;

struct Names;

impl FenceNames for Names {
    const DRIVER: &'static CStr = c"drm_selftest";
    const TIMELINE: &'static CStr = c"test";
}

struct Bound {
    page: mmap::SharedPage<Test>,
    _firmware: ARef<gem::Object<Test>>,
    _alive: Alive,
}

struct Object {
    _alive: Alive,
}

#[pin_data]
struct OpenFile {
    tree: gpuvm::VaTree<Space>,
    vm: ARef<gpuvm::GpuVm<Space>>,
    #[pin]
    pending: Mutex<Option<PendingFence>>,
    timeline: Timeline,
    queues: submit::Queues,
    ranges: Arc<mm::RangeAllocator>,
    _alive: Alive,
}

/// Records the steps of a change, and fails one on request.
struct Space {
    steps: KVec<u64>,
    fail: Option<usize>,
}

impl Space {
    fn step(&mut self, kind: u64, addr: u64, len: u64) -> Result {
        if self.fail == Some(self.steps.len() / 3) {
            return Err(EIO);
        }
        for word in [kind, addr, len] {
            self.steps.push(word, GFP_KERNEL)?;
        }
        Ok(())
    }
}

impl gpuvm::DriverGpuVm for Space {
    type Driver = Test;
    type VaData = u32;
    type VmBoData = gem::Pinned<Test>;
    type Context<'a> = u32;

    fn step_map(&mut self, op: &gpuvm::MapStep<'_, Self>, flags: &mut u32) -> Result<u32> {
        let memory: u64 = op
            .vm_bo()
            .data()
            .segments(op.gem_offset(), op.len())
            .map(|segment| segment.len)
            .sum();

        if memory != op.len() {
            return Err(ENXIO);
        }
        self.step(1, op.addr(), op.len())?;
        Ok(*flags)
    }

    fn step_unmap(&mut self, va: &gpuvm::Va<Self>, _: &mut u32) -> Result {
        self.step(2, va.addr(), va.len())
    }

    fn step_remap(&mut self, op: &gpuvm::RemapStep<'_, Self>, _: &mut u32) -> Result {
        let hole = op.unmapped();

        self.step(3, hole.start, hole.end - hole.start)
    }
}

macro_rules! uapi {
    ($($(#[$attr:meta])* struct $name:ident { $($field:ident: $ty:ty),* $(,)? })*) => {$(
        $(#[$attr])*
        #[repr(C)]
        #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
        struct $name { $($field: $ty),* }
    )*};
}

uapi! {
    /// An array of `Item`; the sum of their values comes back, and `Reply` is written to `reply`.
    struct Echo { array: u64, count: u32, stride: u32, reply: u64, reply_size: u32, pad: u32, sum: u64 }
    struct Item { value: u64, extra: u64 }
    struct Reply { first: u64, second: u64 }
    /// `private` objects share the reservation of the file's address space.
    struct Create { size: u64, flags: u32, private: u32, handle: u32, pad: u32 }
    struct Offset { handle: u32, pad: u32, offset: u64 }
    struct Words { handle: u32, pad: u32, offset: u64, value: u64 }
    /// `op` 1 maps, 2 unmaps; `fail` is the step that fails, counted from 1.
    struct Bind { op: u32, handle: u32, addr: u64, len: u64, offset: u64, flags: u32, fail: u32 }
    /// `words` returns triples of the last change (`what` 0), or of address, length and offset in the
    /// object of all mappings (1).
    struct Dump { what: u32, count: u32, words: [u64; 24] }
    /// Makes a fence, adds it to the address space and its objects, and puts it in a syncobj: that of
    /// the handle, or with handle 0 a new one.
    struct Sync { handle: u32, pad: u32, point: u64 }
    struct Range { size: u64, align: u64, start: u64 }
    struct Nothing { pad: u64 }
    /// Makes jobs, see `submit`.
    struct Submit { entries: u64, count: u32, stride: u32 }
    struct Finish { queue: u32, count: u32 }
    struct Ran { count: u32, names: [u32; 256] }
}

#[vtable]
impl drm::Driver for Test {
    type Data = ();
    type Bound = Bound;
    type File = OpenFile;
    type Object = Object;

    const INFO: DriverInfo = DriverInfo {
        major: 1,
        minor: 2,
        patchlevel: 3,
        name: c"drm_selftest",
        desc: c"Test of the Rust DRM layer",
    };
    const FEATURES: Features = Features::RENDER
        .or(Features::SYNCOBJ)
        .or(Features::SYNCOBJ_TIMELINE);
    const DEBUGFS: &'static [drm::debugfs::Entry<Self>] = &[drm::debugfs::Entry {
        name: c"alive",
        show: show_alive,
    }];

    drm::ioctls! {
        IOWR 0 ECHO(Echo, RENDER_ALLOW) => echo,
        IOWR 1 CREATE(Create, RENDER_ALLOW) => create,
        IOWR 2 OFFSET(Offset, RENDER_ALLOW) => offset,
        IOWR 3 READ(Words, RENDER_ALLOW) => read,
        IOW 4 WRITE(Words, RENDER_ALLOW) => write,
        IOWR 5 BIND(Bind, RENDER_ALLOW) => bind,
        IOWR 6 DUMP(Dump, RENDER_ALLOW) => dump,
        IOWR 7 SYNC(Sync, RENDER_ALLOW) => sync,
        IOW 8 SIGNAL(Nothing, RENDER_ALLOW) => signal,
        IOWR 9 WAIT(Sync, RENDER_ALLOW) => wait,
        IOWR 10 RANGE(Range, RENDER_ALLOW) => range,
        IOW 11 MASTER_ONLY(Nothing, MASTER) => master_only,
        IOW 12 UNBIND(Nothing, RENDER_ALLOW) => unbind,
        IOW 13 ZAP(Nothing, RENDER_ALLOW) => zap,
        IOW 14 MEMORY(Nothing, RENDER_ALLOW) => memory,
        IOW 15 SUBMIT(Submit, RENDER_ALLOW) => submit::submit,
        IOW 16 FINISH(Finish, RENDER_ALLOW) => submit::finish,
        IOWR 17 RAN(Ran, RENDER_ALLOW) => submit::ran,
        IOW 18 SLOTS(Nothing, RENDER_ALLOW) => slots,
    }

    fn show_fdinfo(_: &Device<Self>, file: &File<Self>, p: &mut drm::fdinfo::Printer<'_>) {
        let steps = file.tree.lock().state().steps.len() / 3;

        p.print(kernel::prelude::fmt!("drm-selftest-steps:\t{steps}\n"));
        p.memory_stats(file);
    }

    fn mmap(_: &Entered<'_, Self>, _: &File<Self>, request: &mmap::Request) -> Result<mmap::Claim> {
        if request.offset() < PAGES_OFFSET {
            return Ok(mmap::Claim::Gem);
        }
        if request.len() != PAGE {
            return Err(EINVAL);
        }
        Ok(mmap::Claim::Pages(mmap::Pages {
            tag: 7,
            writable: false,
        }))
    }

    fn mmap_fault(dev: &Entered<'_, Self>, fault: &mmap::Fault<'_, Self>) -> mmap::Outcome {
        if fault.tag() != 7 || fault.offset() != PAGES_OFFSET {
            return fault.sigbus();
        }
        FAULTS.add(1, Relaxed);
        fault.insert_page(&dev.bound().page)
    }
}

fn show_alive(_: &Device<Test>, m: &SeqFile) -> Result {
    seq_print!(
        m,
        "bound {} objects {} files {}\n",
        BOUND.load(Relaxed),
        OBJECTS.load(Relaxed),
        FILES.load(Relaxed)
    );
    Ok(())
}

impl DriverFile for OpenFile {
    type Driver = Test;

    fn open(dev: &Entered<'_, Test>) -> Result<Pin<KBox<Self>>> {
        let tree = gpuvm::GpuVm::new(
            dev,
            c"selftest",
            SPACE,
            gem::Resv::new(dev)?,
            Space {
                steps: KVec::new(),
                fail: None,
            },
        )?;
        let vm = tree.vm().into();
        let ranges = mm::RangeAllocator::new(0x1000..0x9000)?;
        let queues = submit::Queues::new()?;

        KBox::pin_init(
            pin_init!(Self {
                tree,
                vm,
                pending <- new_mutex!(None),
                timeline: Timeline::new::<Names>(),
                queues,
                ranges,
                _alive: Alive::new(&FILES),
            }),
            GFP_KERNEL,
        )
    }

    fn postclose(&self, _: &Device<Test>) {
        if let Some(fence) = self.pending.lock().take() {
            Signalling::section(|sig| fence.signal(Err(ECANCELED), sig));
        }
    }
}

fn echo(_: &Entered<'_, Test>, args: &mut Echo, _: &File<Test>) -> Result<u32> {
    let items = uobj::read_array::<Item>(
        args.array,
        args.count,
        args.stride,
        drm::min_size!(Item, value),
    )?;

    args.sum = 0;
    for item in &items {
        args.sum = args
            .sum
            .wrapping_add(item.value)
            .wrapping_add(item.extra << 32);
    }
    if args.reply != 0 {
        let reply = Reply {
            first: 0x11,
            second: 0x22,
        };

        uobj::write(
            args.reply,
            args.reply_size,
            drm::min_size!(Reply, first),
            &reply,
        )?;
    }
    if args.pad != 0 {
        return Err(EBADE);
    }
    Ok(5)
}

fn create(dev: &Entered<'_, Test>, args: &mut Create, file: &File<Test>) -> Result<u32> {
    let mut flags = gem::Flags::NONE;

    if args.flags & 1 != 0 {
        flags = flags.or(gem::Flags::NO_MMAP);
    }
    if args.flags & 2 != 0 {
        flags = flags.or(gem::Flags::WRITE_BACK);
    }

    let resv = (args.private != 0).then(|| file.vm.resv());
    let obj = gem::Object::new(
        dev,
        args.size,
        flags,
        resv,
        Ok(Object {
            _alive: Alive::new(&OBJECTS),
        }),
    )?;

    args.handle = obj.create_handle(file)?;
    args.size = u64::try_from(obj.size())?;
    Ok(0)
}

fn offset(_: &Entered<'_, Test>, args: &mut Offset, file: &File<Test>) -> Result<u32> {
    args.offset = file.lookup(args.handle)?.mmap_offset()?;
    Ok(0)
}

fn read(_: &Entered<'_, Test>, args: &mut Words, file: &File<Test>) -> Result<u32> {
    let obj = file.lookup(args.handle)?;

    obj.pin()?.sync_for_cpu(args.offset, 8);
    args.value = obj.vmap()?.read64(usize::try_from(args.offset)?)?;
    Ok(0)
}

fn write(_: &Entered<'_, Test>, args: &mut Words, file: &File<Test>) -> Result<u32> {
    let obj = file.lookup(args.handle)?;
    let map = obj.vmap()?;
    let window = map.slice(usize::try_from(args.offset)?, 8)?;

    drop(map);
    window.copy_from_slice(0, &args.value.to_ne_bytes())?;
    obj.pin()?.sync_for_device(args.offset, 8);
    Ok(0)
}

fn bind(_: &Entered<'_, Test>, args: &mut Bind, file: &File<Test>) -> Result<u32> {
    let mut flags = args.flags;
    let vm_bo = match args.op {
        1 => {
            let obj = file.lookup(args.handle)?;

            Some(file.vm.obtain(&obj, obj.pin()?)?)
        }
        2 => None,
        _ => return Err(EINVAL),
    };
    let result = {
        let mut tree = file.tree.lock();
        let state = tree.state_mut();

        state.steps.clear();
        state.fail = usize::try_from(args.fail)?.checked_sub(1);
        match &vm_bo {
            Some(vm_bo) => tree.map(
                gpuvm::MapRequest {
                    addr: args.addr,
                    len: args.len,
                    gem_offset: args.offset,
                    vm_bo,
                    unbounded: false,
                },
                &mut gpuvm::Prealloc::for_map()?,
                &mut flags,
            ),
            None => tree.unmap(
                args.addr,
                args.len,
                &mut gpuvm::Prealloc::for_unmap()?,
                &mut flags,
            ),
        }
    };

    drop(vm_bo);
    file.vm.deferred_cleanup();
    result?;
    Ok(0)
}

fn dump(_: &Entered<'_, Test>, args: &mut Dump, file: &File<Test>) -> Result<u32> {
    let tree = file.tree.lock();
    let mut words = KVec::new();

    match args.what {
        0 => words.extend_from_slice(&tree.state().steps, GFP_KERNEL)?,
        1 => {
            for va in tree.iter() {
                for word in [va.addr(), va.len(), va.gem_offset()] {
                    words.push(word, GFP_KERNEL)?;
                }
            }
        }
        // The first mapping of a range, and its data.
        2 => {
            if let Some(va) = tree.find_first(args.words[0], args.words[1]) {
                for word in [va.addr(), va.len(), u64::from(*va.data())] {
                    words.push(word, GFP_KERNEL)?;
                }
            }
        }
        _ => return Err(EINVAL),
    }
    args.words = [0; 24];
    for (to, from) in args.words.iter_mut().zip(&words) {
        *to = *from;
    }
    args.count = u32::try_from(words.len())?;
    Ok(0)
}

fn sync(_: &Entered<'_, Test>, args: &mut Sync, file: &File<Test>) -> Result<u32> {
    let may_block = MayBlock::new();
    let obj = match args.handle {
        0 => syncobj::Syncobj::new(&may_block)?,
        handle => syncobj::Syncobj::find(file, handle)?,
    };

    if args.handle == 0 {
        args.handle = obj.create_handle(&may_block, file)?;
    }

    let chain = (args.point != 0)
        .then(|| syncobj::Chain::new(&may_block))
        .transpose()?;
    let slot = FenceSlot::new(&may_block)?;
    let flags = exec::Flags::INTERRUPTIBLE.or(exec::Flags::IGNORE_DUPLICATES);

    exec::with_locked(
        flags,
        1,
        |attempt| file.vm.prepare(attempt),
        |locked| {
            let mut pending = file.pending.lock();

            if pending.is_some() {
                return Err(EBUSY);
            }

            let fence = slot.arm(&file.timeline);

            file.vm
                .add_fence(locked, fence.fence(), Usage::Bookkeep, Usage::Write)?;
            // All slots are used up now.
            if locked.add_fence(fence.fence(), Usage::Bookkeep) != Err(EINVAL) {
                pr_err!("a slot too many\n");
            }
            match chain {
                Some(chain) => obj.add_point(chain, fence.fence(), args.point),
                None => obj.replace_fence(Some(fence.fence())),
            }
            if obj.clone().fence().is_none() {
                pr_err!("the fence is not there\n");
            }
            *pending = Some(fence);
            Ok(0)
        },
    )
}

fn signal(_: &Entered<'_, Test>, _: &mut Nothing, file: &File<Test>) -> Result<u32> {
    let fence = file.pending.lock().take().ok_or(ENOENT)?;

    Signalling::section(|sig| fence.signal(Ok(()), sig));
    Ok(0)
}

/// Whether a point has signalled (bit 0), and whether the object itself has no fence pending (bit 1).
fn wait(_: &Entered<'_, Test>, args: &mut Sync, file: &File<Test>) -> Result<u32> {
    let fence = syncobj::find_fence(file, args.handle, args.point)?;

    if args.pad == 0 {
        return Ok(u32::from(fence.is_signaled()));
    }
    // Here `pad` is a buffer.
    let idle = drm::resv::wait(
        &MayBlock::new(),
        &*file.lookup(args.pad)?,
        Usage::Bookkeep,
        true,
        0,
    )?;

    Ok(u32::from(fence.is_signaled()) | u32::from(idle) << 1)
}

fn range(_: &Entered<'_, Test>, args: &mut Range, file: &File<Test>) -> Result<u32> {
    let first = file.ranges.insert(args.size, args.align, 0x1000..0x9000)?;
    let second = file.ranges.reserve(first.range());

    // It is taken, and free again when the node has gone.
    if second.err() != Some(ENOSPC) {
        return Err(EBADE);
    }
    args.start = first.start();
    drop(first);
    drop(file.ranges.reserve(args.start..args.start + args.size)?);
    Ok(0)
}

fn master_only(_: &Entered<'_, Test>, _: &mut Nothing, _: &File<Test>) -> Result<u32> {
    Ok(0)
}

/// Removes the mapping of the driver's page; returns how often it was asked for until now.
fn zap(dev: &Entered<'_, Test>, _: &mut Nothing, _: &File<Test>) -> Result<u32> {
    dev.zap_mappings(PAGES_OFFSET, u64::try_from(PAGE)?);
    Ok(FAULTS.load(Relaxed))
}

/// Access to memory in all widths; returns the number of the first thing that is wrong.
fn memory(dev: &Entered<'_, Test>, _: &mut Nothing, _: &File<Test>) -> Result<u32> {
    let page = u64::try_from(PAGE)?;
    let size = 3 * page;
    let obj = gem::Object::new(
        dev,
        size,
        gem::Flags::WRITE_BACK,
        None,
        Ok(Object {
            _alive: Alive::new(&OBJECTS),
        }),
    )?;
    let map = obj.vmap()?;
    let mut bytes = [0; 4];

    map.fill(8, 8, 0xa5)?;
    map.write::<u8>(9, 1)?;
    map.write::<u16>(10, 0x0302)?;
    map.copy_to_slice(8, &mut bytes)?;

    let segments: u64 = obj.pin()?.segments(page - 6, page).map(|s| s.len).sum();
    let clipped: u64 = obj.pin()?.segments(size - 1, 10).map(|s| s.len).sum();
    // Each page of a device by itself, from wherever in one of the CPU.
    let pinned = obj.pin()?;
    let whole = pinned.segments(page, page).next().ok_or(EBADE)?.dma;
    let alone = (0..page / DEVICE_PAGE).all(|n| {
        let mut found = pinned.segments(page + n * DEVICE_PAGE, DEVICE_PAGE);
        let first = found.next();
        first.is_some_and(|s| s.len == DEVICE_PAGE && s.dma == whole + n * DEVICE_PAGE)
            && found.next().is_none()
    });
    let checks = [
        bytes == [0xa5, 1, 2, 3],
        map.read::<u16>(10)? == 0x0302,
        map.read::<u8>(16)? == 0 && map.read::<u8>(7)? == 0,
        map.read32(12)? == 0xa5a5_a5a5,
        map.read::<u16>(11) == Err(EINVAL),
        map.write32(3 * PAGE - 3, 0) == Err(EINVAL),
        map.fill(3 * PAGE - 3, 4, 0) == Err(EINVAL),
        map.fill(usize::MAX, 2, 0) == Err(EINVAL),
        map.slice(PAGE, 0).err() == Some(EINVAL),
        map.slice(PAGE, 2 * PAGE)?.read32(2 * PAGE) == Err(EINVAL),
        segments == page,
        clipped == 1,
        alone,
        obj.pin()?.segments(size, 1).next().is_none(),
        obj.pin()?.segments(u64::MAX, u64::MAX).next().is_none(),
        obj.flags() == gem::Flags::WRITE_BACK && obj.shared_resv().is_none(),
    ];

    Ok(match checks.iter().position(|check| !check) {
        Some(i) => u32::try_from(i)? + 1,
        None => 0,
    })
}

/// Misuse of fence slots is an error and nothing worse; returns the number of the first thing that is wrong.
fn slots(dev: &Entered<'_, Test>, _: &mut Nothing, file: &File<Test>) -> Result<u32> {
    const ALREADY: i32 = -114;
    let object = |resv| {
        gem::Object::new(
            dev,
            1,
            gem::Flags::NONE,
            resv,
            Ok(Object {
                _alive: Alive::new(&OBJECTS),
            }),
        )
    };
    let (own, other) = (object(None)?, object(None)?);
    let (one, two) = (object(Some(file.vm.resv()))?, object(Some(file.vm.resv()))?);
    let pending = FenceSlot::new(&MayBlock::new())?.arm(&file.timeline);
    let fence = pending.fence();
    let usage = Usage::Bookkeep;
    let flags = exec::Flags::NONE;
    let duplicates = exec::Flags::IGNORE_DUPLICATES;
    let most = exec::MAX_FENCES;

    let checks = [
        // Objects that never had a fence, and no slots for any.
        exec::with_locked(
            flags,
            0,
            |attempt| {
                attempt.prepare_slots(&own, 0)?;
                attempt.prepare(&other)
            },
            |locked| {
                Ok(locked.add_fence(fence, usage) == Err(EINVAL)
                    && locked.add_fence_to(&own, fence, usage) == Err(EINVAL)
                    && locked.add_fence_to(&other, fence, usage) == Err(EINVAL)
                    && locked.add_fence_to(&one, fence, usage) == Err(EINVAL)
                    && file.vm.add_fence(locked, fence, usage, usage) == Err(EINVAL))
            },
        ) == Ok(true),
        // Slots in all are not those of one.
        exec::with_locked(
            flags,
            1,
            |attempt| attempt.prepare(&own),
            |locked| {
                Ok(locked.add_fence_to(&own, fence, usage) == Err(EINVAL)
                    && locked.add_fence(fence, usage) == Ok(())
                    && locked.add_fence(fence, usage) == Err(EINVAL))
            },
        ) == Ok(true),
        // Those of one are as many as were asked for.
        exec::with_locked(
            flags,
            0,
            |attempt| attempt.prepare_slots(&other, 2),
            |locked| {
                Ok(locked.add_fence_to(&other, fence, usage) == Ok(())
                    && locked.add_fence(fence, usage) == Err(EINVAL)
                    && locked.add_fence_to(&other, fence, usage) == Ok(())
                    && locked.add_fence_to(&other, fence, usage) == Err(EINVAL)
                    && locked.add_fence_to(&own, fence, usage) == Err(EINVAL))
            },
        ) == Ok(true),
        // Two numbers for one reservation.
        exec::with_locked(
            flags,
            1,
            |attempt| attempt.prepare_slots(&own, 1),
            |_| Ok(()),
        ) == Err(EINVAL),
        exec::with_locked(
            duplicates,
            0,
            |attempt| attempt.prepare_slots(&own, 1),
            |_| Ok(()),
        ) == Err(EINVAL),
        exec::with_locked(
            flags,
            0,
            |attempt| {
                attempt.prepare_slots(&one, 1)?;
                attempt.prepare_slots(&two, 1)
            },
            |_| Ok(()),
        )
        .is_err_and(|err| err.to_errno() == ALREADY),
        exec::with_locked(
            duplicates,
            1,
            |attempt| {
                attempt.prepare(&one)?;
                attempt.prepare(&two)
            },
            |locked| locked.add_fence(fence, usage),
        ) == Ok(()),
        // More than there can be.
        exec::with_locked(
            flags,
            0,
            |attempt| attempt.prepare_slots(&own, most + 1),
            |_| Ok(()),
        ) == Err(ENOMEM),
        exec::with_locked(flags, most + 1, |_| Ok(()), |_| Ok(())) == Err(ENOMEM),
        exec::with_locked(
            flags,
            0,
            |attempt| attempt.prepare_slots(&own, most),
            |_| Ok(()),
        ) == Ok(()),
    ];

    Signalling::section(|sig| pending.signal(Ok(()), sig));
    Ok(match checks.iter().position(|check| !check) {
        Some(i) => u32::try_from(i)? + 1,
        None => 0,
    })
}

/// Unbinding waits for ioctls to end, so it is left to a worker.
fn unbind(_: &Entered<'_, Test>, _: &mut Nothing, _: &File<Test>) -> Result<u32> {
    workqueue::system().try_spawn(GFP_KERNEL, || drop(FAUX.lock().take()))?;
    Ok(0)
}

kernel::sync::global_lock! {
    // SAFETY: Initialised in `Selftest::init()`, before any use.
    unsafe(uninit) static FAUX: Mutex<Option<faux::Registration>> = None;
}

#[allow(unsafe_code)]
fn init_faux() {
    // SAFETY: Called once, as the first thing of the module.
    unsafe { FAUX.init() };
}

#[allow(unsafe_code)]
fn allow_dma(parent: &kernel::device::Device<kernel::device::Bound>) -> Result {
    extern "C" {
        fn drm_selftest_allow_dma(dev: *mut kernel::ffi::c_void) -> i32;
    }

    // SAFETY: The device is valid, and nobody maps memory for it yet.
    kernel::error::to_result(unsafe {
        drm_selftest_allow_dma(core::ptr::from_ref(parent).cast_mut().cast())
    })
}

struct Selftest;

impl Drop for Selftest {
    fn drop(&mut self) {
        drop(FAUX.lock().take());
        for (what, count) in [("bound", &BOUND), ("object", &OBJECTS), ("file", &FILES)] {
            if count.load(Relaxed) != 0 {
                pr_err!("{} {} data leaked\n", count.load(Relaxed), what);
            }
        }
    }
}

impl kernel::Module for Selftest {
    fn init(_: &'static ThisModule) -> Result<Self> {
        init_faux();

        let faux = faux::Registration::new(c"drm-selftest", None)?;
        let parent = AsRef::<faux::Device<kernel::device::Bound>>::as_ref(&faux).as_ref();

        allow_dma(parent)?;

        // A device whose bring-up fails must leave nothing behind.
        let dev = UnregisteredDevice::<Test>::new(parent, Ok(()))?;
        let bound = make_bound(&dev);
        let failed = dev.register(parent, bound, |dev| {
            if BOUND.load(Relaxed) != 1 || dev.enter().is_none() {
                return Err(EBADE);
            }
            Err(EXDEV)
        });

        if failed.err() != Some(EXDEV) || BOUND.load(Relaxed) != 0 || OBJECTS.load(Relaxed) != 0 {
            pr_err!("a failed bring-up was not undone\n");
            return Err(EBADE);
        }

        let dev = UnregisteredDevice::<Test>::new(parent, Ok(()))?;

        if dev.enter().is_some() {
            return Err(EBADE);
        }
        let bound = make_bound(&dev);

        dev.register(parent, bound, |dev| dev.bound().page.write32(16, 0x600d))?;
        *FAUX.lock() = Some(faux);
        Ok(Self)
    }
}

fn make_bound(dev: &Device<Test>) -> Result<Bound> {
    Ok(Bound {
        page: mmap::SharedPage::new(dev)?,
        _firmware: gem::Object::new(
            dev,
            u64::try_from(PAGE)?,
            gem::Flags::NO_MMAP,
            None,
            Ok(Object {
                _alive: Alive::new(&OBJECTS),
            }),
        )?,
        _alive: Alive::new(&BOUND),
    })
}

module! {
    type: Selftest,
    name: "drm_selftest",
    authors: ["mali_csf developers"],
    description: "Test of the Rust DRM layer",
    license: "Dual MIT/GPL",
}
