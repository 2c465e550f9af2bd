//! The workarounds for r2r 0.9.7. The crate `rcl_ext` has the functions of rcl that r2r does not
//! export.
//!
//! Each workaround, its reason, and the change of r2r that would make it unnecessary:
//!
//! - [`create_context`]: `Context::create` panics if rcl does not start. Change: return `Err`.
//! - [`Inbox`]: a subscription is a stream for an executor. Waking the executor costs more time
//!   than reading a small message. Change: a method `take()` of the subscription, to call after
//!   `spin_once`.
//! - [`IdleReturns`]: if the wait in `spin_once` fails, `spin_once` hides the error and always
//!   returns immediately. Change: return `Result`.
//! - `rcl_ext::last_publisher` and `rcl_ext::last_request_sent`: r2r discards the publisher of a
//!   message and the send time of a request. Change: see `rcl_ext`.
//! - [`NodeNames`]: a subscription does not know its name after remapping. Change: a method
//!   `Node::resolve_topic_name`.
//! - [`Inbox::answer`]: r2r's own parameter services panic if a response is not delivered, and the
//!   error does not name the cause. Change: log the error and continue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::{Stream, StreamExt};
use r2r::ServiceRequest;

use super::arguments::Arguments;
use crate::text::{sanitize, sanitize_short};

/// Creates the context from the arguments of the process.
///
/// # Errors
/// rcl does not start. The error is rcl's text, from the message of r2r's panic. If another thread
/// panics during this call, its panic is not printed.
pub fn create_context() -> Result<r2r::Result<r2r::Context>, String> {
    let text = Arc::new(Mutex::new(String::from("rcl gives no reason")));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new({
        let text = Arc::clone(&text);
        move |panic| {
            if let Some(message) = panic.payload().downcast_ref::<String>() {
                text.lock().unwrap_or_else(PoisonError::into_inner).clone_from(message);
            }
        }
    }));
    let created = std::panic::catch_unwind(r2r::Context::create);
    std::panic::set_hook(hook);
    created.map_err(|_| sanitize(&text.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// The messages or requests that `spin_once` has taken. Poll it after `spin_once` on the same
/// thread.
pub struct Inbox<T> {
    stream: Box<dyn Stream<Item = T> + Unpin + Send>,
    news: Arc<News>,
    waker: Waker,
}

impl<T> Inbox<T> {
    /// Creates an inbox from the stream that r2r returns for a subscription or a service.
    pub fn new(stream: impl Stream<Item = T> + Unpin + Send + 'static) -> Self {
        // The first poll registers the waker with the stream.
        let news = Arc::new(News(AtomicBool::new(true)));
        Self { stream: Box::new(stream), waker: Waker::from(Arc::clone(&news)), news }
    }

    /// Takes the next message, if there is one.
    pub fn take(&mut self) -> Option<T> {
        // Most inboxes of a node are empty most of the time. Reading this flag costs much less than
        // polling an empty stream.
        if !self.news.0.load(Ordering::Acquire) {
            return None;
        }
        self.news.0.store(false, Ordering::Relaxed);
        match self.stream.poll_next_unpin(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(item) => {
                // There may be more messages, because the stream wakes only after a poll that found
                // it empty.
                self.news.0.store(true, Ordering::Release);
                item
            }
            Poll::Pending => None,
        }
    }
}

impl<S: r2r::WrappedServiceTypeSupport + 'static> Inbox<ServiceRequest<S>> {
    /// Responds to all requests of a service. Returns whether there was a request. If a response
    /// cannot be delivered, only logs a warning, because the bridge has already done what the
    /// client requested.
    pub fn answer(&mut self, mut answer: impl FnMut(&S::Request) -> S::Response) -> bool {
        let mut requested = false;
        while let Some(request) = self.take() {
            requested = true;
            let response = answer(&request.message);
            if let Err(error) = request.respond(response) {
                tracing::warn!(
                    "the response of a service was not delivered ({error}): the client has left, or ROS had not \
                     discovered it completely; if it still runs, call the service again"
                );
            }
        }
        requested
    }
}

/// Whether a message may have arrived since the last poll that found the stream empty.
struct News(AtomicBool);

impl Wake for News {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Counts how often the node has returned immediately and without a message. Any other return
/// lowers the count by 100. It does not reset the count, because a loop that no longer waits still
/// gets a message or a signal from time to time.
#[derive(Debug, Default)]
pub struct IdleReturns(u32);

impl IdleReturns {
    /// Counts a return. Returns whether there were too many idle returns.
    pub fn note(&mut self, idle: bool) -> bool {
        self.0 = if idle { self.0 + 1 } else { self.0.saturating_sub(OFFSET_BY_ACTIVITY) };
        self.0 >= MAX_IDLE_RETURNS
    }
}

const MAX_IDLE_RETURNS: u32 = 10_000;
const OFFSET_BY_ACTIVITY: u32 = 100;

/// The default topics of the input, each with the parameter that can select another source.
const INPUT: [(&str, &str); 2] = [("target_pose", "input.topic"), ("gripper", "input.gripper")];

/// Resolves the names of topics like rcl, because queries of the graph need full names.
#[derive(Debug)]
pub struct NodeNames {
    /// The node's own name.
    pub node: String,
    /// The node's namespace.
    pub namespace: String,
    /// The remap rules for this node, in the order of the command line.
    pub rules: Vec<RemapRule>,
}

/// A remap rule.
#[derive(Debug)]
pub struct RemapRule {
    /// The full name before remapping.
    pub from: String,
    /// The new name, as written in the rule.
    pub to: String,
}

impl NodeNames {
    /// Reads the remap rules for a node from the arguments.
    ///
    /// # Errors
    /// rcl fails.
    pub fn of(node: &r2r::Node, arguments: &Arguments) -> r2r::Result<Self> {
        Ok(Self::new(node.name()?, node.namespace()?, arguments))
    }

    fn new(node: String, namespace: String, arguments: &Arguments) -> Self {
        let mut names = Self { node, namespace, rules: Vec::new() };
        let rules = arguments.ros_values(&["-r", "--remap"]).filter_map(|rule| names.rule(rule));
        names.rules = rules.collect();
        names
    }

    /// Parses a rule. Returns `None` if the rule is for another node.
    fn rule(&self, rule: &str) -> Option<RemapRule> {
        let plain = |name| str::strip_prefix(name, "rostopic://").unwrap_or(name);
        let (from, to) = rule.split_once(":=")?;
        let from = match from.split_once(':').filter(|(scheme, _)| *scheme != "rostopic") {
            Some((node, _)) if node != self.node => return None,
            Some((_, from)) => from,
            None => from,
        };
        Some(RemapRule { from: self.expand(plain(from)), to: plain(to).to_owned() })
    }

    /// Warns about remap rules for a default input topic that this node does not subscribe to,
    /// because `input.*` selects another source. `targets` and `gripper` are the subscribed topics
    /// before remapping.
    pub fn warn_of_idle_rules(&self, targets: &str, gripper: Option<&str>) {
        let used: Vec<_> = gripper.into_iter().chain([targets]).map(|topic| self.expand(topic)).collect();
        for rule in self.rules.iter().filter(|rule| !used.contains(&rule.from)) {
            let is_input = |(topic, _): &&(&str, &str)| rule.from == self.expand(topic);
            if let Some((topic, parameter)) = INPUT.iter().find(is_input) {
                tracing::warn!(
                    "the remapping of '{topic}' to '{}' has no effect, because {parameter} selects another source; the \
                     topic of the targets is '{targets}'",
                    sanitize_short(&rule.to),
                );
            }
        }
    }

    /// Returns the full name of a topic before remapping.
    pub fn expand(&self, topic: &str) -> String {
        let namespace = self.namespace.trim_end_matches('/');
        if topic.starts_with('/') {
            topic.to_owned()
        } else if let Some(private) = topic.strip_prefix('~') {
            format!("{namespace}/{}{private}", self.node)
        } else {
            format!("{namespace}/{topic}")
        }
    }

    /// Returns the full name of a topic after remapping. The first rule that matches counts, as in
    /// rcl.
    pub fn resolve(&self, topic: &str) -> String {
        let full = self.expand(topic);
        match self.rules.iter().find(|rule| rule.from == full) {
            Some(rule) => self.expand(&rule.to),
            None => full,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::sync::Mutex;

    use super::*;

    /// A queue like r2r's stream. It wakes the reader whose last poll found it empty.
    #[derive(Clone, Default)]
    struct Queue(Arc<Mutex<(VecDeque<u32>, Option<Waker>)>>);

    impl Queue {
        fn send(&self, item: u32) {
            let (items, waker) = &mut *self.0.lock().unwrap();
            items.push_back(item);
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }

    impl Stream for Queue {
        type Item = u32;

        fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<u32>> {
            let (items, waker) = &mut *self.0.lock().unwrap();
            match items.pop_front() {
                Some(item) => Poll::Ready(Some(item)),
                None => {
                    *waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        }
    }

    #[test]
    fn inbox_returns_all_messages_of_the_queue() {
        let queue = Queue::default();
        queue.send(1);
        queue.send(2);
        let mut inbox = Inbox::new(queue.clone());
        let mut rest = || std::iter::from_fn(|| inbox.take()).collect::<Vec<_>>();
        assert_eq!(rest(), [1, 2]);
        assert!(rest().is_empty());
        queue.send(3);
        assert_eq!(rest(), [3]);
        queue.send(4);
        queue.send(5);
        assert_eq!(rest(), [4, 5]);
    }

    #[test]
    fn loop_without_waiting_is_detected_despite_messages() {
        let mut returns = IdleReturns::default();
        assert!((1..20_000).any(|number| returns.note(number % 800 != 0)));
    }

    #[test]
    fn idle_returns_between_messages_are_forgotten() {
        let mut returns = IdleReturns::default();
        assert!(!(1..1_000_000).any(|number| returns.note(number % 50 != 0)));
    }

    fn resolved(topic: &str, line: &str) -> String {
        let arguments = Arguments::new(line.split(' ').map(Into::into)).unwrap();
        NodeNames::new("left_arm".into(), "/lab".into(), &arguments).resolve(topic)
    }

    #[test]
    fn names_are_expanded_like_in_ros() {
        assert_eq!(resolved("target_pose", "bridge"), "/lab/target_pose");
        assert_eq!(resolved("/target_pose", "bridge"), "/target_pose");
        assert_eq!(resolved("~/command", "bridge"), "/lab/left_arm/command");
        let root = NodeNames::new("n".into(), "/".into(), &Arguments::new(None).unwrap());
        assert_eq!(root.resolve("gripper"), "/gripper");
    }

    #[test]
    fn first_matching_rule_counts() {
        let rules = "bridge --ros-args -r gripper:=/pinch -r target_pose:=ik/pose --remap target_pose:=/late";
        assert_eq!(resolved("target_pose", rules), "/lab/ik/pose");
        assert_eq!(resolved("gripper", rules), "/pinch");
        assert_eq!(
            resolved("target_pose", "bridge --ros-args -r /lab/target_pose:=~/pose"),
            "/lab/left_arm/pose"
        );
        assert_eq!(
            resolved("target_pose", "bridge --ros-args -r rostopic://target_pose:=rostopic:///x"),
            "/x"
        );
    }

    #[test]
    fn rules_for_other_nodes_have_no_effect() {
        assert_eq!(resolved("gripper", "bridge --ros-args -r left_arm:gripper:=/a"), "/a");
        assert_eq!(resolved("gripper", "bridge --ros-args -r right_arm:gripper:=/a"), "/lab/gripper");
        assert_eq!(resolved("gripper", "bridge -r gripper:=/a"), "/lab/gripper");
        assert_eq!(resolved("gripper", "bridge --ros-args -- -r gripper:=/a"), "/lab/gripper");
        assert_eq!(resolved("gripper", "bridge --ros-args -r __ns:=/lab -p a:=gripper"), "/lab/gripper");
    }
}
