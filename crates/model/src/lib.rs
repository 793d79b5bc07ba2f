//! What Karez is about, as values: the resources and their attributes, the checks on what a
//! caller sends, addresses, policy rules and faults.
//!
//! Everything here is pure. There is no I/O, no clock and no randomness; whatever depends on one
//! of them takes it as an argument. No other room of the house may be named here.

pub mod address;
pub mod attribute;
pub mod caller;
pub mod fault;
pub mod json;
pub mod object;
pub mod parse;
pub mod policy;
pub mod resource;
pub mod secret;

pub use attribute::{Attribute, Field, Post, Type};
pub use caller::{Caller, Scope};
pub use fault::{Fault, Reason};
pub use object::{Meta, Object, Value};
pub use resource::{Kind, Resource};
pub use secret::Secret;
