//! One behaviour suite, seen twice: through the loopback driver always, and through a real kernel mount where
//! the machine can mount. Plus what only one of them has: broken trees for the driver, mounting, unmounting
//! and dying servers for the kernel.
//!
//! It must not know anything inside the crate; it uses what every user of it uses.

#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod contract;
#[cfg(target_os = "linux")]
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod memory;
#[cfg(target_os = "linux")]
#[cfg(test)]
mod servers;
