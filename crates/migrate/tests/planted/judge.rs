//! Asks the commands about a store with a fault, and judges what they say.

use std::sync::Mutex;

use migrate::command::{self, DigestOptions, DigestReport, VerifyReport, Watch};
use migrate::finding::Finding;
use migrate::opened::{self, Failure, Opened};
use migrate::progress::Progress;
use migrate::url::StoreUrl;

/// What a store with a fault is compared with.
pub(crate) struct Judge {
    from: StoreUrl,
    source: Opened,
    /// What `digest` told of the store before.
    recorded: DigestReport,
    pub(crate) planted: usize,
    missed: Vec<String>,
}

/// What must be named, each by one of several names.
pub(crate) type Names = Vec<Vec<String>>;

impl Judge {
    /// Judges copies of `source`, the first of which is `target`.
    pub(crate) fn new(from: StoreUrl, source: Opened, to: &StoreUrl, target: &Opened) -> Judge {
        let told = verify(&from, &source, to, target).unwrap();
        assert_eq!(told.differences, 0, "{told}");
        let recorded = digest(to, target, None).0.unwrap();
        assert_eq!(told.digest.as_ref(), Some(&recorded.digest));
        Judge { from, source, recorded, planted: 0, missed: Vec::new() }
    }

    /// Notes whether `verify` and `digest` find a fault and name it.
    pub(crate) fn found(
        &mut self,
        fault: &str,
        names: &Names,
        digest_names: &Names,
        to: &StoreUrl,
        target: &Opened,
    ) {
        self.planted += 1;
        let told = match verify(&self.from, &self.source, to, target) {
            Ok(told) => told,
            Err(failure) => return self.missed.push(format!("{fault}: verify fails: {failure}")),
        };
        let named = told.first.join("\n");
        if told.differences == 0 {
            self.missed.push(format!("{fault}: verify finds nothing"));
        } else if told.digest.as_ref() == Some(&self.recorded.digest) {
            self.missed.push(format!("{fault}: verify tells the same digest"));
        }
        self.require(fault, "verify", names, &named);
        let (told, findings) = digest(to, target, Some(&self.recorded));
        match told {
            Ok(told) if told.is_same() => self.missed.push(format!("{fault}: same digest")),
            Ok(told) => {
                let named = told.differences.unwrap_or_default().join("\n");
                self.require(fault, "digest", digest_names, &named);
            }
            Err(Failure::Content(_)) => {
                // Where a key changed, nothing tells which one it was before.
                let any = vec![names.concat()];
                let named: Vec<_> = findings.iter().map(Finding::to_string).collect();
                self.require(fault, "digest", &any, &named.join("\n"));
            }
            Err(failure) => self.missed.push(format!("{fault}: digest fails: {failure}")),
        }
    }

    /// Notes whether `verify` and `digest` pass over what is no content.
    pub(crate) fn passed_over(&mut self, change: &str, to: &StoreUrl, target: &Opened) {
        let told = verify(&self.from, &self.source, to, target).unwrap();
        if told.differences > 0 || told.digest.as_ref() != Some(&self.recorded.digest) {
            self.missed.push(format!("{change} is no fault: {told}"));
        }
    }

    fn require(&mut self, fault: &str, command: &str, names: &Names, told: &str) {
        for any in names {
            if !any.iter().any(|name| told.contains(name)) {
                self.missed.push(format!("{fault}: {command} does not name {any:?}: {told}"));
            }
        }
    }

    /// Fails if a fault was missed.
    pub(crate) fn conclude(self, engine: &str) {
        let (planted, missed) = (self.planted, self.missed.len());
        println!("{engine}: {planted} faults planted, {missed} complaints");
        assert!(planted > 0, "nothing was planted");
        let shown = &self.missed[..missed.min(60)];
        assert!(missed == 0, "{missed} complaints about {planted} faults:\n{}", shown.join("\n"));
    }
}

/// Keeps findings, shows nothing.
#[derive(Default)]
struct Quiet(Mutex<Vec<Finding>>);

impl Watch for Quiet {
    fn phase(&self, _name: &str, _total: Option<u64>) -> Progress {
        Progress::silent()
    }

    fn finding(&self, finding: &Finding) {
        self.0.lock().unwrap().push(finding.clone());
    }
}

fn verify(
    from: &StoreUrl,
    source: &Opened,
    to: &StoreUrl,
    target: &Opened,
) -> Result<VerifyReport, Failure> {
    command::verify(from, source, to, target, &Quiet::default())
}

/// What `digest` tells of a store, and its findings.
pub(crate) fn digest(
    url: &StoreUrl,
    store: &Opened,
    against: Option<&DigestReport>,
) -> (Result<DigestReport, Failure>, Vec<Finding>) {
    let quiet = Quiet::default();
    let options = DigestOptions { channels: true, against: against.cloned() };
    let told = command::digest(url, store, &options, &quiet);
    (told, quiet.0.into_inner().unwrap())
}

/// Opens a store as the command line does.
pub(crate) fn open(url: &str) -> (StoreUrl, Opened) {
    let url = StoreUrl::resolve(url).unwrap();
    let opened = opened::open(&url, false).unwrap();
    (url, opened)
}

/// A store that has no name, as source of others.
pub(crate) fn nameless(store: impl channelcoord::Backend) -> (StoreUrl, Opened) {
    let url = StoreUrl::resolve("redb:memory").unwrap();
    (url, Opened::Store(Box::new(store)))
}
