//! Tunnels through the kernel's own ESP and AH: the real binary, its agent, charon, and hosts that ping, as in
//! `tests/tunnels`, where most kernels that tests run on would only have ESP in user space.
//!
//! `rig/scenario` runs them, in a kernel that has it all. They need root and what `tests/tunnels` needs, and iproute2.

mod clear;
mod daemon;
mod edits;
mod protocols;
mod removal;
mod router;
mod selection;
mod size;
mod stage;
