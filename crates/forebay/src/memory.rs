//! Memory that is needed at the start only.

use std::fs;

use rustix::mm::{Advice, madvise};

/// Gives the pages of the program back that reading arguments, files and models took, most of which are not needed again.
/// They are read-only pages of the program's file in the page cache, and those that are needed come back one by one. Of
/// every replica that is some megabytes less.
///
/// Where `/proc` says nothing of it, nothing happens.
pub(crate) fn forget_the_start() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    for (start, length) in code_of(&maps, &program.display().to_string()) {
        // SAFETY: these pages are mapped from a file for reading and executing, and nobody has written to them (they are
        // not writable), so that the kernel reads the same bytes again when they are used (madvise(2), MADV_DONTNEED).
        #[expect(unsafe_code, reason = "there is no other way to tell the kernel")]
        let done =
            unsafe { madvise(std::ptr::with_exposed_provenance_mut(start), length, Advice::LinuxDontNeed) };
        if let Err(error) = done {
            tracing::debug!(%error, "the pages of the start stay");
        }
    }
}

/// Where the code of a program is, in the words of `/proc/self/maps` (proc(5)): start and length.
fn code_of(maps: &str, program: &str) -> Vec<(usize, usize)> {
    let range = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let is_code = fields.next() == Some("r-xp") && fields.nth(3) == Some(program);
        let address = |text: &str| usize::from_str_radix(text, 16).ok();
        let (start, end) = (address(start)?, address(end)?);
        is_code.then_some((start, end.checked_sub(start)?))
    };
    maps.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_code_is_meant() {
        let maps = "\
55d0-55e0 r--p 00000000 fe:00 12 /usr/bin/forebay
55e0-56f0 r-xp 00010000 fe:00 12 /usr/bin/forebay
56f0-5700 rw-p 00120000 fe:00 12 /usr/bin/forebay
7000-7f00 r-xp 00000000 fe:00 13 /usr/lib/libc.so.6
8000-8f00 rw-p 00000000 00:00 0 [heap]
";
        assert_eq!(code_of(maps, "/usr/bin/forebay"), [(0x55e0, 0x110)]);
    }

    #[test]
    fn the_program_goes_on_without_its_start() {
        forget_the_start();
        assert_eq!(code_of("", ""), []);
    }
}
