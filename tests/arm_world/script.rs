//! The events in a world, step by step.

use aether_bridge::arm::Gripper;
use fastrand::Rng;

/// An event. Its meaning does not depend on the steps before it. So a script without one of its
/// steps is still a script.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Time passes.
    Pass {
        ms: u32,
    },
    /// The hand moves to this point (metres) at this speed (m/s).
    HandGoes {
        to: [f64; 3],
        speed: f64,
    },
    /// The hand jumps to this point (metres) from one frame to the next.
    HandJumps {
        to: [f64; 3],
    },
    /// The hand is lost for this time.
    HandLost {
        how: Loss,
        ms: u32,
    },
    /// The hand's fingers have this opening.
    Fingers {
        opening: f64,
    },
    /// A message on the gripper topic.
    GripperMessage {
        gripper: Gripper,
    },
    /// The operator arms or disarms the bridge.
    SetArmed {
        armed: bool,
        twice: bool,
    },
    Stop,
    Reset,
    GoHome,
    Reconnect,
    /// The bridge's process ends immediately, and another one starts after a while. If the whole
    /// machine dies, the controller does not notice it for some seconds.
    BridgeDies {
        ms: u32,
        machine: bool,
    },
    /// The bridge's process does not run for this time.
    BridgeStalls {
        ms: u32,
    },
    /// A problem that begins now and ends by itself.
    Trouble {
        what: Trouble,
        ms: u32,
    },
    /// The connection is reset.
    Break,
    /// A bystander, or another program, moves the arm by this vector (metres) at this speed (m/s).
    Push {
        by: [f64; 3],
        speed: f64,
    },
    /// A bystander closes or opens the gripper by hand.
    SetGripper {
        gripper: Gripper,
    },
    /// The controller homes the arm.
    Home,
    /// The controller's process dies and restarts.
    ControllerDies {
        ms: u32,
        power: bool,
    },
}

/// What a tracker publishes while it sees no hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    Silence,
    Zeros,
    /// A message that the bridge rejects.
    Invalid,
    /// The last sample again and again.
    Frozen,
}

/// A temporary problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The network delivers nothing now. The packets arrive later.
    Cut,
    /// Replies take longer.
    Slow,
    /// The controller sends no replies.
    Mute,
    /// The controller sends each reply twice.
    Twice,
    /// The controller serves another client.
    Busy,
    /// A fault, or an emergency stop.
    Fault,
    /// An obstacle blocks the arm.
    Stall,
}

pub const STEPS: usize = 100;

pub fn random(seed: u64) -> Vec<Step> {
    let rng = &mut Rng::with_seed(seed ^ 0x5eed);
    // With this start, the arm moves in most worlds.
    let mut script =
        vec![Step::Pass { ms: 1500 }, Step::SetArmed { armed: true, twice: true }, Step::Pass { ms: 1500 }];
    script.extend((0..STEPS).map(|_| step(rng)));
    script
}

fn step(rng: &mut Rng) -> Step {
    let ms = duration(rng);
    match rng.u32(..1000) {
        0..350 => Step::Pass { ms },
        350..550 => Step::HandGoes { to: position(rng), speed: [0.05, 0.2, 0.2, 0.8][rng.usize(..4)] },
        550..570 => Step::HandJumps { to: position(rng) },
        570..640 => {
            let how = [Loss::Silence, Loss::Zeros, Loss::Invalid, Loss::Frozen][rng.usize(..4)];
            Step::HandLost { how, ms }
        }
        640..690 => {
            Step::Fingers { opening: [0.0, 0.1, 0.5, 0.9, 1.0, f64::NAN, f64::INFINITY][rng.usize(..7)] }
        }
        690..700 => Step::GripperMessage { gripper: gripper(rng) },
        700..790 => Step::SetArmed { armed: rng.u8(..8) > 0, twice: rng.u8(..3) > 0 },
        790..805 => Step::Stop,
        805..825 => Step::Reset,
        825..828 => Step::Reconnect,
        828..834 => Step::GoHome,
        834..837 => Step::BridgeDies { ms, machine: rng.bool() },
        837..845 => Step::BridgeStalls { ms: ms.min(2000) },
        845..930 => {
            use Trouble::{Busy, Cut, Fault, Mute, Slow, Stall, Twice};
            Step::Trouble { what: [Cut, Slow, Mute, Twice, Busy, Fault, Stall][rng.usize(..7)], ms }
        }
        930..945 => Step::Break,
        945..975 => Step::Push {
            by: [0.1, 0.1, 0.05].map(|size| size * (2.0 * rng.f64() - 1.0)),
            speed: [0.02, 0.2, 1.0][rng.usize(..3)],
        },
        975..980 => Step::SetGripper { gripper: gripper(rng) },
        980..988 => Step::Home,
        _ => Step::ControllerDies { ms, power: rng.u8(..3) == 0 },
    }
}

fn duration(rng: &mut Rng) -> u32 {
    match rng.u32(..1000) {
        0..450 => rng.u32(5..120),
        450..850 => rng.u32(100..700),
        850..990 => rng.u32(500..4000),
        990..999 => rng.u32(3000..20_000),
        _ => rng.u32(20_000..400_000),
    }
}

/// Returns a point that is mostly inside the workspace.
fn position(rng: &mut Rng) -> [f64; 3] {
    let wide = if rng.u8(..10) == 0 { 3.0 } else { 1.0 };
    let [x, y, z] = [0.2, 0.25, 0.12].map(|size| wide * size * (2.0 * rng.f64() - 1.0));
    [0.2 + x, y, 0.2 + z]
}

fn gripper(rng: &mut Rng) -> Gripper {
    if rng.bool() { Gripper::Open } else { Gripper::Closed }
}
