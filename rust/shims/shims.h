/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the Rust crates need from C and the kernel's own bindings do not offer:
 * inline functions, macros, and functions whose headers are not among those of
 * rust/bindings/bindings_helper.h. bindgen reads this file; of the types that
 * it meets, none is generated here: those known to kernel::bindings come from
 * there, the others are declared opaque in shims.rs.
 */
#ifndef RUST_SHIMS_H
#define RUST_SHIMS_H

#include "devfreq.h"
#include "drm.h"
#include "job.h"
#include "opp.h"
#include "platform.h"
#include "soc.h"

#endif /* RUST_SHIMS_H */
