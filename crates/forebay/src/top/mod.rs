//! What `forebay top` is made of: the page's essentials in a terminal.
//!
//! ```text
//!  server ──events──▶ stream ──Message──▶ Model ──▶ view: lines ──▶ Screen ──▶ terminal
//!                        ▲ View (which devices)  ▲ keys
//! ```
//!
//! [`stream`] asks the server and listens, and comes back by itself when the connection breaks; [`bounds`] says how much is
//! kept of what it says; [`model`] is what is
//! known and what the person looks at, changed by messages and keys alone; [`view`] draws it as lines, purely;
//! [`screen`] owns the terminal and gives it back whatever happens. What must stay true: every text goes through
//! [`line::Line`], which lets no control character pass, so that no name from the data ever commands the terminal; and
//! what is not known is said to be so, never shown as "all well".
//!
//! The drawing is ours, not a library's: those that are well kept ask for features of crates far below us, with which
//! half of all dependencies would be compiled anew; a screen of lines is a few hundred of our own.

pub mod asked;
pub mod bounds;
pub mod events;
#[cfg(test)]
pub mod fake;
pub mod keys;
pub mod line;
pub mod listed;
pub mod model;
pub mod screen;
pub mod server;
pub mod stream;
pub mod text;
pub mod verdict;
pub mod view;
pub mod words;
