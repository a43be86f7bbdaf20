create table lease ( -- Who may write, and until when. At most one row.
    id {int} not null primary key, -- Always 1
    instance {text} not null, -- The node instance that made the newest claim
    epoch {int} not null, -- That claim
    until timestamptz -- When it ends unless it is renewed; null once it was given back
);

create table identity ( -- Whose store this is. At most one row.
    id {int} not null primary key, -- Always 1
    node {blob}, -- Node id, if known
    network {text} -- Bitcoin network, if known
);

create table burnt ( -- Batches that were lost on their way and made impossible.
    epoch {int} not null, -- Claim of the batch
    before {int} not null, -- Sequence number that it was to follow
    primary key (epoch, before)
);

-- A key of any length does not fit into an index: it is found by its hash and sorted by how it begins.
-- Names are kept as bytes, since a text has no NUL.
alter table meta alter name type bytea using convert_to(name, 'UTF8');
alter table meta drop constraint meta_pkey;
create unique index meta_key on meta (sha256(name));
create index meta_order on meta (substr(name, 1, 1000));
alter table opening_state drop constraint opening_state_pkey;
create unique index opening_state_key on opening_state (sha256(key));
create index opening_state_order on opening_state (substr(key, 1, 1000));
alter table lnd_residue drop constraint lnd_residue_pkey;
create unique index lnd_residue_key on lnd_residue (sha256(path));
create index lnd_residue_order on lnd_residue (substr(path, 1, 1000));

-- A row that changes with each commit leaves room in its page for its next versions, so that no index
-- has to learn of them.
alter table store set (fillfactor = 10);
alter table lease set (fillfactor = 10);
alter table channel set (fillfactor = 70);
alter table commitment set (fillfactor = 70);
alter table package_update set (fillfactor = 80);
alter table link_node set (fillfactor = 70);

-- Onions, transactions and signatures do not get smaller.
alter table commitment alter commit_tx set storage external, alter slots set storage external;
alter table commitment_diff alter commit_sig set storage external;
alter table htlc alter onion set storage external;
alter table revoked_state alter htlcs set storage external;
alter table package_update alter message set storage external;
alter table update_list alter updates set storage external;
alter table channel_terms alter funding_tx set storage external;

-- Checking these keys costs about a quarter of the commits. The other tables keep theirs.
alter table commitment drop constraint commitment_no_fkey;
alter table commitment_diff drop constraint commitment_diff_no_fkey;
alter table htlc drop constraint htlc_no_fkey;
alter table update_list drop constraint update_list_no_fkey;
alter table secret drop constraint secret_no_fkey;
alter table revoked_state drop constraint revoked_state_no_fkey;
alter table package drop constraint package_no_fkey;
alter table package_update drop constraint package_update_source_height_fkey;
