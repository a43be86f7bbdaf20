//! Every fault in the tables of a database, one after the other.

use std::collections::HashSet;

use migrate::opened::Opened;
use migrate::url::StoreUrl;

use crate::judge::Judge;
use crate::sql::{self, Shell, Table};
use crate::table_faults;

/// A store in a database, and who judges what is said about it.
pub(crate) struct Trial<'a> {
    pub(crate) shell: &'a mut dyn Shell,
    pub(crate) tables: &'a [Table],
    pub(crate) judge: &'a mut Judge,
}

/// Judges a store.
type Judging<'a> = dyn FnMut(&StoreUrl, &Opened) + 'a;

/// Opens the store that faults are planted in, and has it judged.
pub(crate) type WithStore<'a> = dyn FnMut(&mut Judging<'_>) + 'a;

impl Trial<'_> {
    /// Plants every fault, once with checksums that fit and once with those that were there.
    pub(crate) fn run(&mut self, changes: usize, lnd: bool, with_store: &mut WithStore<'_>) {
        let (mut covered, mut unsealed) = (HashSet::new(), HashSet::new());
        for fault in table_faults::all(self.tables, changes) {
            let sealed = fault.sealed(self.tables);
            for (fault, is_sealed) in [(&sealed, true), (&fault, false)] {
                // A wrong checksum is found whatever is wrong with the row, so a few are enough.
                let is_seldom = fault.column.as_ref().is_some_and(|name| unsealed.contains(name));
                if !is_sealed && (lnd || is_seldom) {
                    continue;
                }
                if !is_sealed {
                    unsealed.extend(fault.column.clone());
                }
                if sql::plant(&fault.edits, self.tables, self.shell).is_err() {
                    // The engine refuses it.
                    continue;
                }
                let names = match lnd {
                    true => fault.names_in_lnd(self.tables),
                    false => fault.names(self.tables),
                };
                let digest_names = fault.digest_names(self.tables);
                with_store(&mut |to, target| {
                    if is_sealed && !fault.is_content {
                        self.judge.passed_over(&fault.name, to, target);
                    } else {
                        self.judge.found(&fault.name, &names, &digest_names, to, target);
                    }
                });
                sql::pull(&fault.edits, self.tables, self.shell);
                covered.extend(fault.column.clone());
            }
        }
        if !lnd {
            self.require_every_column(&covered);
        }
    }

    fn require_every_column(&self, covered: &HashSet<String>) {
        for table in self.tables.iter().filter(|table| table_faults::kind(&table.name).is_some()) {
            for column in table.columns.iter().filter(|column| column.name != "checksum") {
                let name = format!("{}.{}", table.name, column.name);
                assert!(covered.contains(&name), "no fault was planted in {name}");
            }
        }
    }
}
