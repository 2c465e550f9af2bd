//! New parameters while the bridge runs: all of them or none, between one command and the next.

use std::time::Instant;

use super::log::Log;
use super::{Bridge, Event, Inner};
use crate::config::{ChangeError, Config};
use crate::teleop::ConfigRefused;
use crate::wire::CommandEncoder;

/// Why a configuration cannot take the place of the one in force.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReconfigureRefused {
    /// A parameter may not change, or not now.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The arm stands against it.
    #[error("cannot set {wanted}: {refused}")]
    Motion {
        /// What was to change, with the new values.
        wanted: String,
        /// Why it cannot.
        refused: ConfigRefused,
    },
}

impl Bridge {
    /// Takes new parameters. On return all of them are in force, and hold from the next command on: nothing is sent in
    /// between. Where they concern the link it connects anew.
    ///
    /// # Errors
    /// Why they cannot be taken now. Then nothing has changed.
    pub fn reconfigure(&self, config: &Config) -> Result<(), ReconfigureRefused> {
        self.with_inner(|inner, now| inner.reconfigure(now, config))
    }
}

impl Inner {
    fn reconfigure(&mut self, now: Instant, config: &Config) -> Result<(), ReconfigureRefused> {
        config.check_changes(&self.config, self.joint.teleop().is_armed())?;
        let other_arm = config.may_be_another_arm(&self.config);
        if !other_arm {
            self.joint.teleop().check_config(&config.teleop).map_err(|refused| {
                let wanted: Vec<_> = config
                    .changes(&self.config)
                    .map(|changed| format!("'{}' to {}", changed.parameter.name, changed.after))
                    .collect();
                ReconfigureRefused::Motion { wanted: wanted.join(" and "), refused }
            })?;
        }
        let before = std::mem::replace(&mut self.config, config.clone());
        self.outbox.push(Event::Config(Box::new(config.clone())));
        if config.needs_new_link(&before) {
            self.relink(now, other_arm);
        }
        self.joint.handle_config(now, config.teleop.clone());
        Ok(())
    }

    fn relink(&mut self, now: Instant, other_arm: bool) {
        let Config { transport, link, wire, .. } = &self.config;
        let peer = transport.peer();
        self.encoder = CommandEncoder::new(wire);
        self.connections.clear();
        self.joint.handle_link_config(now, link.clone(), peer, other_arm);
        // What is wrong with it is told though the last was wrong in the same way, and its name at once.
        self.log = Log::new(self.config.link.link_timeout);
        let status = self.joint.status(now);
        self.outbox.push(Event::Status(status));
    }
}
