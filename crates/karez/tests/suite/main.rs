//! The real binary, as its users, its operators and its misfortunes meet it.

mod bounds;
mod chaos;
mod command;
mod concurrency;
mod conformance;
mod faults;
mod kernel;
mod observation;
mod secrets;
mod support;
mod tunnels;
