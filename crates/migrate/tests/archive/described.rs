//! `docs/archive.md` against what is written: its example, and its list of fields.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bitcoin::secp256k1::PublicKey;
use channelcoord::Record;
use chanstate::record::ReclaimRecord;
use linknode::{Address, LinkAddressRecord};
use migrate::lnd::codec::residue;
use migrate::lnd::residue::Residue;

use crate::samples::{Trial, findings, imported, meta, open, records, settled_htlc};
use crate::sketch::{Sketch, pair};

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/archive.md");
    std::fs::read_to_string(path).unwrap()
}

/// The code blocks of a language.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let parts = document.split("```").skip(1).step_by(2);
    parts.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

#[test]
fn the_example_is_an_archive() {
    let document = document();
    let [example] = blocks(&document, "hex")[..] else { panic!("not one example") };
    let bytes: Vec<u8> = example
        .lines()
        .filter_map(|line| line.split("  ").next())
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    assert_eq!(findings(&bytes), []);
    let trial = Trial::new();
    trial.put(&bytes);
    let htlc = settled_htlc(700_000 << 40 | 1 << 16, 7);
    let expected = vec![htlc, meta("network", b"regtest")];
    assert_eq!(trial.records().unwrap(), expected);
    // Another release has another name.
    let mut sketch = Sketch::new(&[expected]);
    sketch.writer = open(&trial.path()).writer().as_bytes().to_vec();
    sketch.settle();
    assert_eq!(sketch.bytes(), bytes);
}

#[test]
fn every_record_is_as_described() {
    let document = document();
    let forms = Forms::read(&document);
    let peer = "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619";
    let peer: PublicKey = peer.parse().unwrap();
    let addresses = [
        Address::Ipv4 { ip: [1, 2, 3, 4].into(), port: 9735 },
        Address::Ipv6 { ip: [7; 16].into(), port: 1 },
        Address::TorV2 { service: [1; 10], port: 65535 },
        Address::TorV3 { service: [2; 35], port: 0 },
        Address::Dns { host: b"node.example".as_slice().into(), port: 9735 },
        Address::Opaque(b"\x09more".as_slice().into()),
    ];
    let addresses = (0..).zip(addresses).map(|(position, address)| {
        let record = LinkAddressRecord { node_id: peer, position, address };
        Record::LinkNode(linknode::Record::LinkAddress(record))
    });
    let reclaim = ReclaimRecord { no: 7.into() };
    let reclaim = Record::Channel(chanstate::Record::Reclaim(reclaim));
    let patch = residue::between(b"usual", b"unusual").unwrap();
    let residues = [
        Residue::Patch(patch),
        Residue::value(b"other".as_slice().into(), None),
        Residue::value(b"other".as_slice().into(), Some(&b"usual".as_slice().into())),
        Residue::absent(None),
        Residue::absent(Some(&b"usual".as_slice().into())),
        Residue::Bucket(1 << 40),
        Residue::OpenCopy,
    ];
    let residues = residues.map(|residue| residue.to_record(&[b"bucket\0".to_vec()]));
    let mut seen = BTreeSet::new();
    let of_lnd = ["node.db", "legacy.db", "legacy31.db"]
        .into_iter()
        .flat_map(|name| records(&imported(name)).unwrap());
    for record in of_lnd.chain(addresses).chain([reclaim]).chain(residues) {
        let (key, value) = pair(&record);
        assert_eq!(forms.key_of(key[0], &value), key, "{}", record.key());
        seen.insert(record.key().kind);
    }
    assert!(seen.iter().copied().eq(chanstate::key::Kind::ALL), "{seen:?}");
    assert_eq!(forms.records.len(), seen.len());
}

/// The document's list of fields.
#[derive(Default)]
struct Forms<'d> {
    /// By kind: components of the key, and fields.
    records: BTreeMap<u8, (Vec<&'d str>, Fields<'d>)>,
    parts: BTreeMap<&'d str, Fields<'d>>,
    choices: BTreeMap<&'d str, BTreeMap<u8, &'d str>>,
}

/// Names and types.
type Fields<'d> = Vec<(&'d str, &'d str)>;

impl<'d> Forms<'d> {
    fn read(document: &'d str) -> Forms<'d> {
        let mut forms = Forms::default();
        for item in blocks(document, "text").into_iter().flat_map(|block| block.split("\n\n")) {
            let mut lines = item.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let head = lines.next().unwrap();
            match head[..] {
                ["record", kind, ..] => {
                    let key = lines.next().unwrap().split_off(1);
                    let fields = lines.map(|line| (line[0], line[1])).collect();
                    forms.records.insert(kind.parse().unwrap(), (key, fields));
                }
                ["part", name, ..] => {
                    let fields = lines.map(|line| (line[0], line[1])).collect();
                    forms.parts.insert(name, fields);
                }
                ["choice", name] => {
                    let types = lines.map(|line| (line[0].parse().unwrap(), line[1])).collect();
                    forms.choices.insert(name, types);
                }
                _ => {}
            }
        }
        forms
    }

    /// Reads a value to its end, and makes the key of what it says.
    fn key_of(&self, kind: u8, value: &[u8]) -> Vec<u8> {
        let (key, fields) = &self.records[&kind];
        let mut rest = value;
        assert_eq!(take(&mut rest, 1), [1]);
        let found: BTreeMap<&str, Vec<u8>> =
            fields.iter().map(|(name, ty)| (*name, self.read_type(ty, &mut rest))).collect();
        assert_eq!(rest, [0; 0], "left over of kind {kind}");
        [kind].into_iter().chain(key.iter().flat_map(|part| found[part].clone())).collect()
    }

    /// Reads a value of a type; answers what stands for it in a key.
    fn read_type(&self, ty: &str, rest: &mut &[u8]) -> Vec<u8> {
        if let Some(of) = ty.strip_suffix('?') {
            return match take(rest, 1) {
                [0] => Vec::new(),
                [1] => self.read_type(of, rest),
                other => panic!("presence {other:?}"),
            };
        }
        if let Some(of) = ty.strip_prefix('[').and_then(|ty| ty.strip_suffix(']')) {
            (0..int(rest)).for_each(|_| drop(self.read_type(of, rest)));
            return Vec::new();
        }
        if let Some(of) = ty.strip_prefix('<').and_then(|ty| ty.strip_suffix('>')) {
            let len = int(rest) as usize;
            let mut inner = take(rest, len);
            self.read_type(of, &mut inner);
            assert_eq!(inner, [0; 0], "left over of {of}");
            return Vec::new();
        }
        if let Ok(len) = ty.parse() {
            return take(rest, len).to_vec();
        }
        match ty {
            "int" => int(rest).to_be_bytes().to_vec(),
            "byte" => u64::from(take(rest, 1)[0]).to_be_bytes().to_vec(),
            "flag" => {
                assert!(take(rest, 1)[0] <= 1);
                Vec::new()
            }
            "bytes" | "tx" | "message" => {
                let len = int(rest);
                take(rest, len as usize).to_vec()
            }
            name if self.choices.contains_key(name) => {
                let number = take(rest, 1)[0];
                self.read_type(self.choices[name][&number], rest);
                u64::from(number).to_be_bytes().to_vec()
            }
            name => {
                for (_, ty) in self.parts.get(name).unwrap_or_else(|| panic!("no type {name}")) {
                    self.read_type(ty, rest);
                }
                Vec::new()
            }
        }
    }
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> &'b [u8] {
    let (taken, left) = rest.split_at(len);
    *rest = left;
    taken
}

fn int(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(rest, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    unreachable!()
}
