// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The gate in front of hardware, and the wait queue it is built on.

use kernel::prelude::*;

#[kunit_tests(soc_gate)]
mod tests {
    use super::*;
    use kernel::{
        sync::{
            atomic::{
                Acquire,
                Atomic,
                Full, //
            },
            Arc, //
        },
        time::{
            delay::fsleep,
            Delta, //
        },
        workqueue, //
    };
    use soc::{
        gate::Gate,
        wait::WaitQueue, //
    };

    /// Counts how often it is dropped.
    struct Value(Arc<Atomic<u32>>);

    impl Drop for Value {
        fn drop(&mut self) {
            self.0.fetch_add(1, Full);
        }
    }

    fn gate() -> Result<(Arc<Gate<Value>>, Arc<Atomic<u32>>)> {
        let drops = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let gate = Arc::pin_init(Gate::new(Value(drops.clone())), GFP_KERNEL)?;
        Ok((gate, drops))
    }

    #[pin_data]
    struct Queue {
        #[pin]
        queue: WaitQueue,
        ready: Atomic<u32>,
    }

    fn queue() -> Result<Arc<Queue>> {
        Arc::pin_init(
            pin_init!(Queue {
                queue <- soc::new_wait_queue!("soc_gate::Queue"),
                ready: Atomic::new(0),
            }),
            GFP_KERNEL,
        )
    }

    /// Power that notes when it goes, and whether the gate was still open then.
    struct Power {
        gate: Arc<Gate<Value>>,
        gone: Arc<Atomic<u32>>,
    }

    impl Drop for Power {
        fn drop(&mut self) {
            let open = u32::from(self.gate.enter().is_some());
            self.gone.fetch_add(1 + 100 * open, Full);
        }
    }

    #[test]
    fn it_is_open_as_long_as_the_power_is_in_it() -> Result {
        let (gate, drops) = gate()?;
        let gone = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let power = || Power {
            gate: gate.clone(),
            gone: gone.clone(),
        };
        assert!(gate.enter().is_none());
        let open = gate.open(power())?;
        assert!(gate.enter().is_some());
        assert_eq!(gone.load(Acquire), 0);
        drop(open);
        assert_eq!(gone.load(Acquire), 1);
        assert!(gate.enter().is_none());
        let open = gate.open(power())?;
        assert!(open.gate().enter().is_some());
        drop(open);
        assert_eq!(gone.load(Acquire), 2);
        assert_eq!(drops.load(Acquire), 0);
        Ok(())
    }

    #[test]
    fn it_is_opened_once_at_a_time() -> Result {
        let (gate, _drops) = gate()?;
        let open = gate.open(1)?;
        assert!(gate.open(2).is_err_and(|err| err == EBUSY));
        assert_eq!(*open.power(), 1);
        assert!(gate.enter().is_some());
        Ok(())
    }

    #[test]
    fn guards_nest() -> Result {
        let (gate, _drops) = gate()?;
        let open = gate.open(())?;
        let outer = gate.enter();
        let inner = gate.enter();
        assert!(outer.is_some() && inner.is_some());
        drop(outer);
        drop(inner);
        drop(open);
        Ok(())
    }

    #[test]
    fn revoking_drops_the_value_once_and_for_ever() -> Result {
        let (gate, drops) = gate()?;
        let open = gate.open(())?;
        gate.revoke();
        assert_eq!(drops.load(Acquire), 1);
        assert!(gate.open(()).is_err_and(|err| err == ENODEV));
        drop(open);
        assert!(gate.enter().is_none());
        gate.revoke();
        drop(gate);
        assert_eq!(drops.load(Acquire), 1);
        Ok(())
    }

    #[test]
    fn closing_waits_for_those_inside_before_the_power_goes() -> Result {
        let (gate, _drops) = gate()?;
        let gone = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let open = gate.open(Power {
            gate: gate.clone(),
            gone: gone.clone(),
        })?;
        let inside = queue()?;
        let (gate2, gone2, inside2) = (gate.clone(), gone.clone(), inside.clone());
        workqueue::system_unbound().try_spawn(GFP_KERNEL, move || {
            let guard = gate2.enter();
            inside2.ready.fetch_add(1, Full);
            inside2.queue.wake_all();
            fsleep(Delta::from_millis(20));
            // Still powered, as we are.
            if guard.is_some() && gone2.load(Acquire) == 0 {
                inside2.ready.fetch_add(1, Full);
            }
            drop(guard);
        })?;
        inside.queue.wait(|| inside.ready.load(Acquire) != 0);
        drop(open);
        assert_eq!(inside.ready.load(Acquire), 2);
        assert_eq!(gone.load(Acquire), 1);
        Ok(())
    }

    #[test]
    fn who_is_alone_has_the_value_and_nobody_else_has() -> Result {
        let (gate, _drops) = gate()?;
        assert!(gate.alone().is_none());
        let open = gate.open(())?;
        let alone = gate.alone().ok_or(EINVAL)?;
        assert_eq!(alone.0.load(Acquire), 0);
        assert!(gate.enter().is_none());
        drop(alone);
        assert!(gate.enter().is_some());
        drop(open);
        assert!(gate.alone().is_none());
        Ok(())
    }

    #[test]
    fn who_is_alone_keeps_the_power_and_lets_others_wait() -> Result {
        let (gate, _drops) = gate()?;
        let gone = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let open = gate.open(Power {
            gate: gate.clone(),
            gone: gone.clone(),
        })?;
        let inside = queue()?;
        let (gate2, gone2, inside2) = (gate.clone(), gone.clone(), inside.clone());
        workqueue::system_unbound().try_spawn(GFP_KERNEL, move || {
            let guard = gate2.alone();
            inside2.ready.fetch_add(1, Full);
            inside2.queue.wake_all();
            fsleep(Delta::from_millis(20));
            // Still powered, as we are.
            if guard.is_some() && gone2.load(Acquire) == 0 {
                inside2.ready.fetch_add(1, Full);
            }
            drop(guard);
        })?;
        inside.queue.wait(|| inside.ready.load(Acquire) != 0);
        assert!(gate.enter_or_wait().is_some());
        drop(open);
        assert!(gate.enter_or_wait().is_none());
        assert_eq!(inside.ready.load(Acquire), 2);
        assert_eq!(gone.load(Acquire), 1);
        Ok(())
    }

    #[test]
    fn revoking_waits_for_those_inside() -> Result {
        let (gate, drops) = gate()?;
        let _open = gate.open(())?;
        let inside = queue()?;
        let (gate2, drops2, inside2) = (gate.clone(), drops.clone(), inside.clone());
        workqueue::system_unbound().try_spawn(GFP_KERNEL, move || {
            let guard = gate2.enter();
            inside2.ready.fetch_add(1, Full);
            inside2.queue.wake_all();
            fsleep(Delta::from_millis(20));
            // Still there, as we are.
            if guard.is_some() && drops2.load(Acquire) == 0 {
                inside2.ready.fetch_add(1, Full);
            }
            drop(guard);
        })?;
        inside.queue.wait(|| inside.ready.load(Acquire) != 0);
        gate.revoke();
        assert_eq!(inside.ready.load(Acquire), 2);
        assert_eq!(drops.load(Acquire), 1);
        Ok(())
    }

    #[test]
    fn a_wait_ends_with_its_condition_or_its_time() -> Result {
        let queue = queue()?;
        assert!(queue.queue.wait_timeout(0, || true));
        assert!(!queue.queue.wait_timeout(10, || false));

        let mut asked = 0;
        let done = queue.queue.wait_timeout(1, || {
            asked += 1;
            asked > 2
        });
        // Once before it sleeps, once when it is on the queue, once after the time is up.
        assert!(done);
        Ok(())
    }
}
