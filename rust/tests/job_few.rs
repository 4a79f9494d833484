// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The vector that rarely allocates.

use kernel::prelude::*;

#[kunit_tests(job_few)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use job::Few;

    #[test]
    fn elements_keep_their_order_when_they_move_out() -> Result {
        let mut few = Few::<usize, 3>::new();

        for i in 0..100 {
            few.push(i, GFP_KERNEL)?;
            assert_eq!(few.len(), i + 1);
            assert!(few.iter().copied().eq(0..=i));
        }
        few[99] = 7;
        assert_eq!(few.last(), Some(&7));
        Ok(())
    }

    struct Dropped<'a>(&'a Cell<usize>);

    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn each_element_is_dropped_once() -> Result {
        for len in 0..9 {
            let dropped = Cell::new(0);
            let mut few = Few::<Dropped<'_>, 4>::new();

            for _ in 0..len {
                few.push(Dropped(&dropped), GFP_KERNEL)?;
            }
            assert_eq!(dropped.get(), 0);
            few.truncate(5);
            assert_eq!(few.len(), len.min(5));
            few.truncate(2);
            assert_eq!(dropped.get(), len - len.min(2));
            few.push(Dropped(&dropped), GFP_KERNEL)?;
            assert_eq!(few.len(), len.min(2) + 1);
            drop(few);
            assert_eq!(dropped.get(), len + 1);
        }
        Ok(())
    }

    #[test]
    fn an_emptied_vector_is_as_good_as_new() -> Result {
        let mut few = Few::<u8, 2>::with_capacity(5, GFP_KERNEL)?;

        for round in 0..3 {
            for i in 0..=round {
                few.push(i, GFP_KERNEL)?;
            }
            assert_eq!(few.len(), usize::from(round) + 1);
            few.truncate(0);
            assert!(few.is_empty());
        }
        Ok(())
    }
}
