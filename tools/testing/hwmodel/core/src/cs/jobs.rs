// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Jobs: nothing is computed or drawn, but they take time, endpoints, scoreboards and tiler heap.

use super::decode::Endpoint;
use super::exec::Flow;
use super::ops;
use super::ops::Kind;
use super::ops::Op;
use super::stream::Block;
use super::stream::Cx;
use super::stream::Stream;
use super::stream::Trouble;

/// Shortest compute job in nanoseconds.
const COMPUTE_NS: u64 = 10_000;
/// A workgroup more.
const WORKGROUP_NS: u64 = 50;
/// Shortest draw in nanoseconds.
const DRAW_NS: u64 = 20_000;
/// A vertex more.
const VERTEX_NS: u64 = 10;
/// Shortest fragment job in nanoseconds.
const FRAGMENT_NS: u64 = 30_000;
/// A tile of 16 x 16 pixels more.
const TILE_NS: u64 = 200;
/// Longest job: whatever the registers say, it ends.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Registers of RUN_COMPUTE: JOB_SIZE_X, Y and Z.
const JOB_SIZE: [u8; 3] = [37, 38, 39];
/// Registers of RUN_IDVS: INDEX_COUNT and INSTANCE_COUNT.
pub(super) const DRAW_SIZE: [u8; 2] = [33, 34];
/// Registers of RUN_FRAGMENT: BBOX_MIN and BBOX_MAX, x in the low and y in the high half.
const BBOX: [u8; 2] = [42, 43];

impl Stream {
    pub(super) fn run_job(
        &mut self,
        cx: &mut Cx<'_, '_>,
        endpoint: Endpoint,
        progress: bool,
    ) -> Result<Flow, Trouble> {
        // After an error nothing is drawn or computed until the next barrier.
        if self.error {
            return Ok(Flow::Next);
        }
        let (available, resource) = match endpoint {
            Endpoint::Compute => (cx.endpoints.compute, 1),
            Endpoint::Fragment => (cx.endpoints.fragment, 2),
            Endpoint::Tiling => (cx.endpoints.tiler && cx.endpoints.compute, 8),
        };
        if !available {
            return Ok(Flow::Block(Block::Resource(resource)));
        }
        if !self.ops.has_room() {
            return Ok(Flow::Block(Block::Deferred));
        }
        if endpoint == Endpoint::Tiling && !self.consume_heap(cx)? {
            return Ok(Flow::Jump);
        }
        let time = if *cx.hang > 0 {
            *cx.hang -= 1;
            ops::FOREVER
        } else {
            self.duration(endpoint)
        };
        let flags = if progress { ops::PROGRESS } else { 0 };
        let signal = self.sb_endpoint;
        let op = Op {
            kind: Kind::Job,
            flags,
            addr: 0,
            value: 0,
            wait: 0,
            signal,
            running: false,
            time,
        };
        Ok(match self.ops.push(op) {
            Ok(()) => Flow::Next,
            Err(ops::Full) => Flow::Block(Block::Deferred),
        })
    }

    fn duration(&self, endpoint: Endpoint) -> u64 {
        let product = |regs: &[u8]| {
            regs.iter()
                .fold(1u64, |n, &reg| n.saturating_mul(u64::from(self.reg(reg))))
        };
        let time = match endpoint {
            Endpoint::Compute => {
                COMPUTE_NS.saturating_add(product(&JOB_SIZE).saturating_mul(WORKGROUP_NS))
            }
            Endpoint::Tiling => {
                DRAW_NS.saturating_add(product(&DRAW_SIZE).saturating_mul(VERTEX_NS))
            }
            Endpoint::Fragment => {
                let [min, max] = BBOX.map(|reg| self.reg(reg));
                let extent = |shift: u32| {
                    let (low, high) = (min >> shift & 0xffff, max >> shift & 0xffff);
                    u64::from(high.saturating_sub(low)) / 16 + 1
                };
                FRAGMENT_NS.saturating_add(extent(0) * extent(16) * TILE_NS)
            }
        };
        time.min(LONGEST_NS)
    }
}
