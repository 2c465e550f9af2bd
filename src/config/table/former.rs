//! Former names of parameters. A former name is rejected, and the error contains the new name.

/// Former names, each with its present name. Only names that are not in the table are looked up
/// here.
pub(super) const NAMES: &[(&str, &str)] = &[
    ("role", "link.transport"),
    ("host", "link.host"),
    ("port", "link.port"),
    ("min_clients", "link.min_clients"),
    ("connect_timeout", "link.connect_timeout"),
    ("tcp_user_timeout", "link.tcp_user_timeout"),
    ("expect_reply", "link.expect_reply"),
    ("max_in_flight", "link.max_in_flight"),
    ("reply_timeout", "link.reply_timeout"),
    ("link_timeout", "link.timeout"),
    ("backoff.initial", "link.backoff.initial"),
    ("backoff.max", "link.backoff.max"),
    ("heartbeat_period", "link.heartbeat.period"),
    ("heartbeat_expects_reply", "link.heartbeat.expect_reply"),
    ("greeting_lines", "link.banner_lines"),
    ("greeting_timeout", "link.banner_timeout"),
    ("tls.enabled", "link.tls.enabled"),
    ("tls.ca_file", "link.tls.ca_file"),
    ("tls.server_name", "link.tls.server_name"),
    ("tls.certificate_file", "link.tls.certificate_file"),
    ("tls.key_file", "link.tls.key_file"),
    ("hello.token_file", "link.auth.token_file"),
    ("codec", "wire.format"),
    ("wire_unit", "wire.position_unit"),
    ("json_fields.type", "wire.json.type"),
    ("json_fields.x", "wire.json.x"),
    ("json_fields.y", "wire.json.y"),
    ("json_fields.z", "wire.json.z"),
    ("json_fields.gripper", "wire.json.gripper"),
    ("json_fields.open", "wire.json.open"),
    ("json_fields.closed", "wire.json.closed"),
    ("json_fields.constant", "wire.json.constant"),
    ("text_template", "wire.text.command"),
    ("text_stop", "wire.text.stop"),
    ("text_heartbeat", "wire.text.heartbeat"),
    ("wire_extras", "wire.extra_fields"),
    ("ttl", "wire.command_ttl"),
    ("accept_state", "wire.accept_state"),
    ("base_frame", "arm.base_frame"),
    ("home", "arm.home"),
    ("home_rpy", "arm.home_rpy"),
    ("arming", "teleop.arming"),
    ("settle_time", "teleop.settle_time"),
    ("command_rate", "teleop.command_rate"),
    ("error_limit", "teleop.max_consecutive_errors"),
    ("hold_line", "teleop.hold_behavior"),
    ("input_timeout", "input.timeout"),
    ("source.topic", "input.topic"),
    ("source.type", "input.type"),
    ("source.position", "input.position"),
    ("source.orientation", "input.orientation"),
    ("source.stamp", "input.stamp"),
    ("source.frame", "input.frame"),
    ("source.valid", "input.valid"),
    ("source.gripper", "input.gripper"),
    ("source.unit", "input.unit"),
    ("source.zero_is_lost", "input.zero_is_lost"),
    ("source.frozen_timeout", "input.frozen_timeout"),
    ("source.min_rate", "input.min_rate"),
    ("approach_speed", "limits.approach_speed"),
    ("limits.jump", "limits.max_jump"),
    ("limits.jump_confirm", "limits.jump_confirm_time"),
];

/// Former values: name of the parameter, former value, present value. Only values that the
/// parameter does not accept are looked up here.
pub(super) const VALUES: &[(&str, &str, &str)] = &[("teleop.hold_behavior", "nothing", "silent")];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{NAMES, VALUES};
    use crate::config::table::BridgeTable;
    use crate::params::{Table, Value};

    #[test]
    fn each_row_has_one_current_name() {
        for (former, name) in NAMES {
            let has = |name| BridgeTable::find(name).is_some();
            assert_ne!(has(former), has(name), "{former} → {name}");
        }
        let columns: [BTreeSet<_>; 2] =
            [NAMES.iter().map(|row| row.0).collect(), NAMES.iter().map(|row| row.1).collect()];
        assert!(columns.iter().all(|column| column.len() == NAMES.len()), "a name occurs twice");
    }

    #[test]
    fn each_row_has_one_accepted_value() {
        for (name, former, value) in VALUES {
            let Some(parameter) = BridgeTable::find(name) else { continue };
            let accepts = |word: &str| parameter.accepts(&Value::Text(word.into()));
            assert!(accepts(value) && !accepts(former), "{name}: {former} → {value}");
        }
    }

    #[test]
    fn names_of_the_table_are_unique() {
        let names: BTreeSet<_> = BridgeTable::parameters().map(|parameter| parameter.name).collect();
        assert_eq!(names.len(), BridgeTable::parameters().count());
    }
}
