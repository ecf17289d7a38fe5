//! The integration tests: the real binary against real components, in one test binary.
//!
//! Needs the feature `faults` (kill points and storage faults) and the components that `scripts/services/install.sh`
//! installs; a test whose component is missing fails and says what to run. `FOREBAY_SOAK=1` runs the long forms.

mod clients;
mod command_line;
mod crash;
mod faults;
mod kafka;
mod kafka_source;
mod log_crash;
mod plant;
mod quarantine;
mod serving;
mod spark;
mod support;
