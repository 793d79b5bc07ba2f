//! Sessions of agents with the control plane, as both ends see them. The agents are the tests
//! themselves; the control plane is the real one on SQLite.

#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]

mod sessions {
    mod beginning;
    mod ground;
    mod liveness;
    mod reports;
    mod sending;
}
