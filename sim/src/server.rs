//! The server of a controller: its port, its clients and its crashes.

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::OptionFuture;
use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    select,
    sync::{broadcast, mpsc, oneshot},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::arm::ArmState;
use super::config::ArmSimConfig;
use super::connection::serve;
use super::fault::{Fault, FaultSpec};
use super::record::{Event, Received, Record};
use super::shared::{Control, Shared};

/// A running simulated controller. If it is dropped, it stops, and its port and connections are
/// closed.
#[derive(Debug)]
pub struct ArmSim {
    address: SocketAddr,
    shared: Arc<Shared>,
    control: mpsc::UnboundedSender<Control>,
    task: AbortHandle,
}

impl ArmSim {
    /// Starts a controller on the present runtime. It listens when this function returns.
    ///
    /// # Errors
    /// If the host does not resolve, the port is taken, or the speed or the reach is not above 0.
    pub async fn start(config: ArmSimConfig) -> io::Result<Self> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        for (name, value) in [("speed", config.speed), ("reach", config.reach.unwrap_or(1.0))] {
            if !(value.is_finite() && value > 0.0) {
                return Err(invalid(format!("{name} is {value}, expected a number above 0")));
            }
        }
        let address = lookup_host((config.host.as_str(), config.port)).await?.next();
        let port = Port::take(address.ok_or_else(|| invalid(format!("{:?} has no address", config.host)))?)?;
        let listener = port.listen()?;
        let address = port.address;
        let shared = Arc::new(Shared::new(config));
        let (control, orders) = mpsc::unbounded_channel();
        let server = Server {
            port,
            listener: Some(listener),
            clients: JoinSet::new(),
            crash: CancellationToken::new(),
            restart_at: None,
            shared: Arc::clone(&shared),
            control: control.clone(),
        };
        shared.listening(address);
        let task = tokio::spawn(server.run(orders)).abort_handle();
        let sim = Self { address, shared, control, task };
        sim.play_immediate();
        Ok(sim)
    }

    /// Returns the address on which it listens, or listened before a crash.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the present faults by one fault, or by no fault. [`Fault::Crash`] and
    /// [`Fault::Restart`] happen immediately; to wait for them, use [`ArmSim::crash`] and
    /// [`ArmSim::restart`].
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.set_faults(fault.map(FaultSpec::from).into_iter().collect());
    }

    /// Replaces the present faults. Each new fault counts commands from 0.
    pub fn set_faults(&self, faults: Vec<FaultSpec>) {
        self.shared.set_faults(faults);
        self.play_immediate();
    }

    /// Returns the present faults.
    pub fn faults(&self) -> Vec<FaultSpec> {
        self.shared.schedule.borrow().faults().cloned().collect()
    }

    /// Resets every connection and stops listening. When this function returns, new connections are
    /// refused, but the port stays reserved. The arm stops at its position.
    pub async fn crash(&self) {
        let (done, crashed) = oneshot::channel();
        let _ = self.control.send(Control::Crash { restart_after: None, done: Some(done) });
        // This fails only if the runtime shuts down, with all tasks.
        let _ = crashed.await;
    }

    /// Listens again on the same port. A running controller crashes first. When this function
    /// returns, it listens.
    ///
    /// # Errors
    /// If binding or listening fails.
    pub async fn restart(&self) -> io::Result<()> {
        if self.shared.record.borrow().listening {
            self.crash().await;
        }
        let (done, listening) = oneshot::channel();
        let _ = self.control.send(Control::Listen { done: Some(done) });
        listening.await.unwrap_or_else(|_| Err(io::Error::other("the simulated controller has stopped")))
    }

    /// Ends the present faults. A crashed controller listens again.
    pub fn recover(&self) {
        self.set_fault(None);
        let _ = self.control.send(Control::Listen { done: None });
    }

    /// Returns a receiver of all further events. A receiver that falls far behind gets the number
    /// of missed events.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Returns the record of everything so far.
    pub fn record(&self) -> Record {
        self.shared.record.borrow().clone()
    }

    /// Returns the lines that arrived so far, in order.
    pub fn received(&self) -> Vec<Received> {
        self.shared.record.borrow().received.clone()
    }

    /// Waits until the record satisfies `wanted`, and returns the record. Use a timeout around it,
    /// because it may wait without limit.
    pub async fn wait_for(&self, wanted: impl FnMut(&Record) -> bool) -> Record {
        match self.shared.record.subscribe().wait_for(wanted).await {
            Ok(record) => record.clone(),
            Err(_) => unreachable!("the sender lives in self.shared"),
        }
    }

    /// Waits until `count` valid commands have arrived since the start.
    pub async fn wait_for_commands(&self, count: u64) -> Record {
        self.wait_for(|record| record.counts.commands >= count).await
    }

    /// Waits until `count` stops have arrived since the start.
    pub async fn wait_for_stops(&self, count: u64) -> Record {
        self.wait_for(|record| record.counts.stops >= count).await
    }

    /// Returns the present state of the arm.
    pub fn state(&self) -> ArmState {
        self.shared.arm_state()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn play_immediate(&self) {
        for spec in self.faults().into_iter().filter(FaultSpec::is_immediate) {
            let restart_after = match spec.fault {
                Fault::Crash => None,
                Fault::Restart(time) => Some(time),
                _ => continue,
            };
            let _ = self.control.send(Control::Crash { restart_after, done: None });
        }
    }
}

impl Drop for ArmSim {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port that stays reserved while the controller does not listen, because a second socket is
/// bound to it and never listens. So connecting is refused, and the system gives the port to no
/// socket that asks for any free port: neither to another test, nor to a client as its own port. On
/// one machine, such a client could connect to itself.
struct Port {
    address: SocketAddr,
    _reserved: Socket,
}

impl Port {
    fn take(address: SocketAddr) -> io::Result<Self> {
        let reserved = bind(address)?;
        let address = reserved.local_addr()?.as_socket().unwrap_or(address);
        Ok(Self { address, _reserved: reserved })
    }

    fn listen(&self) -> io::Result<TcpListener> {
        let socket = bind(self.address)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The task that owns the port and the clients.
struct Server {
    port: Port,
    listener: Option<TcpListener>,
    clients: JoinSet<()>,
    crash: CancellationToken,
    restart_at: Option<Instant>,
    shared: Arc<Shared>,
    control: mpsc::UnboundedSender<Control>,
}

impl Server {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Control>) {
        loop {
            select! {
                accepted = accept(self.listener.as_ref()) => match accepted {
                    Ok((stream, peer)) => self.welcome(stream, peer).await,
                    Err(error) => self.try_later(&error),
                },
                Some(_) = self.clients.join_next() => {}
                Some(order) = orders.recv() => self.follow(order).await,
                Some(()) = OptionFuture::from(self.restart_at.map(sleep_until)) => match self.listen() {
                    Ok(()) => {}
                    Err(error) => self.try_later(&error),
                },
            }
        }
    }

    async fn follow(&mut self, order: Control) {
        match order {
            Control::Crash { restart_after, done } => {
                self.restart_at = restart_after.map(|time| Instant::now() + time);
                if self.listener.take().is_some() || !self.clients.is_empty() {
                    std::mem::take(&mut self.crash).cancel();
                    while self.clients.join_next().await.is_some() {}
                    self.shared.crashed();
                }
                done.map(|done| done.send(()));
            }
            Control::Listen { done } => {
                let result = self.listen();
                if let Some(done) = done {
                    let _ = done.send(result);
                }
            }
        }
    }

    fn listen(&mut self) -> io::Result<()> {
        self.restart_at = None;
        if self.listener.is_none() {
            self.listener = Some(self.port.listen()?);
            self.shared.listening(self.port.address);
        }
        Ok(())
    }

    async fn welcome(&mut self, stream: TcpStream, peer: SocketAddr) {
        if !self.shared.has_room() {
            // A client that reconnects still counts as one client, so wait until its old connection
            // ends.
            let mut record = self.shared.record.subscribe();
            let _ = timeout(GRACE, record.wait_for(|record| record.connected() == 0)).await;
        }
        if !self.shared.has_room() {
            drop(stream);
            self.shared.refused(peer);
            return;
        }
        // Register the client here, not in its task, because the next client must find it.
        let number = self.shared.connected(peer);
        let (shared, control) = (Arc::clone(&self.shared), self.control.clone());
        self.clients.spawn(serve(number, stream, peer, shared, control, self.crash.clone()));
    }

    /// Closes the listener and opens it again later, for example if file descriptors run out. This
    /// avoids a busy loop.
    fn try_later(&mut self, error: &io::Error) {
        self.listener = None;
        self.restart_at = Some(Instant::now() + RETRY);
        self.shared.emit(Event::CannotListen(error.to_string()));
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => pending().await,
    }
}

const BACKLOG: i32 = 128;
const RETRY: Duration = Duration::from_millis(500);
const GRACE: Duration = Duration::from_millis(50);
