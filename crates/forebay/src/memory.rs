//! Memory: what is needed at the start only, and how much may be used for bodies.

use std::ffi::{c_int, c_long};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::mm::{Advice, madvise};

// SAFETY: that is how mimalloc.h has them, which `main.rs` chose for the allocator. Both look at nothing but the option's number.
#[expect(unsafe_code, reason = "there is no other way to tell the allocator")]
unsafe extern "C" {
    safe fn mi_option_set(option: c_int, value: c_long);
    #[cfg(test)]
    safe fn mi_option_get(option: c_int) -> c_long;
}

/// `mi_option_purge_delay`: for how many milliseconds memory that is free is kept before it is given back.
const PURGE_DELAY: c_int = 15;

/// Has memory go back to the system as soon as it is free. The allocator keeps it for a second by itself, which is long where
/// large bodies come one after the other to a model server that has little.
pub(crate) fn give_back_at_once() {
    mi_option_set(PURGE_DELAY, 0);
}

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

/// Bytes of bodies that a model server takes at a time. What a body becomes (rows, numbers, an answer) needs about four times
/// as much besides.
pub(crate) fn for_bodies() -> usize {
    const SHARES: u64 = 5;
    usize::try_from(allowed() / SHARES).unwrap_or(usize::MAX)
}

/// Bytes that this process may use: what the platform told it, its cgroup, or what the machine has, whichever is least.
fn allowed() -> u64 {
    let told = std::env::var(manifest::MEMORY_LIMIT).ok().and_then(|text| text.parse().ok());
    let read = |path: &Path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_groups = groups_of(&groups).filter_map(|path| read(&path));
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let limits = of_groups.chain(told).chain(total_of(&machine)).filter(|limit| *limit > 0);
    limits.min().unwrap_or(u64::MAX)
}

/// The files that say how much memory a process's control groups may use, from `/proc/self/cgroup` (cgroups(7)). In a
/// container the group may be at the root of what is seen there.
fn groups_of(groups: &str) -> impl Iterator<Item = PathBuf> {
    groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let path = path.trim_start_matches('/');
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        };
        let is_about_memory = controllers.is_empty() || controllers.split(',').any(|one| one == "memory");
        let files = [Path::new(root).join(path).join(file), Path::new(root).join(file)];
        files.into_iter().filter(move |_| is_about_memory)
    })
}

/// The memory of the machine, from `/proc/meminfo` (proc(5)).
fn total_of(machine: &str) -> Option<u64> {
    let line = machine.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_of_the_allocator_is_the_one_that_is_meant() {
        assert_eq!(mi_option_get(PURGE_DELAY), 1000, "what mimalloc 3 does by itself");
        give_back_at_once();
        assert_eq!(mi_option_get(PURGE_DELAY), 0);
    }

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

    #[test]
    fn the_memory_that_may_be_used_is_found() {
        let files = |groups: &str| -> Vec<String> {
            groups_of(groups).map(|path| path.display().to_string()).collect()
        };
        assert_eq!(
            files("0::/kubepods/pod1\n"),
            ["/sys/fs/cgroup/kubepods/pod1/memory.max", "/sys/fs/cgroup/memory.max"]
        );
        assert_eq!(
            files("3:cpu,cpuacct:/a\n9:memory:/a/b\n"),
            [
                "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
        assert_eq!(total_of("MemTotal:       16 kB\nMemFree: 1 kB\n"), Some(16 * 1024));
        assert_eq!((files("").len(), total_of("")), (0, None));
        assert!(for_bodies() > 0);
    }
}
