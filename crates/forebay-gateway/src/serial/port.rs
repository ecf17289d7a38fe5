//! A serial port: opened for reading, raw, at a speed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::termios::{ControlModes, OptionalActions, tcgetattr, tcsetattr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// An open port.
#[derive(Debug)]
pub(super) struct Port(AsyncFd<File>);

impl Port {
    /// Opens a device file that is a terminal and sets it to 8 bits, no parity, one stop bit; nothing that comes is changed on the
    /// way. Must be called inside a tokio runtime.
    pub fn open(path: &Path, baud: u32) -> io::Result<Self> {
        // It must neither become the process's terminal nor wait for a carrier.
        let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits();
        let flags = i32::try_from(flags).map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let mut settings = tcgetattr(&file)?;
        settings.make_raw();
        settings.control_modes.remove(ControlModes::PARENB | ControlModes::CSTOPB | ControlModes::CSIZE);
        settings.control_modes.insert(ControlModes::CS8 | ControlModes::CREAD | ControlModes::CLOCAL);
        settings.set_speed(baud)?;
        tcsetattr(&file, OptionalActions::Now, &settings)?;
        #[allow(
            deprecated,
            reason = "a File keeps its descriptor for as long as it lives; what is to come in its place is `unsafe`"
        )]
        Ok(Self(AsyncFd::with_interest(file, Interest::READABLE)?))
    }

    /// Reads what has come; 0 where the port has gone.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(read) = ready.try_io(|port| Ok(rustix::io::read(port.get_ref(), &mut *buffer)?)) {
                return read;
            }
        }
    }
}
