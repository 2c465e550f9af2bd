"""Tests names: remapped topics, another node name, namespaces, and two bridges side by side."""

import pathlib
import re
import xml.etree.ElementTree as xml

from controller import command
from harness import PLAIN, QUICK
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACE = (0.12, 0.0355, 0.21)
PLACE_LINE = command("120.0", "35.5", "210.0")
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}


def test_every_interface_name_exists(controller, bridge, hand, peer):
    bridge(controller, QUICK)
    hand(PLACE)
    controller.lines.wait()
    node = peer.node
    offered = {name: types for name, types in node.get_service_names_and_types_by_node("aether_bridge", "/")}
    assert offered["/aether_bridge/set_armed"] == ["std_srvs/srv/SetBool"]
    for name in ("go_home", "stop", "reset", "reconnect"):
        assert offered[f"/aether_bridge/{name}"] == ["std_srvs/srv/Trigger"]
    published = dict(node.get_publisher_names_and_types_by_node("aether_bridge", "/"))
    assert published["/aether_bridge/link_status"] == ["aether_bridge/msg/LinkStatus"]
    assert published["/aether_bridge/connected"] == ["std_msgs/msg/Bool"]
    assert published["/aether_bridge/command"] == ["aether_bridge/msg/ArmCommand"]
    assert published["/aether_bridge/arm_state"] == ["aether_bridge/msg/ArmState"]
    assert published["/diagnostics"] == ["diagnostic_msgs/msg/DiagnosticArray"]
    subscribed = dict(node.get_subscriber_names_and_types_by_node("aether_bridge", "/"))
    assert subscribed["/target_pose"] == ["geometry_msgs/msg/PoseStamped"]
    assert subscribed["/gripper"] == ["std_msgs/msg/Bool"]


def test_documented_policy_covers_the_whole_interface(controller, bridge, peer):
    """With fewer permissions the bridge does not start in an enclave.

    With more, it is open where it need not be.
    """
    policy = re.search(r"^<policy .*?^</policy>$", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE | re.DOTALL)
    profile = xml.fromstring(policy[0]).find(".//profile")

    def allowed(kind, use):
        names = [entry.text for entry in profile.find(f"{kind}[@{use}='ALLOW']")]
        return {name.replace("~", "/aether_bridge") if name[0] in "~/" else f"/{name}" for name in names}

    started = bridge(controller, {**QUICK, "use_sim_time": True})
    of_the_bridge = lambda find: {name for name, _ in find("aether_bridge", "/")}  # noqa: E731
    # The services appear in the graph one by one.
    while missing := allowed("services", "reply") - of_the_bridge(peer.node.get_service_names_and_types_by_node):
        assert len(started.status.seen) < 40, f"not in the graph after 20 s: {missing}"
        started.status.skip().wait()
    assert of_the_bridge(peer.node.get_service_names_and_types_by_node) == allowed("services", "reply")
    assert of_the_bridge(peer.node.get_publisher_names_and_types_by_node) == allowed("topics", "publish")
    assert of_the_bridge(peer.node.get_subscriber_names_and_types_by_node) <= allowed("topics", "subscribe")


def test_inputs_are_best_effort_and_status_latched(controller, bridge, hand, repeat, peer):
    bridge(controller, AT_PLACE)
    qos = lambda infos: {  # noqa: E731
        (info.qos_profile.reliability.name, info.qos_profile.durability.name) for info in infos
    }
    # A subscription that receives messages has found its publishers.
    hand(PLACE)
    repeat(Bool, "/gripper", lambda: Bool(data=True))
    controller.lines.wait(lambda line: line.gripper == "closed")
    peer.record(Bool, "/aether_bridge/connected")
    assert qos(peer.node.get_subscriptions_info_by_topic("/target_pose")) == {("BEST_EFFORT", "VOLATILE")}
    # The second subscription is for latched messages.
    assert qos(peer.node.get_subscriptions_info_by_topic("/gripper")) == {
        ("BEST_EFFORT", "VOLATILE"),
        ("RELIABLE", "TRANSIENT_LOCAL"),
    }
    for topic in ("link_status", "connected"):
        infos = peer.node.get_publishers_info_by_topic(f"/aether_bridge/{topic}")
        assert qos(infos) == {("RELIABLE", "TRANSIENT_LOCAL")}


def test_topics_and_services_can_be_remapped(controller, launch, hand, repeat, peer):
    status = peer.status("/arm/status")
    rules = ["target_pose:=/ik/pose", "gripper:=/hand/pinch", "~/link_status:=/arm/status", "~/stop:=/panel/stop"]
    started = launch(
        {**AT_PLACE, **PLAIN, "link.port": controller.port}, [part for rule in rules for part in ("-r", rule)]
    )
    hand((-0.1, 0.0, 0.1))
    hand(PLACE, "/ik/pose")
    repeat(Bool, "/hand/pinch", lambda: Bool(data=True))
    status.wait(state="CONNECTED", motion="TRACKING")
    controller.lines.wait(lambda line: line.data == command("120.0", "35.5", "210.0", "closed"))
    assert peer.call(Trigger, "/panel/stop").success
    status.wait(motion="STOPPED")
    assert len(started.status.seen) == 0, "the old name still has messages"
    assert all(line.position == PLACE for line in controller.lines)


def test_node_accepts_another_name_and_namespace(controller, bridge, hand, peer):
    arguments = ["-r", "__node:=gantry", "-r", "__ns:=/cell_1/left"]
    started = bridge(controller, AT_PLACE, arguments, name="/cell_1/left/gantry")
    assert ("gantry", "/cell_1/left") in peer.node.get_node_names_and_namespaces()
    hand(PLACE, "/cell_1/left/target_pose")
    started.status.wait(motion="TRACKING")
    assert peer.call(SetBool, "/cell_1/left/gantry/set_armed", data=False).success
    started.status.wait(motion="DISARMED")
    started.log.wait(lambda line: "gantry]" in line)


def test_two_bridges_move_one_arm_each(controllers, bridge, hand, peer):
    left_arm, right_arm = controllers(), controllers()
    left, right = (
        bridge(controller, AT_PLACE, ["-r", f"__ns:=/{side}"], name=f"/{side}/aether_bridge")
        for controller, side in ((left_arm, "left"), (right_arm, "right"))
    )
    hand(PLACE, "/left/target_pose")
    left.status.wait(motion="TRACKING")
    right.status.wait(state="CONNECTED", motion="DISARMED", reason="no target received yet")
    right_arm.lines.assert_none()

    hand((0.12, 0.05, 0.21), "/right/target_pose")
    right.status.wait(motion="TRACKING")
    peer.call(Trigger, "/left/aether_bridge/stop")
    left.status.wait(motion="STOPPED")
    right.status.skip().wait(motion="TRACKING")
    assert (left.status.newest().peer, right.status.newest().peer) == (left_arm.peer, right_arm.peer)
    assert all(line.data == PLACE_LINE for line in left_arm.lines)
