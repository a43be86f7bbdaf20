//! Stands between a store and its server, and cuts connections or spoils answers where it is told to.
//!
//! It knows where messages begin and end, and which connection is the one that commits.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToStore,
}

/// Where to cut the connection that commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) way: Way,
    /// After so many messages that way.
    pub(crate) after: usize,
    /// In the middle of the next one.
    pub(crate) inside: bool,
    /// Messages count from the beginning of the next connection, not from now.
    pub(crate) fresh: bool,
}

/// What to make of the row that a commit is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoil {
    /// Its first value has no bytes.
    Unreadable,
    /// It is left out.
    NoRow,
    /// The server says that it ends, and does so once it has committed.
    Panic,
}

/// A listener that passes everything on to a server's socket.
pub(crate) struct Proxy {
    port: u16,
    wire: Arc<Wire>,
}

struct Wire {
    socket: PathBuf,
    state: Mutex<State>,
    refuses: AtomicBool,
}

#[derive(Default)]
struct State {
    cut: Option<Cut>,
    spoil: Option<Spoil>,
    /// Connections that were made before are not cut.
    fresh_from: u64,
    connections: u64,
    /// Messages that went each way since the cut was set.
    passed: [usize; 2],
    cuts: u64,
    /// The connection that commits.
    current: Option<Ends>,
}

impl Proxy {
    /// Listens on a port of its own.
    pub(crate) fn new(socket: PathBuf) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, refuses) = (Mutex::default(), AtomicBool::default());
        let wire = Arc::new(Wire { socket, state, refuses });
        let taking = Arc::clone(&wire);
        thread::spawn(move || {
            for store in listener.incoming().map_while(Result::ok) {
                let wire = Arc::clone(&taking);
                // A connection that breaks while it is made is the store's affair.
                thread::spawn(move || wire.connect(store));
            }
        });
        Proxy { port, wire }
    }

    /// The URL of a database behind it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Begins to count messages, and cuts where it is said.
    pub(crate) fn set(&self, cut: Option<Cut>) {
        let mut state = self.wire.state();
        (state.cut, state.passed) = (cut, [0, 0]);
        state.fresh_from = match cut {
            Some(Cut { fresh: true, .. }) => state.connections + 1,
            _ => 0,
        };
    }

    /// Spoils the next row that goes to the store on the connection that commits.
    pub(crate) fn spoil(&self, spoil: Spoil) {
        self.wire.state().spoil = Some(spoil);
    }

    /// Whether that is done.
    pub(crate) fn is_spoilt(&self) -> bool {
        self.wire.state().spoil.is_none()
    }

    /// Messages that went to the server and to the store since counting began.
    pub(crate) fn passed(&self) -> [usize; 2] {
        self.wire.state().passed
    }

    /// Cuts that were made.
    pub(crate) fn cuts(&self) -> u64 {
        self.wire.state().cuts
    }

    /// Closes the connection that commits, between messages.
    pub(crate) fn close(&self) {
        if let Some(ends) = self.wire.state().current.take() {
            ends.close();
        }
    }

    /// Takes no connections after the next cut, or takes them again.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.wire.refuses.store(refuse, SeqCst);
    }
}

/// Both ends of a connection.
struct Ends {
    store: TcpStream,
    server: UnixStream,
}

impl Ends {
    fn close(&self) {
        // The other side may have been faster.
        let _ = self.store.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn clone(&self) -> io::Result<Ends> {
        Ok(Ends { store: self.store.try_clone()?, server: self.server.try_clone()? })
    }
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(self: Arc<Wire>, mut store: TcpStream) -> io::Result<()> {
        if self.refuses.load(SeqCst) && self.state().cut.is_none() {
            return Ok(());
        }
        store.set_nodelay(true)?;
        let mut server = UnixStream::connect(&self.socket)?;
        let start = start(&mut store)?;
        server.write_all(&start)?;
        let ends = Ends { store, server };
        let text = String::from_utf8_lossy(&start);
        if !text.contains("chanstore commit") {
            let back = ends.clone()?;
            thread::spawn(move || {
                io::copy(&mut &back.server, &mut &back.store).map(|_| back.close())
            });
            io::copy(&mut &ends.store, &mut &ends.server)?;
            ends.close();
            return Ok(());
        }
        let number = {
            let mut state = self.state();
            state.connections += 1;
            state.current = Some(ends.clone()?);
            state.connections
        };
        let (back, wire) = (ends.clone()?, Arc::clone(&self));
        thread::spawn(move || wire.pass(number, Way::ToStore, &back));
        self.pass(number, Way::ToServer, &ends);
        Ok(())
    }

    /// Passes messages on until the connection ends.
    fn pass(&self, connection: u64, way: Way, ends: &Ends) {
        let (from, to): (&mut dyn Read, &mut dyn Write) = match way {
            Way::ToServer => (&mut &ends.store, &mut &ends.server),
            Way::ToStore => (&mut &ends.server, &mut &ends.store),
        };
        while let Ok(mut message) = message(from) {
            // Held while the message goes on: what is cut is cut for both ways.
            let mut state = self.state();
            let row = way == Way::ToStore && message.starts_with(b"D");
            match state.spoil.take_if(|_| row) {
                Some(Spoil::Unreadable) => message = without_value(&message),
                Some(Spoil::NoRow) => continue,
                Some(Spoil::Panic) => {
                    drop(state);
                    // Whether the store hears it is not for us to say.
                    let _ = to.write_all(PANIC);
                    until_ready(from);
                    break;
                }
                None => {}
            }
            let here = state.cut.filter(|cut| cut.way == way && connection >= state.fresh_from);
            let whole = here.filter(|cut| cut.after == state.passed[way as usize]);
            match whole {
                Some(Cut { inside: true, .. }) => drop(to.write_all(&message[..message.len() / 2])),
                Some(_) => {}
                None => {
                    if to.write_all(&message).is_err() {
                        break;
                    }
                    if connection >= state.fresh_from {
                        state.passed[way as usize] += 1;
                    }
                }
            }
            let ended = |cut: &Cut| !cut.inside && cut.after == state.passed[way as usize];
            if whole.is_some() || here.is_some_and(|cut| ended(&cut)) {
                state.cut = None;
                state.cuts += 1;
                break;
            }
        }
        ends.close();
    }
}

/// What a server says that cannot write its log.
const PANIC: &[u8] = b"E\0\0\0\x2cSPANIC\0VPANIC\0C53100\0Mno space is left\0\0";

/// A row of one value or more, without the bytes of the first.
fn without_value(row: &[u8]) -> Vec<u8> {
    // Its type, its length, how many values; then each with its length before it.
    const FIRST: usize = 1 + 4 + 2;
    let length = i32::from_be_bytes(row[FIRST..FIRST + 4].try_into().unwrap());
    let removed = usize::try_from(length).unwrap_or_default();
    let rest = &row[FIRST + 4 + removed..];
    let length = u32::try_from(row.len() - 1 - removed).unwrap();
    [&row[..1], &length.to_be_bytes(), &row[5..FIRST], &[0; 4], rest].concat()
}

/// The first message, which has no type.
fn start(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 4];
    from.read_exact(&mut message)?;
    rest(from, message)
}

/// A message: its type, its length without the type, and what is in it.
fn message(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 5];
    from.read_exact(&mut message)?;
    rest(from, message)
}

/// Passes over messages to the one that says that the server is done, or to the end.
fn until_ready(from: &mut dyn Read) {
    while message(from).is_ok_and(|message| !message.starts_with(b"Z")) {}
}

fn rest(mut from: impl Read, mut message: Vec<u8>) -> io::Result<Vec<u8>> {
    let [.., a, b, c, d] = message[..] else { return Err(io::ErrorKind::InvalidData.into()) };
    let start = message.len();
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or_default();
    message.resize(start + length.saturating_sub(4), 0);
    from.read_exact(&mut message[start..])?;
    Ok(message)
}
