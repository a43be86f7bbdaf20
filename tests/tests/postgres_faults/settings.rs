//! Settings that somebody changes while the server runs.

use pollster::block_on;

use crate::cluster::Cluster;
use crate::server::{Shell, wait_until};
use crate::trial::{open, patient};
use crate::writers::{Came, Writer, Wrong};

fn reload(shell: &mut Shell, setting: &str, value: &str) {
    shell.run(&format!("alter system set {setting} = {value}"));
    shell.run("select pg_reload_conf()");
}

#[test]
fn nothing_is_stored_while_it_would_not_be_durable() {
    let cluster = Cluster::new();
    let place = cluster.server.place();
    let host = open(&place);
    let mut writer = block_on(Writer::new(&host, 0));
    let mut shell = cluster.server.shell(place.schema());
    for setting in ["fsync", "full_page_writes"] {
        reload(&mut shell, setting, "off");
        // The server takes it in between two commits.
        wait_until("a commit is refused", || match block_on(writer.step(&host.store)) {
            Some(Came::Stored) => false,
            came => {
                assert!(matches!(came, Some(Came::NotStored)), "{came:?}");
                true
            }
        });
        let seq = shell.number("select seq from store");
        assert!(matches!(block_on(writer.step(&host.store)), Some(Came::NotStored)));
        assert_eq!(shell.number("select seq from store"), seq);
        reload(&mut shell, setting, "on");
        wait_until("a commit is stored", || {
            matches!(block_on(writer.step(&host.store)), Some(Came::Stored))
        });
    }
    let host = block_on(host.crash());
    assert_eq!(writer.check(&host), Wrong::default());
}

#[test]
fn a_reload_does_not_weaken_the_commits_of_a_session() {
    let cluster = Cluster::new();
    let place = cluster.server.place().with(patient);
    let host = open(&place);
    let mut writer = block_on(Writer::new(&host, 0));
    let mut shell = cluster.server.shell(place.schema());
    // `work_mem` shows that the session has taken the new settings in.
    shell.run(
        "create table seen (work_mem text, synchronous_commit text); \
         create function look() returns trigger language plpgsql as $$ begin insert into seen \
         select current_setting('work_mem'), current_setting('synchronous_commit'); \
         return new; end $$; \
         create trigger look before insert on commitment for each row execute function look()",
    );
    shell.run("alter system set work_mem = '7MB'");
    reload(&mut shell, "synchronous_commit", "off");
    let seen = |shell: &mut Shell, which: &str| {
        shell.number(&format!("select count(*) from seen where work_mem = '7MB' {which}"))
    };
    wait_until("the settings are taken in", || {
        assert!(matches!(block_on(writer.step(&host.store)), Some(Came::Stored)));
        seen(&mut shell, "") > 0
    });
    assert_eq!(seen(&mut shell, "and synchronous_commit <> 'on'"), 0);
}
