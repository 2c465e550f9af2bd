//! Detects a second publisher on a topic of the input, and a second node with the name of this one. ROS messages do not
//! identify their publisher, so two trackers would look like one hand that jumps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::r2r_ext::NodeNames;
use crate::teleop::GraphNews;

/// Watches the graph for publishers on the topics of the input, and for another node of this name.
pub struct PublisherMonitor {
    targets: Topic,
    /// None if only the messages with targets say what the gripper is to do.
    gripper: Option<Topic>,
    names: NodeNames,
    status: String,
    duplicate_nodes: bool,
    started: Instant,
    next: Option<Instant>,
}

/// Who publishes on a topic.
struct Topic {
    name: String,
    /// Who publishes, in words, if it is more than one.
    multiple: Option<Arc<str>>,
    /// The identities of its publishers.
    ids: Vec<Vec<u8>>,
}

impl PublisherMonitor {
    /// Watches the topic of targets, and the gripper's if there is one, by the names they are subscribed with.
    pub fn new(names: NodeNames, targets: &str, gripper: Option<&str>, now: Instant) -> Self {
        let topic = |topic| Topic { name: names.resolve(topic), multiple: None, ids: Vec::new() };
        Self {
            targets: topic(targets),
            gripper: gripper.map(topic),
            status: names.resolve("~/link_status"),
            names,
            duplicate_nodes: false,
            started: now,
            next: None,
        }
    }

    /// Looks at the graph now and then. Returns what has changed since the last look.
    pub fn check(&mut self, node: &r2r::Node, now: Instant) -> Vec<GraphNews> {
        let mut news = Vec::new();
        if self.next.is_some_and(|next| now < next) {
            return news;
        }
        let starting = now.saturating_duration_since(self.started) < START;
        self.next = Some(now + if starting { PERIOD_AT_START } else { PERIOD });
        self.warn_of_duplicate_nodes(node);
        if let Some(multiple) = self.targets.look(node).multiple {
            news.push(GraphNews::TargetPublishers(multiple));
        }
        if let Some(gripper) = &mut self.gripper {
            let found = gripper.ids.is_empty();
            let changes = gripper.look(node);
            if changes.left {
                news.push(GraphNews::GripperLeft);
            }
            if found && !gripper.ids.is_empty() {
                news.push(GraphNews::GripperFound);
            }
            if let Some(multiple) = changes.multiple {
                news.push(GraphNews::GripperPublishers(multiple));
            }
        }
        news
    }

    /// Whether the gripper's topic has one publisher at this moment.
    pub fn gripper_is_alone(&self, node: &r2r::Node) -> bool {
        let publishers = self.gripper.as_ref().and_then(|gripper| gripper.publishers(node));
        publishers.is_some_and(|(ids, _)| ids.len() == 1)
    }

    fn warn_of_duplicate_nodes(&mut self, node: &r2r::Node) {
        let publishers = node.get_publishers_info_by_topic(&self.status, false).unwrap_or_default();
        let own = publishers.iter().filter(|publisher| {
            publisher.node_name == self.names.node && publisher.node_namespace == self.names.namespace
        });
        let duplicate_nodes = own.count() > 1;
        if duplicate_nodes && !self.duplicate_nodes {
            tracing::warn!(
                "another node has the same name, so their topics, services and parameters cannot be told apart; start one of them \
                 with -r __node:=… or -r __ns:=/…"
            );
        }
        self.duplicate_nodes = duplicate_nodes;
    }
}

/// What a look at the graph has brought.
#[derive(Default)]
struct Changes {
    /// Who publishes, in words, if it is more than one and that has changed; that it is at most one, if that has.
    multiple: Option<Option<Arc<str>>>,
    /// A publisher has gone.
    left: bool,
}

impl Topic {
    fn look(&mut self, node: &r2r::Node) -> Changes {
        let Some((ids, mut nodes)) = self.publishers(node) else { return Changes::default() };
        let left = self.ids.iter().any(|id| !ids.contains(id));
        self.ids = ids;
        nodes.sort_unstable();
        let words = || format!("{} publishers on {}: {}", nodes.len(), self.name, nodes.join(", "));
        let multiple = (nodes.len() > 1).then(|| words().into());
        if multiple == self.multiple {
            return Changes { multiple: None, left };
        }
        self.multiple = multiple;
        if let Some(words) = &self.multiple {
            tracing::warn!("{words}; motion is held while more than one of them sends");
        }
        Changes { multiple: Some(self.multiple.clone()), left }
    }

    /// Returns the identity of each publisher in the middleware, and the full name of its node, fit to print; none if the
    /// graph does not tell.
    fn publishers(&self, node: &r2r::Node) -> Option<(Vec<Vec<u8>>, Vec<String>)> {
        let publishers = node.get_publishers_info_by_topic(&self.name, false).inspect_err(
            |error| tracing::debug!(%error, topic = self.name, "the graph does not tell who publishes"),
        );
        let publishers = publishers.ok()?.into_iter().map(|publisher| {
            let namespace = publisher.node_namespace.trim_end_matches('/');
            let node = crate::text::sanitize_short(&format!("{namespace}/{}", publisher.node_name));
            (publisher.endpoint_gid.to_vec(), node)
        });
        Some(publishers.unzip())
    }
}

/// How long a second publisher may go unnoticed.
const PERIOD: Duration = Duration::from_millis(250);
/// The same at the start, for so long: the first motion waits for the gripper's publisher, if there is one.
const PERIOD_AT_START: Duration = Duration::from_millis(50);
const START: Duration = Duration::from_secs(5);
