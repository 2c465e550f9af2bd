"""Faults of the ROS graph in mid-motion: killed clients, parameter storms, incompatible QoS."""

import pathlib
import subprocess
import sys

import shared_memory
from aether_bridge.msg import LinkStatus
from faults import Harmless, play, rows
from harness import ask, call_without_response
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
# Pairs: a request, and whether the bridge accepts it while armed.
REQUESTS = [
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
    """Kill clients between their requests and the responses."""
    clients = [
        subprocess.Popen([sys.executable, CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(CLIENTS)
    ]
    for client in clients:
        with client:
            assert client.stdout.readline() == b"ready\n"
            rig.peer.session.left_behind |= shared_memory.mapped(client.pid)
            client.stdin.write(b"\n")


def is_still_served(rig):
    """Check that services work.

    A bridge that was held up refuses a delayed call and asks for another call.
    """

    def succeeds():
        response = rig.peer.call(SetBool, "/aether_bridge/set_armed", data=True)
        assert response.success or "was held up for" in response.message, response
        return response.success

    assert any(succeeds() for _ in range(10))


def client_is_unreachable(rig):
    """The bridge executes the request, but the client receives no response."""
    events = rig.peer.record(ParameterEvent, "/parameter_events")
    slower = Parameter("limits.speed", value=0.24).to_parameter_msg()
    call_without_response(rig.peer, SetParameters, "/aether_bridge/set_parameters", parameters=[slower])
    events.wait(lambda event: any(changed.name == "limits.speed" for changed in event.changed_parameters))


def parameter_storm(rig):
    client = rig.peer.node.create_client(SetParameters, "/aether_bridge/set_parameters")
    # The first response shows that the server knows the client. From then on it drops no response.
    ask(client, SetParameters.Request())
    responses = Record("responses to the storm")

    def request(number):
        parameter, accepted = REQUESTS[number % len(REQUESTS)]
        future = client.call_async(SetParameters.Request(parameters=[parameter.to_parameter_msg()]))
        future.add_done_callback(lambda done: responses.append((done.result().results[0], accepted)))

    for number in range(ROUNDS * len(REQUESTS)):
        request(number)
        # A DDS service keeps this many requests at a time.
        responses.wait_count(number - 8)
    for result, accepted in responses.wait_count(ROUNDS * len(REQUESTS)):
        assert result.successful == accepted and bool(result.reason) != accepted, result


def incompatible_subscriber(rig):
    """Subscribe with a QoS that the bridge does not offer.

    The middleware reports that to the subscriber.
    """
    reported = Record("incompatible")
    rig.peer.node.create_subscription(
        LinkStatus,
        "/aether_bridge/link_status",
        lambda _: None,
        QoSProfile(depth=1, deadline=Duration(seconds=0.01)),
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=reported.append),
    )
    reported.wait()


ROWS = [
    Harmless("service clients die before they get the response", clients_die, check=is_still_served),
    Harmless("a service client that cannot receive a response", client_is_unreachable, check=is_still_served),
    Harmless("a storm of valid and invalid parameter changes", parameter_storm),
    Harmless("a subscriber with an incompatible QoS", incompatible_subscriber),
]


@rows(ROWS)
def test_motion_continues_despite_graph_fault(rig, fault):
    play(rig, fault)
