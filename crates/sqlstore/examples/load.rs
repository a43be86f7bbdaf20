//! Measures commits the way a busy node makes them: each change set signs a channel's next
//! commitment, so it writes the channel's row, a commitment, an HTLC and an acknowledgement, and
//! removes the commitment before.
//!
//! `cargo run --release -p sqlstore --example load -- <directory> <sets in a batch> <HTLCs in flight>
//! <seconds>`

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use bitcoin::absolute::LockTime;
use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::transaction::Version as TxVersion;
use bitcoin::{Amount, Network, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use channelcoord::{Backend, Batch, ChangeSet, Head, PackageAck, Verdict};
use chanstate::key::RecordKey;
use chanstate::record::*;
use chanstate::{Record as Part, *};
use pollster::block_on;
use sqlstore::SqliteBackend;

const CHANNELS: u64 = 1024;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |name| arguments.next().ok_or(format!("{name} is missing"));
    let directory = next("directory")?;
    let batch: usize = next("number of sets in a batch")?.parse()?;
    let in_flight: u64 = next("number of HTLCs in flight")?.parse()?;
    let seconds: u64 = next("number of seconds")?.parse()?;
    measure(Path::new(&directory), batch, in_flight, Duration::from_secs(seconds))
}

fn measure(directory: &Path, batch: usize, in_flight: u64, time: Duration) -> Result<(), Failure> {
    let backend = SqliteBackend::create(directory.join("load.sqlite"))?;
    let mut head = block_on(backend.claim(None))?;
    let template = Template::new(in_flight)?;
    for no in 1..=CHANNELS {
        commit(&backend, &mut head, &[template.opening(no)])?;
    }
    let mut last = vec![(0, 0); CHANNELS as usize + 1];
    (1..=CHANNELS).for_each(|no| last[no as usize].0 = no);
    let (mut sets, mut turn) = (0, 0);
    let mut latencies = Vec::new();
    let written = written()?;
    let started = Instant::now();
    while started.elapsed() < time {
        let next = |_| {
            turn = turn % CHANNELS + 1;
            // Spreads neighbours over the tree.
            let no = turn * 37 % CHANNELS + 1;
            let (version, height) = &mut last[no as usize];
            *height += 1;
            let set = template.signing(no, *version, *height, head.seq.0 + 1);
            (no, set)
        };
        let (numbers, mut chosen): (Vec<_>, Vec<_>) = (0..batch).map(next).unzip();
        for ((no, set), seq) in numbers.iter().zip(&mut chosen).zip(head.seq.0 + 1..) {
            set.stamp(Version(seq));
            last[*no as usize].0 = seq;
        }
        let began = Instant::now();
        commit(&backend, &mut head, &chosen)?;
        latencies.push(began.elapsed());
        sets += batch;
    }
    let busy: Duration = latencies.iter().sum();
    latencies.sort();
    let at = |part: usize| latencies[(latencies.len() - 1) * part / 100];
    println!(
        "batch {batch:4}, {in_flight:3} in flight: {:7.0} sets/s, {:6.1} kB/set written, \
         commit {:.2?} median, {:.2?} at 99 %, {:.2?} at most",
        sets as f64 / busy.as_secs_f64(),
        (self::written()? - written) as f64 / 1e3 / sets as f64,
        at(50),
        at(99),
        at(100),
    );
    Ok(block_on(backend.release())?)
}

fn commit(backend: &SqliteBackend, head: &mut Head, sets: &[ChangeSet]) -> Result<(), Failure> {
    let batch = Batch { epoch: head.epoch, before: head.seq, sets };
    head.seq = batch.last();
    let verdicts = block_on(backend.commit(batch))?;
    let applied = verdicts.iter().all(|verdict| matches!(verdict, Verdict::Applied));
    if applied { Ok(()) } else { Err("a set was not applied".into()) }
}

/// Bytes that this process sent to the disk.
fn written() -> Result<u64, Failure> {
    let counters = std::fs::read_to_string("/proc/self/io")?;
    let line = counters.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("no counter of written bytes")?.parse()?)
}

/// Records that all channels share but for their keys.
struct Template {
    channel: ChannelRecord,
    commitment: CommitmentRecord,
    htlc: HtlcRecord,
    update: PackageUpdateRecord,
}

impl Template {
    fn new(in_flight: u64) -> Result<Template, Failure> {
        let secret = SecretKey::from_slice(&[7; 32])?;
        let point = PublicKey::from_secret_key(&Secp256k1::new(), &secret);
        let output = TxOut {
            value: Amount::from_sat(1000),
            script_pubkey: ScriptBuf::from_bytes(vec![0x51; 34]),
        };
        let commit_tx = Transaction {
            version: TxVersion::TWO,
            lock_time: LockTime::ZERO,
            input: vec![],
            output: vec![output; in_flight as usize + 4],
        };
        let slot = |id| HtlcSlot {
            key: HtlcKey { direction: Direction::Incoming, id: HtlcId(id) },
            output_index: Some(id as u32),
            signature: vec![id as u8; 64].into(),
            own_terms: None,
        };
        let none = ChannelNo(0);
        let terms = HtlcTerms {
            log_index: LogIndex(1),
            amount: MilliSatoshi(1_000_000),
            payment_hash: [1; 32],
            cltv_expiry: 700_000,
            onion: vec![2; ONION_LEN].into(),
            extra: Default::default(),
        };
        Ok(Template {
            channel: ChannelRecord {
                no: none,
                version: Version::ABSENT,
                funding_outpoint: OutPoint::new(Txid::all_zeros(), 0),
                channel_id: ChannelId([0; 32]),
                peer: point,
                chain: ChainHash::using_genesis_block(Network::Regtest),
                closed: false,
                pending: false,
                channel_type: ChannelType::ANCHORS,
                status: ChannelStatus::empty(),
                scid: ShortChannelId(1),
                confirmed_scid: None,
                confirmation_height: Some(700_000),
                close_confirmation_height: None,
                local_height: Some(CommitmentHeight(0)),
                remote_height: Some(CommitmentHeight(0)),
                has_pending: false,
                last_was_revoke: Some(false),
                total_sent: MilliSatoshi(0),
                total_received: MilliSatoshi(0),
                remote_current_point: point,
                remote_next_point: Some(point),
                next_secret_index: 0,
            },
            commitment: CommitmentRecord {
                no: none,
                side: Side::Local,
                height: CommitmentHeight(0),
                local_log_index: LogIndex(0),
                local_htlc_index: HtlcId(0),
                remote_log_index: LogIndex(0),
                remote_htlc_index: HtlcId(0),
                local_balance: MilliSatoshi(0),
                remote_balance: MilliSatoshi(0),
                commit_fee: Amount::ZERO,
                fee_per_kw: Amount::ZERO,
                commit_tx: commit_tx.into(),
                commit_sig: vec![3; 71].into(),
                slots: (0..in_flight).map(slot).collect(),
                custom_blob: None,
                unknown_tlvs: Default::default(),
            },
            htlc: HtlcRecord { no: none, direction: Direction::Incoming, id: HtlcId(0), terms },
            update: PackageUpdateRecord {
                source: ShortChannelId(0),
                height: CommitmentHeight(0),
                list: PackageList::Adds,
                index: 0,
                update: UpdateRef { log_index: LogIndex(0), body: UpdateBody::Add(HtlcId(0)) },
                acked: false,
            },
        })
    }

    fn channel(&self, no: u64, version: u64) -> ChannelChange {
        let secret = Txid::hash(&no.to_le_bytes());
        ChannelChange::new(ChannelRecord {
            no: ChannelNo(no),
            version: Version(version),
            funding_outpoint: OutPoint::new(secret, 0),
            channel_id: ChannelId(secret.to_byte_array()),
            ..self.channel.clone()
        })
    }

    fn commitment(&self, no: u64, height: u64) -> Part {
        let height = CommitmentHeight(height);
        Part::Commitment(CommitmentRecord { no: ChannelNo(no), height, ..self.commitment.clone() })
    }

    fn opening(&self, no: u64) -> ChangeSet {
        let mut change = self.channel(no, 0);
        change.put(self.commitment(no, 0));
        let (source, height) = (ShortChannelId(no), CommitmentHeight(0));
        let channel = Some(ChannelNo(no));
        change.put(Part::Package(PackageRecord {
            source,
            height,
            no: channel,
            forward_filter: None,
        }));
        for index in 0..20 {
            change.put(Part::PackageUpdate(PackageUpdateRecord {
                source,
                index,
                ..self.update.clone()
            }));
        }
        change.stamp(Version(no));
        ChangeSet { channels: vec![change], ..ChangeSet::default() }
    }

    fn signing(&self, no: u64, version: u64, height: u64, seq: u64) -> ChangeSet {
        let mut change = self.channel(no, version);
        change.put(self.commitment(no, height));
        change.put(Part::Htlc(HtlcRecord {
            no: ChannelNo(no),
            id: HtlcId(height),
            ..self.htlc.clone()
        }));
        let before = CommitmentHeight(height - 1);
        change.remove(RecordKey::commitment(ChannelNo(no), Side::Local, before));
        let gone =
            HtlcKey { direction: Direction::Incoming, id: HtlcId(height.saturating_sub(20)) };
        change.remove(RecordKey::htlc(ChannelNo(no), gone));
        let ack = PackageAck {
            source: ShortChannelId(no),
            height: CommitmentHeight(0),
            list: PackageList::Adds,
            index: (seq % 20) as u16,
        };
        ChangeSet { channels: vec![change], acks: vec![ack], ..ChangeSet::default() }
    }
}
