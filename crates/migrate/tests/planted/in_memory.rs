//! Faults in the records of a store in memory, through commits.

use channelcoord::{Backend, Batch, ChangeSet, MemoryBackend, Record};
use chanstate::key::RecordKey;
use migrate::opened::Opened;
use migrate::url::StoreUrl;
use pollster::block_on;

use crate::judge::{Judge, nameless};
use crate::{base, record_faults};

fn commit(store: &MemoryBackend, removes: Vec<RecordKey>, puts: Vec<Record>) {
    let head = block_on(store.claim(None)).unwrap();
    let sets = [ChangeSet { removes, puts, ..ChangeSet::default() }];
    block_on(store.commit(Batch { epoch: head.epoch, before: head.seq, sets: &sets })).unwrap();
}

#[test]
fn every_fault_in_a_record_is_found() {
    let content = base::content();
    let (from, source) = nameless(base::in_memory(&content));
    let store = base::in_memory(&content);
    let to: StoreUrl = from.clone();
    let target = Opened::Store(Box::new(store.clone()));
    let mut judge = Judge::new(from, source, &to, &target);
    for fault in record_faults::all(&content) {
        commit(&store, fault.removed.clone(), fault.put.clone());
        judge.found(&fault.name, &fault.names(), &Vec::new(), &to, &target);
        let before = |key: &RecordKey| content.iter().find(|record| record.key() == *key).cloned();
        let keys = fault.put.iter().map(Record::key);
        let touched: Vec<_> = fault.removed.iter().cloned().chain(keys).collect();
        let back = touched.iter().filter_map(before).collect();
        let gone = touched.iter().filter(|key| before(key).is_none()).cloned().collect();
        commit(&store, gone, back);
    }
    judge.conclude("memory");
}
