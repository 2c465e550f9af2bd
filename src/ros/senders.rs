//! Who else is in the graph. Messages carry no sender, so the bridge has to know whether several nodes publish on a topic of
//! its input; and two bridges of one name would tell and answer as one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::names;
use crate::teleop::GraphNews;

/// Watches the graph for publishers on the topics of the input, and for another node of this name.
pub struct Senders {
    targets: Topic,
    /// None where the messages with targets say what the gripper is to do.
    gripper: Option<Topic>,
    name: String,
    namespace: String,
    status: String,
    namesakes: bool,
    started: Instant,
    next: Option<Instant>,
}

/// Who publishes on a topic.
struct Topic {
    name: String,
    several: Option<Arc<str>>,
    /// The identities of its publishers.
    ids: Vec<Vec<u8>>,
}

impl Senders {
    /// Watches the topic of targets, and the gripper's if it is there, by the names they are subscribed with.
    ///
    /// # Errors
    /// What rcl says.
    pub fn create(node: &r2r::Node, topics: &[String], now: Instant) -> r2r::Result<Self> {
        let (name, namespace) = (node.name()?, node.namespace()?);
        let full = |topic: &str| names::resolve(topic, &name, &namespace, std::env::args());
        let mut topics =
            topics.iter().map(|topic| Topic { name: full(topic), several: None, ids: Vec::new() });
        let targets = topics.next().expect("targets have a topic");
        let gripper = topics.next();
        let status = full("~/link_status");
        Ok(Self { targets, gripper, status, name, namespace, namesakes: false, started: now, next: None })
    }

    /// Looks at the graph now and then. Returns what has changed since the last look.
    pub fn check(&mut self, node: &r2r::Node, now: Instant) -> Vec<GraphNews> {
        let mut news = Vec::new();
        if self.next.is_some_and(|next| now < next) {
            return news;
        }
        let starting = now.saturating_duration_since(self.started) < START;
        self.next = Some(now + if starting { PERIOD_AT_START } else { PERIOD });
        self.warn_of_namesakes(node);
        if let Some(several) = self.targets.look(node).several {
            news.push(GraphNews::TargetPublishers(several));
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
            if let Some(several) = changes.several {
                news.push(GraphNews::GripperPublishers(several));
            }
        }
        news
    }

    /// Whether the gripper's topic has one publisher at this moment.
    pub fn gripper_is_alone(&self, node: &r2r::Node) -> bool {
        self.gripper
            .as_ref()
            .is_some_and(|gripper| gripper.publishers(node).is_some_and(|publishers| publishers.len() == 1))
    }

    fn warn_of_namesakes(&mut self, node: &r2r::Node) {
        let publishers = node.get_publishers_info_by_topic(&self.status, false).unwrap_or_default();
        let own = publishers.iter().filter(|publisher| {
            publisher.node_name == self.name && publisher.node_namespace == self.namespace
        });
        let namesakes = own.count() > 1;
        if namesakes && !self.namesakes {
            tracing::warn!(
                "another node has the same name, so their topics, services and parameters cannot be told apart; start one of them \
                 with -r __node:=… or -r __ns:=/…"
            );
        }
        self.namesakes = namesakes;
    }
}

struct Publisher {
    /// Its identity in the middleware.
    id: Vec<u8>,
    /// The full name of its node, fit to print.
    node: String,
}

/// What a look at the graph has brought.
struct Changes {
    /// Who publishes, in words, if it is more than one and that has changed; that it is at most one, if that has.
    several: Option<Option<Arc<str>>>,
    /// A publisher has gone.
    left: bool,
}

impl Topic {
    fn look(&mut self, node: &r2r::Node) -> Changes {
        let Some(publishers) = self.publishers(node) else { return Changes { several: None, left: false } };
        let ids: Vec<_> = publishers.iter().map(|publisher| publisher.id.clone()).collect();
        let left = self.ids.iter().any(|id| !ids.contains(id));
        self.ids = ids;
        let several = self.in_words(&publishers);
        if several.as_deref() == self.several.as_deref() {
            return Changes { several: None, left };
        }
        self.several = several.map(Into::into);
        if let Some(words) = &self.several {
            tracing::warn!("{words}; motion is held while more than one of them sends");
        }
        Changes { several: Some(self.several.clone()), left }
    }

    /// None where the graph does not tell.
    fn publishers(&self, node: &r2r::Node) -> Option<Vec<Publisher>> {
        let publishers = node.get_publishers_info_by_topic(&self.name, false).inspect_err(
            |error| tracing::debug!(%error, topic = self.name, "the graph does not tell who publishes"),
        );
        let publishers = publishers.ok()?.into_iter().map(|publisher| {
            let namespace = publisher.node_namespace.trim_end_matches('/');
            let node = crate::text::sanitize_short(&format!("{namespace}/{}", publisher.node_name));
            Publisher { id: publisher.endpoint_gid.to_vec(), node }
        });
        Some(publishers.collect())
    }

    /// Who publishes, in words, if several do.
    fn in_words(&self, publishers: &[Publisher]) -> Option<String> {
        if publishers.len() < 2 {
            return None;
        }
        let mut names: Vec<_> = publishers.iter().map(|publisher| publisher.node.as_str()).collect();
        names.sort_unstable();
        Some(format!("{} publishers on {}: {}", names.len(), self.name, names.join(", ")))
    }
}

/// How long a second publisher may go unnoticed.
const PERIOD: Duration = Duration::from_millis(250);
/// The same at the start, for so long: the first motion waits for the gripper's publisher, if there is one.
const PERIOD_AT_START: Duration = Duration::from_millis(50);
const START: Duration = Duration::from_secs(5);
