//! Sessions that an operator ends again and again.

use fastrand::Rng;

use crate::server::Server;
use crate::trial::{CALLS, Trial, open, patient};

#[test]
fn nothing_is_lost_in_a_storm_of_terminations() {
    const STORMS: u64 = 12;
    let server = Server::shared();
    let place = server.place().with(patient);
    let mut host = open(&place);
    let mut trial = Trial::new("sessions terminated", &host);
    let mut rng = Rng::with_seed(1);
    for _ in 0..3 {
        host = trial.round(host, |watch| {
            let mut shell = server.shell(place.schema());
            let mut ended = 0;
            for n in 0..STORMS {
                watch.await_calls((n + 1) * CALLS / (STORMS + 1));
                let before = ended;
                // Those of a commit under way the more often.
                let purpose = ["commit", "commit", "%"][rng.usize(0..3)];
                watch.met("a session to end", || {
                    ended += shell.terminate(purpose);
                    ended > before
                });
            }
            ended
        });
    }
    drop(host);
    assert_eq!((trial.tally.unknown, trial.tally.fenced), (0, 0));
    trial.end(2 * STORMS);
}
