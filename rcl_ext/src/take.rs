//! What rcl tells of a message or of a request beside its content, and r2r throws away: who published it, and when it was sent.
//!
//! r2r takes from rcl by two functions of C, `rcl_take` and `rcl_take_request`. This module defines both, as jumps to functions
//! of its own. The linker prefers the definition of the program to that of a shared library, so r2r calls these. They hand on
//! to rcl's own, and note what rcl tells. The notes are those of the thread that takes, because one thread spins a node.
//!
//! The jumps are assembly, and not functions with `no_mangle`: those are linked into every program that has this crate among
//! its dependencies, and the simulator's programs run without ROS.
//!
//! `spin_once` takes at most one message of each subscription and one request of each service. So if everything that it has
//! taken is handled before the next call, the notes are those of what is being handled.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

use r2r_rcl::{
    RCL_RET_OK, RCL_RET_SUBSCRIPTION_TAKE_FAILED, rcl_ret_t, rcl_service_get_service_name, rcl_service_t,
    rcl_subscription_get_topic_name, rcl_subscription_t, rcl_take_request_with_info, rmw_message_info_t,
    rmw_request_id_t, rmw_service_info_t, rmw_subscription_allocation_t,
};

use crate::copy::text;

/// The identity of a publisher in the middleware, shortened to what every version of ROS 2 has.
pub type PublisherGid = [u8; 16];

/// What a thread notes of what it takes.
#[derive(Default)]
struct Notes {
    /// The topic whose publishers are noted.
    topic: Option<String>,
    /// The address of its subscription, once a message of it has been taken.
    subscription: usize,
    /// The addresses of subscriptions that are of other topics.
    others: Vec<usize>,
    /// Who published the last message on the topic.
    publisher: Option<PublisherGid>,
    /// The services that have been asked, each with when the last request was sent.
    requests: Vec<(String, i64)>,
}

thread_local! {
    static NOTES: RefCell<Notes> = RefCell::default();
}

/// Notes from now on who publishes what this thread takes from a topic, given by its full name. Returns whether r2r takes by
/// the functions of this module, without which nothing is noted.
pub fn watch_publishers(topic: &str) -> bool {
    NOTES.with_borrow_mut(|notes| {
        *notes = Notes {
            topic: Some(topic.to_owned()),
            requests: std::mem::take(&mut notes.requests),
            ..Notes::default()
        };
    });
    // The name is what r2r calls.
    rcls_take().is_some_and(|take| !std::ptr::fn_addr_eq(take, r2r_rcl::rcl_take as Take))
}

/// Returns who published the message that this thread took last from the watched topic; none if the middleware does not tell.
pub fn last_publisher() -> Option<PublisherGid> {
    NOTES.with_borrow(|notes| notes.publisher)
}

/// Returns when the request that this thread took last from a service, given by its full name, was sent: in nanoseconds of
/// the clock of the client's system. None if there was no request, or if the middleware does not tell.
pub fn last_request_sent(service: &str) -> Option<i64> {
    NOTES
        .with_borrow(|notes| notes.requests.iter().find(|(name, _)| name == service).map(|(_, sent)| *sent))
        .filter(|sent| *sent > 0)
}

impl Notes {
    /// Returns whether this is the subscription to the watched topic. `name` reads its topic.
    fn is_watched(&mut self, subscription: usize, name: impl FnOnce() -> String) -> bool {
        if subscription == self.subscription {
            return true;
        }
        let Some(topic) = &self.topic else { return false };
        if self.others.contains(&subscription) {
            return false;
        }
        let watched = name() == *topic;
        if watched {
            self.subscription = subscription;
        } else {
            self.others.push(subscription);
        }
        watched
    }

    fn note_request(&mut self, service: String, sent: i64) {
        match self.requests.iter_mut().find(|(name, _)| *name == service) {
            Some((_, last)) => *last = sent,
            None => self.requests.push((service, sent)),
        }
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    () => {
        "jmp {function}"
    };
}

#[cfg(target_arch = "aarch64")]
macro_rules! jump {
    () => {
        "b {function}"
    };
}

/// Defines a function of C that jumps to one of this module. Elsewhere r2r calls rcl itself, and nothing is noted.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! define {
    ($name:literal, $function:path) => {
        std::arch::global_asm!(
            concat!(".pushsection .text.", $name, ",\"ax\",%progbits"),
            concat!(".globl ", $name),
            // Not for shared libraries, so that it is dropped where nothing calls it.
            concat!(".hidden ", $name),
            concat!(".type ", $name, ", %function"),
            concat!($name, ":"),
            jump!(),
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            function = sym $function,
        );
    };
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
define!("rcl_take", take_and_note);
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
define!("rcl_take_request", take_request_and_note);

type Take = unsafe extern "C" fn(
    *const rcl_subscription_t,
    *mut c_void,
    *mut rmw_message_info_t,
    *mut rmw_subscription_allocation_t,
) -> rcl_ret_t;

/// Returns rcl's own function, which comes after this program in the order of the dynamic linker.
fn rcls_take() -> Option<Take> {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    static TAKE: OnceLock<Option<Take>> = OnceLock::new();
    *TAKE.get_or_init(|| {
        // What `RTLD_NEXT` is in the C libraries of Linux.
        let next = std::ptr::without_provenance_mut(usize::MAX);
        // SAFETY: the name ends with NUL.
        let found = unsafe { dlsym(next, c"rcl_take".as_ptr()) };
        // SAFETY: the symbol of this name is rcl's function, which has this signature in all versions of ROS 2.
        (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, Take>(found) })
    })
}

/// Takes a message as rcl does, and notes who published it.
///
/// # Safety
/// As for rcl's function.
unsafe extern "C" fn take_and_note(
    subscription: *const rcl_subscription_t,
    message: *mut c_void,
    info: *mut rmw_message_info_t,
    allocation: *mut rmw_subscription_allocation_t,
) -> rcl_ret_t {
    let Some(take) = rcls_take() else { return RCL_RET_SUBSCRIPTION_TAKE_FAILED as rcl_ret_t };
    // SAFETY: by the contract of this function.
    let taken = unsafe { take(subscription, message, info, allocation) };
    // SAFETY: rcl takes a pointer that is null or valid, and so does this.
    if let (true, Some(info)) = (taken == RCL_RET_OK as rcl_ret_t, unsafe { info.as_ref() }) {
        NOTES.with_borrow_mut(|notes| {
            // SAFETY: rcl has just taken from this subscription.
            if notes.is_watched(subscription.addr(), || unsafe {
                text(rcl_subscription_get_topic_name(subscription))
            }) {
                notes.publisher = gid(&info.publisher_gid.data);
            }
        });
    }
    taken
}

/// Shortens an identity, or returns none if it is all zero: the middleware does not tell.
fn gid(data: &[u8]) -> Option<PublisherGid> {
    let gid = *data.first_chunk()?;
    (gid != [0; 16]).then_some(gid)
}

/// Takes a request as rcl does, and notes when it was sent.
///
/// # Safety
/// As for rcl's function.
unsafe extern "C" fn take_request_and_note(
    service: *const rcl_service_t,
    id: *mut rmw_request_id_t,
    request: *mut c_void,
) -> rcl_ret_t {
    // SAFETY: all zero is a valid value of this struct of numbers.
    let mut info: rmw_service_info_t = unsafe { std::mem::zeroed() };
    // SAFETY: rcl's function of this name reads and writes the id so, too.
    if let Some(id) = unsafe { id.as_ref() } {
        info.request_id = *id;
    }
    // SAFETY: by the contract of this function.
    let taken = unsafe { rcl_take_request_with_info(service, &raw mut info, request) };
    // SAFETY: a pointer that is null or valid, by the contract of this function.
    if let Some(id) = unsafe { id.as_mut() } {
        *id = info.request_id;
    }
    if taken == RCL_RET_OK as rcl_ret_t {
        // SAFETY: rcl has just taken from this service.
        let name = unsafe { text(rcl_service_get_service_name(service)) };
        NOTES.with_borrow_mut(|notes| notes.note_request(name, info.source_timestamp));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_watched_topic_is_watched() {
        let mut notes = Notes { topic: Some("/target_pose".into()), ..Notes::default() };
        assert!(!notes.is_watched(1, || "/clock".into()));
        assert!(notes.is_watched(2, || "/target_pose".into()));
        // The names are not read again.
        assert!(!notes.is_watched(1, || unreachable!()) && notes.is_watched(2, || unreachable!()));
        assert!(!Notes::default().is_watched(1, || unreachable!()));
    }

    #[test]
    fn zero_identity_is_none() {
        assert_eq!(gid(&[0; 24]), None);
        assert_eq!(gid(&[7; 24]), Some([7; 16]));
        assert_eq!(gid(&[7; 8]), None);
    }

    #[test]
    fn last_request_of_each_service_counts() {
        let mut notes = Notes::default();
        notes.note_request("/a".into(), 1);
        notes.note_request("/b".into(), 2);
        notes.note_request("/a".into(), 3);
        assert_eq!(notes.requests, [("/a".into(), 3), ("/b".into(), 2)]);
    }

    #[test]
    fn rcls_own_take_is_another_one() {
        assert!(rcls_take().is_some() && watch_publishers("/target_pose"));
    }
}
