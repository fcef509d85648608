//! The few calls that PyO3, tokio and the standard library have no safe form for.
//!
//! Everything `unsafe` of the Python face is here, each with the reason why it holds.
#![expect(
    unsafe_code,
    reason = "descriptors that Python owns, contexts and keyword vectorcalls have no safe wrapper"
)]

use std::ffi::c_ulong;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::{io, mem, thread};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A duplicate of a descriptor that a Python object owns.
///
/// The duplicate names the same open file (for an epoll: the same interest list), and closing
/// either leaves the other usable.
pub(crate) fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the caller just had `fileno()` from a live Python object and holds the interpreter,
    // so nothing can close the descriptor between the two lines. An invalid number is an error.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    borrowed.try_clone_to_owned()
}

/// Has tokio report when `descriptor` becomes readable. Call it inside a runtime.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: `AsyncFd` requires that the descriptor stays open and the same for its whole life:
    // it takes ownership of an `OwnedFd`, which upholds both.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    Ok(registered?)
}

/// Whether `descriptor` can be read from right now.
pub(crate) fn readable_now(descriptor: &impl AsRawFd) -> bool {
    let mut entry = libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid entry, and the time-out is zero, so the call cannot block.
    let ready = unsafe { libc::poll(&raw mut entry, 1, 0) };
    ready > 0
}

/// A copy of `base`, or of the thread's current context where there is none.
pub(crate) fn copy_context<'py>(
    py: Python<'py>,
    base: Option<&Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the interpreter is held; `base` is always what this function or `copy_context()`
    // made, and `PyContext_Copy` refuses any other object with an exception. Both return an owned
    // reference or null with an exception set.
    unsafe {
        let copy = match base {
            Some(base) => ffi::PyContext_Copy(base.as_ptr()),
            None => ffi::PyContext_CopyCurrent(),
        };
        Bound::from_owned_ptr_or_err(py, copy)
    }
}

/// Runs `call`, which runs Python, so that nothing of the caller is unwound by force.
///
/// Once the interpreter has ended, Python before 3.14 takes down a thread that wants it back, by
/// unwinding its stack. Such a thread no longer holds the interpreter, so the values that would be
/// dropped on the way up must not be: the thread is kept here instead. The process is about to end.
/// The nearer this is to the call into Python, the less is unwound beneath it.
pub(crate) fn shielded<R>(call: impl FnOnce() -> R) -> R {
    struct Shield;

    impl Drop for Shield {
        fn drop(&mut self) {
            // A return forgets the shield, and a panic is unwound in order.
            while !thread::panicking() {
                thread::park();
            }
        }
    }

    let shield = Shield;
    let result = call();
    mem::forget(shield);
    result
}

/// Runs `call` inside `context`, as `Context.run` does.
pub(crate) fn run_in<R>(
    context: &Bound<'_, PyAny>,
    call: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    /// Leaves the context on every way out, a panic included.
    struct Inside<'a, 'py>(&'a Bound<'py, PyAny>);

    impl Drop for Inside<'_, '_> {
        fn drop(&mut self) {
            // SAFETY: the interpreter is held (`Bound`), and this context is the one entered
            // below; everything entered after it has been left, because guards nest.
            if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } != 0 {
                PyErr::take(self.0.py());
            }
        }
    }

    // SAFETY: the interpreter is held; an object that is no context, or is entered already, is
    // refused with an exception.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let inside = Inside(context);
    let result = shielded(call);
    drop(inside);
    result
}

/// What Python calls this thread.
pub(crate) fn thread_ident() -> c_ulong {
    // SAFETY: has no precondition.
    unsafe { ffi::PyThread_get_thread_ident() }
}

/// Has `exception` raised in another thread as soon as that runs Python code.
pub(crate) fn raise_in(ident: c_ulong, exception: &Bound<'_, PyAny>) {
    // SAFETY: the interpreter is held; a number that is no thread is ignored. Python declares the
    // same number once as signed and once as unsigned.
    unsafe { ffi::PyThreadState_SetAsyncExc(ident.cast_signed(), exception.as_ptr()) };
}

/// The two ways into Python code, declared as what they are: a thread that Python takes down comes back
/// through them by unwinding. Declared as plain C, the compiler would leave out what has to happen
/// then.
mod unwinding {
    use pyo3::ffi::PyObject;

    unsafe extern "C-unwind" {
        #[link_name = "PyObject_Vectorcall"]
        pub(super) fn vectorcall(
            callable: *mut PyObject,
            arguments: *const *mut PyObject,
            positional: usize,
            names: *mut PyObject,
        ) -> *mut PyObject;

        #[link_name = "PyObject_Call"]
        pub(super) fn call(
            callable: *mut PyObject,
            arguments: *mut PyObject,
            keywords: *mut PyObject,
        ) -> *mut PyObject;
    }
}

/// Calls `callable` with `arguments`, [`shielded`].
pub(crate) fn call<'py, const N: usize>(
    callable: &Bound<'py, PyAny>,
    arguments: [&Bound<'py, PyAny>; N],
) -> PyResult<Bound<'py, PyAny>> {
    vectorcall(callable, arguments, None)
}

/// Calls `callable` with `arguments` and `keywords`, [`shielded`].
pub(crate) fn call_with<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let keywords = keywords.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: the pointers are borrowed from arguments of this function, which outlive the call; null
    // stands for no keywords. The result is owned, or null with an exception set.
    unsafe {
        let result = shielded(|| unwinding::call(callable.as_ptr(), arguments.as_ptr(), keywords));
        Bound::from_owned_ptr_or_err(callable.py(), result)
    }
}

/// Calls `callable` with `arguments`, of which the last ones are named by `names`, without building
/// a tuple or a dict; [`shielded`].
pub(crate) fn call_named<'py, const N: usize>(
    callable: &Bound<'py, PyAny>,
    arguments: [&Bound<'py, PyAny>; N],
    names: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    vectorcall(callable, arguments, Some(names))
}

fn vectorcall<'py, const N: usize>(
    callable: &Bound<'py, PyAny>,
    arguments: [&Bound<'py, PyAny>; N],
    names: Option<&Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    let positional = N.saturating_sub(names.map_or(0, PyTupleMethods::len));
    let names = names.map_or(std::ptr::null_mut(), Bound::as_ptr);
    let pointers = arguments.map(Bound::as_ptr);
    // SAFETY: the pointers are borrowed from `arguments`, which live until the call is over;
    // `positional` and the tuple of names together count exactly the `N` of them. Without
    // PY_VECTORCALL_ARGUMENTS_OFFSET the callee leaves the array alone. The result is owned, or
    // null with an exception set.
    unsafe {
        let result = shielded(|| {
            unwinding::vectorcall(callable.as_ptr(), pointers.as_ptr(), positional, names)
        });
        Bound::from_owned_ptr_or_err(callable.py(), result)
    }
}
