//! Memory that outlives the process: a file, mapped.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::{mem, ptr, slice};

/// The whole file as memory, which the kernel keeps when the process is killed. It is locked, and stays so until
/// the process ends.
///
/// # Errors
///
/// Somebody has it already, it is empty, or the kernel refuses.
pub fn map(file: File) -> io::Result<&'static mut [u8]> {
    // Of all open files this one alone may be mapped: the lock is this one's.
    file.try_lock()?;
    let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let (access, sharing) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: a new mapping, wherever the kernel likes.
    let memory = unsafe { libc::mmap(ptr::null_mut(), len, access, sharing, file.as_raw_fd(), 0) };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // The lock is held for as long as the file is open.
    mem::forget(file);
    // SAFETY: these bytes are mapped and initialised, and never unmapped. Nobody else has them: other processes and
    // other calls of this keep to the lock.
    let bytes = unsafe { slice::from_raw_parts_mut(memory.cast::<u8>(), len) };
    // SAFETY: advice changes none of them. Where shared memory has no huge pages it fails, and nothing is lost.
    unsafe { libc::madvise(memory, len, libc::MADV_HUGEPAGE) };
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

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
