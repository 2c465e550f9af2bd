//! Detects a second publisher on a topic of the input, a topic on which nothing can come, and a second node with the name of
//! this one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::r2r_ext::NodeNames;
use crate::app::InputNotes;
use crate::teleop::GraphNews;
use crate::text::sanitize_short;

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
    /// When to look again for other topics that have what is missed.
    next_survey: Option<Instant>,
    notes: InputNotes,
    /// Whether the notes have changed since they were taken.
    has_news: bool,
    /// What has been logged of targets.
    logged: String,
}

/// Who publishes on a topic.
struct Topic {
    name: String,
    /// The type of the messages that the bridge listens for, and the parameter that says so.
    message_type: String,
    parameter: &'static str,
    /// What is published on the topic that the bridge cannot hear, in words.
    mistyped: String,
    /// Whether the graph does not tell yet who publishes that.
    is_unknown: bool,
    /// Other topics that have this type, in words.
    elsewhere: String,
    /// The nodes that publish.
    nodes: Vec<String>,
    /// Who publishes, in words, if it is more than one.
    multiple: Option<Arc<str>>,
    /// The identities of its publishers.
    ids: Vec<Vec<u8>>,
}

impl PublisherMonitor {
    /// Watches the topic of targets, and the gripper's if there is one: by the names they are subscribed with, and the types
    /// of their messages.
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

    /// Returns the full name of the topic of targets.
    pub fn target_topic(&self) -> &str {
        &self.targets.name
    }

    /// Takes what is known of why nothing comes, if that has changed.
    pub fn take_notes(&mut self) -> Option<InputNotes> {
        std::mem::take(&mut self.has_news).then(|| self.notes.clone())
    }

    /// Looks at the graph now and then. Returns what has changed since the last look. If no node publishes on the gripper's topic,
    /// each look returns that.
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
            let changes = gripper.look(node);
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

    /// Looks, once a second, which other topics have what is missed.
    fn survey(&mut self, node: &r2r::Node, now: Instant) {
        let topics = std::iter::once(&mut self.targets).chain(self.gripper.as_mut());
        let mut missed: Vec<_> = topics.filter(|topic| topic.nodes.is_empty()).collect();
        if missed.is_empty() || self.next_survey.is_some_and(|next| now < next) {
            return;
        }
        self.next_survey = Some(now + SURVEY_PERIOD);
        // r2r panics at a name that is no UTF-8, which any program on the network can publish on.
        let graph =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| node.get_topic_names_and_types()));
        let Ok(Ok(graph)) = graph else { return };
        for topic in &mut missed {
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

    /// Puts into words why nothing comes.
    fn note(&mut self, now: Instant) {
        let notes = InputNotes {
            targets: self.targets.absence(),
            quiet: self.targets.quiet(),
            gripper: self.gripper.as_ref().map(Topic::absence).unwrap_or_default(),
        };
        // Discovery takes some time: before that nobody is there.
        let found = |topic: &Topic| !topic.mistyped.is_empty() && !topic.is_unknown;
        let settled = now.saturating_duration_since(self.started) >= START;
        if (settled || found(&self.targets)) && notes.targets != self.logged {
            self.logged.clone_from(&notes.targets);
            if !notes.targets.is_empty() {
                tracing::warn!("no target can come: {}", notes.targets);
            }
        }
        if self.gripper.as_ref().is_some_and(found) && notes.gripper != self.notes.gripper {
            tracing::warn!("no word for the gripper can come: {}", notes.gripper);
        }
        if notes != self.notes {
            (self.notes, self.has_news) = (notes, true);
        }
    }

    /// Whether the gripper's topic has one publisher at this moment.
    pub fn gripper_is_alone(&self, node: &r2r::Node) -> bool {
        let publishers = self.gripper.as_ref().and_then(|gripper| gripper.publishers(node));
        publishers
            .is_some_and(|publishers| publishers.iter().filter(|publisher| publisher.is_heard).count() == 1)
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
    /// There is a publisher, and there was none.
    found: bool,
    /// There is no publisher.
    absent: bool,
}

impl Topic {
    fn look(&mut self, node: &r2r::Node) -> Changes {
        let Some(publishers) = self.publishers(node) else { return Changes::default() };
        let (heard, others): (Vec<_>, Vec<_>) =
            publishers.into_iter().partition(|publisher| publisher.is_heard);
        let mut mistyped: Vec<_> = others
            .iter()
            .map(|publisher| format!("{} from {}", publisher.message_type, publisher.node))
            .collect();
        self.is_unknown = others.iter().any(|publisher| publisher.node.ends_with(UNKNOWN));
        mistyped.sort_unstable();
        self.mistyped = mistyped.join(", ");
        let (ids, mut nodes): (Vec<_>, Vec<_>) =
            heard.into_iter().map(|publisher| (publisher.id, publisher.node)).unzip();
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

    /// Returns why nothing can come, in words; empty if something can.
    fn absence(&self) -> String {
        let Self { name, message_type, parameter, mistyped, elsewhere, nodes, .. } = self;
        match (nodes.is_empty(), mistyped.is_empty()) {
            (false, _) => String::new(),
            (true, false) => {
                format!("{name} has {mistyped}; this bridge listens for {message_type} ({parameter})")
            }
            (true, true) => format!("nobody publishes on {name}{elsewhere}"),
        }
    }

    /// Returns who could send, in words; empty if nobody could.
    fn quiet(&self) -> String {
        let verb = if self.nodes.len() == 1 { "publishes" } else { "publish" };
        let sent = if self.nodes.len() == 1 { "has" } else { "have" };
        match self.nodes.as_slice() {
            [] => String::new(),
            nodes => format!("{} {verb} on {}, and {sent} sent nothing yet", nodes.join(", "), self.name),
        }
    }

    /// Returns who publishes; none if the graph does not tell.
    fn publishers(&self, node: &r2r::Node) -> Option<Vec<Publisher>> {
        let publishers = node.get_publishers_info_by_topic(&self.name, false).inspect_err(
            |error| tracing::debug!(%error, topic = self.name, "the graph does not tell who publishes"),
        );
        let publishers = publishers.ok()?.into_iter().map(|publisher| {
            let namespace = publisher.node_namespace.trim_end_matches('/');
            Publisher {
                id: publisher.endpoint_gid.to_vec(),
                node: sanitize_short(&format!("{namespace}/{}", publisher.node_name)),
                is_heard: publisher.topic_type == self.message_type,
                message_type: sanitize_short(&publisher.topic_type),
            }
        });
        Some(publishers.collect())
    }
}

/// A publisher on a topic, as the graph has it. Texts are fit to print.
struct Publisher {
    /// The identity in the middleware.
    id: Vec<u8>,
    /// The full name of its node.
    node: String,
    message_type: String,
    /// Whether its messages are of the type that the bridge listens for.
    is_heard: bool,
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

/// How long a second publisher may go unnoticed.
const PERIOD: Duration = Duration::from_millis(250);
/// The same at the start, for so long: the first motion waits for the gripper's publisher, if there is one.
const PERIOD_AT_START: Duration = Duration::from_millis(50);
const START: Duration = Duration::from_secs(5);
/// The name of a node that the graph does not know yet.
const UNKNOWN: &str = "_NODE_NAME_UNKNOWN_";
/// How often to look for other topics that have what is missed.
const SURVEY_PERIOD: Duration = Duration::from_secs(1);
/// How many other topics are asked for their publishers, and named.
const MOST_ASKED: usize = 20;
const MOST_NAMED: usize = 3;
