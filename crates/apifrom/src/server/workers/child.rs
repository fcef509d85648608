//! A process that was started to serve.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, getpid, kill_process};
use tokio::net::UnixStream;

use super::assignment::{CUT, Written};
use crate::server::listener::Listener;

/// A worker, and the line to it.
pub(super) struct Child {
    process: tokio::process::Child,
    control: UnixStream,
    /// What the log calls the process.
    id: u32,
    /// True once it has said all that it will say.
    is_silent: bool,
}

/// What a worker came to.
pub(super) enum Change {
    Serves,
    Ended(Option<ExitStatus>),
}

impl Child {
    /// Starts worker `number` of `count` by what `program` makes of its assignment.
    ///
    /// The process has these descriptors and the standard ones, does not see a terminal's Ctrl-C, which
    /// the supervisor passes on in its own way, and on Linux is killed when the supervisor ends before it
    /// serves.
    pub(super) fn start(
        (number, count): (u32, u32),
        listeners: &[Listener],
        program: &(impl Fn(&str) -> Command + ?Sized),
    ) -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        let sockets = listeners.iter().map(Listener::for_another);
        let mut handed: Vec<OwnedFd> = sockets.collect::<io::Result<_>>()?;
        let written = Written {
            number,
            count,
            control: theirs.as_raw_fd(),
            sockets: handed.iter().map(OwnedFd::as_raw_fd).collect(),
        };
        handed.push(theirs.into());
        let mut command = program(&written.to_string());
        let supervisor = getpid();
        // SAFETY: between fork and exec nothing but system calls is made: no memory is taken, no lock.
        #[expect(
            unsafe_code,
            reason = "what is inherited is set in the new process, so that no other gets it"
        )]
        unsafe {
            command.pre_exec(move || prepare(&handed, supervisor));
        }
        let process = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()?;
        ours.set_nonblocking(true)?;
        Ok(Self {
            id: process.id().unwrap_or_default(),
            process,
            is_silent: false,
            control: UnixStream::from_std(ours)?,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Waits until it serves, which it does once, or ends.
    pub(super) async fn changed(&mut self) -> Change {
        if self.is_silent {
            return Change::Ended(self.process.wait().await.ok());
        }
        tokio::select! {
            biased;
            serves = serves(&self.control) => {
                self.is_silent = true;
                if serves {
                    return Change::Serves;
                }
            }
            status = self.process.wait() => return Change::Ended(status.ok()),
        }
        // It closed its end and is about to go.
        Change::Ended(self.process.wait().await.ok())
    }

    /// Waits for its end. It can be waited for again.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        self.process.wait().await.ok()
    }

    /// Lets it finish what runs.
    pub(super) fn stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Has it cut what runs.
    pub(super) fn cut(&self) {
        // One that reads nothing any more is killed a little later.
        let _ = self.control.try_write(&[CUT]);
    }

    /// Ends it at once.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // There is no number any more once it was waited for: by then it may be another process's.
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            let _ = kill_process(id, signal);
        }
    }
}

/// Waits until a worker says that it serves; false when it never will.
async fn serves(control: &UnixStream) -> bool {
    loop {
        if control.readable().await.is_err() {
            return false;
        }
        match control.try_read(&mut [0]) {
            Ok(read) => return read == 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
}

/// What the new process does before it becomes the program.
fn prepare(handed: &[OwnedFd], supervisor: Pid) -> io::Result<()> {
    for descriptor in handed {
        fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    // SAFETY: no handler is set, only the signal ignored.
    #[expect(
        unsafe_code,
        reason = "no safe wrapper sets what a new process ignores"
    )]
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
    }
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before that was set.
    if rustix::process::getppid() != Some(supervisor) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(())
}

/// What became of a process, as the log says it.
pub(super) fn how(status: Option<ExitStatus>) -> String {
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("ended with status {code}"),
        Some((None, Some(signal))) => format!("was killed by signal {signal}"),
        _ => "ended".into(),
    }
}
