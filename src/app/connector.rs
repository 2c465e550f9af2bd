//! Makes a connection that is ready for commands: opened, encrypted if configured, greeted and
//! authenticated.

use std::sync::Arc;

use tokio::time::{Instant, timeout, timeout_at};

use super::connection::Connection;
use crate::config::{AuthConfig, Config};
use crate::link::{Accepted, ConnectFuture, Endpoint, LinkError, Listener, PeerId, Socket, Stage};
use crate::wire::Hello;

/// The result of a successful attempt to connect or to listen.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Established {
    Connection(Connection),
    Listener(Box<dyn Listener>),
}

/// Makes connections.
pub(super) struct Connector {
    config: Config,
    deadline: Instant,
    note: Box<dyn Fn(Stage) + Send + Sync>,
}

impl Connector {
    /// Creates a connector for this configuration. The connection must open within
    /// `link.connect_timeout` from now. Calls `note` with each stage.
    pub(super) fn new(config: Config, note: impl Fn(Stage) + Send + Sync + 'static) -> Self {
        let deadline = Instant::now() + config.transport.connect_timeout;
        Self { config, deadline, note: Box::new(note) }
    }

    /// Connects to a controller, or listens on a port.
    pub(super) async fn connect(self, opening: ConnectFuture<Endpoint>) -> Result<Established, LinkError> {
        let peer = self.config.transport.peer();
        match self.in_time(opening, peer).await? {
            Endpoint::Socket(socket) => self.authenticated(socket).await.map(Established::Connection),
            Endpoint::Listener(listener) => Ok(Established::Listener(listener)),
        }
    }

    /// Prepares the connection of a controller that has connected to the bridge.
    pub(super) async fn accept(self, (opening, address): Accepted) -> Result<Connection, LinkError> {
        let socket = self.in_time(opening, address.to_string()).await?;
        self.authenticated(socket).await
    }

    async fn in_time<T>(&self, opening: ConnectFuture<T>, peer: String) -> Result<T, LinkError> {
        let timeout = self.config.transport.connect_timeout;
        let otherwise = |_| Err(LinkError::ConnectTimeout { peer, timeout });
        timeout_at(self.deadline, opening).await.unwrap_or_else(otherwise)
    }

    async fn authenticated(&self, socket: Arc<dyn Socket>) -> Result<Connection, LinkError> {
        let mut connection = Connection::new(PeerId::ONLY, socket, &self.config);
        self.greeted(&mut connection).await?;
        if let Some(hello) = &self.config.hello {
            (self.note)(Stage::Auth);
            let hello = read(hello).await?;
            let limit = self.config.transport.connect_timeout;
            let otherwise = |_| Err(LinkError::AuthTimeout { timeout: limit });
            timeout(limit, connection.authenticate(&hello)).await.unwrap_or_else(otherwise)?;
        }
        Ok(connection)
    }

    /// Waits for the greeting. Sends nothing before it, because a board that has just started would
    /// lose the line.
    async fn greeted(&self, connection: &mut Connection) -> Result<(), LinkError> {
        let (wanted, limit) = (self.config.wire.banner_lines, self.config.transport.banner_timeout);
        if wanted == 0 {
            return Ok(());
        }
        let note = |received| (self.note)(Stage::Banner { received, wanted });
        let greeted = timeout(limit, connection.greet(note)).await;
        greeted.unwrap_or_else(|_| Err(connection.not_greeted(limit)))
    }
}

/// Reads the token again for each connection, so that a new token needs no restart.
async fn read(AuthConfig { token_file, form }: &AuthConfig) -> Result<Hello, LinkError> {
    let path = || token_file.display().to_string();
    let text = tokio::fs::read_to_string(token_file).await;
    let text = text.map_err(|source| LinkError::TokenFile { path: path(), source })?;
    Hello::new(form, &text).map_err(|error| LinkError::Token { path: path(), error })
}
