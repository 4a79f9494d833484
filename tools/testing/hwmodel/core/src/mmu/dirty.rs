// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Pages for which the GPU's caches have data that is not in memory yet.
//!
//! The model itself writes at once. What is remembered here is which pages a cache would still have
//! something for, so that a driver is noticed which takes memory away before that is written back.

use crate::bus::Env;
use crate::record::Kind;
use crate::record::Place;

use super::walk::Walk;

/// How many pages of an address space are remembered: those that were written first since the last
/// flush, and the latest.
const PAGES: usize = 32;

/// A page that was written through a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    va: u64,
    pa: u64,
}

/// Those of one address space.
pub struct Dirty {
    pages: [Option<Page>; PAGES],
}

impl Dirty {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            pages: [None; PAGES],
        }
    }

    /// The page at `va`, which is at `pa`, was written.
    pub fn wrote(&mut self, va: u64, pa: u64) {
        let page = Page { va, pa };
        if self.pages.contains(&Some(page)) {
            return;
        }
        let free = self.pages.iter().position(Option::is_none);
        if let Some(slot) = self.pages.get_mut(free.unwrap_or(PAGES - 1)) {
            *slot = Some(page);
        }
    }

    /// All was written back.
    pub fn clean(&mut self) {
        self.pages = [None; PAGES];
    }

    /// Records the pages that are not mapped any more where they were written.
    pub fn check(&mut self, env: &mut Env<'_>, as_nr: u8, walk: &Walk) {
        for slot in &mut self.pages {
            let Some(page) = *slot else { continue };
            let now = walk.quietly(env.host, page.va);
            if now.is_none_or(|leaf| leaf.page(page.va) != page.pa) {
                let place = Place::Virtual { as_nr, va: page.va };
                env.record(Kind::CacheDirty, place, page.pa, "");
                *slot = None;
            }
        }
    }
}
