//! The services a person calls.
#![allow(clippy::disallowed_methods)] // how long ago a request was sent, by its sender's clock

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use r2r::std_srvs::srv::{SetBool, Trigger};
use r2r::{QosProfile, ServiceRequest};

use super::r2r_ext::{Inbox, NodeNames};
use crate::app::Bridge;

/// `~/set_armed`, `~/go_home`, `~/stop`, `~/reset` and `~/reconnect`.
pub struct Services {
    /// The full names of the services that may begin a motion.
    set_armed_name: String,
    go_home_name: String,
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

    /// Answers stop requests. Returns whether there was one.
    pub fn answer_stop(&mut self, bridge: &Bridge) -> bool {
        self.stop.answer(|_| {
            bridge.stop();
            tracing::warn!("stop requested");
            done("stopped; call ~/reset, then ~/set_armed with data: true, to move again")
        })
    }

    /// Answers what else has been asked. Returns whether there was anything. A request may have waited for as long as
    /// `stall`, if the middleware does not tell when it was sent.
    ///
    /// Only what may begin a motion is refused for its age: what ends motion is done whenever it comes.
    pub fn answer(&mut self, bridge: &Bridge, stall: Duration) -> bool {
        let mut asked = self.reset.answer(|_| {
            let message = bridge.reset();
            Trigger::Response { success: !bridge.is_stopped(), message }
        });
        asked |= self.reconnect.answer(|_| {
            bridge.reconnect();
            done("connecting anew; see ~/link_status")
        });
        let judge = |service: &str, refusal: &str| {
            bridge.judge_request(age_of_request(service, stall), stall).map_err(|stale| {
                let refused = format!("{refusal}: {stale}");
                tracing::warn!("{refused}");
                refused
            })
        };
        // A request to arm is judged after this: one that was sent before it does not give the arm to the hand.
        asked |= self.go_home.answer(|_| {
            let answer = judge(&self.go_home_name, "not going home")
                .and_then(|()| bridge.go_home().map_err(|refused| refused.to_string()));
            let success = answer.is_ok();
            Trigger::Response { success, message: answer.unwrap_or_else(|refused| refused) }
        });
        asked |= self.set_armed.answer(|request| {
            let judged = if request.data { judge(&self.set_armed_name, "not armed") } else { Ok(()) };
            let answer =
                judged.and_then(|()| bridge.set_armed(request.data).map_err(|refused| refused.to_string()));
            let success = answer.is_ok();
            SetBool::Response { success, message: answer.unwrap_or_else(|refused| refused) }
        });
        asked
    }
}

/// Returns how long ago the request was sent that was taken last from a service, in nanoseconds by its sender's clock.
fn age_of_request(service: &str, stall: Duration) -> i64 {
    let nanoseconds = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanoseconds);
    rcl_ext::last_request_sent(service).map_or_else(|| nanoseconds(stall), |sent| now.saturating_sub(sent))
}

fn done(message: impl Into<String>) -> Trigger::Response {
    Trigger::Response { success: true, message: message.into() }
}
