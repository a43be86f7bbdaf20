create table schema_step ( -- Schema versions that this database went through.
    version {int} not null primary key, -- Schema version that the step leads to
    name {text} not null, -- What the step does
    digest {int} not null, -- CRC-32 of the step's text
    applied_at {int} not null -- When it was applied, in Unix seconds
) {strict};

create table store ( -- Where the store stands. One row.
    id {int} not null primary key, -- Always 1
    format {text} not null, -- Always chanstore
    epoch {int} not null, -- Newest claim; only its holder may commit
    seq {int} not null, -- Sequence number of the last commit
    checksum {int} not null -- CRC-32 of the row
) {strict};

create table epoch ( -- Claims of the store.
    epoch {int} not null primary key, -- Number of the claim
    began_at {int} not null, -- Sequence number of the store when it was claimed
    checksum {int} not null -- CRC-32 of the row
) {strict};

create table channel ( -- The part of a channel that changes.
    no {int} not null primary key, -- Number of the channel, known in this store only
    version {int} not null, -- Sequence number of the last change
    txid {blob} not null, -- Funding transaction, in display order
    vout {int} not null, -- Output of the funding transaction
    channel_id {blob} not null unique, -- Channel id (BOLT 2)
    peer {blob} not null, -- Node id of the peer
    chain {blob} not null, -- Hash of the chain's genesis block, in display order
    closed {bool} not null, -- The channel was closed
    pending {bool} not null, -- The funding transaction is not confirmed yet
    type {int} not null, -- Features, a bit set
    status {int} not null, -- Why it is not usable, a bit set; 0 means usable
    scid {int} not null, -- Short channel id, an alias for zero-conf channels, 0 while unconfirmed
    confirmed_scid {int}, -- Confirmed short channel id of a zero-conf channel
    confirmation_height {int}, -- Height at which the funding transaction confirmed
    close_confirmation_height {int}, -- Height at which the closing transaction confirmed
    local_height {int}, -- Height of our commitment; null for a restored channel
    remote_height {int}, -- Height of the peer's commitment; null for a restored channel
    has_pending {bool} not null, -- A commitment after remote_height was signed and is not revoked yet
    last_was_revoke {bool}, -- The last commitment message that we sent was revoke_and_ack
    total_sent {int} not null, -- Total settled towards the peer, in msat
    total_received {int} not null, -- Total settled towards us, in msat
    remote_current_point {blob} not null, -- The peer's current commitment point
    remote_next_point {blob}, -- The peer's next commitment point
    next_secret_index {int} not null, -- Index (BOLT 3, counted down) of the peer's next secret
    checksum {int} not null, -- CRC-32 of the row
    unique (txid, vout)
) {strict};

create table channel_terms ( -- The part of a channel that hardly changes.
    no {int} not null primary key references channel, -- The channel
    initiator {bool} not null, -- We opened the channel
    channel_flags {int} not null, -- channel_flags of open_channel; bit 0 announces the channel
    confirmations_required {int} not null, -- Confirmations that the funding transaction needs
    funding_broadcast_height {int} not null, -- Chain height when the funding transaction was broadcast
    capacity {int} not null, -- Value of the funding output, in sat
    local_dust_limit {int} not null, -- Ours: outputs below are left out of our commitment, in sat
    local_max_pending {int} not null, -- Ours: most that HTLCs we offer may be worth at a time, in msat
    local_reserve {int} not null, -- Ours: what we must keep for ourselves, in sat
    local_min_htlc {int} not null, -- Ours: smallest HTLC that we may offer, in msat
    local_max_htlcs {int} not null, -- Ours: most HTLCs that we may offer at a time
    local_csv_delay {int} not null, -- Ours: blocks that we have to wait for what our commitment pays us
    local_multisig_family {int} not null, -- Ours: wallet family of the funding key
    local_multisig_index {int} not null, -- Ours: wallet index of the funding key
    local_multisig_pubkey {blob}, -- Ours: funding key
    local_revocation_family {int} not null, -- Ours: wallet family of the revocation base point
    local_revocation_index {int} not null, -- Ours: wallet index of the revocation base point
    local_revocation_pubkey {blob}, -- Ours: revocation base point
    local_payment_family {int} not null, -- Ours: wallet family of the payment base point
    local_payment_index {int} not null, -- Ours: wallet index of the payment base point
    local_payment_pubkey {blob}, -- Ours: payment base point
    local_delay_family {int} not null, -- Ours: wallet family of the delayed payment base point
    local_delay_index {int} not null, -- Ours: wallet index of the delayed payment base point
    local_delay_pubkey {blob}, -- Ours: delayed payment base point
    local_htlc_family {int} not null, -- Ours: wallet family of the HTLC base point
    local_htlc_index {int} not null, -- Ours: wallet index of the HTLC base point
    local_htlc_pubkey {blob}, -- Ours: HTLC base point
    remote_dust_limit {int} not null, -- The peer's: outputs below are left out of its commitment, in sat
    remote_max_pending {int} not null, -- The peer's: most that HTLCs it offers may be worth at a time, in msat
    remote_reserve {int} not null, -- The peer's: what it must keep for itself, in sat
    remote_min_htlc {int} not null, -- The peer's: smallest HTLC that it may offer, in msat
    remote_max_htlcs {int} not null, -- The peer's: most HTLCs that it may offer at a time
    remote_csv_delay {int} not null, -- The peer's: blocks that it has to wait for what its commitment pays it
    remote_multisig_family {int} not null, -- The peer's: 0
    remote_multisig_index {int} not null, -- The peer's: 0
    remote_multisig_pubkey {blob}, -- The peer's: funding key
    remote_revocation_family {int} not null, -- The peer's: 0
    remote_revocation_index {int} not null, -- The peer's: 0
    remote_revocation_pubkey {blob}, -- The peer's: revocation base point
    remote_payment_family {int} not null, -- The peer's: 0
    remote_payment_index {int} not null, -- The peer's: 0
    remote_payment_pubkey {blob}, -- The peer's: payment base point
    remote_delay_family {int} not null, -- The peer's: 0
    remote_delay_index {int} not null, -- The peer's: 0
    remote_delay_pubkey {blob}, -- The peer's: delayed payment base point
    remote_htlc_family {int} not null, -- The peer's: 0
    remote_htlc_index {int} not null, -- The peer's: 0
    remote_htlc_pubkey {blob}, -- The peer's: HTLC base point
    revocation_root {blob} not null, -- Root of our revocation secrets. Secret
    revocation_root_family {int}, -- Wallet family of the revocation root
    revocation_root_index {int}, -- Wallet index of the revocation root
    funding_tx {blob}, -- Funding transaction, if kept
    initial_local_balance {int}, -- Our balance at the opening, in msat
    initial_remote_balance {int}, -- The peer's balance at the opening, in msat
    memo {blob}, -- The user's note, in UTF-8
    tapscript_root {blob}, -- Tapscript root that the funding output commits to
    custom_blob {blob}, -- Data of custom channels
    thaw_height {int}, -- Height before which we may not close cooperatively
    local_upfront_shutdown {blob}, -- Script that we committed to for a cooperative close
    remote_upfront_shutdown {blob}, -- Script that the peer committed to for a cooperative close
    unknown_tlvs {blob} not null, -- TLV records without a meaning here
    checksum {int} not null -- CRC-32 of the row
) {strict};

create table commitment ( -- Commitments without the terms of their HTLCs.
    no {int} not null references channel, -- The channel
    side {int} not null, -- 0 ours, 1 the peer's
    height {int} not null, -- Number of the commitment
    local_log_index {int} not null, -- Our updates below are contained
    local_htlc_index {int} not null, -- Our HTLC ids below are contained
    remote_log_index {int} not null, -- The peer's updates below are contained
    remote_htlc_index {int} not null, -- The peer's HTLC ids below are contained
    local_balance {int} not null, -- Our balance without HTLCs, in msat
    remote_balance {int} not null, -- The peer's balance without HTLCs, in msat
    commit_fee {int} not null, -- Fee of the transaction, in sat
    fee_per_kw {int} not null, -- Fee rate, in sat per 1000 weight units
    commit_tx {blob} not null, -- Commitment transaction
    commit_sig {blob} not null, -- The peer's signature; empty on the peer's commitment
    slots {blob} not null, -- HTLCs in the commitment: direction, id, output, signature
    custom_blob {blob}, -- Data of custom channels
    unknown_tlvs {blob} not null, -- TLV records without a meaning here
    checksum {int} not null, -- CRC-32 of the row
    primary key (no, side, height)
) {strict_clustered};

create table commitment_diff ( -- What belongs to a pending commitment beside the commitment itself.
    no {int} not null primary key references channel, -- The channel
    commit_sig {blob} not null, -- The commitment_signed message
    updates {blob} not null, -- Our updates that it covers for the first time
    opened_circuits {blob} not null, -- Circuits that these updates open
    closed_circuits {blob} not null, -- Circuits that these updates close
    checksum {int} not null -- CRC-32 of the row
) {strict};

create table htlc ( -- HTLCs that a commitment, an update list or a package refers to.
    no {int} not null references channel, -- The channel
    incoming {bool} not null, -- The peer offered it
    id {int} not null, -- Its id in that direction
    log_index {int} not null, -- Index of the add in its sender's log
    amount {int} not null, -- Amount, in msat
    payment_hash {blob} not null, -- Payment hash
    cltv_expiry {int} not null, -- Height after which the sender may take the amount back
    onion {blob} not null, -- Onion packet
    extra {blob} not null, -- TLV records of the HTLC
    checksum {int} not null, -- CRC-32 of the row
    primary key (no, incoming, id)
) {strict};

create table update_list ( -- Updates between commitments.
    no {int} not null references channel, -- The channel
    list {int} not null, -- 0 the peer's updates that we have not signed, 1 ours that the peer has not
    updates {blob} not null, -- The updates, in order
    checksum {int} not null, -- CRC-32 of the row
    primary key (no, list)
) {strict_clustered};

create table secret ( -- Revocation secrets that the peer revealed, one row per bucket (BOLT 3).
    no {int} not null references channel, -- The channel
    slot {int} not null, -- Bucket, 0 to 47
    secret_index {int} not null, -- Index of the secret, counted down
    secret {blob} not null, -- The secret
    checksum {int} not null, -- CRC-32 of the row
    primary key (no, slot)
) {strict_clustered};

create table mark ( -- Unusual events of a channel, at most one of each kind.
    no {int} not null references channel, -- The channel
    kind {int} not null, -- 0 shutdown, 1 data loss, 2 commitment broadcast, 3 cooperative close broadcast
    local_initiator {bool}, -- Shutdown only: we sent shutdown first
    data {blob} not null, -- By kind: our script, the peer's commitment point, the transaction
    checksum {int} not null, -- CRC-32 of the row
    primary key (no, kind)
) {strict_clustered};

create table revoked_state ( -- Revoked commitments of the peer.
    no {int} not null references channel, -- The channel
    height {int} not null, -- Height of the revoked commitment
    our_output_index {int}, -- Our output in its transaction; null if there is none
    their_output_index {int}, -- The peer's output in its transaction; null if there is none
    txid {blob} not null, -- The revoked transaction, in display order
    our_balance {int}, -- Our balance, in msat; null if not kept
    their_balance {int}, -- The peer's balance, in msat; null if not kept
    htlcs {blob} not null, -- HTLCs with an output
    custom_blob {blob}, -- Data of custom channels
    residue {blob} not null, -- How an imported encoding differs from the canonical one
    checksum {int} not null, -- CRC-32 of the row
    primary key (no, height)
) {strict_clustered};

create table revoked_commitment ( -- Revoked commitments in the deprecated form of lnd.
    no {int} not null references channel, -- The channel
    height {int} not null, -- Height under which it is kept
    revoked {blob} not null, -- The commitment and what follows it
    checksum {int} not null, -- CRC-32 of the row
    primary key (no, height)
) {strict};

create table package ( -- Forwarding packages without their updates.
    source {int} not null, -- Short channel id that the package is kept under
    height {int} not null, -- Height of the peer's commitment
    no {int} references channel, -- The channel, if the store has it
    forward_count {int}, -- Adds that forward_bits covers; null until the package was processed
    forward_bits {blob}, -- Adds that were forwarded, one bit each
    checksum {int} not null, -- CRC-32 of the row
    primary key (source, height)
) {strict_clustered};

create table package_update ( -- Updates of forwarding packages.
    source {int} not null, -- Short channel id of the package
    height {int} not null, -- Height of the package
    list {int} not null, -- 0 adds, 1 settles and fails
    position {int} not null, -- Position in the list
    log_index {int} not null, -- Position in the sender's log
    htlc_id {int}, -- Adds: incoming HTLC of the package's channel that holds the terms
    message {blob}, -- Otherwise: the message
    acked {bool} not null, -- It was acknowledged
    checksum {int} not null, -- CRC-32 of the row
    primary key (source, height, list, position),
    foreign key (source, height) references package
) {strict_clustered};

create table close ( -- Summaries of closing and closed channels.
    no {int} not null primary key references channel, -- The channel
    status_before {int} not null, -- Status of the channel before the close, a bit set
    txid {blob} not null, -- Funding transaction, in display order
    vout {int} not null, -- Output of the funding transaction
    scid {int} not null, -- Short channel id that the channel ran under
    chain {blob} not null, -- Hash of the chain's genesis block, in display order
    closing_txid {blob} not null, -- Closing transaction, in display order; all zero if there is none
    close_height {int} not null, -- Height at which that transaction confirmed
    peer {blob} not null, -- Node id of the peer
    capacity {int} not null, -- Value of the funding output, in sat
    settled_balance {int} not null, -- What we got at once, in sat
    time_locked_balance {int} not null, -- What we get after a delay, in sat
    kind {int} not null, -- 0 cooperative, 1 local force, 2 breach, 3 funding canceled, 4 remote force, 5 abandoned
    pending {bool} not null, -- Outputs are still to be resolved on chain
    resume_remote_current_point {blob}, -- The peer's revocation point; null if no state was kept
    resume_remote_next_point {blob}, -- The peer's next revocation point
    resume_local_config {blob}, -- Our limits and keys
    resume_reestablish {blob}, -- channel_reestablish to answer the peer with
    checksum {int} not null -- CRC-32 of the row
) {strict};

create table reclaim ( -- Closed channels whose log and packages wait to be removed.
    no {int} not null primary key references channel, -- The channel
    checksum {int} not null -- CRC-32 of the row
) {strict};

create table final_htlc ( -- How incoming HTLCs ended.
    scid {int} not null, -- Short channel id of the channel
    id {int} not null, -- Id of the HTLC
    settled {bool} not null, -- The preimage was revealed; otherwise it failed
    offchain {bool} not null, -- It ended in the channel; otherwise on chain
    checksum {int} not null, -- CRC-32 of the row
    primary key (scid, id)
) {strict_clustered};

create table opening_state ( -- Opaque progress of channel openings.
    key {blob} not null primary key, -- Key chosen by the owner
    value {blob} not null, -- Value
    checksum {int} not null -- CRC-32 of the row
) {strict_clustered};

create table forwarding_policy ( -- Forwarding policies to use once a channel is announced.
    channel_id {blob} not null primary key, -- Channel id (BOLT 2)
    min_htlc {int} not null, -- Smallest HTLC to forward, in msat
    max_htlc {int} not null, -- Largest HTLC to forward, in msat
    base_fee {int} not null, -- Base fee, in msat
    fee_rate {int} not null, -- Proportional fee, in millionths
    time_lock_delta {int} not null, -- Blocks between incoming and outgoing expiry
    checksum {int} not null -- CRC-32 of the row
) {strict_clustered};

create table link_node ( -- Peers that we share channels with.
    node_id {blob} not null primary key, -- Node id
    version {int} not null, -- Sequence number of the last change
    network {int} not null, -- Network that it was met on, as its magic number
    last_seen {int} not null, -- When it was last seen, in Unix seconds
    checksum {int} not null -- CRC-32 of the row
) {strict_clustered};

create table link_node_address ( -- Addresses of link nodes.
    node_id {blob} not null references link_node, -- The node
    position {int} not null, -- Position in its list, from 0
    kind {text} not null, -- ipv4, ipv6, torv2, torv3, dns or opaque
    host {text} not null, -- IP address, onion service or host name; hex for opaque addresses
    port {int}, -- Port; null for opaque addresses
    raw {blob} not null, -- The address as it is read back
    checksum {int} not null, -- CRC-32 of the row
    primary key (node_id, position)
) {strict_clustered};

create table meta ( -- Named values of the store itself.
    name {text} not null primary key, -- Name
    value {blob} not null, -- Value
    checksum {int} not null -- CRC-32 of the row
) {strict_clustered};

create table lnd_residue ( -- What an imported lnd database holds beyond the other tables.
    path {blob} not null primary key, -- Path in the lnd database
    residue {blob} not null, -- What differs there
    checksum {int} not null -- CRC-32 of the row
) {strict_clustered};
