//! Where work is done that may wait for a disk.

use std::io;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// How many threads wait for disks where no runtime of the program's is at hand.
const THREADS: usize = 64;

/// Nothing but the threads of this one is used, and they need nobody to turn it.
static OWN: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_current_thread()
        .max_blocking_threads(THREADS)
        .thread_name("apifrom-files")
        .build()
});

/// Has `work` done on a thread that may wait: one of the runtime that is at hand, else one of the
/// process's.
///
/// # Errors
/// When no thread can be had.
pub(crate) fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    if let Ok(runtime) = Handle::try_current() {
        return Ok(runtime.spawn_blocking(work));
    }
    match &*OWN {
        Ok(runtime) => Ok(runtime.spawn_blocking(work)),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}
