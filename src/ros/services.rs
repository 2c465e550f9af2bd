//! The services a person calls.

use r2r::std_srvs::srv::{SetBool, Trigger};
use r2r::{QosProfile, ServiceRequest};

use super::r2r_ext::Inbox;
use crate::app::Bridge;

/// `~/set_armed`, `~/go_home`, `~/stop`, `~/reset` and `~/reconnect`.
pub struct Services {
    set_armed: Inbox<ServiceRequest<SetBool::Service>>,
    go_home: Inbox<ServiceRequest<Trigger::Service>>,
    stop: Inbox<ServiceRequest<Trigger::Service>>,
    reset: Inbox<ServiceRequest<Trigger::Service>>,
    reconnect: Inbox<ServiceRequest<Trigger::Service>>,
}

impl Services {
    /// Offers the services.
    ///
    /// # Errors
    /// What rcl says.
    pub fn create(node: &mut r2r::Node) -> r2r::Result<Self> {
        let qos = QosProfile::services_default();
        Ok(Self {
            set_armed: Inbox::new(node.create_service("~/set_armed", qos.clone())?),
            go_home: Inbox::new(node.create_service("~/go_home", qos.clone())?),
            stop: Inbox::new(node.create_service("~/stop", qos.clone())?),
            reset: Inbox::new(node.create_service("~/reset", qos.clone())?),
            reconnect: Inbox::new(node.create_service("~/reconnect", qos)?),
        })
    }

    /// Answers stop requests. Returns whether there was one.
    pub fn answer_stop(&mut self, bridge: &Bridge) -> bool {
        self.stop.answer(|_| {
            bridge.stop();
            tracing::warn!("stop requested");
            done("stopped; call ~/reset, then ~/set_armed with data: true, to move again")
        })
    }

    /// Answers what else has been asked. Returns whether there was anything.
    pub fn answer(&mut self, bridge: &Bridge) -> bool {
        let mut asked = self.reset.answer(|_| done(bridge.reset()));
        asked |= self.reconnect.answer(|_| {
            bridge.reconnect();
            done("connecting anew; see ~/link_status")
        });
        asked |= self.go_home.answer(|_| {
            let (success, message) = match bridge.go_home() {
                Ok(message) => (true, message),
                Err(refused) => (false, refused.to_string()),
            };
            Trigger::Response { success, message }
        });
        asked |= self.set_armed.answer(|request| {
            let (success, message) = match bridge.set_armed(request.data) {
                Ok(message) => (true, message),
                Err(refused) => (false, refused.to_string()),
            };
            SetBool::Response { success, message }
        });
        asked
    }
}

fn done(message: impl Into<String>) -> Trigger::Response {
    Trigger::Response { success: true, message: message.into() }
}
