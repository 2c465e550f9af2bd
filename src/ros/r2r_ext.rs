//! What works around r2r 0.9.7, in one place. What r2r keeps to itself of rcl is in the crate `rcl_ext`.
//!
//! | here | what r2r does | what upstream would have to change |
//! |---|---|---|
//! | [`create_context`] | `Context::create` panics if rcl refuses to start | return `Err` |
//! | [`Inbox`] | a subscription is a stream for an executor, whose waking costs more than a small message | `take()` on a subscription, after `spin_once` |
//! | [`IdleReturns`] | `spin_once` hides a wait that fails: it returns at once, again and again | return `Result` |
//! | [`Inbox`], one of each for a look | who published a message, and when a request was sent, is thrown away: `rcl_ext` notes it of what the thread took last | see `rcl_ext` |
//! | [`NodeNames`] | a subscription does not know the name that remapping gave it | `Node::resolve_topic_name` |
//! | [`Inbox::answer`] | its own parameter services `expect` that every reply arrives; the error says nothing of the cause | log the error, and go on |

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
/// rcl's text, which is the message of r2r's panic. A panic of another thread in this moment is not printed.
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

/// A stream of what `spin_once` has taken, polled right after it on the same thread.
pub struct Inbox<T> {
    stream: Box<dyn Stream<Item = T> + Unpin + Send>,
    news: Arc<News>,
    waker: Waker,
}

impl<T> Inbox<T> {
    /// Makes an inbox of what r2r returns for a subscription or a service.
    pub fn new(stream: impl Stream<Item = T> + Unpin + Send + 'static) -> Self {
        // The first poll registers the waker with the stream.
        let news = Arc::new(News(AtomicBool::new(true)));
        Self { stream: Box::new(stream), waker: Waker::from(Arc::clone(&news)), news }
    }

    /// Takes the next message, if there is one.
    pub fn take(&mut self) -> Option<T> {
        // Most of a node's inboxes are empty nearly always, and polling an empty stream costs far more than this flag.
        if !self.news.0.load(Ordering::Acquire) {
            return None;
        }
        self.news.0.store(false, Ordering::Relaxed);
        match self.stream.poll_next_unpin(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(item) => {
                // There may be more, and the stream wakes only after it was found empty.
                self.news.0.store(true, Ordering::Release);
                item
            }
            Poll::Pending => None,
        }
    }
}

impl<S: r2r::WrappedServiceTypeSupport + 'static> Inbox<ServiceRequest<S>> {
    /// Answers all requests of a service. Returns whether there was one. A reply that does not arrive is only warned of,
    /// because the bridge has done what the client asked for.
    pub fn answer(&mut self, mut answer: impl FnMut(&S::Request) -> S::Response) -> bool {
        let mut asked = false;
        while let Some(request) = self.take() {
            asked = true;
            let response = answer(&request.message);
            if let Err(error) = request.respond(response) {
                tracing::warn!(
                    "nobody took the answer of a service ({error}): its client is gone, or has to call again, since ROS had \
                     not found it in full"
                );
            }
        }
        asked
    }
}

/// Whether a message may have come since the stream was found empty.
struct News(AtomicBool);

impl Wake for News {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Counts how often the node has returned at once and with nothing. Another return lowers the count by 100 instead of
/// resetting it, because a loop that no longer waits still sees a message or a signal now and then.
#[derive(Debug, Default)]
pub struct IdleReturns(u32);

impl IdleReturns {
    /// Counts a return. Returns whether there have been too many idle ones.
    pub fn note(&mut self, idle: bool) -> bool {
        self.0 = if idle { self.0 + 1 } else { self.0.saturating_sub(MADE_UP_FOR) };
        self.0 >= MAX_IDLE_RETURNS
    }
}

const MAX_IDLE_RETURNS: u32 = 10_000;
const MADE_UP_FOR: u32 = 100;

/// The topics of the input, and the parameter that can name another source.
const INPUT: [(&str, &str); 2] = [("target_pose", "input.topic"), ("gripper", "input.gripper")];

/// The names of topics as rcl resolves them for a node, because the graph is asked by full names.
#[derive(Debug)]
pub struct NodeNames {
    /// The node's own name.
    pub node: String,
    /// The node's namespace.
    pub namespace: String,
    /// The remap rules that are for this node, in their order.
    pub rules: Vec<RemapRule>,
}

/// A remap rule.
#[derive(Debug)]
pub struct RemapRule {
    /// The full name that it renames.
    pub from: String,
    /// The new name, as it is written.
    pub to: String,
}

impl NodeNames {
    /// Reads the remap rules that the arguments have for a node.
    ///
    /// # Errors
    /// What rcl says.
    pub fn of(node: &r2r::Node, arguments: &Arguments) -> r2r::Result<Self> {
        Ok(Self::new(node.name()?, node.namespace()?, arguments))
    }

    fn new(node: String, namespace: String, arguments: &Arguments) -> Self {
        let mut names = Self { node, namespace, rules: Vec::new() };
        let rules = arguments.ros_values(&["-r", "--remap"]).filter_map(|rule| names.rule(rule));
        names.rules = rules.collect();
        names
    }

    /// Reads a rule, if it is for every node or for this one.
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

    /// Warns of rules that rename a topic of the input which this node does not have, because `input.*` says otherwise.
    /// `targets` and `gripper` are the topics that it has, by the names that it subscribes with.
    pub fn warn_of_idle_rules(&self, targets: &str, gripper: Option<&str>) {
        let used: Vec<_> = gripper.into_iter().chain([targets]).map(|topic| self.expand(topic)).collect();
        for rule in self.rules.iter().filter(|rule| !used.contains(&rule.from)) {
            let is_input = |(topic, _): &&(&str, &str)| rule.from == self.expand(topic);
            if let Some((topic, parameter)) = INPUT.iter().find(is_input) {
                tracing::warn!(
                    "the remapping of '{topic}' to '{}' has no effect, because {parameter} says that the input comes elsewhere: \
                     '{targets}'",
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

    /// Returns the full name of a topic. As in rcl, the first rule that matches wins.
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

    /// The queue that r2r hands out. It wakes the reader that has found it empty.
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
    fn an_inbox_has_what_came_before_the_first_look_and_after_the_last() {
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
    fn a_loop_that_no_longer_waits_is_found_despite_messages() {
        let mut returns = IdleReturns::default();
        assert!((1..20_000).any(|number| returns.note(number % 800 != 0)));
    }

    #[test]
    fn returns_for_nothing_among_messages_are_forgotten() {
        let mut returns = IdleReturns::default();
        assert!(!(1..1_000_000).any(|number| returns.note(number % 50 != 0)));
    }

    fn resolved(topic: &str, line: &str) -> String {
        let arguments = Arguments::new(line.split(' ').map(Into::into)).unwrap();
        NodeNames::new("left_arm".into(), "/lab".into(), &arguments).resolve(topic)
    }

    #[test]
    fn names_are_expanded_as_ros_does() {
        assert_eq!(resolved("target_pose", "bridge"), "/lab/target_pose");
        assert_eq!(resolved("/target_pose", "bridge"), "/target_pose");
        assert_eq!(resolved("~/command", "bridge"), "/lab/left_arm/command");
        let root = NodeNames::new("n".into(), "/".into(), &Arguments::new(None).unwrap());
        assert_eq!(root.resolve("gripper"), "/gripper");
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
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
