//! A disk in memory that keeps a journal, and fails or loses power at a chosen step.

use std::io;
use std::sync::{Arc, Mutex};

use kvstore::{Options, RedbBackend, StorageBackend};

/// One step of the journal.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write(u64, Vec<u8>),
    Resize(u64),
    Sync,
}

/// Cheap to clone; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    image: Vec<u8>,
    journal: Vec<Step>,
    /// Steps left until every one fails.
    budget: Option<usize>,
}

impl Disk {
    pub(crate) fn with_image(image: Vec<u8>) -> Disk {
        Disk(Arc::new(Mutex::new(State { image, ..State::default() })))
    }

    pub(crate) fn open(&self) -> RedbBackend {
        Options::default().open_storage(self.clone()).unwrap()
    }

    /// What a reader of the disk would find now.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.0.lock().unwrap().image.clone()
    }

    /// Damages the disk.
    pub(crate) fn change(&self, change: impl FnOnce(&mut [u8])) {
        change(&mut self.0.lock().unwrap().image);
    }

    pub(crate) fn journal(&self) -> Vec<Step> {
        self.0.lock().unwrap().journal.clone()
    }

    /// Lets `steps` more succeed and then fails each.
    pub(crate) fn fail_after(&self, steps: usize) {
        self.0.lock().unwrap().budget = Some(steps);
    }

    fn step(&self, step: Step) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        match &mut state.budget {
            Some(0) => return Err(io::Error::other("disk failed")),
            Some(left) => *left -= 1,
            None => {}
        }
        apply(&mut state.image, &step);
        state.journal.push(step);
        Ok(())
    }
}

/// Carries out a step on an image.
pub(crate) fn apply(image: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write(offset, data) => {
            let offset = usize::try_from(*offset).unwrap();
            image[offset..offset + data.len()].copy_from_slice(data);
        }
        Step::Resize(len) => image.resize(usize::try_from(*len).unwrap(), 0),
        Step::Sync => {}
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.0.lock().unwrap().image[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step(Step::Resize(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step(Step::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.step(Step::Write(offset, data.to_vec()))
    }
}
