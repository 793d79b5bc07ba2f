//! Who is served when: threads that take work from queues of its kind, so that what is long or comes in masses never
//! stands before what is due.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a piece of work is. Each kind has a queue of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// What the service owes whoever asks what: leases, health, the sessions of agents. A thread serves nothing else.
    Duty,
    /// What requests do: a few rows each.
    Brief,
    /// A part of something that may be long, as a list. Most threads do not serve it.
    Long,
}

const LANES: usize = 3;

/// The queues, and the threads that wait for something to be in them.
pub(crate) struct Lanes<T> {
    state: Mutex<State<T>>,
    /// A thread waits for its own.
    wakes: Vec<Condvar>,
    serves: Vec<&'static [Lane]>,
}

struct State<T> {
    queues: [VecDeque<T>; LANES],
    /// Those that wait; the one that worked last is at the end, and is woken first.
    idle: Vec<usize>,
    /// What was given to a thread that waited.
    handed: Vec<Option<T>>,
    /// At which of its lanes a thread looks first: after each piece of work, at the one behind it.
    turns: Vec<usize>,
    is_closed: bool,
}

impl<T> Lanes<T> {
    /// Queues for as many threads as there are entries, each of which serves these lanes in turn.
    pub(crate) fn new(serves: Vec<&'static [Lane]>) -> Self {
        let threads = serves.len();
        let state = State {
            queues: Default::default(),
            idle: Vec::with_capacity(threads),
            handed: (0..threads).map(|_| None).collect(),
            turns: vec![0; threads],
            is_closed: false,
        };
        Self { state: Mutex::new(state), wakes: (0..threads).map(|_| Condvar::new()).collect(), serves }
    }

    /// Gives the work to a thread that waits for its kind, or queues it. Returns it when the lanes are closed.
    pub(crate) fn put(&self, lane: Lane, work: T) -> Result<(), T> {
        let mut state = self.state();
        if state.is_closed {
            return Err(work);
        }
        match state.idle.iter().rposition(|thread| self.serves[*thread].contains(&lane)) {
            Some(at) => {
                let thread = state.idle.remove(at);
                state.handed[thread] = Some(work);
                drop(state);
                self.wakes[thread].notify_one();
            }
            None => state.queues[lane as usize].push_back(work),
        }
        Ok(())
    }

    /// Waits for work for this thread; nothing when the lanes are closed and what was in them is done.
    pub(crate) fn take(&self, thread: usize) -> Option<T> {
        let mut state = self.state();
        if let Some(work) = state.next(thread, self.serves[thread]) {
            return Some(work);
        }
        if state.is_closed {
            return None;
        }
        state.idle.push(thread);
        loop {
            state = self.wakes[thread].wait(state).unwrap_or_else(PoisonError::into_inner);
            if let Some(work) = state.handed[thread].take() {
                return Some(work);
            }
            if state.is_closed {
                return None;
            }
        }
    }

    /// Work for this thread, if there is any now.
    pub(crate) fn try_take(&self, thread: usize) -> Option<T> {
        self.state().next(thread, self.serves[thread])
    }

    /// Takes no more work. What is queued is still done.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.idle.clear();
        drop(state);
        self.wakes.iter().for_each(Condvar::notify_one);
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn next(&mut self, thread: usize, serves: &[Lane]) -> Option<T> {
        for step in 0..serves.len() {
            let at = (self.turns[thread] + step) % serves.len();
            if let Some(work) = self.queues[serves[at] as usize].pop_front() {
                self.turns[thread] = (at + 1) % serves.len();
                return Some(work);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Lane::{Brief, Duty, Long};
    use super::*;
    use std::sync::Arc;

    fn lanes() -> Lanes<u32> {
        Lanes::new(vec![&[Duty], &[Duty, Brief], &[Duty, Brief, Long]])
    }

    #[test]
    fn what_is_due_passes_what_has_come_in_masses() {
        let lanes = lanes();
        (0..100).for_each(|work| lanes.put(Brief, work).expect("open"));
        (200..300).for_each(|work| lanes.put(Long, work).expect("open"));
        lanes.put(Duty, 1000).expect("open");
        assert_eq!(lanes.try_take(0), Some(1000));
        assert_eq!(lanes.try_take(0), None, "nothing but duties");
    }

    #[test]
    fn a_thread_serves_its_lanes_in_turn() {
        let lanes = lanes();
        for work in 0..3 {
            lanes.put(Duty, work).expect("open");
            lanes.put(Brief, 10 + work).expect("open");
            lanes.put(Long, 20 + work).expect("open");
        }
        let taken: Vec<u32> = std::iter::from_fn(|| lanes.try_take(2)).collect();
        assert_eq!(taken, [0, 10, 20, 1, 11, 21, 2, 12, 22]);
    }

    #[test]
    fn who_waits_gets_what_it_serves_and_all_is_done_before_the_end() {
        let lanes = Arc::new(Lanes::new(vec![&[Duty] as &[Lane], &[Brief, Long]]));
        let threads: Vec<_> = (0..2)
            .map(|thread| {
                let lanes = Arc::clone(&lanes);
                std::thread::spawn(move || std::iter::from_fn(|| lanes.take(thread)).collect::<Vec<u32>>())
            })
            .collect();
        (0..50).for_each(|work| lanes.put(Duty, work).expect("open"));
        (100..150).for_each(|work| lanes.put(Brief, work).expect("open"));
        (200..250).for_each(|work| lanes.put(Long, work).expect("open"));
        lanes.close();
        let taken: Vec<Vec<u32>> = threads.into_iter().map(|thread| thread.join().expect("joined")).collect();
        assert_eq!(taken[0], (0..50).collect::<Vec<_>>());
        assert_eq!(taken[1].len(), 100);
        assert_eq!(lanes.put(Duty, 7), Err(7));
    }
}
