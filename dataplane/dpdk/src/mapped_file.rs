//! Memory that outlives the process: a mapped file. If the file is truncated, or its memory fails, the kernel sends
//! SIGBUS to a thread that touches the missing part, and the process ends with a line that tells why. No lock keeps
//! root or the file's owner from truncating it, and a file that can't be truncated, a sealed memfd, would not outlive
//! the process.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::{io, mem, ptr, slice};

/// Start and end of each mapping, for the signal handler.
static MAPPED: [[AtomicUsize; 2]; MOST] = [const { [const { AtomicUsize::new(0) }; 2] }; MOST];

/// The most files that a process can map.
const MOST: usize = 4;

/// The number of mappings.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The line that is printed when mapped memory is gone.
const GONE: &str = "the memory of the transfers or counters is gone: its file was cut short while it was mapped, or the machine's memory is \
                    broken; this process ends\n";

/// Maps a whole file, whose memory the kernel keeps when the process is killed. The file is locked until the process
/// ends.
///
/// # Errors
///
/// Another process has locked the file, it is empty, or the kernel refuses.
pub fn map(file: File) -> io::Result<&'static mut [u8]> {
    // The lock belongs to this open file: another one of the same file can't be mapped.
    file.try_lock()?;
    let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let place = COUNT.fetch_add(1, Relaxed);
    if place >= MOST {
        return Err(io::Error::other("too many files are mapped"));
    }
    let (access, sharing) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: a new mapping, wherever the kernel likes.
    let memory = unsafe { libc::mmap(ptr::null_mut(), len, access, sharing, file.as_raw_fd(), 0) };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // The lock is held for as long as the file is open.
    mem::forget(file);
    let start = memory as usize;
    let [from, to] = &MAPPED[place];
    from.store(start, Relaxed);
    to.store(start + len, Relaxed);
    end_when_it_is_gone()?;
    // SAFETY: these bytes are mapped and initialised, and never unmapped. Nobody else has them: other processes and
    // other calls of this keep to the lock.
    let bytes = unsafe { slice::from_raw_parts_mut(memory.cast::<u8>(), len) };
    // SAFETY: advice changes none of them. Where shared memory has no huge pages it fails, and nothing is lost.
    unsafe { libc::madvise(memory, len, libc::MADV_HUGEPAGE) };
    Ok(bytes)
}

/// Installs [`gone`] as the handler of SIGBUS.
fn end_when_it_is_gone() -> io::Result<()> {
    // SAFETY: numbers and pointers only, for which zeroes do: no flags, no signals blocked.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = gone;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler has the type that `SA_SIGINFO` asks for, and calls only what a signal's handler may.
    match unsafe { libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends the process, with a line if the mapping was touched. The next process finds that the file does not fit.
extern "C" fn gone(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel passes what it knows of the signal; for SIGBUS that is an address.
    let at = unsafe { (*info).si_addr() } as usize;
    let is_in =
        |[from, to]: &[AtomicUsize; 2]| (from.load(Relaxed)..to.load(Relaxed)).contains(&at);
    if MAPPED.iter().any(is_in) {
        // SAFETY: both may be called in a signal's handler; the text is as long as it says. Destructors must not run:
        // they would touch the map again.
        unsafe {
            libc::write(libc::STDERR_FILENO, GONE.as_ptr().cast(), GONE.len());
            libc::_exit(1);
        }
    }
    // SAFETY: may be called in a signal's handler. The access is tried again, and ends the process as ever.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;
    use std::process::Command;

    #[test]
    fn a_file_cut_short_ends_the_process_with_a_line() {
        const CHILD: &str = "DPDK_TEST_CUT_SHORT";
        if env::var_os(CHILD).is_some() {
            let file = tempfile::tempfile().unwrap();
            file.set_len(8192).unwrap();
            let memory = map(file.try_clone().unwrap()).unwrap();
            memory[5000] = 1;
            file.set_len(4096).unwrap();
            memory[100] = 1;
            memory[5000] = 2;
            unreachable!("it has ended");
        }
        let output = Command::new(env::current_exe().unwrap())
            .args(["mapped_file::tests::a_file_cut_short_ends_the_process_with_a_line", "--exact"])
            .arg("--nocapture")
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), GONE);
        assert_eq!(output.status.code(), Some(1), "{}", output.status);
    }

    #[test]
    fn what_is_written_stays_in_the_file_and_nobody_maps_it_twice() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().read(true).write(true).open(file.path()).unwrap();
        assert!(map(open()).is_err(), "it is empty");
        open().set_len(5000).unwrap();
        let memory = map(open()).unwrap();
        assert_eq!((memory.len(), memory[4999]), (5000, 0));
        memory[4999] = 7;
        assert_eq!(std::fs::read(file.path()).unwrap()[4999], 7);
        assert!(map(open()).is_err(), "it is mapped");
    }
}
