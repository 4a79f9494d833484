// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Small integers that user space knows an object of its file by.
//!
//! **Locking.** One mutex per table, held for a look-up, or while the table grows. It is never
//! taken on the way from commit to signal.
//!
//! **Ordering.** A handle is taken before its object is made, and leads to the object only when
//! that is complete: a guessed handle never finds a half-made one.
//!
//! **Blocking.** Allocates with the mutex held; the object itself is made without it.

use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::{
    Arc,
    Mutex, //
};

enum Entry<T> {
    Free,
    Taken,
    Used(Arc<T>),
}

/// A table of handles from 1 to a limit.
#[pin_data]
pub(crate) struct Handles<T> {
    limit: usize,
    #[pin]
    entries: Mutex<KVec<Entry<T>>>,
}

/// The entry of `handle` is at `handle - 1`.
fn index_of(handle: u32) -> Option<usize> {
    usize::try_from(handle).ok()?.checked_sub(1)
}

impl<T> Handles<T> {
    /// An empty table for at most `limit` objects.
    pub(crate) fn new(limit: usize) -> impl PinInit<Self> {
        pin_init!(Self {
            limit,
            entries <- new_mutex!(KVec::new(), "mali_csf::file::Handles"),
        })
    }

    /// Makes an object and gives it the lowest free handle.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the table is full, `ENOMEM`, and those of `make`.
    pub(crate) fn insert_with(&self, make: impl FnOnce() -> Result<Arc<T>>) -> Result<u32> {
        let index = self.take()?;
        let made = make();
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(index) else {
            return Err(EINVAL);
        };
        match made {
            Ok(object) => *entry = Entry::Used(object),
            Err(err) => {
                *entry = Entry::Free;
                return Err(err);
            }
        }
        u32::try_from(index + 1).map_err(|_| EBUSY)
    }

    fn take(&self) -> Result<usize> {
        let mut entries = self.entries.lock();
        let free = entries
            .iter()
            .position(|entry| matches!(entry, Entry::Free));
        if let Some((index, entry)) = free.and_then(|n| Some((n, entries.get_mut(n)?))) {
            *entry = Entry::Taken;
            return Ok(index);
        }
        if entries.len() >= self.limit {
            return Err(EBUSY);
        }
        entries.push(Entry::Taken, GFP_KERNEL)?;
        Ok(entries.len() - 1)
    }

    /// The object with this handle.
    pub(crate) fn get(&self, handle: u32) -> Option<Arc<T>> {
        match self.entries.lock().get(index_of(handle)?)? {
            Entry::Used(object) => Some(object.clone()),
            _ => None,
        }
    }

    /// Frees the handle and returns its object.
    pub(crate) fn remove(&self, handle: u32) -> Option<Arc<T>> {
        let mut entries = self.entries.lock();
        let entry = entries.get_mut(index_of(handle)?)?;
        if !matches!(entry, Entry::Used(_)) {
            return None;
        }
        match core::mem::replace(entry, Entry::Free) {
            Entry::Used(object) => Some(object),
            _ => None,
        }
    }

    /// Frees a handle that is in use and returns its object.
    pub(crate) fn pop(&self) -> Option<Arc<T>> {
        let mut entries = self.entries.lock();
        let entry = entries
            .iter_mut()
            .find(|entry| matches!(entry, Entry::Used(_)))?;
        match core::mem::replace(entry, Entry::Free) {
            Entry::Used(object) => Some(object),
            _ => None,
        }
    }
}

#[kernel::macros::kunit_tests(mali_csf_file_handles)]
mod tests {
    use super::*;

    fn table() -> Result<Pin<KBox<Handles<u32>>>> {
        KBox::pin_init(Handles::new(3), GFP_KERNEL)
    }

    fn add(table: &Handles<u32>, value: u32) -> Result<u32> {
        table.insert_with(|| Ok(Arc::new(value, GFP_KERNEL)?))
    }

    #[test]
    fn handles_start_at_one_and_the_lowest_free_one_is_given() -> Result {
        let table = table()?;
        assert_eq!(add(&table, 10)?, 1);
        assert_eq!(add(&table, 20)?, 2);
        assert!(table.remove(1).is_some());
        assert_eq!(add(&table, 30)?, 1);
        assert_eq!(table.get(1).map(|v| *v), Some(30));
        Ok(())
    }

    #[test]
    fn a_full_table_is_busy() -> Result {
        let table = table()?;
        for value in 0..3 {
            add(&table, value)?;
        }
        assert_eq!(add(&table, 3), Err(EBUSY));
        Ok(())
    }

    #[test]
    fn handles_that_were_never_given_lead_nowhere() -> Result {
        let table = table()?;
        add(&table, 1)?;
        assert!(table.get(0).is_none());
        assert!(table.get(2).is_none());
        assert!(table.get(0x1_0001).is_none());
        assert!(table.get(u32::MAX).is_none());
        assert!(table.remove(2).is_none());
        Ok(())
    }

    #[test]
    fn a_failure_to_make_the_object_frees_the_handle() -> Result {
        let table = table()?;
        assert_eq!(table.insert_with(|| Err(ENOSPC)), Err(ENOSPC));
        assert_eq!(add(&table, 1)?, 1);
        Ok(())
    }

    #[test]
    fn an_object_in_the_making_can_not_be_found() -> Result {
        let table = table()?;
        let handle = table.insert_with(|| {
            assert!(table.get(1).is_none());
            assert!(table.remove(1).is_none());
            Ok(Arc::new(5, GFP_KERNEL)?)
        })?;
        assert_eq!(table.get(handle).map(|v| *v), Some(5));
        Ok(())
    }
}
