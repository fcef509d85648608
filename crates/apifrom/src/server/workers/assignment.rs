//! What a supervisor hands to the process that it starts, and what they say to each other.
//!
//! Both hold one end of a socket pair. The worker writes one byte when it serves. The supervisor writes
//! one to have what still runs cut. The end of file tells either that the other is gone.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::error::ServeError;
use crate::server::listener::{self, Listener};
use crate::server::shutdown::Stopper;

/// Says that a worker serves.
pub(super) const SERVES: u8 = b's';
/// Says that a worker is to cut what still runs.
pub(super) const CUT: u8 = b'c';
/// How long a worker may take to end, beside what its requests may.
pub(super) const ENDING: Duration = Duration::from_secs(10);

/// The place of one of several processes that serve together: its sockets, and a line to its
/// supervisor.
///
/// [`Workers`](super::Workers) write it as a text for the process that they start, which takes it from
/// there once.
#[derive(Debug)]
pub struct Assignment {
    number: u32,
    count: u32,
    control: UnixStream,
    listeners: Vec<Listener>,
}

/// The numbers of an assignment, as they are written: `2/4:7:8,9`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Which of the workers, from 1.
    pub(super) number: u32,
    /// How many there are.
    pub(super) count: u32,
    /// The descriptor of the line to the supervisor.
    pub(super) control: RawFd,
    /// The descriptors to listen on.
    pub(super) sockets: Vec<RawFd>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}:", self.number, self.count, self.control)?;
        for (index, socket) in self.sockets.iter().enumerate() {
            let before = if index > 0 { "," } else { "" };
            write!(f, "{before}{socket}")?;
        }
        Ok(())
    }
}

impl Written {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (place, control, sockets) = (parts.next()?, parts.next()?, parts.next()?);
        let (number, count) = place.split_once('/')?;
        let (number, count) = (number.parse().ok()?, count.parse().ok()?);
        if parts.next().is_some() || number == 0 || number > count {
            return None;
        }
        Some(Self {
            number,
            count,
            control: control.parse().ok()?,
            sockets: sockets
                .split(',')
                .map(|socket| socket.parse().ok())
                .collect::<Option<_>>()?,
        })
    }
}

impl Assignment {
    /// Takes over what `text` names. Whoever takes it twice takes descriptors that are somebody else's
    /// by then.
    ///
    /// # Errors
    /// When this process was not started by [`Workers`](super::Workers), or they are gone.
    pub fn take(text: &str) -> Result<Self, ServeError> {
        let foreign = || {
            let why = "this process was not started by a supervisor that runs";
            ServeError::Start(io::Error::new(io::ErrorKind::InvalidInput, why))
        };
        let written = Written::parse(text).ok_or_else(foreign)?;
        // Connected to nobody is an error as well: the supervisor is gone.
        let control = listener::adopted(written.control, |socket| {
            socket.set_cloexec(true)?;
            socket.peer_addr().map(drop)
        });
        Ok(Self {
            number: written.number,
            count: written.count,
            control: control.map_err(|_| foreign())?.into(),
            listeners: listener::handed_over(&written.sockets)?,
        })
    }

    /// Which of the processes this is, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// How many processes serve together.
    pub fn count(&self) -> u32 {
        self.count
    }

    pub(in crate::server) fn split(self) -> (Vec<Listener>, Post) {
        (self.listeners, Post(self.control))
    }
}

/// The worker's end of the line to its supervisor.
pub(in crate::server) struct Post(UnixStream);

impl Post {
    /// Says that this process serves, and does from now on what the supervisor says. Once that is gone,
    /// what runs has `patience`.
    pub(in crate::server) fn serves(
        mut self,
        stopper: &Stopper,
        patience: Duration,
    ) -> io::Result<()> {
        let mut control = self.0.try_clone()?;
        let stopper = stopper.clone();
        // A thread of its own, so that a worker whose loop is stuck ends as well.
        thread::Builder::new()
            .name("apifrom-control".into())
            .spawn(move || {
                let mut said = [0];
                loop {
                    match control.read(&mut said) {
                        Ok(1..) => stopper.cut(),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Ok(0) | Err(_) => break,
                    }
                }
                stopper.stop();
                thread::sleep(patience.saturating_add(ENDING));
                let _ = kill_process(getpid(), Signal::KILL);
            })?;
        // From here on an orphan ends in order.
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(None)?;
        self.0.write_all(&[SERVES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["1/1:0:3", "2/4:7:8,9", "1024/1024:100:1,2,3"] {
            assert_eq!(Written::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_nobody_wrote_is_not_read() {
        for text in [
            "",
            "1",
            "1/1",
            "1/1:3",
            "1/1:3:",
            "0/1:3:4",
            "2/1:3:4",
            "1/1:3:4:5",
            "1/1:3:4,",
            "1/1:x:4",
            "1/1:3:99999999999",
            "-1/1:3:4",
        ] {
            assert_eq!(Written::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_descriptor_that_is_no_line_to_a_supervisor_is_not_taken() {
        use std::os::fd::AsRawFd as _;

        let file = tempfile::tempfile().unwrap();
        let (gone, end) = {
            let (ours, theirs) = UnixStream::pair().unwrap();
            (ours.as_raw_fd(), theirs)
        };
        drop(end);
        for descriptor in [file.as_raw_fd(), gone, -1] {
            let text = format!("1/2:{descriptor}:{descriptor}");
            assert!(Assignment::take(&text).is_err());
        }
        // What was not meant stays open.
        assert!(file.metadata().is_ok());
    }
}
