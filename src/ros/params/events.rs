//! The publisher of declared and changed parameters on `/parameter_events`.

use r2r::rcl_interfaces::msg::{Parameter, ParameterEvent};
use r2r::{Publisher, QosProfile};

use super::USE_SIM_TIME;
use super::message::message;
use crate::params::{Changed, Parameters, Table, Value};
use crate::ros::clock::RosClock;
use crate::ros::convert;

/// Publishes the parameters of this node and their changes.
pub(super) struct ParameterEvents {
    publisher: Publisher<ParameterEvent>,
    clock: RosClock,
    node: String,
    declared: bool,
}

impl ParameterEvents {
    pub(super) fn create(node: &mut r2r::Node, clock: RosClock) -> r2r::Result<Self> {
        let publisher = node.create_publisher("/parameter_events", QosProfile::parameter_events())?;
        Ok(Self { publisher, clock, node: node.fully_qualified_name()?, declared: false })
    }

    /// Publishes the declared parameters once, when there is a subscriber. It waits for the first
    /// subscriber, because no node receives a message that is published before discovery.
    pub(super) fn publish_declared<T: Table>(&mut self, parameters: &Parameters<T>, use_sim_time: bool) {
        if !self.declared && self.publisher.get_inter_process_subscription_count().is_ok_and(|n| n > 0) {
            self.declared = true;
            let new_parameters = declared(parameters, use_sim_time);
            self.publish(ParameterEvent { new_parameters, ..Default::default() });
        }
    }

    /// Publishes changed parameters.
    pub(super) fn publish_changed<'a>(&self, changes: impl Iterator<Item = Changed<'a>>) {
        let changed_parameters =
            changes.map(|changed| parameter(changed.parameter.name, changed.after)).collect();
        self.publish(ParameterEvent { changed_parameters, ..Default::default() });
    }

    fn publish(&self, event: ParameterEvent) {
        let event =
            ParameterEvent { stamp: convert::time(self.clock.now()), node: self.node.clone(), ..event };
        if let Err(error) = self.publisher.publish(&event) {
            tracing::debug!(%error, "not published");
        }
    }
}

fn declared<T: Table>(parameters: &Parameters<T>, use_sim_time: bool) -> Vec<Parameter> {
    let value = |name| parameters.value(name).map(|value| parameter(name, value));
    let of_every_node = parameter(USE_SIM_TIME, &Value::Boolean(use_sim_time));
    T::parameters().filter_map(|parameter| value(parameter.name)).chain([of_every_node]).collect()
}

fn parameter(name: &str, value: &Value) -> Parameter {
    Parameter { name: name.into(), value: message(value) }
}
