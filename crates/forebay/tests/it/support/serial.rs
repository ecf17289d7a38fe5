//! A serial line whose other end is the test.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{QueueSelector, tcflush};

/// Puts a port at `path`; what is written to the file is what its device sends.
pub fn serial_line(path: &Path) -> File {
    let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&own).unwrap();
    unlockpt(&own).unwrap();
    let name = ptsname(&own, Vec::new()).unwrap().into_string().unwrap();
    std::os::unix::fs::symlink(name, path).unwrap();
    File::from(own)
}

/// Throws away what was sent and read by nobody.
pub fn forget_unread(path: &Path) {
    let port = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    tcflush(&port, QueueSelector::IFlush).unwrap();
}
