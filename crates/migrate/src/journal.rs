//! What a target keeps of the copy that fills it, in the same commits as the content.

use bytes::Bytes;
use channelcoord::{Stage, Transfer, TransferId};
use chanstate::codec::{Codec, DecodeError, Reader};
use chanstate::key::RecordKey;
use chanstate::{codec_enum, codec_struct};

use crate::identity::Identity;

/// How a copy was begun, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The transfer.
    pub id: TransferId,
    /// The source's name.
    pub from: String,
    /// The source.
    pub source: Identity,
    /// Inconsistencies are carried as they are.
    pub accept: bool,
    /// What is damaged is left out.
    pub skip_damaged: bool,
    /// What is being written.
    pub phase: Phase,
    /// Change sets and records that the source handed over and that are stored.
    pub steps: u64,
    /// Records in them.
    pub records: u64,
    /// The last of them, for a source that is read in key order.
    pub after: Option<RecordKey>,
    /// Differences of encoding that are kept beside the records.
    pub residues: u64,
}

/// What a copy writes, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Records.
    Content = 1,
    /// What an lnd source holds beyond them. Done again from the start: the same is put again.
    Residue = 2,
    /// Nothing: both sides are compared.
    Verify = 3,
}
codec_enum!(Phase { Content, Residue, Verify });

/// Version byte of a stored journal.
const VERSION: u8 = 1;

/// The journal as it is stored, without what the transfer says.
struct Detail {
    source: Identity,
    accept: bool,
    skip_damaged: bool,
    phase: Phase,
    steps: u64,
    records: u64,
    after: Option<RecordKey>,
    residues: u64,
}
codec_struct!(Detail { source, accept, skip_damaged, phase, steps, records, after, residues });

impl Journal {
    /// The transfer at a stage, with this journal in it.
    pub fn at(&self, stage: Stage) -> Transfer {
        let Journal { id, from, source, phase, after, .. } = self;
        let detail = Detail {
            source: source.clone(),
            accept: self.accept,
            skip_damaged: self.skip_damaged,
            phase: *phase,
            steps: self.steps,
            records: self.records,
            after: after.clone(),
            residues: self.residues,
        };
        let mut out = vec![VERSION];
        detail.encode_to(&mut out);
        Transfer { id: *id, stage, other: from.clone(), detail: out.into() }
    }

    /// Reads the journal of a target.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn of(transfer: &Transfer) -> Result<Journal, DecodeError> {
        let mut reader = Reader::new(Bytes::clone(&transfer.detail));
        match u8::decode_from(&mut reader)? {
            VERSION => {}
            found => return Err(DecodeError::Version { found, newest: VERSION }),
        }
        let Detail { source, accept, skip_damaged, phase, steps, records, after, residues } =
            Codec::decode_from(&mut reader)?;
        reader.finish()?;
        Ok(Journal {
            id: transfer.id,
            from: transfer.other.clone(),
            source,
            accept,
            skip_damaged,
            phase,
            steps,
            records,
            after,
            residues,
        })
    }
}
