//! What a commitment is made of, and what a step changes, part by part.

use bytes::Bytes;
use chanstate::facet::{CommitmentStore, OpenChannelStore};
use chanstate::transition::UpdateLocal;
use chanstate::{Channel, ChannelId, MilliSatoshi, PendingCommitment, Rejection};

use crate::values;
use crate::{Host, Place};

/// Each step writes what its arguments say, and nothing else of the channel.
/// Obligations: `commitment/arguments_only`, `commitment/last_sent`, `commitment/whole_step`.
pub(crate) async fn a_step_writes_its_arguments_only(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let channel = async |host: &Host<'_>| host.channel(point).await.unwrap();
    host.set_confirmed(point, 7).await;
    exchange.we_add(1_000_000);
    exchange.they_add(2_000_000);
    let before = channel(&host).await;

    let update = exchange.update();
    let update =
        UpdateLocal { total_sent: MilliSatoshi(5), total_received: MilliSatoshi(6), ..update };
    host.update_local(point, update.clone()).await.unwrap();
    let updated = Channel {
        local_commitment: Some(update.commitment.clone()),
        last_was_revoke: Some(true),
        total_sent: MilliSatoshi(5),
        total_received: MilliSatoshi(6),
        ..before
    };
    assert_eq!(channel(&host).await, updated);
    exchange.stored_update(&update);

    let append = exchange.append();
    host.append_remote(point, append.clone()).await.unwrap();
    let appended = Channel { last_was_revoke: Some(false), ..updated };
    assert_eq!(channel(&host).await, appended);
    exchange.stored_append(&append);

    let advance = exchange.advance();
    host.advance_tail(point, advance.clone()).await.unwrap();
    let advanced = channel(&host).await;
    let mut revocation = appended.revocation.clone();
    revocation.current_point = values::peer_point(1, 1);
    revocation.next_point = Some(advance.next_point);
    revocation.secrets = advanced.revocation.secrets.clone();
    let remote_commitment = Some(append.pending.commitment);
    assert_eq!(advanced, Channel { remote_commitment, revocation, ..appended });
    assert_eq!(advanced.revocation.secrets.lookup(0), Some(advance.secret));
    assert_eq!(channel(&host.reopen().await).await, advanced);
}

/// A signature is the same only if all of it is: each part that differs makes it another one.
/// Obligations: `commitment/one_pending`.
pub(crate) async fn an_equal_signature_is_equal_in_every_part(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    exchange.we_add(2_000_000);
    let append = exchange.append();
    host.sign(&mut exchange).await;
    let edits: [fn(&mut PendingCommitment); 9] = [
        |pending| pending.commitment.commit_sig = values::der_signature(9),
        |pending| pending.commitment.custom_blob = Some(Default::default()),
        |pending| pending.commitment.htlcs.reverse(),
        |pending| pending.commitment.htlcs[0].signature = values::der_signature(9),
        |pending| pending.commitment.htlcs[1].terms.extra = [0x2a, 0x00].as_slice().into(),
        |pending| {
            pending.commit_sig =
                values::commit_sig(ChannelId::from_outpoint(values::outpoint(1)), 2, 2)
        },
        |pending| pending.updates.truncate(1),
        |pending| pending.opened_circuits.reverse(),
        |pending| pending.closed_circuits = pending.opened_circuits.clone(),
    ];
    let height = append.pending.commitment.height;
    for (n, edit) in edits.into_iter().enumerate() {
        let mut other = append.clone();
        edit(&mut other.pending);
        let refused = host.refused(host.append_remote(exchange.point, other)).await;
        assert_eq!(refused, Rejection::PendingCommitment { height }, "edit {n}");
    }
    let host = host.reopen().await;
    host.still(host.append_remote(exchange.point, append)).await.unwrap();
}

/// Absent, empty and other blobs and TLV records of a commitment differ, on both sides.
/// Obligations: `facet/read_back`.
pub(crate) async fn blobs_of_commitments_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let tlvs = |bytes: &'static [u8]| Bytes::from_static(bytes);
    let contents = [
        (None, tlvs(&[])),
        (Some(tlvs(&[])), tlvs(&[0xfd, 0x01, 0xff, 0x00])),
        (Some(tlvs(&[0])), tlvs(&[0x01, 0x01, 0x00])),
    ];
    for (blob, unknown) in contents.into_iter().cycle().take(6) {
        let mut append = exchange.append();
        let mut update = exchange.update();
        for commitment in [&mut append.pending.commitment, &mut update.commitment] {
            commitment.custom_blob = blob.clone();
            commitment.unknown_tlvs = unknown.clone();
        }
        host.append_remote(exchange.point, append.clone()).await.unwrap();
        exchange.stored_append(&append);
        host.take_revocation(&mut exchange).await;
        host.update_local(exchange.point, update.clone()).await.unwrap();
        exchange.stored_update(&update);
        host.check(&exchange).await;
    }
    let host = host.crash().await;
    host.check(&exchange).await;
}
