//! The services of the node for the operator.
#![allow(clippy::disallowed_methods)] // computes the age of a request by the clock of its client

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use r2r::std_srvs::srv::{SetBool, Trigger};
use r2r::{QosProfile, ServiceRequest};

use super::r2r_ext::{Inbox, NodeNames};
use crate::app::Bridge;

/// `~/set_armed`, `~/go_home`, `~/stop`, `~/reset` and `~/reconnect`.
pub struct Services {
    /// The full names of the services that may start a motion.
    set_armed_name: String,
    go_home_name: String,
    set_armed: Inbox<ServiceRequest<SetBool::Service>>,
    go_home: Inbox<ServiceRequest<Trigger::Service>>,
    stop: Inbox<ServiceRequest<Trigger::Service>>,
    reset: Inbox<ServiceRequest<Trigger::Service>>,
    reconnect: Inbox<ServiceRequest<Trigger::Service>>,
}

impl Services {
    /// Creates the services.
    ///
    /// # Errors
    /// rcl fails.
    pub fn create(node: &mut r2r::Node, names: &NodeNames) -> r2r::Result<Self> {
        let qos = QosProfile::services_default();
        Ok(Self {
            set_armed_name: names.resolve("~/set_armed"),
            go_home_name: names.resolve("~/go_home"),
            set_armed: Inbox::new(node.create_service("~/set_armed", qos.clone())?),
            go_home: Inbox::new(node.create_service("~/go_home", qos.clone())?),
            stop: Inbox::new(node.create_service("~/stop", qos.clone())?),
            reset: Inbox::new(node.create_service("~/reset", qos.clone())?),
            reconnect: Inbox::new(node.create_service("~/reconnect", qos)?),
        })
    }

    /// Executes stop requests and responds to them. Returns whether there was a request.
    pub fn answer_stop(&mut self, bridge: &Bridge) -> bool {
        self.stop.answer(|_| {
            bridge.stop();
            tracing::warn!("stop requested");
            done("stopped; call ~/reset, then ~/set_armed with data: true, to move again")
        })
    }

    /// Executes all other requests and responds to them. Returns whether there was a request. If
    /// the middleware does not know when a request was sent, `stall` counts as its age.
    ///
    /// Only a request that may start a motion is rejected because of its age. A request that ends
    /// motion is executed at any age.
    pub fn answer(&mut self, bridge: &Bridge, stall: Duration) -> bool {
        let mut requested = self.reset.answer(|_| {
            let message = bridge.reset();
            Trigger::Response { success: !bridge.is_stopped(), message }
        });
        requested |= self.reconnect.answer(|_| {
            bridge.reconnect();
            done("reconnecting; see ~/link_status")
        });
        let judge = |service: &str, refusal: &str| {
            bridge.judge_request(age_of_request(service, stall), stall).map_err(|stale| {
                let refused = format!("{refusal}: {stale}");
                tracing::warn!("{refused}");
                refused
            })
        };
        // Handle `~/go_home` before `~/set_armed`. An older request to arm is then rejected.
        // Otherwise the hand could take over the arm on its way home.
        requested |= self.go_home.answer(|_| {
            let answer = judge(&self.go_home_name, "not going home")
                .and_then(|()| bridge.go_home().map_err(|refused| refused.to_string()));
            let success = answer.is_ok();
            Trigger::Response { success, message: answer.unwrap_or_else(|refused| refused) }
        });
        requested |= self.set_armed.answer(|request| {
            let judged = if request.data { judge(&self.set_armed_name, "not armed") } else { Ok(()) };
            let answer =
                judged.and_then(|()| bridge.set_armed(request.data).map_err(|refused| refused.to_string()));
            let success = answer.is_ok();
            SetBool::Response { success, message: answer.unwrap_or_else(|refused| refused) }
        });
        requested
    }
}

/// Returns the age in nanoseconds of the last request that was taken from a service, by the clock
/// of its client. Returns `stall` if the middleware does not know when the request was sent.
fn age_of_request(service: &str, stall: Duration) -> i64 {
    let nanoseconds = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanoseconds);
    rcl_ext::last_request_sent(service).map_or_else(|| nanoseconds(stall), |sent| now.saturating_sub(sent))
}

fn done(message: impl Into<String>) -> Trigger::Response {
    Trigger::Response { success: true, message: message.into() }
}
