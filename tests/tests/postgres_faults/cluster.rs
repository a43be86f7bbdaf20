//! A server of a test's own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};

use tempfile::TempDir;

use crate::server::{Server, variable, wait_until};

/// A cluster with its server, thrown away at the end.
pub(crate) struct Cluster {
    pub(crate) server: Server,
    data: PathBuf,
    postmaster: Mutex<Child>,
    _dir: TempDir,
}

impl Cluster {
    /// Makes a cluster in the directory for temporary files, and starts its server.
    pub(crate) fn new() -> Cluster {
        let dir = TempDir::new().unwrap();
        Cluster::within(dir)
    }

    /// Makes a cluster in `dir`, and starts its server.
    pub(crate) fn within(dir: TempDir) -> Cluster {
        Cluster::make(dir, |_| String::new())
    }

    /// Makes a cluster, starts its server with the settings that `set` returns, and also listens on a
    /// loopback port. Whatever `set` writes into the directory belongs to the server.
    pub(crate) fn on_loopback(set: impl FnOnce(&Path) -> String) -> Cluster {
        Cluster::make(TempDir::new().unwrap(), |data| {
            format!("{}listen_addresses = '127.0.0.1'\n", set(data))
        })
    }

    fn make(dir: TempDir, set: impl FnOnce(&Path) -> String) -> Cluster {
        give(dir.path());
        let data = dir.path().join("data");
        let mut make = program("initdb");
        make.args(["--auth=trust", "--username=postgres", "--locale=C", "--encoding=UTF8"]);
        make.args(["--no-sync", "--wal-segsize=1", "--pgdata"]).arg(&data).current_dir(dir.path());
        let made = make.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let settings = format!(
            "unix_socket_directories = '{}'\nlisten_addresses = ''\nautovacuum = off\n\
             shared_buffers = '8MB'\nmin_wal_size = '4MB'\nmax_wal_size = '16MB'\n{}",
            dir.path().display(),
            set(&data),
        );
        let file = data.join("postgresql.auto.conf");
        fs::write(file, settings).unwrap();
        for file in fs::read_dir(&data).unwrap() {
            give(&file.unwrap().path());
        }
        // No other server has its socket in this directory. But somebody may take the port before a
        // server that listens there too.
        loop {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let (server, mut postmaster) = (Server::at(dir.path(), port), start(&data, port));
            let mut ended = false;
            wait_until("the server takes connections", || {
                ended = postmaster.try_wait().unwrap().is_some();
                ended || server.try_shell("public").is_ok()
            });
            if !ended {
                return Cluster { server, data, postmaster: Mutex::new(postmaster), _dir: dir };
            }
            let log = fs::read_to_string(data.join("log")).unwrap();
            assert!(log.contains("Address already in use"), "{log}");
            fs::remove_file(data.join("log")).unwrap();
        }
    }

    /// Waits until the server takes connections.
    pub(crate) fn await_ready(&self) {
        wait_until("the server takes connections", || self.server.try_shell("public").is_ok());
    }

    /// Kills every process of the server, as if its machine had crashed.
    pub(crate) fn kill(&self) {
        let mut postmaster = self.postmaster();
        let pid = postmaster.id();
        // It must not start new ones meanwhile.
        signal("STOP", &[pid.to_string()]);
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let children: Vec<_> = children.split_whitespace().map(str::to_owned).collect();
        signal("KILL", &[&[pid.to_string()][..], &children].concat());
        postmaster.wait().unwrap();
        let runs = |pid: &String| {
            let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !status.is_empty() && !status.contains(") Z ")
        };
        wait_until("the server's processes are gone", || !children.iter().any(runs));
    }

    /// Starts the server again if it ends, and waits until it takes connections.
    pub(crate) fn await_restarted(&self) {
        wait_until("the server takes connections", || {
            self.restart();
            self.server.try_shell("public").is_ok()
        });
    }

    /// Starts the server again, if it does not run.
    fn restart(&self) {
        let mut postmaster = self.postmaster();
        if postmaster.try_wait().unwrap().is_some() {
            *postmaster = start(&self.data, self.server.port());
        }
    }

    fn postmaster(&self) -> MutexGuard<'_, Child> {
        self.postmaster.lock().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = program("pg_ctl");
        stop.args(["--mode=immediate", "--silent", "stop", "--pgdata"]).arg(&self.data);
        let _ = stop.current_dir("/").stderr(Stdio::null()).status();
        let _ = self.postmaster().wait();
    }
}

fn start(data: &Path, port: u16) -> Child {
    let log = fs::File::options().append(true).create(true).open(data.join("log")).unwrap();
    let mut server = program("postgres");
    server.arg("-D").arg(data).args(["-p", &port.to_string()]).current_dir(data);
    server.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    server.spawn().unwrap()
}

/// Sends a signal to processes.
pub(crate) fn signal(name: &str, pids: &[String]) {
    // Some may be gone already.
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).args(pids).stderr(Stdio::null()).status().unwrap();
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A program of the server, run as a user that it agrees to.
fn program(name: &str) -> Command {
    let program = Path::new(&variable("CHANSTORE_POSTGRES_BIN")).join(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
    command
}

/// Gives a path to the user that runs servers.
fn give(path: &Path) {
    let owner = fs::metadata(variable("CHANSTORE_POSTGRES_DIR")).unwrap();
    chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
}
