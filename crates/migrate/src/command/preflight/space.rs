//! Whether the target's place has room for it.

use super::check::{Check, Class};
use super::measure::{Estimate, parent};
use crate::text::bytes;
use crate::url::StoreUrl;

/// Free space that is asked for beside the estimate, as a part of it: one in this many.
const RESERVE: u64 = 4;

/// Compares free space with what the target will take.
pub(super) fn check(to: &StoreUrl, estimate: &Estimate) -> Check {
    const NAME: &str = "space";
    let StoreUrl::File { path, .. } = to else {
        let what = format!("the target takes about {}", bytes(estimate.bytes));
        let check = Check::note(NAME, format!("{what}; free space of a server cannot be known"));
        return check.advise("ask its operator, with room for the write-ahead log too");
    };
    let place = parent(path);
    match rustix::fs::statvfs(&place) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            // What a copy that goes on has written is there already.
            let written = std::fs::metadata(path).map_or(0, |target| target.len());
            let needed = estimate.room.saturating_sub(written);
            judge(NAME, free, needed, &place.display().to_string())
        }
        Err(error) => Check::note(NAME, format!("free space at {}: {error}", place.display())),
    }
}

fn judge(name: &'static str, free: u64, needed: u64, place: &str) -> Check {
    let what = format!("{} free at {place}, about {} needed", bytes(free), bytes(needed));
    if free < needed {
        let advice = "make room, or name a target on another disk";
        Check::refused(name, Class::Access, what, advice)
    } else if free < needed.saturating_add(needed / RESERVE) {
        Check::note(name, what).advise("this is close, and the need is an estimate")
    } else {
        Check::ok(name, what)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn a_disk_without_room_is_refused_and_a_full_one_noted() {
        let verdict = |free| judge("space", free, 1000, "/x").verdict;
        assert_eq!(verdict(999), Verdict::Refused);
        assert_eq!(verdict(1000), Verdict::Note);
        assert_eq!(verdict(1249), Verdict::Note);
        assert_eq!(verdict(1250), Verdict::Ok);
    }
}
