//! How much a record weighs, to keep pages and batches to a size.

use channelcoord::RecordRef;
use chanstate::Record;
use chanstate::record::UpdateBody;

/// About how many bytes a record takes. What there are millions of is not encoded to find out.
pub(crate) fn weight(record: RecordRef<'_>) -> usize {
    let RecordRef::Channel(channel_record) = record else { return record.encode().len() };
    match channel_record {
        Record::RevokedState(record) => {
            let state = &record.state;
            let custom =
                |htlc: &chanstate::RevokedHtlc| htlc.custom_records.as_ref().map_or(0, |r| r.len());
            let htlcs: usize = state.htlcs.iter().map(|htlc| 64 + custom(htlc)).sum();
            96 + htlcs
                + state.custom_blob.as_ref().map_or(0, |blob| blob.len())
                + state.residue.len()
        }
        Record::Htlc(record) => 96 + record.terms.onion.len() + record.terms.extra.len(),
        Record::PackageUpdate(record) => match &record.update.body {
            UpdateBody::Add(_) => 32,
            UpdateBody::Message(message) => 32 + message.as_bytes().len(),
        },
        Record::Package(record) => {
            32 + record.forward_filter.as_ref().map_or(0, |filter| filter.bits().len())
        }
        Record::FinalHtlc(_) | Record::Secret(_) => 64,
        _ => record.encode().len(),
    }
}

#[cfg(test)]
mod tests {
    use conformance::values::Fill;

    use super::*;

    #[test]
    fn a_weight_is_about_the_length_of_the_record() {
        for record in Fill::ALL.into_iter().flat_map(Fill::records) {
            let (weight, len) = (weight(record.as_ref()), record.as_ref().encode().len());
            let key = record.key();
            assert!(weight <= len + 128, "{key} weighs {weight}, and has {len} bytes");
            assert!(weight * 4 >= len * 3, "{key} weighs {weight}, and has {len} bytes");
        }
    }
}
