//! Who else is in the graph. Messages carry no sender, so that two nodes on one topic of the input would be one hand that
//! jumps; and two bridges of one name would tell and answer as one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::names;

/// Watches the graph for a second publisher on a topic of the input, and for another node of this name.
pub struct Senders {
    topics: Vec<String>,
    name: String,
    namespace: String,
    status: String,
    namesakes: bool,
    next: Option<Instant>,
    several: Option<Arc<str>>,
}

impl Senders {
    /// Watches `topics`, by the names they are subscribed with.
    ///
    /// # Errors
    /// What rcl says.
    pub fn create(node: &r2r::Node, topics: &[String]) -> r2r::Result<Self> {
        let (name, namespace) = (node.name()?, node.namespace()?);
        let full = |topic: &String| names::resolve(topic, &name, &namespace, std::env::args());
        let topics = topics.iter().map(full).collect();
        let status = full(&"~/link_status".to_owned());
        Ok(Self { topics, status, name, namespace, namesakes: false, next: None, several: None })
    }

    /// Looks at the graph now and then. Returns what there is to tell, if it has changed: who publishes on one topic,
    /// or that nobody shares one any more.
    pub fn check(&mut self, node: &r2r::Node, now: Instant) -> Option<Option<Arc<str>>> {
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        self.next = Some(now + PERIOD);
        self.warn_of_namesakes(node);
        let several = self.topics.iter().find_map(|topic| several(node, topic));
        if several.as_deref() == self.several.as_deref() {
            return None;
        }
        self.several = several.map(Into::into);
        if let Some(words) = &self.several {
            tracing::warn!("{words}");
        }
        Some(self.several.clone())
    }

    fn warn_of_namesakes(&mut self, node: &r2r::Node) {
        let publishers = node.get_publishers_info_by_topic(&self.status, false).unwrap_or_default();
        let own = publishers.iter().filter(|publisher| {
            publisher.node_name == self.name && publisher.node_namespace == self.namespace
        });
        let namesakes = own.count() > 1;
        if namesakes && !self.namesakes {
            tracing::warn!(
                "another node has this one's name: what one tells or is asked is taken for the other's; start one of them with \
                 -r __node:=… or -r __ns:=/…"
            );
        }
        self.namesakes = namesakes;
    }
}

/// Who publishes on a topic, in words, if several do.
fn several(node: &r2r::Node, topic: &str) -> Option<String> {
    let publishers = node
        .get_publishers_info_by_topic(topic, false)
        .inspect_err(|error| tracing::debug!(%error, topic, "the graph does not tell who publishes"))
        .ok()?;
    if publishers.len() < 2 {
        return None;
    }
    let mut names: Vec<String> = publishers
        .iter()
        .map(|publisher| {
            let namespace = publisher.node_namespace.trim_end_matches('/');
            crate::wire::printable(&format!("{namespace}/{}", publisher.node_name))
        })
        .collect();
    names.sort_unstable();
    Some(format!("{} publishers on {topic}: {}", names.len(), names.join(", ")))
}

/// How long a second publisher may go unnoticed.
const PERIOD: Duration = Duration::from_millis(250);
