//! The fixtures: the good ones are sound, the damaged ones are seen as they should be.

use crate::support::{Case, fixture};

#[test]
fn dump() {
    let dirs = ["tests/data/lnd", "/work/shared/fixtures/lnd", "/work/shared/fixtures/lnd/damaged"];
    for dir in dirs {
        let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "db")) {
            let source = match migrate::lnd::source::LndSource::open(file, true) {
                Ok(s) => s,
                Err(e) => { println!("== {} {}", file.display(), migrate::finding::chain(&e)); continue }
            };
            let case = Case::of(source);
            println!("== {} {:?}", file.display(), case.checked.counts);
            for f in &case.findings { println!("   {f}"); }
            for r in case.checked.refused.iter() { println!("   refused {}", migrate::bolt::display_path(r)); }
            case.assert_survives();
        }
    }
    let _ = fixture;
}
