//! `print!` and `eprint!` of this program: as those of the standard library, but a reader that has gone (`| head`) is no
//! reason to panic. What it no longer reads is dropped, and the command goes on to its files and its exit code.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether nobody reads standard output any more.
static UNREAD: AtomicBool = AtomicBool::new(false);

macro_rules! print {
    ($($text:tt)*) => { $crate::out::to_stdout(format_args!($($text)*)) };
}

macro_rules! println {
    () => { $crate::out::to_stdout(format_args!("\n")) };
    ($($text:tt)*) => { $crate::out::to_stdout(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! eprint {
    ($($text:tt)*) => { $crate::out::to_stderr(format_args!($($text)*)) };
}

macro_rules! eprintln {
    ($($text:tt)*) => { $crate::out::to_stderr(format_args!("{}\n", format_args!($($text)*))) };
}

/// Whether nobody reads standard output any more, as far as was found out by writing.
pub(crate) fn is_unread() -> bool {
    UNREAD.load(Ordering::Relaxed)
}

/// Where `print!` and `println!` write.
pub(crate) fn to_stdout(text: Arguments<'_>) {
    if is_unread() {
        return;
    }
    if let Err(error) = std::io::stdout().lock().write_fmt(text) {
        UNREAD.store(true, Ordering::Relaxed);
        if error.kind() != ErrorKind::BrokenPipe {
            to_stderr(format_args!("standard output takes nothing more: {error}\n"));
        }
    }
}

/// Where `eprint!` and `eprintln!` write.
pub(crate) fn to_stderr(text: Arguments<'_>) {
    // Where nobody reads what went wrong, there is nobody to tell that either.
    let _ = std::io::stderr().lock().write_fmt(text);
}
