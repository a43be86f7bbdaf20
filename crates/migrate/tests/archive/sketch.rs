//! Archives put together by hand, as `docs/archive.md` describes them, with any part wrong.

use bitcoin::hashes::{Hash, sha256};
use channelcoord::Record;

/// The parts of an archive. Checksums are those of what it says, right or wrong.
#[derive(Clone)]
pub(crate) struct Sketch {
    pub(crate) magic: Vec<u8>,
    pub(crate) format: u16,
    pub(crate) flags: u16,
    pub(crate) compression: u8,
    pub(crate) writer: Vec<u8>,
    pub(crate) blocks: Vec<SketchBlock>,
    pub(crate) index: Vec<(u64, Vec<u8>)>,
    pub(crate) index_count: u32,
    pub(crate) index_len: u64,
    /// Bytes that are missing at its end.
    pub(crate) index_cut: usize,
    /// Bytes between index and footer.
    pub(crate) gap: Vec<u8>,
    pub(crate) footer: SketchFooter,
    pub(crate) tail: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct SketchBlock {
    pub(crate) number: u32,
    pub(crate) records: u32,
    pub(crate) len: u32,
    pub(crate) stored_len: u32,
    pub(crate) stored: Vec<u8>,
    content: Vec<u8>,
    first: Vec<u8>,
}

#[derive(Clone, Default)]
pub(crate) struct SketchFooter {
    pub(crate) blocks: u32,
    pub(crate) index_at: u64,
    pub(crate) len: u64,
    pub(crate) records: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) counts: Vec<(u8, u64)>,
    pub(crate) own_len: u32,
}

/// Key and value of a record.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

pub(crate) fn pair(record: &Record) -> Pair {
    (record.key().to_bytes(), record.as_ref().encode())
}

/// A record in the content of a block.
pub(crate) fn record_bytes((key, value): &Pair) -> Vec<u8> {
    let lens = [key.len() as u32, value.len() as u32].map(u32::to_be_bytes).concat();
    sealed([&lens[..], key, value].concat())
}

impl SketchBlock {
    pub(crate) fn new(number: u32, pairs: &[Pair]) -> SketchBlock {
        let content: Vec<u8> = pairs.iter().flat_map(record_bytes).collect();
        let first = pairs.first().map(|(key, _)| key.clone()).unwrap_or_default();
        SketchBlock { first, ..SketchBlock::raw(number, pairs.len() as u32, content) }
    }

    /// A block of any content.
    pub(crate) fn raw(number: u32, records: u32, content: Vec<u8>) -> SketchBlock {
        let stored = zstd::bulk::compress(&content, 3).unwrap();
        let (len, stored_len) = (content.len() as u32, stored.len() as u32);
        SketchBlock { number, records, len, stored_len, stored, content, first: Vec::new() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let crc = crc32fast::hash(&self.stored);
        let fields = [self.number, self.records, self.len, self.stored_len, crc];
        let head = [b"BLCK".to_vec(), fields.map(u32::to_be_bytes).concat()].concat();
        [sealed(head), self.stored.clone()].concat()
    }
}

impl Sketch {
    /// A sound archive with these records in its blocks.
    pub(crate) fn new(blocks: &[Vec<Record>]) -> Sketch {
        let pairs: Vec<Vec<Pair>> =
            blocks.iter().map(|block| block.iter().map(pair).collect()).collect();
        Sketch::of_pairs(&pairs)
    }

    /// An archive with these keys and values in its blocks, whatever they are.
    pub(crate) fn of_pairs(blocks: &[Vec<Pair>]) -> Sketch {
        let numbered = (0..).zip(blocks);
        let blocks = numbered.map(|(number, pairs)| SketchBlock::new(number, pairs)).collect();
        Sketch::of_blocks(blocks)
    }

    pub(crate) fn of_blocks(blocks: Vec<SketchBlock>) -> Sketch {
        let mut sketch = Sketch {
            magic: b"\x89CHANAR\n".to_vec(),
            format: 1,
            flags: 0,
            compression: 1,
            writer: format!("migrate {}", env!("CARGO_PKG_VERSION")).into_bytes(),
            blocks,
            index: Vec::new(),
            index_count: 0,
            index_len: 0,
            index_cut: 0,
            gap: Vec::new(),
            footer: SketchFooter::default(),
            tail: Vec::new(),
        };
        sketch.settle();
        sketch
    }

    /// Makes index and footer say what is in header and blocks.
    pub(crate) fn settle(&mut self) {
        let mut at = self.header().len() as u64;
        self.index.clear();
        let mut counts = std::collections::BTreeMap::new();
        for block in &self.blocks {
            self.index.push((at, block.first.clone()));
            at += block.bytes().len() as u64;
            let mut rest = &block.content[..];
            while let [a, b, c, d, e, f, g, h, kind, ..] = rest {
                *counts.entry(*kind).or_insert(0u64) += 1;
                let len = |bytes| u32::from_be_bytes(bytes) as usize;
                let len = 12 + len([*a, *b, *c, *d]) + len([*e, *f, *g, *h]);
                rest = rest.get(len..).unwrap_or_default();
            }
        }
        self.index_count = self.index.len() as u32;
        self.index_len = self.index.iter().map(|(_, key)| 12 + key.len() as u64).sum();
        let content: Vec<u8> = self.blocks.iter().flat_map(|block| block.content.clone()).collect();
        let counts: Vec<_> = counts.into_iter().collect();
        let own_len = 81 + 9 * counts.len() as u32;
        self.footer = SketchFooter {
            blocks: self.blocks.len() as u32,
            index_at: at,
            len: at + 24 + self.index_len + u64::from(own_len),
            records: counts.iter().map(|(_, count)| count).sum(),
            sha256: sha256::Hash::hash(&content).to_byte_array(),
            counts,
            own_len,
        };
    }

    pub(crate) fn header(&self) -> Vec<u8> {
        let mut out = self.magic.clone();
        out.extend(self.format.to_be_bytes());
        out.extend(self.flags.to_be_bytes());
        out.push(self.compression);
        out.push(self.writer.len() as u8);
        out.extend(&self.writer);
        sealed(out)
    }

    fn index(&self) -> Vec<u8> {
        let mut head = b"INDX".to_vec();
        head.extend(self.index_count.to_be_bytes());
        head.extend(self.index_len.to_be_bytes());
        let mut body = Vec::new();
        for (offset, key) in &self.index {
            body.extend(offset.to_be_bytes());
            body.extend((key.len() as u32).to_be_bytes());
            body.extend(key);
        }
        body.truncate(body.len() - self.index_cut);
        [sealed(head), sealed(body)].concat()
    }

    fn footer(&self) -> Vec<u8> {
        let footer = &self.footer;
        let mut out = b"FOOT".to_vec();
        out.extend(footer.blocks.to_be_bytes());
        for field in [footer.index_at, footer.len, footer.records] {
            out.extend(field.to_be_bytes());
        }
        out.extend(footer.sha256);
        out.push(footer.counts.len() as u8);
        for (kind, count) in &footer.counts {
            out.push(*kind);
            out.extend(count.to_be_bytes());
        }
        let mut out = sealed(out);
        out.extend(footer.own_len.to_be_bytes());
        out.extend(b"\x89CHANEN\n");
        out
    }

    /// The parts one behind the other, each with its name.
    pub(crate) fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let mut parts = vec![("header".to_owned(), self.header())];
        for (place, block) in self.blocks.iter().enumerate() {
            parts.push((format!("block {place}"), block.bytes()));
        }
        parts.push(("index".to_owned(), [self.index(), self.gap.clone()].concat()));
        parts.push(("footer".to_owned(), self.footer()));
        parts
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let parts = self.parts().into_iter().flat_map(|(_, bytes)| bytes);
        parts.chain(self.tail.clone()).collect()
    }
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&bytes);
    bytes.extend(crc.to_be_bytes());
    bytes
}
