"""Faults of the ROS graph, in mid-motion: participants that vanish, storms of parameters, quality of service that does
not match.
"""

import pathlib
import subprocess
import sys

import shared_memory
from aether_bridge.msg import LinkStatus
from faults import Harmless, play, rows
from harness import ask, call_in_vain
from rcl_interfaces.msg import ParameterEvent
from rcl_interfaces.srv import SetParameters
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from record import Record
from std_srvs.srv import SetBool

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # before Iron
    from rclpy.qos_event import SubscriptionEventCallbacks

CLIENT = pathlib.Path(__file__).with_name("client.py")
CLIENTS = 4
# Each with whether it is accepted while armed.
WISHES = [
    (Parameter("limits.speed", value=0.24), True),
    (Parameter("limits.speed", value=0.25), True),
    (Parameter("teleop.max_consecutive_errors", value=6), True),
    (Parameter("limits.speed", value=-1.0), False),
    (Parameter("limits.speed", value="fast"), False),
    (Parameter("link.host", value="127.0.0.9"), False),
    (Parameter("no.such.parameter", value=1), False),
]
ROUNDS = 60


def clients_die(rig):
    """Between their requests and the answers."""
    clients = [
        subprocess.Popen([sys.executable, CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(CLIENTS)
    ]
    for client in clients:
        with client:
            assert client.stdout.readline() == b"ready\n"
            rig.peer.session.left_behind |= shared_memory.mapped(client.pid)
            client.stdin.write(b"\n")


def is_still_served(rig):
    """A call that has waited in a bridge which was held up is refused, and the caller is asked to call again."""

    def answered():
        answer = rig.peer.call(SetBool, "/aether_bridge/set_armed", data=True)
        assert answer.success or "was held up for" in answer.message, answer
        return answer.success

    assert any(answered() for _ in range(10))


def client_is_deaf(rig):
    """What it wants is done, and it is not told."""
    events = rig.peer.record(ParameterEvent, "/parameter_events")
    slower = Parameter("limits.speed", value=0.24).to_parameter_msg()
    call_in_vain(rig.peer, SetParameters, "/aether_bridge/set_parameters", parameters=[slower])
    events.wait(lambda event: any(changed.name == "limits.speed" for changed in event.changed_parameters))


def parameter_storm(rig):
    client = rig.peer.node.create_client(SetParameters, "/aether_bridge/set_parameters")
    # No answer is given up once one has come.
    ask(client, SetParameters.Request())
    answers = Record("answers to the storm")

    def wish(number):
        parameter, accepted = WISHES[number % len(WISHES)]
        future = client.call_async(SetParameters.Request(parameters=[parameter.to_parameter_msg()]))
        future.add_done_callback(lambda done: answers.append((done.result().results[0], accepted)))

    for number in range(ROUNDS * len(WISHES)):
        wish(number)
        # As many at a time as a service of DDS keeps.
        answers.wait_count(number - 8)
    for result, accepted in answers.wait_count(ROUNDS * len(WISHES)):
        assert result.successful == accepted and bool(result.reason) != accepted, result


def cannot_be_met(rig):
    """A listener that wants what is not offered: it is told so, by its own middleware."""
    told = Record("incompatible")
    rig.peer.node.create_subscription(
        LinkStatus,
        "/aether_bridge/link_status",
        lambda _: None,
        QoSProfile(depth=1, deadline=Duration(seconds=0.01)),
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=told.append),
    )
    told.wait()


ROWS = [
    Harmless("clients die between request and answer", clients_die, check=is_still_served),
    Harmless("a client that no answer can reach", client_is_deaf, check=is_still_served),
    Harmless("a storm of parameters, legal and not", parameter_storm),
    Harmless("a listener whose quality of service is not offered", cannot_be_met),
]


@rows(ROWS)
def test_motion_continues_despite_graph_fault(rig, fault):
    play(rig, fault)
