//! Instances that want the same store, and one that stands still.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::{env, fs};

use channelcoord::{Backend, ClaimError, OpenError, Store, StoreOptions};
use chanstate::ShortChannelId;
use conformance::{Host, InPostgres, Place};
use pollster::block_on;
use sqlstore::PostgresOptions;

use crate::cluster::signal;
use crate::server::{Existing, Server, wait_until};
use crate::trial::{CALLS, Trial, Watch, open, patient};
use crate::writers::{Came, Writer, Wrong, steps};

pub(crate) const LOCKED: &str = "wait_event_type = 'Lock'";

/// The same store, opened by another instance.
fn instance(place: &InPostgres, name: &str) -> Existing {
    Existing(place.options().clone().instance(name).takeover(Duration::from_secs(60)))
}

/// How an instance loses the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Theft {
    /// The commit under way is stored before the new claim.
    AfterCommit,
    /// The session of the commit under way ends, so the new claim is made before it.
    BeforeCommit,
    /// The thief is the same instance, and asks nobody.
    SameInstance,
}

/// Takes the store over in the middle of a commit, with a claim by `thief`.
fn steal<'p>(
    server: &Server,
    schema: &str,
    watch: &Watch<'_>,
    thief: &'p Existing,
    theft: Theft,
) -> Host<'p> {
    watch.await_calls(CALLS / 2);
    if theft == Theft::SameInstance {
        return open(thief);
    }
    let mut shell = server.shell(schema);
    let mut other = server.shell(schema);
    // Stops a commit after it took the store's row and before it is through.
    shell.run("begin; select from channel for update");
    let mut commit = Vec::new();
    wait_until("a commit waits", || {
        commit = other.commits_waiting(LOCKED);
        !commit.is_empty()
    });
    let victim = other.number("select epoch from lease");
    let end_lease = format!("update lease set until = null where epoch = {victim}");
    other.run(&end_lease);
    thread::scope(|scope| {
        let claim = scope.spawn(|| open(thief));
        // The victim may renew its lease in between.
        wait_until("the claim waits", || {
            other.run(&end_lease);
            other.commits_waiting(LOCKED).len() == 2
        });
        if theft == Theft::BeforeCommit {
            other.numbers(&format!("select pg_terminate_backend({}, 60000)::int::int8", commit[0]));
        }
        shell.run("rollback");
        // The victim, which is awake, renews its lease if it is faster than the claim.
        wait_until("the claim is made", || {
            other.run(&end_lease);
            claim.is_finished()
        });
        claim.join().unwrap()
    })
}

#[test]
fn nothing_is_lost_when_the_lease_is_stolen_in_the_middle_of_a_commit() {
    use Theft::{AfterCommit, BeforeCommit, SameInstance};
    let server = Server::shared();
    let place = server.place().with(|options| options.instance("0"));
    let thefts = [AfterCommit, BeforeCommit, SameInstance, BeforeCommit, AfterCommit];
    // Who steals as the same instance has the name of its victim.
    let names = ["1", "2", "2", "3", "4"];
    let thieves = names.map(|name| instance(&place, name));
    let mut host = open(&place);
    let mut trial = Trial::new("lease stolen", &host);
    for (thief, theft) in thieves.iter().zip(thefts) {
        let before = trial.tally.fenced;
        let steal = |watch: &Watch<'_>| steal(&server, place.schema(), watch, thief, theft);
        let (load, next) = trial.under_load(&host, steal);
        trial.faults += 1;
        trial.judge(&load, &next);
        assert!(trial.tally.fenced > before, "the victim noticed nothing");
        host = next;
    }
    drop(host);
    assert_eq!(trial.tally.unknown, 0);
    trial.end(5);
}

/// Opens the store as soon as nobody has it.
fn race(place: &dyn Place) -> Result<Host<'_>, OpenError> {
    let backend: Arc<dyn Backend> = place.must_open();
    let store = block_on(Store::open_shared(Arc::clone(&backend), StoreOptions::default()))?;
    // Claimed by the store; a host is made of what is claimed already.
    drop((store, backend));
    Ok(open(place))
}

#[test]
fn of_two_instances_that_race_one_gets_the_store_and_keeps_it() {
    const RACES: u64 = 4;
    let server = Server::shared();
    let place = server.place();
    let racers =
        ["one", "two"].map(|name| Existing(patient(place.options().clone().instance(name))));
    let host = open(&place);
    let mut trial = Trial::new("race for the lease", &host);
    block_on(host.store.close()).unwrap();
    drop(host);
    for _ in 0..RACES {
        let mut ends: Vec<_> = thread::scope(|scope| {
            let ends = racers.each_ref().map(|racer| scope.spawn(move || race(racer)));
            ends.into_iter().map(|end| end.join().unwrap()).collect()
        });
        let place = ends.iter().position(Result::is_ok).expect("one gets the store");
        let host = ends.swap_remove(place).unwrap();
        let loser = &racers[1 - place];
        assert!(ends.iter().all(|end| held(end.as_ref().err())), "both got the store");
        let (load, refused) = trial.under_load(&host, |watch| {
            let mut refused = 0;
            while watch.tally().calls() < CALLS {
                assert!(held(race(loser).err().as_ref()), "the store was taken");
                refused += 1;
            }
            refused
        });
        trial.faults += 1 + refused;
        trial.judge(&load, &host);
        block_on(host.store.close()).unwrap();
    }
    assert_eq!((trial.tally.fenced, trial.tally.not_stored, trial.tally.unknown), (0, 0, 0));
    trial.end(2 * RACES);
}

fn held(error: Option<&OpenError>) -> bool {
    matches!(error, Some(OpenError::Claim(ClaimError::Held { .. })))
}

/// Says what another process is to open.
const URL: &str = "CHANSTORE_FAULTS_URL";
const SCHEMA: &str = "CHANSTORE_FAULTS_SCHEMA";
const CHANNEL: &str = "CHANSTORE_FAULTS_CHANNEL";

/// Long enough for a busy machine not to outlive it between two beats, mostly.
const LEASE: Duration = Duration::from_secs(2);

/// What the other process does: it opens a channel and takes it from step to step, says each that is
/// acknowledged, and ends when one fails, or when nobody listens.
#[test]
#[ignore = "the process that other tests pause"]
fn the_other_process() {
    let [url, schema, n] = [URL, SCHEMA, CHANNEL].map(crate::server::variable);
    let options = PostgresOptions::new(&url).unwrap().schema(schema).unwrap();
    let place = Existing(options.instance("paused").lease(LEASE));
    let host = open(&place);
    let mut writer = block_on(Writer::new(&host, n.parse().unwrap()));
    println!("\nopened {}", writer.possible[0].scid.0);
    loop {
        match block_on(writer.step(&host.store)).unwrap() {
            Came::Stored => println!("stored"),
            other => return println!("{other:?}"),
        }
    }
}

/// The other process, and what it says.
struct Other {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    channel: u64,
    scid: ShortChannelId,
    stored: u64,
}

impl Other {
    fn start(server: &Server, place: &InPostgres, channel: u64) -> Other {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "lease::the_other_process", "--ignored", "--nocapture"]);
        command.env(URL, server.url("postgres")).env(SCHEMA, place.schema());
        command.env(CHANNEL, channel.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let opened = lines.find_map(|line| Some(line.unwrap().strip_prefix("opened ")?.to_owned()));
        let scid = opened.expect("it opens the store").parse().unwrap();
        Other { child, lines, channel, scid: ShortChannelId(scid), stored: 0 }
    }

    /// Waits until it said so many times that a step is stored; false if it was fenced before, as a
    /// process is that got no processor for longer than its lease.
    fn has_stored(&mut self, stored: u64) -> bool {
        while self.stored < stored {
            match self.lines.next().unwrap().unwrap().as_str() {
                "stored" => self.stored += 1,
                other => {
                    assert_eq!(other, "Fenced");
                    return false;
                }
            }
        }
        true
    }

    /// Lets it stand still.
    fn pause(&self) {
        self.signal("STOP");
        let stat = format!("/proc/{}/stat", self.child.id());
        wait_until("it stands still", || fs::read_to_string(&stat).unwrap().contains(") T "));
    }

    fn signal(&self, name: &str) {
        signal(name, &[self.child.id().to_string()]);
    }

    /// Waits for its end; returns how its last step failed.
    fn end(&mut self) -> String {
        let last = loop {
            match self.lines.next().unwrap().unwrap() {
                line if line == "stored" => self.stored += 1,
                line => break line,
            }
        };
        for _ in self.lines.by_ref() {}
        assert!(self.child.wait().unwrap().success());
        last
    }

    /// What it did.
    fn writer(&self) -> Writer {
        Writer::after(self.channel, self.scid, self.stored)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Gone already, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_process_that_was_paused_beyond_its_lease_stores_nothing() {
    let server = Server::shared();
    let place = server.place();
    let heir = Existing(place.options().clone().instance("heir").takeover(Duration::from_secs(60)));
    // Makes the schema.
    drop(heir.open().unwrap());
    let (mut wrong, mut calls, mut inherited) = (Wrong::default(), 0, 0);
    let mut channels = 10..;
    for (n, replaced) in (0..).zip([true, false, true]) {
        let mut other = channels
            .by_ref()
            .find_map(|channel| {
                let mut other = Other::start(&server, &place, channel);
                other.has_stored(10).then_some(other)
            })
            .unwrap();
        other.pause();
        let mut shell = server.shell(place.schema());
        // It may have noted that it is awake and not renewed its lease after that.
        let now = shell.number("select (extract(epoch from clock_timestamp()) * 1000)::int8");
        let over = now + i64::try_from(LEASE.as_millis()).unwrap();
        let over = format!(
            "select count(*) from lease where until <= clock_timestamp() \
             and extract(epoch from clock_timestamp()) * 1000 > {over}"
        );
        // The heir stores steps of its own while the other one is paused.
        let heirs = replaced.then(|| {
            let host = open(&heir);
            let mut writer = block_on(Writer::new(&host, n));
            for _ in 0..10 {
                assert!(matches!(block_on(writer.step(&host.store)), Some(Came::Stored)));
            }
            inherited += 10;
            (host, writer)
        });
        if !replaced {
            wait_until("the lease ends", || shell.number(&over) == 1);
        }
        let seq = shell.number("select seq from store");
        other.signal("CONT");
        assert_eq!(other.end(), "Fenced");
        assert_eq!(shell.number("select seq from store"), seq, "it stored something");
        let (host, heirs) = match heirs {
            Some((host, writer)) => (block_on(host.crash()), Some(writer)),
            None => (open(&heir), None),
        };
        let mut writer = other.writer();
        calls += steps(&writer.possible[0]);
        wrong = wrong + writer.check(&host);
        wrong = heirs.into_iter().fold(wrong, |wrong, mut writer| wrong + writer.check(&host));
        block_on(host.store.close()).unwrap();
    }
    let Wrong { lost, double, half } = wrong;
    println!(
        "process paused: 3 faults, {} calls: {} answered, 3 fenced; \
         {lost} lost, {double} double, {half} half",
        calls + inherited + 3,
        calls + inherited,
    );
    assert_eq!(wrong, Wrong::default());
}
