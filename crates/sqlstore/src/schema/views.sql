create view channels as -- Channels that are not closed.
select
    {hex:c.txid} || ':' || c.vout as channel_point, -- Funding outpoint, as txid:output
    {hex:c.channel_id} as channel_id, -- Channel id (BOLT 2)
    {hex:c.peer} as peer, -- Node id of the peer
    case when c.scid = 0 then null else {scid:c.scid} end as short_channel_id, -- Short channel id or alias, as blockxtxxoutput; null while unknown
    case when c.confirmed_scid is null then null else {scid:c.confirmed_scid} end as confirmed_short_channel_id, -- Confirmed short channel id of a zero-conf channel
    case when c.status <> 0 then 'unusable' when c.pending then 'pending' else 'open' end as state, -- pending, open, or unusable for the reasons in status_names
    c.status as status, -- Status bits
    {status:c.status} as status_names, -- Names of the status bits, each followed by a blank
    c.type as type, -- Feature bits
    t.initiator as initiator, -- We opened the channel
    t.capacity as capacity_sat, -- Value of the funding output
    l.local_balance as local_balance_msat, -- Our balance in our commitment, without HTLCs; null for a restored channel
    l.remote_balance as remote_balance_msat, -- The peer's balance in our commitment, without HTLCs; null for a restored channel
    c.total_sent as total_sent_msat, -- Total settled towards the peer
    c.total_received as total_received_msat, -- Total settled towards us
    c.local_height as local_height, -- Height of our commitment
    c.remote_height as remote_height, -- Height of the peer's commitment
    c.has_pending as commitment_pending, -- A signed commitment waits for the peer's revocation
    c.confirmation_height as confirmation_height -- Height at which the funding transaction confirmed
from channel c
left join channel_terms t on t.no = c.no
left join commitment l on l.no = c.no and l.side = 0 and l.height = c.local_height
where not c.closed;

create view balances as -- Balances of channels that are not closed, by our commitment.
select
    {hex:c.txid} || ':' || c.vout as channel_point, -- Funding outpoint, as txid:output
    {hex:c.peer} as peer, -- Node id of the peer
    t.capacity as capacity_sat, -- Value of the funding output
    l.local_balance as local_balance_msat, -- Ours, without HTLCs
    l.remote_balance as remote_balance_msat, -- The peer's, without HTLCs
    (select coalesce(sum(h.amount), 0) from htlc h where h.no = c.no and not h.incoming) as outgoing_htlcs_msat, -- HTLCs of ours that the channel still refers to
    (select coalesce(sum(h.amount), 0) from htlc h where h.no = c.no and h.incoming) as incoming_htlcs_msat, -- HTLCs of the peer that the channel still refers to
    t.local_reserve as local_reserve_sat, -- What we must keep
    t.remote_reserve as remote_reserve_sat, -- What the peer must keep
    l.commit_fee as commit_fee_sat, -- Fee of our commitment transaction
    l.fee_per_kw as fee_sat_per_kw -- Fee rate of our commitment
from channel c
left join channel_terms t on t.no = c.no
join commitment l on l.no = c.no and l.side = 0 and l.height = c.local_height
where not c.closed;

create view htlcs_in_flight as -- HTLCs that a commitment, an update list or a package of an open channel refers to.
select
    {hex:c.txid} || ':' || c.vout as channel_point, -- Funding outpoint, as txid:output
    {hex:c.peer} as peer, -- Node id of the peer
    case when h.incoming then 'incoming' else 'outgoing' end as direction, -- incoming if the peer offered it, else outgoing
    h.id as htlc_id, -- Id in that direction
    h.amount as amount_msat, -- Amount
    {hex:h.payment_hash} as payment_hash, -- Payment hash
    h.cltv_expiry as expiry_height -- Height after which the sender may take the amount back
from htlc h
join channel c on c.no = h.no
where not c.closed;

create view forwarding_packages as -- Forwarding packages and how far they were processed.
select
    {scid:p.source} as short_channel_id, -- Short channel id that the package is kept under
    p.height as height, -- Height of the peer's commitment
    case when c.no is null then null else {hex:c.txid} || ':' || c.vout end as channel_point, -- Channel, if the store has it
    case
        when p.forward_count is null then 'locked in'
        when exists (select 1 from package_update u where u.source = p.source and u.height = p.height and not u.acked) then 'processed'
        else 'completed'
    end as state, -- locked in, processed or completed
    (select count(*) from package_update u where u.source = p.source and u.height = p.height and u.list = 0) as adds, -- Number of adds
    (select count(*) from package_update u where u.source = p.source and u.height = p.height and u.list = 0 and u.acked) as adds_acked, -- Adds that were answered
    (select count(*) from package_update u where u.source = p.source and u.height = p.height and u.list = 1) as settles_and_fails, -- Number of settles and fails
    (select count(*) from package_update u where u.source = p.source and u.height = p.height and u.list = 1 and u.acked) as settles_and_fails_acked -- Settles and fails that reached the incoming channel
from package p
left join channel c on c.no = p.no;

create view closed_channels as -- Channels that are closing or closed.
select
    {hex:s.txid} || ':' || s.vout as channel_point, -- Funding outpoint, as txid:output
    case when s.scid = 0 then null else {scid:s.scid} end as short_channel_id, -- Short channel id that the channel ran under
    {hex:s.peer} as peer, -- Node id of the peer
    case s.kind
        when 0 then 'cooperative'
        when 1 then 'local force'
        when 2 then 'breach'
        when 3 then 'funding canceled'
        when 4 then 'remote force'
        when 5 then 'abandoned'
        else 'kind ' || s.kind
    end as kind, -- How it was closed
    case when s.closing_txid = {zeros:32} then null else {hex:s.closing_txid} end as closing_txid, -- Transaction that closed it; null if there is none
    s.close_height as close_height, -- Height at which that transaction confirmed
    s.capacity as capacity_sat, -- Value of the funding output
    s.settled_balance as settled_balance_sat, -- What we got at once
    s.time_locked_balance as time_locked_balance_sat, -- What we get after a delay
    s.pending as pending, -- Outputs are still to be resolved on chain
    {status:s.status_before} as status_names_before -- Names of the status bits before the close, each followed by a blank
from close s;

create view peers as -- Peers that we share channels with.
select
    {hex:n.node_id} as node_id, -- Node id
    n.network as network, -- Network, as its magic number
    n.last_seen as last_seen, -- When it was last seen, in Unix seconds
    (select count(*) from link_node_address a where a.node_id = n.node_id) as addresses, -- Number of addresses
    (select count(*) from channel c where c.peer = n.node_id and not c.closed) as open_channels, -- Channels that are not closed
    (select count(*) from channel c where c.peer = n.node_id and c.closed) as closed_channels, -- Closed channels
    (select coalesce(sum(t.capacity), 0) from channel c join channel_terms t on t.no = c.no where c.peer = n.node_id and not c.closed) as open_capacity_sat -- Capacity of the channels that are not closed
from link_node n;

create view peer_addresses as -- Addresses of peers, in the order to try them.
select
    {hex:a.node_id} as node_id, -- Node id
    a.position as position, -- Position in the list, from 0
    a.kind as kind, -- ipv4, ipv6, torv2, torv3, dns or opaque
    a.host as host, -- IP address, onion service or host name; hex for opaque addresses
    a.port as port -- Port; null for opaque addresses
from link_node_address a;
