//! Something between a client and a server that can be cut and joined again, so that a server may move and its client
//! need not know.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// See the module. Its thread lasts as long as the test's process.
pub struct Relay {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    target: Option<SocketAddr>,
    open: Vec<TcpStream>,
}

impl Relay {
    /// One that leads to this address.
    pub fn to(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let relay = Self {
            address: listener.local_addr()?,
            state: Arc::new(Mutex::new(State { target: Some(target), open: Vec::new() })),
        };
        let state = Arc::clone(&relay.state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that cannot be served is dropped, which is what one who is away does.
                let _ = join(client, &mut lock(&state));
            }
        });
        Ok(relay)
    }

    /// Ends what is open, and takes nothing any more.
    pub fn cut(&self) {
        let mut state = lock(&self.state);
        state.target = None;
        for stream in state.open.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Leads to this address from now on.
    pub fn lead_to(&self, target: SocketAddr) {
        lock(&self.state).target = Some(target);
    }
}

fn join(client: TcpStream, state: &mut State) -> io::Result<()> {
    let Some(target) = state.target else { return Ok(()) };
    let server = TcpStream::connect(target)?;
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    state.open.extend([client, server]);
    Ok(())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
