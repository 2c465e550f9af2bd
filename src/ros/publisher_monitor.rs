//! Detects a second publisher on an input topic, an input topic without a usable publisher, and a
//! second node with the name of this node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::r2r_ext::NodeNames;
use crate::app::InputNotes;
use crate::teleop::GraphNews;
use crate::text::sanitize_short;

/// Polls the graph for publishers on the input topics, and for another node with this name.
pub struct PublisherMonitor {
    targets: Topic,
    /// `None` if the gripper's input is in the messages with targets.
    gripper: Option<Topic>,
    names: NodeNames,
    /// The full name of the topic `~/link_status`. If two publishers on it have this node's name,
    /// two nodes have this name.
    status: String,
    duplicate_nodes: bool,
    started: Instant,
    next: Option<Instant>,
    /// The time of the next search for other topics with the expected type.
    next_survey: Option<Instant>,
    notes: InputNotes,
    /// Whether the notes have changed since the last [`PublisherMonitor::take_notes`].
    has_news: bool,
    /// The last logged note about targets.
    logged: String,
}

/// The publishers of a topic.
struct Topic {
    name: String,
    /// The type of the messages that the bridge subscribes to.
    message_type: String,
    /// The parameter with this type.
    parameter: &'static str,
    /// The publishers with another type, as text.
    mistyped: String,
    /// Whether the graph does not show the nodes of these publishers yet.
    is_unknown: bool,
    /// Other topics that have the expected type, as text.
    elsewhere: String,
    /// The nodes that publish the expected type.
    nodes: Vec<String>,
    /// These nodes as text, if there is more than one.
    multiple: Option<Arc<str>>,
    /// The identities of the publishers of the expected type.
    ids: Vec<Vec<u8>>,
}

impl PublisherMonitor {
    /// Creates a monitor of the targets' topic, and of the gripper's topic if there is one. Each
    /// topic has its name before remapping and its message type.
    pub fn new(names: NodeNames, targets: (&str, &str), gripper: Option<(&str, &str)>, now: Instant) -> Self {
        let topic = |(topic, message_type): (&str, &str), parameter| Topic {
            name: names.resolve(topic),
            message_type: message_type.to_owned(),
            parameter,
            mistyped: String::new(),
            is_unknown: false,
            elsewhere: String::new(),
            nodes: Vec::new(),
            multiple: None,
            ids: Vec::new(),
        };
        Self {
            targets: topic(targets, "input.type"),
            gripper: gripper.map(|gripper| topic(gripper, "gripper.type")),
            status: names.resolve("~/link_status"),
            names,
            duplicate_nodes: false,
            started: now,
            next: None,
            next_survey: None,
            notes: InputNotes::default(),
            has_news: false,
            logged: String::new(),
        }
    }

    /// Returns the full name of the targets' topic.
    pub fn target_topic(&self) -> &str {
        &self.targets.name
    }

    /// Returns the notes on why no message arrives, if they have changed since the last call.
    pub fn take_notes(&mut self) -> Option<InputNotes> {
        std::mem::take(&mut self.has_news).then(|| self.notes.clone())
    }

    /// Polls the graph if the next poll is due. Returns the changes since the last poll. If no node
    /// publishes on the gripper's topic, each poll returns [`GraphNews::GripperAbsent`].
    pub fn check(&mut self, node: &r2r::Node, now: Instant) -> Vec<GraphNews> {
        let mut news = Vec::new();
        if self.next.is_some_and(|next| now < next) {
            return news;
        }
        let starting = now.saturating_duration_since(self.started) < START;
        self.next = Some(now + if starting { PERIOD_AT_START } else { PERIOD });
        self.warn_of_duplicate_nodes(node);
        if let Some(multiple) = self.targets.poll(node).multiple {
            news.push(GraphNews::TargetPublishers(multiple));
        }
        if let Some(gripper) = &mut self.gripper {
            let changes = gripper.poll(node);
            if changes.left {
                news.push(GraphNews::GripperLeft);
            }
            if changes.found {
                news.push(GraphNews::GripperFound);
            }
            if changes.absent {
                news.push(GraphNews::GripperAbsent);
            }
            if let Some(multiple) = changes.multiple {
                news.push(GraphNews::GripperPublishers(multiple));
            }
        }
        self.survey(node, now);
        self.note(now);
        news
    }

    /// Searches, at most once a second, for other topics that have the type of an input topic
    /// without a publisher.
    fn survey(&mut self, node: &r2r::Node, now: Instant) {
        let topics = std::iter::once(&mut self.targets).chain(self.gripper.as_mut());
        let mut missing: Vec<_> = topics.filter(|topic| topic.nodes.is_empty()).collect();
        if missing.is_empty() || self.next_survey.is_some_and(|next| now < next) {
            return;
        }
        self.next_survey = Some(now + SURVEY_PERIOD);
        // r2r panics if a topic name is not UTF-8. Any program on the network can publish on such a
        // topic.
        let graph =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| node.get_topic_names_and_types()));
        let Ok(Ok(graph)) = graph else { return };
        for topic in &mut missing {
            let has_type = |types: &Vec<String>| types.contains(&topic.message_type);
            let others = graph.iter().filter(|(name, types)| **name != topic.name && has_type(types));
            let mut others: Vec<_> = others.map(|(name, _)| name).take(MOST_ASKED).collect();
            others.sort_unstable();
            others.retain(|name| self.names.has_other_publisher(node, name, &topic.message_type));
            topic.elsewhere = match others.as_slice() {
                [] => String::new(),
                some => {
                    let named: Vec<_> =
                        some.iter().take(MOST_NAMED).map(|name| sanitize_short(name)).collect();
                    let more = if some.len() > MOST_NAMED { " and others" } else { "" };
                    let verb = if some.len() > 1 { "have" } else { "has" };
                    format!("; {}{more} {verb} {}", named.join(", "), topic.message_type)
                }
            };
        }
    }

    /// Updates and logs the notes on why no message arrives.
    fn note(&mut self, now: Instant) {
        let notes = InputNotes {
            targets: self.targets.absence(),
            quiet: self.targets.quiet(),
            gripper: self.gripper.as_ref().map(Topic::absence).unwrap_or_default(),
        };
        // Discovery takes some time. Before it is complete, the graph shows no publisher.
        let found = |topic: &Topic| !topic.mistyped.is_empty() && !topic.is_unknown;
        let settled = now.saturating_duration_since(self.started) >= START;
        if (settled || found(&self.targets)) && notes.targets != self.logged {
            self.logged.clone_from(&notes.targets);
            if !notes.targets.is_empty() {
                tracing::warn!("no target can arrive: {}", notes.targets);
            }
        }
        if self.gripper.as_ref().is_some_and(found) && notes.gripper != self.notes.gripper {
            tracing::warn!("no gripper message can arrive: {}", notes.gripper);
        }
        if notes != self.notes {
            (self.notes, self.has_news) = (notes, true);
        }
    }

    /// Returns whether the gripper's topic has exactly one publisher of the expected type now.
    pub fn gripper_is_alone(&self, node: &r2r::Node) -> bool {
        let publishers = self.gripper.as_ref().and_then(|gripper| gripper.publishers(node));
        publishers
            .is_some_and(|publishers| publishers.iter().filter(|publisher| publisher.has_type).count() == 1)
    }

    fn warn_of_duplicate_nodes(&mut self, node: &r2r::Node) {
        let publishers = node.get_publishers_info_by_topic(&self.status, false).unwrap_or_default();
        let own = publishers.iter().filter(|publisher| {
            publisher.node_name == self.names.node && publisher.node_namespace == self.names.namespace
        });
        let duplicate_nodes = own.count() > 1;
        if duplicate_nodes && !self.duplicate_nodes {
            tracing::warn!(
                "another node has the same name, so both have the same topics, services and parameters; start one \
                 of them with -r __node:=… or -r __ns:=/…"
            );
        }
        self.duplicate_nodes = duplicate_nodes;
    }
}

/// The changes of a topic that a graph poll has found.
#[derive(Default)]
struct Changes {
    /// The new value of [`Topic::multiple`], if it has changed.
    multiple: Option<Option<Arc<str>>>,
    /// Whether a publisher has left.
    left: bool,
    /// Whether there is a publisher, and there was no publisher before.
    found: bool,
    /// Whether there is no publisher.
    absent: bool,
}

impl Topic {
    /// Reads the publishers from the graph. Returns the changes since the last poll.
    fn poll(&mut self, node: &r2r::Node) -> Changes {
        let Some(publishers) = self.publishers(node) else { return Changes::default() };
        let (expected, others): (Vec<_>, Vec<_>) =
            publishers.into_iter().partition(|publisher| publisher.has_type);
        let mut mistyped: Vec<_> = others
            .iter()
            .map(|publisher| format!("{} from {}", publisher.message_type, publisher.node))
            .collect();
        self.is_unknown = others.iter().any(|publisher| publisher.node.ends_with(UNKNOWN));
        mistyped.sort_unstable();
        self.mistyped = mistyped.join(", ");
        let (ids, mut nodes): (Vec<_>, Vec<_>) =
            expected.into_iter().map(|publisher| (publisher.id, publisher.node)).unzip();
        let left = self.ids.iter().any(|id| !ids.contains(id));
        let absent = ids.is_empty();
        let found = self.ids.is_empty() && !absent;
        self.ids = ids;
        nodes.sort_unstable();
        let words = || format!("{} publishers on {}: {}", nodes.len(), self.name, nodes.join(", "));
        let multiple = (nodes.len() > 1).then(|| words().into());
        self.nodes.clone_from(&nodes);
        if multiple == self.multiple {
            return Changes { multiple: None, left, found, absent };
        }
        self.multiple = multiple;
        if let Some(words) = &self.multiple {
            tracing::warn!("{words}; motion is held while more than one of them sends");
        }
        Changes { multiple: Some(self.multiple.clone()), left, found, absent }
    }

    /// Returns why no message can arrive, as text. The text is empty if a node publishes the
    /// expected type.
    fn absence(&self) -> String {
        let Self { name, message_type, parameter, mistyped, elsewhere, nodes, .. } = self;
        match (nodes.is_empty(), mistyped.is_empty()) {
            (false, _) => String::new(),
            (true, false) => {
                format!("{name} has {mistyped}; this bridge expects {message_type} ({parameter})")
            }
            (true, true) => format!("no node publishes on {name}{elsewhere}"),
        }
    }

    /// Returns the nodes that could send but have not sent yet, as text. The text is empty if no
    /// node publishes the expected type.
    fn quiet(&self) -> String {
        let verb = if self.nodes.len() == 1 { "publishes" } else { "publish" };
        let sent = if self.nodes.len() == 1 { "has" } else { "have" };
        match self.nodes.as_slice() {
            [] => String::new(),
            nodes => format!("{} {verb} on {}, and {sent} sent nothing yet", nodes.join(", "), self.name),
        }
    }

    /// Returns the publishers of the topic, or `None` if the query of the graph fails.
    fn publishers(&self, node: &r2r::Node) -> Option<Vec<Publisher>> {
        let publishers = node.get_publishers_info_by_topic(&self.name, false).inspect_err(
            |error| tracing::debug!(%error, topic = self.name, "cannot read the publishers from the graph"),
        );
        let publishers = publishers.ok()?.into_iter().map(|publisher| {
            let namespace = publisher.node_namespace.trim_end_matches('/');
            Publisher {
                id: publisher.endpoint_gid.to_vec(),
                node: sanitize_short(&format!("{namespace}/{}", publisher.node_name)),
                has_type: publisher.topic_type == self.message_type,
                message_type: sanitize_short(&publisher.topic_type),
            }
        });
        Some(publishers.collect())
    }
}

/// A publisher on a topic, from the graph. The texts are sanitized.
struct Publisher {
    /// The identity in the middleware.
    id: Vec<u8>,
    /// The full name of its node.
    node: String,
    message_type: String,
    /// Whether this is the type that the bridge subscribes to.
    has_type: bool,
}

impl NodeNames {
    /// Returns whether another node publishes messages of this type on a topic.
    fn has_other_publisher(&self, node: &r2r::Node, topic: &str, message_type: &str) -> bool {
        let publishers = node.get_publishers_info_by_topic(topic, false).unwrap_or_default();
        publishers.iter().any(|publisher| {
            let own = publisher.node_name == self.node && publisher.node_namespace == self.namespace;
            !own && publisher.topic_type == message_type
        })
    }
}

/// The period of graph polls. A second publisher may remain undetected for this time.
const PERIOD: Duration = Duration::from_millis(250);
/// The period of graph polls during [`START`]. It is shorter, because the first motion waits for
/// the gripper's publisher, if there is one.
const PERIOD_AT_START: Duration = Duration::from_millis(50);
const START: Duration = Duration::from_secs(5);
/// The name that the graph gives to a node that it does not know yet.
const UNKNOWN: &str = "_NODE_NAME_UNKNOWN_";
/// The shortest time between two searches for other topics.
const SURVEY_PERIOD: Duration = Duration::from_secs(1);
/// The maximum number of other topics whose publishers are read (`MOST_ASKED`), and of topics that
/// a note names (`MOST_NAMED`).
const MOST_ASKED: usize = 20;
const MOST_NAMED: usize = 3;
