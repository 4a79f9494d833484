// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The scheduling policy of `mali_csf`, on the host: the very file that the driver is built from.
//!
//! Its properties are checked over 1000 random histories, in which groups come, get work, wait, fail
//! and go, while decisions are made and carried out. `POLICY_SEED=N` repeats the run that printed N.

#[cfg(test)]
#[path = "../../../../drivers/gpu/drm/mali_csf/sched/policy.rs"]
mod policy;

#[cfg(test)]
#[path = "../../../../drivers/gpu/drm/mali_csf/sched/shares.rs"]
mod shares;

#[cfg(test)]
mod history;
#[cfg(test)]
mod properties;
