// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Test firmware images in the binary format of Mali CSF firmware.
//!
//! # Format
//!
//! All words are little-endian. A header of 20 bytes:
//!
//! | offset | size | field |
//! |--------|------|-------|
//! | 0      | 4    | magic, 0xc3f13a6e |
//! | 4      | 1    | minor version |
//! | 5      | 1    | major version, 0 |
//! | 6      | 2    | zero |
//! | 8      | 4    | version hash |
//! | 12     | 4    | zero |
//! | 16     | 4    | size of header and entries |
//!
//! The entries follow, each with a word that holds its type (7:0), its size in bytes with this
//! word (15:8), "update" (30) and "optional" (31: a loader may skip it). Then comes the data that
//! sections refer to by their offset in the file. A section (type 0) has flags, MCU address range
//! and data range, each with an exclusive end, and possibly a name. Other types describe
//! configuration (1), self tests (2), trace buffers (3), timeline metadata (4) and build
//! information (6: offset and size of a text).
//!
//! # Content
//!
//! There is no machine code in these images. The code section carries a table that describes all
//! sections ([`selfcheck`]): the hardware model's processor checks with it, through its own
//! address space, that the loader did what the image asks for.

pub mod build;
pub mod check;
pub mod content;
pub mod malformed;

#[path = "../../core/src/mcu/image.rs"]
pub mod selfcheck;

#[path = "../../core/src/mcu/layout.rs"]
pub mod interface;
