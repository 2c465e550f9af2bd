//! The publisher of a message and the send time of a request. rcl returns them, and r2r discards
//! them.
//!
//! r2r takes messages and requests with two C functions of rcl: `rcl_take` and `rcl_take_request`.
//! This module defines both names as jumps to functions of this module. The linker prefers the
//! definitions in the program to the definitions in a shared library. Therefore r2r calls the
//! functions of this module. They call rcl's functions and record the additional data. Each thread
//! has its own records, because one thread spins the node.
//!
//! The jumps are written in assembly. Functions with `no_mangle` would be linked into every program
//! that depends on this crate, and the programs of the simulator run without ROS.
//!
//! `spin_once` takes at most one message of each subscription and one request of each service. If
//! the caller handles all of them before the next `spin_once`, the records belong to the messages
//! and requests that it handles.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

use r2r_rcl::{
    RCL_RET_OK, RCL_RET_SUBSCRIPTION_TAKE_FAILED, rcl_ret_t, rcl_service_get_service_name, rcl_service_t,
    rcl_subscription_get_topic_name, rcl_subscription_t, rcl_take_request_with_info, rmw_message_info_t,
    rmw_request_id_t, rmw_service_info_t, rmw_subscription_allocation_t,
};

use crate::copy::text;

/// The identity of a publisher in the middleware: the first 16 bytes, which every version of ROS 2
/// has.
pub type PublisherGid = [u8; 16];

/// The records of one thread.
#[derive(Default)]
struct Notes {
    /// The watched topic, whose publishers are recorded.
    topic: Option<String>,
    /// The address of the subscription to this topic, or 0 before its first message.
    subscription: usize,
    /// The addresses of subscriptions to other topics.
    others: Vec<usize>,
    /// The publisher of the last message on the watched topic.
    publisher: Option<PublisherGid>,
    /// The services that have received requests, each with the send time of its last request.
    requests: Vec<(String, i64)>,
}

thread_local! {
    static NOTES: RefCell<Notes> = RefCell::default();
}

/// Records from now on the publishers of the messages that this thread takes from a topic. `topic`
/// is the full name. Returns whether r2r calls the functions of this module. If it does not,
/// nothing is recorded.
pub fn watch_publishers(topic: &str) -> bool {
    NOTES.with_borrow_mut(|notes| {
        *notes = Notes {
            topic: Some(topic.to_owned()),
            requests: std::mem::take(&mut notes.requests),
            ..Notes::default()
        };
    });
    // r2r calls the function with this name.
    rcls_take().is_some_and(|take| !std::ptr::fn_addr_eq(take, r2r_rcl::rcl_take as Take))
}

/// Returns the publisher of the last message that this thread took from the watched topic. Returns
/// `None` if the middleware does not name the publisher.
pub fn last_publisher() -> Option<PublisherGid> {
    NOTES.with_borrow(|notes| notes.publisher)
}

/// Returns the send time of the last request that this thread took from a service. The time is in
/// nanoseconds of the system clock of the client. `service` is the full name. Returns `None` if
/// there was no request, or if the middleware does not have the send time.
pub fn last_request_sent(service: &str) -> Option<i64> {
    NOTES
        .with_borrow(|notes| notes.requests.iter().find(|(name, _)| name == service).map(|(_, sent)| *sent))
        .filter(|sent| *sent > 0)
}

impl Notes {
    /// Returns whether this is the subscription to the watched topic. `name` returns the topic of
    /// the subscription.
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

/// Defines a C function that jumps to a function of this module. On other processors r2r calls rcl
/// directly, and nothing is recorded.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! define {
    ($name:literal, $function:path) => {
        std::arch::global_asm!(
            concat!(".pushsection .text.", $name, ",\"ax\",%progbits"),
            concat!(".globl ", $name),
            // Hidden from shared libraries, so that the linker removes the function if nothing
            // calls it.
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

/// Returns rcl's own `rcl_take`. It comes after this program in the search order of the dynamic
/// linker.
fn rcls_take() -> Option<Take> {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    static TAKE: OnceLock<Option<Take>> = OnceLock::new();
    *TAKE.get_or_init(|| {
        // The value of `RTLD_NEXT` in the C libraries of Linux.
        let next = std::ptr::without_provenance_mut(usize::MAX);
        // SAFETY: the name ends with NUL.
        let found = unsafe { dlsym(next, c"rcl_take".as_ptr()) };
        // SAFETY: the symbol with this name is rcl's function, which has this signature in all
        // versions of ROS 2.
        (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, Take>(found) })
    })
}

/// Takes a message with rcl's function, and records its publisher.
///
/// # Safety
/// The requirements of rcl's function apply.
unsafe extern "C" fn take_and_note(
    subscription: *const rcl_subscription_t,
    message: *mut c_void,
    info: *mut rmw_message_info_t,
    allocation: *mut rmw_subscription_allocation_t,
) -> rcl_ret_t {
    let Some(take) = rcls_take() else { return RCL_RET_SUBSCRIPTION_TAKE_FAILED as rcl_ret_t };
    // SAFETY: by the contract of this function.
    let taken = unsafe { take(subscription, message, info, allocation) };
    // SAFETY: by the contract of rcl's function, the pointer is null or valid.
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

/// Returns the first 16 bytes of an identity. Returns `None` if they are all zero, because then the
/// middleware does not name the publisher.
fn gid(data: &[u8]) -> Option<PublisherGid> {
    let gid = *data.first_chunk()?;
    (gid != [0; 16]).then_some(gid)
}

/// Takes a request with rcl's function, and records its send time.
///
/// # Safety
/// The requirements of rcl's function apply.
unsafe extern "C" fn take_request_and_note(
    service: *const rcl_service_t,
    id: *mut rmw_request_id_t,
    request: *mut c_void,
) -> rcl_ret_t {
    // SAFETY: all zero is a valid value of this struct of numbers.
    let mut info: rmw_service_info_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is null or valid, because rcl's function with this name also reads and
    // writes the id.
    if let Some(id) = unsafe { id.as_ref() } {
        info.request_id = *id;
    }
    // SAFETY: by the contract of this function.
    let taken = unsafe { rcl_take_request_with_info(service, &raw mut info, request) };
    // SAFETY: by the contract of this function, the pointer is null or valid.
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
    fn subscription_is_recognised_by_its_topic() {
        let mut notes = Notes { topic: Some("/target_pose".into()), ..Notes::default() };
        assert!(!notes.is_watched(1, || "/clock".into()));
        assert!(notes.is_watched(2, || "/target_pose".into()));
        // Each name is read only once.
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
    fn rcls_own_take_differs_from_ours() {
        assert!(rcls_take().is_some() && watch_publishers("/target_pose"));
    }
}
