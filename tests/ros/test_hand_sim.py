"""Tests hand_sim as other nodes of the ROS graph see it."""

import contextlib
import signal
import subprocess

import pytest
from geometry_msgs.msg import Pose, PoseStamped, Quaternion
from harness import EXECUTABLES, call_without_response
from rcl_interfaces.msg import Log, Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from record import PATIENCE
from simulation import Simulation
from std_msgs.msg import Bool, Float32

DEFAULT_BOX = ((0.1, -0.2, 0.08), (0.28, 0.2, 0.3))
BEST_EFFORT = QoSProfile(depth=500, reliability=ReliabilityPolicy.BEST_EFFORT)
# The content of all-zero messages. The orientation is zero too; a new message has (0, 0, 0, 1).
ZEROS = Pose(orientation=Quaternion(x=0.0, y=0.0, z=0.0, w=0.0))


@contextlib.contextmanager
def hand_sim(*arguments, ending=signal.SIGINT):
    """Run hand_sim and end it by a signal. Check for exit code 0."""
    process = subprocess.Popen([EXECUTABLES / "hand_sim", "--ros-args", *arguments])
    try:
        yield process
        process.send_signal(ending)
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def refused(*arguments):
    """Return the exit code and the last line of a hand_sim that does not start."""
    done = subprocess.run(
        [EXECUTABLES / "hand_sim", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stderr.strip().splitlines()[-1]


def coordinates(pose):
    position = pose.pose.position
    return position.x, position.y, position.z


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda ending: ending.name)
def test_publishes_poses_in_box_until_signal(peer, ending):
    poses = peer.record(PoseStamped, "/target_pose", BEST_EFFORT)
    with hand_sim(ending=ending):
        seen = poses.wait_count(30)
        now = peer.node.get_clock().now().nanoseconds * 1e-9
    stamps = [pose.header.stamp.sec + pose.header.stamp.nanosec * 1e-9 for pose in seen]
    assert all(before < after for before, after in zip(stamps, stamps[1:]))
    # Use the stamps, which give the time of each sample: 29 periods of 1/30 s, however busy the
    # machine is.
    assert stamps[-1] - stamps[0] > 0.9 * 29 / 30
    assert now - PATIENCE < stamps[-1] <= now
    for pose in seen:
        assert pose.header.frame_id == "arm_base"
        for low, value, high in zip(DEFAULT_BOX[0], coordinates(pose), DEFAULT_BOX[1]):
            assert low <= value <= high


def test_parameters_set_names_frame_and_box(peer):
    poses = peer.record(PoseStamped, "/left/hand", BEST_EFFORT)
    closed = peer.record(Bool, "/left/gripper", BEST_EFFORT)
    names = ["-r", "__ns:=/left", "-r", "__node:=tracker", "-r", "target_pose:=hand"]
    box = ["-p", "box.min:=[1.0,1.0,1.0]", "-p", "box.max:=[1.5,1.5,1.5]"]
    with hand_sim(*names, *box, "-p", "frame_id:=camera", "-p", "rate:=100.0"):
        seen = poses.wait_count(10)
        closed.wait()
        listed = peer.call(ListParameters, "/left/tracker/list_parameters").result.names
    assert all(1.0 <= value <= 1.5 for pose in seen for value in coordinates(pose))
    assert {pose.header.frame_id for pose in seen} == {"camera"}
    assert {"rate", "seed", "on_loss", "dropout.share", "use_sim_time"} <= set(listed)


def test_lost_hand_is_published_as_zeros(peer):
    poses = peer.record(PoseStamped, "/target_pose", BEST_EFFORT)
    openings = peer.record(Float32, "/gripper", BEST_EFFORT)
    lossy = ["-p", "dropout.share:=0.5", "-p", "dropout.length:=0.2", "-p", "on_loss:=zeros", "-p", "rate:=100.0"]
    with hand_sim(*lossy, "-p", "gripper.type:=std_msgs/msg/Float32", "-p", "pinch:=0.0"):
        lost = poses.wait(lambda pose: coordinates(pose) == (0.0, 0.0, 0.0))
        assert lost.pose == ZEROS
        assert lost.header.stamp.sec > 0, "zeros are stamped like the rest"
        openings.wait(lambda message: message.data == 0.0)
        openings.wait(lambda message: message.data == 1.0)
        poses.wait(lambda pose: coordinates(pose) != (0.0, 0.0, 0.0))


def test_repeated_pose_gets_a_new_stamp(peer):
    poses = peer.record(PoseStamped, "/target_pose", BEST_EFFORT)
    # Without losses no two poses are equal, because the hand trembles.
    lossy = ["-p", "dropout.share:=0.5", "-p", "dropout.length:=0.2", "-p", "on_loss:=repeat", "-p", "rate:=100.0"]
    with hand_sim(*lossy):
        last = []

        def repeats(pose):
            last.append(pose)
            return len(last) > 1 and last[-2].pose == pose.pose

        repeated = poses.wait(repeats)
    assert repeated.header.stamp != last[-2].header.stamp


def test_parameters_are_described_and_read_only(peer):
    # Use another name: a service of a hand_sim that has just ended may still appear in the graph.
    with hand_sim("-p", "rate:=60", "-r", "__node:=described"):
        names = ["rate", "on_loss"]
        described = peer.call(DescribeParameters, "/described/describe_parameters", names=names).descriptors
        got = peer.call(GetParameters, "/described/get_parameters", names=["rate"]).values
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=10.0)
        wanted = [Parameter(name="rate", value=value)]
        result = peer.call(SetParameters, "/described/set_parameters", parameters=wanted).results[0]
    assert [parameter.type for parameter in described] == [
        ParameterType.PARAMETER_DOUBLE,
        ParameterType.PARAMETER_STRING,
    ]
    assert all(parameter.description and parameter.read_only for parameter in described)
    assert "from 0.1 to 1000.0 Hz" in described[0].additional_constraints
    assert got[0].double_value == 60.0
    assert not result.successful
    assert "read-only" in result.reason and "rate:=VALUE" in result.reason


def test_unreachable_client_does_not_block_other_clients(peer):
    logged = peer.record(Log, "/rosout", QoSProfile(depth=100))
    with hand_sim("-r", "__node:=partly_unreachable"):
        call_without_response(peer, ListParameters, "/partly_unreachable/list_parameters")
        logged.wait(lambda log: log.name == "partly_unreachable" and "call the service again" in log.msg)
        assert "rate" in peer.call(ListParameters, "/partly_unreachable/list_parameters").result.names


def test_stamps_follow_simulated_time(peer, repeat):
    poses = peer.record(PoseStamped, "/target_pose", BEST_EFFORT)
    Simulation(repeat)
    with hand_sim("-p", "use_sim_time:=true"):
        poses.wait(lambda pose: 100 <= pose.header.stamp.sec < 200)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "rate:=0.0"], "parameter 'rate' is 0.0; it must be from 0.1 to 1000.0 Hz"),
        (["-p", "on_loss:=freeze"], "parameter 'on_loss' is 'freeze'; it must be one of: 'silent', 'zeros', 'repeat'"),
        (["-p", "box.max:=[0.1,0.2,0.3]"], "which is [0.1, 0.2, 0.3]"),
        (["-p", "use_sim_time:=1"], "parameter 'use_sim_time' is 1, an integer; it must be a boolean"),
        (["-p"], "bad arguments: '-p' needs a value"),
    ],
    ids=["out of range", "no such choice", "empty box", "invalid time", "incomplete argument"],
)
def test_invalid_argument_gives_exit_code_2(arguments, words):
    code, line = refused("--ros-args", *arguments)
    assert code == 2
    assert line.startswith("hand_sim: ") and words in line


def test_help_works_and_unknown_arguments_are_refused():
    shown = subprocess.run(
        [EXECUTABLES / "hand_sim", "--help"], capture_output=True, text=True, timeout=PATIENCE, check=True
    ).stdout
    assert "dropout.share" in shown and "--ros-args -p rate:=60.0" in shown
    assert max(len(line) for line in shown.splitlines()) <= 110
    code, _ = refused("--rate", "3")
    assert code == 2
